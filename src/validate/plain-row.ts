import { ROLES } from '../conversation.js';
import { isObject, problems, type JsonObject } from '../targets/row-checks.js';
import type { Report } from '../targets/target.js';

const KEYS = ['messages', 'metadata'];
const MESSAGE_KEYS = ['role', 'content'];
/** Keys by which rows of other shapes are known, and the target to check them against. */
const OTHER_SHAPES: readonly (readonly [key: string, target: string])[] = [
  ['conversations', 'sharegpt'],
  ['contents', 'gemini'],
  ['instruction', 'alpaca'],
  ['preferred_output', 'openai-dpo'],
  ['chosen', 'trl'],
  ['completion', 'prompt-completion'],
];

/** Checks a row of a file without a target: `{"messages":[…],"metadata":{…}}`, as the export writes it. */
export function checkPlainRow(row: unknown, report: Report): void {
  const { error, warning } = problems(report);
  if (!isObject(row)) {
    error(
      'not-an-object',
      '',
      'the line is not an object',
      'Write one object per line, such as {"messages":[…]}.',
    );
    return;
  }
  for (const key of Object.keys(row)) {
    if (KEYS.includes(key)) continue;
    warning(
      'extra-key',
      key,
      'several services refuse a row with another key than messages',
      'Remove the key, or move it below metadata.',
    );
  }
  if ('metadata' in row && !isObject(row['metadata'])) {
    error('wrong-type', 'metadata', 'metadata is not an object', 'Write an object, or leave the key out.');
  }
  const { messages } = row;
  if (messages === undefined) {
    const other = OTHER_SHAPES.find(([key]) => key in row)?.[1];
    const fix =
      other === undefined
        ? 'Put the conversation below messages.'
        : `Check rows of this shape with --target ${other}.`;
    error('missing-key', 'messages', 'the row has no messages', fix);
  } else if (!Array.isArray(messages)) {
    error('wrong-type', 'messages', 'messages is not a list', 'Write a list of {"role","content"} objects.');
  } else if (messages.length === 0) {
    error('empty-messages', 'messages', 'messages is empty: there is nothing to learn', 'Leave the row out.');
  } else {
    checkMessages(messages, report);
  }
}

function checkMessages(messages: readonly unknown[], report: Report): void {
  const { error, warning } = problems(report);
  const seen = new Set<unknown>();
  let previous: unknown;
  messages.forEach((message, index) => {
    const path = `messages[${index}]`;
    if (!isObject(message)) {
      error('wrong-type', path, 'the message is not an object', 'Write {"role":…,"content":…}.');
      previous = undefined;
      return;
    }
    const { role } = message;
    checkMessage(message, path, report);
    if (role === 'assistant' && !seen.has('user') && !seen.has('assistant')) {
      warning(
        'starts-with-assistant',
        path,
        'the assistant speaks first: several services and templates refuse that',
        'Start with a user message.',
      );
    }
    if (role === 'system' && (seen.has('user') || seen.has('assistant'))) {
      error(
        'late-system',
        path,
        'a system message stands after the start',
        'Move it to the front, or leave it out.',
      );
    }
    if (typeof role === 'string' && role === previous) {
      warning(
        'equal-neighbours',
        path,
        `two ${role} messages stand in a row: several services and templates refuse that`,
        'Join them.',
      );
    }
    seen.add(role);
    previous = role;
  });
  if (!seen.has('assistant'))
    error(
      'no-assistant',
      'messages',
      'no message is from the assistant: there is nothing to learn',
      'Leave the row out.',
    );
  if (!seen.has('user'))
    error('no-user', 'messages', 'no message is from the user', 'Add the question, or leave the row out.');
  if (previous === 'user') {
    warning(
      'ends-with-user',
      `messages[${messages.length - 1}]`,
      'the last message is from the user: several services refuse that',
      'End with the answer of the assistant.',
    );
  }
}

function checkMessage(message: JsonObject, path: string, report: Report): void {
  const { error, warning } = problems(report);
  const { role, content } = message;
  if (role === undefined) error('missing-key', `${path}.role`, 'the message has no role', 'Add the role.');
  else if (!(ROLES as readonly unknown[]).includes(role)) {
    error(
      'unknown-role',
      `${path}.role`,
      'the role is not one of system, user, assistant',
      'Use one of them, or name the target that knows this role with --target.',
    );
  }
  if (content === undefined || content === null) {
    error(
      'missing-content',
      `${path}.content`,
      'the message has no content',
      'Add the text, or leave the message out.',
    );
  } else if (typeof content !== 'string') {
    error('wrong-type', `${path}.content`, 'the content is not a text', 'Write the text as a string.');
  } else if (content.trim() === '') {
    error('empty-content', `${path}.content`, 'the content is blank', 'Leave the message out, or the row.');
  }
  for (const key of Object.keys(message)) {
    if (MESSAGE_KEYS.includes(key)) continue;
    warning(
      'extra-key',
      `${path}.${key}`,
      'several services refuse a message with another key than role and content',
      'Remove the key, or name the target that knows it with --target.',
    );
  }
}
