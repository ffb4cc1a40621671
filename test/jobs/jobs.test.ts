import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile, mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { claimJob, vouchForQueue } from '../../src/db/jobs.js';
import { parseDatabaseUrl } from '../../src/db/target.js';
import { LoraExportError } from '../../src/errors.js';
import { cancelExport, queueExport } from '../../src/jobs/queue.js';
import { recoverDeadRuns } from '../../src/recovery.js';
import type { ExportRequestInput } from '../../src/request.js';
import { partialName } from '../../src/sinks/file.js';
import { runWorker, type WorkerOptions, type WorkerTally } from '../../src/jobs/worker.js';
import { withAccess } from '../support/access.js';
import { addUser, applyAuthShim, applyMigrations } from '../support/audit.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { addConversation, auditRows, failureOf, HOST, parseLines, runExport } from '../support/export.js';
import { ageHeartbeats, lockTable, loggedRuns, seed, slowDown } from '../support/seed.js';

const ANNA = '11111111-1111-4111-8111-111111111111';
const BEN = '22222222-2222-4222-8222-222222222222';

let database: TestDatabase;
/** Of the one who asks, and of the one who does it. */
let asked: string;
let root: string;

beforeEach(async () => {
  database = await createDatabase('ready');
  [asked, root] = [await mkdtemp(join(tmpdir(), 'lora-asked-')), await mkdtemp(join(tmpdir(), 'lora-root-'))];
});
afterEach(async () => {
  await database.drop();
  await Promise.all([asked, root].map((directory) => rm(directory, { recursive: true })));
});

async function queue(request: ExportRequestInput = {}): Promise<string> {
  const { exportId } = await queueExport(
    { output: { kind: 'managed', directory: asked }, userId: ANNA, ...request },
    { database: parseDatabaseUrl(database.url, 'the test'), host: HOST },
  );
  return exportId;
}

/** A worker for one user, or for everybody, until the queue is empty. */
async function work(userId?: string, options: Partial<WorkerOptions> = {}): Promise<WorkerTally> {
  return withAccess(database, userId, (access) =>
    runWorker({
      access,
      database: parseDatabaseUrl(database.url, 'the test'),
      exportDirectory: root,
      drain: true,
      host: HOST,
      ...options,
    }),
  );
}

async function logOf(exportId: string): Promise<Record<string, unknown> | undefined> {
  return (await auditRows(database.sql, exportId))?.log;
}

async function runOf(exportId: string): Promise<Record<string, unknown> | undefined> {
  return (await auditRows(database.sql, exportId))?.run;
}

/** Keeps every status that a row takes. */
async function recordStatuses(): Promise<() => Promise<unknown[]>> {
  await database.sql
    .unsafe(
      `create table seen (at serial, status text);
       create function see() returns trigger language plpgsql as
         $$ begin insert into seen (status) values (new.status); return new; end $$;
       create trigger see after insert or update of status on export_logs for each row execute function see()`,
    )
    .simple();
  return async () => (await database.sql`select status from seen order by at`).map(({ status }) => status);
}

