import { randomUUID } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { addUser, applyAuthShim, applyMigrations } from './support/audit.js';
import { makeSandbox, type Sandbox } from './support/cli.js';
import { createDatabase, type TestDatabase } from './support/database.js';
import { addConversation } from './support/export.js';
import { runHere } from './support/in-process.js';

/**
 * A database like Supabase's, two users of the application with conversations and exports of their own, and the ways in
 * which somebody may be logged in: as the owner of everything, as a role that may act as users do, and as a service that
 * policies do not bind.
 */
const LOGINS = ['owner', 'member', 'service'] as const;
type Login = (typeof LOGINS)[number];

let database: TestDatabase;
let box: Sandbox;
let anna: string;
let ben: string;
const roles: string[] = [];
const urls = {} as Record<Login, string>;

beforeAll(async () => {
  database = await createDatabase('ready');
  box = await makeSandbox();
  const { sql, name } = database;
  await applyAuthShim(sql);
  await applyMigrations(sql);
  [anna, ben] = [await addUser(sql), await addUser(sql)];
  await addConversation(sql, { conversation_id: 'annas_1', created_by: anna });
  await addConversation(sql, { conversation_id: 'annas_2', created_by: anna });
  await addConversation(sql, { conversation_id: 'bens', created_by: ben });
  await sql
    .unsafe(
      `alter table conversations enable row level security;
       alter table conversation_turns enable row level security;
       create policy own on conversations for select using (auth.uid() = created_by);
       create policy own on conversation_turns for select using (
         exists (select from conversations c where c.id = conversation_turns.conversation_id and c.created_by = auth.uid()));
       create role ${name}_member login in role authenticated;
       create role ${name}_service login bypassrls;
       grant usage on schema public, auth to ${name}_service;
       grant select on all tables in schema public, auth to ${name}_service;
       grant insert, update on export_logs, export_runs to ${name}_service`,
    )
    .simple();
  roles.push(`${name}_member`, `${name}_service`);
  const as = (role: string): string => database.url.replace(/\/\/[^@]*@/, `//${role}@`);
  Object.assign(urls, { owner: database.url, member: as(`${name}_member`), service: as(`${name}_service`) });
});

afterAll(async () => {
  for (const role of roles) await database.sql.unsafe(`drop owned by ${role}; drop role ${role}`);
  await database.drop();
  await box.remove();
});

function lora(login: Login, user: string, args: readonly string[]) {
  const env = { DATABASE_URL: urls[login], LORA_EXPORT_DIR: box.path('managed'), LORA_EXPORT_USER_ID: user };
  return runHere(box, args, env);
}

/** A finished export of a user's, kept in the managed directory, or one that waits for a worker. */
async function addExport(user: string, state: 'completed' | 'queued'): Promise<string> {
  const { queueExport } = await import('../src/jobs/queue.js');
  const { parseDatabaseUrl } = await import('../src/db/target.js');
  const { exportId } = await queueExport(
    { userId: user, output: { kind: 'managed', directory: box.path('managed') } },
    { database: parseDatabaseUrl(database.url, 'the test') },
  );
  if (state === 'completed') {
    const { exitCode, stderr } = await lora('owner', user, ['worker', '--job', exportId]);
    expect(exitCode, stderr).toBe(0);
  }
  return exportId;
}

/** Commands on one export, and the state in which it has to be for the owner to succeed. */
const COMMANDS: Record<string, { state: 'completed' | 'queued'; args: (id: string) => string[] }> = {
  status: { state: 'completed', args: (id) => ['status', id, '--json'] },
  history: { state: 'completed', args: (id) => ['history', id, '--json'] },
  download: { state: 'completed', args: (id) => ['download', id, '-o', `${randomUUID()}.jsonl`] },
  repeat: { state: 'completed', args: (id) => ['export', '--like', id, '-o', `${randomUUID()}.jsonl`] },
  cancel: { state: 'queued', args: (id) => ['export', '--cancel', id] },
  worker: { state: 'queued', args: (id) => ['worker', '--job', id] },
};

