import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { makeSandbox, type Running, type Sandbox } from '../support/cli.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { endSessions } from '../support/seed.js';
import { addStored, makeManagedRoot, STORED_BYTES, STORED_NAME } from '../support/stored.js';

let database: TestDatabase;
let box: Sandbox;
let parent: string;
let root: string;

beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.drop());
beforeEach(async () => {
  await database.sql`delete from export_logs`;
  box = await makeSandbox(database);
  ({ parent, root } = await makeManagedRoot());
});
afterEach(async () => {
  await box.remove();
  await rm(parent, { recursive: true, force: true });
});

const env = (): Record<string, string> => ({ LORA_EXPORT_DIR: root, LORA_EXPORT_TEST_PHASES: '1' });
const cleanUp = (...args: string[]) => box.lora(['cleanup', '--all-users', ...args], { env: env() });
const json = (stdout: string): unknown[] =>
  stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as unknown);

const states = () => database.sql<{ status: string; deleted: boolean }[]>`
  select status, file_deleted_at is not null as deleted from export_logs join export_runs using (export_id)
  order by export_id`;
const stored = async (): Promise<string[]> => (await readdir(root)).filter((name) => !name.startsWith('.'));

describe('cleanup', () => {
  test('removes expired files, tells a sum and ends with 0', async () => {
    await addStored(database.sql, root);
    await addStored(database.sql, root, { file: null });
    const { exitCode, stdout, stderr } = await cleanUp();
    expect(stderr).toContain(
      'Expired 2 exports. Of 2 files, 1 deleted (16 B), 1 already missing, 0 elsewhere, 0 failed.',
    );
    expect([exitCode, stdout]).toEqual([0, '']);
    expect(await stored()).toEqual([]);
  });

  test('tells programs one object', async () => {
    const id = await addStored(database.sql, root);
    const dry = await cleanUp('--json', '--dry-run');
    expect(json(dry.stdout)).toMatchObject([
      {
        dry_run: true,
        deleted_count: 1,
        files: [{ export_id: id, bytes: STORED_BYTES.length }],
        recovered: null,
      },
    ]);
    const { exitCode, stdout } = await cleanUp('--json');
    expect(exitCode).toBe(0);
    expect(json(stdout)).toEqual([
      {
        cleanup: 'files',
        slot: null,
        dry_run: false,
        examined_count: 1,
        expired_count: 1,
        deleted_count: 1,
        missing_count: 0,
        elsewhere_count: 0,
        failed_count: 0,
        deleted_bytes: STORED_BYTES.length,
        failures: [],
        files: null,
        orphans: { count: 0, bytes: 0, deleted_count: 0, failed_count: 0 },
        recovered: { completed: [], failed: [] },
      },
    ]);
  });

  test('lists what a dry run would remove on standard output', async () => {
    const id = await addStored(database.sql, root);
    const { exitCode, stdout, stderr } = await cleanUp('--dry-run');
    expect([exitCode, stdout]).toEqual([0, `${id}  16 bytes\n`]);
    expect(stderr).toContain('Would expire 1 export. Of 1 file, 1 to be deleted (16 B)');
    expect(await states()).toEqual([{ status: 'completed', deleted: false }]);
  });

  test('without a user cleans up only what this login has exported', async () => {
    await addStored(database.sql, root);
    const { exitCode, stderr } = await box.lora(['cleanup'], { env: env() });
    expect([exitCode, stderr]).toEqual([0, expect.stringContaining('Expired 0 exports. Of 0 files')]);
    expect(await states()).toEqual([{ status: 'completed', deleted: false }]);
  });

  test.runIf(canMakeImmutable())(
    'ends with 24 when a file cannot be removed, and does the rest',
    async () => {
      const [one, stuck, two] = [randomUUID(), randomUUID(), randomUUID()].sort() as [string, string, string];
      for (const exportId of [one, stuck, two]) await addStored(database.sql, root, { exportId });
      await addStored(database.sql, root, { file: null });
      const path = join(root, stuck, STORED_NAME);
      execFileSync('chattr', ['+i', path]);
      try {
        const { exitCode, stdout, stderr } = await cleanUp('--json');
        expect(exitCode).toBe(24);
        expect(json(stdout)).toMatchObject([
          {
            deleted_count: 2,
            missing_count: 1,
            failed_count: 1,
            failures: [{ export_id: stuck, reason: expect.stringContaining('EPERM') as string }],
          },
        ]);
        expect(stderr).toContain('"kind":"E_OUTPUT"');
      } finally {
        execFileSync('chattr', ['-i', path]);
      }
      expect(await stored()).toEqual([stuck]);
      expect((await cleanUp()).exitCode).toBe(0);
      expect(await stored()).toEqual([]);
    },
  );

  test.each<[what: string, prepare: () => Promise<string> | string]>([
    ['the root of the file system', () => '/'],
    ['a directory that does not exist', () => join(parent, 'nowhere')],
    ['a directory without our marker', () => parent],
    [
      'a link to the right directory',
      async () => {
        await symlink(root, join(parent, 'link'));
        return join(parent, 'link');
      },
    ],
  ])('refuses %s with 2, before a row loses its status', async (_what, prepare) => {
    await addStored(database.sql, root);
    const { exitCode, stderr } = await box.lora(['cleanup', '--all-users', '--delete-orphans'], {
      env: { ...env(), LORA_EXPORT_DIR: await prepare() },
    });
    expect([exitCode, stderr]).toEqual([2, expect.stringContaining('cannot be the export directory')]);
    expect(await states()).toEqual([{ status: 'completed', deleted: false }]);
    expect(await stored()).toHaveLength(1);
  });

  test.each([
    [['--older-than', '90'], '--older-than has a meaning only with --logs'],
    [['--archive-dir', 'x'], '--archive-dir has a meaning only with --logs'],
    [['--force'], '--force has a meaning only with --logs'],
    [['--timezone', 'UTC'], '--timezone has a meaning only with --schedule'],
    [['--logs', '--delete-orphans'], '--delete-orphans is about files'],
    [['--dry-run', '--schedule', '0 2 * * *'], 'contradict each other'],
    [['--logs', '--older-than', '29'], 'kept for 30 days at least'],
    [['--logs', '--older-than', '-1'], 'whole number'],
    [['--schedule', '61 * * * *'], '--schedule is not a cron expression (minute'],
    [['--schedule', 'every night'], '--schedule is not a cron expression'],
    [['--schedule', '0 0 30 2 *'], '--schedule is not a cron expression'],
    [['--schedule', '0 2 * * *', '--timezone', 'Mars/Olympus'], '--timezone does not know'],
  ])('refuses %j before it connects', async (args, message) => {
    const { exitCode, stderr } = await box.lora(['cleanup', ...args], {
      env: { ...env(), DATABASE_URL: 'postgres://nobody@127.0.0.1:1/none' },
    });
    expect([exitCode, stderr]).toEqual([2, expect.stringContaining(message)]);
  });
});

