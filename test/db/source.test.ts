import { setTimeout as delay } from 'node:timers/promises';
import postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { ConversationField } from '../../src/conversation.js';
import { applyMigrations } from '../support/audit.js';
import { createDatabase, serverUrl, type TestDatabase } from '../support/database.js';
import {
  addConversation,
  collector,
  failureOf,
  inSnapshot,
  readMembers,
  runExport,
} from '../support/export.js';

const A = 'aaaaaaaa-0000-4000-8000-000000000001';
const B = 'bbbbbbbb-0000-4000-8000-000000000002';

let database: TestDatabase;

beforeAll(async () => {
  database = await createDatabase('ready');
});
afterAll(() => database.drop());

const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;

const TURNS = `
  create table conversation_turns (conversation_id uuid, turn_number integer, role text, content text);
  insert into conversation_turns values
    ('${A}', 2, 'assistant', 'answer a'), ('${A}', 1, 'user', 'question a'),
    ('${B}', 1, 'user', 'question b'), ('${B}', 2, 'assistant', 'answer b')`;

/** Both source tables in a schema of their own; the first argument names it. */
async function deploy(schema: string, conversations: string, turns = TURNS): Promise<void> {
  await database.sql.begin((tx) =>
    tx
      .unsafe(
        `create schema ${quoted(schema)}; set local search_path = ${quoted(schema)}; ${conversations}; ${turns}`,
      )
      .simple(),
  );
}

async function membersOf(schema: string, ...fields: ConversationField[]): Promise<unknown[]> {
  const conversations = await readMembers(database, schema, fields);
  return conversations.map((conversation) =>
    Object.fromEntries(fields.map((field) => [field, conversation[field]?.toString() ?? null])),
  );
}

async function parentKeyOf(schema: string): Promise<string> {
  return inSnapshot(database, schema, (_snapshot, source) => Promise.resolve(source.parentKey));
}

const CONTENTS = [
  ['question a', 'answer a'],
  ['question b', 'answer b'],
];

async function contentsOf(schema: string): Promise<string[][]> {
  const { lines } = await runExport(database, { scope: 'all', schema });
  return lines.map(({ messages }) => messages.map(({ content }) => content));
}

