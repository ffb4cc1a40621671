import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import type { Access } from '../src/db/access.js';
import { HEARTBEAT_LIMIT_SECONDS } from '../src/recovery.js';
import { readStatus, watchStatus, type ExportStatus } from '../src/status.js';
import { withAccess } from './support/access.js';
import { addUser, applyAuthShim, applyMigrations } from './support/audit.js';
import { createDatabase, type TestDatabase } from './support/database.js';
import { addConversation, failureOf, runExport } from './support/export.js';
import { startProxy } from './support/proxy.js';
import { addRecordedRun } from './support/recorded-run.js';

const ANNA = '11111111-1111-4111-8111-111111111111';
const BERT = '22222222-2222-4222-8222-222222222222';

let database: TestDatabase;

beforeEach(async () => {
  database = await createDatabase('ready');
});
afterEach(() => database.drop());

function statusOf(exportId: string | null, userId: string | undefined = ANNA): Promise<ExportStatus> {
  return withAccess(database, userId, (access) => readStatus(access, exportId));
}

async function storedStatus(exportId: string): Promise<unknown> {
  const [row] = await database.sql`select status from export_logs where export_id = ${exportId}`;
  return row?.['status'];
}

describe('the status of an export', () => {
  it('says what the log says of one that ran', async () => {
    await addConversation(database.sql, { conversation_id: 'a' });
    const { result } = await runExport(database, { userId: ANNA });
    expect(await statusOf(result.exportId)).toMatchObject({
      exportId: result.exportId,
      status: 'completed',
      progress: 100,
      conversationCount: 1,
      fileSize: result.size,
      fileUrl: null,
      errorMessage: null,
      format: 'jsonl',
      phase: 'done',
      read: 1,
      written: 1,
      skipped: 0,
      attempt: 1,
      silentSeconds: null,
      isSilent: false,
      queuedBefore: null,
      expiresAt: null,
    });
  });

  it('without an id is that of the latest of whoever asks', async () => {
    await addRecordedRun(database.sql, { userId: ANNA, age: 2 });
    const latest = await addRecordedRun(database.sql, { userId: ANNA, age: 1 });
    const others = await addRecordedRun(database.sql, { userId: BERT });
    expect((await statusOf(null)).exportId).toBe(latest);
    expect((await statusOf(null, BERT)).exportId).toBe(others);
  });

  it('without an id and without an export says that there is none', async () => {
    await addRecordedRun(database.sql, { userId: BERT });
    expect((await failureOf(statusOf(null), 'E_NOT_FOUND')).message).toBe('There are no exports yet.');
  });

  it.each(['plain', 'with users'])(
    'of somebody else is as unknown as one that never was: %s',
    async (kind) => {
      let [anna, bert] = [ANNA, BERT];
      if (kind === 'with users') {
        await applyAuthShim(database.sql);
        await applyMigrations(database.sql);
        [anna, bert] = [await addUser(database.sql), await addUser(database.sql)];
      }
      const own = await addRecordedRun(database.sql, { userId: anna });
      const theirs = await addRecordedRun(database.sql, { userId: bert });
      expect((await statusOf(own, anna)).exportId).toBe(own);
      for (const id of [theirs, randomUUID(), 'no-uuid']) {
        const { name, message, exitStatus } = await failureOf(statusOf(id, anna), 'E_NOT_FOUND');
        expect({ name, message, exitStatus }).toEqual({
          name: 'ExportNotFoundError',
          message: `Export not found: ${id}`,
          exitStatus: 26,
        });
      }
    },
  );

  it('is that of anybody for whoever may see everybody', async () => {
    const theirs = await addRecordedRun(database.sql, { userId: BERT });
    const found = await withAccess(database, undefined, (access) => readStatus(access, theirs));
    expect(found.exportId).toBe(theirs);
  });

  it.each([
    ['processing', 100, 99],
    ['processing', -5, 0],
    ['processing', 32_000, 99],
    ['queued', 100, 99],
    ['failed', 100, 99],
    ['failed', 42, 42],
    ['completed', 7, 100],
    ['expired', 7, 100],
  ])('of one that is %s, and whose row says %i %%, is at %i %%', async (status, progress, expected) => {
    const id = await addRecordedRun(database.sql, { userId: ANNA, status, run: { progress } });
    expect((await statusOf(id)).progress).toBe(expected);
  });

  it('takes a row without a companion, as other programs write them', async () => {
    const id = await addRecordedRun(database.sql, {
      userId: ANNA,
      status: 'processing',
      count: 3,
      run: null,
    });
    expect(await statusOf(id)).toMatchObject({ progress: 0, phase: null, read: null, silentSeconds: null });
  });

  it('says how long nothing was heard of its owner, and from when on that is too long', async () => {
    const limit = HEARTBEAT_LIMIT_SECONDS;
    const dead = await addRecordedRun(database.sql, { userId: ANNA, run: { silent: limit + 5 } });
    const alive = await addRecordedRun(database.sql, { userId: ANNA, run: { silent: limit - 30 } });
    const found = await statusOf(dead);
    expect(found.isSilent).toBe(true);
    expect(found.silentSeconds).toBeGreaterThanOrEqual(limit + 5);
    expect((await statusOf(alive)).isSilent).toBe(false);
  });

  it('says how many jobs are before it, and counts neither later ones, nor running ones, nor those of others', async () => {
    const job = { userId: ANNA, status: 'queued', run: { phase: 'queued', detached: true } };
    await addRecordedRun(database.sql, { ...job, age: 3 });
    await addRecordedRun(database.sql, { ...job, age: 2 });
    await addRecordedRun(database.sql, { ...job, age: 2, userId: BERT });
    await addRecordedRun(database.sql, { ...job, age: 2, status: 'processing' });
    const id = await addRecordedRun(database.sql, { ...job, age: 1 });
    await addRecordedRun(database.sql, job);
    expect((await statusOf(id)).queuedBefore).toBe(2);
    const attached = await addRecordedRun(database.sql, { ...job, run: { phase: 'queued' } });
    expect((await statusOf(attached)).queuedBefore).toBeNull();
  });
});

