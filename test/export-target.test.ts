import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { parseDatabaseUrl } from '../src/db/target.js';
import { previewExport } from '../src/preview.js';
import type { ExportRequestInput } from '../src/request.js';
import type { RuleCount } from '../src/judging/tally.js';
import { createDatabase, type TestDatabase } from './support/database.js';
import { addConversation, auditRows, failureOf, runExport, type Exported } from './support/export.js';

let database: TestDatabase;
let directory: string;

beforeEach(async () => {
  database = await createDatabase();
  directory = await mkdtemp(join(tmpdir(), 'lora-target-'));
});
afterEach(async () => {
  await database.drop();
  await rm(directory, { recursive: true, force: true });
});

type Turns = readonly (readonly [role: string, content: string | null])[];

/** One conversation per name, in the order given. */
async function add(conversations: Record<string, Turns>): Promise<void> {
  let minute = 0;
  for (const [conversation_id, turns] of Object.entries(conversations)) {
    const created_at = new Date(Date.UTC(2025, 0, 1, 0, minute++)).toISOString();
    await addConversation(database.sql, { conversation_id, created_at }, turns);
  }
}

const SOUND: Turns = [
  ['user', 'a'],
  ['assistant', 'b'],
];

/** Flaws that a target has put right. */
const REPAIRED: Record<string, Turns> = {
  'ends-with-user': [...SOUND, ['user', 'c']],
  'equal-neighbours': [
    ['user', 'a'],
    ['user', 'b'],
    ['assistant', 'c'],
    ['assistant', 'd'],
  ],
  'several-system': [['system', 's'], ['system', 't'], ...SOUND],
  'blank-content': [['system', ' \n'], ...SOUND],
};

/** Flaws that a target has left out. */
const SKIPPED: Record<string, Turns> = {
  'no-turns': [],
  'no-assistant': [['user', 'a']],
  'unknown-role': [
    ['human', 'a'],
    ['user', 'a'],
    ['gpt', 'b'],
    ['assistant', 'b'],
  ],
  'blank-answer': [
    ['user', 'a'],
    ['assistant', ' '],
  ],
  'starts-with-assistant': [['assistant', 'Welcome!'], ...SOUND],
  'late-system': [...SOUND, ['system', 's'], ...SOUND],
  'reserved-text': [
    ['user', 'a'],
    ['assistant', 'b<|endoftext|>'],
  ],
};

/** The messages of every line in short form. */
function messagesOf({ lines }: Exported): string[][] {
  return lines.map(({ messages }) => messages.map(({ role, content }) => `${role}: ${content}`));
}

function one(id: string): RuleCount {
  return { count: 1, ids: [id] };
}

describe('an export for a target', () => {
  it('repairs what it can, leaves out what it cannot, and accounts for both everywhere', async () => {
    await add({ sound: SOUND, ...REPAIRED, ...SKIPPED });
    const exported = await runExport(database, { target: 'openai' });
    const { result, reports } = exported;

    expect(messagesOf(exported)).toEqual([
      ['user: a', 'assistant: b'],
      ['user: a', 'assistant: b'],
      ['user: a\n\nb', 'assistant: c\n\nd'],
      ['system: s\n\nt', 'user: a', 'assistant: b'],
      ['user: a', 'assistant: b'],
    ]);
    for (const line of exported.lines) expect(Object.keys(line)).toEqual(['messages']);
    const repairs = Object.fromEntries(Object.keys(REPAIRED).map((rule) => [rule, one(rule)]));
    const skips = Object.fromEntries(Object.keys(SKIPPED).map((rule) => [rule, one(rule)]));
    expect(result).toMatchObject({ target: 'openai', format: 'jsonl' });
    expect(result.counts).toEqual({
      matched: 12,
      written: 5,
      skipped: 7,
      turns: 11,
      rows: 5,
      skips,
      repairs,
      warnings: {},
      failures: {},
    });
    expect(reports.map(({ conversation_id, action, rule }) => [conversation_id, action, rule])).toEqual([
      ...Object.keys(REPAIRED).map((rule) => [rule, 'repaired', rule]),
      ...Object.keys(SKIPPED).map((rule) => [rule, 'skipped', rule]),
    ]);
    const audit = await auditRows(database.sql, result.exportId);
    expect(audit?.run).toMatchObject({ repairs, skips, warnings: {}, written_count: 5, skipped_count: 7 });
    expect(audit?.log).toMatchObject({ status: 'completed', format: 'jsonl', conversation_count: 5 });
    expect(audit?.log['config']).toMatchObject({ target: 'openai', result: { rows: 5, turns: 11 } });
  });

  it('says which limits of the target the whole file breaks, and writes it all the same', async () => {
    await add({ sound: SOUND });
    const { result, lines } = await runExport(database, { target: 'openai' });
    expect(lines).toHaveLength(1);
    expect(result.brokenLimits).toHaveLength(1);
  });

  it('leaves the data of an export without a target as it is stored', async () => {
    await add(REPAIRED);
    const { result, lines } = await runExport(database);
    expect(lines.map(({ messages }) => messages.length)).toEqual([3, 4, 4]);
    expect(result.counts).toMatchObject({ written: 3, skipped: 1, repairs: {} });
    expect(result.target).toBeNull();
  });
});

