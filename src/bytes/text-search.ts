import { byteTable, nextMarked } from './scan.js';
import type { Text } from './text.js';

/** What a search found in a text, as bits: one, the other, or both. */
export const FOUND_MARK = 1;
export const FOUND_CONTROL = 2;

/** What to look for in texts, all of it in one pass. */
export interface Wanted {
  /** Short texts that begin in ASCII. */
  readonly marks: readonly Uint8Array[];
  /** Control characters other than tab, line feed and carriage return, and U+FFFD. */
  readonly controls: boolean;
}

/**
 * Makes a search for several things at once. A native pass per mark and one for control characters took eight times as long:
 * a dozen marks begin with one or two rare letters, and nothing else is looked at closely.
 */
export function textSearch({ marks, controls }: Wanted): (text: Text) => number {
  const heads = Uint8Array.from(marks, ([head = 0]) => head);
  const stops = byteTable(controls ? Buffer.concat([heads, MAY_BE_CONTROL]) : heads);
  const all = (marks.length > 0 ? FOUND_MARK : 0) | (controls ? FOUND_CONTROL : 0);
  return ({ source, start, end }) => {
    let found = 0;
    for (let index = nextMarked(source, start, end, stops); index < end && found !== all;) {
      if (marks.some((mark) => standsAt(mark, source, index, end))) found |= FOUND_MARK;
      if (controls && isControlAt(source, index)) found |= FOUND_CONTROL;
      index = nextMarked(source, index + 1, end, stops);
    }
    return found;
  };
}

/** Bytes at which a control character, or U+FFFD, may begin. */
const MAY_BE_CONTROL = Buffer.from([
  ...Array.from({ length: 0x20 }, (_, byte) => byte).filter((byte) => ![0x09, 0x0a, 0x0d].includes(byte)),
  0x7f,
  0xc2,
  0xef,
]);

function isControlAt(source: Uint8Array, index: number): boolean {
  const byte = source[index] as number;
  if (byte < 0x20) return byte !== 0x09 && byte !== 0x0a && byte !== 0x0d;
  // U+0080 to U+009F are C2 80 to C2 9F; U+FFFD is EF BF BD.
  if (byte === 0xc2) return (source[index + 1] as number) < 0xa0;
  if (byte === 0xef) return source[index + 1] === 0xbf && source[index + 2] === 0xbd;
  return byte === 0x7f;
}

function standsAt(mark: Uint8Array, source: Uint8Array, index: number, end: number): boolean {
  if (index + mark.length > end) return false;
  for (let offset = 0; offset < mark.length; offset++) {
    if (source[index + offset] !== mark[offset]) return false;
  }
  return true;
}
