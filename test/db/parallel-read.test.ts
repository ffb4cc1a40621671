import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';

import { jobsFor } from '../../src/db/parallel-read.js';
import { parseDatabaseUrl } from '../../src/db/target.js';
import type { ExportRequestInput } from '../../src/request.js';
import { addUser, applyAuthShim, applyMigrations } from '../support/audit.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { auditRows, collector, failureOf, HOST, runExport } from '../support/export.js';
import { startProxy } from '../support/proxy.js';
import { temporaryDirectory } from '../support/temporary-directory.js';

const COUNT = 400;
/** Batches are ten conversations: there are many of them, and each of some 200 kB. */
const SMALL = { batchSize: 10, jobs: 3 } as const;
const READERS = `datname = current_database() and application_name = 'lora-export snapshot'`;

let database: TestDatabase;

beforeAll(async () => {
  database = await createDatabase();
  // Few distinct values and many NULLs: the order is decided by the primary key most of the time.
  await database.sql.unsafe(`
    insert into conversations (id, conversation_id, title, status, tier, quality_score, created_at, updated_at)
    select md5('c' || i)::uuid, 'c' || i, case when i % 3 > 0 then chr(224 + i * 7 % 40) || i % 5 end,
      (array['approved', 'approved', 'draft', 'rejected'])[i % 4 + 1],
      (array['template', 'scenario', 'edge_case'])[i % 3 + 1], nullif(i * 31 % 90, 0) / 10.0,
      timestamptz '2025-01-01' + i * 7 % 20 * interval '1 hour', timestamptz '2025-02-01' + i % 3 * interval '1 day'
    from generate_series(1, ${COUNT}) i;
    insert into conversation_turns (conversation_id, turn_number, role, content)
    select md5('c' || i)::uuid, t, case t % 2 when 1 then 'user' else 'assistant' end, repeat(md5(i || 'é' || t), 160)
    from generate_series(1, ${COUNT}) i cross join lateral generate_series(1, 4) t`);
  await database.sql`vacuum (analyze) conversations, conversation_turns`;
});
afterAll(() => database.drop());

