import { chmod, mkdir, symlink, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { CORPUS } from '../bad-input/corpus.js';
import { makeSandbox, type Sandbox } from '../support/cli.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { seed } from '../support/seed.js';

const anId = '6f3c0b1e-5d1a-4c0f-9a51-b8f0a2b7c9d4';

let database: TestDatabase;
let box: Sandbox;
let files = 0;

beforeAll(async () => {
  database = await createDatabase();
  await seed(database.sql, 2);
  box = await makeSandbox(database);
});

afterAll(async () => {
  expect(await database.sql`select from export_logs`).toHaveLength(0);
  await database.drop();
  await box.remove();
});

/** Nothing was started, nothing is on standard output, and the message says what to change. */
async function expectRefusal(
  args: readonly string[],
  says: readonly string[],
  { env = {}, input = '' }: { env?: Readonly<Record<string, string>>; input?: string } = {},
): Promise<void> {
  const { exitCode, stdout, stderr } = await box.lora(args, { env, input });
  for (const what of says) expect(stderr).toContain(what);
  expect(exitCode).toBe(2);
  expect(stdout).toBe('');
  expect(stderr).not.toMatch(/^\s+at |node:internal|unexpected error/m);
}

async function writeInput(content: string | Uint8Array): Promise<string> {
  const path = box.path(`input-${++files}`);
  await writeFile(path, content);
  return path;
}

/** The whole corpus runs in one process; here some of it as users do, to see that nothing gets lost on the way. */
describe.concurrent('a process refuses bad input with status 2 and a message that helps', () => {
  for (const { args, why, says, env, content, input } of CORPUS.filter((_, index) => index % 29 === 0)) {
    test(`${args.join(' ')}: ${why}`.replaceAll('%', '%%'), async () => {
      const path = content === undefined ? '' : await writeInput(content);
      const words = args.map((word) => word.replace('{file}', path));
      await expectRefusal(words, says, { ...(env && { env }), ...(input !== undefined && { input }) });
    });
  }

  // Node 20 takes --env-file for itself wherever it stands on the command line; hence another name.
  test('a missing --dotenv file', () =>
    expectRefusal(['export', '--dotenv', 'absent.env'], ['absent.env', '--dotenv']));

  test('an unknown setting in the usual file', async () => {
    const home = box.path('another-home');
    const path = `${home}/.config/lora-export/config.json`;
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, '{"fromat": "jsonl"}');
    await expectRefusal(['export'], [path, 'fromat', 'Known settings: databaseUrl'], { env: { HOME: home } });
  });
});

describe.concurrent('with --json the refusal is one object', () => {
  const cases: (readonly string[])[] = [
    ['export', '--limit', '1e3'],
    ['export', '--formt', 'jsonl'],
    ['export', '--from', '2025-02-30'],
    ['export', '--scope', 'selected'],
    ['export', '--metadata', '--no-metadata'],
    ['export', '--config', 'absent.json'],
    ['import', 'absent.jsonl'],
    ['init', '--dry-run', '--verify'],
  ];
  for (const args of cases) {
    test(args.join(' '), async () => {
      const { exitCode, stdout, stderr } = await box.lora([...args, '--json']);
      expect(exitCode).toBe(2);
      expect(stdout).toBe('');
      expect(stderr.trimEnd().split('\n')).toHaveLength(1);
      const told = JSON.parse(stderr) as Record<string, unknown>;
      expect(told).toMatchObject({ code: 2, kind: 'E_USAGE', retryable: false, export_id: null });
      expect(told['message']).toEqual(expect.any(String));
    });
  }
});

describe.concurrent('sound input that looks odd is taken', () => {
  const cases: (readonly [name: string, args: readonly string[], env?: Record<string, string>])[] = [
    ['an upper-case user id', ['--user', anId.toUpperCase()]],
    ['a user id of version 0', ['--user', '00000000-0000-0000-0000-000000000000']],
    ['a limit with leading zeros', ['--limit', '007']],
    ['the largest limit', ['--limit', '2147483647']],
    ['equal bounds', ['--min-quality', '8.5', '--max-quality', '8.50']],
    ['a leap day', ['--from', '2024-02-29']],
    ['a time with an offset', ['--from', '2024-12-31T23:59:59.999+05:30']],
    ['an empty variable', [], { LORA_EXPORT_USER_ID: '', LORA_EXPORT_RETENTION_HOURS: '' }],
    ['SQL in a search', ['--search', "%_\\'; drop table conversations --", '--allow-empty']],
  ];
  for (const [name, args, env] of cases) {
    test(name, async () => {
      const { exitCode, stderr } = await box.lora(['export', '--dry-run', ...args], { env: env ?? {} });
      expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    });
  }

  test.each([
    ['a byte order mark, CRLF and blank lines', '\u{feff}c_000001\r\n\r\n  c_000002 \r\n'],
    ['CR alone, as old editors wrote', 'c_000001\rc_000002\r'],
    ['no line break at its end', 'c_000001\nc_000002'],
  ])('a file of ids with %s', async (_what, content) => {
    const path = await writeInput(content);
    const { exitCode, stdout } = await box.lora(['export', '--dry-run', '--json', '--ids-file', path]);
    expect(exitCode).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ matched_count: 2 });
  });

  test('a file of ids in which some come more than once, of which it tells', async () => {
    const path = await writeInput('c_000001\nc_000002\nc_000001\nc_000001\n');
    const { exitCode, stdout, stderr } = await box.lora([
      'export',
      '--dry-run',
      '--json',
      '--ids-file',
      path,
    ]);
    expect(exitCode).toBe(0);
    expect(stderr).toContain('2 ids were given more than once');
    expect(JSON.parse(stdout)).toMatchObject({ matched_count: 2 });
  });

  test('a file of 100,000 ids, of which all but two are missing', async () => {
    const ids = Array.from({ length: 100_000 }, (_, index) => `c_${String(index).padStart(6, '0')}`);
    const path = await writeInput(ids.join('\n'));
    const args = ['export', '--dry-run', '--json', '--ids-file', path];
    const { exitCode, stderr } = await box.lora(args);
    expect(exitCode).toBe(23);
    expect(stderr).toContain('99998 of 100000 ids');
    expect(stderr.length).toBeLessThan(1_000);
    const { stdout } = await box.lora([...args, '--ignore-missing']);
    expect(JSON.parse(stdout)).toMatchObject({ matched_count: 2 });
  });

  test('a configuration file behind a link, and one that everybody may write to, of which it warns', async () => {
    const path = await writeInput('\u{feff}{"schema": "public"}');
    await chmod(path, 0o666);
    const link = box.path(`input-${++files}`);
    await symlink(path, link);
    const { exitCode, stderr } = await box.lora(['config', '--config', link]);
    expect(exitCode).toBe(0);
    expect(stderr).toContain('can be changed by every user');
  });
});