describe('an export that is queued', () => {
  it('waits, with all that a worker needs, and is done by one into its own managed directory', async () => {
    await seed(database.sql, 3);
    const exportId = await queue({ filters: { tier: ['template'] }, gzip: false });
    expect(await logOf(exportId)).toMatchObject({ status: 'queued', conversation_count: 3, user_id: ANNA });
    expect(await runOf(exportId)).toMatchObject({
      phase: 'queued',
      worker_id: null,
      detached: true,
      progress: 0,
    });

    expect(await work(ANNA)).toMatchObject({ completed: 1, failed: 0 });
    expect(await logOf(exportId)).toMatchObject({ status: 'completed', conversation_count: 3 });
    expect(await runOf(exportId)).toMatchObject({
      phase: 'done',
      progress: 100,
      attempt: 1,
      worker_host: HOST,
    });
    const [name] = await readdir(join(root, exportId));
    expect(parseLines(await readFile(join(root, exportId, name ?? ''), 'utf8'))).toHaveLength(3);
    expect(await readdir(asked)).toEqual(['.lora-export-directory']);
  });

  it('gives the bytes that the same request gives at once', async () => {
    await seed(database.sql, 20);
    const request: ExportRequestInput = {
      target: 'openai',
      systemPrompt: { text: 'Be kind. ✓' },
      sort: { key: 'title', order: 'desc' },
      limit: 7,
      rules: { 'equal-neighbours': 'skip' },
    };
    const exportId = await queue(request);
    await work(ANNA);
    const direct = await runExport(database, { ...request, userId: ANNA });
    const [name] = await readdir(join(root, exportId));
    expect((await readFile(join(root, exportId, name ?? ''))).equals(direct.bytes)).toBe(true);
  });

  it('is refused for standard output, for nothing, and for missing ids, without a row', async () => {
    await failureOf(queue({ output: { kind: 'stream' } }), 'E_USAGE');
    await failureOf(queue(), 'E_EMPTY');
    await seed(database.sql, 1);
    await failureOf(queue({ scope: 'selected', ids: ['nobody'] }), 'E_DATA');
    expect(await loggedRuns(database.sql)).toEqual([]);
  });

  it('is failed by recovery when no worker comes, and not while one vouches for it', async () => {
    await seed(database.sql, 1);
    const exportId = await queue();
    await ageHeartbeats(database.sql);
    await withAccess(database, ANNA, (access) => vouchForQueue(access));
    await withAccess(database, ANNA, (access) => recoverDeadRuns(access, HOST));
    expect(await logOf(exportId)).toMatchObject({ status: 'queued' });

    await ageHeartbeats(database.sql);
    await withAccess(database, ANNA, (access) => recoverDeadRuns(access, HOST));
    expect(await logOf(exportId)).toMatchObject({
      status: 'failed',
      error_message: 'no worker took it from the queue',
    });
  });

  it('is failed with the reason when it cannot even begin', async () => {
    await seed(database.sql, 1);
    const exportId = await queue();
    await database.sql`update export_logs set config = config || '{"scope":"nonsense"}' where export_id = ${exportId}`;
    expect(await work(ANNA)).toMatchObject({ completed: 0, failed: 1 });
    expect((await logOf(exportId))?.['error_message']).toContain('cannot be repeated');
    expect(await logOf(exportId)).toMatchObject({ status: 'failed' });
  });

  it('counts against the exports of an hour', async () => {
    await seed(database.sql, 1);
    await queue();
    const again = queueExport(
      { output: { kind: 'managed', directory: asked }, userId: ANNA },
      { database: parseDatabaseUrl(database.url, 'the test'), maxPerHour: 1 },
    );
    expect((await failureOf(again, 'E_STALLED')).message).toContain('within the last hour');
    await failureOf(runExport(database, { userId: ANNA }, { maxPerHour: 1 }), 'E_STALLED');
    await runExport(database, { userId: BEN }, { maxPerHour: 1 });
  });
});

