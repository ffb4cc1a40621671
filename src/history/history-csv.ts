import { stringify } from 'csv-stringify/sync';
import type { Access } from '../db/access.js';
import { HISTORY_COLUMNS, readWholeRows } from '../db/history.js';
import { guardFormula } from '../formats/csv-formulas.js';
import { STRINGIFY } from '../formats/csv-options.js';
import { parseHistoryQuery, type HistoryQueryInput } from '../history.js';

/**
 * Writes every export that matches as CSV: all columns of the log and, with the prefix `run_`, of its companion. UTF-8
 * without byte order mark; text that a spreadsheet may run as a formula is guarded as in exports. It is complete only
 * once the promise has resolved: publish nothing before. A query's page and limit play no part.
 * @param write is awaited before more is read
 * @returns how many exports were written
 * @throws LoraExportError `E_USAGE` for a query that is not valid, or what the database or `write` reports
 */
export async function writeHistoryCsv(
  access: Access,
  input: HistoryQueryInput,
  write: (bytes: Uint8Array) => Promise<void>,
): Promise<number> {
  const query = parseHistoryQuery(input);
  let written = 0;
  await write(Buffer.from(`${HISTORY_COLUMNS.map(({ name }) => name).join(',')}\n`));
  await readWholeRows(access, query, async (rows) => {
    const cells = rows.map((row) => row.map(guarded));
    await write(Buffer.from(stringify(cells, STRINGIFY)));
    written += rows.length;
  });
  return written;
}

function guarded(cell: string | null, index: number): string | null {
  return cell !== null && HISTORY_COLUMNS[index]?.isText ? guardFormula(cell) : cell;
}
