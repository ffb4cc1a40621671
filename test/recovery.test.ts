import { execFileSync } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { link, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import type { ExportEvent } from '../src/export.js';
import { HEARTBEAT_LIMIT_SECONDS, recoverDeadRuns, type Recovery } from '../src/recovery.js';
import { partialName } from '../src/sinks/file.js';
import { withAccess } from './support/access.js';
import { createDatabase, type TestDatabase } from './support/database.js';
import { addConversation, auditRows, collector, failureOf, HOST, runExport } from './support/export.js';

let database: TestDatabase;
let directory: string;

beforeEach(async () => {
  database = await createDatabase('ready');
  directory = await mkdtemp(join(tmpdir(), 'lora-recovery-'));
});
afterEach(async () => {
  await database.drop();
  await rm(directory, { recursive: true });
});

interface Remains {
  readonly phase?: 'writing' | 'publishing' | 'queued';
  readonly host?: string | null;
  /** Seconds since the last heartbeat. */
  readonly age?: number;
  readonly output?: object;
  /** What the run announced to publish. */
  readonly announced?: Buffer | null;
  readonly config?: object;
  readonly userId?: string;
}

const CONTENT = Buffer.from('{"messages":[]}\n');

/** The rows that a run leaves when its process is killed. */
async function addRun(remains: Remains = {}): Promise<string> {
  const { phase = 'writing', host = HOST, age = HEARTBEAT_LIMIT_SECONDS + 5, announced = null } = remains;
  const { output = { kind: 'file', directory, name: 'out.jsonl' }, config = {} } = remains;
  const { userId = randomUUID() } = remains;
  const exportId = randomUUID();
  const { sql } = database;
  await sql`
    insert into export_logs (export_id, user_id, format, config, conversation_count, status, file_size)
    values (${exportId}, ${userId}, 'jsonl', ${sql.json(config as never)}, 1, 'processing', ${announced?.length ?? null})`;
  await sql`
    insert into export_runs (export_id, phase, worker_id, worker_host, matched_count, output, sha256, heartbeat_at)
    values (${exportId}, ${phase}, ${randomUUID()}, ${host}, 1, ${sql.json(output as never)},
      ${announced === null ? null : createHash('sha256').update(announced).digest('hex')}, now() - ${age} * interval '1 second')`;
  return exportId;
}

async function recover(host = HOST): Promise<Recovery> {
  return withAccess(database, undefined, (access) => recoverDeadRuns(access, host));
}

async function logOf(exportId: string): Promise<Record<string, unknown> | undefined> {
  return (await auditRows(database.sql, exportId))?.log;
}

describe('a run that died', () => {
  it('while it wrote is failed, and its temporary file removed', async () => {
    const exportId = await addRun();
    await writeFile(join(directory, partialName(exportId)), 'half a line');
    await writeFile(join(directory, 'out.jsonl'), 'somebody else wrote this');

    expect(await recover()).toEqual({ completed: [], failed: [exportId], left: [] });
    expect(await readdir(directory)).toEqual(['out.jsonl']);
    expect(await logOf(exportId)).toMatchObject({
      status: 'failed',
      file_url: null,
      error_message: `the process on ${HOST} stopped while writing`,
    });
    expect((await auditRows(database.sql, exportId))?.run).toMatchObject({ phase: 'done' });
  });

  it('after it had published is completed, with the expiry that it was to have', async () => {
    const exportId = randomUUID();
    const own = join(directory, exportId);
    await mkdir(own);
    await writeFile(join(own, 'training.jsonl'), CONTENT);
    const id = await addRun({
      phase: 'publishing',
      announced: CONTENT,
      output: { kind: 'file', directory: own, name: 'training.jsonl', managed: true },
      config: { output: { kind: 'managed', retentionHours: 3 } },
    });

    expect(await recover()).toEqual({ completed: [id], failed: [], left: [] });
    expect(await logOf(id)).toMatchObject({
      status: 'completed',
      file_url: pathToFileURL(join(own, 'training.jsonl')).href,
      error_message: null,
      config: {
        output: { kind: 'managed', retentionHours: 3 },
        result: { recovered: true, size: Buffer.byteLength(CONTENT) },
      },
    });
    const [clock] = await database.sql`
      select extract(epoch from expires_at - updated_at)::float8 / 3600 as hours from export_logs where export_id = ${id}`;
    expect(clock).toEqual({ hours: 3 });
  });

  it('between giving the name and removing the temporary one is completed, and keeps one file', async () => {
    const exportId = await addRun({ phase: 'publishing', announced: CONTENT });
    await writeFile(join(directory, partialName(exportId)), CONTENT);
    await link(join(directory, partialName(exportId)), join(directory, 'out.jsonl'));

    expect(await recover()).toEqual({ completed: [exportId], failed: [], left: [] });
    expect(await readdir(directory)).toEqual(['out.jsonl']);
    expect(await logOf(exportId)).toMatchObject({ status: 'completed', expires_at: null });
  });

  it('under a numbered name is found', async () => {
    const exportId = await addRun({ phase: 'publishing', announced: CONTENT });
    await writeFile(join(directory, 'out.jsonl'), 'another export');
    await writeFile(join(directory, 'out-2.jsonl'), CONTENT);

    expect((await recover()).completed).toEqual([exportId]);
    expect(await logOf(exportId)).toMatchObject({
      file_url: pathToFileURL(join(directory, 'out-2.jsonl')).href,
    });
  });

  it('before it gave the name is failed, and another file of that name is not taken for its own', async () => {
    const exportId = await addRun({ phase: 'publishing', announced: CONTENT });
    await writeFile(join(directory, partialName(exportId)), CONTENT);
    // Equal bytes, but of another export: the temporary file still is a file of its own.
    await writeFile(join(directory, 'out.jsonl'), CONTENT);

    expect(await recover()).toEqual({ completed: [], failed: [exportId], left: [] });
    expect(await readdir(directory)).toEqual(['out.jsonl']);
  });

  it('and whose file was changed or removed since is failed', async () => {
    const changed = await addRun({ phase: 'publishing', announced: CONTENT });
    const removed = await addRun({
      phase: 'publishing',
      announced: CONTENT,
      output: { kind: 'file', directory, name: 'gone.jsonl' },
    });
    await writeFile(join(directory, 'out.jsonl'), CONTENT.toString().toUpperCase());

    expect((await recover()).failed.toSorted()).toEqual([changed, removed].toSorted());
    expect(await readdir(directory)).toEqual(['out.jsonl']);
  });

  it('while it wrote to a stream is failed', async () => {
    const writing = await addRun({ output: { kind: 'stream' } });
    const publishing = await addRun({ phase: 'publishing', announced: CONTENT, output: { kind: 'stream' } });
    expect((await recover()).failed.toSorted()).toEqual([writing, publishing].toSorted());
  });

  it('on another machine is failed while it wrote, and left alone while it published', async () => {
    const writing = await addRun({ host: 'elsewhere' });
    const publishing = await addRun({ host: 'elsewhere', phase: 'publishing', announced: CONTENT });
    const unknown = await addRun({ host: null, phase: 'publishing', announced: CONTENT });
    // Not theirs: they see another directory of the same path.
    for (const id of [writing, publishing]) await writeFile(join(directory, partialName(id)), 'x');
    await writeFile(join(directory, 'out.jsonl'), CONTENT);

    const { completed, failed, left } = await recover();
    expect({ completed, failed, left: left.toSorted() }).toEqual({
      completed: [],
      failed: [writing],
      left: [publishing, unknown].toSorted(),
    });
    expect(await readdir(directory)).toHaveLength(3);
    expect(await logOf(publishing)).toMatchObject({ status: 'processing' });

    await rm(join(directory, partialName(publishing)));
    expect((await recover('elsewhere')).completed).toEqual([publishing]);
  });
});

it('leaves live runs and finished ones untouched', async () => {
  const live = await addRun({ age: HEARTBEAT_LIMIT_SECONDS - 30 });
  const finished = await addRun();
  await database.sql`update export_logs set status = 'completed' where export_id = ${finished}`;
  await writeFile(join(directory, partialName(live)), 'x');

  expect(await recover()).toEqual({ completed: [], failed: [], left: [] });
  expect(await readdir(directory)).toEqual([partialName(live)]);
  expect(await logOf(live)).toMatchObject({ status: 'processing' });
});

it('closes every run once when two processes recover at the same time', async () => {
  const ids = [];
  for (let index = 0; index < 20; index++) ids.push(await addRun());

  const [first, second] = await Promise.all([recover(), recover()]);
  expect([...first.failed, ...second.failed].toSorted()).toEqual(ids.toSorted());
});

it('waits for nobody: a run that another process is looking at is its business', async () => {
  const [taken, free] = [await addRun(), await addRun()];
  await database.sql.begin(async (tx) => {
    await tx`select from export_runs where export_id = ${taken} for update`;
    expect((await recover()).failed).toEqual([free]);
  });
  expect((await recover()).failed).toEqual([taken]);
});

it('happens at the start of every export', async () => {
  const userId = randomUUID();
  const [dead, anothers] = [await addRun({ userId }), await addRun()];
  await addConversation(database.sql, { conversation_id: 'a' });
  const { events } = await runExport(database, { userId });

  expect(events.find((event) => event.kind === 'recovered')).toMatchObject({ recovery: { failed: [dead] } });
  expect(await logOf(dead)).toMatchObject({ status: 'failed' });
  expect(await logOf(anothers)).toMatchObject({ status: 'processing' });
});

describe('a forged record', () => {
  let victim: string;

  beforeEach(async () => {
    victim = join(directory, 'victim');
    await mkdir(victim);
    await writeFile(join(victim, 'precious.txt'), CONTENT);
    await mkdir(join(victim, 'empty'));
  });

  async function contents(): Promise<string[]> {
    return (await readdir(victim, { recursive: true })).toSorted();
  }

  it.each([
    ['a name with a path', { directory: '.', name: 'victim/precious.txt' }],
    ['a name that climbs', { directory: 'victim/empty', name: '../precious.txt' }],
    ['no name', { directory: 'victim' }],
    ['an empty name', { directory: 'victim', name: '' }],
    ['the name of a directory', { directory: 'victim', name: 'empty' }],
    ['a directory that is not its own', { directory: 'victim/empty', name: 'x', managed: true }],
    ['a directory that does not exist', { directory: 'nowhere', name: 'precious.txt', managed: true }],
    ['a temporary file of its choice', { directory: 'victim', partial: 'precious.txt', name: 'x' }],
    ['no directory', { name: 'precious.txt' }],
    ['another kind', { kind: 'bucket', directory: 'victim', name: 'precious.txt' }],
    ['wrong types', { directory: 'victim', name: 7 }],
    ['an escaped NUL', { directory: 'victim', name: '%00precious.txt', managed: true }],
  ])('with %s removes and completes nothing', async (_name, record) => {
    const forged = {
      kind: 'file',
      ...record,
      ...('directory' in record ? { directory: join(directory, record.directory) } : {}),
    };
    const before = await contents();
    for (const phase of ['writing', 'publishing'] as const) {
      const exportId = await addRun({ phase, announced: CONTENT, output: forged });
      expect(await recover()).toEqual({ completed: [], failed: [exportId], left: [] });
    }
    expect(await contents()).toEqual(before);
    expect(await readFile(join(victim, 'precious.txt'))).toEqual(CONTENT);
  });

  it('never follows a link, neither for the file nor for its temporary name', async () => {
    const exportId = await addRun({ phase: 'publishing', announced: CONTENT });
    await symlink(join(victim, 'precious.txt'), join(directory, 'out.jsonl'));
    await symlink(join(victim, 'precious.txt'), join(directory, partialName(exportId)));

    expect((await recover()).failed).toEqual([exportId]);
    expect(await readFile(join(victim, 'precious.txt'))).toEqual(CONTENT);
  });
});

describe('a run that was stopped for so long that it was declared dead', () => {
  beforeEach(async () => {
    for (let index = 0; index < 40; index++) {
      await addConversation(database.sql, { conversation_id: `c${index}` }, [
        ['user', 'x'.repeat(50_000)],
        ['assistant', 'y'],
      ]);
    }
  });

  async function reap(): Promise<void> {
    await database.sql`update export_runs set heartbeat_at = now() - interval '1 hour' where phase <> 'done'`;
    expect((await recover()).failed).toHaveLength(1);
  }

  it('stops with E_AUDIT when its stream moves again, and the row stays failed', async () => {
    let isReaped = false;
    const sink = collector(async () => {
      if (!isReaped) await reap();
      isReaped = true;
    });
    const error = await failureOf(runExport(database, { batchSize: 5 }, { stream: sink.stream }), 'E_AUDIT');

    expect(isReaped).toBe(true);
    expect(await logOf(error.exportId ?? '')).toMatchObject({
      status: 'failed',
      error_message: `the process on ${HOST} stopped while writing`,
      file_url: null,
    });
  });

  /** Runs statements in another process while this one stands still, as after SIGSTOP. */
  function meanwhile(...statements: readonly string[]): void {
    const { host, user } = database.sql.options as unknown as { host: string[]; user: string };
    const options = { host: host[0], user, database: database.name };
    const script = `
      import postgres from 'postgres';
      const sql = postgres(${JSON.stringify(options)});
      await sql.begin(async (tx) => { for (const statement of ${JSON.stringify(statements)}) await tx.unsafe(statement); });
      await sql.end();`;
    execFileSync(process.execPath, ['--input-type=module', '-e', script], {
      cwd: new URL('..', import.meta.url),
      stdio: ['ignore', 'ignore', 'inherit'],
    });
  }

  /** An event handler that does so once, when the run enters a phase. */
  function onceIn(
    phase: string,
    ...statements: readonly string[]
  ): { onEvent: (event: ExportEvent) => void } {
    let isDone = false;
    return {
      onEvent(event) {
        if (isDone || event.kind !== 'phase' || event.phase !== phase) return;
        isDone = true;
        meanwhile(...statements);
      },
    };
  }

  const REAP = [
    `update export_runs set phase = 'done' where phase <> 'done'`,
    `update export_logs set status = 'failed', error_message = 'reaped' where status = 'processing'`,
  ];

  it.each(['writing', 'sealed', 'publishing', 'published'] as const)(
    'leaves no file when that happened in the phase "%s"',
    async (phase) => {
      for (const output of [
        { kind: 'file', path: join(directory, 'out.jsonl') },
        { kind: 'directory', path: directory },
        { kind: 'managed', directory },
      ] as const) {
        const error = await failureOf(runExport(database, { output }, onceIn(phase, ...REAP)), 'E_AUDIT');
        expect(await logOf(error.exportId ?? '')).toMatchObject({
          status: 'failed',
          error_message: 'reaped',
        });
      }
      expect(await readdir(directory)).toEqual(['.lora-export-directory']);
    },
  );

  it('keeps the whole file that it has put in place of another', async () => {
    const path = join(directory, 'out.jsonl');
    await writeFile(path, 'old');
    const error = await failureOf(
      runExport(database, { output: { kind: 'file', path }, force: true }, onceIn('published', ...REAP)),
      'E_AUDIT',
    );

    expect(error.message).toContain('complete');
    expect((await stat(path)).size).toBeGreaterThan(1_000_000);
    expect(await readdir(directory)).toEqual(['out.jsonl']);
  });

  it('leaves the old file alone when it had not yet replaced it', async () => {
    const path = join(directory, 'out.jsonl');
    await writeFile(path, 'old');
    await failureOf(
      runExport(database, { output: { kind: 'file', path }, force: true }, onceIn('sealed', ...REAP)),
      'E_AUDIT',
    );

    expect(await readFile(path, 'utf8')).toBe('old');
    expect(await readdir(directory)).toEqual(['out.jsonl']);
  });

  it('stops, with no file, when its row was deleted', async () => {
    const path = join(directory, 'out.jsonl');
    const error = await failureOf(
      runExport(
        database,
        { output: { kind: 'file', path }, batchSize: 5 },
        onceIn('sealed', 'delete from export_logs'),
      ),
      'E_AUDIT',
    );

    expect(error.message).toContain('no longer ours');
    expect(existsSync(path)).toBe(false);
    expect(await readdir(directory)).toEqual([]);
  });
});
