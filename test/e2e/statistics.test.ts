import { afterEach, beforeEach, expect, test } from 'vitest';

import { makeSandbox, type Sandbox } from '../support/cli.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { addPastRun, type PastRun } from '../support/history.js';
import { parsePrometheus } from '../support/prometheus.js';

const ANN = '11111111-1111-4111-8111-111111111111';
const BEN = '22222222-2222-4222-8222-222222222222';

let database: TestDatabase;
let box: Sandbox;

beforeEach(async () => {
  database = await createDatabase('ready');
  box = await makeSandbox(database);
  const runs: PastRun[] = [
    { user: ANN, bytes: 100, ms: 1000, managed: true },
    { user: ANN, bytes: 100, ms: 3000 },
    { user: BEN, bytes: 7, ms: 90_000 },
    { user: BEN, status: 'failed', message: 'no space' },
  ];
  for (const run of runs) await addPastRun(database.sql, run);
});

afterEach(async () => {
  await box.remove();
  await database.drop();
});

const history = (args: readonly string[], env: Record<string, string> = {}) =>
  box.lora(['history', ...args], { env });

test('--stats shows the numbers of the caller, in blocks where the locale has them', async () => {
  const ann = await history(['--stats', '--user', ANN], { LANG: 'C.UTF-8' });
  expect(ann).toMatchObject({ exitCode: 0, stderr: '' });
  expect(ann.stdout).toMatch(/^runs {10}2: 2 succeeded, 0 failed, 0 cancelled, 0 in progress$/m);
  expect(ann.stdout).toContain('█');
  expect(ann.stdout).not.toContain(BEN);
  const plain = await history(['--stats', '--all-users', '--since', '24h', '--by', 'hour']);
  expect(plain.stdout).toMatch(/^users {9}2$/m);
  expect(plain.stdout).toMatch(/^Hours/m);
  expect(plain.stdout).not.toMatch(/[^\n -~]/);
});

test('--stats --json is one object', async () => {
  const { exitCode, stdout } = await history(['--stats', '--json', '--all-users', '--since', '1d']);
  expect(exitCode).toBe(0);
  expect(stdout.split('\n')).toHaveLength(2);
  expect(JSON.parse(stdout)).toMatchObject({ run_count: 4, success_rate: 0.75, user_count: 2 });
  const one = await history(['--stats', '--json', '--all-users', '--user', BEN]);
  expect(JSON.parse(one.stdout)).toMatchObject({ run_count: 2, user_count: 1, total_bytes: 7 });
});

test('--prometheus is what a node exporter reads', async () => {
  const { exitCode, stdout, stderr } = await history(['--prometheus', '--user', ANN]);
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
  const samples = parsePrometheus(stdout)['lora_export_runs_total']?.samples;
  expect(samples?.['{format="jsonl",outcome="succeeded"}']).toBe(2);
});

test('--check is silent on standard error and status 0 when all is fine', async () => {
  const { exitCode, stdout, stderr } = await history(['--check', '--user', ANN]);
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
  expect(stdout.match(/^ok /gm)).toHaveLength(4);
});

test('--check ends with status 1 and the reasons when a threshold is crossed', async () => {
  const { exitCode, stdout, stderr } = await history(['--check', '--user', BEN]);
  expect(exitCode).toBe(1);
  expect(stdout.match(/^ALERT /gm)).toHaveLength(2);
  expect(stderr).toMatch(
    /^lora-export: .*failure rate 50\.0 % is more than 10\.0 % .*; small exports 90\.0 s is more than 60\.0 s/,
  );
  const json = await history(['--check', '--json', '--user', BEN]);
  expect(json.exitCode).toBe(1);
  expect(JSON.parse(json.stdout)).toMatchObject({
    ok: false,
    checks: [
      { name: 'failure_rate', value: 0.5, limit: 0.1, ok: false },
      { name: 'small_export_seconds', value: 90, limit: 60, ok: false },
      { name: 'storage_bytes', ok: true },
      { name: 'silent_runs', ok: true },
    ],
  });
  expect(JSON.parse(json.stderr)).toMatchObject({ code: 1, kind: 'E_ALERT' });
});

test.each([
  ['--check --prometheus', /--check and --prometheus/],
  ['--check --stats', /--check and --stats/],
  ['--prometheus --json', /--prometheus and --json/],
  ['--check --by hour', /--check and --by/],
  ['--prometheus --by hour', /--prometheus and --by/],
  ['--stats --since tomorrow', /how long ago/],
  ['--stats --since 2999-01-01', /future/],
])('history %s is refused', async (args, message) => {
  const { exitCode, stdout, stderr } = await history(args.split(' '));
  expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
  expect(stderr).toMatch(message);
});
