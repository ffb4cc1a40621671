import { lastSpace, spaceLength, startsInSpace } from '../bytes/blank.js';
import { lineSeparatorAt, type ByteWriter } from '../bytes/byte-writer.js';
import { byteTable, nextMarked } from '../bytes/scan.js';
import { Text } from '../bytes/text.js';

const LINE_FEED = 0x0a;
const BACKSLASH = 0x5c;
const HASH = 0x23;
const QUOTE = Buffer.from('> ');
const NEWLINE_AT_END = Buffer.from('&#10;');
const REPLACEMENT = Buffer.from('\ufffd');

/**
 * Bytes that may have to be written in another way: letters of CommonMark, or of GitHub's tables, strikethrough and
 * formulas, control characters but tab, and the first byte of U+2028 and U+2029. (U+0080 to U+009F are not among them: a
 * reference to one means Windows-1252 to HTML, and so to many parsers.)
 */
const SPECIAL = byteTable('\\`*_[~<&$\xe2', 0x20);
SPECIAL[0x09] = 0;
const NEWLINE = byteTable('\n');
/** What the first byte of a heading, quote, list, rule or table may be. */
const STARTS_BLOCK = byteTable('>-+#=:|0123456789');
/** What keeps {@link writeFlat} from writing text as it is: also white space but the space, and what may begin it. */
const NOT_FLAT = byteTable('\\`*_[~<&$\xc2\xe1\xe2\xe3\xef', 0x20);
const ALPHANUMERIC = byteTable('0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz');
const STARTS_TAG = byteTable('/!?ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz');
const DIGIT = byteTable('0123456789');
const ENTITY = /^&#?[0-9A-Za-z]{1,40};/;
/** The longest that {@link ENTITY} matches. */
const ENTITY_LENGTH = 43;

/**
 * Writes text as the lines of a block quote, such that a CommonMark parser gives it back to the last character, where a
 * line break of either kind is read as a newline and a new paragraph as two.
 *
 * Text without any letter that Markdown knows stays as it is. Otherwise:
 * - a letter that would mean something gets a backslash, wherever it would, and nowhere else;
 * - white space at the edges of a line, control characters and U+2028 become numeric references (`&#32;`), since parsers
 *   drop or break at them (some drop more than CommonMark says); a line that ends in white space and goes on ends in a
 *   backslash instead;
 * - one blank line begins a paragraph, every further one is a backslash alone;
 * - a newline at the very end is `&#10;`;
 * - U+0000 becomes U+FFFD, for CommonMark has no way to write it. PostgreSQL text holds none.
 */
export function writeQuotation(out: ByteWriter, { source, start, end }: Text): void {
  const endsInNewline = end > start && source[end - 1] === LINE_FEED;
  const last = endsInNewline ? end - 1 : end;
  let isAfterText = false;
  for (let from = start; ;) {
    const to = nextMarked(source, from, last, NEWLINE);
    out.bytes(QUOTE);
    if (to === last) {
      writeLine(out, new Text(source, from, to), false);
      if (endsInNewline) out.bytes(NEWLINE_AT_END);
      out.byte(LINE_FEED);
      return;
    }
    if (from < to) {
      const endsParagraph = to + 1 < last && source[to + 1] === LINE_FEED;
      writeLine(out, new Text(source, from, to), !endsParagraph);
    } else if (!isAfterText) {
      out.byte(BACKSLASH);
    }
    out.byte(LINE_FEED);
    isAfterText = from < to;
    from = to + 1;
  }
}

/** Writes text on one line, white space of any kind collapsed, with nothing in it that Markdown would act on. */
export function writeFlat(out: ByteWriter, text: Text): void {
  if (isFlat(text)) out.text(text);
  else writeInline(out, Text.of(collapsed(text)));
}

/** The same for the end of a heading, where a run of `#` would be taken for its closing sequence. */
export function writeFlatHeading(out: ByteWriter, text: Text): void {
  if (text.source[text.end - 1] !== HASH && isFlat(text)) {
    out.text(text);
    return;
  }
  const flat = Text.of(collapsed(text));
  let run = flat.end;
  while (run > flat.start && flat.source[run - 1] === HASH) run--;
  writeInline(out, new Text(flat.source, flat.start, run));
  if (run < flat.end) out.byte(BACKSLASH);
  out.run(flat.source, run, flat.end);
}

