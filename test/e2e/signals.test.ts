import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { makeSandbox, type Sandbox } from '../support/cli.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { endSessions, hurryUp, lockTable, onlyRun, seed, slowDown } from '../support/seed.js';

const STATUS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;
const signals = Object.keys(STATUS) as (keyof typeof STATUS)[];
const env = { LORA_EXPORT_TEST_PHASES: '1' };

let database: TestDatabase;
let box: Sandbox;

beforeAll(async () => {
  database = await createDatabase();
  await seed(database.sql, 400, 4_000);
});

afterAll(() => database.drop());

beforeEach(async () => {
  box = await makeSandbox(database);
});

afterEach(async () => {
  await box.remove();
  await endSessions(database.sql);
  await hurryUp(database.sql);
  await database.sql`delete from export_logs`;
});

describe('a signal', () => {
  test('while counting ends the run before there is a row', async () => {
    const signal = 'SIGHUP';
    const unlock = await lockTable(database.sql, 'conversations');
    const run = box.start(['export', '--output', 'out.jsonl'], { env });
    await run.shown('phase=counting');
    run.child.kill(signal);
    const { exitCode, stderr } = await run.ended;
    await unlock();
    expect(exitCode).toBe(STATUS[signal]);
    expect(stderr).toContain(`cancelled by ${signal}`);
    expect(await database.sql`select from export_logs`).toHaveLength(0);
    expect(await box.files()).toEqual([]);
  });

  test.each(signals)('while reading leaves a failed row and no file: %s', async (signal) => {
    const unlock = await lockTable(database.sql, 'conversation_turns');
    const run = box.start(['export', '--output', 'out.jsonl', '--json'], { env });
    await run.shown('phase=writing');
    run.child.kill(signal);
    const { exitCode, stdout, stderr } = await run.ended;
    await unlock();
    expect(exitCode).toBe(STATUS[signal]);
    expect(stdout).toBe('');
    const row = await onlyRun(database.sql);
    expect(row).toMatchObject({ status: 'failed', error_message: `cancelled by ${signal}` });
    expect(JSON.parse(stderr.trimEnd().split('\n').at(-1) ?? '')).toMatchObject({
      code: STATUS[signal],
      export_id: row.export_id,
    });
    expect(await box.files()).toEqual([]);
  });

  test('while the reader of standard output has stopped ends the run', async () => {
    const signal = 'SIGINT';
    const run = box.start(['export'], { env, reads: false });
    await run.shown('phase=writing');
    await untilStalled();
    run.child.kill(signal);
    expect((await run.ended).exitCode).toBe(STATUS[signal]);
    expect(await onlyRun(database.sql)).toMatchObject({
      status: 'failed',
      error_message: `cancelled by ${signal}`,
    });
  });

  test('after the last byte, before publishing, leaves no file', async () => {
    const signal = 'SIGTERM';
    await slowDown(database.sql, 'publishing');
    const run = box.start(['export', '--output', 'out.jsonl'], { env });
    await run.shown('phase=sealed');
    run.child.kill(signal);
    expect((await run.ended).exitCode).toBe(STATUS[signal]);
    expect(await onlyRun(database.sql)).toMatchObject({
      status: 'failed',
      error_message: `cancelled by ${signal}`,
    });
    expect(await box.files()).toEqual([]);
  });

  test('after publishing comes too late: the file is whole, the row completed, the status 0', async () => {
    await slowDown(database.sql, 'completed');
    const run = box.start(['export', '--output', 'out.jsonl'], { env });
    await run.shown('phase=published');
    run.child.kill('SIGTERM');
    expect((await run.ended).exitCode).toBe(0);
    const bytes = await readFile(box.path('out.jsonl'));
    expect(await onlyRun(database.sql)).toMatchObject({
      status: 'completed',
      sha256: createHash('sha256').update(bytes).digest('hex'),
    });
    expect(await box.files()).toEqual(['out.jsonl']);
  });

  test('with --force leaves the old file as it was', async () => {
    expect((await box.lora(['export', '--output', 'out.jsonl', '--limit', '1'])).exitCode).toBe(0);
    const before = await readFile(box.path('out.jsonl'));
    await database.sql`delete from export_logs`;
    await slowDown(database.sql, 'publishing');
    const run = box.start(['export', '--output', 'out.jsonl', '--force'], { env });
    await run.shown('phase=sealed');
    run.child.kill('SIGINT');
    expect((await run.ended).exitCode).toBe(130);
    expect(await readFile(box.path('out.jsonl'))).toEqual(before);
    expect(await box.files()).toEqual(['out.jsonl']);
    expect((await onlyRun(database.sql)).status).toBe('failed');
  });

  test('given twice exits at once; the row is left to recovery', async () => {
    await slowDown(database.sql, 'failed', 20);
    const unlock = await lockTable(database.sql, 'conversation_turns');
    const run = box.start(['export', '--output', 'out.jsonl'], { env });
    await run.shown('phase=writing');
    run.child.kill('SIGTERM');
    await untilFailing();
    run.child.kill('SIGINT');
    expect((await run.ended).exitCode).toBe(130);
    expect((await onlyRun(database.sql)).status).toBe('processing');
    await unlock();
  });

  test('while importing leaves nothing of the file in the database', async () => {
    const unlock = await lockTable(database.sql, 'conversations');
    const demo = fileURLToPath(new URL('../../fixtures/demo/debt.jsonl', import.meta.url));
    const run = box.start(['import', demo]);
    await untilWaiting();
    run.child.kill('SIGTERM');
    expect((await run.ended).exitCode).toBe(143);
    await unlock();
    expect(await database.sql`select from conversations where conversation_id not like 'c\\_%'`).toEqual([]);
  });
});

/** Until the program has sent all that the pipe takes: its reader then waits inside a transaction. */
async function untilStalled(): Promise<void> {
  await until(
    () => database.sql`
      select from pg_stat_activity
      where datname = current_database() and application_name = 'lora-export snapshot'
        and state = 'idle in transaction' and state_change < now() - interval '0.3 seconds'`,
  );
}

/** Until the program is busy closing its row. */
async function untilFailing(): Promise<void> {
  await until(
    () => database.sql`
      select from pg_stat_activity
      where datname = current_database() and application_name = 'lora-export audit' and wait_event = 'PgSleep'`,
  );
}

async function untilWaiting(): Promise<void> {
  await until(
    () => database.sql`
      select from pg_stat_activity
      where datname = current_database() and application_name like 'lora-export%' and wait_event_type = 'Lock'`,
  );
}

async function until(condition: () => PromiseLike<readonly unknown[]>): Promise<void> {
  while ((await condition()).length === 0) await new Promise((resolve) => setTimeout(resolve, 20));
}
