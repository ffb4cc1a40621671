import { Readable } from 'node:stream';
import { describe, expect, it, test } from 'vitest';
import { toRequest, type ExportFlags } from '../../src/cli/export-request.js';
import { overlay } from '../../src/cli/overlay-presets.js';
import { findPreset, presetOf, presetSchema, type Preset } from '../../src/cli/presets.js';
import { readSettings, type Settings } from '../../src/cli/settings.js';
import { LoraExportError } from '../../src/errors.js';
import { parseRequest, type ExportRequestInput } from '../../src/request.js';

const NOWHERE = '/nowhere/that/exists';

/** Settings of the environment alone, with presets. */
function settingsWith(presets: Readonly<Record<string, Preset>>, env: Record<string, string> = {}): Settings {
  const settings = readSettings({}, { cwd: NOWHERE, env, platform: 'linux', uid: 1000 });
  const stored = Object.entries(presets).map(([name, preset]) => [name, { preset, path: NOWHERE }] as const);
  return { ...settings, presets: new Map(stored) };
}

/** What the command line means, given a preset called p. */
function requestOf(flags: ExportFlags, preset: Preset, env: Record<string, string> = {}) {
  return toRequest(
    { preset: 'p', ...flags },
    {
      cwd: NOWHERE,
      stdin: Readable.from([]),
      stdoutIsTerminal: false,
      exportDirectory: NOWHERE,
      settings: settingsWith({ p: preset }, env),
    },
  );
}

async function refusal(flags: ExportFlags, preset: Preset): Promise<string> {
  const error: unknown = await requestOf(flags, preset)
    .then(parseRequest)
    .catch((reason: unknown) => reason);
  if (error instanceof LoraExportError && error.code === 'E_USAGE') return error.message;
  throw new Error(`It was not refused: ${String(error)}`);
}

/** Everything that a preset can hold. */
const FULL = {
  format: 'json',
  scope: 'selected',
  ids: ['a', 'b'],
  ignoreMissing: true,
  filters: { tier: ['template'], qualityScoreMin: 8, dateFrom: '2025-01-01' },
  excludeStatus: ['rejected'],
  sort: { key: 'title', order: 'desc' },
  limit: 10,
  content: { includeMetadata: false },
  layout: { compact: true },
  rules: { 'equal-neighbours': 'skip' },
  roleMap: { human: 'user' },
  systemPrompt: { text: 'Be brief.' },
  expand: 'pairs',
  verify: true,
  tokens: true,
  maxSkipped: { percent: 5 },
  gzip: true,
  strict: true,
  allowEmpty: true,
  requireAll: true,
} as const satisfies ExportRequestInput;

describe('a preset alone', () => {
  it('is what is exported, member by member', async () => {
    expect(await requestOf({}, structuredClone(FULL) as unknown as Preset)).toMatchObject(FULL);
  });

  it('is not overridden by what the parser says of flags that nobody typed', async () => {
    const request = await requestOf({ bom: true }, { format: 'csv', layout: { bom: false } });
    expect(request.layout).toEqual({ bom: false });
  });

  it('wins over the usual scope and the usual format or target', async () => {
    const env = { LORA_EXPORT_SCOPE: 'all', LORA_EXPORT_TARGET: 'openai' };
    expect(await requestOf({}, { limit: 5 }, env)).toMatchObject({ scope: 'all', target: 'openai' });
    const csv = await requestOf({}, { scope: 'approved', format: 'csv' }, env);
    expect(csv).toMatchObject({ scope: 'approved', format: 'csv' });
    expect(csv).not.toHaveProperty('target');
    const trl = await requestOf({}, { target: 'trl' }, { LORA_EXPORT_FORMAT: 'csv' });
    expect(trl).toMatchObject({ target: 'trl' });
    expect(trl).not.toHaveProperty('format');
  });

  it('needs no scope when it names ids', async () => {
    expect(await requestOf({}, { ids: ['a'] }, { LORA_EXPORT_SCOPE: 'all' })).toMatchObject({
      scope: 'selected',
      ids: ['a'],
    });
  });
});

