import { LoraExportError } from '../errors.js';

/** Where in the input something is: the name the user gave the file, and the line, counted from 1. */
export interface Place {
  readonly file: string;
  readonly line: number;
}

/** An `E_DATA` error that names file and line. `problem` is a clause such as `turns[2].role is missing`. */
export function lineError(
  { file, line }: Place,
  problem: string,
  details?: { hint?: string; cause?: unknown },
): LoraExportError {
  return new LoraExportError('E_DATA', `${file}, line ${line}: ${problem}`, details);
}

/** A path such as `turns[2].content`; keys that are not plain words are quoted, so that nothing in them can mislead. */
export function jsonPath(steps: readonly PropertyKey[]): string {
  let path = '';
  for (const step of steps) {
    if (typeof step === 'number') path += `[${step}]`;
    else if (/^\w{1,60}$/.test(String(step))) path += path === '' ? String(step) : `.${String(step)}`;
    else path += `[${quoted(String(step))}]`;
  }
  return path;
}

/** A key as it may appear in a message: quoted, control characters visible, cut at 60 characters. */
export function quoted(key: string): string {
  const shown = key.length > 60 ? `${key.slice(0, 60)}…` : key;
  return JSON.stringify(shown).replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '\u{fffd}');
}
