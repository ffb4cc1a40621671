import truncatedWidth from 'fast-string-truncated-width';
import { visible } from '../../visible.js';

/** Columns that a text takes in a terminal. */
export function widthOf(text: string): number {
  return truncatedWidth(text).width;
}

/** Database text on one line of at most so many columns, control characters visible; what is cut off is marked. */
export function fit(text: string, columns: number, ellipsis: string): string {
  const shown = visible(text);
  const { truncated, index } = truncatedWidth(shown, {
    limit: Math.max(columns, widthOf(ellipsis) + 1),
    ellipsis,
  });
  return truncated ? shown.slice(0, index) + ellipsis : shown;
}

/** A line of prose in lines of at most so many columns, broken between words; all keep the indentation of the first. */
export function wrap(text: string, columns: number): string[] {
  const indent = /^ */.exec(text)?.[0] ?? '';
  if (widthOf(text) <= columns) return [text];
  const lines: string[] = [];
  let line = '';
  for (const word of text.slice(indent.length).split(' ')) {
    const longer = line === '' ? indent + word : `${line} ${word}`;
    if (line !== '' && widthOf(longer) > columns) {
      lines.push(line);
      line = indent + word;
    } else {
      line = longer;
    }
  }
  return [...lines, line];
}