describe('columns that differ between deployments', () => {
  it('is content with the columns that nothing can do without', async () => {
    await deploy(
      'minimal',
      `create table conversations (id uuid); insert into conversations values ('${A}'), ('${B}')`,
    );
    const { lines } = await runExport(database, { scope: 'all', schema: 'minimal' });

    expect(lines.map(({ messages }) => messages.map(({ content }) => content))).toEqual(CONTENTS);
    const { conversation_id, ...rest } = lines[0]?.metadata ?? {};
    expect(conversation_id).toBe(A);
    expect(Object.keys(rest)).toHaveLength(8);
    expect(Object.values(rest).every((value) => value === null)).toBe(true);
  });

  it('names the column that a scope, a filter or a sort key would need', async () => {
    for (const [request, column] of [
      [{ scope: 'approved' }, 'status'],
      [{ scope: 'all', filters: { tier: ['x'] } }, 'tier'],
      [{ scope: 'all', filters: { qualityScoreMin: 1 } }, 'quality_score'],
      [{ scope: 'all', filters: { dateFrom: '2025-01-01' } }, 'created_at'],
      [{ scope: 'all', filters: { categories: ['x'] } }, 'category'],
      [{ scope: 'all', filters: { createdBy: A } }, 'created_by'],
      [{ scope: 'all', sort: { key: 'title', order: 'asc' } }, 'title'],
    ] as const) {
      const error = await failureOf(
        runExport(database, { ...structuredClone(request), schema: 'minimal' } as never),
        'E_SCHEMA',
      );
      expect(error.message).toContain(`no column ${column},`);
    }
  });

  it('compares enums as text, so that an unknown value matches nothing', async () => {
    await deploy(
      'enums',
      `create type tier_type as enum ('template', 'scenario');
       create type conversation_status as enum ('approved', 'generating');
       create type turn_role as enum ('user', 'assistant');
       create table conversations (id uuid, conversation_id text, tier tier_type, status conversation_status);
       insert into conversations values ('${A}', 'a', 'template', 'approved'), ('${B}', 'b', 'scenario', 'generating')`,
      `${TURNS}; alter table conversation_turns alter role type turn_role using role::turn_role`,
    );
    expect((await runExport(database, { schema: 'enums' })).ids).toEqual(['a']);
    const every = { scope: 'all', schema: 'enums' } as const;
    expect(
      (await runExport(database, { ...every, filters: { status: ['generating', 'draft'] } })).ids,
    ).toEqual(['b']);
    expect((await runExport(database, { ...every, excludeStatus: ['generating', 'archived'] })).ids).toEqual([
      'a',
    ]);
    const sorted = await runExport(database, { ...every, sort: { key: 'tier', order: 'asc' } });
    // By text, not by the order of the enum.
    expect(sorted.lines.map(({ metadata }) => metadata?.['tier'])).toEqual(['scenario', 'template']);
    await failureOf(runExport(database, { ...every, filters: { tier: ['edge_case'] } }), 'E_EMPTY');
  });

  it('reads varchar, char and citext columns', async () => {
    await deploy(
      'varchars',
      `create table conversations (id uuid, conversation_id varchar(100), tier varchar(20), status varchar(20), title varchar);
       insert into conversations values ('${A}', 'a', 'odd tier', 'approved', 'A'), ('${B}', 'b', null, 'approved ', 'B')`,
      `${TURNS}; alter table conversation_turns alter role type varchar(10), alter content type varchar(500)`,
    );
    expect((await runExport(database, { schema: 'varchars' })).ids).toEqual(['a']);
    expect(await contentsOf('varchars')).toEqual(CONTENTS);
    expect((await runExport(database, { scope: 'selected', ids: ['b', A], schema: 'varchars' })).ids).toEqual(
      ['a', 'b'],
    );

    await deploy(
      'chars',
      `create table conversations (id uuid, status char(12));
       insert into conversations values ('${A}', 'approved'), ('${B}', 'approved')`,
      `${TURNS}; alter table conversation_turns alter role type char(10), alter content type char(20), alter turn_number type smallint`,
    );
    expect((await runExport(database, { schema: 'chars' })).lines.map(({ messages }) => messages)).toEqual(
      CONTENTS.map(([question, answer]) => [
        { role: 'user', content: question },
        { role: 'assistant', content: answer },
      ]),
    );
  });

  it('takes either name of the stored counts, and bigint turn numbers', async () => {
    await deploy(
      'counts',
      `create table conversations (id uuid, turn_count integer, total_tokens integer);
       insert into conversations values ('${A}', 3, 0), ('${B}', null, null)`,
      `${TURNS}; alter table conversation_turns alter turn_number type bigint`,
    );
    await deploy(
      'other_counts',
      `create table conversations (id uuid, total_turns bigint, token_count bigint);
       insert into conversations values ('${A}', 3, 9007199254740993)`,
    );
    expect(await membersOf('counts', 'totalTurns', 'totalTokens')).toEqual([
      { totalTurns: '3', totalTokens: '0' },
      { totalTurns: null, totalTokens: null },
    ]);
    expect(await membersOf('other_counts', 'totalTurns', 'totalTokens')).toEqual([
      { totalTurns: '3', totalTokens: '9007199254740993' },
    ]);
    expect(await contentsOf('counts')).toEqual(CONTENTS);
  });

  it('reads the tokens of each turn in the order of the turns, where the table counts them', async () => {
    await deploy(
      'turn_tokens',
      `create table conversations (id uuid); insert into conversations values ('${A}'), ('${B}')`,
      `${TURNS}; alter table conversation_turns add token_count integer;
       update conversation_turns set token_count = 10 * turn_number where role = 'assistant' or content = 'question a'`,
    );
    const counts = async (schema: string): Promise<unknown[]> =>
      (await membersOf(schema, 'turnTokens', 'title')).map((member) => {
        const { turnTokens, title } = member as { turnTokens: string | null; title: string | null };
        expect(title).toBeNull();
        return turnTokens === null ? null : JSON.parse(turnTokens);
      });
    expect(await counts('turn_tokens')).toEqual([
      [10, 20],
      [null, 20],
    ]);
    expect(await counts('counts')).toEqual([null, null]);
  });

  it.each([
    ['text', "'debt'", '["debt"]'],
    ['varchar(50)', "'de\"bt'", String.raw`["de\"bt"]`],
    ['varchar(50)[]', '\'{debt,"b, c"}\'', '["debt","b, c"]'],
    ['text[]', "'{debt,NULL}'", '["debt",null]'],
    ['text[]', "'{}'", '[]'],
    ['jsonb', `'["debt", "x"]'`, '["debt", "x"]'],
    ['json', `'["debt"]'`, '["debt"]'],
    ['text', 'null', null],
    ['text[]', 'null', null],
  ])('makes an array of a category of type %s that is %s', async (type, value, expected) => {
    const schema = `category ${type} ${value}`;
    await deploy(
      schema,
      `create table conversations (id uuid, category ${type}); insert into conversations values ('${A}', ${value}), ('${B}', null)`,
    );
    const [first] = (await membersOf(schema, 'category')) as { category: string | null }[];
    expect(first?.category).toBe(expected);
    const filtered = await runExport(database, {
      scope: 'all',
      schema,
      filters: { categories: ['debt', 'nothing'] },
      allowEmpty: true,
    });
    expect(filtered.ids).toEqual(expected?.includes('"debt"') ? [A] : []);
  });

  it('finds a scalar category whole', async () => {
    const { ids } = await runExport(database, {
      scope: 'all',
      schema: `category varchar(50) 'de"bt'`,
      filters: { categories: ['de"bt'] },
    });
    expect(ids).toEqual([A]);
  });

  it.each(['json', 'jsonb'])('shows the name-like member of %s labels', async (type) => {
    const schema = `labels ${type}`;
    await deploy(
      schema,
      `create table conversations (id uuid, persona ${type}, emotional_arc ${type}, training_topic ${type});
       insert into conversations values
         ('${A}', '{"key":"k","name":"Anna \\"A\\"","label":"l"}', '{"label":"calm"}', '{"title":"debt"}'),
         ('${B}', '{"key":"only key"}', '"plain text"', '{"other":1}')`,
    );
    expect(await membersOf(schema, 'persona', 'emotion', 'topic')).toEqual([
      { persona: 'Anna "A"', emotion: 'calm', topic: 'debt' },
      { persona: 'only key', emotion: 'plain text', topic: null },
    ]);
    const every = { scope: 'all', schema } as const;
    expect((await runExport(database, { ...every, filters: { personas: ['Anna "A"'] } })).ids).toEqual([A]);
    expect((await runExport(database, { ...every, filters: { searchQuery: 'PLAIN' } })).ids).toEqual([B]);
  });

  it('shows conversation_name where the title is missing', async () => {
    await deploy(
      'names',
      `create table conversations (id uuid, title text, conversation_name varchar(255));
       insert into conversations values ('${A}', null, 'name'), ('${B}', 'title', 'name')`,
    );
    await deploy(
      'only_names',
      `create table conversations (id uuid, conversation_name varchar(255)); insert into conversations values ('${A}', 'name')`,
    );
    expect(await membersOf('names', 'title')).toEqual([{ title: 'name' }, { title: 'title' }]);
    expect(await membersOf('only_names', 'title')).toEqual([{ title: 'name' }]);
  });

  it('takes user_id for the owner where there is one', async () => {
    await deploy(
      'owners',
      `create table conversations (id uuid, created_by uuid, user_id uuid);
       insert into conversations values ('${A}', '${A}', '${B}'), ('${B}', '${B}', null)`,
    );
    expect(
      (await runExport(database, { scope: 'all', schema: 'owners', filters: { createdBy: B } })).ids,
    ).toEqual([A]);
  });
});

