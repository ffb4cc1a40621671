import type { Text } from '../bytes/text.js';

/**
 * Text that a spreadsheet may run: it begins with `=`, `+`, `-`, `@`, a tab, CR or LF, or one of their full-width forms,
 * after nothing but white space, quotes and characters without a shape, which spreadsheets drop or skip on import.
 *
 * The signs are those of OWASP's page on CSV injection, LF and full-width forms included. Quotes belong to what may
 * stand before so that {@link guardFormula} can be undone.
 */
const FORMULA = /^[\s\p{Cc}\p{Cf}'"]*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]/u;

/** What one character means for {@link FORMULA}: that there is none (0), or … */
const BEFORE = 1; // nothing, so the next one is looked at
const SIGN = 2; // that there is one

function partOf(character: string): number {
  if (FORMULA.test(character)) return SIGN;
  return FORMULA.test(`${character}=`) ? BEFORE : 0;
}

const PART = Uint8Array.from({ length: 0x80 }, (_, byte) => partOf(String.fromCharCode(byte)));

/** Whether a cell with this text needs the guard. */
export function looksLikeFormula(text: string): boolean {
  return FORMULA.test(text);
}

/**
 * Puts an apostrophe before text that a spreadsheet may run, which makes it text there.
 *
 * It can be undone exactly: a cell was guarded if and only if it begins with an apostrophe and what follows
 * {@link looksLikeFormula}. (Text that began so by itself was guarded too, and has two apostrophes.)
 */
export function guardFormula(text: string): string {
  return looksLikeFormula(text) ? `'${text}` : text;
}

/** The same as {@link looksLikeFormula} for bytes: nearly all text is settled by its first character. */
export function startsLikeFormula(text: Text): boolean {
  const { source, start, end } = text;
  for (let index = start; index < end;) {
    const byte = source[index] as number;
    const length = byte < 0x80 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
    const part = length === 1 ? PART[byte] : partOf(text.part(index, index + length));
    if (part !== BEFORE) return part === SIGN;
    index += length;
  }
  return false;
}