describe('an export whose time is over', () => {
  it('is marked expired by being looked at, and no other is', async () => {
    const overdue = await addRecordedRun(database.sql, {
      userId: ANNA,
      status: 'completed',
      expiresIn: -0.001,
    });
    const fresh = await addRecordedRun(database.sql, { userId: ANNA, status: 'completed', expiresIn: 1 });
    const alsoOverdue = await addRecordedRun(database.sql, {
      userId: ANNA,
      status: 'completed',
      expiresIn: -1,
    });
    expect(await statusOf(overdue)).toMatchObject({ status: 'expired', progress: 100 });
    expect((await statusOf(fresh)).status).toBe('completed');
    expect(await storedStatus(overdue)).toBe('expired');
    expect(await storedStatus(fresh)).toBe('completed');
    expect(await storedStatus(alsoOverdue)).toBe('completed');
  });

  it('but that has not ended, or has failed, stays what it is', async () => {
    for (const status of ['processing', 'failed', 'queued']) {
      const id = await addRecordedRun(database.sql, { userId: ANNA, status, expiresIn: -1 });
      expect((await statusOf(id)).status).toBe(status);
      expect(await storedStatus(id)).toBe(status);
    }
  });

  it('is told as expired to a role that may only read, and left to cleanup', async () => {
    const id = await addRecordedRun(database.sql, { userId: ANNA, status: 'completed', expiresIn: -1 });
    const role = `${database.name}_reader`;
    await database.sql.unsafe(
      `create role ${role} login; grant select on export_logs, export_runs to ${role}`,
    );
    try {
      const url = database.url.replace(/\/\/[^@]*@/, `//${role}@`);
      const found = await withAccess({ url }, ANNA, (access) => readStatus(access, id));
      expect(found.status).toBe('expired');
      expect(await storedStatus(id)).toBe('completed');
    } finally {
      await database.sql.unsafe(`drop owned by ${role}; drop role ${role}`);
    }
  });
});

