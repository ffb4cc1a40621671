import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { spawn } from '@lydell/node-pty';
import { afterEach, beforeEach, expect, test } from 'vitest';

import { parseDatabaseUrl } from '../../src/db/target.js';
import { queueExport } from '../../src/jobs/queue.js';
import { makeSandbox, program, type Running, type Sandbox } from '../support/cli.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { ageHeartbeats, endSessions, lockTable, loggedRuns, onlyRun, seed } from '../support/seed.js';

let database: TestDatabase;
let box: Sandbox;
const running: Running[] = [];

beforeEach(async () => {
  database = await createDatabase();
  box = await makeSandbox(database);
});

afterEach(async () => {
  for (const { child, ended } of running.splice(0)) {
    child.kill('SIGKILL');
    await ended;
  }
  await database.drop();
  await box.remove();
});

function start(args: readonly string[], options?: Parameters<Sandbox['start']>[1]): Running {
  const run = box.start(args, options);
  running.push(run);
  return run;
}

async function untilStatus(status: string): Promise<void> {
  await expect.poll(async () => (await onlyRun(database.sql)).status, { timeout: 20_000 }).toBe(status);
}

/** Queues an export into the managed directory that workers of this box use. */
async function queue(): Promise<string> {
  const { exportId } = await queueExport(
    { output: { kind: 'managed', directory: box.path('managed') } },
    { database: parseDatabaseUrl(database.url, 'the test') },
  );
  return exportId;
}

function startWorker(...args: string[]): Running {
  return start(['worker', ...args], { env: { LORA_EXPORT_DIR: box.path('managed') } });
}

async function kill({ child, ended }: Running): Promise<void> {
  child.kill('SIGKILL');
  expect((await ended).signal).toBe('SIGKILL');
}

test('--detach answers with the id at once, and the export is done without its parent', async () => {
  await seed(database.sql, 600);
  const { exitCode, stdout, stderr } = await box.lora(['export', '--detach', '-o', 'out.jsonl']);
  expect(exitCode, stderr).toBe(0);
  expect(stdout).toBe(`${(await onlyRun(database.sql)).export_id}\n`);
  await untilStatus('completed');
  const lines = (await readFile(box.path('out.jsonl'), 'utf8')).trimEnd().split('\n');
  expect(lines).toHaveLength(600);
  // A log is kept only where something went wrong.
  await expect.poll(async () => readdir(join(box.state, 'jobs'))).toEqual([]);
});

test('--detach tells programs the id as JSON, and refuses what cannot be detached before it begins', async () => {
  await seed(database.sql, 1);
  const { stdout } = await box.lora(['export', '--detach', '--json', '-o', 'out.jsonl']);
  expect(JSON.parse(stdout)).toEqual({
    export_id: (await onlyRun(database.sql)).export_id,
    status: 'queued',
    matched_count: 1,
  });
  await untilStatus('completed');
  for (const args of [[], ['-o', '-'], ['-o', 'x.jsonl', '--report', 'r'], ['-o', 'x.jsonl', '--dry-run']]) {
    const refused = await box.lora(['export', '--detach', ...args]);
    expect(refused.exitCode, args.join(' ')).toBe(2);
    expect(refused.stdout).toBe('');
  }
  expect(await loggedRuns(database.sql)).toHaveLength(1);
});

test('a detached export survives the closing of its terminal', async () => {
  await seed(database.sql, 600);
  const letGo = await lockTable(database.sql, 'conversation_turns');
  const { DATABASE_URL } = { DATABASE_URL: database.url };
  const terminal = spawn('bash', [], { cwd: box.directory, env: { ...box.env, DATABASE_URL }, cols: 100 });
  let shown = '';
  terminal.onData((data) => (shown += data));
  terminal.write(`${process.execPath} ${program} export --detach -o out.jsonl\r`);
  await expect.poll(() => shown, { timeout: 20_000 }).toMatch(/\r\n[0-9a-f-]{36}\r\n/);
  await untilStatus('processing');
  const closed = new Promise((resolve) => terminal.onExit(resolve));
  // Closing the master side hangs up on everybody of the session.
  terminal.kill('SIGHUP');
  await closed;
  await letGo();
  await untilStatus('completed');
  expect((await readFile(box.path('out.jsonl'), 'utf8')).trimEnd().split('\n')).toHaveLength(600);
});

test('a detached export is watched from another process until it is complete', async () => {
  await seed(database.sql, 600);
  const letGo = await lockTable(database.sql, 'conversation_turns');
  const { stdout: id } = await box.lora(['export', '--detach', '-o', 'out.jsonl']);
  await untilStatus('processing');
  const watcher = start(['status', id.trim(), '--watch', '--json', '--interval', '0.2']);
  await once(watcher.child.stdout as NodeJS.ReadableStream, 'data');
  await letGo();
  const { exitCode, stdout, stderr } = await watcher.ended;
  expect(exitCode, stderr).toBe(0);
  const seen = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { status: string; progress: number });
  expect(seen[0]).toMatchObject({ status: 'processing' });
  expect(seen.at(-1)).toMatchObject({ status: 'completed', progress: 100 });
  const progress = seen.map((state) => state.progress);
  expect(progress).toEqual(progress.toSorted((one, other) => one - other));
});

test('a worker that is killed loses its export to the next, which finishes it once', async () => {
  await seed(database.sql, 600);
  const exportId = await queue();
  const letGo = await lockTable(database.sql, 'conversation_turns');
  const first = startWorker();
  await first.shown(`Export ${exportId}, attempt 1.`);
  await untilStatus('processing');
  await kill(first);
  await letGo();
  await endSessions(database.sql);
  expect((await onlyRun(database.sql)).status).toBe('processing');

  await ageHeartbeats(database.sql);
  const { exitCode, stderr } = await startWorker('--drain').ended;
  expect(exitCode, stderr).toBe(0);
  expect(stderr).toContain(`Export ${exportId}, attempt 2.`);
  expect(await onlyRun(database.sql)).toMatchObject({ status: 'completed', conversation_count: 600 });
  expect(await readdir(join(box.path('managed'), exportId))).toHaveLength(1);
});

