import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import type { Access } from '../src/db/access.js';
import { HISTORY_SORTS } from '../src/db/history.js';
import { readRun } from '../src/db/recorded-runs.js';
import { availabilityOf } from '../src/history/availability.js';
import { listExports, type HistoryQueryInput } from '../src/history.js';
import { repetitionOf } from '../src/history/repetition.js';
import { withAccess } from './support/access.js';
import { addUser, applyAuthShim, applyMigrations } from './support/audit.js';
import { createDatabase, type TestDatabase } from './support/database.js';
import { addConversation, failureOf, runExport } from './support/export.js';
import { record } from './support/recorded.js';

const ANNA = '0a000000-0000-4000-8000-000000000001';
const BERT = '0b000000-0000-4000-8000-000000000002';

let database: TestDatabase;

const list = (userId: string | undefined, query: HistoryQueryInput = {}) =>
  withAccess(database, userId, (access) => listExports(access, query));
const idsOf = async (query: HistoryQueryInput, userId: string | undefined = ANNA): Promise<string[]> =>
  (await list(userId, query)).exports.map(({ exportId }) => exportId);

describe('listing', () => {
  beforeEach(async () => {
    database = await createDatabase();
  });
  afterEach(() => database.drop());

  it('begins with the newest, 25 at a time, and counts all of them', async () => {
    const ids: string[] = [];
    for (let day = 1; day <= 30; day++) {
      const timestamp = `2025-10-${String(day).padStart(2, '0')}T00:00:00Z`;
      ids.unshift(await record(database.sql, { userId: ANNA, timestamp }));
    }
    const first = await list(ANNA);
    expect(first).toMatchObject({ total: 30, page: 1, limit: 25 });
    expect(first.exports.map(({ exportId }) => exportId)).toEqual(ids.slice(0, 25));
    const second = await list(ANNA, { page: 2 });
    expect(second).toMatchObject({ total: 30, page: 2 });
    expect(second.exports.map(({ exportId }) => exportId)).toEqual(ids.slice(25));
    expect(await list(ANNA, { page: 3 })).toMatchObject({ total: 30, page: 3, exports: [] });
    expect(await idsOf({ limit: 7, page: 2 })).toEqual(ids.slice(7, 14));
  });

  it.each(HISTORY_SORTS.flatMap((sort) => [[sort, 'asc'] as const, [sort, 'desc'] as const]))(
    'neither repeats nor loses a row between pages when many are equal (%s, %s)',
    async (sort, order) => {
      const ids = await Promise.all(Array.from({ length: 12 }, () => record(database.sql, { userId: ANNA })));
      const pages = await Promise.all([1, 2, 3].map((page) => idsOf({ sort, order, page, limit: 4 })));
      expect(pages.flat().toSorted()).toEqual(ids.toSorted());
      const byTime = sort === 'timestamp' ? order : 'desc';
      expect(pages.flat()).toEqual(byTime === 'asc' ? ids.toSorted() : ids.toSorted().toReversed());
    },
  );

  it('sorts by each key, unknown sizes last', async () => {
    const at = (day: number) => ({ timestamp: `2025-10-0${day}T00:00:00Z` });
    const a = await record(database.sql, { userId: ANNA, ...at(1), format: 'markdown', size: 10, count: 3 });
    const b = await record(database.sql, {
      userId: BERT,
      ...at(2),
      format: 'csv',
      size: null,
      status: 'failed',
      count: 1,
    });
    const c = await record(database.sql, {
      userId: ANNA,
      ...at(3),
      format: 'json',
      size: 9,
      status: 'expired',
      count: 2,
    });
    const sorted = async (sort: (typeof HISTORY_SORTS)[number], order: 'asc' | 'desc') => {
      const { exports } = await list(undefined, { sort, order });
      return exports.map(({ exportId }) => ({ [a]: 'a', [b]: 'b', [c]: 'c' })[exportId]).join('');
    };
    expect(await sorted('timestamp', 'asc')).toBe('abc');
    expect(await sorted('timestamp', 'desc')).toBe('cba');
    expect(await sorted('format', 'asc')).toBe('bca');
    expect(await sorted('format', 'desc')).toBe('acb');
    expect(await sorted('status', 'asc')).toBe('acb');
    expect(await sorted('count', 'asc')).toBe('bca');
    expect(await sorted('count', 'desc')).toBe('acb');
    expect(await sorted('size', 'asc')).toBe('cab');
    expect(await sorted('size', 'desc')).toBe('acb');
    expect(await sorted('user', 'asc')).toBe('cab');
    expect(await sorted('user', 'desc')).toBe('bca');
  });

  it('filters by format and status, several values OR-ed, filters AND-ed', async () => {
    const csv = await record(database.sql, { userId: ANNA, format: 'csv' });
    const failed = await record(database.sql, { userId: ANNA, format: 'csv', status: 'failed' });
    const json = await record(database.sql, { userId: ANNA, format: 'json', status: 'queued' });
    expect(await idsOf({ format: ['csv'] })).toHaveLength(2);
    expect(await idsOf({ format: ['csv'], status: ['failed'] })).toEqual([failed]);
    expect((await idsOf({ status: ['completed', 'queued'] })).toSorted()).toEqual([csv, json].toSorted());
    expect(await list(ANNA, { format: ['markdown'] })).toMatchObject({ total: 0, exports: [] });
    expect((await list(ANNA, { format: ['csv'], limit: 1 })).total).toBe(2);
  });

  it('filters by scope in the words of today: all of a row without a version was all that is approved', async () => {
    const old = await record(database.sql, { userId: ANNA, config: { scope: 'all' } });
    const all = await record(database.sql, { userId: ANNA, config: { version: 1, scope: 'all' } });
    const none = await record(database.sql, { userId: ANNA, config: 'foreign' });
    expect(await idsOf({ scope: ['approved'] })).toEqual([old]);
    expect(await idsOf({ scope: ['all'] })).toEqual([all]);
    expect(await idsOf({})).toContain(none);
  });

  it('takes both ends of a range; a day is all of that day in UTC, whatever the zone of the server', async () => {
    await database.sql.unsafe(`alter database ${database.name} set timezone = 'Pacific/Kiritimati'`);
    const at = (timestamp: string) => record(database.sql, { userId: ANNA, timestamp });
    await at('2025-10-28T23:59:59.999999Z');
    const first = await at('2025-10-29T00:00:00Z');
    const noon = await at('2025-10-29T12:00:00Z');
    const last = await at('2025-10-29T23:59:59.999999Z');
    await at('2025-10-30T00:00:00Z');
    expect(await idsOf({ from: '2025-10-29', to: '2025-10-29' })).toEqual([last, noon, first]);
    expect(await idsOf({ from: '2025-10-29T12:00:00Z', to: '2025-10-29T13:00:00+01:00' })).toEqual([noon]);
    expect(await idsOf({ from: '2025-10-29T12:00:01Z', to: '2025-10-29' })).toEqual([last]);
    expect((await list(ANNA, { to: '2025-10-29' })).total).toBe(4);
    expect((await list(ANNA, { from: '2025-10-29' })).total).toBe(4);
  });

  it.each<[HistoryQueryInput, string]>([
    [{ from: '2025-10-30', to: '2025-10-29' }, 'from: must not be after to'],
    [{ from: '29.10.2025' }, 'from: must be a date'],
    [{ limit: 101 }, 'limit: must be at most 100'],
    [{ limit: 0 }, 'limit: must be at least 1'],
    [{ page: 0 }, 'page: must be at least 1'],
    [{ page: 1.5 }, 'page: '],
    [{ format: ['exe' as 'csv'] }, 'format.0: must be one of jsonl'],
    [{ status: [] }, 'status: must name at least one'],
    [{ userId: 'anna' }, 'userId: must be a UUID'],
    [{ colour: 'red' } as HistoryQueryInput, 'colour'],
  ])('refuses %j', async (query, problem) => {
    const failure = await failureOf(list(ANNA, query), 'E_USAGE');
    expect(failure.message).toContain(problem);
  });

  it('shows nobody the exports of others; everybody sees all, or those of one', async () => {
    const mine = await record(database.sql, { userId: ANNA });
    const theirs = await record(database.sql, { userId: BERT });
    expect(await idsOf({}, ANNA)).toEqual([mine]);
    expect(await idsOf({ userId: BERT }, ANNA)).toEqual([]);
    expect((await list(ANNA, { userId: BERT })).total).toBe(0);
    expect((await list(undefined)).total).toBe(2);
    expect((await list(undefined, { userId: BERT })).exports.map(({ exportId }) => exportId)).toEqual([
      theirs,
    ]);
  });

  it('keeps users apart where the database does', async () => {
    await applyAuthShim(database.sql);
    await applyMigrations(database.sql);
    const [one, two] = [await addUser(database.sql), await addUser(database.sql)];
    const mine = await record(database.sql, { userId: one });
    const theirs = await record(database.sql, { userId: two });
    expect(await idsOf({}, one)).toEqual([mine]);
    expect((await list(one)).total).toBe(1);
    expect(await idsOf({ userId: two }, one)).toEqual([]);
    const read = (id: string) => withAccess(database, one, (access) => readRun(access, id));
    expect((await read(mine))?.run).not.toBeNull();
    expect(await read(theirs)).toBeNull();
    expect(await read(randomUUID())).toBeNull();
    expect((await list(undefined)).total).toBe(2);
  });

  it('lists rows of other programs, without companion and with any configuration', async () => {
    const userId = ANNA;
    for (const config of [{}, [], 'text', 7, null, { scope: 7, filters: 'none' }]) {
      await record(database.sql, { userId, config, run: null, expiresAt: 'infinity' });
    }
    const { exports, total } = await list(ANNA);
    expect(total).toBe(6);
    for (const run of exports) {
      expect(run).toMatchObject({ run: null, expiresAt: null });
      expect(availabilityOf(run)).toEqual({ until: null, unavailable: 'recorded by another program' });
      expect(() => repetitionOf(run)).not.toThrow();
    }
  });
});

