import type { ByteWriter } from '../bytes/byte-writer.js';
import type { Text } from '../bytes/text.js';
import { checkKeys, checkOrder, kindOf, listAt, objectAt, textAt, type Side } from './dialogue-checks.js';
import { isObject, problems, type JsonObject } from './row-checks.js';
import type { Example, Preference, Report, Target } from './target.js';

const OPEN = Buffer.from('{');
const SYSTEM = Buffer.from('"systemInstruction":{"parts":[{"text":');
const END_SYSTEM = Buffer.from('}]},');
const CONTENTS = Buffer.from('"contents":[');
const USER = Buffer.from('{"role":"user","parts":[{"text":');
const MODEL = Buffer.from('{"role":"model","parts":[{"text":');
const END_CONTENT = Buffer.from('}]}');
const COMMA = Buffer.from(',');
const END = Buffer.from(']}\n');
const CHOSEN = Buffer.from('],"completions":[{"score":1.0,"completion":');
const REJECTED = Buffer.from('},{"score":0.0,"completion":');
const END_COMPLETIONS = Buffer.from('}]}\n');

const REFUSED = 'Vertex refuses the row';
const SYSTEM_KEYS = ['parts', 'role'];
/** What a part can hold instead of text; the insides of these are not looked at. */
const OTHER_PARTS = ['inlineData', 'fileData', 'functionCall', 'functionResponse'];

/** Gemini on Vertex AI: `contents` of `parts`, the assistant is called `model`. */
export const gemini: Target = {
  summary: 'Gemini on Vertex AI',
  asOf: '2026-11',
  sources: [
    'cloud.google.com/vertex-ai/generative-ai/docs/models/gemini-supervised-tuning-prepare',
    'cloud.google.com/vertex-ai/generative-ai/docs/models/gemini-supervised-tuning',
    'googleapis/python-genai, google/genai/types.py',
  ],
  shapes: { contents: { write, check, texts: { keys: ['text'], marks: [] } } },
  preferences: { preference: { write: writePreference, check: checkPreference } },
  // Of Gemini 2.5 Flash; the service drops longer rows and tells of it only in the statistics of the job.
  limits: { maxRows: 1_000_000, maxBytes: 1024 ** 3, maxTokens: 131_072 },
};

function write(example: Example, out: ByteWriter): void {
  writeOpening(example, out);
  out.bytes(END);
}

function writePreference({ prompt, chosen, rejected }: Preference, out: ByteWriter): void {
  writeOpening(prompt, out);
  out.bytes(CHOSEN);
  writeContent(MODEL, chosen, out);
  out.bytes(REJECTED);
  writeContent(MODEL, rejected, out);
  out.bytes(END_COMPLETIONS);
}

function writeOpening({ system, messages }: Example, out: ByteWriter): void {
  out.bytes(OPEN);
  if (system !== null) {
    out.bytes(SYSTEM);
    out.jsonString(system);
    out.bytes(END_SYSTEM);
  }
  out.bytes(CONTENTS);
  for (const [index, { role, content }] of messages.entries()) {
    if (index > 0) out.bytes(COMMA);
    writeContent(role === 'user' ? USER : MODEL, content, out);
  }
}

function writeContent(head: Buffer, content: Text, out: ByteWriter): void {
  out.bytes(head);
  out.jsonString(content);
  out.bytes(END_CONTENT);
}

function check(row: unknown, report: Report): void {
  const object = objectAt(row, '', report);
  if (object !== null) checkOpening(object, ['systemInstruction', 'contents'], 'assistant', report);
}

function checkPreference(row: unknown, report: Report): void {
  const object = objectAt(row, '', report);
  if (object === null) return;
  checkOpening(object, ['systemInstruction', 'contents', 'completions'], 'user', report);
  const completions = listAt(object, 'completions', '', report);
  if (completions === null) return;
  const { error, warning } = problems(report);
  if (completions.length !== 2) {
    error(
      'wrong-count',
      'completions',
      `${REFUSED}: two answers are compared`,
      'Give exactly two completions.',
    );
  }
  const scores = completions.map((completion, index) =>
    checkCompletion(completion, `completions[${index}]`, report),
  );
  if (completions.length === 2 && scores[0] !== null && scores[0] === scores[1]) {
    warning(
      'equal-scores',
      'completions',
      'both answers have the same score, so nothing is preferred',
      'Score the better one 1.0, the other 0.0.',
    );
  }
}

