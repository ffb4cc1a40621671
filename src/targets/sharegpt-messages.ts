import type { ByteWriter } from '../bytes/byte-writer.js';
import type { Text } from '../bytes/text.js';
import { checkKeys, checkReserved, kindOf, objectAt, textAt, type Side } from './dialogue-checks.js';
import { functionCall } from './function-call.js';
import { TEMPLATE_MARKS } from './reserved-text.js';
import { problems } from './row-checks.js';
import type { Example, Report } from './target.js';

const COMMA = Buffer.from(',');
const END_MESSAGE = Buffer.from('}');
const HEADS = {
  system: Buffer.from('{"from":"system","value":'),
  user: Buffer.from('{"from":"human","value":'),
  assistant: Buffer.from('{"from":"gpt","value":'),
  tool_call: Buffer.from('{"from":"function_call","value":'),
  tool: Buffer.from('{"from":"observation","value":'),
};

const RESERVED = {
  severity: 'warning',
  message: 'chat templates read a part of the text as a mark of their own',
} as const;

/** The words of ShareGPT for who speaks. */
export const SHAREGPT_ROLES: Readonly<Record<string, Side>> = {
  system: 'system',
  human: 'user',
  gpt: 'assistant',
};

/** With those that LLaMA-Factory adds for tools. */
export const SHAREGPT_TOOL_ROLES: Readonly<Record<string, Side>> = {
  ...SHAREGPT_ROLES,
  function_call: 'assistant',
  observation: 'user',
};

/** The messages without brackets, the system prompt first. */
export function writeShareGptMessages({ system, messages }: Example, out: ByteWriter): void {
  if (system !== null) writeShareGptMessage('system', system, out);
  for (const [index, message] of messages.entries()) {
    if (index > 0 || system !== null) out.bytes(COMMA);
    const value = message.role === 'tool_call' ? functionCall(message) : message.content;
    writeShareGptMessage(message.role, value, out);
  }
}

export function writeShareGptMessage(role: keyof typeof HEADS, value: Text, out: ByteWriter): void {
  out.bytes(HEADS[role]);
  out.jsonString(value);
  out.bytes(END_MESSAGE);
}

export interface ShareGptMessageOptions {
  readonly roles: Readonly<Record<string, Side>>;
  /** What the reader does about a bad message, as a sentence without its full stop. */
  readonly consequence: string;
}

/** Checks one message: exactly `from` and `value`, both text. */
export function checkShareGptMessage(
  message: unknown,
  path: string,
  report: Report,
  { roles, consequence }: ShareGptMessageOptions,
): { side: Side | null; path: string } {
  const object = objectAt(message, path, report);
  if (object === null) return { side: null, path };
  checkKeys(object, ['from', 'value'], path, report, {
    severity: 'error',
    message: 'Unsloth stops at a message with other keys than from and value',
  });
  const text = textAt(object, 'value', path, report, { consequence, empty: 'warning' });
  if (text !== null) checkReserved(text, TEMPLATE_MARKS, `${path}.value`, report, RESERVED);
  const { from } = object;
  const side = typeof from === 'string' && Object.hasOwn(roles, from) ? (roles[from] ?? null) : null;
  if (side === null) {
    const words = Object.keys(roles).join(', ');
    const what = typeof from === 'string' ? 'the role is none of' : `the role is ${kindOf(from)}, not one of`;
    problems(report).error(
      'unknown-role',
      `${path}.from`,
      `${consequence}: ${what} ${words}`,
      'Use one of these words.',
    );
  }
  return { side, path };
}
