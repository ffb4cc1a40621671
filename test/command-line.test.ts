import { execFileSync } from 'node:child_process';
import { Readable } from 'node:stream';
import { Command } from 'commander';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { App } from '../src/cli/app.js';
import { registerExport } from '../src/cli/commands/export.js';
import { toRequest, type ExportFlags } from '../src/cli/export-request.js';
import type { Host } from '../src/cli/host.js';
import { readSettings } from '../src/cli/settings.js';
import { Terminal } from '../src/cli/terminal.js';
import { commandLineOf, shellWords } from '../src/command-line.js';
import { LoraExportError } from '../src/errors.js';
import { formatNames } from '../src/formats/index.js';
import { allowedActions, ruleNames } from '../src/judging/rules.js';
import {
  parseRequest,
  SCOPES,
  SORT_KEYS,
  type ExportRequest,
  type ExportRequestInput,
} from '../src/request.js';
import { targetNames } from '../src/targets/index.js';
import { visible } from '../src/visible.js';
import { collector } from './support/export.js';

const MANAGED = '/var/lib/exports';

/** What the program makes of a command line on a terminal where nothing is configured. */
async function requestOf(words: readonly string[]): Promise<ExportRequest> {
  const [program, name, ...argv] = words;
  expect([program, name]).toEqual(['lora-export', 'export']);
  const host: Host = {
    stdin: Readable.from([]),
    stdout: collector().stream,
    stderr: collector().stream,
    env: {},
    cwd: '/',
    platform: 'linux',
    uid: 0,
    signal: new AbortController().signal,
  };
  const parser = new Command();
  registerExport(parser, new App(host, new Terminal(host), argv));
  const [command] = parser.commands;
  let flags: ExportFlags | undefined;
  command?.exitOverride().action((parsed: ExportFlags) => void (flags = parsed));
  await parser.parseAsync(['export', ...argv], { from: 'user' });
  return parseRequest(
    await toRequest(flags ?? {}, {
      cwd: '/',
      stdin: host.stdin,
      stdoutIsTerminal: true,
      exportDirectory: MANAGED,
      settings: readSettings(flags ?? {}, host),
    }),
  );
}

/** A request without what plays no part in it, which a command line does not say. */
function effective(request: ExportRequest): ExportRequest {
  const { content, layout, format, target, rules, roleMap, gzip, output } = request;
  return JSON.parse(
    JSON.stringify({
      ...request,
      content: target === undefined ? content : undefined,
      layout: {
        compact: layout.compact && format === 'json',
        rawCells: layout.rawCells && format === 'csv',
        bom: layout.bom || !(format === 'csv' || target === 'azure'),
      },
      rules: Object.keys(rules ?? {}).length === 0 ? undefined : rules,
      roleMap: Object.keys(roleMap ?? {}).length === 0 ? undefined : roleMap,
      gzip: gzip || (output.kind === 'file' && output.path.endsWith('.gz')),
    }),
  ) as ExportRequest;
}

/** Words that a careless program would take for flags, expand, or break apart. */
const nasty = fc.oneof(
  fc.string({ unit: 'binary', minLength: 1, maxLength: 12 }),
  fc.constantFrom(
    '--json',
    '-',
    '-o',
    '--no-bom',
    '=x',
    "it's",
    '$HOME',
    '`id`',
    'a\nb',
    '\\',
    '\u202eabc',
    '*',
    '~',
    '!1',
  ),
);
const aText = nasty.filter((value) => !value.includes('\0'));
const aList = fc.array(aText, { minLength: 1, maxLength: 3 });
const aScore = fc.oneof(fc.integer({ min: 0, max: 10 }), fc.double({ min: 0, max: 10, noNaN: true }));
const aDay = fc
  .date({ min: new Date('1990-01-01'), max: new Date('2090-01-01'), noInvalidDate: true })
  .chain((date) => fc.constantFrom(date.toISOString(), date.toISOString().slice(0, 10)));
