import type { Text } from './text.js';

/**
 * Whether the text is empty or white space only, as `String.prototype.trim` sees it. Nearly every text answers at its
 * first byte; only when all ASCII is blank and something else follows is it decoded.
 */
export function isBlank(text: Text): boolean {
  for (let index = text.start; index < text.end; index++) {
    const byte = text.source[index] as number;
    if (byte >= 0x80) return text.toString().trim() === '';
    if (byte > 0x20 || byte < 0x09 || (byte > 0x0d && byte < 0x20)) return false;
  }
  return true;
}