describe('how turns find their conversation', () => {
  it('follows the foreign key to either column', async () => {
    await deploy(
      'fk_id',
      `create table conversations (id uuid primary key, conversation_id uuid unique);
       insert into conversations values ('${A}', '${B}'), ('${B}', '${A}')`,
      `${TURNS}; alter table conversation_turns add foreign key (conversation_id) references conversations (id)`,
    );
    await deploy(
      'fk_business',
      `create table conversations (id uuid primary key, conversation_id uuid unique);
       insert into conversations values ('${A}', '${B}'), ('${B}', '${A}')`,
      `${TURNS}; alter table conversation_turns add foreign key (conversation_id) references conversations (conversation_id)`,
    );
    expect(await contentsOf('fk_id')).toEqual(CONTENTS);
    expect(await contentsOf('fk_business')).toEqual(CONTENTS.toReversed());
  });

  it('goes by the types without a foreign key', async () => {
    const rows = `insert into conversations values ('${A}', 'a'), ('${B}', 'b')`;
    await deploy('type_id', `create table conversations (id uuid, conversation_id text); ${rows}`);
    await deploy(
      'type_business',
      `create table conversations (id uuid, conversation_id varchar(100)); ${rows}`,
      `create table conversation_turns (conversation_id text, turn_number integer, role text, content text);
       insert into conversation_turns values ('b', 1, 'user', 'question b'), ('b', 2, 'assistant', 'answer b'),
         ('a', 2, 'assistant', 'answer a'), ('a', 1, 'user', 'question a')`,
    );
    expect(await parentKeyOf('type_id')).toBe('id');
    expect(await parentKeyOf('type_business')).toBe('conversation_id');
    expect(await contentsOf('type_id')).toEqual(CONTENTS);
    expect(await contentsOf('type_business')).toEqual(CONTENTS);
  });

  it('asks the data where both keys are UUIDs', async () => {
    const table = 'create table conversations (id uuid, conversation_id uuid)';
    const other = "'cccccccc-0000-4000-8000-000000000003'";
    await deploy(
      'probe_id',
      `${table}; insert into conversations values ('${A}', ${other}), ('${B}', gen_random_uuid())`,
    );
    await deploy(
      'probe_business',
      `${table}; insert into conversations values (${other}, '${A}'), (gen_random_uuid(), '${B}')`,
    );
    expect(await parentKeyOf('probe_id')).toBe('id');
    expect(await parentKeyOf('probe_business')).toBe('conversation_id');
    expect(await contentsOf('probe_id')).toEqual(CONTENTS);

    await deploy(
      'probe_both',
      `${table}; insert into conversations values ('${A}', '${B}'), ('${B}', '${A}')`,
    );
    const error = await failureOf(runExport(database, { scope: 'all', schema: 'probe_both' }), 'E_SCHEMA');
    expect(error.hint).toContain('foreign key');
  });

  it('follows the foreign key of its own schema and no other', async () => {
    await deploy(
      'fk_elsewhere',
      `create table conversations (id uuid primary key, conversation_id text unique);
       insert into conversations values ('${A}', '${A}')`,
      `create table conversation_turns (conversation_id text references conversations (conversation_id), turn_number int, role text, content text)`,
    );
    expect(await parentKeyOf('type_id')).toBe('id');
    expect(await parentKeyOf('fk_elsewhere')).toBe('conversation_id');
  });

  it('reads ids that are no UUIDs', async () => {
    await deploy(
      'bigints',
      `create table conversations (id bigint primary key, conversation_id text);
       insert into conversations values (2, 'two'), (10, 'ten')`,
      `create table conversation_turns (conversation_id bigint references conversations, turn_number int, role text, content text);
       insert into conversation_turns values (10, 1, 'user', 'q'), (10, 2, 'assistant', 'a'), (2, 1, 'user', 'q'), (2, 2, 'assistant', 'a')`,
    );
    expect((await runExport(database, { scope: 'all', schema: 'bigints' })).ids).toEqual(['two', 'ten']);
    expect(
      (await runExport(database, { scope: 'selected', ids: ['10', 'two'], schema: 'bigints' })).ids,
    ).toEqual(['two', 'ten']);
  });

  it('takes ids in upper case where the business key is a UUID', async () => {
    const { ids } = await runExport(database, {
      scope: 'selected',
      ids: [A.toUpperCase(), 'gone'],
      schema: 'fk_business',
      ignoreMissing: true,
    });
    // Of one conversation it is the primary key, of the other the business key.
    expect(ids).toEqual([B, A]);
  });
});

