import { readdir } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { makeSandbox, program, type Sandbox } from '../support/cli.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { endSessions, lockTable, onlyRun, seed } from '../support/seed.js';
import { startInTerminal } from '../support/terminal.js';
import { finish, goTo, startWizard, WAY, type WizardRun } from '../support/wizard.js';

let database: TestDatabase;
let box: Sandbox;
let wizard: WizardRun;

beforeAll(async () => {
  database = await createDatabase();
  await seed(database.sql, 30);
});

afterAll(() => database.drop());

beforeEach(async () => {
  box = await makeSandbox(database);
});

afterEach(async () => {
  await wizard.kill();
  await box.remove();
  await database.sql`delete from export_logs`;
});

/** No file, no row, and a terminal as it was: its cursor visible. */
async function expectNoTrace(): Promise<void> {
  expect(await database.sql`select from export_logs`).toHaveLength(0);
  expect(await box.files()).toEqual([]);
  // The directory for what was used last is made by the first export.
  expect(await readdir(box.state).catch(() => [])).toEqual([]);
  const raw = wizard.raw.toString('utf8');
  expect(raw.lastIndexOf('\u001b[?25h')).toBeGreaterThan(raw.lastIndexOf('\u001b[?25l'));
}

describe('cancelling', () => {
  test.each(WAY.map(({ question }) => question))('with Ctrl-C at "%s" leaves no trace', async (question) => {
    wizard = startWizard(box, { database });
    await goTo(wizard, question);
    wizard.press('ctrl-c');
    expect(await wizard.exited).toBe(130);
    expect(wizard.screen()).toContain('Cancelled. Nothing was exported.');
    await expectNoTrace();
  });

  test('with Ctrl-D, or by choice, is the same', async () => {
    wizard = startWizard(box, { database });
    await goTo(wizard, 'Options');
    wizard.press('ctrl-d');
    expect(await wizard.exited).toBe(130);
    await expectNoTrace();
    wizard = startWizard(box, { database });
    await goTo(wizard);
    await wizard.choose('Write the file?', 'Cancel');
    expect(await wizard.exited).toBe(130);
    await expectNoTrace();
  });

  test('gives the terminal back as it was', async () => {
    const line = 'stty -g; "$@"; echo "status=$?"; stty -g';
    const shell = startInTerminal(['bash', '-c', line, 'bash', process.execPath, program], {
      cwd: box.directory,
      env: { ...box.env, DATABASE_URL: database.url },
    });
    wizard = Object.assign(shell, {}) as WizardRun;
    await shell.asks('Go on with');
    shell.press('enter');
    await shell.asks('Export');
    shell.press('ctrl-c');
    await shell.exited;
    const text = shell.raw.toString('utf8').replaceAll('\r', '');
    expect(text).toContain('status=130');
    const [before, after] = text.match(/^[0-9a-f]+(?::[0-9a-f]+)+$/gm) ?? [];
    expect(before).toBeDefined();
    expect(after).toBe(before);
  });

  test('during the export leaves a failed row and no file', async () => {
    wizard = startWizard(box, { database, env: { LORA_EXPORT_TEST_PHASES: '1' } });
    await goTo(wizard, 'Write to');
    await wizard.choose('Write to', 'This directory');
    await goTo(wizard, 'Write the file?', 'The first');
    const unlock = await lockTable(database.sql, 'conversation_turns');
    await wizard.choose('Write the file?', 'Export');
    await wizard.shows('phase=writing');
    wizard.press('ctrl-c');
    const status = await wizard.exited;
    await unlock();
    await endSessions(database.sql);
    expect(status).toBe(130);
    expect(await onlyRun(database.sql)).toMatchObject({
      status: 'failed',
      error_message: 'cancelled by SIGINT',
    });
    expect(await box.files()).toEqual([]);
  });
});

