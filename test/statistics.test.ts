import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { collectStatistics, successRate, type Bucket } from '../src/statistics.js';
import { withAccess } from './support/access.js';
import { addUser, applyAuthShim, applyMigrations } from './support/audit.js';
import { createDatabase, type TestDatabase } from './support/database.js';
import { failureOf } from './support/export.js';
import { addPastRun, type PastRun } from './support/history.js';

const ANN = '11111111-1111-4111-8111-111111111111';
const BEN = '22222222-2222-4222-8222-222222222222';
const SINCE = { at: '2025-10-27T00:00:00.000Z' };

/** One of everything: 12 runs within the period and one before it. */
const HISTORY: readonly PastRun[] = [
  {
    user: ANN,
    at: '2025-10-27T00:00:00Z',
    conversations: 50,
    bytes: 1000,
    ms: 1000,
    keptHours: 24,
    managed: true,
  },
  { user: ANN, at: '2025-10-27T00:59:59Z', conversations: 99, bytes: 3000, ms: 3000 },
  { user: ANN, at: '2025-10-27T23:59:59.999Z', conversations: 100, bytes: 2000, ms: 5000 },
  {
    user: BEN,
    at: '2025-10-29T10:00:00Z',
    conversations: 499,
    bytes: 500,
    ms: 7000,
    status: 'expired',
    keptHours: 2,
    managed: true,
    deleted: true,
  },
  {
    user: BEN,
    at: '2025-10-29T10:30:00Z',
    format: 'csv',
    conversations: 500,
    bytes: 4_000_000_000_000,
    ms: 60_000,
  },
  { user: ANN, at: '2025-10-29T11:00:00Z', format: 'csv', conversations: 1000, bytes: 100, ms: 20_000 },
  { user: ANN, at: '2025-10-29T12:00:00Z', format: 'markdown', conversations: 5000, bytes: null, ms: null },
  { user: ANN, at: '2025-10-29T13:00:00Z', format: 'json', conversations: 4, bytes: 8, alone: true },
  {
    user: ANN,
    at: '2025-10-29T14:00:00Z',
    status: 'failed',
    conversations: 7,
    bytes: 9,
    ms: 99_999,
    message: 'no space',
  },
  { user: BEN, at: '2025-10-29T15:00:00Z', status: 'failed', ms: 99_999, message: 'cancelled by SIGINT' },
  { user: ANN, at: '2025-10-29T16:00:00Z', status: 'queued', conversations: 600 },
  { user: ANN, at: '2025-10-29T17:00:00Z', status: 'processing', conversations: 600, alone: true },
  { user: ANN, at: '2025-10-26T23:59:59.999Z', conversations: 70, bytes: 70, ms: 70 },
];

let database: TestDatabase;

beforeEach(async () => {
  database = await createDatabase('ready');
});
afterEach(() => database.drop());

async function addAll(runs: readonly PastRun[]): Promise<void> {
  for (const run of runs) await addPastRun(database.sql, run);
}

