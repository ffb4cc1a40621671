import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { makeSandbox, type Sandbox } from '../support/cli.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { seed } from '../support/seed.js';

/** The words after `lora-export`, and what the message must contain: the flag or file, and the expected form. */
type Case = readonly [args: readonly string[], ...says: (string | RegExp)[]];

interface EnvironmentCase {
  readonly env: Record<string, string>;
  readonly args?: readonly string[];
  readonly says: readonly (string | RegExp)[];
}

/** Text of a file, and what the message must contain. */
type FileCase = readonly [content: string | Uint8Array, ...says: (string | RegExp)[]];

const anId = '6f3c0b1e-5d1a-4c0f-9a51-b8f0a2b7c9d4';
const wholeNumber = 'whole number from 1 to';
const score = 'number from 0 to 10';
const date = 'date such as 2025-10-29';

const words: Case[] = [
  // Words that no command knows.
  [['exprot'], 'exprot', 'export'],
  [['--verbose', 'export'], '--verbose'],
  [['export', '--formt', 'jsonl'], '--formt', '--format'],
  [['export', '--Limit', '1'], '--Limit', '--limit'],
  [['export', '-x'], '-x'],
  [['export', 'conversations.jsonl'], 'export', 'arguments'],
  [['export', '--', '--limit'], 'export', 'arguments'],
  [['help', 'exprot'], 'exprot'],
  [['import'], 'file'],
  [['init', 'now'], 'init', 'arguments'],
  // Missing and empty values.
  ...['--format', '--scope', '--output', '--ids', '--limit', '--from', '--user', '--schema', '--config'].map(
    (flag): Case => [['export', flag], flag, 'argument missing'],
  ),
  ...['--output', '--search', '--schema', '--audit-schema', '--parent-id', '--created-by', '--report'].map(
    (flag): Case => [['export', flag, ''], flag, 'must not be empty'],
  ),
  [['export', '--database-url', ''], '--database-url', 'must not be empty'],
  [['export', '--config', ''], '--config', 'must not be empty'],
  // Choices.
  [['export', '--format', 'JSONL'], '--format', 'jsonl'],
  [['export', '--format', ''], '--format', 'jsonl'],
  [['export', '--format', 'exe'], '--format', 'jsonl'],
  [['export', '--scope', 'approve'], '--scope', 'approved'],
  [['export', '--scope', 'approved '], '--scope', 'approved'],
  [['export', '--sort', 'random'], '--sort', 'created_at'],
  [['export', '--sort', 'created_at; drop table conversations'], '--sort', 'created_at'],
  [['export', '--order', 'ASC'], '--order', 'asc'],
  [['export', '--order', 'down'], '--order', 'desc'],
  // Whole numbers.
  ...[
    '1e3',
    '0x10',
    ' 5 ',
    '',
    '5abc',
    '١٢',
    '-1',
    '0',
    'NaN',
    'Infinity',
    '+5',
    '1.5',
    '1,000',
    '2147483648',
    '9007199254740992',
    '1e99',
    '5\n',
    'null',
    'true',
  ].map((value): Case => [['export', `--limit=${value}`], '--limit', wholeNumber]),
  ...['0', '10001', 'many', '1e2', '-5', ''].map((value): Case => [
    ['export', `--batch-size=${value}`],
    '--batch-size',
    `${wholeNumber} 10000`,
  ]),
  ...['0', '17', 'all', '1.5', ''].map((value): Case => [
    ['export', `--jobs=${value}`],
    '--jobs',
    `${wholeNumber} 16`,
  ]),
  // Decimal numbers.
  ...['11', '-1', '10.1', 'high', '8,5', '.5', '8.', '1e1', '', 'NaN', '0x8', '８'].map((value): Case => [
    ['export', `--min-quality=${value}`],
    '--min-quality',
    score,
  ]),
  [['export', '--max-quality', '10.01'], '--max-quality', score],
  [['export', '--max-quality', 'ten'], '--max-quality', score],
  [['export', '--min-quality', '9', '--max-quality', '8'], 'qualityScoreMin', 'qualityScoreMax'],
  ...['0', '-24', '1d', 'forever', '99999999999', ''].map((value): Case => [
    ['export', `--retention-hours=${value}`],
    '--retention-hours',
    'number from',
  ]),
  // Dates.
  ...[
    '2025-02-30',
    '2025-13-01',
    '2025-00-10',
    '2023-02-29',
    '10/29/2025',
    '29.10.2025',
    '2025-10-29T10:00',
    '2025-10-29T10:00:00',
    '2025-10-29 10:00:00Z',
    '2025-10-29T25:00:00Z',
    '2025-10-29T10:61:00Z',
    '2025-10-29T10:00:00+99:00',
    '2025-1-1',
    '20251029',
    '1735689600',
    'yesterday',
    'now()',
    '',
    '٢٠٢٥-١٠-٢٩',
    '+012025-01-01',
  ].map((value): Case => [['export', `--from=${value}`], '--from', date]),
  [['export', '--to', '2025-06-31'], '--to', date],
  [['export', '--to', 'infinity'], '--to', date],
  [['export', '--from', '2025-10-30', '--to', '2025-10-29'], 'dateFrom', 'dateTo'],
  [['export', '--from', '2025-10-29T12:00:00Z', '--to', '2025-10-29T11:00:00Z'], 'dateFrom', 'dateTo'],
  // UUIDs.
  ...[
    'me',
    '',
    `{${anId}}`,
    anId.replaceAll('-', ''),
    anId.slice(0, 35),
    `${anId}0`,
    ` ${anId}`,
    `${anId}\n`,
    anId.replace('c', 'с'),
    anId.replace('6', 'g'),
    `urn:uuid:${anId}`,
    `${anId}' or 1=1 --`,
  ].map((value): Case => [['export', `--user=${value}`], '--user', 'UUID such as']),
  // Lists.
  ...[
    '--ids',
    '--tier',
    '--status',
    '--exclude-status',
    '--category',
    '--persona',
    '--emotion',
    '--topic',
  ].flatMap((flag): Case[] => [
    [['export', flag, ''], flag, 'separated by commas'],
    [['export', flag, 'a,,b'], flag, 'separated by commas'],
  ]),
  // Repetitions and contradictions.
  [['export', '--limit', '1', '--limit', '2'], '--limit', 'given twice'],
  [['export', '--format', 'jsonl', '--format', 'jsonl'], '--format', 'given twice'],
  [['export', '--output', 'a', '-o', 'b'], '--output', 'given twice'],
  [['export', '--from', '2025-01-01', '--from', '2025-01-02'], '--from', 'given twice'],
  [['export', '--metadata', '--no-metadata'], '--metadata', '--no-metadata'],
  [['export', '--no-timestamps', '--timestamps'], '--timestamps', '--no-timestamps'],
  [['export', '--no-full-content', '--full-content'], '--full-content'],
  [['export', '--no-full-content'], 'jsonl', 'turns'],
  [['export', '--scope', 'selected'], 'ids', 'selected'],
  [['export', '--scope', 'filtered'], 'filter', 'filtered'],
  [['export', '--scope', 'approved', '--ids', anId], 'ids', 'selected'],
  [['export', '--scope', 'all', '--ids', anId], 'ids', 'selected'],
  [['init', '--dry-run', '--verify'], '--dry-run', '--verify'],
  [['init', '--down', '--demo'], '--down', '--demo'],
  [['init', '--verify', '--down'], '--verify', '--down'],
  [['init', '--demo'], 'embedded', '--force'],
  // Outputs.
  [['export', '--output', 's3://bucket/key'], '--output s3://', 'not supported'],
  [['export', '--output', 'https://example.org/x'], '--output https://', 'not supported'],
  [['export', '--output', 'file:///etc/passwd'], '--output file://', 'not supported'],
  // Files that are not there.
  [['export', '--ids-file', 'absent.txt'], '--ids-file', 'no such file'],
  [['export', '--ids-file', '.'], '--ids-file', 'directory'],
  [['export', '--filter-file', 'absent.json'], '--filter-file', 'no such file'],
  [['export', '--config', 'absent.json'], '--config', 'no such file'],
  [['import', 'absent.jsonl'], 'absent.jsonl', 'existing file'],
  [['export', '--ids-file', '-'], '--ids-file -', 'one id per line'],
];

