import type { Text } from './text.js';

/** JSON's grammar of a number (RFC 8259, section 6). */
const NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?(e[+-]?\d+)?$/i;

/**
 * Whether the text of a column is a JSON number. Of what PostgreSQL prints for its numeric types only `NaN`, `Infinity`
 * and `-Infinity` are not; but the column may be of type text.
 */
export function isJsonNumber(text: Text): boolean {
  return NUMBER.test(text.toString());
}

/** Whether a timestamp came as `2025-10-29T10:00:00.000Z`; infinity and years beyond four digits do not end in `Z`. */
export function isIsoInstant(text: Text): boolean {
  return text.byteLength > 0 && text.source[text.end - 1] === 0x5a;
}