describe('the whole history', () => {
  beforeEach(() => addAll(HISTORY));

  const collect = (userId?: string) =>
    withAccess(database, userId, (access) => collectStatistics(access, { since: SINCE }));

  it('counts what succeeded, failed, was cancelled, and goes on; only the first two make the rate', async () => {
    const { totals, since, by } = await collect();
    expect({ since, by }).toEqual({ since: SINCE.at, by: 'day' });
    expect(totals).toMatchObject({
      format: null,
      runs: 12,
      succeeded: 8,
      failed: 1,
      cancelled: 1,
      inProgress: 2,
      users: 2,
      conversations: 50 + 99 + 100 + 499 + 500 + 1000 + 5000 + 4,
      bytes: 4_000_000_006_608,
      files: 7,
      byteHours: 1000 * 24 + 500 * 2,
    });
    expect(successRate(totals)).toBe(8 / 9);
  });

  it('tells the formats apart, the most used first', async () => {
    const { formats } = await collect();
    expect(formats).toMatchObject([
      {
        format: 'jsonl',
        runs: 8,
        succeeded: 4,
        failed: 1,
        cancelled: 1,
        inProgress: 2,
        bytes: 6500,
        files: 4,
        averageBytes: 1625,
        largestBytes: 3000,
      },
      { format: 'csv', runs: 2, succeeded: 2, bytes: 4_000_000_000_100, averageBytes: 2_000_000_000_050 },
      { format: 'json', runs: 1, files: 1, bytes: 8, timed: 0 },
      { format: 'markdown', runs: 1, files: 0, bytes: 0, averageBytes: null, largestBytes: null },
    ]);
  });

  it('measures durations of what succeeded, by format, by size, and by both', async () => {
    const { durations } = await collect();
    const lines = durations.map(({ format, sizeClass, runs, ...times }) =>
      [format ?? '*', sizeClass ?? '*', runs, ...Object.values(times)].join(' '),
    );
    expect(lines).toEqual([
      '* * 6 16000 6000 50000 60000',
      '* 0 2 2000 2000 2900 3000',
      '* 1 2 6000 6000 6900 7000',
      '* 2 1 60000 60000 60000 60000',
      '* 3 1 20000 20000 20000 20000',
      'csv * 2 40000 40000 58000 60000',
      'csv 2 1 60000 60000 60000 60000',
      'csv 3 1 20000 20000 20000 20000',
      'jsonl * 4 4000 4000 6700 7000',
      'jsonl 0 2 2000 2000 2900 3000',
      'jsonl 1 2 6000 6000 6900 7000',
    ]);
  });

  it('keeps a duration when the file expires later', async () => {
    const before = await collect();
    await database.sql`update export_logs set status = 'expired', updated_at = now() where status = 'completed'`;
    expect((await collect()).durations).toEqual(before.durations);
  });

  it('lists users by their number of runs', async () => {
    const { users } = await collect();
    expect(users).toMatchObject([
      { userId: ANN, runs: 9, succeeded: 6, failed: 1, cancelled: 0, inProgress: 2 },
      { userId: BEN, runs: 3, succeeded: 2, failed: 0, cancelled: 1, inProgress: 0 },
    ]);
  });

  it('shows a user nothing but his own', async () => {
    const { totals, users, formats } = await collect(BEN);
    expect(totals).toMatchObject({ runs: 3, users: 1, bytes: 4_000_000_000_500 });
    expect(users.map(({ userId }) => userId)).toEqual([BEN]);
    expect(formats.map(({ format }) => format)).toEqual(['jsonl', 'csv']);
    expect((await collect(randomUUID())).totals).toMatchObject({ runs: 0, bytes: 0, users: 0 });
  });

  it('has a row for each day in UTC, also those without a run, up to today', async () => {
    const { buckets, until } = await collect();
    expect(buckets.slice(0, 4)).toMatchObject([
      { start: '2025-10-27T00:00:00Z', runs: 3, succeeded: 3, bytes: 6000, conversations: 249 },
      { start: '2025-10-28T00:00:00Z', runs: 0, succeeded: 0, bytes: 0, conversations: 0 },
      { start: '2025-10-29T00:00:00Z', runs: 9, succeeded: 5, failed: 1, cancelled: 1, inProgress: 2 },
      { start: '2025-10-30T00:00:00Z', runs: 0 },
    ]);
    expect(buckets.at(-1)?.start.slice(0, 10)).toBe(until.slice(0, 10));
    const days = (Date.parse(until.slice(0, 10)) - Date.parse('2025-10-27')) / 86_400_000;
    expect(buckets).toHaveLength(days + 1);
  });
});