const environment: EnvironmentCase[] = [
  { env: { DATABASE_URL: '"postgres://u@h/d"' }, says: ['DATABASE_URL', 'quotation marks'] },
  { env: { DATABASE_URL: ' ' }, says: ['DATABASE_URL', 'empty'] },
  { env: { DATABASE_URL: 'localhost:5432/x' }, says: ['DATABASE_URL', 'postgres://'] },
  { env: { DATABASE_URL: 'mysql://u@h/d' }, says: ['DATABASE_URL', 'PostgreSQL'] },
  { env: { DATABASE_URL: 'https://abc.supabase.co' }, says: ['DATABASE_URL', 'Supabase'] },
  { env: { DATABASE_URL: 'jdbc:postgresql://h/d' }, says: ['DATABASE_URL', 'JDBC'] },
  { env: { DATABASE_URL: 'postgres://u@h:99999/d' }, says: ['DATABASE_URL', '65535'] },
  { env: { DATABASE_URL: 'postgres://u@h:54e2/d' }, says: ['DATABASE_URL', 'number as its port'] },
  { env: { DATABASE_URL: 'postgres://u@a,b/d' }, says: ['DATABASE_URL', 'several hosts'] },
  { env: { DATABASE_URL: 'postgres:///d' }, says: ['DATABASE_URL', 'no user'] },
  { env: { DATABASE_URL: 'postgres://u@h/d?sslmode=maybe' }, says: ['sslmode', 'verify-full'] },
  { env: { DATABASE_URL: 'host=h dbname=d' }, says: ['DATABASE_URL', 'postgresql://'] },
  { env: { DATABASE_URL: 'postgres://u:[YOUR-PASSWORD]@h/d' }, says: ['DATABASE_URL', 'placeholder'] },
  { env: { LORA_EXPORT_DATABASE_URL: 'x' }, says: ['LORA_EXPORT_DATABASE_URL', 'postgres://'] },
  { env: { LORA_EXPORT_USER_ID: 'me' }, says: ['LORA_EXPORT_USER_ID', 'UUID'] },
  { env: { LORA_EXPORT_USER_ID: `{${anId}}` }, says: ['LORA_EXPORT_USER_ID', 'UUID'] },
  { env: { LORA_EXPORT_RETENTION_HOURS: '1e3' }, says: ['LORA_EXPORT_RETENTION_HOURS', 'number of hours'] },
  { env: { LORA_EXPORT_RETENTION_HOURS: '0' }, says: ['LORA_EXPORT_RETENTION_HOURS', 'greater than 0'] },
  { env: { LORA_EXPORT_RETENTION_HOURS: 'day' }, says: ['LORA_EXPORT_RETENTION_HOURS', 'number of hours'] },
  { env: { LORA_EXPORT_RETENTION_HOURS: '999999' }, says: ['LORA_EXPORT_RETENTION_HOURS', 'ten years'] },
  { env: { LORA_EXPORT_CONFIG: 'absent.json' }, says: ['absent.json', 'no such file'] },
  { env: {}, args: ['--database-url', 'nonsense'], says: ['--database-url', 'postgres://'] },
];

