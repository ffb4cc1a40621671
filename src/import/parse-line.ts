import { isUtf8 } from 'node:buffer';
import type { z } from 'zod';
import { type Place, jsonPath, lineError, quoted } from './line-error.js';
import type { Line } from './read-lines.js';
import {
  type FieldName,
  type ImportFields,
  type ImportTurn,
  lineSchema,
  nearestKey,
} from './record-schema.js';

/** A line that keeps all rules which can be checked without the database. */
export interface ParsedLine {
  readonly number: number;
  /** Bytes of the line in the file. */
  readonly byteLength: number;
  /** The JSON text exactly as it stands in the file: the server reads this one, so that no digit is lost on the way. */
  readonly json: string;
  readonly fields: ImportFields;
  /** The fields that stand in `metadata` and not beside the turns. */
  readonly metadataFields: ReadonlySet<string>;
  readonly turnsKey: 'turns' | 'messages';
  readonly turns: readonly ImportTurn[];
}

/**
 * Reads one line in either shape: a conversation with `turns`, or `messages` with an optional `metadata`.
 * @throws LoraExportError `E_DATA` with file, line, JSON path and what is wrong, never the value
 */
export function parseLine(line: Line, file: string): ParsedLine {
  const place: Place = { file, line: line.number };
  if (!isUtf8(line.bytes)) {
    throw lineError(place, 'is not valid UTF-8', {
      hint: 'Convert the file to UTF-8 first, for example with iconv.',
    });
  }
  const text = line.bytes.toString('utf8');
  const json = text.endsWith('\r') ? text.slice(0, -1) : text;
  const value = parseJson(json, place);
  refuseUnstorable(value, json, place);
  const checked = lineSchema.safeParse(value);
  if (!checked.success) throw shapeError(checked.error, place);

  const { turns, messages, metadata, ...own } = checked.data;
  if ((turns === undefined) === (messages === undefined)) {
    throw lineError(
      place,
      turns === undefined ? 'has neither turns nor messages' : 'has both turns and messages',
    );
  }
  const metadataFields = new Set(Object.keys(metadata ?? {}));
  const twice = Object.keys(own).find((key) => metadataFields.has(key));
  if (twice !== undefined) throw lineError(place, `${twice} is given twice, also as metadata.${twice}`);

  const parsed: ParsedLine = {
    number: line.number,
    byteLength: line.bytes.length,
    json,
    fields: { ...own, ...metadata },
    metadataFields,
    turnsKey: turns === undefined ? 'messages' : 'turns',
    turns: turns ?? messages ?? [],
  };
  refuseTwoNames(parsed, 'turn_count', 'total_turns', place);
  refuseTwoNames(parsed, 'total_tokens', 'token_count', place);
  refuseUnclearNumbers(parsed, place);
  return parsed;
}

/** The JSON path of a field of a conversation in its line. */
export function fieldPath(line: ParsedLine, field: string): string {
  return line.metadataFields.has(field) ? `metadata.${field}` : field;
}

function parseJson(json: string, place: Place): unknown {
  try {
    return JSON.parse(json);
  } catch (error) {
    // The engine's own message quotes the text, which may be private; only the position is taken from it.
    const position = /position (\d+)/.exec(String(error))?.[1];
    const where = position === undefined ? '' : `, from character ${Number(position) + 1} on`;
    throw lineError(place, `is not valid JSON${where}`, { cause: error });
  }
}

/** PostgreSQL stores neither U+0000 nor half of a surrogate pair. Raw bytes cannot hold them here, escapes can. */
function refuseUnstorable(value: unknown, json: string, place: Place): void {
  if (!/\\u(?:0000|[dD][89a-fA-F])/.test(json)) return;
  // A stack of our own, because nesting can be deeper than the engine's.
  const open: Step[] = [{ value }];
  for (let step = open.pop(); step !== undefined; step = open.pop()) {
    const { value: node } = step;
    if (typeof node === 'string') refuseText(node, step, place);
    if (typeof node !== 'object' || node === null) continue;
    for (const [key, item] of Object.entries(node)) {
      refuseText(key, step, place);
      open.push({ value: item, key: Array.isArray(node) ? Number(key) : key, parent: step });
    }
  }
}

interface Step {
  readonly value: unknown;
  readonly key?: PropertyKey;
  readonly parent?: Step;
}

function refuseText(text: string, at: Step, place: Place): void {
  const isHalf = /\p{Cs}/u.test(text);
  if (!isHalf && !text.includes('\0')) return;
  const path: PropertyKey[] = [];
  for (let step: Step | undefined = at; step?.key !== undefined; step = step.parent) path.unshift(step.key);
  const found = isHalf ? 'half of a surrogate pair' : 'a NUL character (\\u0000)';
  throw lineError(place, `${jsonPath(path) || 'a key'} holds ${found}, which PostgreSQL cannot store`);
}

const KINDS: Record<string, string> = {
  string: 'a text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'an object',
};

function shapeError(error: z.ZodError, place: Place): Error {
  const issue = error.issues[0];
  if (issue === undefined) throw error;
  const path = jsonPath(issue.path);
  if (issue.code === 'unrecognized_keys') {
    const key = issue.keys[0] ?? '';
    const at = path === '' ? '' : ` in ${path}`;
    return lineError(
      place,
      `unknown key ${quoted(key)}${at}; the nearest known key is ${nearestKey(key, issue.path)}`,
      {
        hint: 'Nothing is dropped unasked: rename the key, or remove it from the file.',
      },
    );
  }
  const subject = path === '' ? 'the line' : path;
  if (issue.code !== 'invalid_type') return lineError(place, `${subject} ${issue.message}`);
  if (issue.message.endsWith('received undefined')) return lineError(place, `${subject} is missing`);
  return lineError(place, `${subject} must be ${KINDS[issue.expected] ?? issue.expected}`);
}

function refuseTwoNames(line: ParsedLine, one: FieldName, other: FieldName, place: Place): void {
  if (line.fields[one] === undefined || line.fields[other] === undefined) return;
  throw lineError(
    place,
    `${fieldPath(line, one)} and ${fieldPath(line, other)} are two names of the same thing: keep one`,
  );
}

function refuseUnclearNumbers(line: ParsedLine, place: Place): void {
  const seen = new Set<number>();
  line.turns.forEach(({ turn_number: number }, index) => {
    const path = `${line.turnsKey}[${index}].turn_number`;
    if (number === undefined) {
      if (seen.size > 0) throw lineError(place, `${path} is missing, and other turns have one`);
      return;
    }
    if (seen.size < index)
      throw lineError(place, `${line.turnsKey}[0].turn_number is missing, and other turns have one`);
    if (seen.has(number)) throw lineError(place, `${path} is ${number} for the second time`);
    seen.add(number);
  });
}