describe('hours and periods', () => {
  const thisHour = Math.floor(Date.now() / 3.6e6);
  const hoursAgo = (hours: number): Date => new Date((thisHour - hours) * 3.6e6);

  it('has a row for each hour of UTC, whatever the time zone of the session', async () => {
    await database.sql.unsafe(`alter database ${database.name} set timezone = 'Asia/Kathmandu'`);
    await addAll([{ at: hoursAgo(3) }, { at: new Date(hoursAgo(1).getTime() + 3_599_999) }]);
    const buckets = await withAccess(database, undefined, async (access) => {
      const { buckets } = await collectStatistics(access, {
        since: { at: hoursAgo(3).toISOString() },
        by: 'hour',
      });
      return buckets.slice(0, 4);
    });
    const iso = (hours: number): string => hoursAgo(hours).toISOString().replace('.000', '');
    const seen = buckets.map(({ start, runs }: Bucket) => [start, runs]);
    expect(seen).toEqual([
      [iso(3), 1],
      [iso(2), 0],
      [iso(1), 1],
      [iso(0), 0],
    ]);
  });

  it('begins thirty days ago unless told otherwise', async () => {
    const daysAgo = (days: number): Date => new Date(Date.now() - days * 86_400_000);
    await addAll([{ at: daysAgo(31) }, { at: daysAgo(29) }, { at: daysAgo(1) }]);
    await withAccess(database, undefined, async (access) => {
      const { totals, buckets } = await collectStatistics(access);
      expect(totals.runs).toBe(2);
      expect(buckets).toHaveLength(31);
      expect((await collectStatistics(access, { since: { seconds: 2 * 86_400 } })).totals.runs).toBe(1);
    });
  });

  it('is all zeros and nulls without a run', async () => {
    await withAccess(database, undefined, async (access) => {
      const { totals, formats, durations, users } = await collectStatistics(access);
      expect(totals).toMatchObject({
        runs: 0,
        bytes: 0,
        byteHours: 0,
        averageBytes: null,
        lastSuccess: null,
      });
      expect(successRate(totals)).toBeNull();
      expect({ formats, users }).toMatchObject({ formats: [], users: [] });
      expect(durations).toMatchObject([{ format: null, sizeClass: null, runs: 0, averageMs: null }]);
    });
  });

  it('survives what other programs write: no end of time, and times to come', async () => {
    const id = await addPastRun(database.sql, { bytes: 5, ms: 5 });
    await database.sql`update export_logs set expires_at = 'infinity' where export_id = ${id}`;
    await addPastRun(database.sql, { at: new Date(Date.now() + 86_400_000) });
    await withAccess(database, undefined, async (access) => {
      expect((await collectStatistics(access)).totals).toMatchObject({ runs: 1, bytes: 5, byteHours: 0 });
    });
  });

  it('refuses a period in the future, and one of too many hours', async () => {
    await withAccess(database, undefined, async (access) => {
      const future = collectStatistics(access, { since: { at: '2999-01-01T00:00:00.000Z' } });
      expect((await failureOf(future, 'E_USAGE')).message).toMatch(/lies in the future/);
      const long = collectStatistics(access, { since: { at: '2000-01-01T00:00:00.000Z' }, by: 'hour' });
      expect((await failureOf(long, 'E_USAGE')).hint).toMatch(/--by day/);
      expect(
        (await collectStatistics(access, { since: { at: '2000-01-01T00:00:00.000Z' } })).totals.runs,
      ).toBe(0);
    });
  });
});

describe('managed files', () => {
  it('counts those of completed exports that are still there, and those whose time is over', async () => {
    const old = new Date(Date.now() - 40 * 86_400_000);
    const managed = { managed: true, keptHours: 24 };
    await addAll([
      { ...managed, bytes: 1 },
      { ...managed, bytes: 10, at: old },
      { ...managed, bytes: 100, at: old, status: 'expired', deleted: true },
      { ...managed, bytes: 1000, deleted: true },
      { bytes: 10_000 },
      { bytes: 100_000, alone: true },
      { ...managed, bytes: 1_000_000, status: 'failed' },
    ]);
    const { storage } = await withAccess(database, undefined, (access) => collectStatistics(access));
    expect(storage).toEqual({ files: 2, bytes: 11, overdueFiles: 1, overdueBytes: 10 });
  });
});

describe('a database with users', () => {
  it("gives each user the numbers of his own exports, by the database's own policies too", async () => {
    await applyAuthShim(database.sql);
    await applyMigrations(database.sql);
    const [ann, ben] = [await addUser(database.sql), await addUser(database.sql)];
    await addAll([
      { user: ann, bytes: 1, ms: 1000, managed: true },
      { user: ben, bytes: 10, ms: 3000, managed: true },
      { user: ben, bytes: 10, ms: 5000, managed: true },
    ]);
    const of = (user: string | undefined) =>
      withAccess(database, user, async (access) => {
        const { totals, durations, users, storage } = await collectStatistics(access);
        return {
          runs: totals.runs,
          bytes: totals.bytes,
          average: durations[0]?.averageMs,
          users: users.length,
          stored: storage.bytes,
        };
      });
    expect(await of(ann)).toEqual({ runs: 1, bytes: 1, average: 1000, users: 1, stored: 1 });
    expect(await of(ben)).toEqual({ runs: 2, bytes: 20, average: 4000, users: 1, stored: 20 });
    expect(await of(undefined)).toEqual({ runs: 3, bytes: 21, average: 3000, users: 2, stored: 21 });
  });
});