function collapsed(text: Text): string {
  return text
    .toString()
    .replaceAll(/[\s\u0085]+/g, ' ')
    .trim();
}

/** Nothing to escape, and no white space but single spaces inside. */
function isFlat({ source, start, end }: Text): boolean {
  if (source[start] === 0x20 || source[end - 1] === 0x20) return start === end;
  for (let index = nextMarked(source, start, end, NOT_FLAT); index < end;) {
    if ((source[index] as number) < 0x80) return false;
    if (spaceLength(source, index) > 0 || lineSeparatorAt(source, index) !== 0) return false;
    index = nextMarked(source, index + 1, end, NOT_FLAT);
  }
  return source.subarray(start, end).indexOf('  ') < 0;
}

/** @param goesOn the next line belongs to the same paragraph */
function writeLine(out: ByteWriter, line: Text, goesOn: boolean): void {
  const { source, end } = line;
  const space = lastSpace(line);
  let { start } = line;
  const indented = startsInSpace(line);
  if (indented) {
    start += spaceLength(source, start);
    writeReference(out, line.part(line.start, start).charCodeAt(0));
  }
  const last = goesOn ? end : Math.max(start, space);
  const body = new Text(source, start, last);
  if (!indented && start < last && STARTS_BLOCK[source[start] as number] === 1) writeStart(out, body);
  else writeInline(out, body);
  if (last < end) writeReference(out, line.part(last, end).charCodeAt(0));
  else if (space < end && goesOn) out.byte(BACKSLASH);
}

/** Escapes what only means something at the start of a line: headings, quotes, lists, rules, tables. */
function writeStart(out: ByteWriter, line: Text): void {
  const { source, start, end } = line;
  const text = line.toString();
  const number = /^(\d{1,9})[.)](?=\s|$)/.exec(text)?.[1];
  if (number !== undefined) {
    const marker = start + number.length;
    out.run(source, start, marker);
    out.byte(BACKSLASH);
    out.run(source, marker, marker + 1);
    writeInline(out, new Text(source, marker + 1, end));
    return;
  }
  const isBlock =
    /^(>|[-+](\s|$)|#{1,6}(\s|$)|=+\s*$)/.test(text) || (/^[-:|\s]+$/.test(text) && text.includes('-'));
  if (isBlock) out.byte(BACKSLASH);
  writeInline(out, line);
}

function writeInline(out: ByteWriter, line: Text): void {
  const { source, start, end } = line;
  let run = start;
  for (let index = nextMarked(source, start, end, SPECIAL); index < end;) {
    const byte = source[index] as number;
    const separator = byte === 0xe2 ? lineSeparatorAt(source, index) : 0;
    let next = index + 1;
    if (byte < 0x20 || separator !== 0) {
      out.run(source, run, index);
      if (byte === 0) out.bytes(REPLACEMENT);
      else writeReference(out, separator === 0 ? byte : separator);
      if (separator !== 0) next = index + 3;
      run = next;
    } else if (byte !== 0xe2 && hasMeaning(line, index)) {
      out.run(source, run, index);
      out.byte(BACKSLASH);
      run = index;
    }
    index = nextMarked(source, next, end, SPECIAL);
  }
  out.run(source, run, end);
}

/** Whether the letter at `index` means something where it stands; what is outside of the line does not count. */
function hasMeaning({ source, start, end }: Text, index: number): boolean {
  const before = index > start ? (source[index - 1] as number) : 0;
  const after = index + 1 < end ? (source[index + 1] as number) : 0;
  switch (source[index]) {
    case BACKSLASH:
      // What follows may itself become a reference or get a backslash.
      return ALPHANUMERIC[after] === 0;
    case 0x5f: // _
      return ALPHANUMERIC[before] === 0 || ALPHANUMERIC[after] === 0;
    case 0x3c: // <
      return STARTS_TAG[after] === 1;
    case 0x26: // &
      return ENTITY.test(source.toString('latin1', index, Math.min(index + ENTITY_LENGTH, end)));
    case 0x24: // $
      // Without a dollar sign that can close it, no formula is opened: $5 and $10 stay readable.
      return index > start && lastSpace(new Text(source, start, index)) === index && DIGIT[after] === 0;
    default:
      return true;
  }
}

function writeReference(out: ByteWriter, codeUnit: number): void {
  out.ascii(`&#${codeUnit};`);
}
