/**
 * Text that a spreadsheet may run: it begins with `=`, `+`, `-`, `@`, a tab, CR or LF, or one of their full-width forms,
 * after nothing but white space, quotes and characters without a shape, which spreadsheets drop or skip on import.
 *
 * The signs are those of OWASP's page on CSV injection, LF and full-width forms included. Quotes belong to what may
 * stand before so that {@link guardFormula} can be undone.
 */
const FORMULA = /^[\s\p{Cc}\p{Cf}'"]*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]/u;

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
