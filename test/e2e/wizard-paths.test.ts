import { createHash } from 'node:crypto';
import { readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { loadDemo } from '../../src/demo.js';
import { makeSandbox, type Sandbox } from '../support/cli.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { auditRows } from '../support/export.js';
import { onlyRun } from '../support/seed.js';
import { finish, goTo, paste, startWizard, type WizardRun } from '../support/wizard.js';

let database: TestDatabase;
let box: Sandbox;
let wizard: WizardRun;

beforeAll(async () => {
  database = await createDatabase();
  await loadDemo(database.sql, 'public', new AbortController().signal);
});

afterAll(() => database.drop());

beforeEach(async () => {
  box = await makeSandbox(database);
  wizard = startWizard(box, { database });
});

afterEach(async () => {
  await wizard.kill();
  await box.remove();
  await database.sql`delete from export_logs`;
});

/** What came out: the file, with the record of it compared. */
async function outcome() {
  const { export_id: exportId } = await onlyRun(database.sql);
  const { log, run } = (await auditRows(database.sql, exportId)) ?? {};
  const { location } = (run?.['output'] ?? {}) as { location?: string };
  const [path] = [location, fileOf(log?.['file_url'])].filter((found) => found !== undefined);
  const bytes = await readFile(path ?? '');
  expect(log).toMatchObject({ status: 'completed', file_size: String(bytes.length) });
  expect(run).toMatchObject({ sha256: createHash('sha256').update(bytes).digest('hex'), phase: 'done' });
  return { path: path ?? '', bytes, log, run, count: Number(log?.['conversation_count']) };
}

function fileOf(url: unknown): string | undefined {
  return typeof url === 'string' ? decodeURIComponent(new URL(url).pathname) : undefined;
}

/** A JSON document says when it was written. */
function withoutTimes(bytes: Buffer): string {
  return bytes.toString('utf8').replace(/"export_date":\s*"[^"]*"/, '"export_date":""');
}

describe('the wizard', () => {
  test('exports all approved as JSONL into the export directory when every answer is Enter', async () => {
    await goTo(wizard);
    expect(wizard.question()).toContain('Export 81 Conversations');
    await finish(wizard);
    const { path, bytes, log, run, count } = await outcome();
    expect(path.startsWith(join(box.state, 'exports'))).toBe(true);
    expect(log).toMatchObject({ format: 'jsonl', error_message: null });
    expect(run).toMatchObject({ matched_count: 89, skipped_count: 8, detached: false });
    expect(count).toBe(81);
    expect(bytes.toString().trimEnd().split('\n')).toHaveLength(81);
    expect(wizard.command()).toBe('lora-export export --format jsonl --scope approved');
    const again = await paste(box, wizard.command(), database);
    expect(again.exitCode).toBe(0);
    expect(again.bytes.equals(bytes)).toBe(true);
  });

  test('exports what filters leave as CSV into the working directory', async () => {
    await goTo(wizard, 'Export');
    await wizard.choose('Export', 'Set filters');
    await wizard.choose('match', 'Tier');
    await wizard.tick('Tier', 'scenario', 'edge_case');
    await wizard.choose('match', 'Quality score');
    await wizard.answer('At least', '7');
    await wizard.answer('At most', '');
    await wizard.choose('match', 'Created');
    await wizard.answer('First day', '2020-01-01');
    await wizard.answer('Last day', '');
    await wizard.choose('match', 'Text');
    await wizard.answer('Contains', 'a');
    await wizard.asks('match', 'Quality score: from 7');
    const [, matching] = /\? (\d+) conversations match/.exec(wizard.question()) ?? [];
    expect(Number(matching)).toBeGreaterThan(0);
    expect(wizard.question()).toContain('Created: from 2020-01-01');
    expect(wizard.question()).toContain('Text: contains "a"');
    await wizard.choose('match', 'Go on');
    await wizard.choose('It is for', 'Spreadsheets');
    await wizard.choose('Options', 'Go on');
    await wizard.choose('Write to', 'This directory');
    await goTo(wizard, 'Write the file?', 'The first');
    await finish(wizard);
    const { path, bytes, run } = await outcome();
    const [name = ''] = await box.files();
    expect(path).toBe(box.path(name));
    expect(name).toMatch(/^training-data-.*\.csv$/);
    expect(String(run?.['matched_count'])).toBe(matching);
    expect(wizard.command()).toContain('--scope filtered --tier ');
    await rename(path, box.path('first'));
    expect((await paste(box, wizard.command(), database)).exitCode).toBe(0);
    const [again = ''] = (await box.files()).filter((file) => file !== 'first');
    expect((await readFile(box.path(again))).equals(bytes)).toBe(true);
  });

  test('exports picked conversations as JSON into a file', async () => {
    await goTo(wizard, 'Export');
    await wizard.choose('Export', 'Pick');
    await wizard.asks('Search', 'There are more');
    wizard.type('envelope I opened');
    await wizard.asks('envelope I opened', 'fp_anxious_planner_801');
    await wizard.until('no more than two', () => !wizard.question().includes('There are more'));
    wizard.press('tab');
    await wizard.asks('(1 chosen)');
    wizard.press('down', 'tab');
    await wizard.asks('(2 chosen)');
    wizard.press('enter');
    await wizard.choose('It is for', 'Programs');
    await wizard.choose('Options', 'Go on');
    await wizard.choose('Write to', 'Another');
    await wizard.answer('Path', 'picked ones.json');
    await goTo(wizard, 'Write the file?', 'The first');
    await finish(wizard);
    const { path, bytes, count } = await outcome();
    expect(path).toBe(box.path('picked ones.json'));
    expect(count).toBe(2);
    await rename(path, box.path('first'));
    expect((await paste(box, wizard.command(), database)).exitCode).toBe(0);
    const again = await readFile(path);
    expect(withoutTimes(again)).toBe(withoutTimes(bytes));
  });

  test('replaces a file only when told to, with everything as Markdown', async () => {
    await writeFile(box.path('all.md'), 'precious');
    await goTo(wizard, 'Export');
    await wizard.choose('Export', 'All data');
    await wizard.choose('It is for', 'People');
    await wizard.choose('Options', 'Go on');
    await wizard.choose('Write to', 'Another');
    await wizard.answer('Path', 'all.md');
    await wizard.answer('Replace it', 'n');
    await wizard.asks('Path', 'all.md');
    wizard.press('enter');
    await wizard.answer('Replace it', 'y');
    await goTo(wizard, 'Write the file?', 'The first');
    expect(wizard.screen()).toContain('replaces the file there');
    expect(await readFile(box.path('all.md'), 'utf8')).toBe('precious');
    await finish(wizard);
    const { bytes, run } = await outcome();
    expect(run).toMatchObject({ matched_count: 129 });
    expect(wizard.command()).toContain('--force');
    expect((await paste(box, wizard.command(), database)).exitCode).toBe(0);
    expect((await readFile(box.path('all.md'))).equals(bytes)).toBe(true);
  });

  test.each([
    ['openai', null, 'messages'],
    ['trl', 'prompt-completion', 'prompt'],
    ['trl', 'preference', 'chosen'],
  ])('exports for %s (%s)', async (target, shape, key) => {
    await goTo(wizard, 'It is for');
    await wizard.choose('It is for', 'Training with a certain');
    await wizard.choose('JSONL for', target);
    if (shape !== null) await wizard.choose('Rows', shape);
    await goTo(wizard, 'Write the file?', 'Options');
    expect(wizard.screen()).toContain(`JSONL for ${target}`);
    await finish(wizard);
    const { bytes } = await outcome();
    const [line = ''] = bytes.toString().split('\n');
    expect(Object.keys(JSON.parse(line) as object)).toContain(key);
    const again = await paste(box, wizard.command(), database);
    expect(again.bytes.equals(bytes)).toBe(true);
  });

  test('takes every option, and resets them', async () => {
    await goTo(wizard, 'Options');
    await wizard.choose('Options', 'One row');
    await wizard.asks('Options', 'One row per answer: yes');
    await wizard.choose('Options', 'Imperfect');
    await wizard.asks('Options', 'stop the export: yes');
    await wizard.choose('Options', 'Reset');
    await wizard.asks('Options', 'One row per answer: no');
    expect(wizard.question()).toContain('stop the export: no');
    await wizard.choose('Options', 'The file shows');
    await wizard.tick('The file shows', 'Metadata');
    await wizard.asks('Options', 'The file shows: quality scores');
    await wizard.choose('Options', 'System prompt');
    await wizard.answer('System prompt', "Be kind, it's 9 o'clock");
    await wizard.asks('Options', 'Be kind');
    await wizard.choose('Options', 'Compressed');
    await wizard.asks('Options', 'Compressed: yes');
    await wizard.choose('Options', 'One row');
    await wizard.asks('Options', 'One row per answer: yes');
    await wizard.choose('Options', 'Go on');
    await wizard.choose('Write to', 'Another');
    await wizard.answer('Path', 'pairs.jsonl');
    await wizard.answer('Name it pairs.jsonl.gz', 'y');
    await goTo(wizard, 'Write the file?', 'The first');
    await finish(wizard);
    const { path, bytes } = await outcome();
    expect(path).toBe(box.path('pairs.jsonl.gz'));
    const [line = ''] = gunzipSync(bytes).toString().split('\n');
    expect(Object.keys(JSON.parse(line) as object)).toEqual(['messages']);
    expect(line).toContain("Be kind, it's 9 o'clock");
    await rename(path, box.path('first'));
    expect((await paste(box, wizard.command(), database)).exitCode).toBe(0);
    expect((await readFile(path)).equals(bytes)).toBe(true);
    expect(await readdir(box.directory)).toHaveLength(2);
  });

  test('says before the last question that imperfect conversations would stop the export', async () => {
    await goTo(wizard, 'Options');
    await wizard.choose('Options', 'Imperfect');
    await wizard.asks('Options', 'stop the export: yes');
    await wizard.choose('Options', 'Go on');
    await goTo(wizard, 'would be written', 'Write to');
    expect(wizard.screen()).toContain('As it is, the export would fail.');
    await wizard.choose('would be written', 'Go on');
    await wizard.asks('Write the file?', 'it would fail, see the checks');
    wizard.press('up', 'enter');
    await wizard.asks('Write the file?', 'It cannot be chosen now.');
    wizard.press('ctrl-c');
    expect(await wizard.exited).toBe(130);
    expect(await database.sql`select from export_logs`).toHaveLength(0);
  });

  test('counts tokens and shows everything found when asked to', async () => {
    await goTo(wizard, 'would be written');
    await wizard.choose('would be written', 'Show everything');
    await wizard.asks('What the checks found', 'fp_odd_gap_in_turn_numbers');
    wizard.press('enter');
    await wizard.choose('would be written', 'Count tokens');
    await wizard.shows('tokens   per conversation');
    await wizard.choose('would be written', 'Go on');
    await wizard.asks('Write the file?');
  });
});
