import type { ChalkInstance } from 'chalk';
import { visible } from '../visible.js';
import { table } from './render.js';

/** How much of a cell a table shows, in characters. */
const CELL = 40;

/** A preview for a terminal: control characters visible, JSON in colours, CSV as a table. */
export function colourPreview(text: string, extension: string, chalk: ChalkInstance): string {
  if (extension === 'csv') return csvTable(text);
  const lines = text.split('\n').map(visible);
  if (extension === 'md') return lines.join('\n');
  return lines.map((line) => colourJson(line, chalk)).join('\n');
}

/** One regular expression finds every token of a line of JSON; what it does not find stays as it is. */
export function colourJson(line: string, chalk: ChalkInstance): string {
  return line.replace(
    /("(?:[^"\\]|\\.)*")(\s*:)?|\b(true|false|null)\b|-?\d+(?:\.\d+)?(?:e[+-]?\d+)?/gi,
    (token, string: string | undefined, colon: string | undefined, word: string | undefined) => {
      if (string !== undefined) return colon === undefined ? chalk.green(string) : chalk.cyan(string) + colon;
      return word === undefined ? chalk.yellow(token) : chalk.magenta(token);
    },
  );
}

function csvTable(text: string): string {
  const [head = [], ...rows] = parseCsv(text.replace(/^\u{feff}/u, ''));
  const short = (cell: string): string => (cell.length > CELL ? `${cell.slice(0, CELL - 1)}…` : cell);
  return table(
    head,
    rows.slice(0, 10).map((row) => row.map(short)),
  );
}

/**
 * RFC 4180, for a text that is known to be well-formed: it was just written. One regular expression would do, but runs
 * out of stack on a cell of some megabytes.
 */
export function parseCsv(text: string): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  for (let index = 0; index < text.length;) {
    const end = text[index] === '"' ? endOfQuoted(text, index) : endOfPlain(text, index);
    const cell = text.slice(index, end);
    row.push(cell.startsWith('"') ? cell.slice(1, -1).replaceAll('""', '"') : cell);
    index = end + (text.startsWith('\r\n', end) ? 2 : 1);
    if (text[end] === ',') continue;
    rows.push(row);
    row = [];
  }
  return rows;
}

/** Behind the quote that closes the one at `start`; a doubled quote does not. */
function endOfQuoted(text: string, start: number): number {
  let quote = text.indexOf('"', start + 1);
  while (quote !== -1 && text[quote + 1] === '"') quote = text.indexOf('"', quote + 2);
  return quote === -1 ? text.length : quote + 1;
}

function endOfPlain(text: string, start: number): number {
  let end = start;
  while (end < text.length && !',\r\n'.includes(text[end] as string)) end++;
  return end;
}
