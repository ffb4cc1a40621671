const LINE_FEED = 0x0a;

/** One line without its line feed. */
export interface SplitLine {
  /** From 1. */
  readonly number: number;
  /** Of its first byte in the file. */
  readonly offset: number;
  /** A view that is good until the next write; null when the line is longer than allowed. */
  readonly bytes: Buffer | null;
  /** A line feed ends it; only the last line can lack one. */
  readonly isEnded: boolean;
}

/** Splits bytes that come in pieces into lines; it holds one line at most, and nothing of one that is too long. */
export function createLineSplitter(maxBytes: number, onLine: (line: SplitLine) => void) {
  let pending: Buffer[] = [];
  let pendingBytes = 0;
  let number = 0;
  let offset = 0;
  const take = (last: Buffer, isEnded: boolean): void => {
    const length = pendingBytes + last.length;
    const whole = pending.length === 0 ? last : Buffer.concat([...pending, last]);
    const start = offset;
    pending = [];
    pendingBytes = 0;
    number += 1;
    offset += length + 1;
    onLine({ number, offset: start, bytes: length > maxBytes ? null : whole, isEnded });
  };
  return {
    write(chunk: Buffer): void {
      let from = 0;
      for (let end = chunk.indexOf(LINE_FEED); end !== -1; end = chunk.indexOf(LINE_FEED, from)) {
        take(chunk.subarray(from, end), true);
        from = end + 1;
      }
      if (from === chunk.length) return;
      pendingBytes += chunk.length - from;
      // The writer uses its memory again.
      if (pendingBytes <= maxBytes) pending.push(Buffer.from(chunk.subarray(from)));
      else pending = [];
    },
    end(): void {
      if (pendingBytes > 0) take(Buffer.alloc(0), false);
    },
  };
}