describe('typed flags win over a preset', () => {
  const cases: readonly (readonly [why: string, ExportFlags, Preset, becomes: object])[] = [
    [
      'one filter at a time',
      { minQuality: 9, persona: ['x'] },
      { filters: { tier: ['t'], qualityScoreMin: 8 } },
      { filters: { tier: ['t'], qualityScoreMin: 9, personas: ['x'] } },
    ],
    ['a scope, and its ids with it', { scope: 'all' }, { ids: ['a'] }, { scope: 'all', ids: undefined }],
    ['ids, and the scope with them', { ids: ['z'] }, { scope: 'all' }, { scope: 'selected', ids: ['z'] }],
    ['ids in place of others', { ids: ['z'] }, { scope: 'selected', ids: ['a'] }, { ids: ['z'] }],
    ['the same scope keeps the ids', { scope: 'selected' }, { ids: ['a'] }, { ids: ['a'] }],
    [
      'a target, and all that said how the file is written',
      { target: 'gemini' },
      { format: 'csv', content: { includeApprovalHistory: true }, layout: { bom: false }, limit: 5 },
      { target: 'gemini', format: undefined, content: {}, layout: {}, limit: 5 },
    ],
    [
      'a target in place of another with its shape',
      { target: 'alpaca' },
      { target: 'trl', shape: 'messages' },
      { target: 'alpaca', shape: undefined },
    ],
    ['the same target keeps the shape', { target: 'trl' }, { target: 'trl', shape: 'x' }, { shape: 'x' }],
    [
      'a format, and the layout of the other one',
      { format: 'csv' },
      { format: 'json', layout: { compact: true }, content: { includeMetadata: false } },
      { format: 'csv', layout: {}, content: { includeMetadata: false } },
    ],
    ['jsonl, which a target is written in', { format: 'jsonl' }, { target: 'trl' }, { target: 'trl' }],
    [
      'parts of the content',
      { timestamps: false },
      { content: { includeMetadata: false, includeTimestamps: true } },
      { content: { includeMetadata: false, includeTimestamps: false } },
    ],
    [
      'single rules and role words',
      { on: { 'no-turns': 'fail' }, roleMap: { bot: 'assistant' } },
      { rules: { 'equal-neighbours': 'skip' }, roleMap: { bot: 'user', human: 'user' } },
      {
        rules: { 'equal-neighbours': 'skip', 'no-turns': 'fail' },
        roleMap: { bot: 'assistant', human: 'user' },
      },
    ],
    [
      'a direction alone',
      { order: 'asc' },
      { sort: { key: 'title', order: 'desc' } },
      { sort: { key: 'title', order: 'asc' } },
    ],
    [
      'a sort key with its own direction',
      { sort: 'tier' },
      { sort: { key: 'title', order: 'desc' } },
      { sort: { key: 'tier', order: 'asc' } },
    ],
    ['no verification', { verify: false }, { verify: true }, { verify: false }],
    [
      'a system prompt',
      { systemPromptFrom: 'prompt' },
      { systemPrompt: { text: 'x' } },
      { systemPrompt: { parameter: 'prompt' } },
    ],
  ];
  for (const [why, flags, preset, becomes] of cases) {
    test(why, async () => {
      const request = (await requestOf(flags, preset)) as Record<string, unknown>;
      for (const [member, value] of Object.entries(becomes)) expect(request[member]).toEqual(value);
    });
  }

  const refusals: readonly (readonly [ExportFlags, Preset, says: string])[] = [
    [
      { format: 'csv' },
      { target: 'openai' },
      '--format csv and the target of preset p contradict each other',
    ],
    [{ metadata: true }, { target: 'openai' }, '--metadata and target openai contradict each other'],
    [{ compact: true }, { format: 'csv' }, '--compact belongs to --format json'],
    [{ csvRaw: true }, { target: 'openai' }, '--csv-raw belongs to --format csv'],
    [{ shape: 'messages' }, { format: 'jsonl' }, 'shapes belong to a target'],
    [{ minQuality: 9 }, { filters: { qualityScoreMax: 8 } }, 'must not be greater than qualityScoreMax'],
    [{ scope: 'filtered' }, { limit: 3 }, 'at least one filter'],
  ];
  for (const [flags, preset, says] of refusals) {
    test(`except for ${JSON.stringify(flags)} against ${JSON.stringify(preset)}`, async () => {
      expect(await refusal(flags, preset)).toContain(says);
    });
  }
});

