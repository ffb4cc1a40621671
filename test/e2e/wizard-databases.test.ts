import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest';
import { addUser, applyAuthShim, applyMigrations } from '../support/audit.js';
import { makeSandbox, type Sandbox } from '../support/cli.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { startProxy } from '../support/proxy.js';
import { loggedRuns, onlyRun, seed } from '../support/seed.js';
import { finish, goTo, paste, startWizard, type WizardRun } from '../support/wizard.js';

const DEMO = 129;

let box: Sandbox;
let wizard: WizardRun;
let database: TestDatabase | undefined;

beforeEach(async () => {
  box = await makeSandbox();
});

afterEach(async () => {
  await wizard.kill();
  await database?.drop();
  database = undefined;
  await box.remove();
});

describe('a database', () => {
  test('that is embedded and empty is filled with the demo, and exported from', async () => {
    wizard = startWizard(box);
    await wizard.asks('Go on with', 'Load the demo');
    expect(wizard.screen()).toContain('It is empty: there are no conversations yet.');
    wizard.press('enter');
    await wizard.asks('Go on with', 'Export from this one');
    expect(wizard.screen()).toContain(`It holds ${DEMO} conversations.`);
    await goTo(wizard);
    await finish(wizard);
    const again = await paste(box, wizard.command());
    expect(again.bytes.toString().split('\n')).toHaveLength(82);
  });

  test('without the tables for the record gets them, and keeps everything else', async () => {
    database = await createDatabase('empty');
    await database.sql.file(new URL('../../fixtures/source-schema.sql', import.meta.url).pathname);
    await seed(database.sql, 5);
    wizard = startWizard(box, { database });
    await wizard.asks('Go on with', 'Create the tables');
    expect(wizard.question()).not.toContain('Export from');
    expect(wizard.screen()).toContain('public.export_logs');
    wizard.press('enter');
    await wizard.asks('Go on with', 'Export from');
    await goTo(wizard);
    await finish(wizard);
    expect(await onlyRun(database.sql)).toMatchObject({ status: 'completed', conversation_count: 5 });
  });

  test('without any table offers others, of which an address is typed unseen', async () => {
    database = await createDatabase('empty');
    const other = await createDatabase();
    await seed(other.sql, 3);
    wizard = startWizard(box, { database });
    await wizard.asks('Go on with', 'Use the embedded database');
    await wizard.choose('Go on with', 'Use another');
    await wizard.asks('Address');
    wizard.type('nonsense');
    wizard.press('enter');
    await wizard.shows('! ');
    wizard.press('ctrl-u');
    wizard.type(other.url);
    wizard.press('enter');
    await wizard.asks('Go on with', 'Export from');
    expect(wizard.screen()).toContain('It holds 3 conversations.');
    await goTo(wizard);
    await finish(wizard);
    expect(wizard.raw.toString()).not.toContain(other.url);
    expect(wizard.raw.toString()).toContain('the variable DATABASE_URL');
    expect((await paste(box, wizard.command(), other)).bytes.toString().split('\n')).toHaveLength(4);
    await other.drop();
  });

  test('that cannot be reached is tried again', async () => {
    database = await createDatabase();
    await seed(database.sql, 3);
    const { socketDirectory, user } = inject('testServer');
    await using proxy = await startProxy({ path: `${socketDirectory}/.s.PGSQL.5432` });
    proxy.refuse();
    const url = `postgres://${user}@127.0.0.1:${proxy.port}/${database.name}`;
    wizard = startWizard(box, { database: { url } });
    await wizard.asks('What now?');
    proxy.resume();
    await wizard.choose('What now?', 'Try again');
    await wizard.asks('Go on with', 'Export from');
  });

  test('that is lost on the way is asked again, with the answers kept', async () => {
    database = await createDatabase();
    await seed(database.sql, 20, 4_000);
    const { socketDirectory, user } = inject('testServer');
    await using proxy = await startProxy({ path: `${socketDirectory}/.s.PGSQL.5432` });
    const url = `postgres://${user}@127.0.0.1:${proxy.port}/${database.name}`;
    wizard = startWizard(box, { database: { url } });
    await goTo(wizard, 'It is for');
    await wizard.choose('It is for', 'Spreadsheets');
    await goTo(wizard, 'Write to', 'Options');
    proxy.refuse();
    proxy.reset();
    await wizard.choose('Write to', 'This directory');
    await wizard.asks('What now?');
    await wizard.choose('What now?', 'Try again');
    await wizard.asks('What now?');
    proxy.resume();
    await wizard.choose('What now?', 'Try again');
    await goTo(wizard, 'Write the file?', 'The first');
    // Only the connection that reads the turns gets so much.
    proxy.failAfter(60_000, 'reset');
    await wizard.choose('Write the file?', 'Export');
    await wizard.asks('What now?');
    expect(await box.files()).toEqual([]);
    proxy.failAfter(Number.POSITIVE_INFINITY, 'reset');
    await wizard.choose('What now?', 'Try again');
    await wizard.asks('Name of the preset');
    wizard.press('enter');
    expect(await wizard.exited).toBe(0);
    expect(await box.files()).toHaveLength(1);
    expect((await loggedRuns(database.sql)).map(({ status }) => status)).toEqual(['failed', 'completed']);
    expect(wizard.command()).toContain('--format csv');
  });

  test('that knows users asks for one', async () => {
    database = await createDatabase('empty');
    const { sql } = database;
    await sql.file(new URL('../../fixtures/source-schema.sql', import.meta.url).pathname);
    await applyAuthShim(sql);
    await applyMigrations(sql);
    await seed(sql, 4);
    const user = await addUser(sql);
    wizard = startWizard(box, { database });
    await wizard.choose('What now?', 'Say on behalf');
    await wizard.answer('User id', 'somebody');
    await wizard.shows('! A UUID such as');
    await wizard.answer('User id', '00000000-0000-4000-8000-000000000000');
    await wizard.choose('What now?', 'Say on behalf');
    await wizard.answer('User id', user);
    await wizard.asks('Go on with', 'Export from');
    expect(wizard.screen()).toContain(`On behalf of user ${user}.`);
    await goTo(wizard);
    await finish(wizard);
    const [log] = await sql`select user_id from export_logs`;
    expect(log).toEqual({ user_id: user });
    expect(wizard.command()).toContain(`--user ${user}`);
    expect((await paste(box, wizard.command(), database)).bytes.toString().split('\n')).toHaveLength(5);
  });
});

