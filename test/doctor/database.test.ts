import { afterEach, beforeEach, expect, it } from 'vitest';

import { readTurnCoverage } from '../../src/db/diagnosis/turn-coverage.js';
import { failureOf } from '../../src/doctor.js';
import { parseRequest } from '../../src/request.js';
import { addUser, applyAuthShim, applyMigrations } from '../support/audit.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { byStatus, checkOf, diagnoseUrl } from '../support/doctor.js';
import { addConversation, inSnapshot } from '../support/export.js';
import { lockTable, seed } from '../support/seed.js';

let database: TestDatabase;

beforeEach(async () => {
  database = await createDatabase('ready');
});
afterEach(() => database.drop());

/** What `init` does in a Supabase database: the migrations again, now that there are users. */
async function addUsers(): Promise<void> {
  await applyAuthShim(database.sql);
  await applyMigrations(database.sql);
}

/** Policies of the usual family: a user sees the conversations that he created. */
async function addPolicies(): Promise<void> {
  await database.sql.unsafe(`
    alter table conversations enable row level security;
    create policy own on conversations for select using (created_by = auth.uid());
    alter table conversation_turns enable row level security;
    create policy own on conversation_turns for select
      using (exists (select from conversations c where c.id = conversation_turns.conversation_id and c.created_by = auth.uid()))`);
}

/** Does something with a role of its own that may log in. */
async function withRole(
  attributes: string,
  use: (asRole: { readonly url: string; readonly role: string }) => Promise<void>,
): Promise<void> {
  const role = `${database.name}_role`;
  await database.sql.unsafe(`create role ${role} login ${attributes}`);
  try {
    await use({ url: database.url.replace(/\/\/[^@]*@/, `//${role}@`), role });
  } finally {
    await database.sql.unsafe(`drop owned by ${role} cascade; drop role ${role}`);
  }
}

const readAll = (role: string): string => `
  grant select on conversations, conversation_turns to ${role};
  grant select, insert, update on export_logs, export_runs to ${role}`;

it('finds nothing wrong with a database that is as it should be', async () => {
  await seed(database.sql, 3);
  const diagnosis = await diagnoseUrl(database.url);
  // How much space the machine has is not up to the test.
  const { warning = [], failed, skipped } = byStatus(diagnosis);
  expect({ failed, skipped, warning: warning.filter((name) => name !== 'disk') }).toEqual({
    failed: undefined,
    skipped: undefined,
    warning: [],
  });
  expect(diagnosis.ok).toBe(true);
  expect(failureOf(diagnosis)).toBeNull();
});

it('changes nothing in the database', async () => {
  await addUsers();
  const userId = await addUser(database.sql);
  await addConversation(database.sql, { conversation_id: 'a', created_by: userId });
  const contents = (): Promise<unknown> =>
    database.sql`
      select (select json_agg(c order by id) from (select xmin::text, * from conversations) c) as conversations,
        (select json_agg(t order by id) from (select xmin::text, * from conversation_turns) t) as turns,
        (select count(*) from export_logs) as logs, (select count(*) from export_runs) as runs,
        (select count(*) from pg_class) as relations, (select json_agg(u) from auth.users u) as users`;
  const before = await contents();
  await diagnoseUrl(database.url, { userId });
  expect(await contents()).toEqual(before);
});

it('works on a session whose transactions are read-only, and then says that the log cannot be written', async () => {
  await seed(database.sql, 1);
  await withRole('', async ({ url, role }) => {
    await database.sql.unsafe(`${readAll(role)}; alter role ${role} set default_transaction_read_only = on`);
    const diagnosis = await diagnoseUrl(url);
    expect(byStatus(diagnosis).failed).toEqual(['audit-access']);
    const check = checkOf(diagnosis, 'audit-access');
    expect(check.code).toBe('E_AUDIT');
    await database.sql.unsafe(check.sql.join('\n'));
    expect(checkOf(await diagnoseUrl(url), 'audit-access').status).toBe('ok');
  });
});

