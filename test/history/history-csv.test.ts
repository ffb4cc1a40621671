import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { writeHistoryCsv } from '../../src/history/history-csv.js';
import type { HistoryQueryInput } from '../../src/history.js';
import { hasPython, readCsv, readWithPython, unguarded } from '../formats/readers.js';
import { withAccess } from '../support/access.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { failureOf } from '../support/export.js';
import { record } from '../support/recorded.js';

const ANNA = '0a000000-0000-4000-8000-000000000001';
const BERT = '0b000000-0000-4000-8000-000000000002';

let database: TestDatabase;

beforeEach(async () => {
  database = await createDatabase();
});
afterEach(() => database.drop());

async function csvOf(
  query: HistoryQueryInput = {},
  userId?: string,
  onWrite: (bytes: Uint8Array) => Promise<unknown> = () => Promise.resolve(),
): Promise<{ text: string; written: number }> {
  const chunks: Buffer[] = [];
  const written = await withAccess(database, userId, (access) =>
    writeHistoryCsv(access, query, async (bytes) => {
      chunks.push(Buffer.from(bytes));
      await onWrite(bytes);
    }),
  );
  return { text: Buffer.concat(chunks).toString('utf8'), written };
}

/** Rows as objects, by a reader that shares nothing with the writer. */
function rowsOf(text: string): Record<string, string | null>[] {
  const [header = [], ...rows] = readCsv(text);
  return rows.map((row) => Object.fromEntries(row.map((cell, index) => [header[index] ?? '', cell])));
}