describe('several connections in one snapshot', () => {
  const ids = fc.uniqueArray(
    fc.integer({ min: 1, max: COUNT }).map((number) => `c${number}`),
    { minLength: 1, maxLength: 60 },
  );
  const what: fc.Arbitrary<ExportRequestInput> = fc.oneof(
    fc.constantFrom<ExportRequestInput>({ scope: 'all' }, { scope: 'approved' }),
    ids.map((chosen): ExportRequestInput => ({ scope: 'selected', ids: chosen })),
    fc
      .record({
        tier: fc.constantFrom<string[]>(['template'], ['scenario', 'edge_case']),
        qualityScoreMin: fc.integer({ min: 0, max: 8 }),
      })
      .map((filters): ExportRequestInput => ({ scope: 'filtered', filters })),
  );
  const order = fc.record({
    key: fc.constantFrom(
      ...(['created_at', 'updated_at', 'quality_score', 'title', 'status', 'tier'] as const),
    ),
    order: fc.constantFrom('asc' as const, 'desc' as const),
  });
  const how = fc.record(
    {
      limit: fc.integer({ min: 1, max: COUNT + 5 }),
      batchSize: fc.constantFrom(1, 7, 100, 10_000),
      format: fc.constantFrom('jsonl' as const, 'csv' as const),
    },
    { requiredKeys: ['format'] },
  );

  it('give the bytes of one, whatever is selected, in whatever order', { timeout: 180_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(what, order, how, fc.integer({ min: 2, max: 4 }), async (rows, sort, rest, jobs) => {
        const request = { ...rows, ...rest, sort, allowEmpty: true };
        const one = await runExport(database, { ...request, jobs: 1 });
        const several = await runExport(database, { ...request, jobs });
        expect(several.notices).toEqual([]);
        expect(several.result.counts).toEqual(one.result.counts);
        expect(several.bytes.equals(one.bytes)).toBe(true);
      }),
      { numRuns: 30 },
    );
  });

  it('are as many as were asked for, beside the one that holds the snapshot, and gone afterwards', async () => {
    let seen = 0;
    const sink = collector(async () => {
      seen = Math.max(seen, await countReaders());
    });
    await runExport(database, { ...SMALL, scope: 'all' }, { stream: sink.stream });
    expect(seen).toBe(4);
    await expect.poll(countReaders).toBe(0);
  });

  it('see what was counted, although all of it is changed before they are opened', async () => {
    await using own = await createDatabase();
    await own.sql.unsafe(`
      insert into conversations (id, conversation_id, title, status)
        select md5('c' || i)::uuid, 'c' || i, 'old', 'approved' from generate_series(1, 100) i;
      insert into conversation_turns (conversation_id, turn_number, role, content)
        select md5('c' || i)::uuid, t, case t when 1 then 'user' else 'assistant' end, 'old'
        from generate_series(1, 100) i cross join generate_series(1, 2) t;
      create function disturb() returns trigger language plpgsql as $$
        begin
          update conversations set title = 'new', status = 'draft', created_at = now();
          update conversation_turns set content = 'new';
          delete from conversations where conversation_id < 'c5';
          return null;
        end $$;
      create trigger disturb after insert on export_runs for each row execute function disturb()`);
    const { lines, text } = await runExport(own, SMALL);
    expect(lines).toHaveLength(100);
    expect(text).not.toContain('new');
    expect((await own.sql`select from conversations where title = 'old'`).count).toBe(0);
  });

  it('have the rights of the user who exports', async () => {
    await using own = await createDatabase();
    await applyAuthShim(own.sql);
    await applyMigrations(own.sql);
    const anna = await addUser(own.sql);
    await own.sql.unsafe(`
      insert into conversations (id, conversation_id, status, created_by)
        select md5('c' || i)::uuid, 'c' || i, 'approved', case when i % 2 = 0 then '${anna}'::uuid end
        from generate_series(1, 200) i;
      insert into conversation_turns (conversation_id, turn_number, role, content)
        select md5('c' || i)::uuid, t, case t % 2 when 1 then 'user' else 'assistant' end, 'text ' || t
        from generate_series(1, 200) i cross join generate_series(1, 4) t;
      alter table conversations enable row level security;
      alter table conversation_turns enable row level security;
      create policy own on conversations for select using (auth.uid() = created_by);
      create policy own on conversation_turns for select using (turn_number < 3 and exists (
        select from conversations c where c.id = conversation_turns.conversation_id and c.created_by = auth.uid()))`);
    const one = await runExport(own, { userId: anna, jobs: 1 });
    const several = await runExport(own, { ...SMALL, userId: anna });
    expect(several.notices).toEqual([]);
    expect(several.lines).toHaveLength(100);
    expect(several.text).not.toContain('text 3');
    expect(several.bytes.equals(one.bytes)).toBe(true);
  });

  it('hold a few batches for a slow reader, and not the rest', async () => {
    const { socketDirectory, user } = inject('testServer');
    await using proxy = await startProxy({ path: `${socketDirectory}/.s.PGSQL.5432` });
    const url = `postgres://${user}@127.0.0.1:${proxy.port}/${database.name}`;
    let atFirst: number | undefined;
    const sink = collector(async () => {
      atFirst ??= await settled(() => proxy.bytesFromServer);
    });
    await runExport({ url }, { ...SMALL, scope: 'all' }, { stream: sink.stream });
    expect(atFirst).toBeLessThan(sink.bytes().length / 2);
  });
});

describe('the loss of one of several connections', () => {
  it.each([0, 1, 2, 3])('rejects the whole export: number %i', async (index) => {
    let killed = 0;
    const sink = collector(async () => {
      if (killed++ > 0) return;
      await database.sql`
        select pg_terminate_backend(pid, 5000) from pg_stat_activity
        where ${database.sql.unsafe(READERS)} order by backend_start offset ${index} limit 1`;
    });
    const error = await failureOf(
      runExport(database, { ...SMALL, scope: 'all' }, { stream: sink.stream }),
      'E_DB_UNREACHABLE',
    );
    expect(await auditRows(database.sql, error.exportId)).toMatchObject({ log: { status: 'failed' } });
    await expect.poll(countReaders).toBe(0);
  });

  it('gives the whole file to another attempt', async () => {
    const { bytes } = await runExport(database, { scope: 'all', jobs: 1 });
    let attempts = 0;
    const path = join(await temporaryDirectory(), 'out.jsonl');
    const again = await runExport(
      database,
      { ...SMALL, scope: 'all', output: { kind: 'file', path } },
      {
        onEvent(event) {
          if (event.kind !== 'progress' || event.read < 50 || attempts++ > 0) return;
          void database.sql`
            select pg_terminate_backend(pid) from pg_stat_activity
            where ${database.sql.unsafe(READERS)} order by backend_start desc limit 1`.execute();
        },
      },
    );
    expect(again.bytes.equals(bytes)).toBe(true);
  });

  it('is noticed when it only falls silent', async () => {
    const stopped: number[] = [];
    const sink = collector(async () => {
      if (stopped.length > 0) return;
      const [row] = await database.sql<{ pid: number }[]>`
        select pid from pg_stat_activity
        where ${database.sql.unsafe(READERS)} order by backend_start desc limit 1`;
      stopped.push(row?.pid ?? 0);
      process.kill(row?.pid ?? 0, 'SIGSTOP');
    });
    try {
      await failureOf(
        runExport(database, { ...SMALL, scope: 'all' }, { stream: sink.stream, stallMs: 300 }),
        'E_STALLED',
      );
    } finally {
      for (const pid of stopped) process.kill(pid, 'SIGCONT');
    }
    await expect.poll(countReaders).toBe(0);
  });

  it('is what an abort is for all of them', async () => {
    const controller = new AbortController();
    const reason = new Error('enough');
    const sink = collector(async () => {
      expect(await countReaders()).toBeGreaterThan(0);
      controller.abort(reason);
    });
    const run = runExport(
      database,
      { ...SMALL, scope: 'all' },
      { stream: sink.stream, signal: controller.signal },
    );
    await expect(run).rejects.toBe(reason);
    await expect.poll(countReaders).toBe(0);
  });
});

