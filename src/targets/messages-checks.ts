import { checkContent, isCalling, type ContentKind } from './content-checks.js';
import { parseJson } from './json-text.js';
import { teller, type CanonicalRole, type MessagesRules, type Tell } from './messages-rules.js';
import { checkOrder, type Place } from './order-checks.js';
import { isObject, type JsonObject } from './row-checks.js';
import { below, shown } from './row-path.js';
import type { Report } from './target.js';
import { checkAnswer, checkCalls, checkSchemas } from './tool-checks.js';

const ROLES: ReadonlyMap<string, CanonicalRole> = new Map([
  ['system', 'system'],
  ['user', 'user'],
  ['assistant', 'assistant'],
]);

const ROLES_WITH_TOOLS: ReadonlyMap<string, CanonicalRole> = new Map([...ROLES, ['tool', 'tool']]);

/** Checks a row `{"messages":[…]}` as the reader that `rules` describe; it never throws, whatever the row is. */
export function checkMessagesRow(row: unknown, report: Report, rules: MessagesRules): void {
  const tell = teller(rules, report);
  if (!isObject(row)) {
    tell('not-an-object', {
      path: '',
      message: `${rules.reader} expects every line to be a JSON object`,
      fix: 'Write one object per line.',
    });
    return;
  }
  const { listKeys = ['messages'], extraKeys = [] } = rules;
  checkKeys(row, [...listKeys, ...extraKeys], rules, tell);
  const key = listKeys.find((name) => Object.hasOwn(row, name));
  if (key === undefined) {
    tell('missing-key', {
      path: listKeys[0] ?? '',
      message: `${rules.reader} finds no ${listKeys.join(' or ')}`,
      fix: `Write the conversation as "${listKeys[0]}":[…].`,
    });
  } else {
    const places = checkMessages(row[key], key, rules, tell);
    checkOrder(places, key, rules, tell);
  }
  if (row['tools'] !== undefined) checkSchemas(row['tools'], 'tools', rules, tell);
}

/** Tells of every key of the row that is not among `known`. */
export function checkKeys(
  row: JsonObject,
  known: readonly string[],
  { reader }: MessagesRules,
  tell: Tell,
): void {
  for (const key of Object.keys(row)) {
    if (known.includes(key)) continue;
    tell('extra-key', {
      path: below('', key),
      message: `${reader} refuses the key ${shown(key)}`,
      fix: 'Remove the key.',
      detail: shown(key),
    });
  }
}

/** Checks each message of a list by itself and returns what its order is judged by; see {@link checkOrder}. */
export function checkMessages(given: unknown, path: string, rules: MessagesRules, tell: Tell): Place[] {
  const list = rules.listAsText === true && typeof given === 'string' ? parseJson(given) : given;
  if (!Array.isArray(list)) {
    tell('wrong-type', {
      path,
      message: `${rules.reader} expects ${path} to be an array`,
      fix: 'Write the messages as an array of objects.',
    });
    return [];
  }
  if (list.length === 0) {
    tell('empty-messages', {
      path,
      message: `${rules.reader} refuses a row without messages`,
      fix: 'Remove the row.',
    });
    return [];
  }
  const places: Place[] = [];
  const kinds: ContentKind[] = [];
  for (const [index, message] of list.entries()) {
    const at = below(path, index);
    const { kind, place } = checkMessage(message, at, rules, tell);
    places.push(place);
    kinds.push(kind);
  }
  if (rules.parts === 'all-or-none') checkKinds(kinds, path, rules, tell);
  checkTrained(list, path, rules, tell);
  return places;
}