describe('exceptions to the rules', () => {
  it.each<[string, ExportRequestInput['rules'], string, string[] | null]>([
    ['skip what would be repaired', { 'ends-with-user': 'skip' }, 'ends-with-user', null],
    [
      'keep what would be repaired',
      { 'equal-neighbours': 'keep' },
      'equal-neighbours',
      ['user: a', 'user: b', 'assistant: c', 'assistant: d'],
    ],
    [
      'ignore what would be repaired',
      { 'equal-neighbours': 'ignore' },
      'equal-neighbours',
      ['user: a', 'user: b', 'assistant: c', 'assistant: d'],
    ],
    [
      'repair what would be skipped',
      { 'starts-with-assistant': 'repair' },
      'starts-with-assistant',
      ['user: a', 'assistant: b'],
    ],
    [
      'move a prompt to the front',
      { 'late-system': 'repair', 'equal-neighbours': 'keep' },
      'late-system',
      ['system: s', 'user: a', 'assistant: b', 'user: a', 'assistant: b'],
    ],
  ])('%s', async (_name, rules, rule, expected) => {
    await add({ [rule]: { ...REPAIRED, ...SKIPPED }[rule] ?? [] });
    const exported = await runExport(database, { target: 'openai', rules, allowEmpty: true });
    expect(messagesOf(exported)).toEqual(expected === null ? [] : [expected]);
    const action = Object.values(rules ?? {})[0];
    const { skips, repairs, warnings } = exported.result.counts;
    const lists = { skip: skips, repair: repairs, keep: warnings, ignore: {}, fail: {} };
    for (const [name, list] of Object.entries(lists))
      expect(Object.keys(list)).toEqual(name === action && name !== 'ignore' ? [rule] : []);
  });

  it('fail the run at its end with all that was found, and publish nothing', async () => {
    await add({ sound: SOUND, one: SKIPPED['late-system'] ?? [], two: SKIPPED['late-system'] ?? [], no: [] });
    const reported: unknown[] = [];
    const error = await failureOf(
      runExport(
        database,
        { target: 'trl', rules: { 'late-system': 'fail' }, output: { kind: 'directory', path: directory } },
        { onReport: (line) => reported.push([line.conversation_id, line.action]) },
      ),
      'E_DATA',
    );
    expect(error.message).toContain('late-system in 2 (one, two)');
    expect(reported).toEqual([
      ['one', 'failed'],
      ['two', 'failed'],
      ['no', 'skipped'],
    ]);
    expect(await readdir(directory)).toEqual([]);
    expect((await auditRows(database.sql, error.exportId))?.log).toMatchObject({
      status: 'failed',
      file_url: null,
      error_message: error.message,
    });
  });

  it('work without a target, too', async () => {
    await add({ 'ends-with-user': REPAIRED['ends-with-user'] ?? [] });
    const exported = await runExport(database, { rules: { 'ends-with-user': 'repair' } });
    expect(messagesOf(exported)).toEqual([['user: a', 'assistant: b']]);
    expect(exported.result.counts.repairs).toEqual({ 'ends-with-user': one('ends-with-user') });
  });

  it('are refused before anything is started where they make no sense', async () => {
    const nonsense: ExportRequestInput[] = [
      { rules: { 'no-turns': 'keep' } },
      { rules: { 'late-system': 'mend' as 'repair' } },
      { rules: { 'late-systems': 'skip' } as ExportRequestInput['rules'] },
      { target: 'openai', rules: { 'late-system': 'keep' } },
      { target: 'openai', rules: { 'several-system': 'ignore' } },
      { target: 'trl', rules: { 'tool-turn': 'keep' } },
      { target: 'openai', format: 'csv' },
      { shape: 'messages' },
      { target: 'openai', shape: 'round' },
    ];
    for (const request of nonsense) await failureOf(runExport(database, request), 'E_USAGE');
    expect(await database.sql`select 1 from export_logs`).toHaveLength(0);
  });
});