test('four workers, two of which are killed, finish a hundred exports, each exactly once', async () => {
  const { sql } = database;
  await seed(sql, 3);
  await sql
    .unsafe(
      `create table endings (export_id uuid, status text);
       create function note() returns trigger language plpgsql as
         $$ begin insert into endings values (new.export_id, new.status); return new; end $$;
       create trigger note after update of status on export_logs for each row
         when (new.status in ('completed', 'failed')) execute function note()`,
    )
    .simple();
  const jobs: string[] = [];
  for (let job = 0; job < 100; job++) jobs.push(await queue());
  const workers = Array.from({ length: 4 }, () => startWorker('--drain'));
  const [one, two, ...others] = workers as [Running, Running, ...Running[]];
  await Promise.all([one.shown('attempt 1.'), two.shown('attempt 1.')]);
  await Promise.all([kill(one), kill(two)]);
  for (const { exitCode, stderr } of await Promise.all(others.map(({ ended }) => ended))) {
    expect(exitCode, stderr).toBe(0);
  }
  await endSessions(sql);
  await ageHeartbeats(sql);
  expect((await startWorker('--drain').ended).exitCode).toBe(0);

  const endings = await sql<{ export_id: string; status: string }[]>`select * from endings`;
  expect(endings.map(({ export_id }) => export_id).toSorted()).toEqual(jobs.toSorted());
  // A worker may have been killed between publishing and saying so; then recovery says it.
  expect(new Set(endings.map(({ status }) => status))).toEqual(new Set(['completed']));
  for (const exportId of jobs) {
    expect(await readdir(join(box.path('managed'), exportId))).toHaveLength(1);
  }
}, 120_000);

test('--cancel ends a detached export, which leaves no file', async () => {
  await seed(database.sql, 600);
  const letGo = await lockTable(database.sql, 'conversation_turns');
  const { stdout } = await box.lora(['export', '--detach', '-o', 'out.jsonl']);
  await untilStatus('processing');
  const { exitCode, stderr } = await box.lora(['export', '--cancel', stdout.trim()]);
  expect(exitCode, stderr).toBe(0);
  expect((await onlyRun(database.sql)).status).toBe('failed');
  await letGo();
  // Its worker ends with what it had to say, which is kept.
  const log = join(box.state, 'jobs', `${stdout.trim()}.log`);
  await expect
    .poll(async () => readFile(log, 'utf8'), { timeout: 20_000 })
    .toContain('was closed from elsewhere: cancelled by user');
  expect(await box.files()).toEqual([]);
  expect(await box.lora(['export', '--cancel', stdout.trim()])).toMatchObject({ exitCode: 27 });
  expect(await box.lora(['export', '--cancel', '6f3c0b1e-5d1a-4c0f-9a51-b8f0a2b7c9d4'])).toMatchObject({
    exitCode: 26,
  });
});

test('--like asks again for what an earlier export asked for, on the data of today', async () => {
  await seed(database.sql, 12);
  const first = await box.lora([
    'export',
    '--target',
    'openai',
    '--limit',
    '11',
    '--sort',
    'title',
    '-o',
    'a.jsonl',
  ]);
  expect(first.exitCode, first.stderr).toBe(0);
  const { export_id: id } = await onlyRun(database.sql);
  const again = await box.lora(['export', '--like', id, '-o', 'b.jsonl']);
  expect(again.exitCode, again.stderr).toBe(0);
  expect(await readFile(box.path('b.jsonl'))).toEqual(await readFile(box.path('a.jsonl')));

  await database.sql`update conversations set status = 'rejected' where conversation_id = 'c_000001'`;
  expect((await box.lora(['export', '--like', id, '-o', 'c.jsonl'])).exitCode).toBe(0);
  expect(await readFile(box.path('c.jsonl'), 'utf8')).not.toBe(await readFile(box.path('a.jsonl'), 'utf8'));

  const refused = await box.lora(['export', '--like', id, '--tier', 'template', '-o', 'd.jsonl']);
  expect(refused).toMatchObject({ exitCode: 2 });
  expect(refused.stderr).toContain('--like and --tier contradict each other');
  const absent = await box.lora([
    'export',
    '--like',
    '6f3c0b1e-5d1a-4c0f-9a51-b8f0a2b7c9d4',
    '-o',
    'd.jsonl',
  ]);
  expect(absent).toMatchObject({ exitCode: 26 });
  const others = await box.lora([
    'export',
    '--like',
    id,
    '--user',
    '6f3c0b1e-5d1a-4c0f-9a51-b8f0a2b7c9d4',
    '-o',
    'd.jsonl',
  ]);
  expect(others.stderr.replace(id, 'ID')).toBe(
    absent.stderr.replace('6f3c0b1e-5d1a-4c0f-9a51-b8f0a2b7c9d4', 'ID'),
  );
});

test('--timeout ends an export that takes too long, with status 31 and no file', async () => {
  await seed(database.sql, 3);
  const letGo = await lockTable(database.sql, 'conversation_turns');
  const { exitCode, stderr } = await box.lora(['export', '--timeout', '0.5', '-o', 'out.jsonl']);
  await letGo();
  expect(exitCode).toBe(31);
  expect(stderr).toContain('took longer than the 0.5 s');
  expect(await onlyRun(database.sql)).toMatchObject({ status: 'failed' });
  expect(await box.files()).toEqual([]);
});
