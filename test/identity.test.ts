import { afterEach, beforeEach, expect, it } from 'vitest';

import { addUser, applyAuthShim, applyMigrations } from './support/audit.js';
import { createDatabase, type TestDatabase } from './support/database.js';
import { addConversation, auditRows, failureOf, runExport } from './support/export.js';

let database: TestDatabase;

beforeEach(async () => {
  database = await createDatabase('ready');
  await addConversation(database.sql, { conversation_id: 'a' });
});
afterEach(() => database.drop());

/** What `init` does in a Supabase database: the migrations again, now that there are users. */
async function addUsers(): Promise<void> {
  await applyAuthShim(database.sql);
  await applyMigrations(database.sql);
}

async function rowCount(): Promise<unknown> {
  const [row] = await database.sql`select count(*)::int as n from export_logs`;
  return row?.['n'];
}

async function withRole<T>(
  options: string,
  use: (asRole: { url: string }, role: string) => Promise<T>,
): Promise<T> {
  const role = `${database.name}_role`;
  await database.sql.unsafe(`create role ${role} login ${options};
    grant usage on schema public to ${role};
    grant select on conversations, conversation_turns to ${role};
    grant select, insert, update on export_logs, export_runs to ${role}`);
  try {
    return await use({ url: database.url.replace(/\/\/[^@]*@/, `//${role}@`) }, role);
  } finally {
    await database.sql.unsafe(`drop owned by ${role}; drop role ${role}`);
  }
}

it('stands in for a missing user with a valid UUID of version 5 that is always the same for a role', async () => {
  const first = await runExport(database);
  const second = await runExport(database);

  expect(first.result.userId).toMatch(
    /^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
  );
  expect(second.result.userId).toBe(first.result.userId);
  const audit = await auditRows(database.sql, first.result.exportId);
  expect(audit?.log).toMatchObject({
    user_id: first.result.userId,
    config: { user: 'role', source: { role: 'postgres' } },
  });
});

it('tells roles apart', async () => {
  const mine = await runExport(database);
  await withRole('', async (asRole, role) => {
    const theirs = await runExport(asRole);
    expect(theirs.result.userId).not.toBe(mine.result.userId);
    const audit = await auditRows(database.sql, theirs.result.exportId);
    expect(audit?.log).toMatchObject({ config: { source: { role } } });
  });
});

it('takes any UUID for a user where the database keeps none', async () => {
  const userId = '00000000-0000-0000-0000-000000000001';
  const { result } = await runExport(database, { userId });
  expect((await auditRows(database.sql, result.exportId))?.log).toMatchObject({
    user_id: userId,
    config: { user: 'given' },
  });
});

it('refuses a user id that is no UUID before it connects', async () => {
  await failureOf(runExport({ url: 'postgres://nobody@localhost:1/none' }, { userId: 'anna' }), 'E_USAGE');
});

it('wants a user where the database keeps users', async () => {
  await addUsers();
  const error = await failureOf(runExport(database), 'E_USAGE');

  expect(error.hint).toContain('--user');
  expect(await rowCount()).toBe(0);
});

it('refuses a user whom the database does not know', async () => {
  await addUsers();
  const error = await failureOf(
    runExport(database, { userId: '11111111-1111-4111-8111-111111111111' }),
    'E_DB_ACCESS',
  );

  expect(error.message).toContain('does not exist');
  expect(await rowCount()).toBe(0);
});

it('exports in the name of a user whom the database knows', async () => {
  await addUsers();
  const userId = await addUser(database.sql);
  const { result } = await runExport(database, { userId: userId.toUpperCase() });
  expect((await auditRows(database.sql, result.exportId))?.log).toMatchObject({
    user_id: userId,
    status: 'completed',
  });
});

it('lets the log refuse an unknown user where the users may not be read, and then writes nothing', async () => {
  await addUsers();
  const known = await addUser(database.sql);
  await withRole('bypassrls', async (asRole) => {
    const error = await failureOf(
      runExport(asRole, { userId: '11111111-1111-4111-8111-111111111111' }),
      'E_AUDIT',
    );
    expect(error.message).toContain('nothing was read');
    expect(await rowCount()).toBe(0);

    const { result } = await runExport(asRole, { userId: known });
    expect(result.userId).toBe(known);
  });
});

it('exports what row level security shows to the role, and says that it applies', async () => {
  await addConversation(database.sql, { conversation_id: 'hidden' });
  await database.sql.unsafe(`
    alter table conversations enable row level security;
    create policy all_but_one on conversations for select using (conversation_id <> 'hidden')`);
  const started = (exported: Awaited<ReturnType<typeof runExport>>) =>
    exported.events.find((event) => event.kind === 'started');

  const superuser = await runExport(database);
  expect(superuser.ids).toEqual(['a', 'hidden']);
  expect(started(superuser)).toMatchObject({ rowSecurity: false });
  await withRole('', async (asRole) => {
    const exported = await runExport(asRole);
    expect(exported.ids).toEqual(['a']);
    expect(started(exported)).toMatchObject({ rowSecurity: true });
  });
});