describe('cleanup --logs', () => {
  const addOld = () =>
    addStored(database.sql, root, {
      status: 'failed',
      age: 40,
      storageKey: null,
      expiresIn: null,
      file: null,
    });

  test('archives and deletes, in the state directory unless told otherwise, and leaves files alone', async () => {
    await addOld();
    await addStored(database.sql, root);
    const { exitCode, stderr } = await cleanUp('--logs');
    expect([exitCode, stderr]).toEqual([
      0,
      expect.stringContaining('Deleted 1 row of the audit log.') as string,
    ]);
    expect(await readdir(join(box.state, 'archive'))).toHaveLength(3);
    expect(await states()).toEqual([{ status: 'completed', deleted: false }]);
  });

  test('tells programs where the archive is, and what was done about files too', async () => {
    await addOld();
    await addStored(database.sql, root);
    const { exitCode, stdout } = await cleanUp(
      '--files',
      '--logs',
      '--archive-dir',
      'kept',
      '--older-than',
      '31',
      '--json',
    );
    expect(exitCode).toBe(0);
    expect(json(stdout)).toMatchObject([
      { cleanup: 'files', deleted_count: 1 },
      {
        cleanup: 'logs',
        deleted_count: 1,
        kept_count: 0,
        archive: { file: expect.stringContaining(box.path('kept')) as string },
      },
    ]);
  });

  test('keeps 30 days unless forced', async () => {
    await addOld();
    await database.sql`alter table export_logs disable trigger user`;
    await database.sql`update export_logs set created_at = now() - interval '2 hours'`;
    await database.sql`alter table export_logs enable trigger user`;
    expect((await cleanUp('--logs', '--older-than', '0')).exitCode).toBe(2);
    expect(await states()).toHaveLength(1);
    expect((await cleanUp('--logs', '--older-than', '0', '--force')).exitCode).toBe(0);
    expect(await states()).toEqual([]);
  });

  test('deletes nothing while the configuration says legalHold', async () => {
    await addOld();
    await writeFile(box.path('hold.json'), '{"legalHold":true}');
    const { exitCode, stderr } = await cleanUp('--logs', '--config', 'hold.json');
    expect([exitCode, stderr]).toEqual([2, expect.stringContaining('legalHold')]);
    expect(await states()).toHaveLength(1);
  });

  test.each(['archived', 'verified', 'deleting'] as const)(
    'killed when the archive is %s has deleted nothing',
    async (phase) => {
      for (let n = 0; n < 5; n++) await addOld();
      // So that the deletion is not over before the kill.
      await database.sql.unsafe(`create or replace function slow_delete() returns trigger language plpgsql as
          $$ begin perform pg_sleep(30); return null; end $$;
        create constraint trigger slow_delete after delete on export_logs deferrable initially deferred
          for each row execute function slow_delete()`);
      try {
        const run = box.start(['cleanup', '--all-users', '--logs'], { env: env() });
        await run.shown(`phase=${phase}`);
        run.child.kill('SIGKILL');
        await run.ended;
        await endSessions(database.sql);
      } finally {
        await database.sql`drop trigger slow_delete on export_logs`;
      }
      expect(await states()).toHaveLength(5);
      expect((await cleanUp('--logs')).exitCode).toBe(0);
      expect(await states()).toEqual([]);
    },
  );
});