describe('conditions of an export', () => {
  it('in strict mode fail it for a repair', async () => {
    await add({ sound: SOUND, flawed: REPAIRED['ends-with-user'] ?? [] });
    const error = await failureOf(runExport(database, { target: 'openai', strict: true }), 'E_DATA');
    expect(error.message).toContain('ends-with-user in 1 (flawed)');
    const { result } = await runExport(database, {
      target: 'openai',
      strict: true,
      scope: 'selected',
      ids: ['sound'],
    });
    expect(result.counts.written).toBe(1);
  });

  it.each<[ExportRequestInput['maxSkipped'], boolean]>([
    [{ count: 1 }, true],
    [{ count: 0 }, false],
    [{ percent: 25 }, true],
    [{ percent: 24.9 }, false],
  ])('of at most %j skipped: one in four passes = %s', async (maxSkipped, passes) => {
    await add({ a: SOUND, b: SOUND, c: SOUND, 'no-turns': [] });
    const run = runExport(database, { target: 'openai', maxSkipped });
    if (passes) expect((await run).result.counts).toMatchObject({ written: 3, skipped: 1 });
    else {
      const error = await failureOf(run, 'E_DATA');
      expect(error.message).toContain('1 of 4 conversations were skipped');
      expect((await auditRows(database.sql, error.exportId))?.log['status']).toBe('failed');
    }
  });
});

describe('what is done before a conversation is judged', () => {
  it('maps the role words of the database', async () => {
    await add({
      a: [
        ['human', 'x'],
        ['gpt', 'y'],
      ],
      b: [
        ['Human', 'x'],
        ['assistant', 'y'],
      ],
    });
    const exported = await runExport(database, {
      target: 'openai',
      roleMap: { human: 'user', gpt: 'assistant' },
    });
    expect(messagesOf(exported)).toEqual([['user: x', 'assistant: y']]);
    expect(Object.keys(exported.result.counts.skips)).toEqual(['no-user']);
    const audit = await auditRows(database.sql, exported.result.exportId);
    expect(audit?.log['config']).toMatchObject({ roleMap: { human: 'user', gpt: 'assistant' } });
  });

  it('gives a system prompt to conversations that store none', async () => {
    await add({ none: SOUND, own: [['system', 'mine'], ...SOUND] });
    const exported = await runExport(database, { target: 'openai', systemPrompt: { text: 'given\n' } });
    expect(messagesOf(exported)).toEqual([
      ['system: given\n', 'user: a', 'assistant: b'],
      ['system: mine', 'user: a', 'assistant: b'],
    ]);
    expect(exported.result.counts).toMatchObject({ turns: 6, warnings: {}, repairs: {} });
  });

  it('takes the system prompt from the parameters, which the file does not show', async () => {
    const { sql } = database;
    const parameters = sql.json({ persona: { prompt: 'Be "kind".' }, secret: 1 });
    const plain = { created_at: '2025-01-02T00:00:00Z' };
    await addConversation(sql, { conversation_id: 'with', parameters, created_at: '2025-01-01T00:00:00Z' });
    await addConversation(sql, { conversation_id: 'without', ...plain });
    const systemPrompt = { parameter: 'persona.prompt' };
    const exported = await runExport(database, { target: 'openai', systemPrompt });
    expect(messagesOf(exported)).toEqual([
      ['system: Be "kind".', 'user: question', 'assistant: answer'],
      ['user: question', 'assistant: answer'],
    ]);
    for (const format of ['jsonl', 'json', 'csv', 'markdown'] as const) {
      const { text } = await runExport(database, {
        format,
        systemPrompt,
        content: { includeMetadata: false },
      });
      expect(text).toContain('kind');
      expect(text).not.toContain('secret');
    }
  });

  it('leaves the stored token counts with their turns when a prompt is put before them', async () => {
    const { sql } = database;
    const id = await addConversation(sql, { conversation_id: 'counted' });
    await sql`update conversation_turns set token_count = 10 * turn_number where conversation_id = ${id}`;
    const { text } = await runExport(database, { format: 'json', systemPrompt: { text: 'Be kind.' } });
    const { conversations } = JSON.parse(text) as { conversations: { turns: object[] }[] };
    expect(conversations[0]?.turns).toEqual([
      { role: 'system', content: 'Be kind.' },
      { role: 'user', content: 'question', token_count: 10 },
      { role: 'assistant', content: 'answer', token_count: 20 },
    ]);
  });
});

