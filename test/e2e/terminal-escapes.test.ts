import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { makeSandbox, program, type Sandbox } from '../support/cli.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { addConversation } from '../support/export.js';
import { record } from '../support/recorded.js';
import { addStored } from '../support/stored.js';
import { MANAGED_MARKER } from '../../src/sinks/file.js';
import { startInTerminal } from '../support/terminal.js';

/** Fills the clipboard, names the window, clears the screen, overwrites its line, runs backwards, in 7 and 8 bits. */
const EVIL = [
  '\u001b]52;c;RVZJTA==\u0007',
  '\u001b]0;evil\u001b\\',
  '\u001b[2J\u001b[?1049h\u001bP+q\u001b\\',
  '\u009b31m\u009d0;evil\u009c',
  'safe\rEVIL\b\u007f',
  '\u202egnp.exe\u2066\u2028\u2029\u0085',
  'EVIL',
].join('');

/** A name in a file system: no slash. */
const FILE = `${EVIL.replaceAll('/', '')}.jsonl`;

let database: TestDatabase;
let box: Sandbox;
let stored: string;
let failed: string;

beforeAll(async () => {
  database = await createDatabase();
  const { sql } = database;
  // Not every deployment has it.
  await sql`alter table conversations drop constraint conversations_tier_check`;
  box = await makeSandbox(database);
  const member = {
    title: EVIL,
    persona: EVIL,
    emotion: EVIL,
    topic: EVIL,
    tier: EVIL,
    parameters: { [EVIL]: EVIL },
    category: [EVIL],
  } as unknown as Record<string, string>;
  await addConversation(sql, { ...member, conversation_id: EVIL }, [
    ['user', EVIL],
    ['assistant', EVIL],
  ]);
  await addConversation(sql, { ...member, conversation_id: `${EVIL}2` }, [
    [EVIL, EVIL],
    ['assistant', EVIL],
  ]);
  const root = join(box.state, 'exports');
  await mkdir(root, { recursive: true, mode: 0o700 });
  await writeFile(join(root, MANAGED_MARKER), '');
  stored = await addStored(sql, root, { fileUrl: EVIL, storageKey: EVIL, expiresIn: 1 });
  const output = { kind: 'file', managed: false, directory: EVIL, name: EVIL };
  failed = await record(sql, {
    status: 'failed',
    error: EVIL,
    fileUrl: EVIL,
    config: {
      version: 1,
      scope: 'filtered',
      format: 'jsonl',
      filters: { tier: [EVIL] },
      [EVIL]: EVIL,
      host: EVIL,
    },
    run: { output, worker_host: EVIL, skips: { [EVIL]: { count: 1, ids: [EVIL] } } },
  });
  await writeFile(box.path(FILE), '{"messages":[{"role":"\\u001b]0;x\\u0007","content":1}]}\n');
  await writeFile(box.path('raw.jsonl'), `${EVIL}\n{"${EVIL}": 1}\n`);
  await writeFile(
    box.path('evil.json'),
    JSON.stringify({ [EVIL]: EVIL, schema: 5, presets: { [EVIL]: {} } }),
  );
  await sql
    .unsafe(
      `create function tell() returns trigger language plpgsql as
         $$ begin raise notice '%', new.config; raise warning using message = convert_from('\\x1b5d303b781b5c0d', 'UTF8'); return new; end $$;
       create trigger tell before insert on export_logs for each row execute function tell();`,
    )
    .simple();
});

afterAll(async () => {
  await database.drop();
  await box.remove();
});

