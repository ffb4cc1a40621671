import type { ByteWriter } from '../bytes/byte-writer.js';
import { Text } from '../bytes/text.js';
import { splitAtLastAnswer } from './last-answer.js';
import { TEMPLATE_MARKS } from './reserved-text.js';
import { isObject, problems } from './row-checks.js';
import { below, shown } from './row-path.js';
import type { Example, Message, Report, Target } from './target.js';

const PROMPT = Buffer.from('{"prompt":');
const COMPLETION = Buffer.from(',"completion":');
const END = Buffer.from('}\n');
const BLANK_LINE = Buffer.from('\n\n');
const USER = Buffer.from('User: ');
const ASSISTANT = Buffer.from('Assistant: ');
const CUE = Buffer.from('Assistant:');

/** Rows of two strings, one question and one answer. */
export const promptCompletion: Target = {
  summary: 'prompt and completion as plain strings',
  asOf: '2026-11',
  sources: [
    'togethercomputer/together-python, src/together/utils/files.py',
    'docs.aws.amazon.com/bedrock/latest/userguide/preparing-text-data.html (Llama 3.1)',
  ],
  shapes: {
    'prompt-completion': { write, check, texts: { keys: ['prompt', 'completion'], marks: TEMPLATE_MARKS } },
  },
  limits: {},
  reserved: TEMPLATE_MARKS,
  advice: () =>
    'Of a conversation with several answers the last is the completion, and the prompt holds the others as a transcript.',
};

function write({ system, messages }: Example, out: ByteWriter): void {
  const { before, answer } = splitAtLastAnswer(messages);
  out.bytes(PROMPT);
  out.jsonString(promptOf(system, before));
  out.bytes(COMPLETION);
  out.jsonString(answer.content);
  out.bytes(END);
}

/** The question alone, or a transcript that ends where the answer begins; the system prompt stands before both. */
function promptOf(system: Text | null, messages: readonly Message[]): Text {
  const [question] = messages;
  if (system === null && messages.length === 1 && question !== undefined) return question.content;
  const pieces: Buffer[] = [];
  if (system !== null) pieces.push(system.bytes(), BLANK_LINE);
  if (messages.length === 1 && question !== undefined) pieces.push(question.content.bytes());
  else {
    for (const { role, content } of messages) {
      pieces.push(role === 'user' ? USER : ASSISTANT, content.bytes(), BLANK_LINE);
    }
    pieces.push(CUE);
  }
  return new Text(Buffer.concat(pieces));
}

function check(row: unknown, report: Report): void {
  const { error, warning } = problems(report);
  if (!isObject(row)) {
    error('not-an-object', '', 'readers expect every line to be a JSON object', 'Write one object per line.');
    return;
  }
  for (const key of Object.keys(row)) {
    if (key === 'prompt' || key === 'completion') continue;
    error(
      'extra-key',
      below('', key),
      `readers refuse the key ${shown(key)} beside prompt and completion`,
      'Remove the key.',
    );
  }
  for (const key of ['prompt', 'completion']) {
    const value = row[key];
    if (value === undefined)
      error('missing-key', key, `readers find no ${key}`, 'Write both prompt and completion.');
    else if (typeof value !== 'string') {
      error('wrong-type', key, `readers expect ${key} to be a string`, 'Write the text as one string.');
    } else if (value === '') {
      error('empty-content', key, `readers refuse an empty ${key}`, 'Add the text, or remove the row.');
    } else if (value.trim() === '') {
      warning('empty-content', key, `the ${key} is only white space`, 'Add the text, or remove the row.');
    } else {
      const mark = TEMPLATE_MARKS.find((found) => value.includes(found));
      if (mark === undefined) continue;
      warning(
        'reserved-text',
        key,
        `readers may read the text ${JSON.stringify(mark)} as a mark of their own`,
        'Reword the text, or remove the row.',
      );
    }
  }
}
