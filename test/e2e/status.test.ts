import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { spawn } from '@lydell/node-pty';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { makeSandbox, program, type Running, type Sandbox } from '../support/cli.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { addRecordedRun } from '../support/recorded-run.js';
import { seed } from '../support/seed.js';

const ANNA = '11111111-1111-4111-8111-111111111111';
const BERT = '22222222-2222-4222-8222-222222222222';
const env = { LORA_EXPORT_USER_ID: ANNA };

let database: TestDatabase;
let box: Sandbox;

beforeAll(async () => {
  database = await createDatabase();
  await seed(database.sql, 600, 4_000);
});

afterAll(() => database.drop());

beforeEach(async () => {
  box = await makeSandbox(database);
});

afterEach(async () => {
  await box.remove();
  await database.sql`delete from export_logs`;
});

const status = (args: readonly string[], user = ANNA) =>
  box.lora(['status', ...args], { env: { LORA_EXPORT_USER_ID: user } });

describe('status', () => {
  test('without an id shows the latest export of whoever asks, on standard output', async () => {
    await box.lora(['export', '--limit', '3', '-o', 'out.jsonl'], { env });
    await addRecordedRun(database.sql, { userId: BERT });
    const { exitCode, stdout, stderr } = await status([]);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    expect(stdout).toMatch(
      /^export {4}[0-9a-f-]{36}\nstatus {4}completed\nprogress {2}100 %, 3 conversations\n/,
    );
    expect(stdout).toContain(`file      file://${box.path('out.jsonl')}`);
    expect(stdout).not.toContain('\u001b');
  });

  test('with --json prints one object', async () => {
    const id = await addRecordedRun(database.sql, {
      userId: ANNA,
      count: 600,
      run: { progress: 42, read: 252 },
    });
    const { exitCode, stdout } = await status([id, '--json']);
    expect(exitCode).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      export_id: id,
      status: 'processing',
      progress: 42,
      conversation_count: 600,
      file_size: null,
      file_url: null,
      error_message: null,
    });
  });

  test.each(['queued', 'processing', 'completed', 'failed', 'expired'])(
    'ends with 0 for one that is %s',
    async (state) => {
      const id = await addRecordedRun(database.sql, { userId: ANNA, status: state });
      const { exitCode, stdout } = await status([id]);
      expect(exitCode).toBe(0);
      expect(stdout).toContain(`status    ${state}`);
    },
  );

  test('with --exit-status ends with 1 for one that has failed, and says why', async () => {
    const failed = await addRecordedRun(database.sql, {
      userId: ANNA,
      status: 'failed',
      errorMessage: 'no luck',
    });
    const { exitCode, stdout, stderr } = await status([failed, '--exit-status']);
    expect(exitCode).toBe(1);
    expect(stdout).toContain('status    failed');
    expect(stderr).toContain(`Export ${failed} failed: no luck`);
    const running = await addRecordedRun(database.sql, { userId: ANNA });
    expect((await status([running, '--exit-status'])).exitCode).toBe(0);
  });

  test('says of a dead one for how long nothing was heard of it, and what repairs it', async () => {
    const id = await addRecordedRun(database.sql, { userId: ANNA, run: { silent: 3_600, host: 'blue' } });
    const { stdout } = await status([id]);
    expect(stdout).toMatch(/note {6}no sign of life for 36\d\d s; its process on blue .*lora-export cleanup/);
  });

  test("of somebody else's export and of none ends alike, with 26", async () => {
    const theirs = await addRecordedRun(database.sql, { userId: BERT });
    const absent = randomUUID();
    const [one, other] = [await status([theirs]), await status([absent])];
    expect(one).toMatchObject({ exitCode: 26, stdout: '' });
    expect(other).toEqual({ ...one, stderr: one.stderr.replaceAll(theirs, absent) });
    expect((await status([])).exitCode).toBe(26);
    expect((await status([theirs, '--all-users'])).exitCode).toBe(0);
  });

  test.each([[['no-uuid']], [['--interval', '2']], [['--watch', '--interval', '0']]])(
    'refuses %j with 2',
    async (args) => {
      expect((await status(args)).exitCode).toBe(2);
    },
  );
});

/** A run of 600 conversations that stands still while nobody reads what it writes. */
async function startHeld(): Promise<{ run: Running; id: string; letGo: () => void }> {
  const run = box.start(['export', '--batch-size', '1'], { env, reads: false });
  const { stdout } = run.child;
  let received = 0;
  await new Promise<void>((resolve) => {
    stdout?.on('data', (chunk: Buffer) => {
      received += chunk.length;
      // Somewhere in the middle of 4.8 MB.
      if (received < 2_000_000 || received - chunk.length >= 2_000_000) return;
      stdout.pause();
      resolve();
    });
  });
  const [row] = await database.sql<{ export_id: string }[]>`select export_id from export_logs`;
  return { run, id: row?.export_id ?? '', letGo: () => stdout?.resume() };
}

interface Line {
  readonly export_id: string;
  readonly status: string;
  readonly progress: number;
  readonly read_count: number;
}

const isSorted = (values: readonly number[]): boolean =>
  values.every((value, index) => value >= (values[index - 1] ?? 0));