/** Everything that the program writes to a terminal, as bytes. */
async function bytesOf(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Buffer> {
  const run = startInTerminal([process.execPath, program, ...args], {
    cwd: box.directory,
    // CI: no spinner, so that every sequence is one of ours or one of theirs.
    env: { ...box.env, DATABASE_URL: database.url, CI: '1', ...env },
  });
  await run.exited;
  const { raw } = run;
  await run.kill();
  return raw;
}

/** What a terminal would act on, besides colours and the ends of lines. */
function actions(raw: Buffer): string[] {
  const text = raw
    .toString('utf8')
    .replaceAll('\r\n', '\n')
    .replace(
      // oxlint-disable-next-line no-control-regex
      /\u001b\[[0-9;]*m/g,
      '',
    );
  const found = [...text.matchAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu)].filter(([sign]) => sign !== '\n');
  return found.map(
    ({ 0: sign, index }) =>
      `U+${sign.codePointAt(0)?.toString(16)} in ${JSON.stringify(text.slice(index - 20, index + 10))}`,
  );
}

const commands: (readonly [what: string, args: () => readonly string[], shows?: string])[] = [
  ['a preview', () => ['export', '--preview']],
  ['a preview of a table', () => ['export', '--preview', '--format', 'csv']],
  ['a preview of Markdown', () => ['export', '--preview', '--format', 'markdown']],
  ['a preview of JSON', () => ['export', '--preview', '--format', 'json']],
  ['a plan', () => ['export', '--dry-run', '--tier', EVIL.replaceAll(',', '')]],
  ['a summary, with what was skipped', () => ['export', '--output', `out-${FILE}`, '--force']],
  ['a refusal in strict mode', () => ['export', '--output', 'strict.jsonl', '--strict']],
  ['a refusal of a run for its ids', () => ['export', '--ids', EVIL.replaceAll(',', '')]],
  ['an object for programs', () => ['export', '--output', 'json.jsonl', '--json']],
  ['a failure with its cause', () => ['export', '--schema', EVIL.slice(0, 40), '--debug']],
  ['the list of exports', () => ['history', '--all-users']],
  ['the list of exports as JSON', () => ['history', '--all-users', '--json']],
  ['one export', () => ['history', failed, '--all-users']],
  ['one export as JSON', () => ['history', failed, '--all-users', '--json']],
  ['statistics', () => ['history', '--stats', '--all-users']],
  ['metrics', () => ['history', '--prometheus', '--all-users']],
  ['how an export stands', () => ['status', failed, '--all-users']],
  ['that an export failed', () => ['status', failed, '--all-users', '--exit-status', '--json']],
  ['a download', () => ['download', stored, '--all-users', '--output', `copy-${FILE}`]],
  ['a cleanup', () => ['cleanup', '--dry-run', '--all-users', '--logs', '--files']],
  ['findings in a file', () => ['validate', FILE, 'raw.jsonl', '--target', 'openai']],
  ['findings in a file as JSON', () => ['validate', FILE, 'raw.jsonl', '--json']],
  ['a line that cannot be imported', () => ['import', FILE]],
  ['a line that is no JSON', () => ['import', 'raw.jsonl']],
  ['a file that is not there', () => ['import', `absent-${FILE}`]],
  ['a word that is no command', () => [EVIL]],
  ['a flag that is none', () => ['export', `--${EVIL}`]],
  ['a value that is none', () => ['export', '--limit', EVIL]],
  ['a configuration', () => ['config', '--config', 'evil.json']],
  ['the checks of doctor', () => ['doctor', '--all-users']],
  ['a verified schema', () => ['init', '--verify', '--audit-schema', EVIL.slice(0, 40)]],
];

describe.concurrent('a terminal is told nothing but text and colours by', () => {
  for (const [what, args] of commands) {
    test(what, async () => {
      const raw = await bytesOf(args());
      expect(raw.length).toBeGreaterThan(0);
      expect(actions(raw)).toEqual([]);
    });
  }

  test('settings from the environment', async () => {
    const raw = await bytesOf(['config'], { LORA_EXPORT_SCHEMA: EVIL.slice(0, 40), LORA_EXPORT_DIR: EVIL });
    expect(raw.toString()).toContain('u{1b}');
    expect(actions(raw)).toEqual([]);
  });
});

test('a file holds the same text exactly', async () => {
  const { exitCode, stdout } = await box.lora(['export', '--limit', '1']);
  expect(exitCode).toBe(0);
  const { messages } = JSON.parse(stdout) as { messages: { content: string }[] };
  expect(messages.map(({ content }) => content)).toEqual([EVIL, EVIL]);
});
