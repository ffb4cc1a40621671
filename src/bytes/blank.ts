import type { Text } from './text.js';

/** Whether the text is empty or white space only, as `String.prototype.trim` sees it. It stops at the first letter. */
export function isBlank(text: Text): boolean {
  for (let index = text.start; index < text.end;) {
    const byte = text.source[index] as number;
    if (byte < 0x80) {
      if (byte !== 0x20 && (byte < 0x09 || byte > 0x0d)) return false;
      index++;
    } else {
      const length = byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
      if (text.part(index, index + length).trim() !== '') return false;
      index += length;
    }
  }
  return true;
}