describe('going back', () => {
  const questions = WAY.map(({ question }) => question);

  test.each(['Esc', 'the choice'])('with %s leads from every question to the one before', async (way) => {
    wizard = startWizard(box, { database });
    await goTo(wizard);
    for (const [index, question] of [...questions.entries()].toReversed()) {
      if (index === 0) break;
      await wizard.asks(question);
      // A text to read has no choices.
      if (way === 'Esc' || question === 'The first') wizard.press('esc');
      else await wizard.choose(question, '← Back');
    }
    await wizard.asks('Go on with');
    await goTo(wizard, 'Write the file?');
    expect(wizard.question()).toContain('Export 30 Conversations');
  });

  test('keeps the answers', async () => {
    wizard = startWizard(box, { database });
    await goTo(wizard, 'Export');
    await wizard.choose('Export', 'Set filters');
    await wizard.choose('match', 'Text');
    await wizard.answer('Contains', 'Title 1');
    await wizard.choose('match', 'Go on');
    await wizard.choose('It is for', 'Spreadsheets');
    await wizard.choose('Options', 'The file shows');
    await wizard.tick('The file shows', 'Timestamps');
    await wizard.choose('Options', 'Compressed');
    await wizard.asks('Options', 'Compressed: yes');
    await wizard.choose('Options', 'Go on');
    await wizard.choose('Write to', 'Another');
    await wizard.answer('Path', 'some/');
    await wizard.asks('Path', 'does not exist');
    wizard.press('esc');
    await wizard.choose('Write to', 'Another');
    await wizard.answer('Path', 'one.csv.gz');
    await wizard.asks('The first');
    wizard.press('esc');
    await wizard.asks('Write to', '❯ Another');
    wizard.press('enter');
    await wizard.asks('Path', 'one.csv.gz');
    wizard.press('esc');
    await wizard.asks('Write to');
    wizard.press('esc');
    await wizard.asks('Options', 'Compressed: yes');
    wizard.press('esc');
    await wizard.asks('It is for', '❯ Spreadsheets');
    wizard.press('esc');
    await wizard.asks('match', 'contains "Title 1"');
    wizard.press('esc');
    await wizard.asks('Export', '❯ Current filters (11 matching)');
    await wizard.choose('Export', 'All approved');
    await wizard.choose('It is for', 'Spreadsheets');
    await wizard.asks('Options', 'quality scores, full content');
    await goTo(wizard, 'Write to', 'Options');
    await wizard.choose('Write to', 'The export directory');
    await goTo(wizard, 'Write the file?', 'The first');
    expect(wizard.question()).toContain('Export 30 Conversations');
    await finish(wizard);
    expect(wizard.command()).toBe('lora-export export --format csv --scope approved --no-timestamps --gzip');
  });

  test('leaves out of the request what the other answers leave no room for, and no more', async () => {
    wizard = startWizard(box, { database });
    await goTo(wizard, 'Options');
    await wizard.choose('Options', 'One row');
    await wizard.asks('Options', 'One row per answer: yes');
    wizard.press('esc');
    await wizard.choose('It is for', 'People');
    await wizard.choose('Options', 'The file shows');
    await wizard.tick('The file shows', 'Full content');
    await wizard.choose('Options', 'Go on');
    await wizard.asks('Write to');
    wizard.press('esc');
    await wizard.asks('Options');
    wizard.press('esc');
    await wizard.choose('It is for', 'Training with LoRA');
    await wizard.asks('Options', 'One row per answer: yes');
    expect(wizard.question()).toContain('full content');
    wizard.press('esc');
    await wizard.choose('It is for', 'People');
    await goTo(wizard, 'Write the file?', 'Options');
    await finish(wizard);
    expect(wizard.command()).toBe('lora-export export --format markdown --scope approved --no-full-content');
  });

  test('from a filter, an option or a target leads to their list', async () => {
    wizard = startWizard(box, { database });
    await goTo(wizard, 'Export');
    await wizard.choose('Export', 'Set filters');
    for (const [filter, question] of [
      ['Tier', 'Tier'],
      ['Quality score', 'At least'],
      ['Created', 'First day'],
      ['Text', 'Contains'],
    ] as const) {
      await wizard.choose('match', filter);
      await wizard.asks(question);
      wizard.press('esc');
    }
    await wizard.asks('match');
    wizard.press('esc');
    await wizard.choose('Export', 'All approved');
    await wizard.choose('It is for', 'Training with a certain');
    await wizard.choose('JSONL for', 'trl');
    await wizard.asks('Rows');
    wizard.press('esc');
    await wizard.asks('JSONL for', '❯ trl');
    wizard.press('esc');
    await wizard.choose('It is for', 'Training with LoRA');
    for (const [option, question] of [
      ['The file shows', 'The file shows'],
      ['System prompt', 'System prompt'],
    ] as const) {
      await wizard.choose('Options', option);
      await wizard.asks(question);
      wizard.press('esc');
    }
    await goTo(wizard, 'Write the file?', 'Options');
    await finish(wizard);
    expect(wizard.command()).toBe('lora-export export --format jsonl --scope approved');
  });

  test('takes a filter out when its text is emptied', async () => {
    wizard = startWizard(box, { database });
    await goTo(wizard, 'Export');
    await wizard.choose('Export', 'Set filters');
    await wizard.choose('match', 'Text');
    await wizard.answer('Contains', 'Title 2');
    await wizard.asks('11 conversations match');
    await wizard.choose('match', 'Text');
    await wizard.asks('Contains', 'Title 2');
    for (let index = 0; index < 'Title 2'.length; index++) wizard.press('backspace');
    wizard.press('enter');
    await wizard.asks('30 conversations match', 'Text: any');
  });
});