describe('status --watch', () => {
  test('sees a run of another process move, in JSON lines: never backwards, a hundred percent at the end only', async () => {
    const { run, id, letGo } = await startHeld();
    const watching = box.start(['status', id, '--watch', '--interval', '0.1', '--json'], { env });
    const lines: Line[] = [];
    let text = '';
    watching.child.stdout?.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      const parts = text.split('\n');
      text = parts.pop() ?? '';
      lines.push(...parts.map((part) => JSON.parse(part) as Line));
      // In the middle, and seen there from outside.
      if (lines.some(({ progress }) => progress > 0)) letGo();
    });
    const [{ exitCode, stderr }] = await Promise.all([watching.ended, run.ended]);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    expect(new Set(lines.map((line) => line.export_id))).toEqual(new Set([id]));
    const progress = lines.map((line) => line.progress);
    expect(isSorted(progress)).toBe(true);
    expect(progress.some((percent) => percent > 0 && percent < 100)).toBe(true);
    expect(progress.filter((percent) => percent === 100)).toHaveLength(1);
    expect(lines.at(-1)).toMatchObject({ status: 'completed', progress: 100, read_count: 600 });
  });

  test('moves a bar on a terminal, and leaves the whole status there', async () => {
    const { run, id, letGo } = await startHeld();
    const { exitCode, screen } = await inTerminal(['status', id, '--watch', '--interval', '0.1'], (shown) => {
      if (/ [1-9]\d? % {2}processing/.test(shown)) letGo();
    });
    await run.ended;
    expect(exitCode).toBe(0);
    expect(screen).toContain('\u001b[');
    const percents = [...screen.matchAll(/[█░]{30} +(\d+) % {2}processing/g)].map(([, percent]) =>
      Number(percent),
    );
    expect(percents.some((percent) => percent > 0)).toBe(true);
    expect(isSorted(percents)).toBe(true);
    expect(percents).not.toContain(100);
    const end = screen.slice(screen.lastIndexOf('export '));
    expect(end).toContain('status    completed');
    expect(end).toContain(`${'█'.repeat(30)}  100 %, 600 conversations`);
  });

  test('writes a line per change and no control sequence where there is no terminal', async () => {
    const id = await addRecordedRun(database.sql, { userId: ANNA, count: 10 });
    const run = box.start(['status', '--watch', '--interval', '0.1', '--exit-status'], { env });
    const changed = once(run.child.stdout as NodeJS.ReadableStream, 'data');
    await changed;
    await database.sql`update export_runs set progress = 50, read_count = 5`;
    await once(run.child.stdout as NodeJS.ReadableStream, 'data');
    await database.sql`update export_logs set status = 'failed', error_message = ${'gone\u001b[2J'}`;
    const { exitCode, stdout, stderr } = await run.ended;
    expect(exitCode).toBe(1);
    expect(stdout.split('\n')).toEqual([
      '  0 %  processing (writing), 0 of 10 conversations read',
      ' 50 %  processing (writing), 5 of 10 conversations read',
      ' 50 %  failed, 5 of 10 conversations read: gone\\u{1b}[2J',
      '',
    ]);
    expect(stderr).toContain(`Export ${id} failed`);
  });

  test('ends with 0 when the run has failed, unless it is asked to tell', async () => {
    const id = await addRecordedRun(database.sql, {
      userId: ANNA,
      status: 'failed',
      errorMessage: 'no luck',
    });
    expect((await status([id, '--watch'])).exitCode).toBe(0);
    expect((await status([id, '--watch', '--exit-status'])).exitCode).toBe(1);
  });

  test('is stopped by Ctrl-C, and the run is not', async () => {
    const id = await addRecordedRun(database.sql, { userId: ANNA });
    const run = box.start(['status', id, '--watch'], { env });
    await once(run.child.stdout as NodeJS.ReadableStream, 'data');
    run.child.kill('SIGINT');
    expect((await run.ended).exitCode).toBe(130);
    const [row] = await database.sql`select status from export_logs`;
    expect(row?.['status']).toBe('processing');
  });

  test('read by head alone ends silently with 141 at the next change', async () => {
    const id = await addRecordedRun(database.sql, { userId: ANNA, count: 10 });
    const run = box.start(['status', id, '--watch', '--interval', '0.1'], { env, reads: false });
    await once(run.child.stdout as NodeJS.ReadableStream, 'data');
    run.child.stdout?.destroy();
    await database.sql`update export_runs set progress = 50`;
    const { exitCode, stderr } = await run.ended;
    expect({ exitCode, stderr }).toEqual({ exitCode: 141, stderr: '' });
  });
});

function inTerminal(
  args: readonly string[],
  onScreen: (screen: string) => void,
): Promise<{ exitCode: number; screen: string }> {
  return new Promise((resolve) => {
    const terminal = spawn(process.execPath, [program, ...args], {
      cols: 120,
      rows: 50,
      cwd: box.directory,
      env: { ...box.env, ...env, TERM: 'xterm', LANG: 'C.UTF-8', DATABASE_URL: database.url },
    });
    let screen = '';
    terminal.onData((data) => {
      screen += data;
      onScreen(screen);
    });
    terminal.onExit(({ exitCode }) => resolve({ exitCode, screen }));
  });
}
