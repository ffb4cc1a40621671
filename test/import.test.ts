import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { PassThrough, Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { gunzipSync, gzipSync } from 'node:zlib';
import postgres from 'postgres';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import { z } from 'zod';
import { LoraExportError } from '../src/errors.js';
import { type ImportOptions, type ImportRequest, importConversations } from '../src/import.js';
import { type TestDatabase, createDatabase } from './support/database.js';

let database: TestDatabase;
let sql: postgres.Sql;

function connect(): postgres.Sql {
  const { socketDirectory, user } = inject('testServer');
  return postgres({ host: socketDirectory, user, database: database.name, max: 1, onnotice: () => {} });
}

beforeAll(async () => {
  database = await createDatabase('ready');
  sql = connect();
  // Some deployments have this rule, the shipped schema has not.
  await sql`
    alter table conversation_turns add constraint known_role check (role in ('user', 'assistant', 'system'))`;
});

afterAll(async () => {
  await sql.end();
  await database.drop();
});

beforeEach(async () => {
  await sql`truncate conversations cascade`;
});

interface Options extends ImportOptions, Partial<ImportRequest> {
  chunk?: number;
}

function load(
  content: string | Buffer,
  { schema = 'public', status, createdBy, chunk, ...options }: Options = {},
) {
  const bytes = Buffer.from(content);
  const size = chunk ?? (bytes.length || 1);
  const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) =>
    bytes.subarray(i * size, (i + 1) * size),
  );
  const request = { schema, ...(status && { status }), ...(createdBy && { createdBy }) };
  return importConversations(
    sql,
    { name: 'chat.jsonl', open: () => Readable.from(chunks) },
    request,
    options,
  );
}

const turns = [
  { role: 'user', content: 'Hello' },
  { role: 'assistant', content: 'Good morning' },
];

function record(conversation_id: string, more: object = {}): Record<string, unknown> {
  return { conversation_id, title: conversation_id, status: 'approved', tier: 'template', turns, ...more };
}

const plain = { messages: turns };

function jsonl(...records: readonly (object | string)[]): string {
  return records.map((one) => `${typeof one === 'string' ? one : JSON.stringify(one)}\n`).join('');
}

async function refusalOf(promise: Promise<unknown>): Promise<LoraExportError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof LoraExportError) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}

async function stored(schema = 'public') {
  return await sql<Record<string, string | null>[]>`
    select c.*, c.id::text, c.parent_id::text, c.parameters::text, c.review_history::text,
      to_char(c.created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.USZ') as created_at,
      to_char(c.updated_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.USZ') as updated_at, c.xmin::text as version
    from ${sql(schema)}.conversations c order by c.conversation_id`;
}

async function storedTurns(conversationId: string) {
  return await sql<
    { turn_number: number; role: string; content: string; token_count: number | null; id: string }[]
  >`
    select t.turn_number, t.role, t.content, t.token_count, t.id
    from conversation_turns t join conversations c on c.id = t.conversation_id
    where c.conversation_id = ${conversationId} order by t.turn_number`;
}

