import type { ByteWriter } from '../bytes/byte-writer.js';
import {
  checkKeys,
  checkOrder,
  checkReserved,
  kindOf,
  listAt,
  objectAt,
  textAt,
  type Side,
} from './dialogue-checks.js';
import { problems } from './row-checks.js';
import type { Example, Report, Target } from './target.js';

const SYSTEM = Buffer.from('{"system":');
const MESSAGES_AFTER_SYSTEM = Buffer.from(',"messages":[');
const MESSAGES = Buffer.from('{"messages":[');
const USER = Buffer.from('{"role":"user","content":');
const ASSISTANT = Buffer.from('{"role":"assistant","content":');
const END_MESSAGE = Buffer.from('}');
const COMMA = Buffer.from(',');
const END = Buffer.from(']}\n');

/** The marks of the prompt that the service makes of a row. */
const MARKS = ['\nHuman:', '\nAssistant:'];
const REFUSED = "Bedrock's validator refuses the file";
const RESERVED = { severity: 'error', message: `${REFUSED}: the text holds a mark of the prompt` } as const;

/** Claude 3 Haiku on Amazon Bedrock: the system prompt is a string beside the messages. */
export const bedrockClaude: Target = {
  summary: 'Claude 3 Haiku on Amazon Bedrock',
  asOf: '2026-11',
  sources: [
    'aws-samples/amazon-bedrock-samples, custom-models/bedrock-fine-tuning/claude-haiku/DataValidation',
    'anthropics/claude-cookbooks, finetuning/finetuning_on_bedrock.ipynb',
    'docs.aws.amazon.com/bedrock/latest/userguide/preparing-text-data.html',
  ],
  shapes: { messages: { write, check, texts: { keys: ['content', 'system'], marks: MARKS } } },
  limits: { minRows: 32, maxRows: 10_000, maxBytes: 10 * 1024 ** 3, maxTokens: 32_000 },
  reserved: MARKS,
  policy: { 'reserved-text': 'skip' },
};

function write({ system, messages }: Example, out: ByteWriter): void {
  if (system === null) {
    out.bytes(MESSAGES);
  } else {
    out.bytes(SYSTEM);
    out.jsonString(system);
    out.bytes(MESSAGES_AFTER_SYSTEM);
  }
  for (const [index, { role, content }] of messages.entries()) {
    if (index > 0) out.bytes(COMMA);
    out.bytes(role === 'user' ? USER : ASSISTANT);
    out.jsonString(content);
    out.bytes(END_MESSAGE);
  }
  out.bytes(END);
}

function check(row: unknown, report: Report): void {
  const object = objectAt(row, '', report);
  if (object === null) return;
  checkKeys(object, ['system', 'messages'], '', report, {
    severity: 'error',
    message: 'the provider allows no other keys',
  });
  if (object['system'] !== undefined) checkSystem(object['system'], report);
  const messages = listAt(object, 'messages', '', report);
  if (messages === null) return;
  const spoken = messages.map((message, index) => checkMessage(message, `messages[${index}]`, report));
  checkOrder(spoken, report, { path: 'messages', consequence: REFUSED });
}

function checkSystem(system: unknown, report: Report): void {
  const { error, warning } = problems(report);
  if (typeof system !== 'string') {
    error(
      'wrong-type',
      'system',
      `${REFUSED}: the system prompt is ${kindOf(system)}`,
      'Write a string, or leave the key out.',
    );
  } else if (system.trim() === '') {
    warning('empty-content', 'system', 'the system prompt says nothing', 'Leave the key out.');
  } else {
    checkReserved(system, MARKS, 'system', report, RESERVED);
  }
}

function checkMessage(message: unknown, path: string, report: Report): { side: Side | null; path: string } {
  const object = objectAt(message, path, report);
  if (object === null) return { side: null, path };
  checkKeys(object, ['role', 'content'], path, report, {
    severity: 'error',
    message: 'the provider allows no other keys',
  });
  const content = textAt(object, 'content', path, report, { consequence: REFUSED });
  if (content !== null) checkReserved(content, MARKS, `${path}.content`, report, RESERVED);
  const { role } = object;
  if (role === 'user' || role === 'assistant') return { side: role, path };
  problems(report).error(
    'unknown-role',
    `${path}.role`,
    `${REFUSED}: a role is user or assistant`,
    role === 'system' ? 'Put the system prompt under "system", beside "messages".' : 'Use one of the two.',
  );
  return { side: null, path };
}
