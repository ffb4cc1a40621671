import { randomUUID } from 'node:crypto';

import type postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { migrate } from '../../src/db/migrate.js';
import { addLog, addUser, applyAuthShim, asUser } from '../support/audit.js';
import { createDatabase, type TestDatabase } from '../support/database.js';

const STATUSES = ['queued', 'processing', 'completed', 'failed', 'expired'] as const;
const FORWARD = new Set([
  'queued processing',
  'queued failed',
  'processing completed',
  'processing failed',
  'completed expired',
]);

let ready: TestDatabase;
let shimmed: TestDatabase;

beforeAll(async () => {
  [ready, shimmed] = await Promise.all([createDatabase('ready'), createDatabase('empty')]);
  await applyAuthShim(shimmed.sql);
  await migrate(shimmed.sql, { schema: 'public' });
});

afterAll(async () => {
  await Promise.all([ready.drop(), shimmed.drop()]);
});

async function refusedBy(attempt: PromiseLike<unknown>): Promise<string> {
  try {
    await attempt;
  } catch (error) {
    if (!(error instanceof Error) || !('code' in error)) throw error;
    const constraint = 'constraint_name' in error ? ` ${String(error.constraint_name)}` : '';
    return `${String(error.code)}${constraint}: ${error.message}`;
  }
  return 'nothing';
}

function move(sql: postgres.ISql, exportId: string, status: string) {
  return sql`update export_logs set status = ${status} where export_id = ${exportId}`;
}

describe('the status of an export', () => {
  const pairs = STATUSES.flatMap((from) => STATUSES.map((to) => [from, to] as const));

  test.each(pairs)('from %s to %s', async (from, to) => {
    const { sql } = ready;
    const id = await addLog(sql, { status: from });
    const outcome = await refusedBy(move(sql, id, to));
    const allowed = from === to || FORWARD.has(`${from} ${to}`);
    expect(outcome).toBe(
      allowed ? 'nothing' : `23514 export_logs_transitions: export ${id} cannot go from ${from} to ${to}`,
    );
    const [row] = await sql`select status from export_logs where export_id = ${id}`;
    expect(row?.['status']).toBe(allowed ? to : from);
  });

  test.each([
    ['publishing', 'ab12', true],
    ['publishing', null, false],
    ['writing', 'ab12', false],
    ['done', 'ab12', false],
  ])(
    'a failed export in phase %s with checksum %s can be recovered: %s',
    async (phase, sha256, recoverable) => {
      const { sql } = ready;
      const id = await addLog(sql, { status: 'failed' });
      await sql`insert into export_runs (export_id, phase, sha256) values (${id}, ${phase}, ${sha256})`;
      const outcome = await refusedBy(move(sql, id, 'completed'));
      expect(outcome === 'nothing').toBe(recoverable);
      for (const status of ['queued', 'processing', 'expired'] as const) {
        expect(await refusedBy(move(sql, await failedCopy(sql, phase, sha256), status))).toMatch(/^23514/);
      }
    },
  );

  test('is checked under any search_path, against the tables of its own schema', async () => {
    const { sql } = ready;
    await migrate(sql, { schema: 'second' });
    const id = await addLog(sql, { status: 'failed' });
    await sql`insert into export_runs (export_id, phase, sha256) values (${id}, 'publishing', 'ab12')`;
    const twin = sql`
      insert into second.export_logs (export_id, user_id, format, config, conversation_count, status)
      values (${id}, ${randomUUID()}, 'csv', '{}', 0, 'failed')`;
    await twin;
    const refusal = await refusedBy(
      sql`update second.export_logs set status = 'completed' where export_id = ${id}`,
    );
    expect(refusal).toMatch(/^23514/);
    await sql.begin(async (tx) => {
      await tx`set local search_path = pg_catalog`;
      await tx`update public.export_logs set status = 'completed' where export_id = ${id}`;
    });
  });
});

async function failedCopy(sql: postgres.Sql, phase: string, sha256: string | null): Promise<string> {
  const id = await addLog(sql, { status: 'failed' });
  await sql`insert into export_runs (export_id, phase, sha256) values (${id}, ${phase}, ${sha256})`;
  return id;
}

describe('the identity of an export', () => {
  test.each(['id', 'export_id', 'user_id', 'created_at'])('%s cannot be changed', async (column) => {
    const { sql } = ready;
    const id = await addLog(sql);
    const value = column === 'created_at' ? '2001-01-01' : randomUUID();
    const outcome = await refusedBy(
      sql`update export_logs set ${sql(column)} = ${value} where export_id = ${id}`,
    );
    expect(outcome).toMatch(/^23514 export_logs_identity: .*cannot be changed/);
    expect(outcome).toContain(id);
  });

  test('everything else can be changed', async () => {
    const { sql } = ready;
    const id = await addLog(sql);
    const { count } = await sql`
      update export_logs
      set timestamp = now(), format = 'csv', config = '{"a": 1}', conversation_count = 3, file_size = 4, file_url = 'u',
        expires_at = now(), error_message = 'e', updated_at = now()
      where export_id = ${id}`;
    expect(count).toBe(1);
  });

  test('deleting an export takes its run along', async () => {
    const { sql } = ready;
    const id = await addLog(sql);
    await sql`insert into export_runs (export_id) values (${id})`;
    await sql`delete from export_logs where export_id = ${id}`;
    expect(await sql`select from export_runs where export_id = ${id}`).toHaveLength(0);
  });
});