/** The score, or null when there is none. */
function checkCompletion(value: unknown, path: string, report: Report): number | null {
  const object = objectAt(value, path, report);
  if (object === null) return null;
  const { error } = problems(report);
  checkKeys(object, ['score', 'completion'], path, report, {
    severity: 'error',
    message: `${REFUSED}: unknown keys are forbidden`,
  });
  const { score, completion } = object;
  if (typeof score !== 'number') {
    const rule = score === undefined ? 'missing-key' : 'wrong-type';
    error(
      rule,
      `${path}.score`,
      `${REFUSED}: a score is a number`,
      'Write 1.0 for the better answer and 0.0 for the other.',
    );
  }
  if (completion === undefined) {
    error(
      'missing-key',
      `${path}.completion`,
      `${REFUSED}: the answer is missing`,
      'Add "completion", with role and parts.',
    );
  } else if (checkContent(completion, `${path}.completion`, report).side === 'user') {
    error(
      'unknown-role',
      `${path}.completion.role`,
      `${REFUSED}: the answer is the model's`,
      'Write "role":"model".',
    );
  }
  return typeof score === 'number' ? score : null;
}

function checkOpening(
  object: JsonObject,
  keys: readonly string[],
  last: 'user' | 'assistant',
  report: Report,
): void {
  const severity = 'warning';
  checkKeys(object, keys, '', report, {
    severity,
    message: 'it is not settled whether Vertex accepts other keys',
  });
  if (object['systemInstruction'] !== undefined) checkSystem(object['systemInstruction'], report);
  const contents = listAt(object, 'contents', '', report);
  if (contents === null) return;
  const spoken = contents.map((content, index) => checkContent(content, `contents[${index}]`, report));
  // Not documented as forbidden, and no example does it.
  const warnings = ['starts-with-assistant', 'equal-neighbours'] as const;
  checkOrder(spoken, report, { path: 'contents', consequence: REFUSED, last, warnings });
}

function checkSystem(system: unknown, report: Report): void {
  const { error, warning } = problems(report);
  if (!isObject(system)) {
    error(
      'wrong-type',
      'systemInstruction',
      `${REFUSED}: the system prompt is ${kindOf(system)}`,
      'Write {"parts":[{"text":"…"}]}.',
    );
    return;
  }
  checkKeys(system, SYSTEM_KEYS, 'systemInstruction', report, {
    severity: 'error',
    message: `${REFUSED}: unknown keys are forbidden`,
  });
  if (system['role'] !== undefined) {
    warning(
      'ignored-key',
      'systemInstruction.role',
      'Vertex ignores the role of a system prompt',
      'Remove the key.',
    );
  }
  checkParts(system, 'systemInstruction', report);
}

function checkContent(content: unknown, path: string, report: Report): { side: Side | null; path: string } {
  const object = objectAt(content, path, report);
  if (object === null) return { side: null, path };
  checkKeys(object, ['role', 'parts'], path, report, {
    severity: 'error',
    message: `${REFUSED}: unknown keys are forbidden`,
  });
  checkParts(object, path, report);
  const { role } = object;
  if (role === 'user') return { side: 'user', path };
  if (role === 'model') return { side: 'assistant', path };
  problems(report).error(
    'unknown-role',
    `${path}.role`,
    `${REFUSED}: a role is user or model`,
    role === 'assistant'
      ? 'Write "model".'
      : role === 'system'
        ? 'Move the text to "systemInstruction".'
        : 'Use one of the two.',
  );
  return { side: null, path };
}

function checkParts(content: JsonObject, path: string, report: Report): void {
  const parts = listAt(content, 'parts', path, report);
  if (parts === null) return;
  const { error } = problems(report);
  if (parts.length === 0)
    error('empty-content', `${path}.parts`, `${REFUSED}: there is no part`, 'Write [{"text":"…"}].');
  for (const [index, part] of parts.entries()) {
    const where = `${path}.parts[${index}]`;
    const object = objectAt(part, where, report);
    if (object === null) continue;
    checkKeys(object, ['text', ...OTHER_PARTS], where, report, {
      severity: 'error',
      message: `${REFUSED}: unknown keys are forbidden`,
    });
    if (OTHER_PARTS.some((key) => key in object)) continue;
    textAt(object, 'text', where, report, { consequence: REFUSED });
  }
}
