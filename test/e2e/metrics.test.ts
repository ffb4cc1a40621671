import { execFile } from 'node:child_process';
import { mkdir, readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';

import { makeSandbox, type Sandbox } from '../support/cli.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { addConversation } from '../support/export.js';

let database: TestDatabase;
let box: Sandbox;

beforeEach(async () => {
  database = await createDatabase('ready');
  box = await makeSandbox(database);
  await addConversation(database.sql, { conversation_id: 'a' });
});

afterEach(async () => {
  await box.remove();
  await database.drop();
});

function records(text: string): Record<string, unknown>[] {
  expect(text.endsWith('\n')).toBe(true);
  return text
    .slice(0, -1)
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

const rowCount = async (): Promise<unknown> =>
  (await database.sql`select count(*)::int as n from export_logs`)[0]?.['n'];

test('an export that worked, and one that did not, are a line each in the metrics file', async () => {
  const metrics = ['--metrics-file', 'metrics.jsonl'];
  expect(await box.lora(['export', '--output', 'a.jsonl', ...metrics])).toMatchObject({ exitCode: 0 });
  expect(
    (await box.lora(['export', '--output', 'b.jsonl', '--tier', 'edge_case', ...metrics])).exitCode,
  ).toBe(30);
  const [log] = await database.sql`select * from export_logs where status = 'completed'`;
  const [failed] = await database.sql`select * from export_logs where status = 'failed'`;
  expect(records(await readFile(box.path('metrics.jsonl'), 'utf8'))).toMatchObject([
    {
      status: 'completed',
      export_id: log?.['export_id'],
      user_id: log?.['user_id'],
      format: 'jsonl',
      file_size: Number(log?.['file_size']),
      conversation_count: 1,
      error_type: null,
    },
    { status: 'failed', export_id: failed?.['export_id'], error_type: 'E_EMPTY' },
  ]);
});

test('a metrics file that cannot be written is refused before anything is recorded', async () => {
  await mkdir(box.path('metrics'));
  const ended = await box.lora(['export', '--output', 'a.jsonl', '--metrics-file', 'metrics']);
  expect(ended.exitCode).toBe(2);
  expect(ended.stderr).toMatch(/--metrics-file .*it is a directory/);
  expect(await box.files()).toEqual(['metrics']);
  expect(await rowCount()).toBe(0);
});

test('--log-format json puts the line where the summary was', async () => {
  const { exitCode, stderr } = await box.lora(['export', '--output', 'a.jsonl', '--log-format', 'json']);
  expect(exitCode).toBe(0);
  expect(records(stderr)).toMatchObject([{ status: 'completed', conversation_count: 1 }]);
});

test('lines of several processes that write at once stay whole', async () => {
  const writer = `
    const { openMetrics } = await import(${JSON.stringify(new URL('../../dist/cli/metrics-log.js', import.meta.url).href)});
    const metrics = openMetrics({ metricsFile: process.argv[1], logFormat: 'text' }, { line: console.error });
    const facts = { exportId: null, userId: process.argv[2], format: 'x'.repeat(9000), target: null };
    for (let n = 0; n < 500; n++) metrics.begin(facts).failed(new Error(String(n)));`;
  const names = ['ann', 'ben', 'cat'];
  const run = (name: string) =>
    promisify(execFile)(process.execPath, [
      '--input-type=module',
      '-e',
      writer,
      box.path('metrics.jsonl'),
      name,
    ]);
  const ends = await Promise.all(names.map(run));
  expect(ends.map(({ stderr }) => stderr)).toEqual(['', '', '']);
  const lines = records(await readFile(box.path('metrics.jsonl'), 'utf8'));
  expect(names.map((name) => lines.filter((line) => line['user_id'] === name).length)).toEqual([
    500, 500, 500,
  ]);
});