describe.each(LOGINS)('logged in as %s', (login) => {
  // A service that may not act as users would read everybody's conversations, so it is kept from exporting at all.
  const commands = Object.entries(COMMANDS).filter(
    ([name]) => login !== 'service' || !['repeat', 'worker'].includes(name),
  );

  it.each(commands)(
    "%s works on one's own export and tells another's not from an absent one",
    async (_, command) => {
      const [own, others] = [await addExport(anna, command.state), await addExport(ben, command.state)];
      const absent = randomUUID();
      const before = await database.sql`select * from export_logs where user_id = ${ben} order by id`;

      const refused = await lora(login, anna, command.args(others));
      const missing = await lora(login, anna, command.args(absent));
      expect(refused.exitCode, refused.stderr).toBe(26);
      expect(refused.stdout).toBe('');
      expect({ ...refused, stderr: refused.stderr.replaceAll(others, 'ID') }).toEqual({
        ...missing,
        stderr: missing.stderr.replaceAll(absent, 'ID'),
      });
      expect(await database.sql`select * from export_logs where user_id = ${ben} order by id`).toEqual(
        before,
      );

      const allowed = await lora(login, anna, command.args(own));
      expect(allowed.exitCode, allowed.stderr).toBe(0);
    },
  );

  it('lists and counts no exports but its own', async () => {
    const [own, others] = [await addExport(anna, 'completed'), await addExport(ben, 'completed')];
    for (const args of [
      ['history', '--json', '--limit', '100'],
      ['history', '--csv'],
      ['history', '--limit', '100'],
    ]) {
      const { stdout, exitCode, stderr } = await lora(login, anna, args);
      expect(exitCode, stderr).toBe(0);
      expect(stdout).toContain(own);
      expect(stdout).not.toContain(others);
    }
    const [{ runs }] = (await database.sql`
      select count(*)::int as runs from export_logs where user_id = ${anna}`) as unknown as [
      { runs: number },
    ];
    const { stdout } = await lora(login, anna, ['history', '--json']);
    expect(JSON.parse(stdout)).toMatchObject({ total: runs });
  });

  it("cleans up its own files and leaves another's", async () => {
    const [own, others] = [await addExport(anna, 'completed'), await addExport(ben, 'completed')];
    await database.sql`update export_logs set expires_at = now() - interval '1 hour' where export_id in (${own}, ${others})`;
    const { exitCode, stderr } = await lora(login, anna, ['cleanup']);
    expect(exitCode, stderr).toBe(0);
    const kept = await readdir(box.path('managed'));
    expect(kept).toContain(others);
    expect(kept).not.toContain(own);
    expect(stderr).not.toContain(others);
    const [row] = await database.sql`select status from export_logs where export_id = ${others}`;
    expect(row).toEqual({ status: 'completed' });
  });
});

describe('what an export reads', () => {
  const ids = async (login: Login, user: string, ...more: string[]): Promise<unknown> => {
    const { stdout, exitCode, stderr } = await lora(login, user, ['export', '--output', '-', ...more]);
    if (exitCode !== 0) return { exitCode, stderr };
    return stdout
      .trimEnd()
      .split('\n')
      .map(
        (line) => (JSON.parse(line) as { metadata: { conversation_id: string } }).metadata.conversation_id,
      );
  };

  it('is what the user may see, whoever is logged in', async () => {
    for (const login of ['owner', 'member'] as const) {
      expect(await ids(login, anna)).toEqual(['annas_1', 'annas_2']);
      expect(await ids(login, ben)).toEqual(['bens']);
    }
  });

  it('is everything with --all-users, for logins that policies do not bind, and recorded so', async () => {
    for (const login of ['owner', 'service'] as const) {
      expect(await ids(login, anna, '--all-users')).toEqual(['annas_1', 'annas_2', 'bens']);
    }
    const [row] = await database.sql`select config from export_logs order by timestamp desc limit 1`;
    expect(row).toMatchObject({ config: { allUsers: true, result: { row_security: false } } });
    expect(await ids('member', anna, '--all-users')).toMatchObject({
      exitCode: 21,
      stderr: expect.stringContaining('--all-users needs a role') as string,
    });
  });

  it('is refused to a login that would read everything without having been told to', async () => {
    expect(await ids('service', anna)).toMatchObject({
      exitCode: 21,
      stderr: expect.stringContaining('Pass --all-users if that is meant') as string,
    });
  });

  it('says that policies apply, records it, and fails on it with --require-all', async () => {
    const { stderr } = await lora('member', anna, ['export', '--output', '-']);
    expect(stderr).toContain('row level security applies');
    const [row] = await database.sql`select config from export_logs order by timestamp desc limit 1`;
    expect(row).toMatchObject({ config: { result: { row_security: true } } });
    expect(await ids('member', anna, '--require-all')).toMatchObject({ exitCode: 21 });
    expect(await ids('owner', anna, '--all-users', '--require-all')).toHaveLength(3);
  });

  it('is nothing when the user is not known', async () => {
    expect(await ids('owner', randomUUID())).toMatchObject({ exitCode: 21 });
  });
});