describe('one connection reads, and that is said,', () => {
  it('where the server does not let a snapshot be shared', async () => {
    await withRole('', async (url) => {
      await database.sql`revoke execute on function pg_export_snapshot() from public`;
      try {
        await expectFallback(url, /^One connection reads instead of 3: .*pg_export_snapshot/);
      } finally {
        await database.sql`grant execute on function pg_export_snapshot() to public`;
      }
    });
  });

  it('where the server has no more connections to give', async () => {
    await withRole('connection limit 2', (url) =>
      expectFallback(url, /^One connection reads instead of 3: .*no free connection/),
    );
  });

  it('where conversations cannot be found by their ids', async () => {
    await database.sql.unsafe(`create schema if not exists shown;
      create or replace view shown.conversations as select * from conversations;
      create or replace view shown.conversation_turns as select * from conversation_turns`);
    await expectFallback(
      database.url,
      /^One connection reads instead of 3: conversations.id has no unique index\.$/,
      'shown',
    );
  });

  it('behind a transaction pooler', () => {
    const notices: string[] = [];
    const target = parseDatabaseUrl('postgres://u@127.0.0.1:6543/d', 'the test');
    const tell = (text: string): number => notices.push(text);
    expect(jobsFor(4, target, tell)).toBe(1);
    expect(notices).toEqual([expect.stringContaining('transaction pooler')]);
    expect(jobsFor(undefined, target, tell)).toBe(1);
    expect(jobsFor(1, target, tell)).toBe(1);
    expect(notices).toHaveLength(1);
  });

  it('and those that the server does give are used', async () => {
    await withRole('connection limit 4', (url) =>
      expectFallback(url, /^2 connections read instead of 3: .*no free connection/),
    );
  });

  async function expectFallback(url: string, notice: RegExp, schema = 'public'): Promise<void> {
    const one = await runExport(database, { jobs: 1, scope: 'all' });
    const { notices, bytes } = await runExport({ url }, { ...SMALL, scope: 'all', schema }, { host: HOST });
    expect(notices).toEqual([expect.stringMatching(notice)]);
    expect(bytes.equals(one.bytes)).toBe(true);
  }

  async function withRole(options: string, use: (url: string) => Promise<void>): Promise<void> {
    const role = `${database.name}_role`;
    await database.sql.unsafe(`create role ${role} login ${options};
      grant select on conversations, conversation_turns to ${role};
      grant select, insert, update on export_logs, export_runs to ${role}`);
    try {
      await use(database.url.replace(/\/\/[^@]*@/, `//${role}@`));
    } finally {
      await database.sql.unsafe(`drop owned by ${role}; drop role ${role}`);
    }
  }
});

it('a small export does not open more connections unasked', async () => {
  let seen = 0;
  const sink = collector(async () => {
    seen = Math.max(seen, await countReaders());
  });
  await runExport(database, { scope: 'all' }, { stream: sink.stream });
  expect(seen).toBe(1);
});

async function countReaders(): Promise<number> {
  return (await database.sql`select from pg_stat_activity where ${database.sql.unsafe(READERS)}`).count;
}

/** The number once it has stopped growing for twenty looks in a row. */
async function settled(look: () => number): Promise<number> {
  let last = -1;
  for (let same = 0; same < 20;) {
    await new Promise((resolve) => setTimeout(resolve, 10));
    same = look() === last ? same + 1 : 0;
    last = look();
  }
  return last;
}
