import { isUtf8 } from 'node:buffer';
import { ROLES } from '../conversation.js';
import { problems } from '../targets/row-checks.js';
import { withoutBom } from './byte-order-mark.js';
import type { FileCheck } from './file-check.js';
import { createLineSplitter } from './line-splitter.js';
import type { Locate } from './problem-log.js';

/** The columns of an export in their order; flags leave some out and add the last ones. */
const COLUMNS = [
  'conversation_id',
  'title',
  'status',
  'tier',
  'turn_number',
  'role',
  'content',
  'quality_score',
  'persona',
  'emotion',
  'topic',
  'created_at',
  'updated_at',
  'parent_id',
  'parent_type',
  'review_history',
];
const QUOTE = 0x22;
/** Excel cuts a cell here. */
const LONGEST_CELL = 32_767;
/** Words that pandas, and so the `datasets` library, reads as nothing, quoted or not. */
const NULL_WORDS = new Set(['NA', 'None', 'null', 'nan', 'n/a', 'N/A', '#N/A', '<NA>']);

/** CSV as the export writes it: a header, the same number of cells in each record, quotes where they belong. */
export function checkCsvFile(locate: Locate, maxRecordBytes: number): FileCheck {
  let header: readonly string[] | null = null;
  let records = 0;
  let pending: Buffer[] = [];
  let pendingBytes = 0;
  let firstLine = 0;
  let isOpen = false;
  let isOther = false;

  const record = (bytes: Buffer, line: number): void => {
    const { error, warning } = problems((problem) => locate(problem, line));
    if (!isUtf8(bytes)) {
      error('not-utf8', '', 'the record is not UTF-8', 'Convert the file, for example with iconv.');
      return;
    }
    const text = bytes.toString('utf8').replace(/\r$/, '');
    const cells = cellsOf(text);
    if (cells === null) {
      error(
        'quote',
        '',
        'a quote stands inside a cell without quotes, or something stands behind a closing quote',
        'Quote the cell, and double each quote in it.',
      );
    }
    if (header === null) {
      header = cells ?? [];
      checkHeader(header, locate);
      return;
    }
    records += 1;
    if (cells === null) return;
    if (cells.length !== header.length) {
      error(
        'cell-count',
        '',
        `the record has ${cells.length} cells and the header ${header.length}`,
        'Quote cells that hold commas or line breaks.',
      );
      return;
    }
    header.forEach((name, index) => {
      const cell = cells[index] ?? '';
      if (cell.length > LONGEST_CELL)
        warning(
          'long-cell',
          name,
          `the cell is longer than ${LONGEST_CELL} characters: spreadsheets cut it`,
          'Use JSON Lines for training.',
        );
      if (name === 'role' && !(ROLES as readonly string[]).includes(cell)) {
        error('unknown-role', name, 'the role is not one of system, user, assistant', 'Use one of them.');
      }
      if (name === 'conversation_id' && cell === '')
        error('missing-key', name, 'the record has no conversation_id', 'Add it.');
      if (name === 'turn_number' && !/^\d+$/.test(cell))
        error('wrong-type', name, 'the turn number is not a whole number', 'Write a whole number.');
      if (name === 'content' && cell.trim() === '')
        warning('empty-content', name, 'the content is blank', 'Leave the turn out.');
      if (name === 'content' && NULL_WORDS.has(cell))
        warning(
          'null-word',
          name,
          'pandas reads this word as no value, quoted or not',
          'Use JSON Lines for training.',
        );
    });
  };

  const splitter = createLineSplitter(maxRecordBytes, ({ number, bytes: whole }) => {
    if (isOther) return;
    const bytes = number === 1 && whole !== null ? withoutBom(whole, { bom: null }, locate) : whole;
    if (bytes === null) {
      if (whole === null) tooLong(number);
      else isOther = true;
      return;
    }
    if (pending.length === 0) firstLine = number;
    // A line break inside quotes belongs to the cell; doubled quotes do not change the parity.
    if (countQuotes(bytes) % 2 === 1) isOpen = !isOpen;
    pendingBytes += bytes.length + 1;
    if (pendingBytes > maxRecordBytes) {
      tooLong(firstLine);
      return;
    }
    pending.push(pending.length === 0 ? Buffer.from(bytes) : Buffer.concat([Buffer.from('\n'), bytes]));
    if (isOpen) return;
    const complete = Buffer.concat(pending);
    pending = [];
    pendingBytes = 0;
    record(complete, firstLine);
  });

  const tooLong = (line: number): void => {
    isOther = true;
    pending = [];
    locate(
      {
        rule: 'line-too-long',
        path: '',
        severity: 'error',
        message: `a record is longer than ${maxRecordBytes} bytes: probably a quote is not closed`,
        fix: 'Close the quote.',
      },
      line,
    );
  };

  return {
    write: (bytes) => splitter.write(bytes),
    end() {
      splitter.end();
      if (pending.length > 0) {
        const { error } = problems((problem) => locate(problem, firstLine));
        error(
          'cut-off',
          '',
          'a quote that opens in this record is never closed',
          'Close it, or write the file again: it was cut off.',
        );
      }
      return { rows: records, shape: null };
    },
  };
}

function checkHeader(header: readonly string[], locate: Locate): void {
  const { error, warning } = problems((problem) => locate(problem, 1));
  if (!header.includes('conversation_id')) {
    error(
      'missing-key',
      'conversation_id',
      'the header has no column conversation_id',
      `Start the file with a header such as ${COLUMNS.slice(0, 7).join(',')}.`,
    );
  }
  const twice = header.find((name, index) => header.indexOf(name) !== index);
  if (twice !== undefined)
    error('duplicate-key', twice, 'the header names a column twice', 'Name each column once.');
  const known = header.filter((name) => COLUMNS.includes(name));
  for (const name of header) {
    if (!COLUMNS.includes(name))
      warning(
        'extra-key',
        name,
        'the column is none of those that an export writes',
        'Remove it unless you added it on purpose.',
      );
  }
  const places = known.map((name) => COLUMNS.indexOf(name));
  if (places.some((place, index) => index > 0 && place < (places[index - 1] as number))) {
    warning(
      'column-order',
      '',
      'the columns stand in another order than an export writes',
      'Read columns by name, not by place.',
    );
  }
}

function countQuotes(bytes: Buffer): number {
  let count = 0;
  for (let index = bytes.indexOf(QUOTE); index !== -1; index = bytes.indexOf(QUOTE, index + 1)) count += 1;
  return count;
}

/** The cells of a record (RFC 4180); null when a quote stands where none may. */
export function cellsOf(record: string): string[] | null {
  const cells: string[] = [];
  for (let from = 0; ; from += 1) {
    if (record[from] === '"') {
      let end = from + 1;
      for (;;) {
        end = record.indexOf('"', end);
        if (end === -1) return null;
        if (record[end + 1] !== '"') break;
        end += 2;
      }
      cells.push(record.slice(from + 1, end).replaceAll('""', '"'));
      from = end + 1;
    } else {
      const comma = record.indexOf(',', from);
      const end = comma === -1 ? record.length : comma;
      const cell = record.slice(from, end);
      if (cell.includes('"')) return null;
      cells.push(cell);
      from = end;
    }
    if (from >= record.length) return cells;
    if (record[from] !== ',') return null;
  }
}