describe('where the tables are', () => {
  it.each([
    'Träining Data',
    'say "hi"',
    "o'brien; drop table x",
    'a.b',
    'select',
    '$1',
    '%I',
    String.raw`back\slash`,
  ])('reads from a schema called %s', async (schema) => {
    await deploy(
      schema,
      `create table conversations (id uuid primary key, conversation_id uuid, status text);
         insert into conversations values ('${A}', gen_random_uuid(), 'approved'), ('${B}', gen_random_uuid(), 'draft')`,
    );
    expect(await contentsOf(schema)).toEqual(CONTENTS);
    const { lines } = await runExport(database, { schema });
    expect(lines).toHaveLength(1);
  });

  it('keeps the audit log in a schema of any name', async () => {
    const auditSchema = 'Audit. "log"';
    await database.sql.unsafe(`create schema ${quoted(auditSchema)}`);
    await applyMigrations(database.sql, auditSchema);
    const { result } = await runExport(database, { scope: 'all', schema: 'minimal', auditSchema });
    const [row] = await database.sql.unsafe(
      `select status from ${quoted(auditSchema)}.export_logs where export_id = '${result.exportId}'`,
    );
    expect(row).toEqual({ status: 'completed' });
  });

  it('reads views, materialized views and partitioned tables', async () => {
    await deploy(
      'views',
      `create table raw_conversations (id uuid, conversation_id text); create view conversations as select * from raw_conversations;
       insert into raw_conversations values ('${A}', 'a'), ('${B}', 'b')`,
      `${TURNS}; alter table conversation_turns rename to raw_turns;
       create materialized view conversation_turns as select * from raw_turns`,
    );
    await deploy(
      'partitions',
      `create table conversations (id uuid, conversation_id text) partition by hash (id);
       create table part_0 partition of conversations for values with (modulus 2, remainder 0);
       create table part_1 partition of conversations for values with (modulus 2, remainder 1);
       insert into conversations values ('${A}', 'a'), ('${B}', 'b')`,
    );
    expect(await contentsOf('views')).toEqual(CONTENTS);
    expect(await contentsOf('partitions')).toEqual(CONTENTS);
  });

  it('names everything that is missing or of the wrong type in one message', async () => {
    await deploy(
      'broken',
      'create table conversations (conversation_id text)',
      'create table conversation_turns (turn_number text, content jsonb)',
    );
    const error = await failureOf(runExport(database, { scope: 'all', schema: 'broken' }), 'E_SCHEMA');
    for (const problem of [
      'broken.conversations.id is missing',
      'broken.conversation_turns.conversation_id is missing',
      'broken.conversation_turns.role is missing',
      'broken.conversation_turns.turn_number is text, expected integer',
      'broken.conversation_turns.content is jsonb, expected text',
    ]) {
      expect(error.message).toContain(problem);
    }
    expect(
      await database.sql`select from export_logs where export_id = ${error.exportId ?? null}`,
    ).toHaveLength(0);
  });

  it('says so when there is no table, or only one of the two', async () => {
    const none = await failureOf(runExport(database, { scope: 'all', schema: 'nowhere' }), 'E_SCHEMA');
    expect(none.message).toContain('table nowhere.conversations is missing');
    expect(none.message).toContain('table nowhere.conversation_turns is missing');
    expect(none.hint).toContain('--schema');

    await deploy('half', 'create table conversations (id uuid)', 'create table unrelated (x text)');
    const half = await failureOf(runExport(database, { scope: 'all', schema: 'half' }), 'E_SCHEMA');
    expect(half.message).toContain('table half.conversation_turns is missing');
    expect(half.message).not.toContain('half.conversations is missing');
  });
});

