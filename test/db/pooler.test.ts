import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';

import { parseDatabaseUrl } from '../../src/db/target.js';
import { exportConversations } from '../../src/export.js';
import { queueExport } from '../../src/jobs/queue.js';
import { addUser, applyAuthShim, applyMigrations } from '../support/audit.js';
import { makeSandbox } from '../support/cli.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { collector } from '../support/export.js';
import { runHere } from '../support/in-process.js';
import { loggedRuns, seed } from '../support/seed.js';

const hasPooler = spawnSync('pgbouncer', ['--version']).status === 0;
if (!hasPooler)
  process.stderr.write('skipped: PgBouncer is not installed, so nothing was run through a pooler\n');

/** PgBouncer in transaction mode with two server sessions, on the port that Supabase uses for it. */
describe.skipIf(!hasPooler || !(await isFree(6543)))('behind a transaction pooler with two sessions', () => {
  let database: TestDatabase;
  let directory: string;
  let pooler: ChildProcess;

  beforeAll(async () => {
    database = await createDatabase();
    await seed(database.sql, 300, 2_000);
    const { socketDirectory, user } = inject('testServer');
    directory = await mkdtemp(join(tmpdir(), 'lora-pooler-'));
    await chmod(directory, 0o777);
    const settings = [
      '[databases]',
      `${database.name} = host=${socketDirectory} port=5432 user=${user}`,
      '[pgbouncer]',
      'listen_addr = 127.0.0.1',
      'listen_port = 6543',
      'unix_socket_dir =',
      'auth_type = any',
      'pool_mode = transaction',
      'default_pool_size = 2',
    ];
    await writeFile(join(directory, 'pooler.ini'), `${settings.join('\n')}\n`, { mode: 0o644 });
    // It refuses to run as root, and the test server's account may use the socket.
    const account = process.getuid?.() === 0 ? ['-u', 'postgres'] : [];
    pooler = spawn('pgbouncer', [...account, join(directory, 'pooler.ini')], { stdio: 'ignore' });
    while (await isFree(6543)) await sleep(50);
  });

  afterAll(async () => {
    pooler.kill('SIGINT');
    await rm(directory, { recursive: true, force: true });
    await database.drop();
  });

  it('six exports at once all finish with the same bytes, and leave no setting behind', async () => {
    const url = poolerUrl();
    const results = await Promise.all(
      Array.from({ length: 6 }, () =>
        // One connection each, whatever is asked for: with more they would wait for each other.
        exportConversations(
          { jobs: 3 },
          { database: parseDatabaseUrl(url, 'the test'), stream: collector().stream },
        ),
      ),
    );
    expect(new Set(results.map(({ sha256 }) => sha256)).size).toBe(1);
    expect(results.map(({ counts }) => counts.written)).toEqual(Array.from({ length: 6 }, () => 300));
    expect((await loggedRuns(database.sql)).map(({ status }) => status)).toEqual(
      Array.from({ length: 6 }, () => 'completed'),
    );
    await expectNothingLeft();
  });

  it('every command works on behalf of a user, and leaves neither a setting nor a lock behind', async () => {
    const { sql } = database;
    await sql`delete from export_logs`;
    await applyAuthShim(sql);
    await applyMigrations(sql);
    const user = await addUser(sql);
    const box = await makeSandbox();
    try {
      const env = {
        DATABASE_URL: poolerUrl(),
        LORA_EXPORT_DIR: box.path('managed'),
        LORA_EXPORT_USER_ID: user,
      };
      const lora = async (...args: string[]): Promise<string> => {
        const { exitCode, stdout, stderr } = await runHere(box, args, env);
        expect(exitCode, `${args.join(' ')}: ${stderr}`).toBe(0);
        await expectNothingLeft();
        return stdout;
      };
      await lora('export', '-o', 'whole.jsonl');
      const { exportId } = await queueExport(
        { userId: user, output: { kind: 'managed', directory: box.path('managed') } },
        { database: parseDatabaseUrl(poolerUrl(), 'the test') },
      );
      await lora('worker', '--drain');
      await lora('status', exportId);
      await lora('history');
      await lora('history', exportId);
      expect(await lora('history', '--csv')).toContain(exportId);
      await lora('history', '--stats');
      await lora('history', '--check');
      await lora('download', exportId, '-o', 'again.jsonl');
      await lora('export', '--like', exportId, '-o', 'like.jsonl');
      const whole = await readFile(box.path('whole.jsonl'));
      expect((await readFile(box.path('again.jsonl'))).equals(whole)).toBe(true);
      expect((await readFile(box.path('like.jsonl'))).equals(whole)).toBe(true);
      await lora('export', '--preview', '1');
      await lora('export', '--dry-run');
      await sql`update export_logs set expires_at = now() - interval '1 hour' where export_id = ${exportId}`;
      await lora('cleanup');
      expect(await loggedRuns(sql)).toContainEqual(
        expect.objectContaining({ export_id: exportId, status: 'expired' }),
      );
      await lora('cleanup', '--logs', '--all-users', '--archive-dir', box.path('archive'));
    } finally {
      await box.remove();
    }
  }, 60_000);

  function poolerUrl(): string {
    return `postgresql://${inject('testServer').user}@127.0.0.1:6543/${database.name}?sslmode=disable`;
  }

  /** Both sessions of the pool are as a client meets them that was there first. */
  async function expectNothingLeft(): Promise<void> {
    const pool = postgres({
      host: '127.0.0.1',
      port: 6543,
      user: inject('testServer').user,
      database: database.name,
      prepare: false,
      fetch_types: false,
      max: 2,
      onnotice: () => undefined,
    });
    const look = (tx: postgres.TransactionSql) => tx`
      select current_user = session_user as "isItself", current_setting('request.jwt.claims', true) as claims,
        current_setting('TimeZone') as zone, current_setting('row_security') as "rowSecurity",
        current_setting('lock_timeout') as "lockTimeout", current_setting('statement_timeout') as "statementTimeout",
        current_setting('idle_in_transaction_session_timeout') as "idleTimeout", pg_backend_pid() as pid,
        (select count(*)::int from pg_locks where locktype = 'advisory') as locks,
        (select count(*)::int from pg_prepared_statements) as prepared`;
    try {
      // Each holds its session until the other has one too.
      let open = 0;
      let letGo = (): void => undefined;
      const both = new Promise<void>((resolve) => (letGo = resolve));
      const seen = await Promise.all(
        [1, 2].map(() =>
          pool.begin(async (tx) => {
            const [row] = await look(tx);
            if (++open === 2) letGo();
            await both;
            return row as Record<string, unknown>;
          }),
        ),
      );
      expect(new Set(seen.map(({ pid }) => pid)).size).toBe(2);
      const [zone] = await database.sql`show timezone`;
      for (const { pid: _, ...row } of seen) {
        expect(row).toEqual({
          isItself: true,
          claims: expect.toSatisfy((claims: unknown) => claims === null || claims === '') as unknown,
          zone: zone?.['TimeZone'],
          rowSecurity: 'on',
          lockTimeout: '0',
          statementTimeout: '0',
          idleTimeout: '0',
          locks: 0,
          prepared: 0,
        });
      }
    } finally {
      await pool.end();
    }
  }
});

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