describe('expanded to pairs', () => {
  const long: Turns = [['system', 's'], ...SOUND, ['user', 'c'], ['assistant', 'd'], ['user', 'e']];

  it('a conversation becomes one row per answer, each with what came before', async () => {
    await add({ long, short: SOUND });
    const exported = await runExport(database, { target: 'openai', expand: 'pairs' });
    expect(messagesOf(exported)).toEqual([
      ['system: s', 'user: a', 'assistant: b'],
      ['system: s', 'user: a', 'assistant: b', 'user: c', 'assistant: d'],
      ['user: a', 'assistant: b'],
    ]);
    expect(exported.result.counts).toMatchObject({ matched: 2, written: 2, rows: 3, turns: 7 });
  });

  it('a document that starts with its count counts its rows', async () => {
    await add({ long: long.slice(0, -1), short: SOUND });
    const { text, result } = await runExport(database, { format: 'json', expand: 'pairs' });
    const document = JSON.parse(text) as { conversation_count: number; conversations: unknown[] };
    expect(document.conversation_count).toBe(3);
    expect(document.conversations).toHaveLength(3);
    expect(result.counts).toMatchObject({ written: 2, rows: 3 });
  });
});

describe('what is told afterwards', () => {
  it('are the notes of the encoder, in the result and in the audit log', async () => {
    await add({
      formula: [
        ['user', '=1+1'],
        ['assistant', '-2'],
      ],
      plain: SOUND,
    });
    const { result } = await runExport(database, { format: 'csv' });
    expect(Object.values(result.notes)).toEqual([2]);
    const audit = await auditRows(database.sql, result.exportId);
    expect(audit?.log['config']).toMatchObject({ result: { notes: result.notes } });
    expect((await runExport(database, { format: 'csv', layout: { rawCells: true } })).result.notes).toEqual(
      {},
    );
  });

  it('are tokens, of what was written and only when asked for', async () => {
    await add({
      a: [
        ['user', 'hello world'],
        ['assistant', 'hello'],
      ],
      b: [...SOUND, ['user', 'not written']],
      c: [],
    });
    expect((await runExport(database, { target: 'openai' })).result.tokens).toBeNull();
    const { result } = await runExport(database, { target: 'openai', tokens: true });
    expect(result.tokens).toEqual({
      encoding: 'o200k_base',
      conversation: { total: 5, min: 2, median: 2, p95: 3, max: 3 },
      byRole: {
        user: { total: 3, min: 1, median: 1, p95: 2, max: 2 },
        assistant: { total: 2, min: 1, median: 1, p95: 1, max: 1 },
      },
      overLimit: { limit: 65_536, count: 0 },
    });
    const audit = await auditRows(database.sql, result.exportId);
    expect(audit?.log['config']).toMatchObject({ result: { tokens: result.tokens } });
  });

  it('is a conversation over the limit of tokens: kept, cut at an answer, or left out', async () => {
    const much = 'word '.repeat(40_000);
    await add({
      long: [
        ['user', 'a'],
        ['assistant', much],
        ['user', 'b'],
        ['assistant', much],
      ],
    });
    const kept = await runExport(database, { target: 'openai' });
    expect(kept.result.counts.warnings).toEqual({ 'over-token-limit': one('long') });
    const cut = await runExport(database, { target: 'openai', rules: { 'over-token-limit': 'repair' } });
    expect(cut.lines[0]?.messages).toHaveLength(2);
    expect(cut.result.counts.repairs).toEqual({ 'over-token-limit': one('long') });
    await failureOf(
      runExport(database, { target: 'openai', rules: { 'over-token-limit': 'skip' } }),
      'E_EMPTY',
    );
  });
});