describe('values that JavaScript or JSON would spoil', () => {
  it('writes times in UTC with milliseconds, and null for what ISO 8601 cannot say', async () => {
    const times = [
      ['2025-10-29 10:00:00.123456+02', '2025-10-29T08:00:00.123Z'],
      ['2025-10-29 23:59:59.999999+00', '2025-10-29T23:59:59.999Z'],
      ['0001-01-01 00:00:00+00', '0001-01-01T00:00:00.000Z'],
      ['9999-12-31 23:59:59.9999+00', '9999-12-31T23:59:59.999Z'],
      ['2025-03-30 02:30:00 Europe/Berlin', '2025-03-30T01:30:00.000Z'],
      ['infinity', null],
      ['-infinity', null],
      ['0044-03-15 00:00:00+00 BC', null],
      ['12000-01-01 00:00:00+00', null],
      ['10000-01-01 00:00:00+00', null],
    ] as const;
    await deploy(
      'times',
      `create table conversations (id uuid, conversation_id text, created_at timestamptz, updated_at timestamp);
       insert into conversations
       select md5('t' || n)::uuid, n::text, at::timestamptz, at::timestamptz at time zone 'UTC'
       from unnest(array[${times.map(([at]) => `'${at}'`).join()}]) with ordinality as t (at, n)`,
      `create table conversation_turns (conversation_id uuid, turn_number integer, role text, content text);
       insert into conversation_turns select id, n, (array['user', 'assistant'])[n], 'x' from conversations, generate_series(1, 2) n`,
    );
    const { lines, result } = await runExport(database, { scope: 'all', schema: 'times' });
    const written = Object.fromEntries(
      lines.map(({ metadata }) => [
        metadata?.['conversation_id'],
        [metadata?.['created_at'], metadata?.['updated_at']],
      ]),
    );

    expect(written).toEqual(
      Object.fromEntries(times.map(([, iso], index) => [String(index + 1), [iso, iso]])),
    );
    expect(result.counts.warnings['not-a-date']).toEqual({
      count: 5,
      ids: expect.arrayContaining(['6']) as unknown,
    });
    // In the order of time, infinity at the ends.
    expect(lines.map(({ metadata }) => metadata?.['conversation_id'])).toEqual([
      '7',
      '8',
      '3',
      '5',
      '1',
      '2',
      '4',
      '10',
      '9',
      '6',
    ]);
  });

  it('writes null for a score that is no number, and every digit of one that is', async () => {
    const scores = ['NaN', '8.50', '-0', '12345678901234567890.123456789', '1e-20', 'Infinity'];
    await deploy(
      'scores',
      `create table conversations (id uuid, conversation_id text, quality_score numeric);
       insert into conversations select ('aaaaaaaa-0000-4000-8000-00000000000' || n)::uuid, s, s::numeric
       from unnest(array['${scores.join("','")}']) with ordinality as t (s, n)`,
      `create table conversation_turns (conversation_id uuid, turn_number integer, role text, content text);
       insert into conversation_turns select id, n, (array['user', 'assistant'])[n], 'x' from conversations, generate_series(1, 2) n`,
    );
    const { text, result } = await runExport(database, { scope: 'all', schema: 'scores' });

    expect([...text.matchAll(/"quality_score":([^,]*),/g)].map(([, score]) => score)).toEqual([
      'null',
      '8.50',
      '0',
      '12345678901234567890.123456789',
      '0.00000000000000000001',
      'null',
    ]);
    expect(result.counts.warnings['not-a-number']).toEqual({ count: 2, ids: ['NaN', 'Infinity'] });
  });

  it('keeps json as it is stored, on one line, with half a surrogate pair replaced and counted', async () => {
    const pretty = String.raw`{
        "big": 12345678901234567890, "exact": 1.0, "twice": 1, "twice": 2,
        "half": "\ud800", "pair": "\ud83d\ude00", "text": "a \" b \\ c   d"
      }`;
    await deploy(
      'jsons',
      `create table conversations (id uuid, parameters json, review_history json);
       insert into conversations values ('${A}', $json$${pretty}$json$, $json$${pretty}$json$), ('${B}', null, '[]')`,
    );
    const { text, lines, result } = await runExport(database, {
      scope: 'all',
      schema: 'jsons',
      content: { includeApprovalHistory: true },
    });

    expect(lines).toHaveLength(2);
    expect(lines[0]?.metadata?.['review_history']).toEqual(
      JSON.parse(pretty.replace(String.raw`\ud800`, '\ufffd')),
    );
    expect(text).toContain('12345678901234567890');
    expect(text).toContain('1.0');
    expect(result.counts.warnings['lone-surrogate']).toEqual({ count: 1, ids: [A] });
    expect((await membersOf('jsons', 'parameters'))[0]).toEqual({ parameters: pretty });
  });
});

