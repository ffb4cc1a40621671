import { readFileSync } from 'node:fs';
import { InvalidArgumentError, Option } from 'commander';
import { LoraExportError } from '../errors.js';

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
  if (values.some((item) => item === '')) throw new InvalidArgumentError('Expected values separated by commas.');
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

/** One of the words of a registry, listed in the help and in the error. */
export function choice(flags: string, description: string, choices: readonly string[]): Option {
  const option = new Option(flags, description).choices(choices);
  // `choices` sets the parser that also words the error; ours adds the refusal of a repetition.
  const parse = option.parseArg as Parser<string>;
  return option.argParser((value: string, previous: unknown) => once((v) => parse(v, undefined))(value, previous));
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
    if (words.has(opposite)) throw new LoraExportError('E_USAGE', `${opposite} and ${word} contradict each other.`);
  }
}

/**
 * A small text file that a flag names; a byte order mark at its start is not part of it.
 * @throws LoraExportError `E_USAGE` when it cannot be read
 */
export function readTextFile(path: string, flag: string): string {
  try {
    return readFileSync(path, 'utf8').replace(/^\u{feff}/u, '');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const why = code === 'ENOENT' ? 'there is no such file' : code === 'EISDIR' ? 'it is a directory' : `the system reported ${code}`;
    throw new LoraExportError('E_USAGE', `Cannot read ${path} (${flag}): ${why}.`, { cause: error });
  }
}
