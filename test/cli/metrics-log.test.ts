import { execFile } from 'node:child_process';
import { mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';

import { openMetrics, type MetricsOptions } from '../../src/cli/metrics-log.js';
import { Terminal } from '../../src/cli/terminal.js';
import { LoraExportError } from '../../src/errors.js';
import type { ExportResult } from '../../src/export.js';
import { temporaryDirectory } from '../support/temporary-directory.js';

const ID = '33333333-3333-4333-8333-333333333333';
const USER = '11111111-1111-4111-8111-111111111111';
const FACTS = { exportId: null, userId: USER, format: 'jsonl', target: 'openai' };

const RESULT = {
  exportId: ID,
  userId: USER,
  format: 'jsonl',
  target: 'openai',
  counts: { written: 42, skipped: 3 },
  size: 1234,
  durationMs: 567,
} as ExportResult;

function open(options: Partial<MetricsOptions>) {
  const stderr = new PassThrough();
  const terminal = new Terminal({
    stdin: new PassThrough(),
    stdout: new PassThrough(),
    stderr,
    env: {},
    cwd: '/',
    platform: 'linux',
    uid: null,
    signal: new AbortController().signal,
  });
  const metrics = openMetrics({ metricsFile: null, logFormat: 'text', ...options }, terminal);
  return { metrics, said: () => String(stderr.read() ?? '') };
}

function records(text: string): Record<string, unknown>[] {
  expect(text.endsWith('\n')).toBe(true);
  return text
    .slice(0, -1)
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

function usage(metricsFile: string): string {
  try {
    open({ metricsFile });
  } catch (error) {
    if (error instanceof LoraExportError) return `${error.code} ${error.exitStatus}: ${error.message}`;
    throw error;
  }
  return 'opened';
}

describe('--metrics-file', () => {
  it('has a line per run, whatever came of it, with the same keys', async () => {
    const metricsFile = join(await temporaryDirectory(), 'metrics.jsonl');
    const { metrics, said } = open({ metricsFile });
    expect((await stat(metricsFile)).mode & 0o777).toBe(0o600);
    metrics.begin(FACTS).completed(RESULT);
    const failure = new LoraExportError('E_DB_UNREACHABLE', 'The database\nwent away.');
    failure.exportId = ID;
    metrics.begin(FACTS).failed(failure);
    metrics.begin(FACTS).failed(new TypeError('a bug'));
    const [completed, failed, bug] = records(await readFile(metricsFile, 'utf8'));
    expect(completed).toEqual({
      timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/) as string,
      export_id: ID,
      user_id: USER,
      format: 'jsonl',
      target: 'openai',
      status: 'completed',
      duration_ms: 567,
      file_size: 1234,
      conversation_count: 42,
      skipped_count: 3,
      error_type: null,
      error_message: null,
    });
    expect(failed).toMatchObject({
      status: 'failed',
      export_id: ID,
      user_id: USER,
      file_size: null,
      error_type: 'E_DB_UNREACHABLE',
      error_message: 'The database\nwent away.',
    });
    expect(bug).toMatchObject({ export_id: null, error_type: 'E_INTERNAL', error_message: 'a bug' });
    expect(Number.isInteger(failed?.['duration_ms'])).toBe(true);
    for (const record of [failed, bug])
      expect(Object.keys(record ?? {})).toEqual(Object.keys(completed ?? {}));
    expect(said()).toBe('');
  });

  it('tells a run once: what is wrong afterwards does not undo it', async () => {
    const metricsFile = join(await temporaryDirectory(), 'metrics.jsonl');
    const run = open({ metricsFile }).metrics.begin(FACTS);
    run.completed(RESULT);
    run.failed(new LoraExportError('E_TARGET_RULES', 'too few rows'));
    expect(records(await readFile(metricsFile, 'utf8'))).toMatchObject([{ status: 'completed' }]);
  });

  it('adds to what is there, and follows a file that was rotated', async () => {
    const metricsFile = join(await temporaryDirectory(), 'metrics.jsonl');
    await writeFile(metricsFile, '{"old":true}\n', { mode: 0o640 });
    const { metrics } = open({ metricsFile });
    metrics.begin(FACTS).completed(RESULT);
    await rename(metricsFile, `${metricsFile}.1`);
    metrics.begin(FACTS).completed(RESULT);
    expect(records(await readFile(`${metricsFile}.1`, 'utf8'))).toMatchObject([
      { old: true },
      { export_id: ID },
    ]);
    expect((await stat(`${metricsFile}.1`)).mode & 0o777).toBe(0o640);
    expect(records(await readFile(metricsFile, 'utf8'))).toMatchObject([{ export_id: ID }]);
  });

  it('is refused before the export when it cannot be written', async () => {
    const directory = await temporaryDirectory();
    await writeFile(join(directory, 'file'), '');
    await promisify(execFile)('mkfifo', [join(directory, 'pipe')]);
    expect(usage(directory)).toMatch(/^E_USAGE 2: .*it is a directory/);
    expect(usage(join(directory, 'none', 'metrics'))).toMatch(/^E_USAGE 2: .*directory does not exist/);
    expect(usage(join(directory, 'file', 'metrics'))).toMatch(/^E_USAGE 2: .*not a directory/);
    expect(usage(join(directory, 'pipe'))).toMatch(/^E_USAGE 2: .*nobody reads/);
    expect(usage(join(directory, 'x'.repeat(300)))).toMatch(/^E_OUTPUT 24: .*name is too long/);
  });

  it('leaves a completed run alone when it can no longer be written, and says so', async () => {
    const directory = join(await temporaryDirectory(), 'logs');
    await mkdir(directory);
    const { metrics, said } = open({ metricsFile: join(directory, 'metrics.jsonl') });
    await rename(directory, `${directory}-gone`);
    metrics.begin(FACTS).completed(RESULT);
    expect(said()).toMatch(/^warning: a run is missing in the metrics: .*directory does not exist\.\n$/);
  });

  it('says so when the disk is full', () => {
    const { metrics, said } = open({ metricsFile: '/dev/full' });
    metrics.begin(FACTS).completed(RESULT);
    expect(said()).toMatch(/^warning: .*no space left/);
  });
});

describe('--log-format json', () => {
  it('prints the line on standard error instead of the summary', () => {
    const { metrics, said } = open({ logFormat: 'json' });
    expect(metrics.replacesSummary).toBe(true);
    metrics.begin(FACTS).completed(RESULT);
    expect(records(said())).toMatchObject([{ status: 'completed', export_id: ID }]);
    expect(open({}).metrics.replacesSummary).toBe(false);
  });

  it('is JSON whatever characters a message has', () => {
    const { metrics, said } = open({ logFormat: 'json' });
    const message = 'a\u{202e}b\u{9b}c\u{2028}d\u{0}e\u{e0001}f\u{1f600}g\ud800';
    metrics.begin(FACTS).failed(new Error(message));
    const text = said();
    expect(text).not.toMatch(/[\p{Cf}\p{Zl}\u{80}-\u{9f}]/u);
    expect(records(text)[0]?.['error_message']).toBe(message);
  });
});
