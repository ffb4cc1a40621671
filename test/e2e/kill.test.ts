import { createHash } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { makeSandbox, program, type Sandbox } from '../support/cli.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import {
  ageHeartbeats,
  endSessions,
  hurryUp,
  lockTable,
  loggedRuns,
  onlyRun,
  seed,
  slowDown,
  type LoggedRun,
} from '../support/seed.js';

const env = { LORA_EXPORT_TEST_PHASES: '1' };

let database: TestDatabase;
let box: Sandbox;
/** What a whole file holds. */
let whole: string;

beforeAll(async () => {
  database = await createDatabase();
  await seed(database.sql, 100, 4_000);
  const first = await makeSandbox(database);
  whole = (await first.lora(['export'])).stdout;
  await first.remove();
});

afterAll(() => database.drop());

beforeEach(async () => {
  await database.sql`delete from export_logs`;
  box = await makeSandbox(database);
});

afterEach(() => box.remove());

type Phase = 'counting' | 'writing' | 'sealed' | 'published';

/** Where the server holds the run, so that the kill meets it there and nowhere else. */
async function holdAt(phase: Phase): Promise<() => Promise<void>> {
  if (phase === 'counting') return lockTable(database.sql, 'conversations');
  if (phase === 'writing') return lockTable(database.sql, 'conversation_turns');
  await slowDown(database.sql, phase === 'sealed' ? 'publishing' : 'completed', 60);
  return () => Promise.resolve();
}

async function killAt(phase: Phase, args: readonly string[]): Promise<void> {
  const letGo = await holdAt(phase);
  const run = box.start(['export', ...args], { env });
  await run.shown(`phase=${phase}`);
  run.child.kill('SIGKILL');
  expect((await run.ended).signal).toBe('SIGKILL');
  await letGo();
  await endSessions(database.sql);
  await hurryUp(database.sql);
}

/** Another writing command long after the death of the first; returns the dead run as it is told now, if it had a row. */
async function recover(): Promise<LoggedRun | undefined> {
  const [dead] = await loggedRuns(database.sql);
  await ageHeartbeats(database.sql);
  const { exitCode, stderr } = await box.lora(['export', '--limit', '1', '--output', '-']);
  expect(exitCode).toBe(0);
  if (dead === undefined) return undefined;
  expect(stderr).toContain(dead.export_id);
  return (await loggedRuns(database.sql)).find(({ export_id: id }) => id === dead.export_id);
}

function expectWhole(bytes: Buffer, run: LoggedRun | undefined): void {
  expect(bytes.toString()).toBe(whole);
  expect(run).toMatchObject({
    status: 'completed',
    file_size: String(bytes.length),
    sha256: createHash('sha256').update(bytes).digest('hex'),
  });
}

