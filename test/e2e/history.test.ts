import { randomUUID } from 'node:crypto';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { HISTORY_SORTS } from '../../src/db/history.js';
import { STATUSES } from '../../src/db/recorded-runs.js';
import { SCOPES } from '../../src/request.js';
import { readCsv } from '../formats/readers.js';
import { addUser, applyAuthShim, applyMigrations } from '../support/audit.js';
import { makeSandbox, type Ended, type Sandbox } from '../support/cli.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { addConversation } from '../support/export.js';
import { record } from '../support/recorded.js';

let database: TestDatabase;
let box: Sandbox;
const anna = randomUUID();
const bert = randomUUID();

beforeAll(async () => {
  database = await createDatabase();
  box = await makeSandbox(database);
});
afterAll(async () => {
  await database.drop();
  await box.remove();
});

const history = (...args: string[]): Promise<Ended> => box.lora(['history', ...args]);
const jsonOf = async (...args: string[]): Promise<Record<string, unknown>> => {
  const { exitCode, stdout, stderr } = await history('--json', ...args);
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
  expect(stdout.split('\n')).toHaveLength(2);
  return JSON.parse(stdout) as Record<string, unknown>;
};

describe('history of nothing', () => {
  test('says so, and prints no data', async () => {
    const nobody = ['--user', randomUUID()];
    expect(await history(...nobody)).toMatchObject({ exitCode: 0, stdout: '', stderr: 'No exports yet.\n' });
    expect((await history(...nobody, '--status', 'failed')).stderr).toBe('No export matches.\n');
    expect(await jsonOf(...nobody)).toEqual({ total: 0, page: 1, limit: 25, exports: [] });
  });
});

describe('history', () => {
  let failed: string;
  let kept: string;

  beforeAll(async () => {
    const at = (day: number) => ({ userId: anna, timestamp: `2025-10-${day}T10:00:00Z` });
    failed = await record(database.sql, {
      ...at(11),
      status: 'failed',
      size: null,
      error: `\u001b[31mred\u202e ${'long '.repeat(30)}`,
    });
    kept = await record(database.sql, {
      ...at(12),
      count: 7,
      size: 2048,
      expiresAt: '2999-01-01T00:00:00Z',
      run: { output: { kind: 'file' }, storage_key: 'x/y.jsonl', sha256: 'ab', duration_ms: 1234 },
    });
    await record(database.sql, { ...at(13), config: { scope: 'all\u001b]0;x' }, run: null });
    await record(database.sql, { userId: bert });
  });

  test('is a table without colours, whose text cannot move a cursor', async () => {
    const { exitCode, stdout, stderr } = await history('--user', anna);
    expect(exitCode).toBe(0);
    expect(stderr).toBe('Page 1 of 1, 3 exports.\n');
    const [head, other, first, second, ...rest] = stdout.split('\n');
    expect(rest).toEqual(['']);
    expect(head).toMatch(
      /^export +asked at \(UTC\) +status +format +scope +count +size +available until +error$/,
    );
    expect(other).toContain('(recorded by another program)');
    expect(first).toMatch(
      new RegExp(`^${kept} +2025-10-12 10:00 +completed +jsonl +approved +7 +2\\.0 KiB +2999-01-01 00:00$`),
    );
    expect(second).toContain(failed);
    expect(second).toContain(String.raw`\u{1b}[31mred\u{202e} long`);
    expect(second?.endsWith('…')).toBe(true);
    expect(stdout.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}]/u);
  });

  test('has pages, filters and an order', async () => {
    const page = await history('--user', anna, '--limit', '2', '--sort', 'count', '--order', 'asc');
    expect(page.stderr).toBe('Page 1 of 2, 3 exports; --page 2 shows more.\n');
    const second = await jsonOf(
      '--user',
      anna,
      '--limit',
      '2',
      '--page',
      '2',
      '--sort',
      'count',
      '--order',
      'asc',
    );
    expect(second).toMatchObject({ total: 3, page: 2, limit: 2, exports: [{ export_id: kept }] });
    const beyond = await history('--user', anna, '--limit', '2', '--page', '9');
    expect(beyond).toMatchObject({
      exitCode: 0,
      stdout: '',
      stderr: 'There is no page 9: 3 exports make 2 pages.\n',
    });
    const filtered = [
      '--status',
      'failed,queued',
      '--from',
      '2025-10-11',
      '--to',
      '2025-10-11',
      '--format',
      'jsonl',
    ];
    expect(await jsonOf('--user', anna, ...filtered)).toMatchObject({
      total: 1,
      exports: [{ export_id: failed }],
    });
    expect(await jsonOf('--user', anna, '--scope', 'approved', '--format', 'md')).toMatchObject({ total: 0 });
  });

  test('gives programs one object with a member for all that an export came to', async () => {
    const { exports } = (await jsonOf('--user', anna, '--from', '2025-10-12', '--to', '2025-10-12')) as {
      exports: unknown[];
    };
    expect(exports).toEqual([
      {
        export_id: kept,
        user_id: anna,
        timestamp: '2025-10-12T10:00:00.000Z',
        format: 'jsonl',
        target: null,
        scope: 'approved',
        status: 'completed',
        conversation_count: 7,
        skipped_count: 0,
        file_size: 2048,
        file_url: null,
        sha256: 'ab',
        duration_ms: 1234,
        expires_at: '2999-01-01T00:00:00.000Z',
        is_available: true,
        available_until: '2999-01-01T00:00:00.000Z',
        error_message: null,
      },
    ]);
  });

  test("shows everybody's exports with --all-users, and with --user those of one", async () => {
    const all = await history('--all-users');
    expect(all.stdout).toMatch(/^export +asked at \(UTC\) +user +status/);
    expect(all.stdout).toContain(bert);
    expect(all.stdout).toContain(anna);
    expect(await jsonOf('--all-users')).toMatchObject({ total: 4 });
    expect(await jsonOf('--all-users', '--user', bert)).toMatchObject({
      total: 1,
      exports: [{ user_id: bert }],
    });
    // Whom the environment names is on whose behalf one works, and no filter.
    const { stdout } = await box.lora(['history', '--json', '--all-users'], {
      env: { LORA_EXPORT_USER_ID: bert },
    });
    expect(JSON.parse(stdout)).toMatchObject({ total: 4 });
  });

  test('writes all that matches as CSV, to standard output or a file that it does not replace unasked', async () => {
    const piped = await history('--csv', '--user', anna);
    expect(piped).toMatchObject({ exitCode: 0, stderr: 'Wrote 3 exports to standard output.\n' });
    expect(readCsv(piped.stdout)).toHaveLength(4);
    const path = box.path('log.csv');
    expect(await history('--csv', '--user', anna, '-o', 'log.csv')).toMatchObject({
      exitCode: 0,
      stdout: '',
      stderr: `Wrote 3 exports to ${path}.\n`,
    });
    expect(await readFile(path, 'utf8')).toBe(piped.stdout);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    await writeFile(path, 'mine');
    expect((await history('--csv', '--user', anna, '-o', 'log.csv')).exitCode).toBe(25);
    expect(await readFile(path, 'utf8')).toBe('mine');
    expect((await history('--csv', '--user', anna, '-o', 'log.csv', '--force')).exitCode).toBe(0);
    expect(await readFile(path, 'utf8')).toBe(piped.stdout);
    expect((await history('--csv', '-o', 'absent/log.csv')).exitCode).toBe(24);
    expect(await box.files()).toEqual(['log.csv']);
  });

  test('ends quietly with 141 when the reader of its CSV leaves', async () => {
    const carl = randomUUID();
    await database.sql`
      insert into export_logs (user_id, format, config, conversation_count, status, error_message)
      select ${carl}, 'jsonl', '{}', i, 'completed', repeat('x', 1000) from generate_series(1, 5000) i`;
    const { exitCode, stdout, stderr } = await box.shell('"$@" | head -1', [
      'history',
      '--csv',
      '--user',
      carl,
    ]);
    expect({ exitCode, stderr }).toEqual({ exitCode: 141, stderr: '' });
    expect(stdout).toMatch(/^id,export_id,/);
  });
});

