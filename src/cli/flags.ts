import { nearestWord } from '../nearest-word.js';
import { LoraExportError } from '../errors.js';
import { readSpan } from '../statistics/since.js';
import { InvalidArgumentError, Option } from './parser.js';

/** What commander calls for each occurrence of a flag on the command line. */
type Parser<T> = (value: string, previous: unknown) => T;

/** A flag that may be given once: a second value would silently replace the first. */
export function once<T>(parse: (value: string) => T): Parser<T> {
  return (value, previous) => {
    if (previous !== undefined) throw new InvalidArgumentError('It was given twice.');
    return parse(value);
  };
}

/** Any text but the empty one. */
export function text(value: string): string {
  if (value === '') throw new InvalidArgumentError('It must not be empty.');
  return value;
}

/** `a,b` and repetition both add to a list. */
export function list(value: string, previous: unknown): string[] {
  const values = value.split(',').map((item) => item.trim());
  if (values.some((item) => item === ''))
    throw new InvalidArgumentError('Expected values separated by commas.');
  return [...((previous as string[] | undefined) ?? []), ...values];
}

/** A whole number in decimal digits; no sign, no exponent, no other base. */
export function wholeNumber(minimum: number, maximum: number): (value: string) => number {
  return (value) => {
    const number = /^\d{1,15}$/.test(value) ? Number(value) : Number.NaN;
    if (!(number >= minimum && number <= maximum)) {
      throw new InvalidArgumentError(`Expected a whole number from ${minimum} to ${maximum}.`);
    }
    return number;
  };
}

/** A decimal number such as 8 or 8.5. */
export function decimal(minimum: number, maximum: number): (value: string) => number {
  return (value) => {
    const number = /^\d{1,9}(\.\d{1,6})?$/.test(value) ? Number(value) : Number.NaN;
    if (!(number >= minimum && number <= maximum)) {
      throw new InvalidArgumentError(`Expected a number from ${minimum} to ${maximum}.`);
    }
    return number;
  };
}

/** A day such as 2025-10-29, or a time with its zone; both must exist in the calendar. */
export function moment(value: string): string {
  if (!isMoment(value))
    throw new InvalidArgumentError(
      'Expected a date such as 2025-10-29, or a time with its zone such as 2025-10-29T10:00:00Z.',
    );
  return value;
}

/** A moment from 1970 on, or how long ago: 30m, 24h, 7d, 4w. `readSince` makes sense of it. */
export function since(value: string): string {
  if (readSpan(value) === null && !(isMoment(value) && Date.parse(value) >= 0))
    throw new InvalidArgumentError(
      'Expected how long ago, such as 30m, 24h, 7d or 4w, a date such as 2025-10-29, or a time with its zone such as 2025-10-29T10:00:00Z.',
    );
  return value;
}

function isMoment(value: string): boolean {
  const [, day, time] =
    /^(\d{4}-\d{2}-\d{2})(T(?!24)\d{2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?(?:Z|[+-]\d{2}:\d{2}))?$/.exec(value) ??
    [];
  // Date would read 30 February as 2 March, and 24:00 as the next day; PostgreSQL knows no year 0.
  return (
    day !== undefined &&
    !day.startsWith('0000') &&
    toIsoDay(Date.parse(day)) === day &&
    !Number.isNaN(Date.parse(day + (time ?? '')))
  );
}

function toIsoDay(milliseconds: number): string | null {
  return Number.isNaN(milliseconds) ? null : new Date(milliseconds).toISOString().slice(0, 10);
}

/** A UUID in its usual form; versions and variants are not looked at, since databases hold all of them. */
export function uuid(value: string): string {
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(value)) {
    throw new InvalidArgumentError('Expected a UUID such as 6f3c0b1e-5d1a-4c0f-9a51-b8f0a2b7c9d4.');
  }
  return value.toLowerCase();
}

/** `a=b,c=d` and repetition both add to a map; one key may be given once. */
export function pairs(value: string, previous: unknown): Record<string, string> {
  const map: Record<string, string> = { ...(previous as Record<string, string> | undefined) };
  for (const item of value.split(',')) {
    const [, key, word] = /^\s*([^=\s][^=]*?)\s*=\s*(\S+)\s*$/.exec(item) ?? [];
    if (key === undefined || word === undefined)
      throw new InvalidArgumentError('Expected NAME=WORD, several separated by commas.');
    // Setting it on an object does nothing.
    if (key === '__proto__') throw new InvalidArgumentError('__proto__ is no name.');
    if (Object.hasOwn(map, key)) throw new InvalidArgumentError(`${key} was given twice.`);
    map[key] = word;
  }
  return map;
}

/** `20`, or `5%`. */
export function countOrShare(value: string): { count: number } | { percent: number } {
  const [, number, sign] = /^(\d{1,9}(?:\.\d{1,3})?)(%?)$/.exec(value) ?? [];
  const amount = Number(number);
  if (number === undefined || (sign === '' ? !Number.isInteger(amount) : amount > 100)) {
    throw new InvalidArgumentError('Expected a number of conversations such as 20, or a share such as 5%.');
  }
  return sign === '' ? { count: amount } : { percent: amount };
}

/** `parameters.KEY` or `parameters.KEY.KEY`, without its first word. */
export function parameterPath(value: string): string {
  const [, path] = /^parameters\.([^.\s]+(?:\.[^.\s]+)*)$/.exec(value) ?? [];
  if (path === undefined)
    throw new InvalidArgumentError('Expected parameters.KEY, or deeper: parameters.KEY.KEY.');
  return path;
}

/** One of the words of a registry, listed in the help and in the error. */
export function choice(flags: string, description: string, choices: readonly string[]): Option {
  const option = new Option(flags, description).choices(choices);
  // `choices` sets the parser that also words the error; ours adds the refusal of a repetition.
  const parse = option.parseArg as Parser<string>;
  const parseOrSuggest = (value: string): string => {
    if (choices.includes(value)) return parse(value, undefined);
    const { word, distance } = nearestWord(value, choices);
    const suggestion = distance <= 3 ? ` Did you mean ${word}?` : '';
    throw new InvalidArgumentError(`Allowed choices are ${choices.join(', ')}.${suggestion}`);
  };
  return option.argParser((value: string, previous: unknown) => once(parseOrSuggest)(value, previous));
}

/**
 * Refuses `--x` together with `--no-x`: the parser would take the last.
 * @throws LoraExportError `E_USAGE`
 */
export function refuseContradictions(argv: readonly string[]): void {
  const words = new Set(argv);
  for (const word of words) {
    if (!word.startsWith('--no-')) continue;
    const opposite = `--${word.slice('--no-'.length)}`;
    if (words.has(opposite))
      throw new LoraExportError('E_USAGE', `${opposite} and ${word} contradict each other.`);
  }
}

/** `dryRun` → `dry-run`, as it is typed. */
export function kebab(flag: string): string {
  return flag.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** A name of a preset cannot be taken for a flag; and `__proto__` is none. */
export const PRESET_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

/** The name of a preset. */
export function presetName(value: string): string {
  if (!PRESET_NAME.test(value)) {
    throw new InvalidArgumentError(
      'Expected at most 64 letters, digits, dots, - and _, the first a letter or digit.',
    );
  }
  return value;
}

/** Seconds as they are typed, in milliseconds; undefined stays so. */
export function milliseconds(seconds: number | undefined): number | undefined {
  return seconds === undefined ? undefined : seconds * 1000;
}
