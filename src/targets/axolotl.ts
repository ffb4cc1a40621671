import type { ByteWriter } from '../bytes/byte-writer.js';
import { checkMessagesRow } from './messages-checks.js';
import type { MessagesRules } from './messages-rules.js';
import { writeMessages } from './messages.js';
import { TEMPLATE_MARKS } from './reserved-text.js';
import { isObject, problems } from './row-checks.js';
import type { Example, Report, Target } from './target.js';

const OPEN = Buffer.from('{"messages":[');
const CLOSE = Buffer.from(']');
const TOOLS = Buffer.from(',"tools":');
const END = Buffer.from('}\n');

const RULES: MessagesRules = {
  reader: 'Axolotl',
  listAsText: true,
  roles: new Map([
    ['system', 'system'],
    ['user', 'user'],
    ['human', 'user'],
    ['assistant', 'assistant'],
    ['gpt', 'assistant'],
    ['tool', 'tool'],
  ]),
  tools: {
    id: null,
    name: /./,
    arguments: 'either',
    content: 'present',
    schema: ['name'],
    schemasAsText: true,
  },
  weight: 'unread',
  reserved: TEMPLATE_MARKS,
  verdicts: {
    'extra-key': 'accepted',
    'empty-content': 'warning',
    'starts-with-assistant': 'warning',
    'ends-with-user': 'warning',
    'equal-neighbours': 'warning',
    'late-system': 'warning',
    'several-system': 'warning',
    weight: 'warning',
    'reserved-text': 'warning',
  },
  says: {
    'no-assistant': () => 'Axolotl drops the row with a line in its log: no token of it is trained',
    'empty-answer': () => 'Axolotl trains nothing of the message, and drops a row without any trained token',
    'empty-messages': () => 'Axolotl stops preprocessing at an empty list of messages',
    'missing-content': () => 'Axolotl stops preprocessing at a message without content',
  },
};

/** Axolotl with `type: chat_template`. */
export const axolotl: Target = {
  summary: 'Axolotl (type: chat_template)',
  asOf: '2026-11',
  sources: [
    'axolotl-ai-cloud/axolotl, src/axolotl/prompt_strategies/chat_template.py',
    'axolotl-ai-cloud/axolotl, docs/dataset-formats/conversation.qmd',
  ],
  shapes: { messages: { write, check, texts: { keys: ['content'], marks: TEMPLATE_MARKS } } },
  throughDatasets: true,
  limits: {},
  tools: true,
  reserved: TEMPLATE_MARKS,
  // JSON strings are YAML strings too.
  advice: (fileName) =>
    `In the configuration: datasets: [{path: ${JSON.stringify(fileName)}, type: chat_template}]`,
};

/** Schemas are written as text: as objects, `datasets` fills the gaps of one with the keys of the others. */
function write(example: Example, out: ByteWriter): void {
  out.bytes(OPEN);
  writeMessages(example, out);
  out.bytes(CLOSE);
  if (example.tools !== null) {
    out.bytes(TOOLS);
    out.jsonString(example.tools);
  }
  out.bytes(END);
}

function check(row: unknown, report: Report): void {
  checkMessagesRow(row, report, RULES);
  if (!isObject(row)) return;
  const { system } = row;
  if (system === undefined || system === null || typeof system === 'string') return;
  problems(report).error(
    'wrong-type',
    'system',
    'Axolotl expects system to be a string',
    'Write the prompt as one string.',
  );
}
