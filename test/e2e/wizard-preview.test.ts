import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { makeSandbox, type Sandbox } from '../support/cli.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { addConversation } from '../support/export.js';
import { seed } from '../support/seed.js';
import { goTo, startWizard, type WizardRun } from '../support/wizard.js';

let database: TestDatabase;
let box: Sandbox;
let wizard: WizardRun;

beforeAll(async () => {
  database = await createDatabase();
  await seed(database.sql, 6, 200);
  // Without turns, so that an export skips it: the preview must pass over it as well.
  const created = { title: 'first', created_at: '2024-01-01' };
  await addConversation(database.sql, { conversation_id: 'c_empty', ...created }, []);
  await addConversation(
    database.sql,
    { conversation_id: 'c_quoted', title: '"a", b', created_at: '2024-01-02' },
    [
      ['user', 'two\nlines, "quoted" – 100 %'],
      ['assistant', '=1+1 \u001b[31m'],
    ],
  );
});

afterAll(() => database.drop());

beforeEach(async () => {
  box = await makeSandbox(database);
});

afterEach(async () => {
  await wizard.kill();
  await box.remove();
});

/** The environment of a desktop whose clipboard is a file in the working directory. */
async function withClipboard(): Promise<Record<string, string>> {
  const tools = box.path('tools');
  await mkdir(tools);
  await writeFile(`${tools}/xclip`, `#!/bin/sh\ncat > '${box.path('clipboard')}'\n`);
  await chmod(`${tools}/xclip`, 0o755);
  return { DISPLAY: ':0', PATH: `${tools}:${box.env['PATH']}` };
}

/** A JSON document says when it was written. */
function comparable(bytes: Buffer): string {
  return bytes.toString('utf8').replace(/"export_date":\s*"[^"]*"/, '"export_date":""');
}

describe('the preview', () => {
  test.each([
    ['Training with LoRA', null, ['--format', 'jsonl']],
    ['Training with a certain', 'alpaca', ['--target', 'alpaca']],
    ['Programs', null, ['--format', 'json']],
    ['Spreadsheets', null, ['--format', 'csv']],
    ['People', null, ['--format', 'markdown']],
  ])('copies the very bytes of an export of the three conversations: %s', async (purpose, target, flags) => {
    wizard = startWizard(box, { database, env: await withClipboard() });
    await goTo(wizard, 'It is for');
    await wizard.choose('It is for', purpose);
    if (target !== null) await wizard.choose('JSONL for', target);
    await goTo(wizard, 'The first', 'Options');
    expect(wizard.question()).toContain('The first 3 conversations');
    wizard.type('c');
    await wizard.asks('The first', 'Copied (xclip).');
    const copied = await readFile(box.path('clipboard'));
    const out = box.path('out');
    const ids = 'c_quoted,c_000001,c_000002';
    const { exitCode } = await box.lora(['export', ...flags, '--ids', ids, '--output', out]);
    expect(exitCode).toBe(0);
    expect(comparable(copied)).toBe(comparable(await readFile(out)));
    expect(copied.toString('utf8')).toContain('quoted');
  });

  test('is copied through the terminal where there is no clipboard program', async () => {
    wizard = startWizard(box, { database });
    await goTo(wizard, 'The first');
    wizard.type('c');
    await wizard.asks('The first', 'Copied (OSC 52).');
    const [, payload = ''] =
      // oxlint-disable-next-line no-control-regex
      /\u001b\]52;c;([A-Za-z0-9+/=]+)\u0007/.exec(wizard.raw.toString('latin1')) ?? [];
    const lines = Buffer.from(payload, 'base64').toString('utf8').trimEnd().split('\n');
    expect(lines.map((line) => (JSON.parse(line) as { messages: unknown[] }).messages.length)).toEqual([
      2, 2, 2,
    ]);
  });

  test('says why it is empty when nothing would be written, and can be left both ways', async () => {
    wizard = startWizard(box, { database });
    await goTo(wizard, 'Export');
    await wizard.choose('Export', 'Set filters');
    await wizard.choose('match', 'Text');
    await wizard.answer('Contains', 'first');
    await wizard.choose('match', 'Go on');
    await goTo(wizard, 'Write to', 'It is for');
    await wizard.choose('Write to', 'This directory');
    await wizard.asks('Next', 'Go on to the checks');
    expect(wizard.screen()).toContain('none of the conversations would be written');
    wizard.press('esc');
    await wizard.choose('Write to', 'This directory');
    await wizard.choose('Next', 'Go on');
    await wizard.asks('0 of 1 would be written');
    expect(wizard.screen()).toContain('1 left out: has no turns (c_empty)');
    await wizard.choose('would be written', 'Go on');
    await wizard.asks('Write the file?', 'all would be left out');
  });

  test('shows a spreadsheet as a table of at most ten rows that fits the screen', async () => {
    wizard = startWizard(box, { database, columns: 60 });
    await goTo(wizard, 'It is for');
    await wizard.choose('It is for', 'Spreadsheets');
    await goTo(wizard, 'The first', 'Options');
    const table = wizard.question().split('\n').slice(1);
    expect(table[0]).toMatch(/^ {4}conversation_id +/);
    expect(table[1]).toMatch(/^1 {3}c_quoted +/);
    expect(table.every((line) => line.length < 60)).toBe(true);
  });
});