describe('what goes in', () => {
  it('stores a whole record', async () => {
    const line =
      '{"conversation_id":"a-1","title":"A “title”","category":["one","two, three"],"status":"rejected","quality_score":8.50,' +
      '"persona":"p","emotion":"e","topic":"t","tier":"scenario","parent_id":null,"parent_type":null,' +
      '"parameters":{"big":123456789012345678901234567890,"exact":1.0,"tiny":1e-30,"performed_by":"x"},' +
      '"review_history":[{"action":"approved","performed_by":"anna","timestamp":"2025-01-01 10:00:00+00","comment":null},{"userId":"b"}],' +
      '"created_at":"2025-01-01T10:00:00.123456Z","updated_at":"2025-01-02T10:00:00.654321+02:00",' +
      '"id":"6f0e5c8a-0000-0000-0000-000000000001","is_active":false,"turn_count":9,"total_tokens":77,"file_path":"f","conversation_name":"n",' +
      '"description":"d","created_by":"6f0e5c8a-0000-0000-0000-0000000000aa","quality_metrics":{"overall":7.0},"reviewer_notes":"r",' +
      '"approved_by":"6f0e5c8a-0000-0000-0000-0000000000bb","approved_at":"2025-01-03T00:00:00Z","intent":"i","tone":"warm",' +
      '"turns":[{"role":"system","content":"s"},{"role":"user","content":"u","token_count":5}]}';
    const result = await load(`${line}\n`);

    expect(result).toEqual({
      name: 'chat.jsonl',
      lines: 1,
      inserted: 1,
      updated: 0,
      unchanged: 0,
      turns: 2,
      notes: {},
      sha256: createHash('sha256').update(`${line}\n`).digest('hex'),
    });
    const [row] = await stored();
    expect(row).toMatchObject({
      id: '6f0e5c8a-0000-0000-0000-000000000001',
      conversation_id: 'a-1',
      title: 'A “title”',
      category: ['one', 'two, three'],
      status: 'rejected',
      quality_score: '8.5',
      tier: 'scenario',
      parent_id: null,
      created_at: '2025-01-01T10:00:00.123456Z',
      updated_at: '2025-01-02T08:00:00.654321Z',
      is_active: false,
      turn_count: 9,
      total_tokens: 77,
      file_path: 'f',
      conversation_name: 'n',
      description: 'd',
      created_by: '6f0e5c8a-0000-0000-0000-0000000000aa',
      quality_metrics: { overall: 7 },
      reviewer_notes: 'r',
      approved_by: '6f0e5c8a-0000-0000-0000-0000000000bb',
      intent: 'i',
      tone: 'warm',
    });
    expect(row?.['parameters']).toContain('123456789012345678901234567890');
    expect(row?.['parameters']).toContain('"exact": 1.0,');
    expect(row?.['parameters']).toContain('"performed_by": "x"');
    expect(JSON.parse(row?.['review_history'] ?? '')).toEqual([
      { action: 'approved', performedBy: 'anna', timestamp: '2025-01-01 10:00:00+00', comment: null },
      { userId: 'b' },
    ]);
    expect(await storedTurns('a-1')).toMatchObject([
      { turn_number: 1, role: 'system', content: 's', token_count: null },
      { turn_number: 2, role: 'user', content: 'u', token_count: 5 },
    ]);
  });

  it('reads the JSONL export back, metadata and all', async () => {
    const metadata = {
      conversation_id: 'fp_1',
      title: null,
      tier: 'edge_case',
      quality_score: 9.1,
      created_at: '2025-01-01T10:00:00.000Z',
      updated_at: null,
      review_history: [],
      parent_id: '6f0e5c8a-0000-4000-8000-000000000001',
      parent_type: 'template',
      persona: 'p',
      emotion: null,
      topic: null,
    };
    const result = await load(jsonl({ messages: turns, metadata }, { messages: turns, metadata: null }));
    expect(result).toMatchObject({ inserted: 2, notes: { 'status missing: pending_review used': 2 } });
    expect(await stored()).toMatchObject([
      {
        conversation_id: 'fp_1',
        title: null,
        tier: 'edge_case',
        parent_id: metadata.parent_id,
        status: 'pending_review',
      },
      { conversation_id: expect.stringMatching(/^line-[0-9a-f]{32}$/), tier: 'template', turn_count: 2 },
    ]);
  });

  it('loads plain messages with the status and owner that the caller chose', async () => {
    const createdBy = '6f0e5c8a-0000-4000-8000-0000000000aa';
    const result = await load(jsonl(plain), { status: 'draft', createdBy });
    expect(result.notes).toEqual({
      'conversation_id missing: made from the text of the line': 1,
      'status missing: draft used': 1,
      'tier missing: the default of the column used': 1,
    });
    expect(await stored()).toMatchObject([{ status: 'draft', created_by: createdBy, category: [] }]);
  });

  it('takes the id for a conversation_id that is missing', async () => {
    const id = '6f0e5c8a-0000-4000-8000-000000000001';
    const result = await load(jsonl({ id, ...plain }));
    expect(result.notes).toMatchObject({ 'conversation_id missing: the id used': 1 });
    expect(await stored()).toMatchObject([{ id, conversation_id: id }]);
  });

  it('skips a plain line that is in the file twice and counts it', async () => {
    const result = await load(jsonl(plain, record('other'), plain));
    expect(result).toMatchObject({
      lines: 3,
      inserted: 2,
      notes: { 'identical line already in the file: skipped': 1 },
    });
    expect(await load(jsonl(plain))).toMatchObject({ inserted: 0, unchanged: 1 });
  });

  it.each([1, 2, 3, 7, 64_000])(
    'gives the same for gzip, a byte order mark and CRLF in chunks of %i bytes',
    async (chunk) => {
      const text = `\u{feff}${JSON.stringify(record('a', { title: 'x\u{2028}y\u{85}\u{feff}z' }))}\r\n${JSON.stringify(record('b'))}`;
      const half = Math.floor(text.length / 2);
      const members = Buffer.concat([gzipSync(text.slice(0, half)), gzipSync(text.slice(half))]);
      expect(await load(members, { chunk })).toMatchObject({ lines: 2, inserted: 2 });
      expect(await load(`${text}\n\n \r\n`, { chunk })).toMatchObject({ lines: 2, unchanged: 2 });
      expect((await stored())[0]?.['title']).toBe('x\u{2028}y\u{85}\u{feff}z');
    },
  );

  it('takes an empty file for no conversations', async () => {
    expect(await load('')).toMatchObject({ lines: 0, inserted: 0, notes: {} });
  });

  it('keeps turn numbers with gaps and conversations without turns', async () => {
    const numbered = turns.map((turn, index) => ({ ...turn, turn_number: 9 - index * 4 }));
    const result = await load(jsonl(record('gaps', { turns: numbered }), record('none', { turns: [] })));
    expect(result.notes).toEqual({ 'conversation without turns': 1 });
    expect((await storedTurns('gaps')).map((turn) => [turn.turn_number, turn.role])).toEqual([
      [5, 'assistant'],
      [9, 'user'],
    ]);
    expect(
      await load(jsonl(record('gaps', { turns: numbered }), record('none', { turns: [] }))),
    ).toMatchObject({ unchanged: 2 });
  });

  it('gives the same database for the same file, ids included', async () => {
    const file = jsonl(
      record('a', { created_at: '2025-01-01T00:00:00Z', updated_at: '2025-01-01T00:00:00Z' }),
      record('b'),
    );
    const snapshot = async () => [
      await sql`select id, conversation_id from conversations order by 1`,
      await sql`select id, conversation_id, turn_number from conversation_turns order by 1`,
    ];
    await load(file);
    const first = await snapshot();
    await sql`truncate conversations cascade`;
    await load(file);
    expect(await snapshot()).toEqual(first);
    expect(first[0]?.[0]?.['id']).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-5/);
  });

  it('counts a score that the column rounds', async () => {
    const result = await load(
      jsonl(record('a', { quality_score: 7.25 }), record('b', { quality_score: 7.5 })),
    );
    expect(result.notes).toEqual({ 'quality_score: rounded, because the column is numeric(3,1)': 1 });
    expect(await load(jsonl(record('a', { quality_score: 7.25 })))).toMatchObject({ unchanged: 1 });
  });

  it('loads a line of 20 MB', async () => {
    const content = '€ "quoted" \\ \n'.repeat(1_400_000);
    await load(jsonl(record('long', { turns: [{ role: 'user', content }] }), record('short')));
    const [turn] = await sql`
      select encode(sha256(convert_to(content, 'UTF8')), 'hex') as digest from conversation_turns where role = 'user' order by length(content) desc limit 1`;
    expect(turn?.['digest']).toBe(createHash('sha256').update(content).digest('hex'));
  });

  it('reports progress after each batch', async () => {
    const seen: number[] = [];
    const records = Array.from({ length: 2100 }, (_, index) => record(`c-${index}`));
    await load(jsonl(...records), { onProgress: (lines) => seen.push(lines) });
    expect(seen).toEqual([1000, 2000, 2100]);
  });
});