describe('history ID', () => {
  let exportId: string;

  beforeAll(async () => {
    await addConversation(database.sql, { conversation_id: 'good', tier: 'template' });
    await addConversation(database.sql, { conversation_id: 'empty\u001b[2J', tier: 'template' }, []);
    const { stderr } = await box.lora(
      ['export', '--tier', 'template', '--no-timestamps', '--user', anna, '-o', 'out.jsonl', '--json'],
      {},
    );
    expect(stderr).toBe('');
    [{ exportId }] = (await database.sql`
      select export_id as "exportId" from export_logs where user_id = ${anna} order by timestamp desc limit 1`) as unknown as [
      { exportId: string },
    ];
  });

  test('shows what was asked, what came out, who was skipped and why, and how to repeat it', async () => {
    const { exitCode, stdout, stderr } = await history(exportId, '--user', anna);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    for (const part of [
      `Export ${exportId}`,
      /status +completed/,
      new RegExp(`user +${anna}`),
      /\nAsked for\n  scope +approved\n  filters [^\n]*\n/,
      /includeTimestamps +false/,
      /filters +\{"tier":\["template"\]\}/,
      /conversations +1 of 2 that matched/,
      String.raw`skipped no-turns (has no turns): 1: empty\u{1b}[2J`,
      /sha256 +[0-9a-f]{64}/,
      /file +file:\/\/.*out\.jsonl/,
      /available +no: a file of your own/,
      `  lora-export export --like ${exportId}\n`,
      /lora-export export .*--tier template .*--no-timestamps .*out\.jsonl/,
    ]) {
      expect(stdout).toMatch(part);
    }
    expect(stdout.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}]/u);
  });

  test('prints a command line that a shell can run, and that makes the same file', async () => {
    const { repeat, sha256 } = (await jsonOf(exportId, '--user', anna)) as {
      repeat: { flags: string };
      sha256: string;
    };
    const line = repeat.flags.replace(/^lora-export/, '"$@"').replace(/--output \S+/, '--output again.jsonl');
    const again = await box.shell(`${line} --json`, []);
    expect(again.exitCode).toBe(0);
    expect(JSON.parse(again.stdout)).toMatchObject({ sha256 });
  });

  test('gives programs the whole of it', async () => {
    expect(await jsonOf(exportId, '--user', anna)).toMatchObject({
      export_id: exportId,
      status: 'completed',
      matched_count: 2,
      written_count: 1,
      skipped_count: 1,
      skips: { 'no-turns': { count: 1, ids: ['empty\u001b[2J'] } },
      config: { version: 1, filters: { tier: ['template'] } },
      is_available: false,
      unavailable_because: 'a file of your own',
      repeat: { like: `lora-export export --like ${exportId}`, problem: null },
    });
  });

  test('shows rows of other programs with whatever they hold', async () => {
    const config = { scope: 'all', colour: 'red', filters: null, deep: { a: [1] } };
    const foreign = await record(database.sql, { userId: anna, run: null, config, error: 'a\nb\u202e' });
    const { exitCode, stdout } = await history(foreign, '--user', anna);
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/colour +red\n/);
    expect(stdout).toContain(String.raw`a\u{a}b\u{202e}`);
    expect(stdout).toMatch(/available +no: recorded by another program/);
    expect(await jsonOf(foreign, '--user', anna)).toMatchObject({ config, skips: null, phase: null });
  });

  test("does not tell another user's export from one that does not exist", async () => {
    const absent = randomUUID();
    const theirs = await history(exportId, '--user', bert);
    const none = await history(absent, '--user', bert);
    expect([theirs.exitCode, none.exitCode]).toEqual([26, 26]);
    expect(theirs.stderr.replaceAll(exportId, 'ID')).toBe(none.stderr.replaceAll(absent, 'ID'));
    expect([theirs.stdout, none.stdout]).toEqual(['', '']);
    expect((await history(exportId, '--all-users')).exitCode).toBe(0);
  });
});