describe('a cleanup that is killed', () => {
  test.each(['claimed', 'removing', 'removed', 'recorded'] as const)(
    'when it has %s leaves true rows, and the next one goes on',
    async (phase) => {
      for (let n = 0; n < 30; n++) await addStored(database.sql, root);
      const run = box.start(['cleanup', '--all-users'], { env: env() });
      await run.shown(`phase=${phase}`);
      run.child.kill('SIGKILL');
      await run.ended;
      await endSessions(database.sql);
      await expectTruth();
      const { exitCode } = await cleanUp();
      expect(exitCode).toBe(0);
      expect(await states()).toEqual(
        Array.from({ length: 30 }, () => ({ status: 'expired', deleted: true })),
      );
      expect(await stored()).toEqual([]);
    },
  );

  test('between the removal and its record is finished by the next', async () => {
    const id = await addStored(database.sql, root);
    const session = await database.sql.reserve();
    try {
      await session`begin`;
      await session`select from export_runs for update`;
      const run = box.start(['cleanup', '--all-users'], { env: env() });
      await run.shown('phase=removed');
      run.child.kill('SIGKILL');
      await run.ended;
    } finally {
      await session`rollback`;
      session.release();
    }
    await endSessions(database.sql);
    expect(existsSync(join(root, id))).toBe(false);
    expect(await states()).toEqual([{ status: 'expired', deleted: false }]);
    const { stderr } = await cleanUp();
    expect(stderr).toContain('1 already missing');
    expect(await states()).toEqual([{ status: 'expired', deleted: true }]);
  });

  /** No row says of a file that is there that it is gone, and none that is not expired has lost its file. */
  async function expectTruth(): Promise<void> {
    const rows = await database.sql<{ id: string; status: string; deleted: boolean }[]>`
      select export_id as id, status, file_deleted_at is not null as deleted
      from export_logs join export_runs using (export_id)`;
    for (const { id, status, deleted } of rows) {
      const isThere = existsSync(join(root, id, STORED_NAME));
      if (deleted) expect([id, isThere]).toEqual([id, false]);
      if (status === 'completed') expect([id, isThere]).toEqual([id, true]);
    }
  }
});

