import { execFile, spawnSync } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import postgres from 'postgres';
import { describe, expect, inject, onTestFinished, test } from 'vitest';

import { EXPECTED_COLUMNS } from '../../src/db/audit-schema.js';
import { migrate, readMigrations, rollBack } from '../../src/db/migrate.js';
import { auditProblems, verifySchema } from '../../src/db/verify.js';
import { LoraExportError } from '../../src/errors.js';
import { addLog, addUser, applyAuthShim } from '../support/audit.js';
import { createDatabase, type TestDatabase } from '../support/database.js';

const SEED_COLUMNS = [
  'id uuid',
  'export_id uuid',
  'user_id uuid',
  'timestamp timestamp with time zone',
  'format text',
  'config jsonb',
  'conversation_count integer',
  'file_size bigint',
  'status text',
  'file_url text',
  'expires_at timestamp with time zone',
  'error_message text',
  'created_at timestamp with time zone',
  'updated_at timestamp with time zone',
];

// The audit table of an older application, which this one must not touch.
const OLD_AUDIT_TABLE = `
  create table export_logs (
    id uuid primary key default gen_random_uuid(), export_id text, user_id uuid not null, scope text not null,
    format text not null, filter_state jsonb not null, conversation_ids uuid[], conversation_count integer not null,
    file_name text not null, file_size_bytes bigint, file_path text, compressed boolean default false,
    status text not null default 'pending' check (status in ('pending', 'processing', 'completed', 'failed')),
    metadata jsonb, quality_stats jsonb, tier_distribution jsonb, include_metadata boolean, include_scores boolean,
    include_timestamps boolean, include_approval boolean, error_message text, exported_at timestamptz default now(),
    expires_at timestamptz, downloaded_count integer default 0, last_downloaded_at timestamptz
  )`;

const hasPsql = spawnSync('psql', ['--version']).status === 0;

async function database(template: 'empty' | 'ready' = 'empty'): Promise<TestDatabase> {
  const created = await createDatabase(template);
  onTestFinished(() => created.drop());
  return created;
}

async function columnsOf(sql: postgres.Sql, schema: string, table: string): Promise<string[]> {
  const rows = await sql<{ name: string; type: string }[]>`
    select column_name as name, data_type as type from information_schema.columns
    where table_schema = ${schema} and table_name = ${table} order by ordinal_position`;
  return rows.map(({ name, type }) => `${name} ${type}`);
}

async function tablesOf(sql: postgres.Sql, schema: string): Promise<string[]> {
  const rows = await sql<{ name: string }[]>`
    select table_name as name from information_schema.tables where table_schema = ${schema} order by 1`;
  return rows.map(({ name }) => name);
}

async function failed(sql: postgres.Sql, schema = 'public') {
  const checks = await verifySchema(sql, { schema });
  return checks.filter((check) => !check.ok);
}

async function refusal(attempt: Promise<unknown>): Promise<LoraExportError> {
  const error: unknown = await attempt.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof LoraExportError)) throw new Error('expected a LoraExportError', { cause: error });
  return error;
}

