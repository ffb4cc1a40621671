import type postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { AUDIT_TABLES } from '../../src/db/audit-schema.js';
import { migrate } from '../../src/db/migrate.js';
import { auditProblems, verifySchema } from '../../src/db/verify.js';
import { applyAuthShim } from '../support/audit.js';
import { createDatabase, type TestDatabase } from '../support/database.js';

const GROUPS = ['column', 'constraint', 'index', 'policy', 'rls', 'table', 'trigger'];

let shimmed: TestDatabase;
let plain: TestDatabase;

beforeAll(async () => {
  [shimmed, plain] = await Promise.all([createDatabase('empty'), createDatabase('ready')]);
  await applyAuthShim(shimmed.sql);
  await migrate(shimmed.sql, { schema: 'public' });
});

afterAll(async () => {
  await Promise.all([shimmed.drop(), plain.drop()]);
});

/** Applies a change, verifies, and repairs by dropping the tables and migrating again. */
async function driftAfter(sql: postgres.Sql, change: string): Promise<string[]> {
  await sql.unsafe(change).simple();
  try {
    const checks = await verifySchema(sql, { schema: 'public' });
    return checks
      .filter(({ ok }) => !ok)
      .map(({ group, name, expected, found }) => `${group} ${name}: ${found}, not ${expected}`);
  } finally {
    await sql.unsafe('drop table if exists export_runs; drop table if exists export_logs').simple();
    await migrate(sql, { schema: 'public' });
  }
}

describe('verifySchema', () => {
  test('reports every kind of object, all of them sound, right after the migrations', async () => {
    for (const { sql } of [plain, shimmed]) {
      const checks = await verifySchema(sql, { schema: 'public' });
      expect(checks.filter(({ ok }) => !ok)).toEqual([]);
      expect([...new Set(checks.map(({ group }) => group))].sort()).toEqual(GROUPS);
    }
  });

  test('says what cannot apply on plain PostgreSQL', async () => {
    const checks = await verifySchema(plain.sql, { schema: 'public' });
    const notApplicable = checks.filter(({ found }) => found.startsWith('not applicable'));
    expect(notApplicable.map(({ group }) => group)).toEqual([
      'constraint',
      'rls',
      'rls',
      ...Array(6).fill('policy'),
    ]);
  });

  test('finds everything missing in a schema without tables', async () => {
    const checks = await verifySchema(plain.sql, { schema: 'nowhere' });
    const present = checks.filter(({ found }) => found !== 'missing' && !found.startsWith('not applicable'));
    expect(present).toEqual([]);
    expect(checks.filter(({ group }) => group === 'table').map(({ name }) => name)).toEqual([
      ...AUDIT_TABLES,
    ]);
  });

  test.each([
    ['drop index idx_export_logs_status', 'index idx_export_logs_status: missing, not btree (status)'],
    [
      'drop index idx_export_logs_expires_at; create index idx_export_logs_expires_at on export_logs (expires_at)',
      `index idx_export_logs_expires_at: btree (expires_at), not btree (expires_at) WHERE (status = 'completed'::text)`,
    ],
    [
      'alter table export_logs drop constraint export_logs_format_check',
      "constraint export_logs_format_check: missing, not CHECK ((format = ANY (ARRAY['json'::text, 'jsonl'::text, 'csv'::text, 'markdown'::text])))",
    ],
    [
      `alter table export_runs drop constraint export_runs_phase_check,
        add constraint export_runs_phase_check check (phase <> '')`,
      "constraint export_runs_phase_check: CHECK ((phase <> ''::text)), not CHECK ((phase = ANY (ARRAY['queued'::text, 'writing'::text, 'publishing'::text, 'done'::text])))",
    ],
    [
      'alter table export_logs drop constraint fk_export_logs_user',
      'constraint fk_export_logs_user: missing, not FOREIGN KEY (user_id) REFERENCES auth.users(id) ON DELETE CASCADE',
    ],
    ['alter table export_logs disable row level security', 'rls export_logs: disabled, not enabled'],
    [
      'drop policy "Users can view own export logs" on export_logs',
      'policy Users can view own export logs: missing, not SELECT of own rows',
    ],
    [
      'alter policy "Users can view own export logs" on export_logs using (true)',
      'policy Users can view own export logs: SELECT where true, not SELECT of own rows',
    ],
    [
      'alter policy "Users can view own export logs" on export_logs using (auth.uid() = user_id or true)',
      'policy Users can view own export logs: SELECT where ((auth.uid() = user_id) OR true), not SELECT of own rows',
    ],
    [
      'create policy "stray" on export_logs for select using (true)',
      'policy stray: SELECT where true, not no policy that opens the table or allows DELETE',
    ],
    [
      'create policy "eraser" on export_runs for delete using (auth.uid() is not null)',
      'policy eraser: DELETE where (auth.uid() IS NOT NULL), not no policy that opens the table or allows DELETE',
    ],
    [
      'alter table export_logs disable trigger export_logs_transitions',
      'trigger export_logs_transitions: disabled, function as in the migration, not enabled, function as in the migration',
    ],
    [
      'drop trigger export_logs_transitions on export_logs',
      'trigger export_logs_transitions: missing, not enabled, function as in the migration',
    ],
    [
      `create or replace function export_logs_transitions() returns trigger language plpgsql as 'begin return new; end'`,
      'trigger export_logs_transitions: enabled, function of another version, not enabled, function as in the migration',
    ],
    [
      'alter table export_logs alter column conversation_count type bigint',
      'column export_logs.conversation_count: bigint not null, not integer not null',
    ],
    [
      'alter table export_logs alter column user_id drop not null',
      'column export_logs.user_id: uuid, not uuid not null',
    ],
    ['alter table export_runs drop column sha256', 'column export_runs.sha256: missing, not text'],
    [
      'alter table export_logs add column tenant uuid not null',
      'column export_logs.tenant: not null without default, not null or a default',
    ],
  ])('finds the drift after: %s', async (change, line) => {
    expect(await driftAfter(shimmed.sql, change)).toEqual([line]);
  });

  test('accepts extra columns and an equal constraint of another name', async () => {
    const change = `
      alter table export_logs add column downloaded_count integer default 0, add column note text;
      alter table export_logs rename constraint export_logs_status_check to known_statuses`;
    expect(await driftAfter(shimmed.sql, change)).toEqual([]);
  });
});

describe('auditProblems', () => {
  test('is empty for our tables, null without them, and names what makes them unusable', async () => {
    const database = await createDatabase('ready');
    const { sql } = database;
    try {
      expect(await auditProblems(sql, { schema: 'public' })).toEqual([]);
      await sql`alter table export_runs alter column attempt type text`;
      await sql`alter table export_logs drop column config`;
      expect(await auditProblems(sql, { schema: 'public' })).toEqual([
        'export_logs.config is missing (jsonb)',
        'export_runs.attempt is text instead of integer',
      ]);
      await sql`drop table export_runs, export_logs`;
      expect(await auditProblems(sql, { schema: 'public' })).toBeNull();
    } finally {
      await database.drop();
    }
  });
});