describe('cleanup --schedule', () => {
  const running: Running[] = [];
  afterEach(async () => {
    for (const { child } of running) child.kill('SIGKILL');
    await Promise.all(running.splice(0).map(({ ended }) => ended));
  });

  function daemon(args: readonly string[] = [], more: Record<string, string> = {}): Running {
    const run = box.start(['cleanup', '--all-users', '--schedule', '*/4 * * * * *', '--json', ...args], {
      env: { ...env(), ...more },
    });
    running.push(run);
    return run;
  }

  const slots = (stdout: string): string[] => json(stdout).map((line) => (line as { slot: string }).slot);

  test('cleans up again and again until SIGTERM, of two daemons one for each slot', async () => {
    const daemons = [daemon(), daemon()];
    await Promise.all(daemons.map((run) => run.shown('Cleaning up at')));
    const id = await addStored(database.sql, root);
    await until(async () => (await states())[0]?.deleted === true);
    const second = await addStored(database.sql, root);
    await until(async () => (await states()).every(({ deleted }) => deleted));
    // The one that stands back has to have done so at least once, or this would prove nothing.
    await Promise.race(daemons.map((run) => run.shown('Left to another process.')));
    for (const { child } of daemons) child.kill('SIGTERM');
    const ended = await Promise.all(daemons.map((run) => run.ended));
    expect(ended.map(({ exitCode }) => exitCode)).toEqual([143, 143]);
    expect([id, second].map((name) => existsSync(join(root, name)))).toEqual([false, false]);
    const fired = ended.flatMap(({ stdout }) => (stdout === '' ? [] : slots(stdout)));
    expect(fired.length).toBeGreaterThan(1);
    expect(new Set(fired).size).toBe(fired.length);
    for (const { stderr } of ended) expect(stderr).not.toContain('failed');
  });

  test('goes on after a run that failed', async () => {
    await rm(join(root, '.lora-export-directory'));
    const run = daemon();
    await run.shown('warning: ');
    await run.shown('This run failed.');
    await addStored(database.sql, root);
    await writeFile(join(root, '.lora-export-directory'), '');
    await until(async () => (await states())[0]?.deleted === true);
    run.child.kill('SIGINT');
    expect((await run.ended).exitCode).toBe(130);
  });

  test('leaves no lock and no session behind', async () => {
    const locks = () => database.sql`
      select from pg_locks where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())`;
    const run = daemon();
    await until(async () => (await locks()).length > 0);
    run.child.kill('SIGTERM');
    await run.ended;
    await until(async () => (await locks()).length === 0);
    await until(async () => {
      const sessions = await database.sql`
        select from pg_stat_activity where application_name like 'lora-export%' and datname = current_database()`;
      return sessions.length === 0;
    });
  });
});

async function until(holds: () => Promise<boolean>): Promise<void> {
  for (;;) {
    if (await holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function canMakeImmutable(): boolean {
  try {
    execFileSync('sh', ['-c', 'f=$(mktemp) && chattr +i "$f" && chattr -i "$f" && rm "$f"'], {
      stdio: 'ignore',
    });
    return true;
  } catch {
    process.stderr.write('SKIPPED: files that cannot be removed need chattr and the right to use it.\n');
    return false;
  }
}