const knownSettings = 'Known settings: databaseUrl';

const configurations: FileCase[] = [
  ['', 'not valid JSON'],
  ['{', 'not valid JSON'],
  ['{"format": "jsonl",}', 'not valid JSON'],
  ["{'format': 'jsonl'}", 'not valid JSON'],
  ['format: jsonl', 'not valid JSON'],
  [Uint8Array.of(0xff, 0xfe, 0x7b), 'not valid JSON'],
  ['[]', 'expected object', knownSettings],
  ['null', 'expected object', knownSettings],
  ['"jsonl"', 'expected object', knownSettings],
  ['{"fromat": "jsonl"}', 'fromat', knownSettings],
  ['{"format": "exe"}', 'format', 'jsonl'],
  ['{"format": ["jsonl"]}', 'format', 'jsonl'],
  ['{"scope": "everything"}', 'scope', 'approved'],
  ['{"userId": "me"}', 'userId', 'UUID'],
  ['{"retentionHours": "24"}', 'retentionHours', 'number'],
  ['{"retentionHours": 0}', 'retentionHours', 'greater than 0'],
  ['{"retentionHours": 1e300}', 'ten years'],
  ['{"schema": ""}', 'schema'],
  ['{"schema": 5}', 'schema', 'string'],
  ['{"schema": null}', 'schema', 'string'],
  ['{"databaseUrl": ""}', 'databaseUrl'],
  ['{"__proto__": {"format": "jsonl"}}', '__proto__'],
  ['{"constructor": {}}', 'constructor'],
  ['{"schema": "a", "schema": "b"}', 'schema', 'twice'],
  ['['.repeat(100_000), 'not valid JSON'],
];

const filterFiles: FileCase[] = [
  ['', 'not valid JSON'],
  ['{"tier": ["template"]', 'not valid JSON'],
  ['[]', 'expected object'],
  ['null', 'expected object'],
  ['{"tiers": ["template"]}', 'tiers'],
  ['{"tier": "template"}', 'tier', 'array'],
  ['{"tier": []}', 'tier', 'at least one'],
  ['{"tier": [""]}', 'tier.0', 'empty'],
  ['{"tier": [1]}', 'tier.0', 'string'],
  ['{"tier": ["a\\u0000b"]}', 'tier.0', 'NUL'],
  ['{"qualityScoreMin": "8"}', 'qualityScoreMin', 'number'],
  ['{"qualityScoreMin": 11}', 'qualityScoreMin', 'between 0 and 10'],
  ['{"qualityScoreMin": 9, "qualityScoreMax": 1}', 'qualityScoreMin', 'qualityScoreMax'],
  ['{"dateFrom": "2025-02-30"}', 'dateFrom', date],
  ['{"dateTo": 1735689600}', 'dateTo', date],
  ['{"dateFrom": "2025-02-02", "dateTo": "2025-02-01"}', 'dateFrom', 'dateTo'],
  ['{"searchQuery": ""}', 'searchQuery', 'empty'],
  ['{"qualityRange": {"min": 1, "maximum": 2}}', 'qualityRange', 'maximum'],
  ['{"tierTypes": ["a"], "tier": ["b"]}', 'tier'],
  ['{"tier": ["a"], "ti\\u0065r": ["b"]}', 'twice'],
  ['{"__proto__": {"tier": ["x"]}}', '__proto__'],
];

