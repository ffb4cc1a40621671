import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';

import { CHECKS } from '../../src/doctor.js';
import { makeSandbox, type Ended, type Sandbox } from '../support/cli.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { loggedRuns, seed } from '../support/seed.js';

const canary = 'hunter2-canary';
let database: TestDatabase;
let box: Sandbox;

interface Report {
  readonly ok: boolean;
  readonly checks: readonly {
    readonly name: string;
    readonly status: string;
    readonly message: string;
    readonly fix: string | null;
    readonly sql: readonly string[];
    readonly kind: string | null;
    readonly code: number | null;
  }[];
}

beforeAll(async () => {
  database = await createDatabase();
  await seed(database.sql, 2);
  box = await makeSandbox(database);
});
afterAll(async () => {
  await database.drop();
  await box.remove();
});

const reportOf = ({ stdout }: Ended): Report => JSON.parse(stdout) as Report;

it('prints a line per check, the fix below it, without colours where nobody looks', async () => {
  await database.sql`update conversations set status = 'draft'`;
  const { exitCode, stdout, stderr } = await box.lora(['doctor'], { env: { LANG: 'C.UTF-8' } });
  await database.sql`update conversations set status = 'approved'`;
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
  const lines = stdout.split('\n');
  const names = lines.flatMap(
    (line) => /^(?:ok|warning|failed|skipped) +([a-z-]+) {2,}\S/.exec(line)?.[1] ?? [],
  );
  expect(names).toEqual(CHECKS);
  const turns = lines.findIndex((line) => line.startsWith('warning  turns'));
  expect(lines[turns + 1]).toMatch(/^ {23}→ Approve some/);
  expect(stdout).not.toContain('\u{1b}');
  expect(stdout).toMatch(/\n\n\d+ ok, \d+ warning, 0 failed, 0 skipped\n$/);
});

it('keeps to ASCII where the locale does', async () => {
  const { stdout } = await box.lora(['doctor', '--database-url', 'postgresql://u@127.0.0.1:1/x'], {
    env: { LANG: 'C' },
  });
  expect(stdout).toMatch(/^ +-> Check that PostgreSQL is running/m);
  expect(stdout).toMatch(/^[\n\x20-\x7e]*$/);
});

it('--json is one object whose members are a contract', async () => {
  const ended = await box.lora(['doctor', '--json']);
  expect(ended).toMatchObject({ exitCode: 0, stderr: '' });
  const report = reportOf(ended);
  expect(report.ok).toBe(true);
  expect(report.checks.map(({ name }) => name)).toEqual(CHECKS);
  for (const check of report.checks) {
    expect(Object.keys(check)).toEqual(['name', 'status', 'message', 'fix', 'sql', 'kind', 'code']);
  }
});

it('ends with the status of the first failure, and says which checks failed', async () => {
  const unreachable = await box.lora(['doctor', '--json'], {
    env: { LORA_EXPORT_DATABASE_URL: `postgresql://u:${canary}@127.0.0.1:1/x` },
  });
  expect(unreachable.exitCode).toBe(20);
  expect(JSON.parse(unreachable.stderr)).toMatchObject({ code: 20, kind: 'E_DB_UNREACHABLE' });
  expect(reportOf(unreachable).checks[0]?.message).toContain('from LORA_EXPORT_DATABASE_URL');
  expect(reportOf(unreachable).checks[1]).toMatchObject({ status: 'failed', code: 20 });
  expect(unreachable.stdout + unreachable.stderr).not.toContain(canary);

  const schema = await box.lora(['doctor', '--schema', 'nowhere']);
  expect(schema.exitCode).toBe(22);
  expect(schema.stderr).toContain('checks failed: source.');

  const file = box.path('file');
  await writeFile(file, '');
  const directory = await box.lora(['doctor'], { env: { LORA_EXPORT_DIR: join(file, 'exports') } });
  expect(directory.exitCode).toBe(24);
});

it('reports settings that cannot be read as its first check, the password left out', async () => {
  const url = await box.lora(['doctor', '--json'], {
    env: { DATABASE_URL: `postgresql://u:${canary}@host@${canary}:5432/x` },
  });
  expect(url.exitCode).toBe(2);
  expect(reportOf(url).checks[0]).toMatchObject({ name: 'settings', status: 'failed', code: 2 });
  expect(reportOf(url).checks.find(({ name }) => name === 'disk')?.status).not.toBe('skipped');
  expect(url.stdout + url.stderr).not.toContain(canary);

  const config = box.path('bad.json');
  await writeFile(config, '{"databaseURL": "x"}');
  const unreadable = await box.lora(['doctor', '--config', config]);
  expect(unreadable.exitCode).toBe(2);
  expect(unreadable.stdout).toMatch(/^failed +settings/);
  expect(unreadable.stdout).toMatch(/^skipped +directory/m);
});

it('leaves no row in the log and nothing in the export directory', async () => {
  const directory = box.path('exports');
  await mkdir(directory, { mode: 0o700 });
  const options = { env: { LORA_EXPORT_DIR: directory } };
  expect((await box.lora(['doctor'], options)).exitCode).toBe(0);
  expect(await readdir(directory)).toEqual([]);
  expect(await loggedRuns(database.sql)).toEqual([]);
});

it('shows control characters of names in the database instead of sending them to the terminal', async () => {
  const hostile = 'x\u{1b}]0;owned\u{7}';
  await database.sql`create schema ${database.sql(hostile)}`;
  const { stdout, stderr } = await box.lora(['doctor', '--schema', hostile]);
  expect(stdout + stderr).not.toContain('\u{1b}');
  expect(stdout).toContain(String.raw`x\u{1b}]0;owned\u{7}`);
  const json = await box.lora(['doctor', '--json', '--schema', '\u{9b}31m\u{202e}']);
  expect(json.stdout).not.toMatch(/[\u{9b}\u{202e}]/u);
  expect(reportOf(json).checks[0]?.message).toContain('\u{9b}31m\u{202e}');
});

it('says why the embedded database cannot be started, and looks at the rest', async () => {
  const file = box.path('no-home');
  await writeFile(file, '');
  const ended = await box.lora(['doctor', '--json'], {
    database: undefined,
    env: { LORA_EXPORT_HOME: join(file, 'home'), LORA_EXPORT_DIR: box.path('elsewhere') },
  });
  expect(ended.exitCode).toBe(2);
  const { checks } = reportOf(ended);
  expect(checks[0]).toMatchObject({ name: 'settings', status: 'ok' });
  expect(checks[1]).toMatchObject({ name: 'connection', status: 'failed', kind: 'E_USAGE' });
  expect(checks.find(({ name }) => name === 'directory')?.status).toBe('ok');
});

it('examines the embedded database where no other is named', async () => {
  const other = await makeSandbox();
  try {
    const fresh = await other.lora(['doctor']);
    expect(fresh.exitCode).toBe(22);
    expect(fresh.stdout).toMatch(/^failed +source/m);
    expect(fresh.stdout).toMatch(/^failed +audit-tables/m);
    expect(fresh.stdout).toContain('lora-export init');
    expect((await other.lora(['init', '--demo'])).exitCode).toBe(0);
    const ready = await other.lora(['doctor']);
    expect(ready).toMatchObject({ exitCode: 0, stderr: expect.stringContaining('embedded') });
    expect(ready.stdout).toMatch(/^ok +settings +no database is named/);
    expect(ready.stdout).toMatch(/^warning +turns +89 approved conversations: 1 without turns/m);
  } finally {
    await other.remove();
  }
});