describe('a second import', () => {
  const file = jsonl(
    record('a', { updated_at: '2025-01-01T00:00:00Z' }),
    record('b', { parent_id: 'a' }),
    plain,
  );

  it('writes nothing when nothing changed, triggers or not', async () => {
    await sql.unsafe(`
      create function touch() returns trigger language plpgsql as $$ begin new.updated_at = clock_timestamp(); return new; end $$;
      create trigger touch before update on conversations for each row execute function touch()`);
    try {
      await load(file);
      await sql`update conversations set title = title`;
      const before = await stored();
      expect(await load(file)).toMatchObject({ inserted: 0, updated: 0, unchanged: 3, turns: 6 });
      expect(await stored()).toEqual(before);
    } finally {
      await sql.unsafe('drop trigger touch on conversations; drop function touch()');
    }
  });

  it('replaces all turns of a conversation in which one changed, and touches no other', async () => {
    await load(file);
    const before = await stored();
    const changed = [
      turns[0],
      { role: 'assistant', content: 'Good evening' },
      { role: 'user', content: 'Bye' },
    ];
    const next = jsonl(
      record('a', { updated_at: '2025-01-01T00:00:00Z' }),
      record('b', { parent_id: 'a', turns: changed }),
    );
    expect(await load(next)).toMatchObject({ inserted: 0, updated: 1, unchanged: 1 });
    expect((await storedTurns('b')).map((turn) => turn.content)).toEqual(['Hello', 'Good evening', 'Bye']);
    const after = await stored();
    expect(
      after.map((row) => row['version'] === before.find(({ id }) => id === row['id'])?.['version']),
    ).toEqual([true, false, true]);
    expect(after[1]).toMatchObject({ id: before[1]?.['id'], turn_count: 3 });
    expect(await load(next)).toMatchObject({ updated: 0, unchanged: 2 });
  });

  it.each([
    ['a turn less', { turns: turns.slice(0, 1) }],
    ['another text', { turns: [turns[0], { ...turns[1], content: 'Good evening' }] }],
    ['another role', { turns: [{ ...turns[0], role: 'system' }, turns[1]] }],
    [
      'another number',
      {
        turns: [
          { ...turns[0], turn_number: 1 },
          { ...turns[1], turn_number: 3 },
        ],
      },
    ],
    ['a token count', { turns: [{ ...turns[0], token_count: 4 }, turns[1]] }],
    ['another title', { title: 'new' }],
    ['a value that became null', { title: null }],
    ['other digits of a number', { parameters: { n: 1.5 } }],
    ['a later time of change', { updated_at: '2099-01-01T00:00:00Z' }],
  ])('counts %s as a change, once', async (_, change) => {
    await load(jsonl(record('a')));
    expect(await load(jsonl(record('a', change)))).toMatchObject({ updated: 1, unchanged: 0 });
    expect(await load(jsonl(record('a', change)))).toMatchObject({ updated: 0, unchanged: 1 });
  });

  it('leaves alone what the line does not mention', async () => {
    await load(jsonl(plain));
    await sql`update conversations set status = 'approved', quality_score = 9, reviewer_notes = 'fine'`;
    const again = await load(jsonl(plain), { createdBy: '6f0e5c8a-0000-4000-8000-0000000000aa' });
    expect(again).toMatchObject({ updated: 0, unchanged: 1 });
    expect(again.notes).toEqual({ 'conversation_id missing: made from the text of the line': 1 });
    expect(await stored()).toMatchObject([
      { status: 'approved', quality_score: '9.0', reviewer_notes: 'fine' },
    ]);
  });

  it('lets a conversation keep the primary key that it has', async () => {
    await sql`insert into conversations (id, conversation_id) values ('6f0e5c8a-0000-4000-8000-000000000001', 'a')`;
    const result = await load(jsonl(record('a', { id: '6f0e5c8a-0000-4000-8000-000000000002' })));
    expect(result).toMatchObject({
      updated: 1,
      notes: { 'id: the conversation exists and keeps its own': 1 },
    });
    expect(await stored()).toMatchObject([{ id: '6f0e5c8a-0000-4000-8000-000000000001', title: 'a' }]);
  });

  it('waits for another import of the same schema, and both end well', async () => {
    const other = connect();
    const input = { name: 'other.jsonl', open: () => Readable.from([Buffer.from(file)]) };
    const both = await Promise.all([load(file), importConversations(other, input, { schema: 'public' })]);
    await other.end();
    expect(new Set(both.map((result) => result.inserted))).toEqual(new Set([0, 3]));
    expect(new Set(both.map((result) => result.unchanged))).toEqual(new Set([0, 3]));
  });
});