describe('migrate', () => {
  test('leaves exactly the documented columns, in order', async () => {
    const { sql } = await database();
    const { applied } = await migrate(sql, { schema: 'public' });
    expect(applied).toEqual([
      '001_export_logs',
      '002_export_runs',
      '003_export_logs_transitions',
      '004_export_access',
    ]);
    expect(await columnsOf(sql, 'public', 'export_logs')).toEqual(SEED_COLUMNS);
    const runs = EXPECTED_COLUMNS.export_runs.map(({ name, type }) => `${name} ${type}`);
    expect(await columnsOf(sql, 'public', 'export_runs')).toEqual(runs);
    expect(await tablesOf(sql, 'public')).toEqual(['export_logs', 'export_runs']);
  });

  test('satisfies verifySchema on plain PostgreSQL and beside an auth schema', async () => {
    const plain = await database();
    await migrate(plain.sql, { schema: 'public' });
    expect(await failed(plain.sql)).toEqual([]);

    const shimmed = await database();
    await applyAuthShim(shimmed.sql);
    await migrate(shimmed.sql, { schema: 'public' });
    expect(await failed(shimmed.sql)).toEqual([]);
  });

  test('changes nothing the second time, not even the rows', async () => {
    const { sql } = await database();
    await applyAuthShim(sql);
    await migrate(sql, { schema: 'public', sourceSchema: 'public' });
    await addLog(sql, { userId: await addUser(sql), status: 'completed' });
    const before = await sql`select * from export_logs`;
    await migrate(sql, { schema: 'public', sourceSchema: 'public' });
    expect(await sql`select * from export_logs`).toEqual(before);
    expect(await failed(sql)).toEqual([]);
  });

  test('creates the schema, also one whose name needs quotes, and stays inside it', async () => {
    const { sql } = await database();
    const schema = 'My "audit" schema';
    await migrate(sql, { schema, sourceSchema: schema });
    expect(await tablesOf(sql, schema)).toEqual([
      'conversation_turns',
      'conversations',
      'export_logs',
      'export_runs',
    ]);
    expect(await tablesOf(sql, 'public')).toEqual([]);
    expect(await failed(sql, schema)).toEqual([]);
    expect(await auditProblems(sql, { schema })).toEqual([]);
    expect(await auditProblems(sql, { schema: 'public' })).toBeNull();
  });

  test('leaves source tables that exist as they are', async () => {
    const { sql } = await database();
    await sql`create table conversations (id uuid primary key, title text)`;
    await migrate(sql, { schema: 'public', sourceSchema: 'public' });
    expect(await columnsOf(sql, 'public', 'conversations')).toEqual(['id uuid', 'title text']);
    const indexes = await sql`select indexname from pg_indexes where tablename = 'conversations'`;
    expect(indexes.map((row) => row['indexname'])).toEqual(['conversations_pkey']);
    expect(await tablesOf(sql, 'public')).toContain('conversation_turns');
  });

  test('completes a table of the right columns that lacks indexes, checks and the unique key', async () => {
    const { sql } = await database();
    await applyAuthShim(sql);
    const columns = SEED_COLUMNS.map((column) => column.replace(/^timestamp/, '"timestamp"')).join(', ');
    await sql.unsafe(`create table export_logs (${columns}, downloaded_count integer default 0)`);
    await migrate(sql, { schema: 'public' });
    const names = (await failed(sql)).map(({ group, name }) => `${group} ${name}`);
    expect(names.filter((name) => !name.startsWith('column '))).toEqual(['constraint export_logs_pkey']);
  });

  test('adds policies and the foreign key when the auth schema appears later', async () => {
    const { sql } = await database();
    await migrate(sql, { schema: 'public' });
    await applyAuthShim(sql);
    expect(await failed(sql)).toHaveLength(9);
    await migrate(sql, { schema: 'public' });
    expect(await failed(sql)).toEqual([]);
  });

  test('refuses an older audit table, naming every problem, and leaves it untouched', async () => {
    const { sql } = await database();
    await sql.unsafe(OLD_AUDIT_TABLE);
    const before = await columnsOf(sql, 'public', 'export_logs');
    expect(before).toHaveLength(25);
    const error = await refusal(migrate(sql, { schema: 'public', sourceSchema: 'public' }));
    expect(error.code).toBe('E_SCHEMA');
    expect(error.hint).toContain('--audit-schema NAME');
    const problems = [
      'export_logs.export_id is text instead of uuid',
      'export_logs.timestamp is missing (timestamp with time zone)',
      'export_logs.config is missing (jsonb)',
      'export_logs.file_size is missing (bigint)',
      'export_logs.file_url is missing (text)',
      'export_logs.created_at is missing (timestamp with time zone)',
      'export_logs.updated_at is missing (timestamp with time zone)',
      'export_logs.scope is unknown to us, must not be null and has no default',
      'export_logs.filter_state is unknown to us, must not be null and has no default',
      'export_logs.file_name is unknown to us, must not be null and has no default',
    ];
    for (const problem of problems) expect(error.message).toContain(problem);
    expect(await auditProblems(sql, { schema: 'public' })).toEqual([...problems, 'export_runs is missing']);
    expect(await columnsOf(sql, 'public', 'export_logs')).toEqual(before);
    expect(await tablesOf(sql, 'public')).toEqual(['export_logs']);
    await migrate(sql, { schema: 'audit' });
    expect(await failed(sql, 'audit')).toEqual([]);
  });

  test('refuses a view in the place of the audit table', async () => {
    const { sql } = await database();
    await sql`create view export_logs as select 1 as id`;
    const error = await refusal(migrate(sql, { schema: 'public' }));
    expect(error.message).toContain('export_logs is not a table');
  });

  test('rolls everything back when one of the files fails', async () => {
    const { sql } = await database();
    await sql`create function export_logs_transitions() returns integer language sql as 'select 1'`;
    await expect(migrate(sql, { schema: 'public' })).rejects.toThrow(/return type/);
    expect(await tablesOf(sql, 'public')).toEqual([]);
  });

  test('lets several sessions migrate the same database at once', async () => {
    const { sql } = await database();
    await applyAuthShim(sql);
    const attempts = Array.from({ length: 5 }, () =>
      migrate(sql, { schema: 'fresh', sourceSchema: 'fresh' }),
    );
    const results = await Promise.all(attempts);
    expect(results.every(({ applied }) => applied.length === 5)).toBe(true);
    expect(await failed(sql, 'fresh')).toEqual([]);
  });

  test('works for a role that owns only the schema and whose transactions start read only', async () => {
    const { sql, name } = await database();
    const role = `owner_of_${name}`;
    await sql`create role ${sql(role)} login`;
    await sql`alter role ${sql(role)} set default_transaction_read_only = on`;
    await sql`alter role ${sql(role)} set default_transaction_isolation = 'serializable'`;
    await sql`create schema narrow authorization ${sql(role)}`;
    const owner = connectAs(role, name);
    try {
      await migrate(owner, { schema: 'narrow' });
      expect(await failed(owner, 'narrow')).toEqual([]);
      expect(await rollBack(owner, { schema: 'narrow' })).toMatchObject({ rows: 0 });
    } finally {
      await owner.end();
      await sql`drop owned by ${sql(role)}`;
      await sql`drop role ${sql(role)}`;
    }
  });

  test('says so when the role may not use the schema', async () => {
    const { sql, name } = await database();
    const role = `stranger_to_${name}`;
    await sql`create role ${sql(role)} login`;
    await sql`create schema closed`;
    const stranger = connectAs(role, name);
    try {
      const error = await refusal(migrate(stranger, { schema: 'closed' }));
      expect(error.code).toBe('E_DB_ACCESS');
      expect(error.message).toContain('closed');
    } finally {
      await stranger.end();
      await sql`drop role ${sql(role)}`;
    }
  });

  test('gives up with a reason when another session keeps a table locked', async () => {
    const { sql } = await database('ready');
    await sql.begin(async (tx) => {
      await tx`lock table export_logs`;
      const error = await refusal(migrate(sql, { schema: 'public', lockTimeoutMs: 100 }));
      expect(error.code).toBe('E_STALLED');
      expect(error.retryable).toBe(true);
    });
  });
});

