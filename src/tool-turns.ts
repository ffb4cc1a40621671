import type { Turn } from './conversation.js';

/** A call that the model makes: the content of a turn of role `tool_call`. */
export interface ToolCall {
  readonly name: string;
  /** JSON text of the arguments. */
  readonly arguments: string;
}

export function hasToolTurns(turns: readonly Turn[]): boolean {
  return turns.some(({ role }) => role === 'tool' || role === 'tool_call');
}

/**
 * Whether every call is well-formed and answered by the turn after it, and every answer has its call.
 * @param inTurn a call must also follow a question or an answer of a tool, and no question may follow such an answer. Default: false
 */
export function toolTurnsFit(turns: readonly Turn[], inTurn = false): boolean {
  return turns.every((turn, index) => {
    const before = turns[index - 1]?.role;
    if (turn.role === 'tool') return before === 'tool_call' && !(inTurn && turns[index + 1]?.role === 'user');
    if (turn.role !== 'tool_call') return true;
    if (inTurn && before !== 'user' && before !== 'tool') return false;
    return turns[index + 1]?.role === 'tool' && parseToolCall(turn) !== null;
  });
}

/** `{"name":"get_order","arguments":{"id":"7"}}`, the arguments as an object or as JSON text; null for anything else. */
export function parseToolCall({ content }: Turn): ToolCall | null {
  let value: unknown;
  try {
    value = JSON.parse(content?.toString() ?? '');
  } catch {
    return null;
  }
  if (typeof value !== 'object' || value === null) return null;
  const { name, arguments: given } = value as { name?: unknown; arguments?: unknown };
  // The services allow no other names (OpenAI's published schema).
  if (typeof name !== 'string' || !/^[A-Za-z0-9_-]{1,64}$/.test(name)) return null;
  // Trainers that take arguments as an object take nothing else.
  if (typeof given === 'string') return isObjectText(given) ? { name, arguments: given } : null;
  if (given !== undefined && given !== null && !isObject(given)) return null;
  return { name, arguments: JSON.stringify(given ?? {}) };
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isObjectText(text: string): boolean {
  try {
    return isObject(JSON.parse(text));
  } catch {
    return false;
  }
}