describe('the file of an export', () => {
  beforeAll(async () => {
    database = await createDatabase();
  });
  afterAll(() => database.drop());

  const future = '2999-01-01T00:00:00.000Z';
  const managed = { output: { kind: 'file' }, storage_key: 'x/y.jsonl' };

  it.each<[unavailable: string | null, until: string | null, row: Parameters<typeof record>[1]]>([
    [null, future, { expiresAt: future, run: managed }],
    [null, null, { run: managed }],
    ['expired', null, { expiresAt: '2020-01-01T00:00:00Z', run: managed }],
    ['expired', null, { status: 'expired', expiresAt: future, run: managed }],
    ['removed', null, { expiresAt: future, run: { ...managed, file_deleted_at: new Date() } }],
    ['standard output', null, {}],
    ['a file of your own', null, { fileUrl: 'file:///a', run: { output: { kind: 'file' } } }],
    ['failed', null, { status: 'failed', run: managed }],
    ['not finished', null, { status: 'processing', run: managed }],
    ['not finished', null, { status: 'queued', run: managed }],
  ])('is %s to be had until %s', async (unavailable, until, row) => {
    const id = await record(database.sql, { ...row, userId: ANNA });
    const run = await withAccess(database, ANNA, (access: Access) => readRun(access, id));
    expect(run && availabilityOf(run)).toEqual({ until, unavailable });
  });
});

