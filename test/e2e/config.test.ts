import { chmod, lstat, mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { makeSandbox, type Sandbox } from '../support/cli.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { loggedRuns, seed } from '../support/seed.js';

const PROJECT = 'lora-export.config.json';
/** Every character that a URL needs to have encoded. */
const canary = 'canary@5/6:7#8%9';

let box: Sandbox;
let user: string;

beforeEach(async () => {
  box = await makeSandbox();
  user = join(String(box.env['HOME']), '.config/lora-export/config.json');
});

afterEach(() => box.remove());

async function writeUser(content: string): Promise<void> {
  await mkdir(dirname(user), { recursive: true });
  await writeFile(user, content);
}

const json = async (path: string): Promise<Record<string, unknown>> =>
  JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>;

interface Shown {
  readonly settings: readonly { readonly name: string; readonly value: unknown; readonly origin: string }[];
  readonly presets: readonly object[];
  readonly files: readonly object[];
}

describe('config', () => {
  test('shows every value with its origin, and starts no database', async () => {
    await writeUser('{"schema": "of_user", "jobFrom": 7, "presets": {"gold": {"scope": "all"}}}');
    await writeFile(box.path(PROJECT), '{"jobFrom": 8, "alerts": {"failureRate": 0.5}, "directory": "out"}');
    const env = { LORA_EXPORT_RETENTION_HOURS: '2.5' };
    const { exitCode, stdout, stderr } = await box.lora(['config', '--audit-schema', 'typed'], { env });
    expect(exitCode).toBe(0);
    const lines = stdout.split('\n').map((line) => line.trim().split(/ {2,}/));
    for (const row of [
      ['schema', 'of_user', user],
      ['auditSchema', 'typed', '--audit-schema'],
      ['jobFrom', '8', box.path(PROJECT)],
      ['directory', box.path('out'), box.path(PROJECT)],
      ['retentionHours', '2.5', 'LORA_EXPORT_RETENTION_HOURS'],
      ['alerts.failureRate', '0.5', box.path(PROJECT)],
      ['alerts.storageBytes', '10737418240', 'default'],
      ['databaseUrl', '(the embedded database)', 'default'],
      ['format', 'jsonl', 'default'],
      ['scope', 'approved', 'default'],
      ['state directory', box.state, 'LORA_EXPORT_HOME'],
      ['preset gold', 'all, usual format', user],
    ]) {
      expect(lines).toContainEqual(row);
    }
    expect(stderr).toBe(
      `Configuration file ${box.path(PROJECT)}: read.\nConfiguration file ${user}: read.\n`,
    );
    await expect(lstat(box.state)).rejects.toThrow('ENOENT');
  });

  test('shows the same as JSON, with presets and files', async () => {
    await writeFile(box.path(PROJECT), '{"presets": {"gold": {"limit": 5}}}');
    const { exitCode, stdout, stderr } = await box.lora(['config', '--json']);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    const shown = JSON.parse(stdout) as Shown;
    expect(shown.settings.find(({ name }) => name === 'jobFrom')).toEqual({
      name: 'jobFrom',
      value: 500,
      source: 'default',
      origin: 'default',
      means: expect.any(String) as unknown,
      variables: ['LORA_EXPORT_JOB_FROM'],
      flag: '--job-from',
    });
    expect(shown.presets).toEqual([{ name: 'gold', origin: box.path(PROJECT), preset: { limit: 5 } }]);
    expect(shown.files).toEqual([
      { path: box.path(PROJECT), kind: 'project', read: true },
      { path: user, kind: 'user', read: false },
    ]);
  });

  test('shows of a database URL who and where, and never the password', async () => {
    const encoded = encodeURIComponent(canary);
    const url = `postgres://someone:${encoded}@db.example.org:6543/main`;
    await writeFile(box.path(PROJECT), JSON.stringify({ databaseUrl: url }), { mode: 0o600 });
    await writeFile(box.path('some.env'), `DATABASE_URL='${url}'\n`);
    const ways: (readonly [args: string[], env: Record<string, string>, origin: string])[] = [
      [[], {}, box.path(PROJECT)],
      [[], { DATABASE_URL: url, PGPASSWORD: canary }, 'DATABASE_URL'],
      [['--database-url', url], {}, '--database-url'],
      [['--dotenv', 'some.env'], {}, 'DATABASE_URL in some.env'],
    ];
    for (const [args, env, origin] of ways) {
      for (const more of [[], ['--json'], ['--debug']]) {
        const { exitCode, stdout, stderr } = await box.lora(['config', ...args, ...more], { env });
        expect(exitCode).toBe(0);
        expect(stdout).toContain('someone@db.example.org:6543/main');
        expect(stdout).toContain(origin);
        for (const secret of [canary, encoded, 'canary']) expect(stdout + stderr).not.toContain(secret);
      }
    }
  });

  test('says what is wrong with a database URL, without showing it', async () => {
    const { exitCode, stdout, stderr } = await box.lora(['config'], {
      env: { DATABASE_URL: `postgres://u:${canary}@h/d` },
    });
    expect(exitCode).toBe(0);
    expect(stdout).toContain('(not usable: DATABASE_URL ');
    expect(stdout + stderr).not.toContain('canary');
  });

  test('is status 2 when a file is not valid', async () => {
    await writeUser('{"scheme": "x"}');
    const { exitCode, stdout, stderr } = await box.lora(['config']);
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
    expect(stderr).toContain(
      `${user} is not a valid configuration: scheme: not known (did you mean schema?)`,
    );
  });
});

describe('a preset', () => {
  let database: TestDatabase;

  beforeAll(async () => {
    database = await createDatabase('ready');
    await seed(database.sql, 3);
    await database.sql`update conversations set tier = 'scenario' where conversation_id = 'c_000002'`;
  });

  afterAll(() => database.drop());

  const lora = (...args: string[]) => box.lora(args, { database });

  test('is saved, used and overridden', async () => {
    const first = await lora('export', '--tier', 'template', '--format', 'csv', '--save-preset', 'gold');
    expect(first).toMatchObject({ exitCode: 0 });
    expect(first.stderr).toContain(`Preset gold saved in ${user}.`);
    expect(await json(user)).toEqual({
      presets: { gold: { format: 'csv', scope: 'approved', filters: { tier: ['template'] } } },
    });
    expect((await stat(user)).mode & 0o777).toBe(0o600);
    expect((await stat(dirname(user))).mode & 0o777).toBe(0o700);
    expect(await readdir(dirname(user))).toEqual(['config.json']);

    const again = await lora('export', '--preset', 'gold');
    expect(again.stdout).toBe(first.stdout);
    const other = await lora('export', '--preset', 'gold', '--tier', 'scenario', '--format', 'jsonl');
    expect(other.stdout.trimEnd().split('\n')).toHaveLength(1);
    expect(other.stdout).toContain('c_000002');
    const runs = await loggedRuns(database.sql);
    expect(runs.at(-2)?.config).toMatchObject({ format: 'csv', filters: { tier: ['template'] } });
  });

  test('goes into the project file when there is one, whose other keys, mode and link stay', async () => {
    const real = box.path('shared.json');
    await writeFile(
      real,
      '{\n    "jobFrom": 9,\n    "presets": {"z": {"limit": 1}},\n    "schema": "public"\n}',
    );
    await chmod(real, 0o640);
    await symlink(real, box.path(PROJECT));
    const { exitCode, stderr } = await lora('export', '--limit', '1', '--save-preset', 'a', '--dry-run');
    expect(exitCode).toBe(0);
    expect(stderr).toContain(`Preset a saved in ${box.path(PROJECT)}.`);
    const text = await readFile(real, 'utf8');
    expect(Object.keys(JSON.parse(text) as object)).toEqual(['jobFrom', 'presets', 'schema']);
    expect(text).toContain('\n    "jobFrom": 9,\n');
    expect((await json(real))['presets']).toEqual({
      z: { limit: 1 },
      a: { scope: 'approved', format: 'jsonl', limit: 1 },
    });
    expect((await stat(real)).mode & 0o777).toBe(0o640);
    expect((await lstat(box.path(PROJECT))).isSymbolicLink()).toBe(true);
    await expect(lstat(user)).rejects.toThrow('ENOENT');
  });

  test('goes into the file that --config names', async () => {
    await writeFile(box.path(PROJECT), '{}');
    await writeFile(box.path('named.json'), '{}');
    const args = ['--config', 'named.json', '--dry-run'];
    expect((await lora('export', '--save-preset', 'a', ...args)).exitCode).toBe(0);
    expect(await json(box.path('named.json'))).toMatchObject({ presets: { a: {} } });
    expect(await readFile(box.path(PROJECT), 'utf8')).toBe('{}');
    expect((await lora('export', '--preset', 'a', '--dry-run')).exitCode).toBe(2);
  });

  test('of another meaning is replaced with --force only, and the same one is left alone', async () => {
    const save = (...args: string[]) => lora('export', '--dry-run', '--save-preset', 'gold', ...args);
    await save('--limit', '1');
    const same = await save('--limit', '1');
    expect(same.stderr).toContain(`Preset gold is already in ${user}.`);
    const other = await save('--limit', '2');
    expect(other).toMatchObject({ exitCode: 2, stdout: '' });
    expect(other.stderr).toContain(`${user} has another preset gold already.`);
    expect(other.stderr).toContain('--force');
    expect(await json(user)).toMatchObject({ presets: { gold: { limit: 1 } } });
    const forced = await save('--limit', '2', '--force');
    expect(forced.stderr).toContain(`Preset gold replaced in ${user}.`);
    expect(await json(user)).toMatchObject({ presets: { gold: { limit: 2 } } });
  });

  test('is not saved from a request that is refused', async () => {
    const { exitCode } = await lora('export', '--scope', 'filtered', '--save-preset', 'gold');
    expect(exitCode).toBe(2);
    await expect(lstat(user)).rejects.toThrow('ENOENT');
  });

  test('can be named like a member of every object', async () => {
    await lora('export', '--dry-run', '--limit', '1', '--save-preset', 'constructor');
    expect(await json(user)).toMatchObject({ presets: { constructor: { limit: 1 } } });
    expect((await lora('export', '--dry-run', '--preset', 'constructor')).exitCode).toBe(0);
    expect((await lora('export', '--dry-run', '--preset', 'toString')).exitCode).toBe(2);
  });

  test('that nobody saved is status 2, with what was meant and what there is', async () => {
    await writeFile(box.path(PROJECT), '{"presets": {"gold": {}, "silver": {}}}');
    const { exitCode, stdout, stderr } = await lora('export', '--preset', 'glod');
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
    expect(stderr).toContain('There is no preset glod. Did you mean gold?');
    expect(stderr).toContain('Presets: gold, silver.');
  });

  for (const [args, says] of [
    [['--preset', 'p', '--format', 'csv'], 'contradict each other: trl is written as jsonl'],
    [['--preset', 'p', '--timestamps'], '--timestamps and target trl contradict each other'],
    [['--preset', '-x'], 'letters, digits'],
    [['--save-preset', '../x'], 'letters, digits'],
    [['--preset', 'p', '--preset', 'p'], 'given twice'],
    [['--preset', 'p', '--like', '00000000-0000-4000-8000-000000000001'], 'contradict each other'],
  ] as const) {
    test(`${args.join(' ')} is status 2 before any work`, async () => {
      await writeFile(box.path(PROJECT), '{"presets": {"p": {"target": "trl"}}}');
      const before = await loggedRuns(database.sql);
      const { exitCode, stdout, stderr } = await lora('export', ...args);
      expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
      expect(stderr).toContain(says);
      expect(await loggedRuns(database.sql)).toEqual(before);
    });
  }

  // Root can write everywhere.
  test.skipIf(process.getuid?.() === 0)('is status 24 where it cannot be written', async () => {
    await writeUser('{}');
    await chmod(dirname(user), 0o500);
    const { exitCode, stderr } = await lora('export', '--save-preset', 'a');
    expect(exitCode).toBe(24);
    expect(stderr).toContain(`Cannot write ${user}: the system reported EACCES.`);
    await chmod(dirname(user), 0o700);
  });

  test('is status 24 where its directory cannot be made', async () => {
    await writeFile(join(String(box.env['HOME']), '.config'), '');
    const { exitCode, stderr } = await lora('export', '--save-preset', 'a');
    expect(exitCode).toBe(24);
    expect(stderr).toContain(`Cannot write ${user}: the system reported `);
  });
});