describe('row level security', () => {
  test('lets each of two users see, change and add only his own exports and runs', async () => {
    const { sql } = shimmed;
    const [ann, bob] = [await addUser(sql), await addUser(sql)];
    const ids = new Map<string, string>();
    for (const user of [ann, bob]) {
      ids.set(
        user,
        await asUser(sql, user, async (tx) => {
          const id = await addLog(tx, { userId: user });
          await tx`insert into export_runs (export_id) values (${id})`;
          return id;
        }),
      );
    }
    for (const [user, other] of [
      [ann, bob],
      [bob, ann],
    ] as const) {
      const [own = '', foreign = ''] = [ids.get(user), ids.get(other)];
      await asUser(sql, user, async (tx) => {
        expect(await tx`select export_id from export_logs`).toEqual([{ export_id: own }]);
        expect(await tx`select export_id from export_runs`).toEqual([{ export_id: own }]);
        expect((await move(tx, own, 'processing')).count).toBe(1);
        expect((await move(tx, foreign, 'failed')).count).toBe(0);
        const run = (id: string) => tx`update export_runs set read_count = 5 where export_id = ${id}`;
        expect((await run(own)).count).toBe(1);
        expect((await run(foreign)).count).toBe(0);
        expect((await tx`delete from export_logs`).count).toBe(0);
        expect((await tx`delete from export_runs`).count).toBe(0);
      });
      expect(await refusedBy(asUser(sql, user, (tx) => addLog(tx, { userId: other })))).toMatch(/^42501/);
      const stranger = asUser(sql, user, (tx) => tx`insert into export_runs (export_id) values (${foreign})`);
      expect(await refusedBy(stranger)).toMatch(/^(42501|23505)/);
    }
    expect(await sql`select from export_logs where user_id in ${sql([ann, bob])}`).toHaveLength(2);
  });

  test('shows nothing to a session without a user', async () => {
    const { sql } = shimmed;
    await addLog(sql, { userId: await addUser(sql) });
    for (const role of ['anon', 'authenticated']) {
      await sql.begin(async (tx) => {
        await tx`set local role ${tx(role)}`;
        expect(await tx`select from export_logs`).toHaveLength(0);
        expect(await tx`select from export_runs`).toHaveLength(0);
      });
    }
  });

  test('lets a user complete and recover his own export, and forge neither', async () => {
    const { sql } = shimmed;
    const user = await addUser(sql);
    await asUser(sql, user, async (tx) => {
      await move(tx, await addLog(tx, { userId: user }), 'completed');
      const lost = await addLog(tx, { userId: user });
      await tx`insert into export_runs (export_id, phase, sha256) values (${lost}, 'publishing', 'ab12')`;
      await move(tx, lost, 'failed');
      expect((await move(tx, lost, 'completed')).count).toBe(1);
    });
    for (const status of ['completed', 'failed', 'expired']) {
      const forged = asUser(sql, user, (tx) => addLog(tx, { userId: user, status }));
      expect(await refusedBy(forged)).toBe(`23514 export_logs_transitions: a new export cannot be ${status}`);
    }
  });

  test('lets the service role, which bypasses it, see and restore all', async () => {
    const { sql } = shimmed;
    const user = await addUser(sql);
    await sql.begin(async (tx) => {
      await tx`set local role service_role`;
      const id = await addLog(tx, { userId: user, status: 'completed' });
      expect(await tx`select from export_logs where export_id = ${id}`).toHaveLength(1);
    });
  });
});

describe('the indexes', () => {
  beforeAll(async () => {
    const { sql } = ready;
    await sql`
      insert into export_logs (user_id, format, config, conversation_count, status, expires_at, timestamp)
      select
        md5((n % 500)::text)::uuid, (array['json', 'jsonl', 'csv', 'markdown'])[1 + n % 4], '{}', n,
        case n % 200 when 0 then 'processing' when 1 then 'completed' else 'expired' end,
        now() - n * interval '1 minute', now() - n * interval '1 minute'
      from generate_series(1, 20000) as n`;
    await sql`analyze export_logs`;
  });

  test.each([
    ['idx_export_logs_user_id', "select * from export_logs where user_id = md5('7')::uuid"],
    ['idx_export_logs_status', "select * from export_logs where status in ('queued', 'processing')"],
    [
      'idx_export_logs_expires_at',
      "select * from export_logs where status = 'completed' and expires_at < now() - interval '13 days'",
    ],
    ['idx_export_logs_timestamp', 'select * from export_logs order by timestamp desc limit 25'],
    ['export_logs_export_id_key', `select * from export_logs where export_id = '${randomUUID()}'`],
  ])('%s serves the look-up it was made for', async (index, query) => {
    const plan = await ready.sql.unsafe<{ 'QUERY PLAN': string }[]>(`explain ${query}`);
    expect(plan.map((row) => row['QUERY PLAN']).join('\n')).toContain(index);
  });
});