it('wants a user where the database keeps users, and looks at the rest all the same', async () => {
  await addUsers();
  await seed(database.sql, 1);
  const diagnosis = await diagnoseUrl(database.url);
  expect(checkOf(diagnosis, 'role')).toMatchObject({ status: 'failed', code: 'E_USAGE' });
  expect(checkOf(diagnosis, 'role').fix).toContain('--user');
  expect(checkOf(diagnosis, 'runs')).toMatchObject({ status: 'skipped', message: 'needs the user' });
  expect(checkOf(diagnosis, 'turns').status).toBe('ok');
});

it('refuses a user whom the database does not know', async () => {
  await addUsers();
  const diagnosis = await diagnoseUrl(database.url, { userId: '11111111-1111-4111-8111-111111111111' });
  expect(checkOf(diagnosis, 'role')).toMatchObject({ status: 'failed', code: 'E_DB_ACCESS' });
});

it('warns when the login may not become the role of users, and offers the grant', async () => {
  await addUsers();
  const userId = await addUser(database.sql);
  await withRole('', async ({ url, role }) => {
    await database.sql.unsafe(`${readAll(role)}; grant usage on schema auth to ${role}`);
    const check = checkOf(await diagnoseUrl(url, { userId }), 'role');
    expect(check.status).toBe('warning');
    await database.sql.unsafe(check.sql.join('\n'));
    const after = checkOf(await diagnoseUrl(url, { userId }), 'role');
    expect(after.status).toBe('ok');
    expect(after.message).toContain(`acting as authenticated for user ${userId}`);
  });
});

it("refuses a role that would read everybody's conversations by mistake", async () => {
  await addUsers();
  const userId = await addUser(database.sql);
  await withRole('bypassrls', async ({ url, role }) => {
    await database.sql.unsafe(`${readAll(role)}; grant usage on schema auth to ${role}`);
    const check = checkOf(await diagnoseUrl(url, { userId }), 'role');
    expect(check).toMatchObject({ status: 'failed', code: 'E_DB_ACCESS' });
    expect(check.fix).toContain('--all-users');
    expect(checkOf(await diagnoseUrl(url, { userId, allUsers: true }), 'role').status).toBe('ok');
  });
});

it('counts what policies hide from a user, for each of two', async () => {
  await addUsers();
  await addPolicies();
  const [anna, ben] = [await addUser(database.sql), await addUser(database.sql)];
  for (const [id, owner] of [
    ['a', anna],
    ['b', ben],
    ['c', ben],
    ['d', null],
  ] as const) {
    await addConversation(database.sql, { conversation_id: id, created_by: owner });
  }
  const of = async (userId: string | undefined, allUsers = false) =>
    checkOf(await diagnoseUrl(database.url, { userId, allUsers }), 'row-security');
  const both = 'policies on conversations and conversation_turns apply to authenticated';
  expect((await of(anna)).message).toBe(`${both}, which sees 1 conversation of 4: 3 are hidden`);
  expect((await of(ben)).message).toBe(`${both}, which sees 2 conversations of 4: 2 are hidden`);
  expect((await of(ben)).status).toBe('warning');
  const all = await of(anna, true);
  expect(all).toMatchObject({ status: 'ok' });
  expect(all.message).toContain('sees 4 conversations');
  // What is not visible does not count as without turns either.
  expect(checkOf(await diagnoseUrl(database.url, { userId: anna }), 'turns').message).toMatch(/^1 approved/);
});

it('is content where policies hide nothing', async () => {
  await addUsers();
  await addPolicies();
  const userId = await addUser(database.sql);
  await addConversation(database.sql, { conversation_id: 'a', created_by: userId });
  const check = checkOf(await diagnoseUrl(database.url, { userId }), 'row-security');
  expect(check.status).toBe('ok');
  expect(check.message).toContain('sees all 1 conversation');
});

it('explains an empty view of a login without a user', async () => {
  await applyAuthShim(database.sql);
  await addPolicies();
  await addConversation(database.sql, { conversation_id: 'a' });
  await withRole('', async ({ url, role }) => {
    await database.sql.unsafe(`${readAll(role)}; grant usage on schema auth to ${role}`);
    const check = checkOf(await diagnoseUrl(url), 'row-security');
    expect(check.status).toBe('warning');
    expect(check.message).toContain('auth.uid() is null');
    expect(check.message).toContain('0 conversations');
  });
});

