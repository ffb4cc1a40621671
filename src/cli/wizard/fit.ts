import truncatedWidth from 'fast-string-truncated-width';
import type { Style } from './style.js';

/** Columns that a text takes in a terminal. */
export function widthOf(text: string): number {
  return truncatedWidth(text).width;
}

/** Any text on one line of at most so many columns, control characters visible; what is cut off is marked. */
export function fit(
  text: string,
  columns: number,
  { show, ellipsis }: Pick<Style, 'show' | 'ellipsis'>,
): string {
  // What is far beyond the end is not looked at: texts may be long, and characters may take no column at all.
  const beginning = text.slice(0, 2 * columns + 10).replace(/[\ud800-\udbff]$/, '');
  const shown = show(beginning);
  const { truncated, index } = truncatedWidth(shown, {
    limit: Math.max(columns, widthOf(ellipsis) + 1),
    ellipsis,
  });
  return truncated || beginning.length < text.length ? shown.slice(0, index) + ellipsis : shown;
}

/** Fills up with spaces to so many columns. */
export function pad(text: string, columns: number): string {
  return text + ' '.repeat(Math.max(0, columns - widthOf(text)));
}

/**
 * A line of prose in lines of at most so many columns, broken between words; all keep the indentation of the first. A
 * word that is longer than a line, such as a path, stays whole, so that it can be copied.
 */
export function wrap(text: string, columns: number): string[] {
  if (widthOf(text) <= columns) return [text];
  const indent = /^ */.exec(text)?.[0] ?? '';
  const lines: string[] = [];
  let line = '';
  for (const word of text.slice(indent.length).split(' ')) {
    const longer = line === '' ? indent + word : `${line} ${word}`;
    const fitsAlone = widthOf(indent + word) <= columns;
    if (line !== '' && widthOf(longer) > columns && fitsAlone) {
      lines.push(line);
      line = indent + word;
    } else {
      line = longer;
    }
  }
  return [...lines, line];
}

/** Short pieces in as few lines as take them, never broken within a piece. */
export function flow(pieces: readonly string[], separator: string, columns: number): string[] {
  const lines: string[] = [];
  for (const piece of pieces) {
    const last = lines.at(-1);
    const longer = `${last}${separator}${piece}`;
    if (last !== undefined && widthOf(longer) <= columns) lines[lines.length - 1] = longer;
    else lines.push(piece);
  }
  return lines;
}
