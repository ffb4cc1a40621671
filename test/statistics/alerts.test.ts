import { afterEach, beforeEach, expect, it } from 'vitest';

import {
  checkThresholds,
  type Check,
  type CheckReport,
  type Thresholds,
} from '../../src/statistics/alerts.js';
import type { Since } from '../../src/statistics/since.js';
import { withAccess } from '../support/access.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { failureOf } from '../support/export.js';
import { addPastRun, type PastRun } from '../support/history.js';

const LIMITS: Thresholds = {
  failureRate: 0.1,
  smallExportSeconds: 60,
  smallExportConversations: 100,
  storageBytes: 1000,
};
const ANN = '11111111-1111-4111-8111-111111111111';
const BEN = '22222222-2222-4222-8222-222222222222';

let database: TestDatabase;

beforeEach(async () => {
  database = await createDatabase('ready');
});
afterEach(() => database.drop());

async function addAll(...runs: readonly PastRun[]): Promise<string[]> {
  const ids: string[] = [];
  for (const run of runs) ids.push(await addPastRun(database.sql, run));
  return ids;
}

const report = (user?: string, since?: Since, limits: Partial<Thresholds> = {}): Promise<CheckReport> =>
  withAccess(database, user, (access) => checkThresholds(access, { ...LIMITS, ...limits }, since));

/** One check of everybody's exports, and that the whole is as fine as it. */
async function found(name: Check['name'], limits?: Partial<Thresholds>): Promise<Check> {
  const { ok, checks } = await report(undefined, undefined, limits);
  const check = checks.find((candidate) => candidate.name === name);
  if (check === undefined) throw new Error(`no check ${name}`);
  expect(ok).toBe(check.ok);
  return check;
}

const times = (count: number, run: PastRun): PastRun[] => Array.from({ length: count }, () => run);

it('is fine without any export', async () => {
  const { ok, checks } = await report();
  expect(ok).toBe(true);
  expect(checks.map(({ name, value, limit, ok }) => [name, value, limit, ok])).toEqual([
    ['failure_rate', null, 0.1, true],
    ['small_export_seconds', null, 60, true],
    ['storage_bytes', 0, 1000, true],
    ['silent_runs', 0, 0, true],
  ]);
});

it('raises an alarm when more than a tenth failed, not when a tenth did; cancelled ones do not count', async () => {
  const other: PastRun[] = [{ status: 'failed', message: 'cancelled by SIGTERM' }, { status: 'processing' }];
  await addAll(...times(9, {}), { status: 'failed', message: 'disk' }, ...other);
  expect(await found('failure_rate')).toMatchObject({ value: 0.1, ok: true });
  await addAll({ status: 'failed' });
  expect(await found('failure_rate')).toMatchObject({
    value: 2 / 11,
    ok: false,
    message: '2 of 11 exports failed',
  });
  expect(await found('failure_rate', { failureRate: 0.5 })).toMatchObject({ ok: true });
});

it('raises an alarm when small exports take more than a minute on average', async () => {
  await addAll(
    { conversations: 99, ms: 20_000 },
    { conversations: 1, ms: 100_000 },
    { conversations: 100, ms: 9e6 },
  );
  expect(await found('small_export_seconds')).toMatchObject({ value: 60, ok: true });
  await addAll({ conversations: 0, ms: 60_003 });
  expect(await found('small_export_seconds')).toMatchObject({ value: 60.001, ok: false });
  const limits = { smallExportConversations: 1, smallExportSeconds: 61 };
  expect(await found('small_export_seconds', limits)).toMatchObject({ value: 60.003, ok: true });
});

it('raises an alarm when stored files take more than they may, however old they are', async () => {
  const stored = { managed: true, at: '2025-10-29T10:00:00Z', keptHours: 24 };
  await addAll({ ...stored, bytes: 1000 }, { ...stored, bytes: 5, status: 'expired', deleted: true });
  expect(await found('storage_bytes')).toMatchObject({ value: 1000, ok: true });
  await addAll({ ...stored, bytes: 1 });
  expect(await found('storage_bytes')).toMatchObject({
    value: 1001,
    ok: false,
    message: '2 stored files, 2 of them overdue for cleanup',
  });
});

it('raises an alarm for runs without a sign of life, and names them', async () => {
  await addAll({ status: 'processing', silent: 60 }, { status: 'queued', silent: 60 });
  expect(await found('silent_runs')).toMatchObject({ value: 0, ok: true, message: '1 queued, 1 running' });
  const ids = await addAll(
    { status: 'processing', silent: 5000, at: '2025-10-29T10:00:00Z' },
    { status: 'queued', silent: 4000 },
    { status: 'queued', silent: 3000, alone: true },
    { status: 'processing', silent: 120 },
  );
  expect(await found('silent_runs')).toMatchObject({
    value: 4,
    ok: false,
    message: `no sign of life for over 90 s: ${ids.slice(0, 3).join(', ')}, …`,
  });
});

it('looks at the last day unless told otherwise', async () => {
  await addAll({ at: new Date(Date.now() - 25 * 3_600_000), status: 'failed' });
  expect((await report()).ok).toBe(true);
  const { ok, checks } = await report(undefined, { seconds: 26 * 3600 });
  expect({ ok, first: checks[0] }).toMatchObject({ ok: false, first: { value: 1 } });
  await failureOf(report(undefined, { at: '2999-01-01T00:00:00.000Z' }), 'E_USAGE');
});

it("leaves other people's exports to them", async () => {
  await addAll(
    { user: BEN, status: 'failed' },
    { user: BEN, bytes: 5000, managed: true, ms: 90_000 },
    { user: BEN, status: 'processing', silent: 5000 },
  );
  expect((await report(BEN)).checks.map(({ ok }) => ok)).toEqual([false, false, false, false]);
  expect((await report(ANN)).checks.map(({ ok }) => ok)).toEqual([true, true, true, true]);
});