it('names missing tables, and skips what needs them', async () => {
  await database.sql`drop table conversation_turns, conversations`;
  const diagnosis = await diagnoseUrl(database.url);
  expect(checkOf(diagnosis, 'source')).toMatchObject({ status: 'failed', code: 'E_SCHEMA' });
  expect(checkOf(diagnosis, 'source').message).toContain('public.conversations is missing');
  expect(byStatus(diagnosis).skipped).toEqual(['row-security', 'turns', 'indexes']);
  expect(checkOf(diagnosis, 'audit-tables').status).toBe('ok');
});

it('says what missing columns cost', async () => {
  await database.sql`alter table conversations drop column quality_score, drop column topic`;
  const { status, message } = checkOf(await diagnoseUrl(database.url), 'source');
  expect(status).toBe('warning');
  expect(message).toContain('Without quality_score: written as null');
  expect(message).toContain('without topic: ');
  expect(message).not.toContain('without emotion');
});

it('looks at every conversation where there is no status', async () => {
  await addConversation(database.sql, { conversation_id: 'a', status: 'draft' });
  await database.sql`alter table conversations drop column status`;
  const diagnosis = await diagnoseUrl(database.url);
  expect(checkOf(diagnosis, 'source').message).toContain('scope approved');
  expect(checkOf(diagnosis, 'turns').message).toMatch(/^1 conversation: /);
  expect(checkOf(diagnosis, 'indexes').status).toBe('ok');
});

it('tells missing grants from missing tables, and offers them', async () => {
  await seed(database.sql, 1);
  await withRole('', async ({ url, role }) => {
    await database.sql.unsafe(`grant select on conversations to ${role}`);
    await database.sql.unsafe(`grant select (id, turn_number) on conversation_turns to ${role}`);
    const diagnosis = await diagnoseUrl(url);
    const source = checkOf(diagnosis, 'source');
    expect(source).toMatchObject({ status: 'failed', code: 'E_DB_ACCESS' });
    expect(source.message).toMatch(/may not read conversation_id, role, .* of conversation_turns\.$/);
    const audit = checkOf(diagnosis, 'audit-access');
    expect(audit).toMatchObject({ status: 'failed', code: 'E_AUDIT' });
    expect(audit.message).toContain('insert on export_logs');
    expect(checkOf(diagnosis, 'runs').status).toBe('skipped');
    await database.sql.unsafe([...source.sql, ...audit.sql].join('\n'));
    expect((await diagnoseUrl(url)).ok).toBe(true);
  });
});

it('counts conversations that cannot be trained on, whole or by a sample', async () => {
  await seed(database.sql, 2);
  await addConversation(database.sql, { conversation_id: 'none' }, []);
  await addConversation(database.sql, { conversation_id: 'file', file_path: 'a.json' }, []);
  await addConversation(database.sql, { conversation_id: 'answers' }, [['assistant', 'a']]);
  await addConversation(database.sql, { conversation_id: 'questions' }, [['user', 'q']]);
  await addConversation(database.sql, { conversation_id: 'human' }, [
    ['human', 'q'],
    ['assistant', 'a'],
  ]);
  await addConversation(database.sql, { conversation_id: 'draft', status: 'draft' }, []);
  const { status, message, fix } = checkOf(await diagnoseUrl(database.url), 'turns');
  expect(status).toBe('warning');
  expect(message).toBe(
    '7 approved conversations: 2 without turns (1 name a file instead), 2 without a turn of a user, ' +
      '1 without a turn of an assistant, 1 with roles other than system, user, assistant and tool',
  );
  expect(fix).toContain('--role-map');
  const [whole, sample, few] = await inSnapshot(database, 'public', async (snapshot, source) => {
    const selection = parseRequest({});
    return [
      await readTurnCoverage(snapshot, source, selection, null),
      await readTurnCoverage(snapshot, source, selection, 100),
      await readTurnCoverage(snapshot, source, selection, 3),
    ] as const;
  });
  expect(sample).toEqual(whole);
  expect(few.looked).toBe(3);
});

