/** For each of the 256 bytes whether a search stops there (not 0), and what for. */
export type ByteTable = Uint8Array;

/** A table in which the bytes of `stops`, and those from `0` to `controls` (exclusive), are 1. */
export function byteTable(stops: string | Uint8Array, controls = 0): ByteTable {
  const table = new Uint8Array(256);
  table.fill(1, 0, controls);
  for (const byte of typeof stops === 'string' ? Buffer.from(stops, 'latin1') : stops) table[byte] = 1;
  return table;
}

/**
 * Where the next byte stands that the table marks, or `end`. Every look at text goes through this loop: escaping,
 * quoting, and the checks.
 *
 * It looks at four bytes at a time, since most need nothing. Measured on mixed prose in pieces of 600 bytes, in
 * nanoseconds per byte: byte by byte 1.0, this 0.6; a regular expression on the decoded text 4.3, on the same bytes taken
 * for Latin-1 2.1. `indexOf`, native, takes as long once it has to look for four bytes, and cannot look for a range.
 */
export function nextMarked(source: Uint8Array, start: number, end: number, table: ByteTable): number {
  let index = start;
  while (
    index + 4 <= end &&
    ((table[source[index] as number] as number) |
      (table[source[index + 1] as number] as number) |
      (table[source[index + 2] as number] as number) |
      (table[source[index + 3] as number] as number)) ===
      0
  ) {
    index += 4;
  }
  while (index < end && table[source[index] as number] === 0) index++;
  return index;
}
