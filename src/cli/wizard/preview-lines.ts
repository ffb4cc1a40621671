import type { ChalkInstance } from 'chalk';
import { wrapAnsi } from 'fast-wrap-ansi';
import type { FormatName } from '../../formats/index.js';
import { colourJson, parseCsv } from '../colour-preview.js';
import { fit, pad, widthOf } from './fit.js';
import type { Style } from './style.js';

/** Rows of a table that are shown. */
const TABLE_ROWS = 10;
/** A column of a table is at most so wide. */
const CELL_COLUMNS = 30;

interface Look {
  /** Of the screen. */
  readonly columns: number;
  readonly chalk: ChalkInstance;
  readonly show: Style['show'];
}

/**
 * The text of a preview in lines for a screen: control characters visible, long lines broken, JSON in colours, CSV as a
 * table.
 */
export function previewLines(text: string, format: FormatName, look: Look): string[] {
  if (format === 'csv') return tableLines(text, look);
  const lines = text
    .replace(/\r?\n$/, '')
    .split('\n')
    .map((line) => look.show(line));
  const coloured = format === 'markdown' ? lines : lines.map((line) => colourJson(line, look.chalk));
  return coloured.flatMap((line) => wrapAnsi(line, look.columns, { hard: true, trim: false }).split('\n'));
}

/** A wide table in several parts one below the other, each with the number of the row in front. */
function tableLines(text: string, { columns, chalk, show }: Look): string[] {
  const [head = [], ...all] = parseCsv(text.replace(/^\u{feff}/u, ''));
  const rows = all.slice(0, TABLE_ROWS);
  const style = { show, ellipsis: show('…') };
  const cells = [head, ...rows].map((row) =>
    row.map((cell) => fit(cell, Math.min(CELL_COLUMNS, columns - 4), style)),
  );
  const widths = head.map((_, column) => Math.max(...cells.map((row) => widthOf(row[column] ?? ''))));
  const numbers = ['', ...rows.map((_, index) => String(index + 1))].map((number) => pad(number, 4));
  const lines = partsOf(widths, columns - 4).flatMap(({ from, to }) => [
    ...cells.map((row, index) => {
      const line = row
        .slice(from, to)
        .map((cell, column) => pad(cell, widths[from + column] ?? 0))
        .join('  ');
      return numbers[index] + (index === 0 ? chalk.bold(line.trimEnd()) : line.trimEnd());
    }),
    '',
  ]);
  return [...lines, show(`${rows.length} of ${all.length} rows, ${head.length} columns.`)];
}

/** Which columns stand side by side. */
function partsOf(widths: readonly number[], columns: number): { from: number; to: number }[] {
  const parts: { from: number; to: number }[] = [];
  let from = 0;
  while (from < widths.length) {
    let to = from;
    let used = 0;
    while (to < widths.length && (to === from || used + (widths[to] ?? 0) <= columns)) {
      used += (widths[to] ?? 0) + 2;
      to++;
    }
    parts.push({ from, to });
    from = to;
  }
  return parts;
}