it('says when the default scope matches nothing', async () => {
  await addConversation(database.sql, { conversation_id: 'a', status: 'draft' });
  const check = checkOf(await diagnoseUrl(database.url), 'turns');
  expect(check.status).toBe('warning');
  expect(check.message).toContain('no conversation is approved');
});

it('offers the indexes that large tables lack, and is content once they are there', async () => {
  await database.sql.unsafe(`
    alter table conversation_turns drop constraint conversation_turns_conversation_id_turn_number_key;
    drop index idx_conversations_created_at, idx_conversations_status, idx_conversations_tier, idx_conversations_quality_score`);
  const small = checkOf(await diagnoseUrl(database.url), 'indexes');
  expect(small.status).toBe('ok');
  await seed(database.sql, 25_000);
  await database.sql`analyze`;
  const before = checkOf(await diagnoseUrl(database.url), 'indexes');
  expect(before.status).toBe('warning');
  expect(before.sql).toEqual([
    'create index concurrently on public.conversations (status, created_at, id);',
    'create index concurrently on public.conversation_turns (conversation_id, turn_number);',
  ]);
  for (const statement of before.sql) await database.sql.unsafe(statement);
  const after = checkOf(await diagnoseUrl(database.url), 'indexes');
  expect(after.status).toBe('ok');
  expect(after.message).toContain('turns by conversation_turns_conversation_id_turn_number_idx');

  // A planner that scans although it could do otherwise needs no further index.
  await withRole('', async ({ url, role }) => {
    await database.sql.unsafe(`${readAll(role)}; alter role ${role} set enable_indexscan = off;
      alter role ${role} set enable_bitmapscan = off; alter role ${role} set enable_indexonlyscan = off`);
    const scanning = checkOf(await diagnoseUrl(url), 'indexes');
    expect(scanning).toMatchObject({ status: 'ok', sql: [] });
    expect(scanning.message).toContain('turns by a scan of the table');
  });
});

it('is content with another index than its own when the planner is', async () => {
  await database.sql.unsafe('drop index idx_conversations_status, idx_conversations_tier');
  await seed(database.sql, 10_000);
  await database.sql`analyze`;
  const check = checkOf(await diagnoseUrl(database.url), 'indexes');
  expect(check).toMatchObject({ status: 'ok', sql: [] });
  expect(check.message).toContain('conversations by idx_conversations_created_at');
});

it('offers what serves an enum, and clears away an index whose building failed', async () => {
  await database.sql.unsafe(`
    drop index idx_conversations_created_at, idx_conversations_status, idx_conversations_tier, idx_conversations_quality_score;
    alter table conversations drop constraint conversations_status_check, alter status drop default;
    create type conversation_status as enum ('approved', 'draft');
    alter table conversations alter status type conversation_status using status::conversation_status;
    create index broken on conversations (created_at);
    update pg_index set indisvalid = false where indexrelid = 'broken'::regclass`);
  await database.sql`
    insert into conversations (conversation_id, status) select n::text, 'approved' from generate_series(1, 10000) n`;
  await database.sql`analyze`;
  expect(checkOf(await diagnoseUrl(database.url), 'indexes').sql).toEqual([
    'drop index concurrently public.broken;',
    'create index concurrently on public.conversations (created_at, id);',
  ]);
});

it('wants a missing audit log created', async () => {
  await database.sql`drop table export_runs, export_logs`;
  const diagnosis = await diagnoseUrl(database.url);
  expect(checkOf(diagnosis, 'audit-tables')).toMatchObject({
    status: 'failed',
    code: 'E_SCHEMA',
    message: 'There is no table public.export_logs.',
  });
  expect(byStatus(diagnosis).skipped).toEqual(['audit-access', 'runs']);
});

it('names a column that the audit log lacks', async () => {
  await database.sql`alter table export_runs drop column progress`;
  const check = checkOf(await diagnoseUrl(database.url), 'audit-tables');
  expect(check).toMatchObject({ status: 'failed', code: 'E_SCHEMA' });
  expect(check.message).toContain('export_runs.progress is missing');
});

