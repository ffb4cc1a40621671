import { writeFile } from 'node:fs/promises';
import { spawn } from '@lydell/node-pty';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { makeSandbox, program, type Sandbox } from '../support/cli.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { addConversation } from '../support/export.js';

let database: TestDatabase;
let box: Sandbox;

beforeAll(async () => {
  database = await createDatabase();
  const { sql } = database;
  for (let index = 1; index <= 5; index++) {
    await addConversation(sql, {
      conversation_id: `c${index}`,
      title: `A "title", with a comma\nand a line ${index}`,
      created_at: `2025-01-0${index}T00:00:00Z`,
    });
  }
  await addConversation(sql, { conversation_id: 'empty', created_at: '2024-12-31T00:00:00Z' }, []);
  await addConversation(sql, { conversation_id: 'open', created_at: '2025-02-01T00:00:00Z' }, [
    ['human', 'question \u001b[31mred'],
    ['gpt', 'answer'],
    ['human', 'left over'],
  ]);
  box = await makeSandbox(database);
});

afterAll(async () => {
  await database.drop();
  await box.remove();
});

describe('flags that cannot be end with status 2 and say what would work:', () => {
  const cases: [args: string[], ...says: (string | RegExp)[]][] = [
    [['--target', 'openai', '--format', 'csv'], 'target', 'jsonl', 'csv', 'leave format out'],
    [['--target', 'openai', '--format', 'json'], 'jsonl'],
    [['--target', 'openai', '--metadata'], '--metadata', '--target openai', 'without --target'],
    [['--target', 'trl', '--parent-references'], '--parent-references', '--target trl'],
    [['--target', 'trl', '--approval-history'], '--approval-history'],
    [['--target', 'opanai'], '--target', 'openai', 'together'],
    [['--target', 'OpenAI'], '--target', 'openai'],
    [['--target', ''], '--target', 'openai'],
    [['--target', 'openai', '--target', 'trl'], '--target', 'twice'],
    [['--target', 'trl', '--shape', 'round'], 'trl', 'round', 'messages', 'prompt-completion'],
    [['--shape', 'messages'], 'shape', 'target'],
    [['--shape', ''], '--shape', 'must not be empty'],
    [['--on', 'late-systems=skip'], 'late-systems', 'late-system', 'ends-with-user'],
    [['--on', 'late-system=mend'], 'late-system', 'ignore', 'repair', 'fail'],
    [['--on', 'no-turns=keep'], 'no-turns', 'skip', 'fail'],
    [['--on', 'truncated-answer=repair'], 'truncated-answer', 'keep', 'skip'],
    [['--on', 'late-system'], '--on', 'NAME=WORD'],
    [['--on', '=skip'], '--on', 'NAME=WORD'],
    [['--on', 'late-system='], '--on', 'NAME=WORD'],
    [['--on', ''], '--on', 'NAME=WORD'],
    [['--on', 'late-system=skip', '--on', 'late-system=keep'], 'late-system', 'twice'],
    [['--on', 'toString=skip'], 'toString'],
    [['--target', 'openai', '--on', 'several-system=keep'], 'several-system', 'no place'],
    [['--role-map', 'human'], '--role-map', 'NAME=WORD'],
    [['--role-map', 'human=person'], 'human', 'user', 'assistant'],
    [['--system-prompt', 'a', '--system-prompt-from', 'parameters.b'], '--system-prompt-from', 'exclude'],
    [['--system-prompt', 'a', '--system-prompt-file', 'b'], '--system-prompt-file', 'exclude'],
    [['--system-prompt', ''], '--system-prompt', 'must not be empty'],
    [['--system-prompt-from', 'persona'], '--system-prompt-from', 'parameters.KEY'],
    [['--system-prompt-from', 'parameters.'], '--system-prompt-from', 'parameters.KEY'],
    [['--system-prompt-file', 'nowhere.txt'], '--system-prompt-file', 'nowhere.txt'],
    [['--system-prompt-file', 'blank.txt'], 'blank.txt', 'empty'],
    ...['', '-1', '5.5', '5 %', '101%', '100.1%', '%', 'many', '1e2', '0x1', '5%%'].map(
      (value): [string[], ...string[]] => [[`--max-skipped=${value}`], '--max-skipped', '5%'],
    ),
    [['--max-skipped', '1', '--max-skipped', '2'], '--max-skipped', 'twice'],
    [['--expand', 'triples'], '--expand', 'pairs'],
    [['--csv-raw'], '--csv-raw', '--format csv'],
    [['--compact', '--format', 'csv'], '--compact', '--format json'],
    [['--no-bom', '--target', 'openai'], '--no-bom', '--target azure'],
    [['--preview', '0'], '--preview', 'whole number from 1 to 1000'],
    [['--preview=1001'], '--preview', 'whole number from 1 to 1000'],
    [['--preview=all'], '--preview', 'whole number from 1 to 1000'],
  ];

  test.concurrent.each(cases)('%j', async (args, ...says) => {
    const { exitCode, stdout, stderr } = await box.lora(['export', ...args], {
      // Nobody listens there: whatever is refused is refused before a database is asked.
      database: { url: 'postgres://nobody@127.0.0.1:1/none' },
    });
    for (const words of says) expect(stderr).toMatch(words);
    expect([exitCode, stdout]).toEqual([2, '']);
    expect(stderr).not.toContain('    at ');
  });

  beforeAll(() => writeFile(box.path('blank.txt'), ' \n'));
});

