import { afterEach, beforeEach, expect, it } from 'vitest';

import { formatNames } from '../../src/formats/index.js';
import { prometheusText } from '../../src/statistics/prometheus.js';
import { withAccess } from '../support/access.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { failureOf } from '../support/export.js';
import { addPastRun, type PastRun } from '../support/history.js';
import { parsePrometheus } from '../support/prometheus.js';

const ANN = '11111111-1111-4111-8111-111111111111';
const BEN = '22222222-2222-4222-8222-222222222222';

let database: TestDatabase;

beforeEach(async () => {
  database = await createDatabase('ready');
});
afterEach(() => database.drop());

async function addAll(...runs: readonly PastRun[]): Promise<void> {
  for (const run of runs) await addPastRun(database.sql, run);
}

const text = (user?: string) => withAccess(database, user, (access) => prometheusText(access));

it('counts all that is recorded, and measures the last day', async () => {
  const long = { at: '2025-10-29T10:00:00Z' };
  await addAll(
    { ...long, user: ANN, ms: 10_000, bytes: 100, conversations: 5, status: 'expired' },
    { ...long, user: ANN, status: 'failed' },
    { user: ANN, ms: 1000, bytes: 10, conversations: 2, managed: true },
    { user: ANN, ms: 2000, bytes: 10, conversations: 2, managed: true, keptHours: -1 },
    { user: BEN, ms: 500, bytes: 7, conversations: 3, format: 'csv' },
    { user: BEN, status: 'failed', message: 'cancelled by SIGINT', format: 'csv' },
    { user: BEN, status: 'failed', message: 'no space', format: 'csv' },
    { user: BEN, status: 'queued' },
    { user: BEN, status: 'processing', silent: 100 },
  );
  const families = parsePrometheus(await text());
  const samples = (name: string) => families[`lora_export_${name}`]?.samples;
  expect(samples('runs_total')).toMatchObject({
    '{format="jsonl",outcome="succeeded"}': 3,
    '{format="jsonl",outcome="failed"}': 1,
    '{format="jsonl",outcome="cancelled"}': 0,
    '{format="csv",outcome="succeeded"}': 1,
    '{format="csv",outcome="failed"}': 1,
    '{format="csv",outcome="cancelled"}': 1,
  });
  expect(samples('conversations_total')).toMatchObject({ '{format="jsonl"}': 9, '{format="csv"}': 3 });
  expect(samples('written_bytes_total')).toMatchObject({ '{format="jsonl"}': 120, '{format="csv"}': 7 });
  expect(samples('duration_seconds')).toMatchObject({
    '{format="jsonl",quantile="0.5"}': 1.5,
    '{format="jsonl",quantile="0.95"}': 1.95,
    '_sum{format="jsonl"}': 13,
    '_count{format="jsonl"}': 3,
    '{format="json",quantile="0.5"}': Number.NaN,
    '_count{format="json"}': 0,
  });
  expect(samples('in_progress')).toEqual({ '{status="queued"}': 1, '{status="processing"}': 1 });
  expect(samples('silent_runs')).toEqual({ '{}': 1 });
  expect(samples('stored_files')).toEqual({ '{}': 2 });
  expect(samples('stored_bytes')).toEqual({ '{}': 20 });
  expect(samples('overdue_bytes')).toEqual({ '{}': 10 });
  expect(samples('success_ratio')).toEqual({ '{}': 3 / 4 });
  expect(samples('window_seconds')).toEqual({ '{}': 86_400 });
  const [row] = await database.sql<{ last: number }[]>`
    select extract(epoch from max(created_at + duration_ms * interval '1 ms'))::float8 as last from export_runs`;
  expect(samples('last_success_timestamp_seconds')).toEqual({ '{}': row?.last });

  const own = parsePrometheus(await text(ANN));
  expect(own['lora_export_runs_total']?.samples).toMatchObject({ '{format="csv",outcome="failed"}': 0 });
});

it('says of each family what it is, and begins every series at zero', async () => {
  const families = parsePrometheus(await text());
  expect(Object.entries(families).map(([name, { type }]) => `${name} ${type}`)).toEqual([
    'lora_export_runs_total counter',
    'lora_export_conversations_total counter',
    'lora_export_written_bytes_total counter',
    'lora_export_duration_seconds summary',
    'lora_export_in_progress gauge',
    'lora_export_silent_runs gauge',
    'lora_export_stored_files gauge',
    'lora_export_stored_bytes gauge',
    'lora_export_overdue_bytes gauge',
    'lora_export_success_ratio gauge',
    'lora_export_window_seconds gauge',
  ]);
  for (const { help } of Object.values(families)) expect(help).toMatch(/^[A-Z].+\.$/);
  const runs = families['lora_export_runs_total']?.samples ?? {};
  expect(Object.keys(runs)).toHaveLength(formatNames.length * 3);
  expect(new Set(Object.values(runs))).toEqual(new Set([0]));
  expect(families['lora_export_success_ratio']?.samples).toEqual({ '{}': Number.NaN });
});

it('escapes what another program calls a format', async () => {
  await database.sql`alter table export_logs drop constraint export_logs_format_check`;
  const format = 'a"b\\c\nd}';
  await addAll({ format, bytes: 3 });
  const written = parsePrometheus(await text())['lora_export_written_bytes_total']?.samples;
  expect(written).toMatchObject({ '{format="a\\"b\\\\c\\nd}"}': 3 });
});

it('refuses a window in the future', async () => {
  const future = withAccess(database, undefined, (access) =>
    prometheusText(access, { at: '2999-01-01T00:00:00.000Z' }),
  );
  await failureOf(future, 'E_USAGE');
});
