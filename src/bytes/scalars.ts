import type { Text } from './text.js';

const NUMBER = /^-?\d+(\.\d+)?(e[+-]?\d+)?$/;

/** Whether PostgreSQL's text of a number is a JSON number: all are but `NaN`, `Infinity` and `-Infinity`. */
export function isJsonNumber(text: Text): boolean {
  // The common case, such as `8.5`, without making a string: one check of the first byte tells the three words apart.
  const first = text.source[text.start] as number;
  if (first >= 0x30 && first <= 0x39) return true;
  return NUMBER.test(text.toString());
}

/** Whether a timestamp came as `2025-10-29T10:00:00.000Z`; infinity and years beyond four digits do not end in `Z`. */
export function isIsoInstant(text: Text): boolean {
  return text.source[text.end - 1] === 0x5a;
}