describe('what is known before', () => {
  let known: TestDatabase;

  beforeEach(async () => {
    known = await createDatabase();
    database = known;
    await seed(known.sql, 12);
  });

  test('is the last export, which is offered first', async () => {
    wizard = startWizard(box, { database });
    await goTo(wizard, 'It is for');
    await wizard.choose('It is for', 'People');
    await goTo(wizard, 'Write the file?', 'Options');
    await finish(wizard);
    const kept = await readFile(join(box.state, 'last-used.json'), 'utf8');
    expect(kept).not.toContain('postgres');
    expect(JSON.parse(kept)).toEqual({ scope: 'approved', format: 'markdown' });

    wizard = startWizard(box, { database });
    await wizard.choose('Go on with', 'Export from');
    await wizard.asks('Begin with', '❯ As you exported last');
    expect(wizard.question()).toContain('All approved. Written as Markdown.');
    wizard.press('enter');
    await wizard.choose('Export', 'All approved');
    await wizard.asks('It is for', '❯ People who review');
    wizard.press('esc');
    await wizard.asks('Export');
    wizard.press('esc');
    await wizard.choose('Begin with', 'From scratch');
    await wizard.choose('Export', 'All approved');
    await wizard.asks('It is for', '❯ Training with LoRA');
  });

  test('are presets, saved here and used here and on the command line', async () => {
    const config = join(box.directory, 'lora-export.config.json');
    await writeFile(config, '{}');
    wizard = startWizard(box, { database });
    await goTo(wizard, 'Export');
    await wizard.choose('Export', 'Set filters');
    await wizard.choose('match', 'Text');
    await wizard.answer('Contains', 'Title 1');
    await wizard.choose('match', 'Go on');
    await goTo(wizard, 'Write the file?', 'It is for');
    await wizard.choose('Write the file?', 'Export');
    await wizard.answer('Name of the preset', 'no spaces');
    await wizard.shows('! Letters');
    await wizard.answer('Name of the preset', 'ones');
    expect(await wizard.exited).toBe(0);
    expect(JSON.parse(await readFile(config, 'utf8'))).toMatchObject({
      presets: { ones: { scope: 'filtered', filters: { searchQuery: 'Title 1' } } },
    });
    const exported = await box.lora(['export', '--preset', 'ones'], { database });
    expect(exported.stdout.trimEnd().split('\n')).toHaveLength(4);

    wizard = startWizard(box, { database });
    await wizard.choose('Go on with', 'Export from');
    await wizard.choose('Begin with', 'Preset ones');
    await wizard.asks('Export', '❯ Current filters (4 matching)');
  });

  test('narrows a whole scope where a preset says so', async () => {
    await known.sql`update conversations set status = 'draft' where conversation_id = 'c_000001'`;
    const preset = { scope: 'approved', filters: { searchQuery: 'Title 1' }, limit: 2 };
    await writeFile(box.path('lora-export.config.json'), JSON.stringify({ presets: { few: preset } }));
    wizard = startWizard(box, { database });
    await wizard.choose('Go on with', 'Export from');
    await wizard.choose('Begin with', 'Preset few');
    await wizard.asks('Export', '❯ As before (2 matching)');
    wizard.press('enter');
    await goTo(wizard, 'Write the file?', 'It is for');
    expect(wizard.question()).toContain('Export 2 Conversations');
    await finish(wizard);
    expect(wizard.command()).toContain("--scope approved --search 'Title 1' --limit 2");
  });

  test('are the usual format, target and scope of the configuration', async () => {
    const config = box.path('lora-export.config.json');
    await writeFile(config, JSON.stringify({ format: 'csv', scope: 'all' }));
    wizard = startWizard(box, { database });
    await wizard.choose('Go on with', 'Export from');
    await wizard.asks('Export', '❯ All data');
    wizard.press('enter');
    await wizard.asks('It is for', '❯ Spreadsheets');
    await wizard.kill();
    await writeFile(config, JSON.stringify({ target: 'mistral' }));
    wizard = startWizard(box, { database });
    await goTo(wizard, 'It is for');
    await wizard.asks('It is for', '❯ Training with a certain');
    wizard.press('enter');
    await wizard.asks('JSONL for', '❯ mistral');
  });

  test('is passed over, and said, when it cannot be read', async () => {
    await mkdir(box.state, { recursive: true });
    await writeFile(join(box.state, 'last-used.json'), '{"scope":"\u001b[31m"}');
    wizard = startWizard(box, { database });
    await wizard.choose('Go on with', 'Export from');
    await wizard.asks('Export');
    await wizard.shows('What was used last is ignored');
  });
});