it('the same export twice gives the same bytes, in a file as in a stream', async () => {
  await add({ sound: SOUND, ...REPAIRED, ...SKIPPED });
  const output = { kind: 'file', path: join(directory, 'out.jsonl') } as const;
  const first = await runExport(database, { target: 'together' });
  await runExport(database, { target: 'together', output, batchSize: 1 });
  expect(await readFile(output.path)).toEqual(first.bytes);
});

describe('preference pairs', () => {
  const question = ['user', 'Where is order 7?'] as const;
  const answered = (answer: string): Turns => [question, ['assistant', answer]];

  it('are made of an approved conversation and a rejected one of its family with the same prompt', async () => {
    const { sql } = database;
    const parent = '00000000-0000-4000-8000-0000000000aa';
    const yes = await addConversation(sql, { conversation_id: 'yes' }, answered('It ships today.'));
    await addConversation(sql, { conversation_id: 'sibling', parent_id: parent }, answered('On day 7.'));
    await addConversation(sql, { conversation_id: 'alone' }, answered('Let me look.'));
    const rejected = { status: 'rejected', quality_score: 1 };
    await addConversation(
      sql,
      { conversation_id: 'child', parent_id: yes, ...rejected },
      answered('No idea.'),
    );
    await addConversation(
      sql,
      { conversation_id: 'same', parent_id: yes, ...rejected },
      answered('It ships today.'),
    );
    await addConversation(
      sql,
      { conversation_id: 'cousin', parent_id: parent, ...rejected },
      answered('Never.'),
    );
    await addConversation(sql, { conversation_id: 'stranger', ...rejected }, answered('Go away.'));

    const request: ExportRequestInput = {
      target: 'openai-dpo',
      filters: { qualityScoreMax: 10 },
      scope: 'all',
      excludeStatus: ['rejected'],
    };
    await sql`update conversations set quality_score = 9 where status = 'approved'`;
    const { result, lines, text } = await runExport(database, request);

    const pair = (preferred: string, other: string): object => ({
      input: { messages: [{ role: 'user', content: 'Where is order 7?' }] },
      preferred_output: [{ role: 'assistant', content: preferred }],
      non_preferred_output: [{ role: 'assistant', content: other }],
    });
    expect(lines).toEqual(
      expect.arrayContaining([pair('It ships today.', 'No idea.'), pair('On day 7.', 'Never.')]),
    );
    expect(lines).toHaveLength(2);
    expect(result.counts).toMatchObject({ matched: 3, written: 2, skipped: 1, rows: 2 });
    expect(result.counts.skips).toEqual({ 'no-counterpart': one('alone') });
    expect(result.notes).toEqual({
      'rejected conversations paired': 2,
      'rejected conversations without an approved counterpart': 2,
      'rejected conversations that the checks left out': 0,
    });
    expect(result.brokenLimits.map(({ rule }) => rule)).toEqual(['too-few-rows']);

    const context = { database: parseDatabaseUrl(database.url, 'the test') };
    expect((await previewExport(request, context, 2)).bytes.toString('utf8')).toBe(text);
  });
});

describe('a target that documents a byte order mark', () => {
  it('gets one, unless it was switched off', async () => {
    await add({ sound: SOUND });
    const { bytes } = await runExport(database, { target: 'azure' });
    const without = await runExport(database, { target: 'azure', layout: { bom: false } });
    expect(bytes.subarray(0, 3).toString('hex')).toBe('efbbbf');
    expect(without.bytes).toEqual(bytes.subarray(3));
  });
});
