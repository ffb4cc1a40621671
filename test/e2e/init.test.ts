import { execFile } from 'node:child_process';
import { access, readFile, rm, stat } from 'node:fs/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, beforeEach, afterEach, describe, expect, test } from 'vitest';

import { makeSandbox, program, type Sandbox } from '../support/cli.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { loggedRuns, seed } from '../support/seed.js';

describe('init on a database of the user', () => {
  let database: TestDatabase;
  let box: Sandbox;

  beforeEach(async () => {
    database = await createDatabase('empty');
    box = await makeSandbox(database);
  });

  afterEach(async () => {
    await database.drop();
    await box.remove();
  });

  const tables = async (): Promise<string[]> =>
    (
      await database.sql<{ name: string }[]>`
        select tablename as name from pg_tables where schemaname = 'public' order by 1`
    ).map(({ name }) => name);

  test('creates the audit tables alone, and again changes nothing', async () => {
    for (let time = 0; time < 2; time++) {
      const { exitCode, stdout, stderr } = await box.lora(['init']);
      expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: '' });
      expect(stderr).toContain('Ready:');
      expect(await tables()).toEqual(['export_logs', 'export_runs']);
    }
    expect((await box.lora(['init', '--with-source'])).exitCode).toBe(0);
    expect(await tables()).toEqual(['conversation_turns', 'conversations', 'export_logs', 'export_runs']);
  });

  test('--verify prints a table, with status 0 when all is well and 22 after a drift', async () => {
    await box.lora(['init']);
    const sound = await box.lora(['init', '--verify']);
    expect(sound.exitCode).toBe(0);
    expect(sound.stdout).toMatch(/^pass +column +export_logs\.status/m);
    expect(sound.stdout).not.toContain('FAIL');
    await database.sql`alter table export_logs drop constraint export_logs_status_check`;
    await database.sql`alter table export_runs drop column sha256`;
    const drifted = await box.lora(['init', '--verify']);
    expect(drifted.exitCode).toBe(22);
    expect(drifted.stdout).toMatch(/^FAIL +column +export_runs\.sha256/m);
    expect(drifted.stderr).toMatch(/[2-9] of \d+ checks failed/);
    const json = await box.lora(['init', '--verify', '--json']);
    expect(json.exitCode).toBe(22);
    const checks = JSON.parse(json.stdout) as { ok: boolean }[];
    expect(checks.filter(({ ok }) => !ok).length).toBeGreaterThanOrEqual(2);
    expect(JSON.parse(json.stderr)).toMatchObject({ code: 22, kind: 'E_SCHEMA' });
  });

  test('--dry-run prints SQL that needs no database, and that the server takes as it is', async () => {
    const { exitCode, stdout, stderr } = await box.lora(['init', '--dry-run', '--with-source'], {
      database: undefined,
    });
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    expect(await tables()).toEqual([]);
    // One string with many statements in one transaction: what psql -1 does.
    for (let time = 0; time < 2; time++) await database.sql.begin((tx) => tx.unsafe(stdout).simple());
    expect((await box.lora(['init', '--verify'])).exitCode).toBe(0);
    await seed(database.sql, 2);
    expect((await box.lora(['export'])).stdout.trimEnd().split('\n')).toHaveLength(2);
  });

  test('--down refuses while there are recorded exports, and leaves the source alone', async () => {
    await box.lora(['init', '--with-source']);
    await seed(database.sql, 2);
    await box.lora(['export']);
    const refused = await box.lora(['init', '--down']);
    expect(refused.exitCode).not.toBe(0);
    expect(refused.stderr).toContain('--force');
    expect(await loggedRuns(database.sql)).toHaveLength(1);
    expect((await box.lora(['init', '--down', '--force'])).exitCode).toBe(0);
    expect(await tables()).toEqual(['conversation_turns', 'conversations']);
    expect(await database.sql`select from conversations`).toHaveLength(2);
    const nothing = await box.lora(['init', '--down']);
    expect(nothing.exitCode).toBe(0);
    expect(nothing.stderr).toContain('no audit tables');
  });

  test('--demo is refused, so that invented conversations never mix with real ones', async () => {
    const { exitCode, stderr } = await box.lora(['init', '--demo']);
    expect(exitCode).toBe(2);
    expect(stderr).toContain('embedded');
    expect(await tables()).toEqual([]);
  });
});

describe('without any setting', () => {
  let box: Sandbox;

  beforeAll(async () => {
    box = await makeSandbox();
  });

  afterAll(() => box.remove());

  test('init --demo and export work on the embedded database, twice, and say that it is used', async () => {
    const init = await box.lora(['init', '--demo']);
    expect(init).toMatchObject({ exitCode: 0, stdout: '' });
    expect(init.stderr).toContain('Using the embedded database');
    expect(init.stderr).toMatch(/Loaded \d+ conversations of the demo/);
    const [first, second] = [await box.lora(['export']), await box.lora(['export'])];
    for (const { exitCode, stdout, stderr } of [first, second]) {
      expect(exitCode).toBe(0);
      expect(stderr).toContain('Using the embedded database');
      const lines = stdout.trimEnd().split('\n');
      expect(lines.length).toBeGreaterThan(10);
      for (const line of lines) {
        const { messages } = JSON.parse(line) as { messages: { role: string; content: string }[] };
        expect(messages.map(({ role }) => role)).toContain('assistant');
      }
    }
    expect(second.stdout).toBe(first.stdout);
    const again = await box.lora(['init', '--demo']);
    expect(again.exitCode).toBe(0);
    expect((await box.lora(['export'])).stdout).toBe(first.stdout);
  });

  test('the server is gone some time after the last command', async () => {
    const pid = await readFile(`${box.state}/postgres/data/postmaster.pid`, 'utf8').catch(() => null);
    // Each command stops the server that nobody else uses.
    expect(pid).toBeNull();
    await expect(access(box.state)).resolves.toBeUndefined();
  });

  test('an environment with nothing but LORA_EXPORT_HOME is enough', async () => {
    const { stdout } = await promisify(execFile)(process.execPath, [program, 'export', '--limit', '1'], {
      cwd: box.directory,
      env: { LORA_EXPORT_HOME: box.state },
    });
    expect(stdout.trimEnd().split('\n')).toHaveLength(1);
  });

  test('an empty embedded database has nothing to export: no demo appears unasked', async () => {
    const other = await makeSandbox();
    try {
      expect((await other.lora(['init'])).exitCode).toBe(0);
      const { exitCode, stdout } = await other.lora(['export', '--output', 'out.jsonl']);
      expect({ exitCode, stdout }).toEqual({ exitCode: 30, stdout: '' });
      await expect(stat(other.path('out.jsonl'))).rejects.toThrow('ENOENT');
    } finally {
      await other.remove();
      await rm(other.state, { recursive: true, force: true });
    }
  });
});
