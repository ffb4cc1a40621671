import { isObject, problems, type JsonObject } from './row-checks.js';
import { below, shown } from './row-path.js';
import type { Problem, Report } from './target.js';

/** Who speaks, whatever word the shape has for it; calls of tools count as the assistant's, answers of tools as the user's. */
export type Side = 'system' | 'user' | 'assistant';

/** One message of a row. `side` is null where the role is none of the shape's: that was told already. */
export interface Spoken {
  readonly side: Side | null;
  readonly path: string;
}

export type OrderRule =
  | 'empty-messages'
  | 'no-assistant'
  | 'starts-with-assistant'
  | 'ends-with-user'
  | 'ends-with-assistant'
  | 'equal-neighbours'
  | 'late-system'
  | 'several-system';

export interface OrderOptions {
  /** Where the list is, such as `messages`. */
  readonly path: string;
  /** The key that says who speaks. Default: `role`. */
  readonly key?: string;
  /** What the reader does about a wrong order, as a sentence without its full stop. */
  readonly consequence: string;
  /** Who must speak last. Default: the assistant. */
  readonly last?: 'user' | 'assistant';
  /** Rules that the reader does not enforce. Default: none. */
  readonly warnings?: readonly OrderRule[];
}

const ORDER_RULES: Record<OrderRule, { readonly what: string; readonly fix: string }> = {
  'empty-messages': { what: 'there is no message', fix: 'Remove the row.' },
  'no-assistant': {
    what: 'there is no answer of the assistant to learn',
    fix: 'Add the answer, or remove the row.',
  },
  'starts-with-assistant': {
    what: 'the assistant speaks first',
    fix: 'Remove the messages before the first question.',
  },
  'ends-with-user': { what: 'the last message is not an answer', fix: 'Cut the row after its last answer.' },
  'ends-with-assistant': {
    what: 'the last message is not the question that both answers answer',
    fix: 'Cut the prompt after its last question.',
  },
  'equal-neighbours': { what: 'one side speaks twice in a row', fix: 'Join the two messages.' },
  'late-system': {
    what: 'a system message stands after the start',
    fix: 'Move it to the front, or remove it.',
  },
  'several-system': { what: 'there is more than one system message', fix: 'Join them into one.' },
};

/** Checks that the user and the assistant take turns, after one system message or none. */
export function checkOrder(messages: readonly Spoken[], report: Report, options: OrderOptions): void {
  const { path, key = 'role', consequence, last = 'assistant', warnings = [] } = options;
  const tell = (rule: OrderRule, where: string): void =>
    report({
      rule,
      path: where,
      severity: warnings.includes(rule) ? 'warning' : 'error',
      message: `${consequence}: ${ORDER_RULES[rule].what}`,
      fix: ORDER_RULES[rule].fix,
    });
  if (messages.length === 0) {
    tell('empty-messages', path);
    return;
  }
  let previous: Side | null | undefined;
  let inDialogue = false;
  for (const { side, path: message } of messages) {
    const where = below(message, key);
    if (side === 'system') {
      if (previous === 'system') tell('several-system', where);
      else if (inDialogue) tell('late-system', where);
    } else if (side === 'assistant' && !inDialogue) {
      tell('starts-with-assistant', where);
    } else if (side !== null && side === previous) {
      tell('equal-neighbours', where);
    }
    previous = side;
    inDialogue ||= side !== 'system';
  }
  const end = messages.at(-1) as Spoken;
  if (last === 'assistant' && messages.every(({ side }) => side === 'user' || side === 'system')) {
    tell('no-assistant', path);
  } else if (end.side !== null && end.side !== last) {
    tell(last === 'assistant' ? 'ends-with-user' : 'ends-with-assistant', below(end.path, key));
  }
}

/** The value as an object, or null after telling that it is none. */
export function objectAt(value: unknown, path: string, report: Report): JsonObject | null {
  if (isObject(value)) return value;
  const { error } = problems(report);
  error(
    'not-an-object',
    path,
    `${named(path)} is read as a JSON object, and this is ${kindOf(value)}`,
    'Write an object.',
  );
  return null;
}

/** The list under a key, or null after telling that there is none. */
export function listAt(
  object: JsonObject,
  key: string,
  path: string,
  report: Report,
): readonly unknown[] | null {
  const value = object[key];
  if (Array.isArray(value)) return value;
  const { error } = problems(report);
  if (value === undefined)
    error('missing-key', below(path, key), `"${key}" is missing`, `Add "${key}", a list.`);
  else
    error(
      'wrong-type',
      below(path, key),
      `"${key}" must be a list, and this is ${kindOf(value)}`,
      'Write a list.',
    );
  return null;
}

/** Tells of every key that is not one of those allowed. */
export function checkKeys(
  object: JsonObject,
  allowed: readonly string[],
  path: string,
  report: Report,
  { severity, message }: Pick<Problem, 'severity' | 'message'>,
): void {
  for (const key of Object.keys(object)) {
    if (allowed.includes(key)) continue;
    report({
      rule: 'extra-key',
      path: below(path, key),
      severity,
      message: `${message}: ${shown(key)}`,
      fix: `Remove the key; known are ${allowed.join(', ')}.`,
    });
  }
}

export interface TextOptions {
  /** How bad a text is that is empty or only white space. Default: error, although no checker finds white space. */
  readonly empty?: Problem['severity'];
  /** What the reader does about an empty or missing text, as a sentence without its full stop. */
  readonly consequence: string;
}

/** The text under a key, or null after telling that there is none. */
export function textAt(
  object: JsonObject,
  key: string,
  path: string,
  report: Report,
  options: TextOptions,
): string | null {
  const { empty = 'error', consequence } = options;
  const value = object[key];
  const where = below(path, key);
  const tell = (rule: string, severity: Problem['severity'], what: string, fix: string): void =>
    report({ rule, path: where, severity, message: `${consequence}: ${what}`, fix });
  if (typeof value === 'string') {
    if (value.trim() === '')
      tell(
        'empty-content',
        empty,
        'a text is empty or only white space',
        'Add the text, or remove the message.',
      );
    return value;
  }
  if (value === undefined || value === null)
    tell('missing-content', 'error', 'there is no text', `Give "${key}" a text.`);
  else tell('wrong-type', 'error', `the text is ${kindOf(value)}`, 'Write a string.');
  return null;
}

/** Tells of the first mark that the text holds. */
export function checkReserved(
  text: string,
  marks: readonly string[],
  path: string,
  report: Report,
  { severity, message }: Pick<Problem, 'severity' | 'message'>,
): void {
  const mark = marks.find((candidate) => text.includes(candidate));
  if (mark === undefined) return;
  report({
    rule: 'reserved-text',
    path,
    severity,
    message: `${message}: ${JSON.stringify(mark)}`,
    fix: 'Reword the text, or remove the row.',
  });
}

/** The kind of a JSON value, in words. */
export function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (value === undefined) return 'missing';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'an object';
  return `a ${typeof value}`;
}

function named(path: string): string {
  return path === '' ? 'a row' : path;
}
