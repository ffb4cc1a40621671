const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const LINE_FEED = 0x0a;
const OPEN = new Set([0x5b, 0x7b]);
const CLOSE = new Set([0x5d, 0x7d]);
const LIST = 0x5b;
const PLACEHOLDER = Buffer.from('0');
const KEY = '"conversations"';
/** What stands beside the entries is small in every file that is meant; commas of millions of entries are in it. */
const MOST_FRAME_BYTES = 64 * 1024 * 1024;

/** An object or a list out of the list that the document is, or that `conversations` holds. */
export interface JsonElement {
  /** Null when it is longer than allowed. */
  readonly bytes: Buffer | null;
  /** Where it starts: from 1, and in bytes. */
  readonly line: number;
  readonly offset: number;
  readonly list: 'rows' | 'conversations';
}

/**
 * Takes a JSON document apart into the entries of its list and a frame in which each entry is a 0, so that a document of
 * any size is parsed piece by piece.
 */
export function createJsonSplitter(maxBytes: number, onElement: (element: JsonElement) => void) {
  let depth = 0;
  let line = 1;
  let offset = 0;
  let isInString = false;
  let isEscaped = false;
  /** The text at depth 1 that ended last; only as long as the key that is looked for. */
  let lastText = '';
  let elementDepth: number | null = null;
  let list: JsonElement['list'] = 'rows';
  let element: { line: number; offset: number; pieces: Buffer[]; bytes: number } | null = null;
  const frame: Buffer[] = [];
  let frameBytes = 0;

  const keepFrame = (bytes: Buffer): void => {
    frameBytes += bytes.length;
    if (frameBytes <= MOST_FRAME_BYTES) frame.push(Buffer.from(bytes));
    else frame.length = 0;
  };
  const keep = (bytes: Buffer): void => {
    if (bytes.length === 0) return;
    if (element === null) {
      keepFrame(bytes);
      return;
    }
    element.bytes += bytes.length;
    if (element.bytes <= maxBytes) element.pieces.push(Buffer.from(bytes));
    else element.pieces = [];
  };

  return {
    write(chunk: Buffer): void {
      let from = 0;
      for (let index = 0; index < chunk.length; index++) {
        const byte = chunk[index] as number;
        if (byte === LINE_FEED) line += 1;
        if (isInString) {
          if (depth === 1 && lastText.length <= KEY.length) lastText += String.fromCharCode(byte);
          if (isEscaped) isEscaped = false;
          else if (byte === BACKSLASH) isEscaped = true;
          else if (byte === QUOTE) isInString = false;
        } else if (byte === QUOTE) {
          isInString = true;
          if (depth === 1) lastText = '"';
        } else if (OPEN.has(byte)) {
          if (element === null && depth === elementDepth) {
            keep(chunk.subarray(from, index));
            from = index;
            element = { line, offset: offset + index, pieces: [], bytes: 0 };
          } else if (
            byte === LIST &&
            elementDepth === null &&
            (depth === 0 || (depth === 1 && lastText === KEY))
          ) {
            list = depth === 0 ? 'rows' : 'conversations';
            elementDepth = depth + 1;
          }
          depth += 1;
        } else if (CLOSE.has(byte)) {
          depth -= 1;
          if (element !== null && depth === elementDepth) {
            keep(chunk.subarray(from, index + 1));
            from = index + 1;
            const { pieces, bytes, line, offset } = element;
            element = null;
            keepFrame(PLACEHOLDER);
            onElement({ bytes: bytes > maxBytes ? null : Buffer.concat(pieces), line, offset, list });
          } else if (element === null && elementDepth !== null && depth < elementDepth) {
            // Behind the list; another one of the same name is a duplicate key and stays in the frame.
            elementDepth = Number.POSITIVE_INFINITY;
          }
        }
      }
      keep(chunk.subarray(from));
      offset += chunk.length;
    },
    /** The document with a 0 for each entry; null when it is too large. What is still open is not in it. */
    end: (): string | null => (frameBytes > MOST_FRAME_BYTES ? null : Buffer.concat(frame).toString('utf8')),
  };
}