const idFiles: FileCase[] = [
  ['', '--ids-file', 'one id per line'],
  ['\u{feff}\r\n \r\n', '--ids-file', 'one id per line'],
  ['c_000001\nc_00\u{0}0002\n', 'ids', 'NUL'],
];

let database: TestDatabase;
let box: Sandbox;
let files = 0;

beforeAll(async () => {
  database = await createDatabase();
  await seed(database.sql, 2);
  box = await makeSandbox(database);
});

afterAll(async () => {
  await database.drop();
  await box.remove();
});

/** Nothing was started, nothing is on standard output, and the message says what to change. */
async function expectRefusal(
  args: readonly string[],
  says: readonly (string | RegExp)[],
  env: Record<string, string> = {},
): Promise<void> {
  const { exitCode, stdout, stderr } = await box.lora(args, { env, input: '' });
  for (const what of says) {
    if (typeof what === 'string') expect(stderr).toContain(what);
    else expect(stderr).toMatch(what);
  }
  expect(exitCode).toBe(2);
  expect(stdout).toBe('');
  expect(stderr).toMatch(/^lora-export: /);
  expect(stderr).not.toMatch(/^\s+at |node:internal|unexpected error/m);
  expect(stderr.length).toBeLessThan(3_000);
  expect(await database.sql`select from export_logs`).toHaveLength(0);
}

async function writeInput(content: string | Uint8Array): Promise<string> {
  const path = box.path(`input-${++files}`);
  await writeFile(path, content);
  return path;
}

function titleOf(value: string | Uint8Array): string {
  return JSON.stringify(String(value).slice(0, 50));
}

describe.concurrent('status 2 and a message that helps, for the command line', () => {
  for (const [args, ...says] of words) {
    test(args.map((word) => (/^[\w./:=-]+$/.test(word) ? word : titleOf(word))).join(' '), () =>
      expectRefusal(args, says),
    );
  }
});

// Node 20 takes --env-file for itself wherever it stands on the command line; hence another name.
test('a missing --dotenv file', () =>
  expectRefusal(['export', '--dotenv', 'absent.env'], ['absent.env', '--dotenv']));

describe.concurrent('status 2 and a message that helps, for the environment', () => {
  for (const { env, args = [], says } of environment) {
    const [name, value] = Object.entries(env)[0] ?? args;
    test(`${name}=${titleOf(value ?? '')}`, () => expectRefusal(['export', ...args], says, env));
  }
});

describe.concurrent('status 2 and a message that helps, for the configuration file', () => {
  for (const [content, ...says] of configurations) {
    test(titleOf(content), async () => {
      const path = await writeInput(content);
      await expectRefusal(['export', '--config', path], [path, ...says]);
    });
  }

  test('the usual one, in the configuration directory', async () => {
    const home = box.path('another-home');
    const path = `${home}/.config/lora-export/config.json`;
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, '{"fromat": "jsonl"}');
    await expectRefusal(['export'], [path, 'fromat', knownSettings], { HOME: home });
  });
});

describe.concurrent('status 2 and a message that helps, for a filter file', () => {
  for (const [content, ...says] of filterFiles) {
    test(titleOf(content), async () => {
      const path = await writeInput(content);
      await expectRefusal(['export', '--filter-file', path], [path, ...says]);
    });
  }
});

describe.concurrent('status 2 and a message that helps, for a file of ids', () => {
  for (const [content, ...says] of idFiles) {
    test(titleOf(content), async () => {
      const path = await writeInput(content);
      await expectRefusal(['export', '--ids-file', path], says);
    });
  }
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

  test('a file of ids with a byte order mark, CRLF and blank lines', async () => {
    const path = await writeInput('\u{feff}c_000001\r\n\r\n  c_000002 \r\n');
    const { exitCode, stdout } = await box.lora(['export', '--dry-run', '--json', '--ids-file', path]);
    expect(exitCode).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ matched_count: 2 });
  });
});