describe('parents', () => {
  const template = '6f0e5c8a-0000-4000-8000-00000000cafe';
  const names = async (): Promise<Record<string, string | null>> => {
    const rows = await sql<{ child: string; parent: string | null }[]>`
      select c.conversation_id as child, coalesce(p.conversation_id, c.parent_id::text) as parent
      from conversations c left join conversations p on p.id = c.parent_id`;
    return Object.fromEntries(rows.map(({ child, parent }) => [child, parent]));
  };

  it('may stand before or after, in another batch, in the database, or nowhere', async () => {
    await load(jsonl(record('stored')));
    const filler = Array.from({ length: 1000 }, (_, index) => record(`z-${index}`));
    const result = await load(
      jsonl(
        record('a', { parent_id: 'b' }),
        record('b', { parent_id: 'late' }),
        record('c', { parent_id: 'stored' }),
        record('d', { parent_id: 'nobody' }),
        record('e', { parent_id: template }),
        record('self', { parent_id: 'self' }),
        ...filler,
        record('late', { parent_id: 'a' }),
      ),
    );
    expect(result.notes).toEqual({
      'parent_id replaced by the primary key of that conversation': 5,
      'parent_id names no conversation: left empty': 1,
    });
    expect(await names()).toMatchObject({
      a: 'b',
      b: 'late',
      c: 'stored',
      d: null,
      e: template,
      self: 'self',
      late: 'a',
    });
  });

  it('counts an unchanged line as updated when its parent arrives with a later line', async () => {
    await load(jsonl(record('a', { parent_id: 'p' })));
    const filler = Array.from({ length: 1000 }, (_, index) => record(`z-${index}`));
    const file = jsonl(record('a', { parent_id: 'p' }), ...filler, record('p'));
    expect(await load(file)).toMatchObject({ inserted: 1001, updated: 1, unchanged: 0 });
    expect(await load(file)).toMatchObject({ inserted: 0, updated: 0, unchanged: 1002 });
    expect(await names()).toMatchObject({ a: 'p' });
  });

  it('finds a later parent whose conversation_id is a UUID', async () => {
    const filler = Array.from({ length: 1000 }, (_, index) => record(`z-${index}`));
    await load(jsonl(record('a', { parent_id: template }), ...filler, record(template)));
    expect(await names()).toMatchObject({ a: template });
    const [row] =
      await sql`select p.conversation_id from conversations c join conversations p on p.id = c.parent_id`;
    expect(row).toEqual({ conversation_id: template });
  });

  it('leaves a UUID out that a foreign key forbids, and keeps one that is a primary key', async () => {
    await sql`alter table conversations add constraint parent foreign key (parent_id) references conversations (id)`;
    try {
      const id = '6f0e5c8a-0000-4000-8000-00000000beef';
      const filler = Array.from({ length: 1000 }, (_, index) => record(`z-${index}`));
      const file = jsonl(
        record('a', { parent_id: template }),
        record('b', { parent_id: id }),
        ...filler,
        record('p', { id }),
      );
      const result = await load(file);
      expect(result.notes).toEqual({ 'parent_id names no conversation: left empty': 1 });
      expect(await names()).toMatchObject({ a: null, b: 'p' });
      expect(await load(file)).toMatchObject({ updated: 0, unchanged: 1003 });
    } finally {
      await sql`alter table conversations drop constraint parent`;
    }
  });
});

