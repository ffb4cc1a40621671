import { LoraExportError } from '../errors.js';

/** A row as it came: `bytes` holds, from `start` on, the columns, each with its length in front. */
export interface RawRow {
  readonly bytes: Buffer;
  readonly start: number;
  readonly end: number;
}

/**
 * What the tap holds of a statement that was answered with `count` rows.
 * @throws LoraExportError when it holds another number of them
 */
export function takeRows(tap: Pick<RowTap, 'take'>, count: number): RawRow[] {
  const rows = tap.take();
  if (rows.length === count) return rows;
  throw new LoraExportError('E_INTERNAL', `The server sent ${count} rows, but ${rows.length} were found.`);
}

const DATA_ROW = 0x44; // D
const COMMAND_COMPLETE = 0x43; // C
const ERROR_RESPONSE = 0x45; // E
/** A message is its type, one byte, and its length, four bytes, which counts itself but not the type. */
const HEAD = 5;
const NOTHING = Buffer.alloc(0);

/**
 * Takes the rows out of what the server sends, before the driver sees it, and leaves the driver everything else: it
 * still runs the statement and learns how it ended, but spends nothing on rows. Handing them through the driver costs an
 * object per column and a copy per packet, about a third of the time of an export.
 *
 * Source: PostgreSQL manual, "Message Formats" (protocol 3.0).
 */
export class RowTap {
  readonly #forward: (bytes: Buffer) => void;
  /** Pieces of a message of which more has to come, and how many bytes they are. */
  #pieces: Buffer[] = [];
  #held = 0;
  #rows: RawRow[] = [];
  readonly #finished: RawRow[][] = [];

  /** @param forward told of the bytes that are not rows, in order, whole messages at a time */
  constructor(forward: (bytes: Buffer) => void) {
    this.#forward = forward;
  }

  /** The rows of the earliest finished statement that were not taken yet. Statements finish in the order sent. */
  take(): RawRow[] {
    return this.#finished.shift() ?? [];
  }

  /** Bytes of the server, cut anywhere. */
  feed(chunk: Buffer): void {
    this.#read(this.#held === 0 ? chunk : this.#finishHeld(chunk));
  }

  /** Hands over what is held, for the time after the rows: the driver puts messages together by itself. */
  end(): void {
    if (this.#held > 0) this.#forward(Buffer.concat(this.#pieces));
    this.#release();
  }

  #read(bytes: Buffer): void {
    let position = 0;
    let plain = 0;
    while (position + HEAD <= bytes.length) {
      const end = position + 1 + bytes.readInt32BE(position + 1);
      if (end > bytes.length) break;
      if (bytes[position] === DATA_ROW) {
        if (plain < position) this.#forward(bytes.subarray(plain, position));
        plain = end;
        // Two bytes count the columns; whoever asked knows how many there are.
        this.#rows.push({ bytes, start: position + HEAD + 2, end });
      } else if (bytes[position] === COMMAND_COMPLETE) {
        this.#finished.push(this.#rows);
        this.#rows = [];
      } else if (bytes[position] === ERROR_RESPONSE) {
        // The statement that these belong to ends without a count, and nobody may take them for another's.
        this.#rows = [];
      }
      position = end;
    }
    if (plain < position) this.#forward(bytes.subarray(plain, position));
    if (position < bytes.length) this.#hold(bytes.subarray(position));
  }

  /** Completes the held message, and only that: the rest of the chunk is not copied. Returns that rest. */
  #finishHeld(chunk: Buffer): Buffer {
    if (this.#held + chunk.length < HEAD) return this.#hold(chunk);
    const [first] = this.#pieces as [Buffer];
    const head = first.length >= HEAD ? first : Buffer.concat([...this.#pieces, chunk.subarray(0, HEAD)]);
    const missing = 1 + head.readInt32BE(1) - this.#held;
    if (missing > chunk.length) return this.#hold(chunk);
    const message = Buffer.concat([...this.#pieces, chunk.subarray(0, missing)]);
    this.#release();
    this.#read(message);
    return chunk.subarray(missing);
  }

  #hold(piece: Buffer): Buffer {
    this.#pieces.push(piece);
    this.#held += piece.length;
    return NOTHING;
  }

  #release(): void {
    this.#pieces = [];
    this.#held = 0;
  }
}
