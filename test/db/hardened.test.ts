import { execFile, spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import type postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';

import { migrate, rollBack } from '../../src/db/migrate.js';
import { verifySchema, type SchemaCheck } from '../../src/db/verify.js';
import { addLog, addUser, applyAuthShim, asUser } from '../support/audit.js';
import { createDatabase, type TestDatabase } from '../support/database.js';

const FORBIDDEN = '23514 export_logs_hardened';
const UNDELETABLE = '42501 export_logs_hardened';
const CASCADING = 'FOREIGN KEY (user_id) REFERENCES auth.users(id) ON DELETE CASCADE';
const KEEPING = 'FOREIGN KEY (user_id) REFERENCES auth.users(id)';

type Status = 'queued' | 'processing' | 'completed' | 'failed' | 'expired';
type Asker = 'the owner of the tables' | 'the user himself' | 'the service role';

let database: TestDatabase;
let sql: postgres.Sql;
let user: string;

beforeAll(async () => {
  database = await createDatabase('empty');
  ({ sql } = database);
  await applyAuthShim(sql);
  await migrate(sql, { schema: 'public', hardened: true });
  user = await addUser(sql);
});

afterAll(() => database.drop());

async function fresh(): Promise<TestDatabase> {
  const created = await createDatabase('empty');
  onTestFinished(() => created.drop());
  await applyAuthShim(created.sql);
  return created;
}

/** An export with its run, at some moment of its life. */
async function addExport(status: Status): Promise<string> {
  const exportId = randomUUID();
  await sql`
    insert into export_logs (export_id, user_id, format, config, conversation_count, file_size, status, file_url,
      expires_at, error_message)
    values (${exportId}, ${user}, 'jsonl', '{"scope":"approved","result":{"exported":7}}', 7, 70, ${status}, 'file:///a',
      now() + interval '1 hour', 'why')`;
  await sql`insert into export_runs (export_id, phase) values (${exportId}, 'writing')`;
  return exportId;
}

async function as(asker: Asker, statement: string): Promise<string> {
  const run = (tx: postgres.ISql) => tx.unsafe(statement);
  try {
    const { count } = await (asker === 'the owner of the tables'
      ? run(sql)
      : asker === 'the user himself'
        ? asUser(sql, user, run)
        : sql.begin(async (tx) => {
            await tx`set local role service_role`;
            return run(tx);
          }));
    return `${count} done`;
  } catch (error) {
    if (!(error instanceof Error) || !('code' in error)) throw error;
    const constraint = 'constraint_name' in error ? String(error.constraint_name) : '';
    return `${String(error.code)} ${constraint}: ${error.message}`;
  }
}

const ASKERS: readonly Asker[] = ['the owner of the tables', 'the user himself', 'the service role'];

describe.each(ASKERS)('on a hardened log, %s', (asker) => {
  const change = async (status: Status, assignment: string, table = 'export_logs'): Promise<string> => {
    const id = await addExport(status);
    const before = await sql`select * from ${sql(table)} where export_id = ${id}`;
    const outcome = await as(asker, `update ${table} set ${assignment} where export_id = '${id}'`);
    if (outcome !== '1 done') {
      expect(await sql`select * from ${sql(table)} where export_id = ${id}`).toEqual(before);
    }
    return outcome.replace(id, 'ID');
  };

  test.each(['queued', 'processing', 'completed', 'failed', 'expired'] as const)(
    'cannot change what was asked of an export that is %s',
    async (status) => {
      for (const [column, value] of [
        ['timestamp', "now() - interval '1 year'"],
        ['format', "'csv'"],
        ['config', `'{"scope":"all","result":{"exported":7}}'`],
        ['config', 'config || \'{"limit":1}\''],
        ['config', "config - 'scope'"],
        ['config', "'[]'"],
        ['config', "'null'"],
      ] as const) {
        expect(await change(status, `${column} = ${value}`)).toBe(
          `${FORBIDDEN}: ${column} of export ID cannot be changed`,
        );
      }
      for (const identity of ['id', 'export_id', 'user_id']) {
        const outcome = await change(status, `${identity} = gen_random_uuid()`);
        expect(outcome).toMatch(/^23514 export_logs_identity/);
      }
    },
  );

  test.each(['completed', 'failed', 'expired'] as const)(
    'cannot change how an export ended that is %s',
    async (status) => {
      for (const assignment of [
        'conversation_count = 8',
        'file_size = 71',
        'file_size = null',
        "error_message = 'another'",
        'error_message = null',
      ]) {
        expect(await change(status, assignment)).toMatch(`${FORBIDDEN}: ${assignment.split(' ')[0]} of`);
      }
      expect(await change(status, "file_size = 1, conversation_count = 1, status = 'expired'")).toMatch(
        FORBIDDEN,
      );
      expect(await change(status, "status = 'processing'")).toMatch(/^23514 export_logs_transitions/);
    },
  );

  test.each(['failed', 'expired'] as const)('cannot give time to an export that is %s', async (status) => {
    expect(await change(status, "expires_at = 'infinity'")).toMatch(`${FORBIDDEN}: expires_at of`);
  });

  test('names all that it may not change at once', async () => {
    expect(await change('completed', "format = 'csv', file_size = 1, file_url = 'x'")).toBe(
      `${FORBIDDEN}: format, file_size of export ID cannot be changed`,
    );
  });

  test('cannot give a run to another export, or another age', async () => {
    for (const status of ['processing', 'completed'] as const) {
      expect(await change(status, "created_at = 'epoch'", 'export_runs')).toMatch(`${FORBIDDEN}: created_at`);
      const other = await addLog(sql, { userId: user });
      const outcome = await change(status, `export_id = '${other}'`, 'export_runs');
      expect(outcome).toMatch(`${FORBIDDEN}: export_id of`);
    }
  });

  test('deletes nothing, be it in vain', async () => {
    const id = await addExport('completed');
    for (const statement of [
      `delete from export_logs where export_id = '${id}'`,
      `delete from export_runs where export_id = '${id}'`,
      'delete from export_logs',
      'delete from export_logs where false',
      'truncate export_runs',
      'truncate export_logs, export_runs',
      'truncate export_logs cascade',
      `with gone as (delete from export_logs where export_id = '${id}' returning 1) select from gone`,
    ]) {
      expect(await as(asker, statement)).toMatch(`${UNDELETABLE}: rows of the audit log cannot be deleted`);
    }
    expect(
      await sql`select from export_logs join export_runs using (export_id) where export_id = ${id}`,
    ).toHaveLength(1);
  });

  test('can do all that the life of an export needs', async () => {
    const life: readonly (readonly [Status, string])[] = [
      ['queued', "status = 'processing', updated_at = now()"],
      ['queued', "status = 'failed', error_message = 'cancelled'"],
      ['processing', 'file_size = 8, conversation_count = 8'],
      [
        'processing',
        `status = 'completed', file_url = 'b', expires_at = now(), config = config || '{"result":{"exported":8}}'`,
      ],
      ['processing', "status = 'failed', error_message = 'no space left', updated_at = now()"],
      ['completed', "status = 'expired', updated_at = now()"],
      ['completed', "expires_at = now(), updated_at = now(), file_url = 'c'"],
      ['completed', "config = config - 'result'"],
      ['completed', 'status = status'],
    ];
    for (const [status, assignment] of life) expect(await change(status, assignment)).toBe('1 done');
    for (const status of ['processing', 'completed', 'expired'] as const) {
      const assignment =
        "phase = 'done', progress = 100, file_deleted_at = now(), worker_id = gen_random_uuid()";
      expect(await change(status, assignment, 'export_runs')).toBe('1 done');
    }
  });

  test('recovers a failed export only as before, and not with other figures', async () => {
    const recovery = "status = 'completed', error_message = null, file_url = 'd', expires_at = now()";
    expect(await change('failed', recovery)).toMatch(/^23514 export_logs_transitions/);
    const id = await addExport('failed');
    await sql`update export_runs set phase = 'publishing', sha256 = 'ab12' where export_id = ${id}`;
    const recover = (more: string) =>
      as(asker, `update export_logs set ${recovery}${more} where export_id = '${id}'`);
    expect(await recover(', file_size = 71')).toMatch(`${FORBIDDEN}: file_size of`);
    expect(await recover(', config = config || \'{"result":{"recovered":true}}\'')).toBe('1 done');
  });
});

test('the purge deletes with its runs what it may delete anyway, until its transaction ends', async () => {
  const id = await addExport('failed');
  await sql.begin(async (tx) => {
    await tx`set local lora_export.purge = on`;
    expect((await tx`delete from export_logs where export_id = ${id}`).count).toBe(1);
    expect(await tx`select from export_runs where export_id = ${id}`).toHaveLength(0);
  });
  expect(await as('the owner of the tables', 'delete from export_logs')).toMatch(UNDELETABLE);
  const truncating = sql.begin(async (tx) => {
    await tx`set local lora_export.purge = on`;
    await tx`truncate export_logs, export_runs`;
  });
  await expect(truncating).rejects.toThrow(/cannot be deleted/);
  const another = await addExport('failed');
  await asUser(sql, user, async (tx) => {
    await tx`set local lora_export.purge = on`;
    expect((await tx`delete from export_logs where export_id = ${another}`).count).toBe(0);
  });
});

test('a user who has exports cannot be deleted, and says why; one without can', async () => {
  const busy = await addUser(sql);
  await addLog(sql, { userId: busy });
  const refused = await as('the owner of the tables', `delete from auth.users where id = '${busy}'`);
  expect(refused).toMatch(/^23503 fk_export_logs_user: .*"export_logs"/);
  const emptied = await as('the owner of the tables', 'truncate auth.users cascade');
  expect(emptied).toMatch(UNDELETABLE);
  const idle = await addUser(sql);
  expect(await as('the owner of the tables', `delete from auth.users where id = '${idle}'`)).toBe('1 done');
});

test('rows of an archive can be put back', async () => {
  const id = await addExport('expired');
  const [archived] = await sql`select to_jsonb(l)::text as line from export_logs l where export_id = ${id}`;
  await sql.begin(async (tx) => {
    await tx`set local lora_export.purge = on`;
    await tx`delete from export_logs where export_id = ${id}`;
  });
  await sql`
    insert into export_logs
    select (jsonb_populate_record(null::export_logs, ${String(archived?.['line'])}::text::jsonb)).*`;
  expect(await sql`select to_jsonb(l)::text as line from export_logs l where export_id = ${id}`).toEqual([
    archived,
  ]);
});

describe('hardening a database', () => {
  const keyOf = async (db: postgres.Sql): Promise<unknown> => {
    const [row] = await db`
      select pg_get_constraintdef(oid) as definition from pg_constraint where conname = 'fk_export_logs_user'`;
    return row?.['definition'];
  };
  const verified = async (db: postgres.Sql, schema = 'public') => {
    const checks = await verifySchema(db, { schema });
    const hardened = checks.find(({ name }) => name === 'hardened') as SchemaCheck;
    return { state: hardened.found, failed: checks.filter(({ ok }) => !ok).map(({ name }) => name) };
  };

  test('is an option: init alone does not, and what is there stays valid', async () => {
    const { sql: db } = await fresh();
    await migrate(db, { schema: 'public' });
    expect(await verified(db)).toEqual({ state: 'not applied (optional)', failed: [] });
    const busy = await addUser(db);
    await addLog(db, { userId: busy, status: 'completed' });
    const before = await db`select * from export_logs`;
    const { applied } = await migrate(db, { schema: 'public', hardened: true });
    expect(applied.at(-1)).toBe('hardened');
    expect(await db`select * from export_logs`).toEqual(before);
    expect(await keyOf(db)).toBe(KEEPING);
    expect(await verified(db)).toEqual({ state: 'applied', failed: [] });
  });

  test('can be done again, and init without the option leaves it in place', async () => {
    const { sql: db } = await fresh();
    for (const hardened of [true, true, false]) {
      await migrate(db, { schema: 'public', hardened });
      expect(await keyOf(db)).toBe(KEEPING);
      expect(await verified(db)).toEqual({ state: 'applied', failed: [] });
    }
    const [{ count } = { count: 0 }] = await db<{ count: number }[]>`
      select count(*)::int as count from pg_trigger where tgname like '%hardened%'`;
    expect(count).toBe(4);
  });

  test('works without auth.users, and follows when they come', async () => {
    const created = await createDatabase('empty');
    onTestFinished(() => created.drop());
    const { sql: db } = created;
    await migrate(db, { schema: 'public', hardened: true });
    expect(await verified(db)).toEqual({ state: 'applied', failed: [] });
    await addLog(db);
    await expect(db`delete from export_logs`).rejects.toThrow(/cannot be deleted/);

    await db.begin(async (tx) => {
      await tx`set local lora_export.purge = on`;
      await tx`delete from export_logs`;
    });
    await applyAuthShim(db);
    await migrate(db, { schema: 'public' });
    expect(await keyOf(db)).toBe(KEEPING);
    expect(await verified(db)).toEqual({ state: 'applied', failed: [] });
  });

  test('stays inside the schema that it is done to', async () => {
    const { sql: db } = await fresh();
    await migrate(db, { schema: 'public' });
    await migrate(db, { schema: 'Another "one"', hardened: true });
    expect((await verified(db)).state).toBe('not applied (optional)');
    expect(await verified(db, 'Another "one"')).toEqual({ state: 'applied', failed: [] });
    await addLog(db, { userId: await addUser(db) });
    expect((await db`delete from export_logs`).count).toBe(1);
  });

  test('touches no foreign key of another column', async () => {
    const { sql: db } = await fresh();
    await migrate(db, { schema: 'public' });
    await db`alter table export_logs add column reviewer uuid references auth.users (id) on delete set null`;
    await migrate(db, { schema: 'public', hardened: true });
    const rows = await db`
      select conname from pg_constraint
      where conrelid = 'export_logs'::regclass and contype = 'f' and confdeltype = 'n'`;
    expect(rows).toHaveLength(1);
    expect(await keyOf(db)).toBe(KEEPING);
  });

  test.each([
    [
      'alter table export_logs disable trigger export_logs_hardened_delete',
      'export_logs_hardened_delete disabled',
    ],
    ['drop trigger export_runs_hardened_delete on export_runs', 'export_runs_hardened_delete missing'],
    [
      `drop trigger export_logs_hardened_update on export_logs; create trigger export_logs_hardened_update
        before update on export_logs for each row when (false) execute function export_logs_hardened()`,
      'export_logs_hardened_update fires on something else',
    ],
    [
      `drop trigger export_logs_hardened_delete on export_logs; create trigger export_logs_hardened_delete
        before truncate on export_logs for each statement execute function export_logs_hardened()`,
      'export_logs_hardened_delete fires on something else',
    ],
    [
      `drop trigger export_runs_hardened_update on export_runs; create trigger export_runs_hardened_update
        before update of phase on export_runs for each row execute function export_logs_hardened()`,
      'export_runs_hardened_update fires on something else',
    ],
    [
      `alter table export_logs drop constraint fk_export_logs_user,
        add constraint fk_export_logs_user foreign key (user_id) references auth.users (id) on delete cascade`,
      'fk_export_logs_user not as hardened',
    ],
  ])('--verify tells after: %s; and init repairs it', async (weakening, problem) => {
    const { sql: db } = await fresh();
    await migrate(db, { schema: 'public', hardened: true });
    await db.unsafe(weakening).simple();
    expect(await verified(db)).toEqual({ state: `incomplete: ${problem}`, failed: ['hardened'] });
    await migrate(db, { schema: 'public' });
    expect(await verified(db)).toEqual({ state: 'applied', failed: [] });
  });

  test('--verify tells when its function is another, and does not speak of a log that is not there', async () => {
    const { sql: db } = await fresh();
    expect(await verified(db)).toMatchObject({ state: 'not applicable: no audit tables' });
    await migrate(db, { schema: 'public', hardened: true });
    await db`
      create or replace function export_logs_hardened() returns trigger language plpgsql as 'begin return new; end'`;
    const { state, failed } = await verified(db);
    expect(state.match(/of another version/g)).toHaveLength(4);
    expect(failed).toEqual(['hardened']);
  });

  test('--down drops a hardened log as any other, and leaves nothing of it', async () => {
    const { sql: db } = await fresh();
    await migrate(db, { schema: 'public', hardened: true });
    await addLog(db, { userId: await addUser(db) });
    await expect(rollBack(db, { schema: 'public' })).rejects.toThrow(/holds 1 export/);
    expect(await verified(db)).toEqual({ state: 'applied', failed: [] });
    expect(await rollBack(db, { schema: 'public', force: true })).toMatchObject({ rows: 1 });
    expect(await db`select from pg_proc where proname like 'export\\_logs%'`).toHaveLength(0);
    expect(await rollBack(db, { schema: 'public' })).toEqual({ dropped: [], rows: 0 });
    await migrate(db, { schema: 'public' });
    expect(await keyOf(db)).toBe(CASCADING);
    expect(await verified(db)).toEqual({ state: 'not applied (optional)', failed: [] });
  });

  test.skipIf(spawnSync('psql', ['--version']).status !== 0)(
    'with psql alone can be done twice and undone twice, rows staying',
    async () => {
      const { sql: db, url } = await fresh();
      await migrate(db, { schema: 'public' });
      await addLog(db, { userId: await addUser(db), status: 'completed' });
      for (const [file, state, key] of [
        ['sql/down/hardened.sql', 'not applied (optional)', CASCADING],
        ['sql/optional/hardened.sql', 'applied', KEEPING],
        ['sql/optional/hardened.sql', 'applied', KEEPING],
        ['sql/down/hardened.sql', 'not applied (optional)', CASCADING],
        ['sql/down/hardened.sql', 'not applied (optional)', CASCADING],
      ] as const) {
        const path = fileURLToPath(new URL(`../../${file}`, import.meta.url));
        await promisify(execFile)('psql', ['-X', '-1', '-q', '-v', 'ON_ERROR_STOP=1', '-d', url, '-f', path]);
        expect(await verified(db)).toEqual({ state, failed: [] });
        expect(await keyOf(db)).toBe(key);
      }
      expect((await db`delete from export_logs`).count).toBe(1);
    },
  );

  test('undoing leaves a foreign key alone that somebody made without it', async () => {
    const { sql: db } = await fresh();
    await migrate(db, { schema: 'public' });
    await db`
      alter table export_logs drop constraint fk_export_logs_user,
        add constraint fk_export_logs_user foreign key (user_id) references auth.users (id)`;
    expect(await verified(db)).toEqual({ state: 'not applied (optional)', failed: [] });
    await migrate(db, { schema: 'public' });
    expect(await keyOf(db)).toBe(KEEPING);
    const undo = await readFile(new URL('../../sql/down/hardened.sql', import.meta.url), 'utf8');
    await db.begin((tx) => tx.unsafe(undo).simple());
    expect(await keyOf(db)).toBe(KEEPING);
  });
});
