import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { makeSandbox, type Sandbox } from '../support/cli.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { finish, goTo, startWizard, type WizardRun } from '../support/wizard.js';

const CONVERSATIONS = 100_000;

let database: TestDatabase;
let box: Sandbox;
let wizard: WizardRun;

beforeAll(async () => {
  database = await createDatabase();
  const { sql } = database;
  await sql`
    insert into conversations (conversation_id, title, status, created_at)
    select 'c_' || lpad(n::text, 6, '0'), 'Title ' || n, 'approved',
      timestamptz '2025-01-01' + n * interval '1 second'
    from generate_series(1, ${CONVERSATIONS}::integer) as n`;
  await sql`
    insert into conversation_turns (conversation_id, turn_number, role, content)
    select id, n, case n when 1 then 'user' else 'assistant' end, 'text'
    from conversations, generate_series(1, 2) as n where conversation_id in ('c_000001', 'c_000002', 'c_000077', 'c_054321')`;
});

afterAll(() => database.drop());

beforeEach(async () => {
  box = await makeSandbox(database);
});

afterEach(async () => {
  await wizard.kill();
  await box.remove();
});

describe('picking among 100,000 conversations', () => {
  test('finds by title and by id, and keeps what was picked before', async () => {
    wizard = startWizard(box, { database });
    await goTo(wizard, 'Export');
    expect(wizard.question()).toContain(`All data (${CONVERSATIONS} in total)`);
    await wizard.choose('Export', 'Pick');
    await wizard.asks('Search', 'There are more: type to narrow it down.');
    wizard.type('Title 54321');
    await wizard.asks('Search (0 chosen) Title 54321', '❯ [ ] Title 54321  c_054321');
    await wizard.until('one row', () => !wizard.question().includes('There are more'));
    wizard.press('tab');
    await wizard.asks('(1 chosen) Title 54321', '[x] Title 54321');
    wizard.press('ctrl-u');
    wizard.type('c_000077');
    await wizard.asks('(1 chosen) c_000077', '❯ [ ] Title 77  c_000077');
    wizard.press('tab', 'enter');
    await goTo(wizard, 'Write the file?', 'It is for');
    expect(wizard.question()).toContain('Export 2 Conversations');
    expect(wizard.screen()).toContain('Selected (2)');
    await finish(wizard);
    const [log] = await database.sql`select conversation_count from export_logs`;
    expect(log).toEqual({ conversation_count: 2 });
  });

  test('takes a letter back, and says when nothing matches', async () => {
    wizard = startWizard(box, { database });
    await goTo(wizard, 'Export');
    await wizard.choose('Export', 'Pick');
    await wizard.asks('Search', 'There are more');
    wizard.type('Title 777x');
    await wizard.asks('Title 777x', 'Nothing matches.');
    wizard.press('enter');
    await wizard.shows('Nothing is picked yet');
    await wizard.asks('Search', 'There are more');
    wizard.type('Title 777x');
    await wizard.asks('Title 777x', 'Nothing matches.');
    wizard.press('backspace');
    await wizard.asks('Title 777', '❯ [ ] Title 777');
  });

  test('with all of them asks before it reads everything', async () => {
    wizard = startWizard(box, { database });
    await goTo(wizard, 'Write to');
    await wizard.choose('Write to', 'This directory');
    await wizard.asks('The first');
    wizard.press('enter');
    await wizard.asks(
      `${CONVERSATIONS} conversations, not checked yet`,
      'Check all 100000 conversations first',
    );
    await wizard.choose('not checked yet', 'Go on');
    await wizard.asks('Write the file?', `Export ${CONVERSATIONS} Conversations`);
    expect(wizard.question()).toContain('those that cannot be used are left out');
  });
});
