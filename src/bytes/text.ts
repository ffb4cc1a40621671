/**
 * A piece of UTF-8 text that stays bytes until somebody asks for a string.
 *
 * It is a view: `source` is usually a whole row as it came from the database, `start` and `end` are byte offsets into
 * it (end exclusive). Making one costs an object, not a copy and not a decoding.
 */
export class Text {
  readonly source: Buffer;
  readonly start: number;
  readonly end: number;

  constructor(source: Buffer, start = 0, end = source.length) {
    this.source = source;
    this.start = start;
    this.end = end;
  }

  /** Text from a JavaScript string. Lone surrogates become U+FFFD, as in every UTF-8 encoder. */
  static of(value: string): Text {
    return new Text(Buffer.from(value, 'utf8'));
  }

  /** Length in bytes of UTF-8. */
  get byteLength(): number {
    return this.end - this.start;
  }

  /** The bytes, as a view. */
  bytes(): Buffer {
    return this.source.subarray(this.start, this.end);
  }

  /** The text as a JavaScript string: decoded anew at each call. */
  toString(): string {
    return this.part(this.start, this.end);
  }

  /** The characters between two offsets into `source`, neither of which may lie inside one. */
  part(start: number, end: number): string {
    return this.source.toString('utf8', start, end);
  }
}
