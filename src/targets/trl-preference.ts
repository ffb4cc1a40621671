import type { ByteWriter } from '../bytes/byte-writer.js';
import { checkKeys, kindOf, listAt, objectAt, textAt } from './dialogue-checks.js';
import { teller, type MessagesRules } from './messages-rules.js';
import { checkPrompt } from './prompt-checks.js';
import { TEMPLATE_MARKS } from './reserved-text.js';
import { problems, type JsonObject } from './row-checks.js';
import type { Preference, Report, RowShape } from './target.js';
import { checkSchemas } from './tool-checks.js';
import { writeTrlMessages, writeTrlTools } from './trl-messages.js';

const OPEN = Buffer.from('{"prompt":[');
const CHOSEN = Buffer.from('],"chosen":[{"role":"assistant","content":');
const REJECTED = Buffer.from('}],"rejected":[{"role":"assistant","content":');
const END_ANSWERS = Buffer.from('}]');
const END = Buffer.from('}\n');

const ANSWERS = ['chosen', 'rejected'] as const;
const REFUSED = 'TRL or the chat template stops';
const PROMPT_RULES: MessagesRules = {
  reader: 'TRL',
  weight: 'unread',
  reserved: TEMPLATE_MARKS,
  tools: {
    id: null,
    name: /./,
    arguments: 'object',
    content: 'present',
    schema: ['name'],
    schemasAsText: true,
  },
  verdicts: {
    weight: 'warning',
    'empty-content': 'warning',
    'empty-answer': 'warning',
    'reserved-text': 'warning',
  },
};

/** Preference rows of TRL, of messages: a prompt, the answer chosen and the one rejected. */
export const trlPreference: RowShape<Preference> = { write, check };

function write({ prompt, chosen, rejected }: Preference, out: ByteWriter): void {
  out.bytes(OPEN);
  writeTrlMessages(prompt, out);
  out.bytes(CHOSEN);
  out.jsonString(chosen);
  out.bytes(REJECTED);
  out.jsonString(rejected);
  out.bytes(END_ANSWERS);
  writeTrlTools(prompt.tools, out);
  out.bytes(END);
}

function check(row: unknown, report: Report): void {
  const object = objectAt(row, '', report);
  if (object === null) return;
  checkKeys(object, ['prompt', ...ANSWERS, 'tools'], '', report, {
    severity: 'warning',
    message: 'TRL ignores the column, and loading stops when its type changes after 10 MiB',
  });
  if (isPlain(object)) checkPlain(object, report);
  else checkConversational(object, report);
  const { tools } = object;
  if (tools !== undefined && tools !== null)
    checkSchemas(tools, 'tools', PROMPT_RULES, teller(PROMPT_RULES, report));
}

/** Texts in place of messages: the shape for models without a chat template. */
function isPlain(object: JsonObject): boolean {
  return typeof object['chosen'] === 'string';
}

function checkPlain(object: JsonObject, report: Report): void {
  for (const key of ['prompt', ...ANSWERS]) {
    const { error } = problems(report);
    const value = object[key];
    if (value === undefined) error('missing-key', key, `TRL finds no "${key}"`, `Add "${key}".`);
    else if (typeof value !== 'string')
      error(
        'wrong-type',
        key,
        `the chosen answer is text, and this is ${kindOf(value)}`,
        'Write all three as text, or all as messages.',
      );
  }
  if (object['chosen'] === object['rejected']) reportIdentical(report);
}

function checkConversational(object: JsonObject, report: Report): void {
  checkPrompt(object, 'prompt', '', report, PROMPT_RULES);
  const [chosen, rejected] = ANSWERS.map((key) => checkAnswer(object, key, report));
  if (chosen !== null && chosen === rejected) reportIdentical(report);
}

/** The text of the answer, or null where it has none. */
function checkAnswer(object: JsonObject, key: (typeof ANSWERS)[number], report: Report): string | null {
  const messages = listAt(object, key, '', report);
  if (messages === null) return null;
  const { error } = problems(report);
  if (messages.length !== 1) {
    error('wrong-count', key, 'an answer is exactly one message', 'Keep the one message of the assistant.');
    return null;
  }
  const path = `${key}[0]`;
  const message = objectAt(messages[0], path, report);
  if (message === null) return null;
  if (message['role'] !== 'assistant') {
    error('unknown-role', `${path}.role`, "an answer is the assistant's", 'Write "role":"assistant".');
  }
  return textAt(message, 'content', path, report, { consequence: REFUSED, empty: 'warning' });
}

function reportIdentical(report: Report): void {
  problems(report).warning(
    'identical-outputs',
    '',
    'both answers are the same, so the row teaches nothing',
    'Remove the row.',
  );
}
