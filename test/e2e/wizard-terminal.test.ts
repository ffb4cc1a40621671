import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { makeSandbox, program, type Sandbox } from '../support/cli.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { addConversation } from '../support/export.js';
import { seed } from '../support/seed.js';
import { startInTerminal } from '../support/terminal.js';
import { finish, goTo, startWizard, WAY, type WizardRun } from '../support/wizard.js';

const HOSTILE = {
  escape: '\u001b[2J\u001b[31mred',
  clipboard: '\u001b]52;c;ZXZpbA==\u0007',
  override: 'abc\u202egnp.exe',
  lines: 'one\r\ntwo\u2028three',
  long: 'x'.repeat(10_000),
  wide: '👩‍👩‍👧‍👦'.repeat(60),
};

let database: TestDatabase;
let box: Sandbox;
let wizard: WizardRun | undefined;

beforeAll(async () => {
  database = await createDatabase();
  await seed(database.sql, 5);
  for (const [name, text] of Object.entries(HOSTILE)) {
    await addConversation(
      database.sql,
      { conversation_id: `hostile_${name}`, title: text, persona: text, tier: 'template' },
      name === 'escape'
        ? []
        : [
            ['user', text],
            ['assistant', text],
          ],
    );
  }
  await database.sql`update conversations set conversation_id = ${`\u001b[5m`} where conversation_id = 'hostile_escape'`;
});

beforeEach(async () => {
  box = await makeSandbox(database);
});

afterEach(async () => {
  await wizard?.kill();
  wizard = undefined;
  await box.remove();
});

afterAll(() => database.drop());

/** What a terminal acts on, in what the wizard wrote: colours and the movements of prompts, by their last letter. */
function sequences(raw: Buffer): Set<string> {
  return new Set(
    // oxlint-disable-next-line no-control-regex
    [...raw.toString('utf8').matchAll(/\u001b(?:\[[0-9;?]*)?(.)/g)].map(([, last = '']) => last),
  );
}

describe('text of the database', () => {
  test('is shown with its control characters visible, and never obeyed', async () => {
    wizard = startWizard(box, { database });
    await goTo(wizard, 'Export');
    await wizard.choose('Export', 'Pick');
    await wizard.asks('Search', 'Title');
    for (const part of [
      String.raw`\u{1b}]52;c;ZXZpbA==\u{7}`,
      String.raw`abc\u{202e}gnp`,
      String.raw`one\u{d}\u{a}two`,
      'xxxxxx…',
    ]) {
      expect(wizard.question()).toContain(part);
    }
    wizard.press('esc');
    await wizard.choose('Export', 'Set filters');
    await wizard.choose('match', 'Persona');
    await wizard.tick('Persona', String.raw`\u{1b}[2J`, String.raw`\u{1b}]52`);
    await wizard.choose('match', 'Go on');
    await wizard.asks('It is for');
    expect(wizard.screen()).toContain(String.raw`persona \u{1b}[2J\u{1b}[31mred, \u{1b}]52;c;ZXZpbA==\u{7}`);
    await goTo(wizard, 'would be written', 'It is for');
    expect(wizard.screen()).toContain(String.raw`\u{1b}[5m`);
    await goTo(wizard, 'Write the file?', 'would be written');
    await finish(wizard);
    expect(wizard.screen()).toContain(String.raw`\u{1b}[5m`);
    // Up, down, left, erase, colours, the cursor; of the second kind (OSC, DCS) none.
    expect([...sequences(wizard.raw)].filter((last) => !'ABCDGHJKhlm'.includes(last))).toEqual([]);
    const text = wizard.raw.toString('utf8');
    for (const bad of ['\u001b[31mred', '\u001b]', '\u001b[5m', '\u202e', '\u2028', '\u200d']) {
      expect(text.includes(bad), JSON.stringify(bad)).toBe(false);
    }
  });
});

describe('the screen', () => {
  test.each([60, 80, 200])('of %i columns and 24 rows holds every question whole', async (columns) => {
    wizard = startWizard(box, { database, columns });
    const seen: string[] = [];
    for (const { question, answer } of WAY) {
      await wizard.asks(question);
      const open = wizard.question().split('\n');
      expect(open.length).toBeLessThan(24);
      expect(wizard.screen()).toContain('ctrl-c cancel');
      // The heading, and what was said below it, are still there.
      expect(wizard.lines().indexOf(open[0] as string)).toBeGreaterThan(0);
      seen.push(...wizard.lines());
      if (answer === null) wizard.press('enter');
      else if (question !== 'Write the file?') await wizard.choose(question, answer);
    }
    // No line was broken by the terminal: a choice in two lines would be two choices.
    expect(seen.filter((line) => /^[❯-] .{1}/.test(line)).every((line) => line.length < columns)).toBe(true);
  });

  test('is drawn anew when its size changes, with the cursor where it was', async () => {
    wizard = startWizard(box, { database, columns: 120, rows: 40 });
    await wizard.asks('Go on with');
    wizard.resize(70, 24);
    await goTo(wizard, 'Export');
    wizard.type('All d');
    await wizard.asks('Export', '❯ All data');
    wizard.resize(60, 20);
    await wizard.until('a clean screen', () => wizard?.lines()[0] === 'Which conversations?');
    await wizard.asks('Export', '❯ All data');
    expect(wizard.lines().filter((line) => line.startsWith('? '))).toHaveLength(1);
    wizard.press('enter');
    await wizard.choose('It is for', 'Training with LoRA');
    await wizard.choose('Options', 'The file shows');
    await wizard.asks('The file shows');
    wizard.press('space');
    await wizard.asks('The file shows', '[ ] Metadata');
    wizard.resize(100, 30);
    await wizard.until('a clean screen', () => wizard?.lines()[0] === 'Options');
    await wizard.asks('The file shows', '[ ] Metadata');
    expect(wizard.question()).toContain('[x] Timestamps');
    wizard.press('enter');
    await wizard.choose('Options', 'System prompt');
    await wizard.asks('System prompt');
    wizard.type('Be ki');
    await wizard.asks('Be ki');
    wizard.resize(70, 24);
    await wizard.until('a clean screen', () => wizard?.lines()[0] === 'Options');
    await wizard.asks('Be ki');
    wizard.type('nd');
    wizard.press('enter');
    await wizard.asks('Options', '"Be kind"');
    await goTo(wizard, 'The first', 'Options');
    wizard.press('space');
    await wizard.until('the next page', () => !/\(lines 1 to/.test(wizard?.question() ?? ''));
    wizard.resize(90, 24);
    await wizard.until('a clean screen', () => wizard?.lines()[0] === 'Preview');
    expect(wizard.question()).not.toContain('(lines 1 to');
    wizard.press('enter');
    await goTo(wizard, 'Write the file?', 'would be written');
    expect(wizard.question()).toContain('Export 10 Conversations');
  });

  test('has no colours with NO_COLOR', async () => {
    wizard = startWizard(box, { database, env: { NO_COLOR: '1' } });
    await goTo(wizard);
    await finish(wizard);
    expect(sequences(wizard.raw).has('m')).toBe(false);
  });

  test('has colours without it', async () => {
    wizard = startWizard(box, { database });
    await wizard.asks('Go on with');
    expect(sequences(wizard.raw).has('m')).toBe(true);
  });

  test('is plain ASCII where the locale knows nothing else', async () => {
    wizard = startWizard(box, { database, env: { LC_ALL: 'C' } });
    await goTo(wizard, 'Export');
    await wizard.choose('Export', 'Pick');
    await wizard.asks('Search', String.raw`\u{1f469}`);
    wizard.press('esc');
    await wizard.choose('Export', 'Set filters');
    await wizard.choose('match', 'Tier');
    await wizard.tick('Tier', 'template');
    await wizard.choose('match', 'Go on');
    await goTo(wizard, 'Write the file?', 'It is for');
    await finish(wizard);
    // oxlint-disable-next-line no-control-regex
    expect(wizard.raw.toString('latin1').match(/[^\0-\x7f]+/g)).toBe(null);
  });
});

describe('without a terminal', () => {
  test('the help goes to standard error, with the flags to use, and the status is 2', async () => {
    const { exitCode, stdout, stderr } = await box.lora([]);
    expect(exitCode).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toContain('Usage: lora-export');
    expect(stderr).toContain('lora-export export --format jsonl --scope approved --output FILE');
    expect(stderr.trimEnd().split('\n').at(-2)).toBe(
      'lora-export: Without a terminal to ask questions on, flags say what to export.',
    );
  });

  test.each([
    ['its input', '"$@" </dev/null'],
    ['its errors', '"$@" 2>errors'],
    ['moving the cursor', 'TERM=dumb "$@"'],
  ])('for %s it is the same', async (_, line) => {
    const shell = startInTerminal(['bash', '-c', line, 'bash', process.execPath, program], {
      cwd: box.directory,
      env: { ...box.env, DATABASE_URL: database.url },
    });
    wizard = Object.assign(shell, {}) as WizardRun;
    expect(await shell.exited).toBe(2);
  });
});