describe('a target', () => {
  test('gets its rows, and the summary says what was repaired and skipped', async () => {
    const args = ['export', '--target', 'openai', '--role-map', 'human=user,gpt=assistant'];
    const { exitCode, stdout, stderr } = await box.lora(args);
    expect(exitCode).toBe(29);
    expect(stdout.split('\n').filter(Boolean)).toHaveLength(6);
    expect(stdout).toContain(
      '{"messages":[{"role":"user","content":"question"},{"role":"assistant","content":"answer"}]}\n',
    );
    expect(stdout).not.toContain('left over');
    expect(stderr).toContain('skipped no-turns: 1 (empty)');
    expect(stderr).toContain('repaired ends-with-user: 1 (open)');
  });

  test('is told in JSON', async () => {
    const args = [
      'export',
      '--target',
      'trl',
      '--shape',
      'prompt-completion',
      '--json',
      '--tokens',
      '--output',
      'o.jsonl',
    ];
    const { stdout } = await box.lora(args);
    expect(JSON.parse(stdout)).toMatchObject({
      target: 'trl',
      matched_count: 7,
      conversation_count: 5,
      skipped_count: 2,
      row_count: 5,
      skips: { 'no-turns': { count: 1, ids: ['empty'] } },
      repairs: {},
      tokens: { conversation: { total: 10, max: 2 } },
    });
  });

  test('keeps the report of a run that its conditions refuse', async () => {
    const args = [
      'export',
      '--target',
      'trl',
      '--max-skipped',
      '10%',
      '--output',
      'no.jsonl',
      '--report',
      'report.jsonl',
    ];
    const { exitCode, stderr } = await box.lora(args);
    expect(exitCode).toBe(23);
    expect(stderr).toContain('more than the 0 allowed');
    expect(await box.files()).toContain('report.jsonl');
    expect(await box.files()).not.toContain('no.jsonl');
  });

  test('takes a system prompt from a file, without the newline at its end', async () => {
    await writeFile(box.path('prompt.txt'), 'Be "kind".\nAlways.\r\n');
    const args = ['export', '--ids', 'c1', '--target', 'trl', '--system-prompt-file', 'prompt.txt'];
    const { stdout } = await box.lora(args);
    expect(JSON.parse(stdout)).toMatchObject({
      messages: [{ role: 'system', content: 'Be "kind".\nAlways.' }, {}, {}],
    });
  });
});

