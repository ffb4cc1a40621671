import { afterEach, beforeEach, expect, it } from 'vitest';

import { checkExport } from '../src/check.js';
import { parseDatabaseUrl } from '../src/db/target.js';
import type { ReportLine } from '../src/judging/tally.js';
import type { ExportRequestInput } from '../src/request.js';
import { addUser, applyAuthShim, applyMigrations } from './support/audit.js';
import { createDatabase, type TestDatabase } from './support/database.js';
import { addConversation, failureOf, runExport } from './support/export.js';

let database: TestDatabase;

beforeEach(async () => {
  database = await createDatabase('ready');
});
afterEach(() => database.drop());

function check(request: ExportRequestInput, onReport?: (line: ReportLine) => void) {
  return checkExport(request, { database: parseDatabaseUrl(database.url, 'the test'), onReport });
}

it('finds what the export then does, and leaves no trace', async () => {
  const { sql } = database;
  await addConversation(sql, { conversation_id: 'good' });
  await addConversation(sql, { conversation_id: 'none' }, []);
  await addConversation(sql, { conversation_id: 'trailing' }, [
    ['user', 'one'],
    ['assistant', 'two'],
    ['user', 'three'],
  ]);
  const request: ExportRequestInput = { target: 'openai', tokens: true };
  const lines: ReportLine[] = [];
  const found = await check(request, (line) => lines.push(line));
  expect(await sql`select from export_logs`).toHaveLength(0);

  const { result, bytes, reports } = await runExport(database, request);
  expect(found).toEqual({
    counts: result.counts,
    notes: result.notes,
    tokens: result.tokens,
    brokenLimits: result.brokenLimits,
    size: bytes.length,
  });
  expect(found.counts).toMatchObject({ written: 2, skipped: 1, repairs: { 'ends-with-user': { count: 1 } } });
  expect(lines).toEqual(reports);
});

it('works for every format, also one that needs the number of its conversations first', async () => {
  await addConversation(database.sql, { conversation_id: 'good' });
  for (const format of ['jsonl', 'json', 'csv', 'markdown'] as const) {
    const { size, counts } = await check({ format });
    expect(counts.written).toBe(1);
    expect(size).toBeGreaterThan(10);
  }
});

it('sees what the user may see, as previews and plans do', async () => {
  const { sql } = database;
  await applyAuthShim(sql);
  await applyMigrations(sql);
  const [anna, ben] = [await addUser(sql), await addUser(sql)];
  await addConversation(sql, { conversation_id: 'annas', created_by: anna });
  await sql.unsafe(`
    alter table conversations enable row level security;
    create policy own on conversations for select using (auth.uid() = created_by)`);
  expect((await check({ userId: anna })).counts.matched).toBe(1);
  expect((await check({ userId: ben })).counts.matched).toBe(0);
  expect((await check({ userId: ben, allUsers: true })).counts.matched).toBe(1);
  await failureOf(check({ userId: anna, requireAll: true }), 'E_DB_ACCESS');
  await failureOf(check({}), 'E_USAGE');
});
