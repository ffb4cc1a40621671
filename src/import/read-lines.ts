import { type Hash, createHash } from 'node:crypto';
import { type Readable, addAbortSignal } from 'node:stream';
import { inputError, unpacked } from '../input-bytes.js';
import { lineError } from './line-error.js';

const LINE_FEED = 0x0a;
const BYTE_ORDER_MARK = Buffer.from([0xef, 0xbb, 0xbf]);

/** jsonb holds at most 2^28 - 1 bytes in one value (PostgreSQL, jsonb.h, JENTRY_OFFLENMASK). */
export const MAX_LINE_BYTES = 2 ** 28 - 1;

/** One line without its line feed. */
export interface Line {
  /** From 1. */
  readonly number: number;
  readonly bytes: Buffer;
}

/** The lines of an input, and the digest of what was read of it so far. */
export interface LineReader {
  readonly lines: AsyncGenerator<Line>;
  /** SHA-256 of the bytes as stored (compressed, if they are); call it once, after the last line. */
  sha256(): string;
}

/**
 * Splits bytes, gzip or not, into lines at byte 0x0A and nowhere else. A byte order mark at the start is dropped, and so
 * are blank lines at the very end.
 * @throws LoraExportError in the loop: `E_USAGE` when the input cannot be read, `E_DATA` for damaged gzip, a blank line
 *   before another line, and a line over {@link MAX_LINE_BYTES}
 */
export function readLines(source: Readable, file: string, signal: AbortSignal): LineReader {
  const hash = createHash('sha256');
  return { lines: linesOf(source, hash, file, signal), sha256: () => hash.digest('hex') };
}

async function* linesOf(
  source: Readable,
  hash: Hash,
  file: string,
  signal: AbortSignal,
): AsyncGenerator<Line> {
  const position = { line: 0 };
  try {
    addAbortSignal(signal, source);
    yield* withoutBlankEnd(split(unpacked(hashed(source, hash), signal), file, position), file);
  } catch (error) {
    throw signal.aborted ? signal.reason : (inputError(error, file, position.line) ?? error);
  } finally {
    source.destroy();
  }
}

async function* hashed(source: AsyncIterable<Uint8Array>, hash: Hash): AsyncGenerator<Buffer> {
  for await (const chunk of source) {
    hash.update(chunk);
    yield Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  }
}

async function* split(
  source: AsyncIterable<Buffer>,
  file: string,
  position: { line: number },
): AsyncGenerator<Line> {
  let pending: Buffer[] = [];
  let pendingBytes = 0;
  const take = (last: Buffer): Line => {
    const bytes = pending.length === 0 ? last : Buffer.concat([...pending, last]);
    pending = [];
    pendingBytes = 0;
    position.line += 1;
    const marked = position.line === 1 && bytes.subarray(0, 3).equals(BYTE_ORDER_MARK);
    return { number: position.line, bytes: marked ? bytes.subarray(3) : bytes };
  };
  for await (const chunk of source) {
    let from = 0;
    for (let end = chunk.indexOf(LINE_FEED); end !== -1; end = chunk.indexOf(LINE_FEED, from)) {
      yield take(chunk.subarray(from, end));
      from = end + 1;
    }
    if (from === chunk.length) continue;
    pending.push(chunk.subarray(from));
    pendingBytes += chunk.length - from;
    if (pendingBytes > MAX_LINE_BYTES) {
      throw lineError(
        { file, line: position.line + 1 },
        'is longer than 256 MiB, more than PostgreSQL takes in one JSON value',
      );
    }
  }
  if (pendingBytes > 0) yield take(Buffer.alloc(0));
}

async function* withoutBlankEnd(lines: AsyncGenerator<Line>, file: string): AsyncGenerator<Line> {
  let firstBlank: number | undefined;
  for await (const line of lines) {
    if (isBlank(line.bytes)) {
      firstBlank ??= line.number;
      continue;
    }
    if (firstBlank !== undefined)
      throw lineError({ file, line: firstBlank }, 'is blank, and more lines follow');
    yield line;
  }
}

function isBlank(bytes: Buffer): boolean {
  return bytes.every((byte) => byte === 0x20 || byte === 0x09 || byte === 0x0d);
}
