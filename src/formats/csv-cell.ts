import { lastSpace, startsInSpace } from '../bytes/blank.js';
import { lineSeparatorAt, type ByteWriter } from '../bytes/byte-writer.js';
import { byteTable, nextMarked } from '../bytes/scan.js';
import type { Text } from '../bytes/text.js';

const QUOTE = 0x22;
const APOSTROPHE = 0x27;
const QUOTES = byteTable('"');
/** What makes quotes necessary wherever it stands, and the first bytes of U+0085, U+2028 and U+2029. */
const SPECIAL = byteTable(',"\r\n\xc2\xe2');

/**
 * Appends text as a cell, byte for byte as csv-stringify writes it with the options of `csv-options.ts`.
 * @param guarded an apostrophe stands before the text
 */
export function writeCell(out: ByteWriter, text: Text, guarded: boolean): void {
  const { source, end } = text;
  if (!needsQuotes(text, guarded)) {
    if (guarded) out.byte(APOSTROPHE);
    out.text(text);
    return;
  }
  out.byte(QUOTE);
  if (guarded) out.byte(APOSTROPHE);
  let { start } = text;
  for (let quote = nextMarked(source, start, end, QUOTES); quote < end;) {
    out.run(source, start, quote + 1);
    // The next run begins with the same quote again.
    start = quote;
    quote = nextMarked(source, quote + 1, end, QUOTES);
  }
  out.run(source, start, end);
  out.byte(QUOTE);
}

/** Also for empty text, which would look like an absent value, and for white space at the edges, which readers may trim. */
function needsQuotes(text: Text, guarded: boolean): boolean {
  const { source, start, end } = text;
  if (start === end) return !guarded;
  if ((!guarded && startsInSpace(text)) || lastSpace(text) < end) return true;
  for (let index = nextMarked(source, start, end, SPECIAL); index < end;) {
    if ((source[index] as number) < 0x80 || lineSeparatorAt(source, index) !== 0) return true;
    index = nextMarked(source, index + 1, end, SPECIAL);
  }
  return false;
}
