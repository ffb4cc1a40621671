import type { ByteWriter } from '../bytes/byte-writer.js';
import { Text } from '../bytes/text.js';
import { checkKeys, checkReserved, kindOf, objectAt } from './dialogue-checks.js';
import { TEMPLATE_MARKS } from './reserved-text.js';
import { problems, type JsonObject } from './row-checks.js';
import type { Example, Message, Report, RowShape, Target } from './target.js';

const INSTRUCTION = Buffer.from('{"instruction":');
const OUTPUT = Buffer.from(',"input":"","output":');
const SYSTEM = Buffer.from(',"system":');
const HISTORY = Buffer.from(',"history":[');
const OPEN_PAIR = Buffer.from('[');
const CLOSE_PAIR = Buffer.from(']');
const COMMA = Buffer.from(',');
const END = Buffer.from(']}\n');
const NOTHING = Text.of('');
const BLANK_LINE = Buffer.from('\n\n');

const RESERVED = {
  severity: 'warning',
  message: 'chat templates read a part of the text as a mark of their own',
} as const;

const COLUMNS = ['instruction', 'input', 'output', 'system', 'history'] as const;

/**
 * The last question and its answer, with what came before as `history`. Every column stands in every row, since
 * loaders take the columns from the first rows.
 */
export const alpacaShape: RowShape = { write, check, texts: { keys: COLUMNS, marks: TEMPLATE_MARKS } };

/** Alpaca: one instruction and one output. */
export const alpaca: Target = {
  summary: 'Alpaca rows: instruction, output and history',
  asOf: '2026-11',
  sources: ['hiyouga/LLaMA-Factory, data/README.md and src/llamafactory/data/converter.py'],
  shapes: { history: alpacaShape },
  throughDatasets: true,
  limits: {},
  reserved: TEMPLATE_MARKS,
  advice: () =>
    'Of a conversation of several turns the last answer is the output; trainers learn those in history too.',
};

function write({ system, messages }: Example, out: ByteWriter): void {
  const pairs = pairsOf(messages);
  const last = pairs.pop();
  out.bytes(INSTRUCTION);
  out.jsonString(joined(last?.questions));
  out.bytes(OUTPUT);
  out.jsonString(joined(last?.answers));
  out.bytes(SYSTEM);
  out.jsonString(system ?? NOTHING);
  out.bytes(HISTORY);
  for (const [index, { questions, answers }] of pairs.entries()) {
    if (index > 0) out.bytes(COMMA);
    out.bytes(OPEN_PAIR);
    out.jsonString(joined(questions));
    out.bytes(COMMA);
    out.jsonString(joined(answers));
    out.bytes(CLOSE_PAIR);
  }
  out.bytes(END);
}

interface Pair {
  readonly questions: Text[];
  readonly answers: Text[];
}

/** Question and answer in turn; there is one of each unless the user kept a wrong order. What tools say is text here. */
function pairsOf(messages: readonly Message[]): Pair[] {
  const pairs: Pair[] = [];
  for (const { role, content } of messages) {
    const asks = role === 'user' || role === 'tool';
    let pair = pairs.at(-1);
    if (pair === undefined || (asks && pair.answers.length > 0)) {
      pair = { questions: [], answers: [] };
      pairs.push(pair);
    }
    (asks ? pair.questions : pair.answers).push(content);
  }
  return pairs;
}

function joined(texts: readonly Text[] = []): Text {
  const [first = NOTHING, ...more] = texts;
  if (more.length === 0) return first;
  return new Text(Buffer.concat([first.bytes(), ...more.flatMap((text) => [BLANK_LINE, text.bytes()])]));
}

function check(row: unknown, report: Report): void {
  const object = objectAt(row, '', report);
  if (object === null) return;
  checkKeys(object, COLUMNS, '', report, {
    severity: 'warning',
    message: 'trainers ignore the column, and stop when its type changes after 10 MiB',
  });
  const { error } = problems(report);
  const instruction = columnText(object, 'instruction', true, report);
  const input = columnText(object, 'input', false, report);
  if (instruction?.trim() === '' && (input ?? '').trim() === '') {
    error(
      'empty-content',
      'instruction',
      'trainers learn an answer to nothing',
      'Write the question, or remove the row.',
    );
  }
  const output = columnText(object, 'output', true, report);
  if (output?.trim() === '')
    error('empty-content', 'output', 'there is no answer to learn', 'Write the answer, or remove the row.');
  columnText(object, 'system', false, report);
  checkHistory(object['history'], report);
}

function columnText(
  object: JsonObject,
  key: (typeof COLUMNS)[number],
  required: boolean,
  report: Report,
): string | null {
  const value = object[key];
  if (typeof value === 'string') {
    checkReserved(value, TEMPLATE_MARKS, key, report, RESERVED);
    return value;
  }
  const { error } = problems(report);
  if (value !== undefined && value !== null) {
    error('wrong-type', key, `trainers read text here, and this is ${kindOf(value)}`, 'Write a string.');
  } else if (required) {
    error('missing-key', key, `trainers stop without "${key}"`, `Add "${key}".`);
  }
  return null;
}

function checkHistory(history: unknown, report: Report): void {
  if (history === undefined || history === null) return;
  const { error, warning } = problems(report);
  if (!Array.isArray(history)) {
    error(
      'wrong-type',
      'history',
      `trainers read a list of pairs here, and this is ${kindOf(history)}`,
      'Write [["question","answer"]].',
    );
    return;
  }
  for (const [index, pair] of history.entries()) {
    const path = `history[${index}]`;
    if (!Array.isArray(pair) || pair.length !== 2 || pair.some((text) => typeof text !== 'string')) {
      error(
        'wrong-type',
        path,
        'trainers stop: an entry is a pair of a question and an answer',
        'Write ["question","answer"].',
      );
    } else if (pair.some((text) => (text as string).trim() === '')) {
      warning(
        'empty-content',
        path,
        'trainers learn an exchange of which one side says nothing',
        'Remove the pair.',
      );
    }
  }
}