describe('repeating', () => {
  beforeAll(async () => {
    database = await createDatabase();
    await addConversation(database.sql, { conversation_id: 'a', tier: 'template' });
  });
  afterAll(() => database.drop());

  const repetition = async (id: string) => {
    const run = await withAccess(database, undefined, (access) => readRun(access, id));
    if (run === null) throw new Error('no such run');
    return repetitionOf(run);
  };

  it('gives the flags of what was asked', async () => {
    const { result } = await runExport(database, { scope: 'filtered', filters: { tier: ['template'] } });
    const { like, flags, problem } = await repetition(result.exportId);
    expect(like).toEqual(['lora-export', 'export', '--like', result.exportId]);
    expect(flags?.join(' ')).toContain('--scope filtered --tier template');
    expect(problem).toBeNull();
  });

  it('has only the stored configuration where flags cannot say it', async () => {
    const filters = { tier: ['a,b'] };
    const id = await record(database.sql, { config: { version: 1, scope: 'all', format: 'csv', filters } });
    expect(await repetition(id)).toMatchObject({
      like: [expect.anything(), 'export', '--like', id],
      flags: null,
    });
  });

  it('says why a run cannot be repeated', async () => {
    const config = { version: 1, scope: 'selected', ids_count: 200_000, ids_sha256: 'x' };
    const id = await record(database.sql, { config });
    expect(await repetition(id)).toMatchObject({
      like: null,
      flags: null,
      problem: expect.stringContaining('200000 ids'),
    });
  });
});