describe('a killed run', () => {
  test('that was counting leaves no trace', async () => {
    await killAt('counting', ['--output', 'out.jsonl']);
    expect(await recover()).toBeUndefined();
    expect(await box.files()).toEqual([]);
  });

  test.each(['writing', 'sealed'] as const)(
    'that was %s to a new file becomes failed, and its partial file goes',
    async (phase) => {
      await killAt(phase, ['--output', 'out.jsonl']);
      expect(await box.files()).toEqual([expect.stringMatching(/^\.lora-export-.*\.partial$/)]);
      const dead = await onlyRun(database.sql);
      expect(dead).toMatchObject({ status: 'processing', phase: 'writing' });
      expect(await recover()).toMatchObject({ status: 'failed', file_url: null });
      expect(await box.files()).toEqual([]);
    },
  );

  test('that had published a new file becomes completed', async () => {
    await killAt('published', ['--output', 'out.jsonl']);
    expectWhole(await readFile(box.path('out.jsonl')), await recover());
    expect(await box.files()).toEqual(['out.jsonl']);
  });

  test.each(['writing', 'sealed'] as const)(
    'that was %s leaves the file it was to replace',
    async (phase) => {
      await writeFile(box.path('out.jsonl'), 'older');
      await killAt(phase, ['--output', 'out.jsonl', '--force']);
      expect(await readFile(box.path('out.jsonl'), 'utf8')).toBe('older');
      expect(await recover()).toMatchObject({ status: 'failed' });
      expect(await box.files()).toEqual(['out.jsonl']);
      expect(await readFile(box.path('out.jsonl'), 'utf8')).toBe('older');
    },
  );

  test('that had replaced a file becomes completed', async () => {
    await writeFile(box.path('out.jsonl'), 'older');
    await killAt('published', ['--output', 'out.jsonl', '--force']);
    expectWhole(await readFile(box.path('out.jsonl')), await recover());
    expect(await box.files()).toEqual(['out.jsonl']);
  });

  test.each(['writing', 'sealed', 'published'] as const)(
    'that was %s in a directory of the user leaves a whole file or none',
    async (phase) => {
      await killAt(phase, ['--output', './']);
      const dead = await recover();
      expect(dead?.status).toBe(phase === 'published' ? 'completed' : 'failed');
      const files = await box.files();
      expect(files).toHaveLength(phase === 'published' ? 1 : 0);
      for (const name of files) expectWhole(await readFile(box.path(name)), dead);
    },
  );

  test('that was writing to standard output becomes failed', async () => {
    await killAt('writing', []);
    expect(await recover()).toMatchObject({ status: 'failed', file_url: null });
  });

  test('that had sent everything to standard output becomes failed: nobody knows who read it', async () => {
    await killAt('published', []);
    expect(await recover()).toMatchObject({ status: 'failed', file_url: null });
  });

  test('that lived a moment ago is left alone', async () => {
    await killAt('writing', ['--output', 'out.jsonl']);
    const { exitCode, stderr } = await box.lora(['export', '--limit', '1', '--output', '-']);
    expect(exitCode).toBe(0);
    expect(stderr).not.toContain('had died');
    expect((await loggedRuns(database.sql)).map(({ status }) => status).sort()).toEqual([
      'completed',
      'processing',
    ]);
    expect(await box.files()).toHaveLength(1);
  });
});

describe('a killed run in the managed directory', () => {
  /** Standard output is a terminal for `script`, so that no --output means the managed directory. */
  async function killManagedAt(phase: Phase): Promise<void> {
    const letGo = await holdAt(phase);
    const { spawn } = await import('@lydell/node-pty');
    const terminal = spawn(process.execPath, [program, 'export'], {
      cwd: box.directory,
      env: { ...box.env, ...env, TERM: 'dumb', DATABASE_URL: database.url },
    });
    let screen = '';
    const ended = new Promise((resolve) => terminal.onExit(resolve));
    await new Promise<void>((resolve) => {
      terminal.onData((data) => {
        screen += data;
        if (screen.includes(`phase=${phase}`)) resolve();
      });
    });
    process.kill(terminal.pid, 'SIGKILL');
    await ended;
    await letGo();
    await endSessions(database.sql);
    await hurryUp(database.sql);
  }

  const managed = async (): Promise<string[]> =>
    (await readdir(join(box.state, 'exports'))).filter((name) => !name.startsWith('.lora-export-directory'));

  test.each(['writing', 'sealed'] as const)('that was %s leaves no directory behind', async (phase) => {
    await killManagedAt(phase);
    expect(await managed()).toHaveLength(1);
    expect(await recover()).toMatchObject({ status: 'failed', file_url: null });
    expect(await managed()).toEqual([]);
  });

  test('that had published becomes completed, and expires', async () => {
    await killManagedAt('published');
    const dead = await recover();
    expectWhole(await readFile(fileURLToPath(dead?.file_url ?? '')), dead);
    const [row] = await database.sql<{ expires: boolean }[]>`
      select expires_at > now() as expires from export_logs where export_id = ${dead?.export_id ?? ''}`;
    expect(row).toEqual({ expires: true });
  });
});
