import { spaceLength } from '../bytes/blank.js';
import { lineSeparatorAt } from '../bytes/byte-writer.js';
import { byteTable, nextMarked } from '../bytes/scan.js';
import type { RowTexts } from '../targets/target.js';

/** Rows by their form: everything but the texts of the data. */
export interface KnownRows {
  /**
   * The form of a row, null when only reading it whole can tell whether it is right.
   * @param row one line of UTF-8 without its line feed
   */
  formOf(row: Uint8Array): string | null;
  /** Whether a row of this form was read whole and nothing was wrong with it. */
  has(form: string): boolean;
  add(form: string): void;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;
const COMMA = 0x2c;
const OPEN_LIST = 0x5b;
const CLOSE_LIST = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
/** Stands in a form for any text; as a byte of the row itself it would be a control character. */
const A_TEXT = 0x01;

/** Longer forms, or more of them, are not remembered: a file of such rows is read whole. */
const LONGEST = 8 * 1024;
const MOST_BYTES = 2 * 1024 * 1024;
const DEEPEST = 30;

/** The loader `datasets` takes short texts for times, and all of a column's decide; none of those has more bytes. */
const LONGEST_TIME = 20;

const SHORT_ESCAPES = byteTable('"\\bfnrt');
const BLANK_ESCAPES = byteTable('bfnrt');
/** What escapes of six bytes are known for; the others may hide a mark or half a surrogate pair. */
const UNICODE_ESCAPE = /^(?:00[01][0-9a-f]|0085|202[89])$/;

/**
 * Recognises rows that differ from one already found right in nothing but their texts.
 *
 * Checking what an export writes means that every byte of it is looked at again. Parsing each row took about as long as
 * judging and encoding it; but rows of one export are alike, and a check that depends on a text in no more than
 * {@link RowTexts} says gives the same answer for all rows of one form. So a row is right when all that is not text is,
 * byte for byte, that of a row which was parsed and found right, and when each of its texts is a JSON string as our
 * writer makes them, is not blank, and holds no mark. Whatever else it may be, it is parsed: nothing is refused here.
 */
export function createKnownRows({ keys, marks, readClosely = [] }: RowTexts): KnownRows {
  const forms = new Set<string>();
  let bytes = 0;
  const form = Buffer.alloc(LONGEST);
  const textKeys = keys.map((key) => Buffer.from(key));
  const closely = readClosely.map((word) => Buffer.from(word));
  // As they stand in JSON.
  const written = marks.map((mark) => Buffer.from(JSON.stringify(mark).slice(1, -1)));
  const stops = byteTable(
    Buffer.concat([Buffer.from('"\\\xc2\xe2', 'latin1'), ...written.map((mark) => mark.subarray(0, 1))]),
    0x20,
  );

  const hasMarkAt = (row: Uint8Array, index: number): boolean =>
    written.some((mark) => isAt(mark, row, index, row.length));

  /** Behind the closing quote of the text that starts at `start`; -1 for one that has to be looked at closely. */
  const endOfText = (row: Uint8Array, start: number): number => {
    if (!isSurelyFilled(row, start)) return -1;
    for (let index = nextMarked(row, start, row.length, stops); index < row.length;) {
      const byte = row[index] as number;
      if (byte === QUOTE) return mayBeTime(row, start, index) ? -1 : index + 1;
      if (byte < 0x20 || lineSeparatorAt(row, index) !== 0 || hasMarkAt(row, index)) return -1;
      const length = byte === BACKSLASH ? escapeLength(row, index) : 1;
      if (length === 0) return -1;
      index = nextMarked(row, index + length, row.length, stops);
    }
    return -1;
  };

  return {
    has: (form) => forms.has(form),
    add(form) {
      if (bytes + form.length > MOST_BYTES) return;
      bytes += form.length;
      forms.add(form);
    },
    formOf(row) {
      let length = 0;
      /** Bit by bit from the innermost: whether it is a list. */
      let lists = 0;
      let depth = 0;
      /** Whether strings belong to a key of texts. */
      let isText = false;
      for (let index = 0; index < row.length;) {
        const byte = row[index] as number;
        if (byte < 0x20 || byte > 0x7e || length === LONGEST) return null;
        if (byte !== QUOTE) {
          if (byte === OPEN_LIST || byte === OPEN_OBJECT) {
            if (++depth > DEEPEST) return null;
            lists = (lists << 1) | (byte === OPEN_LIST ? 1 : 0);
            if (byte === OPEN_OBJECT) isText = false;
          } else if (byte === CLOSE_LIST || byte === CLOSE_OBJECT) {
            depth--;
            lists >>= 1;
          } else if (byte === COMMA && (lists & 1) === 0) isText = false;
          form[length++] = byte;
          index++;
          continue;
        }
        const start = index + 1;
        const takesText = isText && row[start] !== QUOTE;
        const end = takesText ? endOfText(row, start) : endOfWord(row, start);
        // White space around tokens, which our writer does not make, would mislead about what is a key.
        const next = row[end];
        if (end < 0 || !(next === COMMA || next === CLOSE_OBJECT || next === CLOSE_LIST || next === COLON))
          return null;
        if (takesText) {
          if (next === COLON) return null;
          form[length++] = A_TEXT;
        } else {
          if (length + end - index > LONGEST) return null;
          if (closely.some((word) => isString(word, row, start, end))) return null;
          if (next === COLON) isText = textKeys.some((key) => isString(key, row, start, end));
          while (index < end) form[length++] = row[index++] as number;
        }
        index = end;
      }
      return form.toString('latin1', 0, length);
    },
  };
}

/** Behind the closing quote of a string of plain ASCII; -1 for any other. */
function endOfWord(row: Uint8Array, start: number): number {
  for (let index = start; index < row.length; index++) {
    const byte = row[index] as number;
    if (byte === QUOTE) return index + 1;
    if (byte < 0x20 || byte > 0x7e || byte === BACKSLASH) return -1;
  }
  return -1;
}

/** 0 for an escape that our writer does not make. */
function escapeLength(row: Uint8Array, index: number): number {
  const letter = row[index + 1] as number;
  if (SHORT_ESCAPES[letter] === 1) return 2;
  if (letter !== 0x75) return 0;
  const digits = String.fromCharCode(...row.subarray(index + 2, index + 6));
  return UNICODE_ESCAPE.test(digits) ? 6 : 0;
}

/** Whether a text is not blank for sure; it is not decoded for this. */
function isSurelyFilled(row: Uint8Array, start: number): boolean {
  for (let index = start; index < row.length;) {
    const byte = row[index] as number;
    if (byte === QUOTE) return false;
    if (byte === BACKSLASH) {
      const letter = row[index + 1] as number;
      if (BLANK_ESCAPES[letter] === 0) return letter === QUOTE || letter === BACKSLASH;
      index += 2;
    } else {
      const length = spaceLength(row, index);
      if (length === 0) return true;
      index += length;
    }
  }
  return false;
}

function mayBeTime(row: Uint8Array, start: number, end: number): boolean {
  const first = row[start] as number;
  return end - start <= LONGEST_TIME && first >= 0x30 && first <= 0x39;
}

/** @param end behind the closing quote */
function isString(word: Uint8Array, row: Uint8Array, start: number, end: number): boolean {
  return word.length === end - 1 - start && isAt(word, row, start, end);
}

function isAt(word: Uint8Array, row: Uint8Array, index: number, end: number): boolean {
  if (index + word.length > end) return false;
  for (let offset = 0; offset < word.length; offset++) if (row[index + offset] !== word[offset]) return false;
  return true;
}