describe('what is refused', () => {
  const good = record('good');
  const raw = (more: string): string => `{"conversation_id":"bad","turns":[],${more}}`;
  const cases: [name: string, line: string, message: string][] = [
    ['text that is not JSON', '{"messages": oops}', 'is not valid JSON'],
    ['a line that is cut', '{"messages":[', 'is not valid JSON'],
    ['a list', '[]', 'the line must be an object'],
    ['no turns', '{"conversation_id":"bad"}', 'has neither turns nor messages'],
    ['both shapes', '{"turns":[],"messages":[]}', 'has both turns and messages'],
    [
      'a key twice',
      '{"title":"x","messages":[],"metadata":{"title":"y"}}',
      'title is given twice, also as metadata.title',
    ],
    [
      'an unknown key',
      raw('"qualityScore":7'),
      'unknown key "qualityScore"; the nearest known key is quality_score',
    ],
    [
      'an unknown key of the metadata',
      '{"messages":[],"metadata":{"titel":"x"}}',
      'unknown key "titel" in metadata; the nearest known key is title',
    ],
    [
      'an unknown key of a turn',
      '{"messages":[{"role":"user","content":"x","contents":1}]}',
      'unknown key "contents" in messages[0]; the nearest known key is content',
    ],
    ['a key that JavaScript treats in its own way', raw('"__proto__":{}'), 'unknown key "__proto__"'],
    ['a missing role', '{"messages":[{"content":"x"}]}', 'messages[0].role is missing'],
    [
      'a content that is no text',
      '{"turns":[{"role":"user","content":["x"]}]}',
      'turns[0].content must be a text',
    ],
    ['a number where text belongs', raw('"title":7'), 'title must be a text'],
    [
      'a time without a zone',
      raw('"created_at":"2025-01-01T00:00:00"'),
      'created_at must be a time with its zone',
    ],
    [
      'a time finer than PostgreSQL',
      raw('"created_at":"2025-01-01T00:00:00.1234567Z"'),
      'created_at must be a time with its zone, to the microsecond',
    ],
    ['a half count', raw('"turn_count":1.5'), 'turn_count must be a whole number'],
    [
      'two names of one count',
      raw('"turn_count":1,"total_turns":1'),
      'turn_count and total_turns are two names of the same thing',
    ],
    [
      'a turn number twice',
      '{"turns":[{"role":"a","content":"","turn_number":1},{"role":"a","content":"","turn_number":1}]}',
      'turns[1].turn_number is 1 for the second time',
    ],
    [
      'a turn without number among others',
      '{"turns":[{"role":"a","content":""},{"role":"a","content":"","turn_number":1}]}',
      'turns[0].turn_number is missing',
    ],
    [
      'NUL',
      raw(String.raw`"parameters":{"deep":[{"x":"a\u0000b"}]}`),
      'parameters.deep[0].x holds a NUL character',
    ],
    ['NUL in a key', raw(String.raw`"parameters":{"a\u0000b":1}`), 'parameters holds a NUL character'],
    [
      'half of a surrogate pair',
      '{"messages":[{"role":"user","content":"\\ud83d!"}]}',
      'messages[0].content holds half of a surrogate pair',
    ],
    [
      'an impossible day',
      raw('"updated_at":"2025-02-30T00:00:00Z"'),
      'updated_at is not a value that the column takes (timestamp with time zone)',
    ],
    [
      'a UUID that is none',
      raw('"approved_by":"anna"'),
      'approved_by is not a value that the column takes (uuid)',
    ],
    [
      'a tier that the table forbids',
      raw('"tier":"platinum"'),
      'tier breaks the rule conversations_tier_check of the table',
    ],
    [
      'a tier that the table forbids, in metadata',
      '{"messages":[],"metadata":{"tier":"platinum"}}',
      'metadata.tier breaks the rule',
    ],
    [
      'a score that does not fit',
      raw('"quality_score":123456'),
      'quality_score is too large for the column (numeric(3,1))',
    ],
    [
      'a text that does not fit',
      raw(`"conversation_name":"${'x'.repeat(300)}"`),
      'conversation_name is too long for the column (character varying(255))',
    ],
    [
      'a role that the table forbids',
      '{"turns":[{"role":"user","content":""},{"role":"user","content":""},{"role":"tool","content":""}]}',
      'turns[2].role breaks the rule known_role of the table',
    ],
    [
      'a content that is null',
      '{"turns":[{"role":"user","content":""},{"role":"user","content":null}]}',
      'turns[1].content must have a value',
    ],
    [
      'a turn number that does not fit',
      '{"turns":[{"role":"user","content":"","turn_number":3000000000}]}',
      'turns[0].turn_number is too large for the column (integer)',
    ],
    [
      'nesting deeper than the server takes',
      raw(`"parameters":{"x":${'['.repeat(50_000)}${']'.repeat(50_000)}}`),
      'is too large or too deep for PostgreSQL',
    ],
  ];

  it.each(cases)('%s, with its line, and nothing of the file is stored', async (_, line, message) => {
    const error = await refusalOf(load(jsonl(good, record('good-2'), line, record('good-3'))));
    expect(error.message).toContain(`chat.jsonl, line 3: `);
    expect(error.message).toContain(message);
    expect(error.code).toBe('E_DATA');
    expect(await stored()).toEqual([]);
  });

  it('names the right line and value deep in a later batch', async () => {
    const records = Array.from({ length: 2500 }, (_, index) =>
      record(`c-${index}`, { parent_id: `c-${(index + 1) % 2500}` }),
    );
    records[1733] = record('c-1733', { status: 'no-such-status' });
    records[2100] = record('c-2100', { status: 'no-such-status' });
    const error = await refusalOf(load(jsonl(...records)));
    expect(error.message).toBe(
      'chat.jsonl, line 1734: status breaks the rule conversations_status_check of the table',
    );
    expect(error.hint).toContain('needs_revision');
    expect(await stored()).toEqual([]);
  });

  it('names both lines of a conversation_id that is there twice', async () => {
    const error = await refusalOf(load(jsonl(record('a'), record('b'), record('a', { title: 'other' }))));
    expect(error.message).toBe('chat.jsonl, line 3: has the same conversation_id as line 1');
  });

  it('says so when two lines claim one primary key', async () => {
    const id = '6f0e5c8a-0000-4000-8000-000000000001';
    const error = await refusalOf(load(jsonl(record('a', { id }), record('b'), record('c', { id }))));
    expect(error.message).toBe('chat.jsonl, line 3: id is taken by another row already (conversations_pkey)');
  });

  it('names the rule when no line is refused on its own', async () => {
    await sql`create table templates (id uuid primary key)`;
    await sql`alter table conversations add constraint template_only foreign key (parent_id) references templates (id)`;
    try {
      const error = await refusalOf(load(jsonl(record('a'), record('b', { parent_id: 'a' }))));
      expect(error.message).toBe(
        'chat.jsonl, line 1: this line or one of the 1 after it is refused by the database (template_only)',
      );
    } finally {
      await sql`drop table templates cascade`;
    }
  });

  it('blames the default when the table refuses the status that the import fills in', async () => {
    const error = await refusalOf(load(jsonl(plain), { status: 'shiny' }));
    expect(error.message).toContain(
      'line 1: status, which the line lacks and the import filled in, breaks the rule',
    );
  });

  it('bytes that are not UTF-8, such as encoded surrogates', async () => {
    for (const bytes of [[0xff], [0xed, 0xa0, 0x80], [0xc0, 0x80], [0xe2, 0x82]]) {
      const file = Buffer.concat([
        Buffer.from(`${jsonl(good)}{"messages":[{"role":"user","content":"`),
        Buffer.from(bytes),
        Buffer.from('"}]}\n'),
      ]);
      expect((await refusalOf(load(file))).message).toBe('chat.jsonl, line 2: is not valid UTF-8');
    }
  });

  it('a blank line before another line', async () => {
    expect((await refusalOf(load(`${jsonl(good)}\n \r\n${jsonl(record('b'))}`))).message).toBe(
      'chat.jsonl, line 2: is blank, and more lines follow',
    );
  });

  it('gzip that is cut short, damaged, or followed by something else', async () => {
    const packed = gzipSync(jsonl(good, record('b')), { level: 0 });
    const damaged = Buffer.from(packed);
    damaged.writeUInt8(damaged.readUInt8(40) ^ 0xff, 40);
    const messages = [];
    for (const file of [
      packed.subarray(0, -9),
      damaged,
      Buffer.concat([packed, Buffer.from('{"messages":[]}')]),
    ]) {
      messages.push((await refusalOf(load(file, { chunk: 1000 }))).message);
    }
    expect(messages).toEqual([
      'chat.jsonl: the gzip data is cut short, somewhere after line 1',
      expect.stringMatching(/chat.jsonl(: the gzip data is damaged|, line 1: )/),
      'chat.jsonl: the gzip data is damaged',
    ]);
    expect(await stored()).toEqual([]);
  });

  it('an input that cannot be read', async () => {
    const input = {
      name: 'missing.jsonl',
      open: () =>
        new Readable({
          read() {
            this.destroy(Object.assign(new Error('x'), { code: 'ENOENT' }));
          },
        }),
    };
    const error = await refusalOf(importConversations(sql, input, { schema: 'public' }));
    expect([error.code, error.message]).toEqual([
      'E_USAGE',
      'Cannot read missing.jsonl: there is no such file',
    ]);
  });

  it('a schema without the tables', async () => {
    const error = await refusalOf(load(jsonl(good), { schema: 'nowhere' }));
    expect([error.code, error.message]).toEqual([
      'E_SCHEMA',
      'There is no table nowhere.conversations to import into',
    ]);
  });

  it('never shows what the file holds', async () => {
    const secret = 'canary-7c1f';
    const lines = [
      `{"messages": ${secret}}`,
      JSON.stringify(record('x', { tier: secret })),
      JSON.stringify(record('x', { approved_by: secret })),
      JSON.stringify(record('x', { created_at: secret })),
      JSON.stringify(record('x', { title: [secret] })),
      JSON.stringify(record('x', { turns: [{ role: secret, content: '' }] })),
    ];
    for (const line of lines) {
      const error = await refusalOf(load(jsonl(good, line)));
      expect(`${error.message} ${error.hint}`).not.toContain(secret);
    }
  });
});