describe('watching', () => {
  const set = (id: string, progress: number) =>
    database.sql`update export_runs set progress = ${progress}, read_count = ${progress} where export_id = ${id}`;
  const end = (id: string, status: string) =>
    database.sql`update export_logs set status = ${status} where export_id = ${id}`;

  /** Follows an export, and does the next thing to it whenever a change was told. */
  async function follow(
    exportId: string | null,
    deeds: readonly (() => PromiseLike<unknown>)[],
    access?: Access,
  ): Promise<ExportStatus[]> {
    const seen: ExportStatus[] = [];
    const run = async (used: Access): Promise<void> => {
      for await (const status of watchStatus(used, exportId, { intervalMs: 5 })) {
        seen.push(status);
        await deeds[seen.length - 1]?.();
      }
    };
    await (access === undefined ? withAccess(database, ANNA, run) : run(access));
    return seen;
  }

  it('tells every change until the end, and a hundred percent only there', async () => {
    const id = await addRecordedRun(database.sql, { userId: ANNA, count: 100 });
    const seen = await follow(id, [() => set(id, 40), () => set(id, 100), () => end(id, 'completed')]);
    expect(seen.map(({ status, progress }) => [status, progress])).toEqual([
      ['processing', 0],
      ['processing', 40],
      ['processing', 99],
      ['completed', 100],
    ]);
  });

  it('never goes backwards, whatever the rows say', async () => {
    const id = await addRecordedRun(database.sql, { userId: ANNA, count: 100, run: { progress: 60 } });
    const seen = await follow(id, [() => set(id, 10), () => set(id, 70), () => end(id, 'failed')]);
    expect(seen.map(({ progress }) => progress)).toEqual([60, 60, 70, 70]);
  });

  it('tells one that has ended once, and ends', async () => {
    const id = await addRecordedRun(database.sql, { userId: ANNA, status: 'failed' });
    expect(await follow(id, [])).toHaveLength(1);
  });

  it('takes a sign of life for no change', async () => {
    const id = await addRecordedRun(database.sql, { userId: ANNA, run: { silent: 50 } });
    let looks = 0;
    const seen = await withAccess(database, ANNA, (access) => {
      const ask: Access['connection']['ask'] = async (statement) => {
        looks++;
        await database.sql`update export_runs set heartbeat_at = heartbeat_at + interval '5 seconds'`;
        if (looks === 5) await end(id, 'failed');
        return access.connection.ask(statement);
      };
      return follow(id, [], { ...access, connection: { ...access.connection, ask } });
    });
    expect(seen.map(({ status }) => status)).toEqual(['processing', 'failed']);
    expect(looks).toBe(5);
  });

  it('stays with the export that was the latest when it began', async () => {
    const id = await addRecordedRun(database.sql, { userId: ANNA });
    const seen = await follow(null, [
      async () => {
        await addRecordedRun(database.sql, { userId: ANNA });
        await set(id, 5);
      },
      () => end(id, 'failed'),
    ]);
    expect(new Set(seen.map(({ exportId }) => exportId))).toEqual(new Set([id]));
  });

  it('goes on after the connection was lost, and says so once', async () => {
    const id = await addRecordedRun(database.sql, { userId: ANNA, count: 100 });
    const socket = `${decodeURIComponent(new URL(database.url).searchParams.get('host') ?? '')}/.s.PGSQL.5432`;
    await using proxy = await startProxy({ path: socket });
    const url = new URL(database.url);
    url.search = '?sslmode=disable';
    url.port = String(proxy.port);
    url.hostname = '127.0.0.1';
    const troubles: string[] = [];
    const seen: number[] = [];
    await withAccess({ url: url.href }, ANNA, async (access) => {
      const changes = watchStatus(access, id, {
        intervalMs: 5,
        onTrouble({ code }) {
          troubles.push(code);
          proxy.resume();
        },
      });
      for await (const { progress } of changes) {
        seen.push(progress);
        if (seen.length === 1) {
          proxy.refuse();
          proxy.reset();
          await set(id, 50);
        } else await end(id, 'completed');
      }
    });
    expect(seen).toEqual([0, 50, 100]);
    expect(troubles).toEqual(['E_DB_UNREACHABLE']);
  });

  it('ends with the reason of its signal', async () => {
    const id = await addRecordedRun(database.sql, { userId: ANNA });
    const controller = new AbortController();
    const reason = new Error('enough');
    const outcome = withAccess(database, ANNA, async (access) => {
      for await (const _ of watchStatus(access, id, { signal: controller.signal })) controller.abort(reason);
    });
    await expect(outcome).rejects.toBe(reason);
    expect(await storedStatus(id)).toBe('processing');
  });

  it('of one that is removed meanwhile ends as for one that is unknown', async () => {
    const id = await addRecordedRun(database.sql, { userId: ANNA });
    const outcome = follow(id, [() => database.sql`delete from export_logs where export_id = ${id}`]);
    await failureOf(outcome, 'E_NOT_FOUND');
  });
});
