import type { Text } from './text.js';

/** Whether the text is empty or white space only, as `String.prototype.trim` sees it. It stops at the first letter. */
export function isBlank({ source, start, end }: Text): boolean {
  for (let index = start; index < end;) {
    const length = spaceLength(source, index);
    if (length === 0) return false;
    index += length;
  }
  return true;
}

/** Whether the text begins with white space. */
export function startsInSpace({ source, start, end }: Text): boolean {
  return start < end && spaceLength(source, start) > 0;
}

/** Where the white space starts that the text ends in: one character of it, or none, which is the end. */
export function lastSpace({ source, start, end }: Text): number {
  let last = end - 1;
  while (last > start && isInsideCharacter(source[last] as number)) last--;
  return last >= start && spaceLength(source, last) > 0 ? last : end;
}

function isInsideCharacter(byte: number): boolean {
  return (byte & 0xc0) === 0x80;
}

/**
 * How many bytes the character at `index` takes if it is white space, else 0: what `\s` matches, which is what `trim`
 * removes (ECMAScript, WhiteSpace and LineTerminator).
 */
export function spaceLength(source: Uint8Array, index: number): number {
  const first = source[index] as number;
  if (first < 0x80) return first === 0x20 || (first >= 0x09 && first <= 0x0d) ? 1 : 0;
  const second = source[index + 1] as number;
  if (first === 0xc2) return second === 0xa0 ? 2 : 0;
  const third = source[index + 2] as number;
  switch (first) {
    case 0xe1: // U+1680
      return second === 0x9a && third === 0x80 ? 3 : 0;
    case 0xe2: // U+2000 to U+200A, U+2028, U+2029, U+202F; U+205F
      if (second === 0x80) return third <= 0x8a || third === 0xa8 || third === 0xa9 || third === 0xaf ? 3 : 0;
      return second === 0x81 && third === 0x9f ? 3 : 0;
    case 0xe3: // U+3000
      return second === 0x80 && third === 0x80 ? 3 : 0;
    case 0xef: // U+FEFF
      return second === 0xbb && third === 0xbf ? 3 : 0;
    default:
      return 0;
  }
}
