import type { ByteWriter } from '../bytes/byte-writer.js';
import {
  checkKeys,
  checkOrder,
  checkReserved,
  kindOf,
  listAt,
  objectAt,
  type Side,
} from './dialogue-checks.js';
import { isObject, problems } from './row-checks.js';
import type { Example, Report, Target } from './target.js';

const VERSION = 'bedrock-conversation-2024';
const OPEN = Buffer.from(`{"schemaVersion":"${VERSION}",`);
const SYSTEM = Buffer.from('"system":[{"text":');
const END_SYSTEM = Buffer.from('}],');
const MESSAGES = Buffer.from('"messages":[');
const USER = Buffer.from('{"role":"user","content":[{"text":');
const ASSISTANT = Buffer.from('{"role":"assistant","content":[{"text":');
const END_MESSAGE = Buffer.from('}]}');
const COMMA = Buffer.from(',');
const END = Buffer.from(']}\n');

/** What the validator for Nova calls invalid tokens, wherever they stand in a text. */
const NOVA_MARKS = [
  'System:',
  'SYSTEM:',
  'User:',
  'USER:',
  'Bot:',
  'BOT:',
  'Assistant:',
  'ASSISTANT:',
  'Thought:',
  '[EOS]',
  '<image>',
  '<video>',
];
const REFUSED = "Nova's validator refuses the file";
const RESERVED = { severity: 'error', message: `${REFUSED}: following tokens are invalid` } as const;

/** Nova, and Llama 3.2 or later, on Amazon Bedrock: contents are lists of blocks. */
export const bedrockConverse: Target = {
  summary: 'Nova and Llama 3.2+ on Amazon Bedrock',
  asOf: '2026-11',
  sources: [
    'aws-samples/amazon-bedrock-samples, custom-models/bedrock-fine-tuning/nova/understanding/dataset_validation at 7a8cfea',
    'aws-samples/amazon-bedrock-samples, custom-models/bedrock-fine-tuning/meta-llama/dataset_validation at f3cdcfd',
    'docs.aws.amazon.com/bedrock/latest/userguide/preparing-text-data.html',
  ],
  shapes: { messages: { write, check, texts: { keys: ['text'], marks: NOVA_MARKS } } },
  // Nova's numbers; Llama takes 10,000 rows of 16,000 tokens.
  checksFileName: true,
  limits: { minRows: 8, maxRows: 20_000 },
  reserved: NOVA_MARKS,
  policy: { 'reserved-text': 'skip' },
  advice: () => 'Llama models on Bedrock read at most 10,000 of these rows, each of at most 16,000 tokens.',
};

function write({ system, messages }: Example, out: ByteWriter): void {
  out.bytes(OPEN);
  if (system !== null) {
    out.bytes(SYSTEM);
    out.jsonString(system);
    out.bytes(END_SYSTEM);
  }
  out.bytes(MESSAGES);
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
  const ignored = { severity: 'warning', message: 'the validator ignores the key' } as const;
  checkKeys(object, ['schemaVersion', 'system', 'messages'], '', report, ignored);
  checkVersion(object['schemaVersion'], report);
  if (object['system'] !== undefined && object['system'] !== null) checkSystem(object['system'], report);
  const messages = listAt(object, 'messages', '', report);
  if (messages === null) return;
  const spoken = messages.map((message, index) => checkMessage(message, `messages[${index}]`, report));
  checkOrder(spoken, report, { path: 'messages', consequence: REFUSED });
}

/** The documentation wants the version; the validator reads any text, or none. */
function checkVersion(version: unknown, report: Report): void {
  const { error, warning } = problems(report);
  const fix = `Write "schemaVersion":"${VERSION}".`;
  if (version === undefined || version === null) {
    warning(
      'missing-key',
      'schemaVersion',
      'the service is documented to need the version of the shape',
      fix,
    );
  } else if (typeof version !== 'string') {
    error('wrong-type', 'schemaVersion', `${REFUSED}: the version is ${kindOf(version)}`, fix);
  } else if (version !== VERSION) {
    warning('wrong-value', 'schemaVersion', 'the service documents one version of the shape', fix);
  }
}

function checkSystem(system: unknown, report: Report): void {
  const { error, warning } = problems(report);
  if (!Array.isArray(system)) {
    error(
      'wrong-type',
      'system',
      `${REFUSED}: the system prompt is ${kindOf(system)}`,
      'Write [{"text":"…"}].',
    );
    return;
  }
  if (system.length !== 1) {
    const rule = system.length === 0 ? 'empty-content' : 'several-system';
    error(
      rule,
      'system',
      'the service reads a list of exactly one system prompt',
      'Join the prompts, or leave the key out.',
    );
  }
  for (const [index, block] of system.entries()) {
    const path = `system[${index}]`;
    const text = isObject(block) ? block['text'] : undefined;
    if (typeof text !== 'string') {
      error(
        'missing-content',
        `${path}.text`,
        `${REFUSED}: a system prompt is an object with a text`,
        'Write {"text":"…"}.',
      );
    } else if (text.trim() === '') {
      warning('empty-content', `${path}.text`, 'the system prompt says nothing', 'Leave the key out.');
    } else {
      checkReserved(text, NOVA_MARKS, `${path}.text`, report, RESERVED);
    }
  }
}

function checkMessage(message: unknown, path: string, report: Report): { side: Side | null; path: string } {
  const object = objectAt(message, path, report);
  if (object === null) return { side: null, path };
  const ignored = { severity: 'warning', message: 'the validator ignores the key' } as const;
  checkKeys(object, ['role', 'content'], path, report, ignored);
  if (object['content'] === undefined) {
    problems(report).error(
      'missing-content',
      `${path}.content`,
      `${REFUSED}: there is no content`,
      'Write [{"text":"…"}].',
    );
  } else {
    const blocks = listAt(object, 'content', path, report);
    if (blocks !== null) checkBlocks(blocks, `${path}.content`, report);
  }
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

function checkBlocks(blocks: readonly unknown[], path: string, report: Report): void {
  const { error } = problems(report);
  let text = '';
  let hasMedia = false;
  for (const [index, block] of blocks.entries()) {
    const where = `${path}[${index}]`;
    const object = objectAt(block, where, report);
    if (object === null) return;
    if (typeof object['text'] === 'string') {
      text += object['text'];
      checkReserved(object['text'], NOVA_MARKS, `${where}.text`, report, RESERVED);
    } else if (isObject(object['image']) || isObject(object['video'])) {
      hasMedia = true;
    } else {
      const rule = object['text'] === undefined || object['text'] === null ? 'missing-content' : 'wrong-type';
      error(rule, `${where}.text`, `${REFUSED}: a block is an object with a text`, 'Write {"text":"…"}.');
      return;
    }
  }
  if (hasMedia) return;
  if (text.trim() === '') {
    error(
      'empty-content',
      path,
      `${REFUSED}: a text is empty or only white space`,
      'Add the text, or remove the message.',
    );
  }
}