describe('workers', () => {
  it('take each job once, however many they are', async () => {
    await seed(database.sql, 5);
    const ids = await Promise.all(Array.from({ length: 12 }, () => queue()));
    const tallies = await Promise.all(Array.from({ length: 4 }, () => work(ANNA)));
    expect(tallies.reduce((sum, { completed }) => sum + completed, 0)).toBe(12);
    for (const exportId of ids) {
      expect(await logOf(exportId)).toMatchObject({ status: 'completed' });
      expect(await runOf(exportId)).toMatchObject({ attempt: 1 });
      expect(await readdir(join(root, exportId))).toHaveLength(1);
    }
  });

  it('take over from one that died, remove what it left, and do not let it come back', async () => {
    await seed(database.sql, 2);
    const exportId = await queue();
    const dead = randomUUID();
    const claim = await withAccess(database, ANNA, (access) =>
      claimJob(access, { workerId: dead, host: HOST, limitSeconds: 90, mostAttempts: 3 }),
    );
    expect(claim).toMatchObject({ exportId, attempt: 1, remains: null });
    await mkdir(join(root, exportId));
    await writeFile(join(root, exportId, partialName(exportId)), 'half');
    await database.sql`
      update export_runs set output = ${database.sql.json({ kind: 'file', directory: join(root, exportId), managed: true })}`;
    // It lives: nobody takes its job.
    expect(await work(ANNA)).toMatchObject({ completed: 0 });
    await ageHeartbeats(database.sql);

    expect(await work(ANNA)).toMatchObject({ completed: 1 });
    expect(await runOf(exportId)).toMatchObject({ attempt: 2, phase: 'done' });
    const files = await readdir(join(root, exportId));
    expect(files).toHaveLength(1);
    expect(files[0]).toMatch(/^training-data-/);
  });

  it('leave a job that was tried three times to recovery, which fails it', async () => {
    await seed(database.sql, 1);
    const exportId = await queue();
    for (let attempt = 1; attempt <= 3; attempt++) {
      const claim = await withAccess(database, ANNA, (access) =>
        claimJob(access, { workerId: randomUUID(), host: HOST, limitSeconds: 90, mostAttempts: 3 }),
      );
      expect(claim?.attempt).toBe(attempt);
      await ageHeartbeats(database.sql);
    }
    expect(await work(ANNA)).toMatchObject({ completed: 0, failed: 0 });
    expect(await logOf(exportId)).toMatchObject({ status: 'failed' });
  });

  it('stop what was taken from them, and publish nothing', async () => {
    await seed(database.sql, 2);
    const exportId = await queue();
    await slowDown(database.sql, 'publishing', 2);
    const working = work(ANNA);
    await expect.poll(async () => (await logOf(exportId))?.['status']).toBe('processing');
    await database.sql`update export_runs set worker_id = ${randomUUID()}, heartbeat_at = now()`;
    const { failed, lastError } = await working;
    expect(failed).toBe(1);
    expect((lastError as LoraExportError).code).toBe('E_AUDIT');
    expect(await logOf(exportId)).toMatchObject({ status: 'processing' });
    expect(existsSync(join(root, exportId))).toBe(false);
  });

  it('take of their own accord neither paths nor rights that a row asks for', async () => {
    await seed(database.sql, 1);
    const path = join(asked, 'out.jsonl');
    const ownPath = await queue({ output: { kind: 'file', path } });
    const allRights = await queue({ allUsers: true });
    expect(await work()).toMatchObject({ completed: 0, failed: 0 });
    expect(existsSync(path)).toBe(false);

    expect(await work(ANNA, { exportId: ownPath })).toMatchObject({ completed: 1 });
    expect(parseLines(await readFile(path, 'utf8'))).toHaveLength(1);
    expect(await work(undefined, { exportId: allRights })).toMatchObject({ completed: 1 });
  });

  it('say that the one job they were started for is not theirs to take', async () => {
    await seed(database.sql, 1);
    const exportId = await queue();
    await failureOf(work(BEN, { exportId }), 'E_NOT_FOUND');
    await failureOf(work(ANNA, { exportId: randomUUID() }), 'E_NOT_FOUND');
    expect(await logOf(exportId)).toMatchObject({ status: 'queued' });
  });

  it('do the jobs of their user, and of everybody only when told', async () => {
    await seed(database.sql, 1);
    const [annas, bens] = [await queue(), await queue({ userId: BEN })];
    expect(await work(BEN)).toMatchObject({ completed: 1 });
    expect(await logOf(annas)).toMatchObject({ status: 'queued' });
    expect(await logOf(bens)).toMatchObject({ status: 'completed' });
    expect(await work()).toMatchObject({ completed: 1 });
    expect(await logOf(annas)).toMatchObject({ status: 'completed', user_id: ANNA });
  });
});

describe('where the database tells its users apart', () => {
  it('a worker for everybody reads for each job what the one who asked may see', async () => {
    const { sql } = database;
    await applyAuthShim(sql);
    await applyMigrations(sql);
    const [anna, ben] = [await addUser(sql), await addUser(sql)];
    for (const [id, owner] of [
      ['annas', anna],
      ['bens', ben],
    ] as const) {
      await addConversation(sql, { conversation_id: id, created_by: owner });
    }
    await sql.unsafe(`
      alter table conversations enable row level security;
      create policy own on conversations for select using (auth.uid() = created_by)`);
    const jobs = [await queue({ userId: anna }), await queue({ userId: ben })];

    expect(await work()).toMatchObject({ completed: 2, failed: 0 });
    const seen = await Promise.all(
      jobs.map(async (exportId) => {
        const url = (await logOf(exportId))?.['file_url'];
        const lines = parseLines(await readFile(fileURLToPath(String(url)), 'utf8'));
        return lines.map(({ metadata }) => metadata?.['conversation_id']);
      }),
    );
    expect(seen).toEqual([['annas'], ['bens']]);
  });
});