describe('tables of another shape', () => {
  it('converts to enums, text arrays, UUIDs and the other names of the counts', async () => {
    await sql.unsafe(`
      create schema enums;
      create type enums.tier_type as enum ('template', 'scenario', 'edge_case');
      create type enums.conversation_status as enum ('pending_review', 'approved', 'rejected', 'archived');
      create type enums.turn_role as enum ('user', 'assistant');
      create table enums.conversations (id uuid primary key default gen_random_uuid(), conversation_id uuid unique, title text,
        tier enums.tier_type not null, status enums.conversation_status not null, category varchar(20), persona jsonb,
        emotion varchar(50) not null, total_turns integer, token_count integer, parent_id uuid references enums.conversations (id),
        parameters json, review_history jsonb, created_at timestamp, updated_at timestamptz default now(), user_id uuid);
      create table enums.conversation_turns (id bigint generated always as identity primary key,
        conversation_id uuid references enums.conversations (id) on delete cascade, turn_number integer, role enums.turn_role, content text)`);
    const id = (n: number) => `6F0E5C8A-0000-4000-8000-00000000000${n}`;
    const file = jsonl(
      record(id(1), {
        parent_id: id(2).toLowerCase(),
        category: ['one', 'two'],
        persona: 'Ann',
        created_at: '2025-01-01T00:30:00.123456+02:00',
        total_tokens: 5,
        quality_score: 7,
        parameters: { n: 1 },
        turns: [{ ...turns[0], token_count: 3 }],
      }),
      record(id(2), { category: 'single' }),
      plain,
    );
    const result = await load(file, { schema: 'enums', createdBy: id(9) });
    expect(result.notes).toEqual({
      'conversation_id missing: made from the text of the line': 1,
      'parent_id replaced by the primary key of that conversation': 1,
      'category: the column holds one value, the first was kept': 1,
      'quality_score: the table has no such column': 1,
      'token_count of a turn: the table has no such column': 1,
      'status missing: pending_review used': 1,
      'tier missing: template used': 1,
      'emotion missing: an empty text used': 3,
    });
    const rows = await stored('enums');
    expect(rows.find((row) => row['title'] === id(1))).toMatchObject({
      conversation_id: id(1).toLowerCase(),
      category: 'one',
      persona: 'Ann',
      emotion: '',
      total_turns: 1,
      token_count: 5,
      created_at: '2024-12-31T22:30:00.123456Z',
      user_id: id(9).toLowerCase(),
    });
    expect(await load(file, { schema: 'enums' })).toMatchObject({ inserted: 0, updated: 0, unchanged: 3 });

    const bad = await refusalOf(load(jsonl(record(id(3), { tier: 'gold' })), { schema: 'enums' }));
    expect(bad.message).toBe(
      'chat.jsonl, line 1: tier is not a value that the column takes (enums.tier_type)',
    );
    expect(bad.hint).toBe('It takes template, scenario, edge_case.');
    const badRole = await refusalOf(
      load(jsonl(record(id(3), { turns: [turns[0], { role: 'system', content: '' }] })), { schema: 'enums' }),
    );
    expect(badRole.message).toContain('turns[1].role is not a value that the column takes');
    const badKey = await refusalOf(load(jsonl(record('fp_1')), { schema: 'enums' }));
    expect(badKey.message).toContain('conversation_id is not a value that the column takes (uuid)');
    const twice = await refusalOf(
      load(jsonl(record(id(4)), record(id(4).toLowerCase())), { schema: 'enums' }),
    );
    expect(twice.message).toContain('line 2: has the same conversation_id as line 1');
  });

  it('does with the least that an import needs', async () => {
    await sql.unsafe(`
      create schema least;
      create table least.conversations (id uuid primary key);
      create table least.conversation_turns (conversation_id uuid, turn_number integer, role text, content text)`);
    const file = jsonl(record('a'), plain, {
      conversation_id: '6f0e5c8a-0000-4000-8000-000000000001',
      turns,
    });
    const result = await load(file, { schema: 'least' });
    expect(result).toMatchObject({ inserted: 3, turns: 6 });
    expect(result.notes).toMatchObject({
      'conversation_id: the table has no such column': 1,
      'title: the table has no such column': 1,
    });
    expect(await load(file, { schema: 'least' })).toMatchObject({ inserted: 0, updated: 0, unchanged: 3 });
    const [count] = await sql`select count(*)::int as n from least.conversation_turns`;
    expect(count?.['n']).toBe(6);
  });

  it('follows a foreign key from the turns to the business key', async () => {
    await sql.unsafe(`
      create schema business;
      create table business.conversations (id uuid primary key, conversation_id text unique, parent_id text);
      create table business.conversation_turns (conversation_id text references business.conversations (conversation_id),
        turn_number integer, role text, content text, unique (conversation_id, turn_number))`);
    await load(jsonl(record('a')), { schema: 'business' });
    expect(await load(jsonl(record('a', { turns: turns.slice(1) })), { schema: 'business' })).toMatchObject({
      updated: 1,
    });
    expect(await sql`select conversation_id, role from business.conversation_turns`).toEqual([
      { conversation_id: 'a', role: 'assistant' },
    ]);
  });

  it('says so when row level security keeps the old turns', async () => {
    await load(jsonl(record('a')));
    const role = `${database.name}_writer`;
    await sql.unsafe(`
      create role ${role}; grant all on all tables in schema public to ${role};
      alter table conversation_turns enable row level security;
      create policy see on conversation_turns for select using (true);
      create policy add on conversation_turns for insert with check (true)`);
    try {
      await sql.unsafe(`set role ${role}`);
      const error = await refusalOf(load(jsonl(record('a', { turns: [] }))));
      expect(error.code).toBe('E_DB_ACCESS');
    } finally {
      await sql.unsafe(`
        reset role; drop policy see on conversation_turns; drop policy add on conversation_turns;
        alter table conversation_turns disable row level security; drop owned by ${role}; drop role ${role}`);
    }
  });
});