describe('a preview', () => {
  test('through a pipe is the first bytes of the export, and leaves no row in the log', async () => {
    for (const args of [
      [],
      ['--no-metadata'],
      ['--target', 'trl'],
      ['--target', 'azure'],
      ['--format', 'csv'],
    ]) {
      const whole = (await box.lora(['export', ...args])).stdout;
      await database.sql`delete from export_logs`;
      const { exitCode, stdout, stderr } = await box.lora(['export', ...args, '--preview', '2']);
      expect(exitCode).toBe(0);
      expect(stdout.length).toBeGreaterThan(50);
      expect(whole.startsWith(stdout)).toBe(true);
      expect(stderr).toContain(
        'Preview of 2 conversations; 1 skipped on the way. Nothing was written or logged.',
      );
      expect(await database.sql`select 1 from export_logs`).toHaveLength(0);
    }
  });

  test('shows three conversations unless told otherwise', async () => {
    const { stdout, stderr } = await box.lora(['export', '--target', 'trl', '--preview']);
    expect(stdout.split('\n')).toHaveLength(4);
    expect(stderr).toContain('Preview of 3 conversations');
  });

  test('writes no file', async () => {
    const before = await box.files();
    const { exitCode } = await box.lora(['export', '--preview', '--output', 'preview.jsonl']);
    expect(exitCode).toBe(0);
    expect(await box.files()).toEqual(before);
  });
});

const ESCAPE = '\u001b';

describe('a preview on a terminal', () => {
  test('colours JSON, and shows control characters instead of obeying them', async () => {
    const { exitCode, screen } = await inTerminal([
      '--target',
      'trl',
      '--preview',
      '9',
      '--role-map',
      'human=user,gpt=assistant',
    ]);
    expect(exitCode).toBe(0);
    expect(screen).toContain(`${ESCAPE}[36m"messages"${ESCAPE}[39m:`);
    expect(screen).toContain(`${ESCAPE}[32m"answer"${ESCAPE}[39m`);
    expect(screen).not.toContain(`${ESCAPE}[31m`);
    expect(screen).toContain('Preview of 6 conversations; 1 skipped on the way.');
  });

  test('is what a pipe gets when colours are not wanted', async () => {
    const { screen } = await inTerminal(['--target', 'trl', '--preview', '1'], { NO_COLOR: '1' });
    const { stdout } = await box.lora(['export', '--target', 'trl', '--preview', '1']);
    expect(screen).not.toContain(ESCAPE);
    expect(screen.replaceAll('\r\n', '\n')).toContain(stdout);
  });

  test('shows CSV as a table', async () => {
    const { screen } = await inTerminal(['--format', 'csv', '--preview', '2'], { NO_COLOR: '1' });
    const lines = screen.split('\r\n');
    const [head = '', first = '', second = ''] = lines;
    expect(head).toMatch(/^conversation_id +title +status/);
    expect(first.indexOf('approved')).toBe(head.indexOf('status'));
    expect(first).toContain('A "title", with a comma');
    expect(first).not.toContain('""');
    expect(second.indexOf('assistant')).toBe(head.indexOf('role'));
    expect(lines.filter((line) => /^c[12] /.test(line))).toHaveLength(4);
  });

  test('leaves Markdown as it is', async () => {
    const { screen } = await inTerminal(['--format', 'markdown', '--preview', '1']);
    expect(screen).toContain('# ');
    expect(screen).not.toContain(`${ESCAPE}[3`);
  });
});

function inTerminal(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<{ exitCode: number; screen: string }> {
  return new Promise((resolve) => {
    const terminal = spawn(process.execPath, [program, 'export', ...args], {
      cols: 400,
      rows: 50,
      cwd: box.directory,
      env: { ...box.env, TERM: 'xterm', DATABASE_URL: database.url, ...env },
    });
    let screen = '';
    terminal.onData((data) => (screen += data));
    terminal.onExit(({ exitCode }) => resolve({ exitCode, screen }));
  });
}