function checkMessage(
  message: unknown,
  path: string,
  rules: MessagesRules,
  tell: Tell,
): { kind: ContentKind; place: Place } {
  const unreadable: Place = { path, role: null, calls: [], answers: null };
  if (!isObject(message)) {
    tell('not-an-object', {
      path,
      message: `${rules.reader} expects a message to be an object`,
      fix: 'Write {"role":…,"content":…}.',
    });
    return { kind: 'none', place: unreadable };
  }
  const role = roleOf(message, path, rules, tell);
  checkMessageKeys(message, path, rules, tell);
  if (role === null) return { kind: 'none', place: unreadable };
  checkWeight(message, role, path, rules, tell);
  const kind = checkContent(message, role, path, rules, tell);
  let calls: (string | null)[] = [];
  const { tool_calls: called } = message;
  if (called !== undefined && called !== null) {
    const at = below(path, 'tool_calls');
    if (role === 'assistant') calls = checkCalls(called, at, rules, tell);
    else {
      tell('tool-call', {
        path: at,
        message: `${rules.reader} expects tool_calls on assistant messages alone`,
        fix: 'Remove tool_calls.',
      });
    }
  } else if (isCalling(message)) calls = [null];
  const answers = role === 'tool' ? checkAnswer(message, path, rules, tell) : null;
  return { kind, place: { path, role, calls, answers } };
}

function roleOf(message: JsonObject, path: string, rules: MessagesRules, tell: Tell): CanonicalRole | null {
  const { role } = message;
  const at = below(path, 'role');
  if (typeof role !== 'string') {
    tell(role === undefined ? 'missing-key' : 'wrong-type', {
      path: at,
      message: `${rules.reader} expects every message to have a role, a string`,
      fix: 'Write "role":"user" or "role":"assistant".',
    });
    return null;
  }
  const roles = rules.roles ?? (rules.tools === undefined ? ROLES : ROLES_WITH_TOOLS);
  const known = roles.get(role);
  if (known !== undefined) return known;
  tell('unknown-role', {
    path: at,
    message: `${rules.reader} does not know the role ${shown(role)}; it knows ${[...roles.keys()].join(', ')}`,
    fix: 'Write the role as one of these, in lower case.',
    detail: shown(role),
  });
  return null;
}

function checkMessageKeys(message: JsonObject, path: string, rules: MessagesRules, tell: Tell): void {
  if (rules.messageKeys === undefined) return;
  for (const key of Object.keys(message)) {
    if (rules.messageKeys.includes(key)) continue;
    tell('extra-message-key', {
      path: below(path, key),
      message: `${rules.reader} does not know the key ${shown(key)} of a message`,
      fix: 'Remove the key.',
      detail: shown(key),
    });
  }
}

function checkWeight(
  message: JsonObject,
  role: CanonicalRole,
  path: string,
  { weight: meaning = 'answers', reader }: MessagesRules,
  tell: Tell,
): void {
  const { weight } = message;
  if (weight === undefined) return;
  const refuse = (message: string, fix: string): void =>
    tell('weight', { path: below(path, 'weight'), message: `${reader} ${message}`, fix });
  if (meaning === 'unread')
    refuse('does not read weight: the message is trained all the same', 'Remove weight.');
  else if (meaning === 'answers' && role !== 'assistant') {
    refuse('takes weight on assistant messages alone', 'Remove weight.');
  } else if (weight !== 0 && weight !== 1) refuse('expects weight to be the integer 0 or 1', 'Write 0 or 1.');
}

/** A row of which no answer counts is paid for and teaches nothing. */
function checkTrained(list: readonly unknown[], path: string, rules: MessagesRules, tell: Tell): void {
  if (rules.weight === 'unread') return;
  const answers = list.filter(
    (message) => isObject(message) && message['role'] === 'assistant',
  ) as JsonObject[];
  if (answers.length === 0 || answers.some(({ weight }) => weight !== 0)) return;
  tell('nothing-trained', {
    path,
    message: `${rules.reader} trains no message of the row: every answer has weight 0`,
    fix: 'Give an answer weight 1, or remove the row.',
  });
}

function checkKinds(
  kinds: readonly ContentKind[],
  path: string,
  { reader }: MessagesRules,
  tell: Tell,
): void {
  const given = kinds.filter((kind) => kind !== 'none');
  const odd = kinds.findIndex((kind) => kind !== 'none' && kind !== given[0]);
  if (odd < 0) return;
  tell('wrong-type', {
    path: below(below(path, odd), 'content'),
    message: `${reader} expects the content of all messages of a row to be strings, or of all to be parts`,
    fix: 'Write all content as strings.',
  });
}