describe('servers that are set up otherwise', () => {
  it('writes the same bytes whatever the settings of the role and the database', async () => {
    await using plain = await createDatabase('ready');
    await plain.sql`alter table conversations alter quality_score type double precision, drop constraint conversations_quality_score_check`;
    for (let index = 0; index < 20; index++) {
      await addConversation(plain.sql, {
        id: `aaaaaaaa-0000-4000-8000-0000000000${10 + index}`,
        conversation_id: `c${index}`,
        quality_score: 0.1 + 0.2 + index,
        title: String.raw`back\slash 'quote' ${index}`,
        created_at: `2025-03-30T0${index % 10}:30:00.123456Z`,
        updated_at: `2025-10-26T0${index % 10}:30:00Z`,
      });
    }
    const request = {
      scope: 'all',
      filters: { dateFrom: '2025-03-30', dateTo: '2025-03-30', searchQuery: String.raw`K\slash` },
      content: { includeApprovalHistory: true },
    } as const;
    const expected = await runExport(plain, request);
    expect(expected.lines).toHaveLength(20);

    for (const settings of [
      { timezone: 'Asia/Kathmandu', datestyle: 'German, DMY', extra_float_digits: '-15' },
      {
        timezone: 'Pacific/Kiritimati',
        datestyle: 'SQL, DMY',
        intervalstyle: 'iso_8601',
        bytea_output: 'escape',
      },
      {
        standard_conforming_strings: 'off',
        backslash_quote: 'off',
        client_encoding: 'LATIN1',
        array_nulls: 'off',
      },
      { search_path: 'nowhere', enable_indexscan: 'off', enable_nestloop: 'off', row_security: 'off' },
      {
        default_transaction_isolation: 'serializable',
        default_transaction_deferrable: 'on',
        cursor_tuple_fraction: '1',
      },
      { jit_above_cost: '0', jit_optimize_above_cost: '0', lc_messages: 'C' },
    ]) {
      for (const [name, value] of Object.entries(settings)) {
        await plain.sql.unsafe(
          `alter database ${plain.name} set ${name} = ${name === 'search_path' ? value : `'${value}'`}`,
        );
      }
      const { bytes } = await runExport(plain, request);
      await plain.sql.unsafe(`alter database ${plain.name} reset all`);
      expect(bytes.toString(), JSON.stringify(settings)).toBe(expected.text);
    }
  });

  it('outlives the limits that a role has for interactive work when the reader is slow', async () => {
    await using limited = await createDatabase('ready');
    for (let index = 0; index < 60; index++) {
      await addConversation(limited.sql, { conversation_id: `c${index}` }, [
        ['user', 'x'.repeat(50_000)],
        ['assistant', 'y'],
      ]);
    }
    const expected = await runExport(limited);
    await limited.sql.unsafe(
      `alter database ${limited.name} set idle_in_transaction_session_timeout = '200ms'`,
    );
    await limited.sql.unsafe(`alter database ${limited.name} set statement_timeout = '1s'`);
    const sink = collector(() => delay(700));
    await runExport(limited, { batchSize: 5 }, { stream: sink.stream });

    expect(sink.bytes().equals(expected.bytes)).toBe(true);
  });

  it('exports text of a LATIN1 database whole', async () => {
    await using latin = await createEncoded('LATIN1');
    const text = 'Grüße, ça coûte £5 \u00ad nicht\u0085ÿ';
    await latin.sql.unsafe(`
      create table conversations (id uuid primary key, conversation_id text, title text, status text, persona jsonb);
      create table conversation_turns (conversation_id uuid references conversations, turn_number int, role text, content text)`);
    await latin.sql`insert into conversations values (${A}, ${text}, ${text}, 'approved', ${latin.sql.json({ name: text })})`;
    await latin.sql`
      insert into conversation_turns values (${A}, 1, 'user', ${text}), (${A}, 2, 'rôle', 'x'), (${A}, 3, 'assistant', ${text.repeat(1000)})`;
    const refused = await runExport(latin, { allowEmpty: true });
    expect(refused.reports).toMatchObject([{ rule: 'unknown-role', conversation_id: text, turn: 2 }]);

    await latin.sql`update conversation_turns set role = 'assistant' where turn_number = 2`;
    const { lines, ids } = await runExport(latin);
    expect(lines[0]?.messages.map(({ content }) => content)).toEqual([text, 'x', text.repeat(1000)]);
    expect(lines[0]?.metadata).toMatchObject({ title: text, persona: text });
    expect(ids).toEqual([text]);

    const found = await runExport(latin, { scope: 'selected', ids: [text] });
    expect(found.ids).toEqual([text]);
  });

  it('refuses a database whose text has no known encoding', async () => {
    await using ascii = await createEncoded('SQL_ASCII');
    await ascii.sql.unsafe(`
      create table conversations (id uuid primary key, status text);
      create table conversation_turns (conversation_id uuid, turn_number int, role text, content text)`);
    const error = await failureOf(runExport(ascii), 'E_SCHEMA');
    expect(error.message).toContain('SQL_ASCII');
  });
});

/** A database of another encoding with the audit log and no source tables. */
async function createEncoded(encoding: string): Promise<TestDatabase> {
  const maintenance = connectTo(serverUrl());
  const name = `test_${encoding.toLowerCase()}_${process.pid}`;
  await maintenance.unsafe(`create database ${name} template template0 encoding '${encoding}' locale 'C'`);
  const url = serverUrl().replace('/postgres?', `/${name}?`);
  const sql = connectTo(url);
  await applyMigrations(sql);
  const drop = async () => {
    await sql.end();
    await maintenance.unsafe(`drop database ${name} with (force)`);
    await maintenance.end();
  };
  return { url, name, sql, drop, [Symbol.asyncDispose]: drop };
}

function connectTo(url: string): postgres.Sql {
  const { username, pathname, searchParams } = new URL(url);
  return postgres({
    host: searchParams.get('host') ?? '',
    port: 5432,
    user: username,
    database: pathname.slice(1),
    max: 2,
    onnotice: () => {},
  });
}