describe('the usual format and target', () => {
  it('give way to whichever stands nearer to the command line', async () => {
    const env = { LORA_EXPORT_TARGET: 'openai' };
    const csv = await requestOf({ format: 'csv' }, {}, env);
    expect(csv).toMatchObject({ format: 'csv' });
    expect(csv).not.toHaveProperty('target');
    const plain = await requestOf({ format: 'jsonl' }, {}, env);
    expect(plain).not.toHaveProperty('target');
    expect(await requestOf({ target: 'trl' }, {}, { LORA_EXPORT_FORMAT: 'csv' })).not.toHaveProperty(
      'format',
    );
  });

  it('contradict each other when they stand at the same place', async () => {
    const env = { LORA_EXPORT_TARGET: 'openai', LORA_EXPORT_FORMAT: 'csv' };
    await expect(requestOf({}, {}, env)).rejects.toThrow(
      'format csv and target openai contradict each other',
    );
  });
});

describe('a preset of a request', () => {
  it('leaves out where, for whom and how fast', () => {
    const preset = presetOf({
      output: { kind: 'file', path: '/x.jsonl.gz' },
      gzip: true,
      force: true,
      batchSize: 7,
      retentionHours: 3,
      schema: 's',
      auditSchema: 'a',
      userId: '00000000-0000-4000-8000-000000000001',
      allUsers: true,
      content: {},
      filters: { tier: ['t'] },
    });
    expect(preset).toEqual({ scope: 'approved', format: 'jsonl', filters: { tier: ['t'] } });
  });

  it('means the same request again, whatever the settings are by then', async () => {
    const preset = presetOf(FULL);
    expect(preset).toEqual(FULL);
    const env = { LORA_EXPORT_SCOPE: 'all', LORA_EXPORT_TARGET: 'openai' };
    const again = parseRequest(await requestOf({}, preset, env));
    expect(presetOf(again)).toMatchObject(FULL);
    expect(presetOf({ target: 'openai' })).toEqual({ scope: 'approved', target: 'openai' });
  });

  it('has a schema that takes every member and fills in none', () => {
    expect(presetSchema.safeParse(FULL).success).toBe(true);
    expect(presetSchema.parse({})).toEqual({});
  });
});

describe('finding a preset', () => {
  const stored = { preset: {}, path: '/c.json' };

  it('suggests what was meant and lists what there is', () => {
    const presets = new Map([
      ['gold', stored],
      ['silver', stored],
    ]);
    const attempt = () => findPreset(presets, 'glod');
    expect(attempt).toThrow('There is no preset glod. Did you mean gold?');
    expect(attempt).toThrow(expect.objectContaining({ hint: 'Presets: gold, silver.' }));
    expect(() => findPreset(presets, 'toString')).toThrow('There is no preset toString.');
  });

  it('says when none is saved', () => {
    expect(() => findPreset(new Map(), 'gold')).toThrow('There is no preset gold; none is saved.');
  });
});

test('what is laid over another changes neither', () => {
  const base: Preset = { ids: ['a'], filters: { tier: ['t'] }, format: 'csv', layout: { bom: false } };
  const over: Preset = { scope: 'all', target: 'trl', filters: { topics: ['x'] } };
  const before = structuredClone([base, over]);
  overlay(base, over);
  expect([base, over]).toEqual(before);
});