describe('rollBack', () => {
  test('drops what migrate created and nothing else', async () => {
    const { sql } = await database('ready');
    expect(await rollBack(sql, { schema: 'public' })).toEqual({
      dropped: ['export_runs', 'export_logs'],
      rows: 0,
    });
    expect(await tablesOf(sql, 'public')).toEqual(['conversation_turns', 'conversations']);
    expect(await sql`select from pg_proc where proname = 'export_logs_transitions'`).toHaveLength(0);
    expect(await rollBack(sql, { schema: 'public' })).toEqual({ dropped: [], rows: 0 });
    expect(await rollBack(sql, { schema: 'nowhere' })).toEqual({ dropped: [], rows: 0 });
    await migrate(sql, { schema: 'public' });
    expect(await failed(sql)).toEqual([]);
  });

  test('refuses to lose recorded exports, says how many there are, and obeys force', async () => {
    const { sql } = await database('ready');
    for (let i = 0; i < 3; i += 1) await addLog(sql);
    const error = await refusal(rollBack(sql, { schema: 'public' }));
    expect(error.code).toBe('E_USAGE');
    expect(error.message).toContain('holds 3 exports');
    expect(error.hint).toContain('--force');
    expect(await sql`select from export_logs`).toHaveLength(3);
    expect(await failed(sql)).toEqual([]);
    expect(await rollBack(sql, { schema: 'public', force: true })).toMatchObject({ rows: 3 });
    expect(await tablesOf(sql, 'public')).toEqual(['conversation_turns', 'conversations']);
  });

  test('does not take rows that a policy hides from it for an empty table', async () => {
    const { sql, name } = await database();
    const role = `bound_in_${name}`;
    await sql`create role ${sql(role)} login`;
    await sql`create schema narrow authorization ${sql(role)}`;
    const owner = connectAs(role, name);
    try {
      await migrate(owner, { schema: 'narrow' });
      await sql`alter table narrow.export_logs enable row level security, force row level security`;
      await sql.begin(async (tx) => {
        await tx`set local search_path = narrow`;
        await addLog(tx);
      });
      expect(await owner`select from narrow.export_logs`).toHaveLength(0);
      await expect(rollBack(owner, { schema: 'narrow' })).rejects.toThrow(/row-level security/);
      expect(await sql`select from narrow.export_logs`).toHaveLength(1);
    } finally {
      await owner.end();
      await sql`drop owned by ${sql(role)}`;
      await sql`drop role ${sql(role)}`;
    }
  });

  test('refuses a table of another shape even with force', async () => {
    const { sql } = await database();
    await sql.unsafe(OLD_AUDIT_TABLE);
    const error = await refusal(rollBack(sql, { schema: 'public', force: true }));
    expect(error.code).toBe('E_SCHEMA');
    expect(await tablesOf(sql, 'public')).toEqual(['export_logs']);
  });
});