describe('an import that is stopped', () => {
  /** Tables of all test databases have the same numbers, and other test files run beside this one. */
  const here = () =>
    database.sql`database = (select oid from pg_database where datname = current_database())`;

  it('leaves nothing when the signal aborts between batches', async () => {
    const stop = new AbortController();
    const reason = new Error('stopped');
    const records = Array.from({ length: 2500 }, (_, index) => record(`c-${index}`));
    const loading = load(jsonl(...records), { signal: stop.signal, onProgress: () => stop.abort(reason) });
    await expect(loading).rejects.toBe(reason);
    expect(await stored()).toEqual([]);
  });

  it('does not wait for an input that says nothing more', async () => {
    const stop = new AbortController();
    const reason = new Error('stopped');
    const stream = new PassThrough();
    stream.write(jsonl(record('a')));
    const loading = importConversations(
      sql,
      { name: 'pipe', open: () => stream },
      { schema: 'public' },
      { signal: stop.signal },
    );
    setTimeout(() => stop.abort(reason), 100);
    await expect(loading).rejects.toBe(reason);
    expect(stream.destroyed).toBe(true);
    expect(await stored()).toEqual([]);
  });

  it('does not wait for another import', async () => {
    const stop = new AbortController();
    const reason = new Error('stopped');
    const holding = new PassThrough();
    const other = connect();
    const first = importConversations(other, { name: 'slow', open: () => holding }, { schema: 'public' });
    await expect
      .poll(
        async () =>
          (await database.sql`select 1 from pg_locks where locktype = 'advisory' and granted and ${here()}`)
            .length,
      )
      .toBe(1);
    const second = load(jsonl(record('a')), { signal: stop.signal });
    setTimeout(() => stop.abort(reason), 100);
    await expect(second).rejects.toBe(reason);
    holding.end(jsonl(record('b')));
    expect(await first).toMatchObject({ inserted: 1 });
    await other.end();
  });

  it('ends in an error, not in silence, when the connection is lost while the input is read', async () => {
    const other = connect();
    const stream = new PassThrough();
    const loading = importConversations(other, { name: 'pipe', open: () => stream }, { schema: 'public' });
    const outcome = loading.then(
      () => 'done',
      (error: unknown) => error,
    );
    const backend = () =>
      database.sql`select pid from pg_locks where locktype = 'advisory' and granted and ${here()}`;
    await expect.poll(async () => (await backend()).length).toBe(1);
    await database.sql`select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and granted and ${here()}`;
    expect(await outcome).toBeInstanceOf(Error);
    expect(stream.destroyed).toBe(true);
    await delay(50);
    await other.end({ timeout: 1 });
    expect(await stored()).toEqual([]);
  });

  it('ends in one error, with nothing thrown past it, when the connection is lost while a batch is written', async () => {
    const uncaught: unknown[] = [];
    const remember = (error: unknown): void => void uncaught.push(error);
    process.on('uncaughtException', remember);
    await sql.unsafe(`
      create function die() returns trigger language plpgsql as $$
        begin perform pg_terminate_backend(pg_backend_pid()); return new; end $$;
      create trigger die before insert on conversation_turns for each row execute function die()`);
    try {
      for (let round = 0; round < 10; round++) {
        const other = connect();
        const input = { name: 'a', open: () => Readable.from([Buffer.from(jsonl(record('a')))]) };
        await expect(importConversations(other, input, { schema: 'public' })).rejects.toThrow(Error);
        await delay(20);
        await other.end({ timeout: 1 });
      }
    } finally {
      await sql.unsafe('drop trigger die on conversation_turns; drop function die()');
      process.off('uncaughtException', remember);
    }
    expect(uncaught).toEqual([]);
    expect(await stored()).toEqual([]);
  });

  it('does nothing when the signal has fired before', async () => {
    await expect(load(jsonl(record('a')), { signal: AbortSignal.abort(new Error('early')) })).rejects.toThrow(
      'early',
    );
  });
});

