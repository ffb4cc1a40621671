import type { CanonicalRole, MessagesRules, Tell } from './messages-rules.js';
import { isObject, type JsonObject } from './row-checks.js';
import { below } from './row-path.js';

/** How the content of a message was given. */
export type ContentKind = 'text' | 'parts' | 'none';

const TEXT_ONLY = ['text'];
const PART_TYPES: Readonly<Record<CanonicalRole, readonly string[] | null>> = {
  system: TEXT_ONLY,
  tool: TEXT_ONLY,
  assistant: ['text', 'refusal'],
  // Images, sound and files: the reader knows which.
  user: null,
};

/** Checks that a message has the content that its role needs, and what stands in it. */
export function checkContent(
  message: JsonObject,
  role: CanonicalRole,
  path: string,
  rules: MessagesRules,
  tell: Tell,
): ContentKind {
  const { textKeys = ['content'], reader, parts = 'allowed' } = rules;
  const [standardKey = 'content'] = textKeys;
  const key = textKeys.find((name) => Object.hasOwn(message, name)) ?? standardKey;
  const at = below(path, key);
  const value = message[key];
  const calls = isCalling(message) ? rules.tools?.content : undefined;
  if (value === undefined || value === null) {
    if (isReplaced(message, role, calls, rules)) return 'none';
    tell('missing-content', {
      path: at,
      message: `${reader} finds no content in a message of role ${role}`,
      fix:
        calls === undefined
          ? 'Add the text, or remove the message.'
          : 'Write "content":"" beside tool_calls.',
      detail: role,
    });
    return 'none';
  }
  if (typeof value === 'string') {
    checkText(value, { at, role, calls }, rules, tell);
    return 'text';
  }
  if (Array.isArray(value) && parts !== 'refused') {
    checkParts(value, { at, role, calls }, rules, tell);
    return 'parts';
  }
  tell('wrong-type', {
    path: at,
    message: `${reader} expects content to be a string`,
    fix: 'Write the text as one string.',
  });
  return 'none';
}

/** Whether the message calls a tool, in today's way or in the deprecated one. */
export function isCalling({ tool_calls: calls, function_call: call }: JsonObject): boolean {
  return (calls !== undefined && calls !== null) || isObject(call);
}

type BesideCalls = NonNullable<MessagesRules['tools']>['content'] | undefined;

function isReplaced(
  message: JsonObject,
  role: CanonicalRole,
  calls: BesideCalls,
  rules: MessagesRules,
): boolean {
  // The deprecated role `function` may answer with nothing.
  if (message['role'] === 'function') return message['content'] === null;
  if (role !== 'assistant') return false;
  if (calls === 'optional' || calls === 'empty') return true;
  return rules.refusals === true && typeof message['refusal'] === 'string';
}

interface Where {
  readonly at: string;
  readonly role: CanonicalRole;
  readonly calls: BesideCalls;
}

function checkText(text: string, { at, role, calls }: Where, rules: MessagesRules, tell: Tell): void {
  const { reader, reserved = [] } = rules;
  if (text.trim() === '') {
    if (calls !== undefined && calls !== 'filled') return;
    const rule = role === 'assistant' ? 'empty-answer' : 'empty-content';
    tell(text === '' ? rule : 'blank-content', {
      path: at,
      message: `${reader} finds no text in a message of role ${role}${text === '' ? '' : ', only white space'}`,
      fix:
        role === 'assistant' ? 'Add the answer, or remove the row.' : 'Add the text, or remove the message.',
      detail: role,
    });
  } else if (calls === 'empty') {
    tell('tool-call', {
      path: at,
      message: `${reader} refuses a message with both content and tool_calls`,
      fix: 'Empty the content, or put it in a message of its own.',
    });
  }
  const mark = reserved.find((found) => text.includes(found));
  if (mark !== undefined) {
    tell('reserved-text', {
      path: at,
      message: `${reader} may read the text ${JSON.stringify(mark)} as a mark of its own`,
      fix: 'Reword the text, or remove the row.',
      detail: mark,
    });
  }
}

function checkParts(parts: readonly unknown[], where: Where, rules: MessagesRules, tell: Tell): void {
  const { at, role } = where;
  const { reader } = rules;
  if (parts.length === 0) checkText('', where, rules, tell);
  for (const [index, part] of parts.entries()) {
    const path = below(at, index);
    const type = isObject(part) ? part['type'] : undefined;
    const allowed = PART_TYPES[role];
    if (!isObject(part) || typeof type !== 'string' || (allowed !== null && !allowed.includes(type))) {
      tell('wrong-type', {
        path,
        message: `${reader} expects a part of a message of role ${role} to be {"type":"text","text":…}`,
        fix: 'Write the text as one string.',
      });
    } else if (type === 'text' || type === 'refusal') {
      const text = part[type];
      if (typeof text === 'string') {
        checkText(text, { ...where, at: below(path, type) }, rules, tell);
      } else {
        tell('wrong-type', {
          path: below(path, type),
          message: `${reader} expects ${type} to be a string`,
          fix: 'Write the text as one string.',
        });
      }
    }
  }
}