describe('cancelling', () => {
  it('closes a queued export, which no worker takes then', async () => {
    await seed(database.sql, 1);
    const exportId = await queue();
    await withAccess(database, ANNA, (access) => cancelExport(access, exportId));
    expect(await logOf(exportId)).toMatchObject({
      status: 'failed',
      error_message: `cancelled by user ${ANNA}`,
    });
    expect(await work(ANNA)).toMatchObject({ completed: 0, failed: 0 });
  });

  it('stops a running export before it publishes', async () => {
    await seed(database.sql, 2);
    const exportId = await queue();
    await slowDown(database.sql, 'publishing', 2);
    const working = work(ANNA);
    await expect.poll(async () => (await logOf(exportId))?.['status']).toBe('processing');
    await withAccess(database, ANNA, (access) => cancelExport(access, exportId));
    expect(await working).toMatchObject({ completed: 0, failed: 1 });
    expect(await logOf(exportId)).toMatchObject({
      status: 'failed',
      error_message: `cancelled by user ${ANNA}`,
    });
    expect(existsSync(join(root, exportId))).toBe(false);
  });

  it("does not tell another's export from an absent one, and leaves what has ended", async () => {
    await seed(database.sql, 1);
    const exportId = await queue();
    const absent = randomUUID();
    const refusal = async (userId: string, id: string): Promise<string> => {
      const error = await failureOf(
        withAccess(database, userId, (access) => cancelExport(access, id)),
        'E_NOT_FOUND',
      );
      return error.message.replace(id, 'ID');
    };
    expect(await refusal(BEN, exportId)).toBe(await refusal(BEN, absent));
    await work(ANNA);
    await failureOf(
      withAccess(database, ANNA, (access) => cancelExport(access, exportId)),
      'E_GONE',
    );
    expect(await logOf(exportId)).toMatchObject({ status: 'completed' });
  });
});

describe('a large export that waits for itself', () => {
  it('is queued first, for others to see, and a small one is not', async () => {
    await seed(database.sql, 4);
    const statuses = await recordStatuses();
    await runExport(database, {}, { jobFrom: 4 });
    expect(await statuses()).toEqual(['queued', 'processing', 'completed']);
    await runExport(database, {}, { jobFrom: 5 });
    expect((await statuses()).slice(3)).toEqual(['processing', 'completed']);
  });

  it('belongs to its own process: no worker takes it, dead or alive', async () => {
    await seed(database.sql, 4);
    const letGo = await lockTable(database.sql, 'conversation_turns');
    const running = runExport(database, { userId: ANNA }, { jobFrom: 1 });
    await expect.poll(async () => (await loggedRuns(database.sql))[0]?.status).toBe('processing');
    expect(await work(ANNA)).toMatchObject({ completed: 0, failed: 0 });
    await letGo();
    expect((await running).result.counts.written).toBe(4);
  });

  it('shows progress that never goes back and is a hundred only at the end', async () => {
    await seed(database.sql, 40, 2_000);
    await database.sql
      .unsafe(
        `create table seen (at serial, progress int, status text);
         create function see() returns trigger language plpgsql as
           $$ begin insert into seen (progress, status)
             select new.progress, l.status from export_logs l where l.export_id = new.export_id; return new; end $$;
         create trigger see after update on export_runs for each row execute function see()`,
      )
      .simple();
    let slow = 0;
    await runExport(
      database,
      { batchSize: 5 },
      { jobFrom: 1, onEvent: (event) => (slow += event.kind === 'progress' ? 1 : 0) },
    );
    const seen = await database.sql<{ progress: number }[]>`select progress from seen order by at`;
    const values = seen.map(({ progress }) => progress);
    expect(slow).toBeGreaterThan(1);
    expect(values).toEqual(values.toSorted((one, other) => one - other));
    expect(values.filter((value) => value === 100)).toHaveLength(1);
    expect(values.at(-1)).toBe(100);
  });
});