describe('the CSV of a history', () => {
  it('has every column of the two tables, those of the log first and in their order', async () => {
    const { text, written } = await csvOf();
    expect(written).toBe(0);
    const columns = await database.sql<{ table: string; name: string }[]>`
      select table_name as table, column_name as name from information_schema.columns
      where table_schema = 'public' and table_name in ('export_logs', 'export_runs')
      order by table_name, ordinal_position`;
    const expected = columns
      .filter(({ table, name }) => table === 'export_logs' || name !== 'export_id')
      .map(({ table, name }) => (table === 'export_logs' ? name : `run_${name}`));
    const [header, ...rest] = text.split('\n');
    expect(rest).toEqual(['']);
    expect(header?.split(',').toSorted()).toEqual(expected.toSorted());
    // A contract with the programs that read it: columns may be added at the end of each table, none be moved.
    expect(header).toMatch(
      new RegExp(
        '^id,export_id,user_id,timestamp,format,config,conversation_count,file_size,status,file_url,expires_at,' +
          'error_message,created_at,updated_at,run_phase,run_worker_id,run_worker_host,run_attempt,run_heartbeat_at,' +
          'run_matched_count,run_read_count,run_written_count,run_skipped_count,run_skips,run_warnings,run_sha256,' +
          'run_output,run_storage_key,run_duration_ms,run_file_deleted_at,run_created_at,run_updated_at,run_repairs,' +
          'run_progress,run_detached',
      ),
    );
  });

  it('holds every value: whole configurations, microseconds, infinity, and absent is not empty', async () => {
    const config = { version: 1, scope: 'all', filters: { topics: ['a "quoted", one', 'Ümläut 💬'] } };
    const id = await record(database.sql, {
      userId: ANNA,
      config,
      timestamp: '2025-10-29T10:00:00.123456+02:00',
      expiresAt: 'infinity',
      error: '',
      run: { skips: { 'no-turns': { count: 1, ids: ['=x'] } }, progress: 100, detached: true },
    });
    const bare = await record(database.sql, { userId: ANNA, timestamp: '2025-10-01', config: {}, run: null });
    const [row, other] = rowsOf((await csvOf()).text);
    expect(row).toMatchObject({
      export_id: id,
      timestamp: '2025-10-29T08:00:00.123456Z',
      expires_at: 'infinity',
      error_message: '',
      file_url: null,
      run_progress: '100',
      run_detached: 'true',
    });
    expect(JSON.parse(row?.['config'] ?? '')).toEqual(config);
    expect(JSON.parse(row?.['run_skips'] ?? '')).toEqual({ 'no-turns': { count: 1, ids: ['=x'] } });
    expect(other).toMatchObject({ export_id: bare, config: '{}', error_message: null, run_phase: null });
  });

  const hostile = [
    '=HYPERLINK("http://example.org","x")',
    '+1',
    '-1',
    '@SUM(A1)',
    '\t=1',
    "'=1",
    'a,"b"\r\nc\nd\re',
    '  ',
    '\u202etext\u001b[31m',
    '"=1',
    '＝1',
  ];

  it('guards what a spreadsheet may run, and can be read back exactly', async () => {
    for (const error of hostile) await record(database.sql, { error, status: 'failed', config: error });
    await record(database.sql, { count: -5 });
    const { text } = await csvOf();
    const rows = rowsOf(text);
    for (const row of rows) {
      for (const name of ['error_message', 'config']) {
        expect(row[name] ?? '').not.toMatch(/^[\s\p{Cc}\p{Cf}"]*[=+\-@\uff1d]/u);
      }
    }
    const errors = rows.map((row) => row['error_message']).filter((cell) => cell !== null);
    expect(errors.map((cell) => unguarded(cell ?? '')).toSorted()).toEqual(hostile.toSorted());
    const configs = rows.map((row): unknown => JSON.parse(unguarded(row['config'] ?? '')));
    expect(configs.filter((config) => typeof config === 'string').toSorted()).toEqual(hostile.toSorted());
    expect(rows.map((row) => row['conversation_count'])).toContain('-5');
  });

  it.skipIf(!hasPython)('is read by another program into the same cells', async () => {
    for (const error of hostile) await record(database.sql, { error, status: 'failed', config: { error } });
    const { text } = await csvOf();
    const script =
      'import csv, io, json, sys; sys.stdout.write(json.dumps(list(csv.reader(io.StringIO(sys.stdin.buffer.read().decode("utf-8"), newline="")))))';
    const cells = readCsv(text).map((row) => row.map((cell) => cell ?? ''));
    expect(readWithPython(script, text)).toEqual(cells);
    expect(cells).toHaveLength(hostile.length + 1);
  });

  it('has every one of 3,000 rows once, in order, whatever page the query names', async () => {
    await database.sql`
      insert into export_logs (user_id, timestamp, format, config, conversation_count, status)
      select ${ANNA}, timestamptz '2025-01-01' + i % 1000 * interval '1 minute', 'jsonl', '{}', i, 'completed'
      from generate_series(1, 3000) i`;
    const { text, written } = await csvOf({ page: 2, limit: 10 }, ANNA);
    const rows = rowsOf(text);
    expect([written, rows.length]).toEqual([3000, 3000]);
    expect(new Set(rows.map((row) => row['conversation_count'])).size).toBe(3000);
    const keys = rows.map((row) => `${row['timestamp']} ${row['export_id']}`);
    expect(keys).toEqual(keys.toSorted().toReversed());
  });

  it('holds the rows of one instant, although others are recorded and removed meanwhile', async () => {
    await database.sql`
      insert into export_logs (user_id, format, config, conversation_count, status)
      select ${ANNA}, 'jsonl', '{}', i, 'completed' from generate_series(1, 100) i`;
    let begun = false;
    const { text } = await csvOf({}, ANNA, async (bytes) => {
      // The first bytes are the header; the snapshot is taken by the time of the first rows.
      if (begun || Buffer.from(bytes).toString().startsWith('id,')) return;
      begun = true;
      await database.sql`delete from export_logs where conversation_count <= 50`;
      await record(database.sql, { userId: ANNA, count: 999 });
    });
    expect(begun).toBe(true);
    const counts = rowsOf(text).map((row) => Number(row['conversation_count']));
    expect(counts.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, index) => index + 1));
  });

  it('reads a few rows at a time where they are large, and no more before they were taken', async () => {
    const ids = Array.from({ length: 20_000 }, (_, index) => `conversation-${index}-${'x'.repeat(40)}`);
    for (let n = 0; n < 20; n++)
      await record(database.sql, { config: { version: 1, scope: 'selected', ids } });
    const sizes: number[] = [];
    await csvOf({}, undefined, (bytes) => Promise.resolve(sizes.push(bytes.byteLength)));
    // Of a size that is not known yet, ten rows are read.
    expect(sizes.slice(2).every((size) => size < 8 * 1024 * 1024)).toBe(true);
    expect(sizes.length).toBeGreaterThan(5);
  });

  it('keeps to the filters and to the user', async () => {
    const mine = await record(database.sql, { userId: ANNA, status: 'failed', error: 'x' });
    await record(database.sql, { userId: ANNA });
    await record(database.sql, { userId: BERT, status: 'failed', error: 'x' });
    const { text } = await csvOf({ status: ['failed'] }, ANNA);
    expect(rowsOf(text).map((row) => row['export_id'])).toEqual([mine]);
  });

  it('fails when the reading breaks off', async () => {
    await database.sql`
      insert into export_logs (user_id, format, config, conversation_count, status)
      select ${ANNA}, 'jsonl', '{}', i, 'completed' from generate_series(1, 2000) i`;
    let batches = 0;
    const cut = async (): Promise<void> => {
      if (++batches !== 2) return;
      await database.sql`
        select pg_terminate_backend(pid) from pg_stat_activity
        where application_name like 'lora-export%' and datname = current_database()`;
    };
    await failureOf(csvOf({}, ANNA, cut), 'E_DB_UNREACHABLE');
  });
});
