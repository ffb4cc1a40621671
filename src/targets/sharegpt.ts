import type { ByteWriter } from '../bytes/byte-writer.js';
import { checkKeys, checkOrder, listAt, objectAt } from './dialogue-checks.js';
import { TEMPLATE_MARKS } from './reserved-text.js';
import { checkShareGptMessage, SHAREGPT_ROLES, writeShareGptMessages } from './sharegpt-messages.js';
import type { Example, Report, Target } from './target.js';

const OPEN = Buffer.from('{"conversations":[');
const END = Buffer.from(']}\n');
const DROPPED = 'trainers drop the row or stop';

/** The shape of the open trainers: `from` and `value`, spoken by system, human and gpt. */
export const sharegpt: Target = {
  summary: 'ShareGPT rows, for Axolotl, Unsloth, torchtune and LLaMA-Factory',
  asOf: '2026-11',
  sources: [
    'unslothai/unsloth-zoo, unsloth_zoo/dataset_utils.py',
    'pytorch/torchtune, torchtune/data/_messages.py',
    'hiyouga/LLaMA-Factory, data/README.md',
  ],
  shapes: { conversations: { write, check, texts: { keys: ['value'], marks: TEMPLATE_MARKS } } },
  throughDatasets: true,
  limits: {},
  reserved: TEMPLATE_MARKS,
  advice: () =>
    'Axolotl reads these rows with type: chat_template, field_messages: conversations and message_property_mappings: {role: from, content: value}.',
};

function write(example: Example, out: ByteWriter): void {
  out.bytes(OPEN);
  writeShareGptMessages(example, out);
  out.bytes(END);
}

function check(row: unknown, report: Report): void {
  const object = objectAt(row, '', report);
  if (object === null) return;
  checkKeys(object, ['conversations'], '', report, {
    severity: 'warning',
    message: 'trainers ignore the column, and stop when its type changes after 10 MiB',
  });
  const messages = listAt(object, 'conversations', '', report);
  if (messages === null) return;
  const options = { roles: SHAREGPT_ROLES, consequence: DROPPED };
  const spoken = messages.map((message, index) =>
    checkShareGptMessage(message, `conversations[${index}]`, report, options),
  );
  checkOrder(spoken, report, { path: 'conversations', key: 'from', consequence: DROPPED });
}