describe.skipIf(!hasPsql)('with psql alone', () => {
  test('the files run one by one, any number of times, and leave the same schema', async () => {
    const { sql, url } = await database();
    await applyAuthShim(sql);
    const files = await pathsIn('../../sql/');
    expect(files).toHaveLength((await readMigrations()).length);
    for (const file of [fileOf('../../fixtures/source-schema.sql'), ...files, ...files])
      await psql(url, file);
    expect(await columnsOf(sql, 'public', 'export_logs')).toEqual(SEED_COLUMNS);
    expect(await failed(sql)).toEqual([]);
    for (const file of (await pathsIn('../../sql/down/')).toReversed()) await psql(url, file);
    expect(await tablesOf(sql, 'public')).toEqual(['conversation_turns', 'conversations']);
  });

  test('the first file refuses an older audit table and names what it lacks', async () => {
    const { sql, url } = await database();
    await sql.unsafe(OLD_AUDIT_TABLE);
    const [first = ''] = await pathsIn('../../sql/');
    await expect(psql(url, first)).rejects.toThrow(
      /another shape; missing: export_id uuid, timestamp .*, config jsonb/,
    );
    expect(await columnsOf(sql, 'public', 'export_logs')).toHaveLength(25);
    expect(await sql`select from pg_indexes where tablename = 'export_logs'`).toHaveLength(1);
  });

  test('the files that undo refuse to lose recorded exports', async () => {
    const { sql, url } = await database('ready');
    await addLog(sql);
    const [first = ''] = await pathsIn('../../sql/down/');
    await expect(psql(url, first)).rejects.toThrow(/export_logs still holds 1 rows/);
    expect(await sql`select from export_logs`).toHaveLength(1);
  });
});

if (!hasPsql) {
  process.stderr.write(
    'skipped: psql is not installed, so nothing proves that the files run with it alone\n',
  );
}

function connectAs(user: string, database: string): postgres.Sql {
  const host = inject('testServer').socketDirectory;
  return postgres({ host, port: 5432, user, database, max: 1, onnotice: () => {} });
}

function fileOf(path: string): string {
  return fileURLToPath(new URL(path, import.meta.url));
}

async function pathsIn(directory: string): Promise<string[]> {
  const names = (await readdir(fileOf(directory))).filter((name) => name.endsWith('.sql')).sort();
  return names.map((name) => fileOf(`${directory}${name}`));
}

async function psql(url: string, file: string): Promise<void> {
  await promisify(execFile)('psql', ['-X', '-1', '-q', '-v', 'ON_ERROR_STOP=1', '-d', url, '-f', file]);
}
