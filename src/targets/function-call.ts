import { Text } from '../bytes/text.js';
import { parseToolCall } from '../tool-turns.js';
import { isObject } from './row-checks.js';
import type { Message } from './target.js';

/** A call of a tool as trainers read it from text: `{"name":"get_order","arguments":{"id":"7"}}`, arguments unquoted. */
export function functionCall(message: Message): Text {
  const call = parseToolCall({ number: 0, ...message });
  if (call === null) throw new Error('a malformed tool call got past the checks');
  return Text.of(`{"name":${JSON.stringify(call.name)},"arguments":${call.arguments}}`);
}

/** Whether the text is such a call, or a list of them. */
export function isFunctionCall(text: string): boolean {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return false;
  }
  const calls: unknown[] = Array.isArray(value) ? value : [value];
  return (
    calls.length > 0 &&
    calls.every((call) => isObject(call) && typeof call['name'] === 'string' && 'arguments' in call)
  );
}