const dataLine = z.object({
  conversation_id: z.string(),
  parent_id: z.string().nullable(),
  created_at: z.string(),
  parameters: z.record(z.string(), z.unknown()),
  turns: z.array(z.object({ role: z.string(), content: z.string() })),
});

describe.each([
  ['conversations.ndjson.gz', 5000, 38_481, 2256],
  ['nasty.ndjson.gz', 1470, 6324, 623],
])('the development data %s', (name, conversations, turnCount, children) => {
  const file = new URL(`../../shared/data/${name}`, import.meta.url);
  if (!existsSync(file))
    process.emitWarning(`SKIPPED: ${name} is not beside this repository, so its import is not tested`);

  it.skipIf(!existsSync(file))('comes back byte for byte, and again as unchanged', async () => {
    const bytes = await readFile(file);
    expect(await load(bytes, { chunk: 64 * 1024 })).toMatchObject({
      lines: conversations,
      inserted: conversations,
      turns: turnCount,
      notes: { 'parent_id replaced by the primary key of that conversation': children },
      sha256: createHash('sha256').update(bytes).digest('hex'),
    });
    const lines = gunzipSync(bytes)
      .toString('utf8')
      .split('\n')
      .filter((line) => line !== '');
    const wanted = lines.map((line) => dataLine.parse(JSON.parse(line)));

    const readTurns = await sql<{ key: string; role: string; content: string }[]>`
      select c.conversation_id as key, t.role, t.content from conversation_turns t join conversations c on c.id = t.conversation_id
      order by c.conversation_id collate "C", t.turn_number`;
    const wantedTurns = wanted
      .toSorted((one, other) =>
        Buffer.compare(Buffer.from(one.conversation_id), Buffer.from(other.conversation_id)),
      )
      .flatMap((line) =>
        line.turns.map(({ role, content }) => ({ key: line.conversation_id, role, content })),
      );
    expect(readTurns.length).toBe(turnCount);
    expect(
      readTurns.every((turn, index) => JSON.stringify(turn) === JSON.stringify(wantedTurns[index])),
    ).toBe(true);

    const rows = await sql<{ key: string; parent: string | null; parameters: object; created: string }[]>`
      select c.conversation_id as key, p.conversation_id as parent, c.parameters,
        to_char(c.created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.USZ') as created
      from conversations c left join conversations p on p.id = c.parent_id`;
    const byKey = new Map(rows.map((row) => [row.key, row]));
    for (const line of wanted) {
      const row = byKey.get(line.conversation_id);
      expect([row?.parent, row?.created]).toEqual([line.parent_id, line.created_at]);
      expect(row?.parameters).toEqual(line.parameters);
    }

    const [before] = await sql`select sum(xmin::text::bigint) from conversations`;
    expect(await load(bytes)).toMatchObject({ inserted: 0, updated: 0, unchanged: conversations });
    expect((await sql`select sum(xmin::text::bigint) from conversations`)[0]).toEqual(before);
  });
});