describe('history on a database that knows users', () => {
  test('shows each one his own, by list, CSV and id', async () => {
    const shaped = await createDatabase();
    try {
      await applyAuthShim(shaped.sql);
      await applyMigrations(shaped.sql);
      const users = [await addUser(shaped.sql), await addUser(shaped.sql)];
      const ids = await Promise.all(users.map((userId) => record(shaped.sql, { userId })));
      for (const [index, user] of users.entries()) {
        const own = ids[index] ?? '';
        const other = ids[1 - index] ?? '';
        for (const args of [['--json'], ['--csv']]) {
          const { stdout } = await box.lora(['history', ...args, '--user', user], { database: shaped });
          expect([stdout.includes(own), stdout.includes(other)]).toEqual([true, false]);
        }
        expect((await box.lora(['history', own, '--user', user], { database: shaped })).exitCode).toBe(0);
        expect((await box.lora(['history', other, '--user', user], { database: shaped })).exitCode).toBe(26);
      }
      const unnamed = await box.lora(['history'], { database: shaped });
      expect(unnamed).toMatchObject({ exitCode: 2, stdout: '' });
    } finally {
      await shaped.drop();
    }
  });
});

describe('history refuses', () => {
  const id = randomUUID();

  test.each<[string[], ...string[]]>([
    [['6f3c0b1e'], 'UUID'],
    [['{6f3c0b1e-5d1a-4c0f-9a51-b8f0a2b7c9d4}'], 'UUID'],
    [[id, id], 'arguments'],
    [['--format', 'exe'], '--format', 'jsonl, json, csv, markdown'],
    [['--status', 'faild'], ...STATUSES, 'Did you mean failed?'],
    [['--scope', 'none'], ...SCOPES],
    [['--sort', 'title'], ...HISTORY_SORTS],
    [['--order', 'up'], 'asc'],
    [['--limit', '101'], '1 to 100'],
    [['--page', '0'], '--page'],
    [['--from', '2025-02-30'], '--from'],
    [['--from', '2025-03-02', '--to', '2025-03-01'], 'from: must not be after to'],
    [['--since', 'yesterday'], '--since'],
    [['--by', 'week'], '--by'],
    [[id, '--csv'], '--csv means nothing with an export id'],
    [[id, '--page', '2'], '--page means nothing'],
    [[id, '--stats'], '--stats means nothing'],
    [['--csv', '--json'], '--json means nothing with --csv'],
    [['--csv', '--limit', '5'], '--limit means nothing with --csv'],
    [['--output', 'x.csv'], '--output', '--csv'],
    [['--force'], '--force', '--csv'],
    [['--stats', '--csv'], '--csv means nothing with --stats'],
    [['--stats', '--status', 'failed'], '--status means nothing with --stats'],
    [['--check', '--page', '2'], '--page means nothing with --check'],
    [['--since', '7d'], '--since belongs to --stats'],
    [['--by', 'hour'], '--by belongs to --stats'],
  ])('%j', async (args, ...says) => {
    const { exitCode, stdout, stderr } = await box.lora(['history', ...args], {
      env: { DATABASE_URL: 'postgres://nobody@localhost:1/none' },
    });
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
    for (const part of says) expect(stderr).toContain(part);
  });
});
