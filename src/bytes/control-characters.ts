import type { Text } from './text.js';

/** Whether the text holds a control character other than tab, line feed and carriage return, or U+FFFD. */
export function hasControlCharacter({ source, start, end }: Text): boolean {
  for (let index = start; index < end; index++) {
    const byte = source[index] as number;
    if (byte < 0x20 ? byte !== 0x09 && byte !== 0x0a && byte !== 0x0d : byte === 0x7f) return true;
    // U+0080 to U+009F are C2 80 to C2 9F; U+FFFD is EF BF BD.
    if (byte === 0xc2 && (source[index + 1] as number) < 0xa0) return true;
    if (byte === 0xef && source[index + 1] === 0xbf && source[index + 2] === 0xbd) return true;
  }
  return false;
}