const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined, freq: 2 });
const aPath = fc
  .array(fc.stringMatching(/^[\w '"$-]{1,6}$/), { minLength: 1, maxLength: 3 })
  .map((names) => `/${names.join('/')}`);

const aRule = fc
  .constantFrom(...ruleNames)
  .chain((rule) => fc.constantFrom(...allowedActions(rule)).map((action) => [rule, action] as const));

const aRequest = fc.record({
  format: fc.constantFrom(...formatNames),
  scope: fc.constantFrom(...SCOPES),
  ids: maybe(aList),
  ignoreMissing: fc.boolean(),
  filters: fc.record({
    tier: maybe(aList),
    status: maybe(aList),
    qualityScoreMin: maybe(aScore),
    qualityScoreMax: maybe(aScore),
    dateFrom: maybe(aDay),
    dateTo: maybe(aDay),
    categories: maybe(aList),
    personas: maybe(aList),
    emotions: maybe(aList),
    topics: maybe(aList),
    searchQuery: maybe(aText),
    parentId: maybe(aText),
    createdBy: maybe(aText),
  }),
  excludeStatus: maybe(aList),
  sort: fc.record({
    key: fc.constantFrom(...SORT_KEYS),
    order: fc.constantFrom('asc' as const, 'desc' as const),
  }),
  limit: maybe(fc.integer({ min: 1, max: 2_147_483_647 })),
  content: fc.record({
    includeMetadata: fc.boolean(),
    includeQualityScores: fc.boolean(),
    includeTimestamps: fc.boolean(),
    includeApprovalHistory: fc.boolean(),
    includeParentReferences: fc.boolean(),
    includeFullContent: fc.boolean(),
  }),
  layout: fc.record({ compact: fc.boolean(), bom: fc.boolean(), rawCells: fc.boolean() }),
  output: fc.oneof(
    fc.constant({ kind: 'stream' as const }),
    fc.constant({ kind: 'managed' as const, directory: MANAGED }),
    aPath.map((path) => ({ kind: 'directory' as const, path })),
    fc.tuple(aPath, fc.constantFrom('.jsonl', '.x', '.jsonl.gz')).map(([path, end]) => ({
      kind: 'file' as const,
      path: `${path}${end}`,
    })),
  ),
  target: maybe(fc.constantFrom(...targetNames)),
  shape: maybe(aText),
  rules: maybe(fc.array(aRule, { maxLength: 4 }).map((entries) => Object.fromEntries(entries))),
  roleMap: maybe(
    fc.dictionary(
      aText.filter((key) => key !== '__proto__'),
      fc.constantFrom('system', 'user', 'assistant', 'tool_call', 'tool'),
      { maxKeys: 3 },
    ),
  ),
  systemPrompt: maybe(
    fc.oneof(
      aText.map((text) => ({ text })),
      fc.constantFrom('prompt', 'a.b', 'a..b', 'with space').map((parameter) => ({ parameter })),
    ),
  ),
  expand: maybe(fc.constant('pairs' as const)),
  verify: maybe(fc.boolean()),
  tokens: fc.boolean(),
  maxSkipped: maybe(
    fc.oneof(
      fc.integer({ min: 0, max: 2_000_000_000 }).map((count) => ({ count })),
      fc
        .oneof(fc.integer({ min: 0, max: 100 }), fc.double({ min: 0, max: 100, noNaN: true }))
        .map((percent) => ({
          percent,
        })),
    ),
  ),
  gzip: fc.boolean(),
  force: fc.boolean(),
  strict: fc.boolean(),
  allowEmpty: fc.boolean(),
  batchSize: fc.integer({ min: 1, max: 10_000 }),
  jobs: maybe(fc.integer({ min: 1, max: 16 })),
  retentionHours: fc.constantFrom(24, 0.5, 0.0001, 1 / 3, 87_840),
  schema: aText,
  auditSchema: aText,
  userId: maybe(fc.uuid()),
  allUsers: fc.boolean(),
  requireAll: fc.boolean(),
});

describe('commandLineOf', () => {
  it('says what the parser of the command line takes for the same request', async () => {
    let said = 0;
    let unsayable = 0;
    await fc.assert(
      fc.asyncProperty(aRequest, fc.constantFrom(...MEMBERS), async (made, kept) => {
        // Requests with everything at once are hardly ever valid, or sayable; so only a few members are drawn.
        const input = Object.fromEntries(
          Object.entries(made).filter(([key]) => kept.includes(key)),
        ) as ExportRequestInput;
        const request = validOr(input);
        fc.pre(request !== null);
        const words = commandLineOf(request);
        if (words === null) unsayable++;
        else {
          said++;
          expect(effective(await requestOf(words))).toEqual(effective(request));
        }
      }),
      { numRuns: 1_500 },
    );
    // Most requests can be said, and the others are met too.
    expect(said).toBeGreaterThan(unsayable);
    expect(unsayable).toBeGreaterThan(10);
  });

  it('is short for a short request', () => {
    expect(commandLineOf({})).toEqual(
      'lora-export export --format jsonl --scope approved --output -'.split(' '),
    );
    expect(
      commandLineOf({ scope: 'selected', ids: ['a', 'b'], target: 'openai', output: MANAGED_OUTPUT }),
    ).toEqual('lora-export export --target openai --ids a,b'.split(' '));
  });

  it.each<[string, ExportRequestInput]>([
    ['a value with a comma', { filters: { tier: ['a,b'] } }],
    ['a value with white space around it', { filters: { topics: [' a'] } }],
    ['an id with a comma', { scope: 'selected', ids: ['a,b'] }],
    ['a role with a comma', { roleMap: { 'a,b': 'user' } }],
    ['a role with an equals sign', { roleMap: { 'a=b': 'user' } }],
    ['a score with more digits than flags take', { filters: { qualityScoreMin: 1 / 3 } }],
    ['a score that is printed with an exponent', { filters: { qualityScoreMin: 1e-7 } }],
    ['a share with more digits than flags take', { maxSkipped: { percent: 12.3456 } }],
    ['a moment below the microsecond', { filters: { dateFrom: '2025-10-29T10:00:00.1234567Z' } }],
    ['a parameter that is no path', { systemPrompt: { parameter: 'a b' } }],
    ['a name in .gz without compression', { output: { kind: 'file', path: '/a.gz' } }],
    ['more ids than fit on a line', { scope: 'selected', ids: Array.from({ length: 900 }, () => ID) }],
  ])('says null for %s', (_name, request) => {
    expect(commandLineOf(request)).toBeNull();
  });

  it('keeps a value that looks like a flag in one word with its own flag', () => {
    expect(commandLineOf({ filters: { searchQuery: '--json' } })).toContain('--search=--json');
  });

  it('refuses a request that is not valid', () => {
    expect(() => commandLineOf({ scope: 'selected' })).toThrow(LoraExportError);
  });
});

const ID = '6f3c0b1e-5d1a-4c0f-9a51-b8f0a2b7c9d4';
const MANAGED_OUTPUT = { kind: 'managed', directory: MANAGED } as const;

/** Members that are drawn together. */
const MEMBERS: readonly (readonly string[])[] = [
  ['format', 'scope', 'content', 'layout', 'filters'],
  ['filters', 'excludeStatus', 'sort', 'limit'],
  ['scope', 'ids', 'ignoreMissing', 'output', 'gzip'],
  ['target', 'shape', 'layout', 'content', 'rules', 'expand'],
  ['rules', 'roleMap', 'strict', 'maxSkipped'],
  ['systemPrompt', 'verify', 'tokens', 'batchSize', 'jobs', 'retentionHours'],
  ['output', 'gzip', 'force', 'allowEmpty', 'requireAll'],
  ['schema', 'auditSchema', 'userId', 'allUsers'],
  ['roleMap', 'maxSkipped', 'systemPrompt'],
];

function validOr(input: ExportRequestInput): ExportRequest | null {
  try {
    return parseRequest(input);
  } catch {
    return null;
  }
}

describe('shellWords', () => {
  const throughBash = (line: string): string[] =>
    execFileSync('bash', ['--norc', '-c', `printf '%s\\0' ${line}`], { encoding: 'utf8', env: {} })
      .split('\0')
      .slice(0, -1);

  it('makes a line that a shell takes apart into the same words, and that a terminal can show', () => {
    fc.assert(
      fc.property(fc.array(aText, { minLength: 1, maxLength: 20 }), (words) => {
        const whole = words.map((word) => word.toWellFormed());
        const line = shellWords(whole);
        expect(visible(line)).toBe(line);
        expect(throughBash(line)).toEqual(whole);
      }),
      { numRuns: 150 },
    );
  });

  it('leaves plain words alone', () => {
    expect(shellWords(['lora-export', '--output', '/tmp/a.jsonl', '--max-skipped', '5%'])).toBe(
      'lora-export --output /tmp/a.jsonl --max-skipped 5%',
    );
    expect(shellWords(['a b', '', "it's"])).toBe(String.raw`'a b' '' 'it'\''s'`);
  });
});