it('takes a dropped trigger for a failure, and a dropped index for a warning', async () => {
  await database.sql`drop index idx_export_logs_status`;
  const slow = checkOf(await diagnoseUrl(database.url), 'audit-tables');
  expect(slow.status).toBe('warning');
  expect(slow.message).toContain('idx_export_logs_status');
  await database.sql`drop trigger export_logs_transitions on export_logs`;
  const open = checkOf(await diagnoseUrl(database.url), 'audit-tables');
  expect(open).toMatchObject({ status: 'failed', code: 'E_SCHEMA' });
  expect(open.message).toContain('trigger export_logs_transitions (missing)');
  await applyMigrations(database.sql);
  expect(checkOf(await diagnoseUrl(database.url), 'audit-tables').status).toBe('ok');
});

it('counts exports that wait for somebody who does not come', async () => {
  const userId = '00000000-0000-4000-8000-000000000001';
  const add = (status: string, phase: string, expires: string | null, key: string | null) =>
    database.sql`
      with log as (
        insert into export_logs (user_id, format, config, conversation_count, status, expires_at, file_size)
        values (${userId}, 'jsonl', '{}', 0, ${status}, now() + ${expires}::interval, 1000)
        returning export_id
      )
      insert into export_runs (export_id, phase, heartbeat_at, storage_key)
      select export_id, ${phase}, now() - interval '2 minutes', ${key} from log`;
  await add('processing', 'writing', null, null);
  await add('queued', 'queued', null, null);
  await add('completed', 'done', '-1 hour', 'x');
  await add('expired', 'done', '-2 hours', 'y');
  await add('completed', 'done', '1 hour', 'z');
  await database.sql`update export_runs set heartbeat_at = now() where phase = 'done'`;
  const check = checkOf(await diagnoseUrl(database.url, { userId }), 'runs');
  expect(check.status).toBe('warning');
  expect(check.message).toBe(
    'exports without a sign of life for 90 s: 1, queued without a worker: 1, expired with their file still stored: 2',
  );
  expect(check.fix).toContain('lora-export worker');
  // Others do not learn how many exports a user has.
  const other = '00000000-0000-4000-8000-000000000002';
  expect(checkOf(await diagnoseUrl(database.url, { userId: other }), 'runs').status).toBe('ok');
});

it('warns of a machine whose clock is off, in either direction', async () => {
  const ahead = await diagnoseUrl(database.url, { now: () => Date.now() + 60_000 });
  expect(checkOf(ahead, 'clock')).toMatchObject({ status: 'warning' });
  expect(checkOf(ahead, 'clock').message).toMatch(/ahead of the server$/);
  const behind = await diagnoseUrl(database.url, { now: () => Date.now() - 60_000 });
  expect(checkOf(behind, 'clock').message).toMatch(/behind the server$/);
  expect(behind.ok).toBe(true);
});

it('warns of a short statement_timeout of the role, and is not cut off by it itself', async () => {
  await seed(database.sql, 1);
  await withRole('', async ({ url, role }) => {
    await database.sql.unsafe(`${readAll(role)}; alter role ${role} set statement_timeout = '8s';
      alter role ${role} set idle_session_timeout = '20s'`);
    const check = checkOf(await diagnoseUrl(url), 'limits');
    expect(check.status).toBe('warning');
    expect(check.message).toContain('statement_timeout = 8 s');
    expect(check.message).toContain('idle_session_timeout = 20 s');
    await database.sql.unsafe(check.sql.join('\n'));
    expect(checkOf(await diagnoseUrl(url), 'limits').status).toBe('ok');
  });
});

it('does not wait for a table that another session keeps locked', async () => {
  await seed(database.sql, 1);
  const unlock = await lockTable(database.sql, 'conversations');
  try {
    const diagnosis = await diagnoseUrl(database.url, { limitMs: 200 });
    expect(checkOf(diagnosis, 'row-security').message).toContain('could be counted in time');
    for (const name of ['turns', 'indexes'] as const) {
      expect(checkOf(diagnosis, name)).toMatchObject({
        status: 'warning',
        message: 'could not be told within 0.2 s',
      });
    }
    expect(checkOf(diagnosis, 'limits').status).toBe('ok');
  } finally {
    await unlock();
  }
});
