/** White space as `trim` sees it: some parsers drop more than CommonMark says at the edges of a paragraph. */
const SPACE_AT_START = /^\s/;
const SPACE_AT_END = /\s$/;

/** Where a letter of CommonMark, or of GitHub's tables, strikethrough and formulas, may stand in the middle of a line. */
const SPECIAL = /[\\`*_[~<&$\p{Cc}\u2028\u2029]/gu;
const ALPHANUMERIC = /^[0-9A-Za-z]/;
const STARTS_TAG = /^[A-Za-z/!?]/;
const ENTITY = /&#?[0-9A-Za-z]{1,40};/y;

/** What `writeQuotation` of the product promises, with strings and regular expressions. */
export function quoteText(text: string): string {
  const lines = text.split('\n');
  const endsInNewline = lines.length > 1 && lines.at(-1) === '';
  if (endsInNewline) lines.pop();
  const last = lines.length - 1;
  let quoted = '';
  lines.forEach((line, index) => {
    let written: string;
    if (index === last) {
      written = endsInNewline ? `${escapeLine(line, false)}&#10;` : escapeLine(line, false);
    } else if (line === '') {
      const beginsParagraph = index > 0 && lines[index - 1] !== '';
      written = beginsParagraph ? '' : '\\';
    } else {
      const endsParagraph = lines[index + 1] === '' && index + 1 < last;
      written = escapeLine(line, !endsParagraph);
    }
    quoted += `> ${written}\n`;
  });
  return quoted;
}

/** Text on one line, white space of any kind collapsed, with nothing in it that Markdown would act on. */
export function flattenText(text: string): string {
  return escapeInline(text.replaceAll(/[\s\u0085]+/g, ' ').trim());
}

/** The same for the end of a heading, where a run of `#` would be taken for its closing sequence. */
export function flattenHeading(text: string): string {
  const flat = flattenText(text);
  let run = flat.length;
  while (flat[run - 1] === '#') run--;
  return run === flat.length ? flat : `${flat.slice(0, run)}\\${flat.slice(run)}`;
}

/** @param goesOn the next line belongs to the same paragraph */
function escapeLine(line: string, goesOn: boolean): string {
  const startsInSpace = SPACE_AT_START.test(line);
  const endsInSpace = SPACE_AT_END.test(line);
  const start = startsInSpace ? 1 : 0;
  const end = endsInSpace && !goesOn ? Math.max(start, line.length - 1) : line.length;
  const body = line.slice(start, end);
  return (
    (startsInSpace ? reference(line.charCodeAt(0)) : '') +
    (startsInSpace ? escapeInline(body) : escapeStart(body)) +
    (end < line.length ? reference(line.charCodeAt(end)) : '') +
    (endsInSpace && goesOn ? '\\' : '')
  );
}

/** Escapes what only means something at the start of a line: headings, quotes, lists, rules, tables. */
function escapeStart(line: string): string {
  const list = /^(\d{1,9})([.)])(?=\s|$)/.exec(line);
  if (list !== null) {
    const [marker = '', number = ''] = list;
    return `${number}\\${marker.slice(number.length)}${escapeInline(line.slice(marker.length))}`;
  }
  const isBlock =
    /^(>|[-+](\s|$)|#{1,6}(\s|$)|=+\s*$)/.test(line) || (/^[-:|\s]+$/.test(line) && line.includes('-'));
  return isBlock ? `\\${escapeInline(line)}` : escapeInline(line);
}

function escapeInline(line: string): string {
  return line.replaceAll(SPECIAL, (letter, offset: number) => {
    if (letter === '\0') return '\ufffd';
    // A reference to U+0080 … U+009F means Windows-1252 to HTML, and so to many parsers.
    if (letter === '\t' || (letter >= '\u007f' && letter <= '\u009f')) return letter;
    if (letter < ' ' || letter > '~') return reference(letter.charCodeAt(0));
    return hasMeaning(letter, line, offset) ? `\\${letter}` : letter;
  });
}

function hasMeaning(letter: string, line: string, offset: number): boolean {
  const before = line[offset - 1] ?? '';
  const after = line[offset + 1] ?? '';
  switch (letter) {
    case '\\':
      // What follows may itself become a reference or get a backslash.
      return !ALPHANUMERIC.test(after);
    case '_':
      return !(ALPHANUMERIC.test(before) && ALPHANUMERIC.test(after));
    case '<':
      return STARTS_TAG.test(after);
    case '&':
      ENTITY.lastIndex = offset;
      return ENTITY.test(line);
    case '$':
      // Without a dollar sign that can close it, no formula is opened: $5 and $10 stay readable.
      return before.trim() !== '' && !/\d/.test(after);
    default:
      return true;
  }
}

function reference(codeUnit: number): string {
  return `&#${codeUnit};`;
}
