import * as fc from 'fast-check';
import type postgres from 'postgres';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { parseDatabaseUrl } from '../src/db/target.js';
import type { ExportRequestInput, Filters, Scope } from '../src/request.js';
import { FACET_FILTERS, openSurvey, type Facet, type Survey, type SurveyOptions } from '../src/survey.js';
import { addUser, applyAuthShim, applyMigrations } from './support/audit.js';
import { createDatabase, type TestDatabase } from './support/database.js';
import { addConversation, failureOf, runExport } from './support/export.js';
import { startProxy } from './support/proxy.js';

type FacetName = keyof typeof FACET_FILTERS;
const NAMES = Object.keys(FACET_FILTERS) as FacetName[];

async function withSurvey<T>(
  { url }: Pick<TestDatabase, 'url'>,
  options: SurveyOptions,
  use: (survey: Survey) => Promise<T>,
): Promise<T> {
  const survey = await openSurvey(parseDatabaseUrl(url, 'the test'), options);
  try {
    return await use(survey);
  } finally {
    await survey.close();
  }
}

/** What an export with the same request matches. */
async function exported(database: Pick<TestDatabase, 'url'>, request: ExportRequestInput): Promise<number> {
  const { result } = await runExport(database, { ...request, allowEmpty: true, ignoreMissing: true });
  return result.counts.matched;
}

const TURN = `create table conversation_turns (conversation_id uuid, turn_number integer, role text, content text)`;

/** Both source tables in a schema of their own. */
async function deploy(sql: postgres.Sql, schema: string, conversations: string): Promise<void> {
  await sql.begin((tx) =>
    tx
      .unsafe(`create schema ${schema}; set local search_path = ${schema}; ${conversations}; ${TURN}`)
      .simple(),
  );
}

const valuesOf = (facet: Facet | undefined): unknown =>
  facet?.values.map(({ value, count }) => `${value}: ${count}`);

describe('in a database of many kinds of conversations', () => {
  let database: TestDatabase;
  let survey: Survey;

  beforeAll(async () => {
    database = await createDatabase('ready');
    const { sql } = database;
    await sql`
      insert into conversations (conversation_id, title, conversation_name, tier, status, category, persona, emotion,
        topic, quality_score, is_active, created_at, created_by)
      select 'c_' || lpad(n::text, 3, '0'), case when n % 5 > 0 then 'Title ' || n end,
        case when n % 5 = 0 then 'Name ' || n end,
        (array['template', 'scenario', 'edge_case'])[n % 3 + 1],
        (array['approved', 'approved', 'draft', 'rejected', 'archived'])[n % 5 + 1],
        (array['{}', null, '{money}', '{money,home}', '{home,home}', '{"",tax}', '{NULL,"a,b"}'])[n % 7 + 1]::text[],
        (array['Marcus', 'marcus', '', null, e'tab\t' || chr(8238), '%_\\'])[n % 6 + 1],
        case when n % 4 = 0 then 'joy' end, 'topic ' || n % 11,
        case when n % 9 > 0 then n % 100 / 10.0 end, n % 13 > 0,
        case when n % 10 > 0 then timestamptz '2025-03-01 12:00:00.123456' + n * interval '7 hours' end,
        case when n % 2 = 0 then md5('owner')::uuid end
      from generate_series(1, 120) n`;
    await sql`
      insert into conversation_turns (conversation_id, turn_number, role, content)
      select c.id, n, case n when 1 then 'user' else 'assistant' end, 'text'
      from conversations c, generate_series(1, 2) n`;
    survey = await openSurvey(parseDatabaseUrl(database.url, 'the test'));
  });
  afterAll(async () => {
    await survey.close();
    await database.drop();
  });

  const requests: ExportRequestInput[] = [
    {},
    { scope: 'all' },
    { scope: 'all', limit: 7 },
    { scope: 'approved', filters: { tier: ['scenario'] } },
    { scope: 'all', excludeStatus: ['draft', 'rejected'] },
    { scope: 'filtered', filters: { status: ['draft', 'archived'], qualityScoreMin: 2.5 } },
    { scope: 'filtered', filters: { qualityScoreMax: 3, dateFrom: '2025-03-10', dateTo: '2025-03-20' } },
    { scope: 'filtered', filters: { dateTo: '2025-03-05T12:00:00+02:00' } },
    { scope: 'filtered', filters: { categories: ['home', 'a,b'], personas: ['%_\\', 'Marcus'] } },
    { scope: 'filtered', filters: { emotions: ['joy'], topics: ['topic 4', 'topic 8'] } },
    { scope: 'filtered', filters: { searchQuery: 'MARCUS' } },
    { scope: 'filtered', filters: { createdBy: '72122ce9-6bfa-b4b9-5c19-f7f1c9a8c5c1' } },
    { scope: 'selected', ids: ['c_001', 'c_013', 'nobody'] },
    { scope: 'selected', ids: ['c_001', 'c_013', 'c_003'], filters: { tier: ['template'] } },
  ];

  it.each(requests.map((request) => [JSON.stringify(request), request] as const))(
    'counts what an export of %s matches',
    async (_name, request) => {
      expect(await survey.count(request)).toBe(await exported(database, request));
    },
  );

  it('counts what each scope would export, and the filters for their own scope alone', async () => {
    const filters = { tier: ['template', 'edge_case'], qualityScoreMin: 3 };
    const [row] = await database.sql<{ id: string }[]>`
      select id from conversations where conversation_id = 'c_002'`;
    const ids = ['c_001', 'c_002', row?.id ?? '', 'c_013', 'nobody'];
    const excludeStatus = ['archived'];
    const counts = await survey.scopes({ scope: 'approved', filters, ids, excludeStatus });

    expect(counts).toEqual({
      selected: { count: await exported(database, { scope: 'selected', ids }), problem: null },
      filtered: {
        count: await exported(database, { scope: 'filtered', filters, excludeStatus }),
        problem: null,
      },
      approved: { count: await exported(database, { scope: 'approved' }), problem: null },
      all: { count: 120, problem: null },
    });
    expect(counts.selected.count).toBe(3);
    expect(new Set(Object.values(counts).map(({ count }) => count)).size).toBe(4);
  });

  it('takes a request that is still being filled in', async () => {
    expect(await survey.count({ scope: 'selected' })).toBe(0);
    expect(await survey.count({ scope: 'selected', ids: [] })).toBe(0);
    // What is not deleted.
    expect(await survey.count({ scope: 'filtered' })).toBe(111);
    expect((await survey.scopes({})).selected.count).toBe(0);
    await failureOf(survey.count({ scope: 'filtered', filters: { tier: [] } }), 'E_USAGE');
  });

  it('names the ids that match nothing', async () => {
    expect(await survey.missing(['c_001', 'nobody', 'c_120'])).toEqual(['nobody']);
  });

  it('lists the values of each facet with how many have them, the most frequent first, then by name', async () => {
    const { tier, persona, category, emotion } = await survey.facets({ scope: 'all' });

    expect(valuesOf(tier)).toEqual(['edge_case: 40', 'scenario: 40', 'template: 40']);
    expect(valuesOf(persona)).toEqual(['%_\\: 20', 'Marcus: 20', 'marcus: 20', 'tab\t\u{202e}: 20']);
    expect(persona?.none).toBe(40);
    // One that names a category twice counts once; empty texts and NULL are no category.
    expect(valuesOf(category)).toEqual(['home: 34', 'money: 34', 'a,b: 17', 'tax: 17']);
    expect(category?.none).toBe(35);
    expect(emotion).toEqual({ values: [{ value: 'joy', count: 30 }], more: 0, none: 90 });
  });

  it('lets a facet ignore the filter on itself, and no other', async () => {
    const filters = { tier: ['scenario'], emotions: ['joy'], qualityScoreMin: 5, dateFrom: '2025-03-25' };
    const facets = await survey.facets({ scope: 'filtered', filters });
    const { tier: _tier, ...rest } = filters;
    const unbound = await survey.facets({ scope: 'filtered', filters: rest });

    expect(facets.tier).toEqual(unbound.tier);
    expect(facets.tier?.values).toHaveLength(3);
    expect(facets.status).not.toEqual(unbound.status);
    expect(facets.qualityScore?.min).toBeLessThan(5);
    expect(facets.createdAt?.min).toMatch(/^2025-03-20/);
    expect(facets.qualityScore?.max).toBeLessThan(unbound.qualityScore?.max ?? 0);
  });

  it('tells from where to where scores and dates go, so that the ends are within the filter', async () => {
    const { qualityScore, createdAt } = await survey.facets(
      { scope: 'all' },
      { only: ['qualityScore', 'createdAt'] },
    );

    expect(qualityScore).toEqual({ min: 0, max: 9.8, none: 13 });
    expect(createdAt).toEqual({ min: '2025-03-01T19:00:00.123Z', max: '2025-04-05T05:00:00.124Z', none: 12 });
    const within = { dateFrom: createdAt?.min ?? '', dateTo: createdAt?.max ?? '' };
    expect(await survey.count({ scope: 'all', filters: within })).toBe(108);
    expect(await survey.count({ scope: 'all', filters: { qualityScoreMin: 0, qualityScoreMax: 9.9 } })).toBe(
      107,
    );
  });

  it('reads only the facets that are asked for', async () => {
    expect(Object.keys(await survey.facets({}, { only: ['status', 'createdAt'] }))).toEqual([
      'status',
      'createdAt',
    ]);
  });

  const some = (values: readonly string[]) =>
    fc.option(fc.uniqueArray(fc.constantFrom(...values), { minLength: 1, maxLength: 3 }), { nil: undefined });
  const anyFilters: fc.Arbitrary<Filters> = fc
    .record({
      tier: some(['template', 'scenario']),
      status: some(['approved', 'draft', 'none']),
      categories: some(['home', 'money', 'tax']),
      personas: some(['Marcus', '%_\\', 'nobody']),
      emotions: some(['joy']),
      topics: some(['topic 1', 'topic 2', 'topic 3', 'topic 4']),
      qualityScoreMin: fc.option(fc.integer({ min: 0, max: 5 }), { nil: undefined }),
      dateFrom: fc.option(fc.constant('2025-03-08'), { nil: undefined }),
    })
    .map((filters) => Object.fromEntries(Object.entries(filters).filter(([, value]) => value !== undefined)));

  it('counts for every value what a filter on it matches', async () => {
    await fc.assert(
      fc.asyncProperty(
        anyFilters,
        fc.constantFrom<Scope>('all', 'approved', 'filtered'),
        async (filters, scope) => {
          const facets = await survey.facets({ scope, filters });
          for (const name of NAMES) {
            for (const { value, count } of facets[name]?.values ?? []) {
              const chosen = { ...filters, [FACET_FILTERS[name]]: [value] };
              expect([name, value, await survey.count({ scope, filters: chosen })]).toEqual([
                name,
                value,
                count,
              ]);
            }
          }
        },
      ),
      { numRuns: 12 },
    );
  });

  it('accounts for everybody in a facet of one value each', async () => {
    const facets = await survey.facets({ scope: 'all' });
    for (const name of ['tier', 'status', 'persona', 'emotion', 'topic'] as const) {
      const { values, none } = facets[name] as Facet;
      expect(values.reduce((sum, { count }) => sum + count, none)).toBe(120);
    }
  });

  describe('searching', () => {
    it('finds by title, by the name that stands in for it, and by either key, in upper or lower case', async () => {
      const [row] = await database.sql<
        { id: string }[]
      >`select id from conversations where conversation_id = 'c_042'`;
      const id = row?.id ?? '';
      const found = async (text: string) =>
        (await survey.search(text)).found.map((hit) => hit.conversationId);

      expect(await found('title 42')).toEqual(['c_042']);
      expect(await found('NAME 35')).toEqual(['c_035']);
      expect(await found('C_042')).toEqual(['c_042']);
      expect(await found(id.toUpperCase())).toEqual(['c_042']);
      expect(await found(id.slice(2, 20))).toEqual(['c_042']);
      expect(await found('%')).toEqual([]);
      expect(await found('c_04')).toEqual([
        'c_049',
        'c_048',
        'c_047',
        'c_046',
        'c_045',
        'c_044',
        'c_043',
        'c_042',
        'c_041',
        'c_040',
      ]);
      expect(await found('c\\_04')).toEqual([]);
      expect(await found('cx04')).toEqual([]);
      expect(await found('a\0b')).toEqual([]);
    });

    it('shows what helps to choose', async () => {
      const { found } = await survey.search('title 42');
      expect(found).toEqual([
        {
          id: expect.stringMatching(/^[0-9a-f-]{36}$/) as unknown,
          conversationId: 'c_042',
          title: 'Title 42',
          status: 'draft',
          tier: 'template',
          turns: 0,
        },
      ]);
    });

    it('lists the newest first and those without a date last, page by page, each once', async () => {
      const order = await database.sql<{ id: string }[]>`
        select id from conversations order by created_at desc nulls last, id desc`;
      const seen: string[] = [];
      const sizes: number[] = [];
      for (let after = undefined, more = true; more;) {
        const page = await survey.search('', { limit: 37, after });
        seen.push(...page.found.map(({ id }) => id));
        sizes.push(page.found.length);
        after = page.next ?? undefined;
        more = page.next !== null;
      }
      expect(seen).toEqual(order.map(({ id }) => id));
      expect(sizes).toEqual([37, 37, 37, 9]);
    });

    it('ends where a page is just full', async () => {
      const { found, next } = await survey.search('c_04', { limit: 10 });
      expect(found).toHaveLength(10);
      expect(next).toBeNull();
      expect((await survey.search('c_04', { limit: 9 })).next).not.toBeNull();
    });

    it('keeps to the filters', async () => {
      const { found } = await survey.search('c_00', { filters: { tier: ['scenario'] } });
      expect(found.map(({ conversationId }) => conversationId)).toEqual(['c_007', 'c_004', 'c_001']);
    });

    it('leaves out a question that nobody waits for any more, and goes on with the next', async () => {
      const typing = new AbortController();
      const stale = survey.search('tit', { signal: typing.signal });
      const waiting = survey.search('titl', { signal: typing.signal });
      typing.abort(new Error('another key'));
      const [fresh, ...old] = await Promise.allSettled([survey.search('title 42'), stale, waiting]);

      expect(old.map((outcome) => outcome.status === 'rejected' && String(outcome.reason))).toEqual([
        'Error: another key',
        'Error: another key',
      ]);
      expect(fresh.status === 'fulfilled' && fresh.value.found).toHaveLength(1);
    });
  });

  it('answers questions asked at the same moment', async () => {
    const [all, facets, { found }] = await Promise.all([
      survey.count({ scope: 'all' }),
      survey.facets({ scope: 'all' }, { only: ['tier'] }),
      survey.search('c_1'),
    ]);
    expect(all).toBe(120);
    expect(facets.tier?.values).toHaveLength(3);
    expect(found).toHaveLength(21);
  });

  it('holds no transaction open while nobody asks', async () => {
    await survey.facets({ scope: 'all' });
    const sessions = await database.sql`
      select state from pg_stat_activity where datname = ${database.name} and application_name = 'lora-export wizard'`;
    expect(sessions.map(({ state }) => state as unknown)).toEqual(['idle']);
  });
});

describe('with users', () => {
  let database: TestDatabase;
  let mine: string;
  let theirs: string;

  beforeEach(async () => {
    database = await createDatabase('ready');
    const { sql } = database;
    await applyAuthShim(sql);
    await applyMigrations(sql);
    [mine, theirs] = [await addUser(sql), await addUser(sql)];
    await sql`alter table conversations enable row level security`;
    await sql`alter table conversation_turns enable row level security`;
    await sql`create policy own on conversations for select using (auth.uid() = created_by)`;
    await sql`create policy own on conversation_turns for select using (
      exists (select from conversations c where c.id = conversation_turns.conversation_id))`;
    for (const [user, count] of [
      [mine, 3],
      [theirs, 5],
    ] as const) {
      for (let n = 0; n < count; n++) {
        await addConversation(sql, {
          conversation_id: `${user}-${n}`,
          title: n === 0 ? 'shared words' : 'other words',
          tier: n === 0 ? 'scenario' : 'template',
          created_by: user,
        });
      }
    }
    await addConversation(sql, { conversation_id: 'nobody', title: 'shared words' });
  });
  afterEach(() => database.drop());

  it('counts, lists and finds for each user what his exports match', async () => {
    for (const [userId, own] of [
      [mine, 3],
      [theirs, 5],
    ] as const) {
      await withSurvey(database, { userId }, async (survey) => {
        expect(await survey.facts()).toMatchObject({
          role: 'authenticated',
          userId,
          userOrigin: 'given',
          rowSecurity: true,
          conversations: own,
          isEmpty: false,
        });
        expect((await survey.scopes({ ids: [`${mine}-0`, 'nobody'] })).all.count).toBe(own);
        for (const request of [
          { scope: 'all' },
          { scope: 'approved' },
          { scope: 'filtered', filters: { tier: ['template'] } },
          { scope: 'selected', ids: [`${mine}-0`, `${theirs}-0`, 'nobody'] },
        ] satisfies ExportRequestInput[]) {
          expect(await survey.count(request)).toBe(await exported(database, { ...request, userId }));
        }
        const { tier } = await survey.facets({ scope: 'all' });
        expect(valuesOf(tier)).toEqual([`template: ${own - 1}`, 'scenario: 1']);
        expect((await survey.search('shared')).found.map((hit) => hit.conversationId)).toEqual([
          `${userId}-0`,
        ]);
        expect(await survey.missing([`${mine}-0`, `${theirs}-0`])).toHaveLength(1);
      });
    }
  });

  it('sees everything for a role that policies do not bind when that is asked for', async () => {
    await withSurvey(database, { userId: mine, allUsers: true }, async (survey) => {
      expect(await survey.facts()).toMatchObject({ allUsers: true, rowSecurity: false, conversations: 9 });
      expect(await survey.count({ scope: 'all' })).toBe(
        await exported(database, { scope: 'all', userId: mine, allUsers: true }),
      );
    });
  });

  it('wants a user, as an export does', async () => {
    const error = await failureOf(
      withSurvey(database, {}, (survey) => survey.facts()),
      'E_USAGE',
    );
    expect(error.hint).toContain('--user');
  });
});

describe('in a database of another shape', () => {
  let database: TestDatabase;

  beforeAll(async () => {
    database = await createDatabase('ready');
  });
  afterAll(() => database.drop());

  const A = 'aaaaaaaa-0000-4000-8000-000000000001';
  const B = 'bbbbbbbb-0000-4000-8000-000000000002';
  const C = 'bbbbbbbb-cccc-4000-8000-000000000003';
  const D = 'aaaaaaaa-0000-4000-8000-000000000004';

  /** Each value listed must match as many as it says; what is listed, by facet. */
  async function listed(schema: string): Promise<Record<string, unknown>> {
    return withSurvey(database, { schema }, async (survey) => {
      const facets = await survey.facets({ scope: 'all' });
      for (const name of NAMES) {
        for (const { value, count } of facets[name]?.values ?? []) {
          const request: ExportRequestInput = { scope: 'all', filters: { [FACET_FILTERS[name]]: [value] } };
          expect(await survey.count(request)).toBe(count);
          expect(await exported(database, { ...request, schema })).toBe(count);
        }
      }
      return Object.fromEntries(
        NAMES.filter((name) => name in facets).map((name) => [
          name,
          [valuesOf(facets[name]), facets[name]?.none],
        ]),
      );
    });
  }

  it('does without every column that an export does without', async () => {
    await deploy(
      database.sql,
      'minimal',
      `create table conversations (id uuid); insert into conversations values ('${A}'), ('${B}')`,
    );
    await withSurvey(database, { schema: 'minimal' }, async (survey) => {
      expect(await survey.facets({ scope: 'all' })).toEqual({});
      expect(await survey.scopes({ ids: [A], filters: { tier: ['x'] } })).toEqual({
        selected: { count: 1, problem: null },
        filtered: { count: 0, problem: expect.stringContaining('no column tier') as unknown },
        approved: { count: 0, problem: expect.stringContaining('no column status') as unknown },
        all: { count: 2, problem: null },
      });
      const nothing = { title: null, status: null, tier: null, turns: null };
      expect((await survey.search('')).found).toEqual([
        { id: B, conversationId: B, ...nothing },
        { id: A, conversationId: A, ...nothing },
      ]);
      expect((await survey.search('aaaa')).found.map(({ id }) => id)).toEqual([A]);
      const { next } = await survey.search('', { limit: 1 });
      expect((await survey.search('', { after: next ?? undefined })).found.map(({ id }) => id)).toEqual([A]);
    });
  });

  it('goes on after a question that the table cannot answer', async () => {
    await withSurvey(database, { schema: 'minimal' }, async (survey) => {
      const error = await failureOf(survey.count({ scope: 'approved' }), 'E_SCHEMA');
      expect(error.message).toContain('no column status');
      expect(await survey.count({ scope: 'all' })).toBe(2);
    });
  });

  it('lists enums, varchar and a category that is one text', async () => {
    await deploy(
      database.sql,
      'scalars',
      `create type tier_type as enum ('template', 'scenario');
       create table conversations (id uuid, conversation_id uuid, tier tier_type, status char(12), category varchar(20),
         title text, total_turns bigint, created_at date, quality_score real);
       insert into conversations values
         ('${A}', '${C}', 'template', 'approved', 'money', 'One', 7, '2025-01-01', 'NaN'),
         ('${B}', '${B}', 'template', 'draft', '', null, null, 'infinity', 4.5),
         ('${C}', null, null, null, null, 'Three', 0, null, null),
         ('${D}', null, null, null, null, 'see bbbbbbbb-cccc', 0, null, null)`,
    );
    expect(await listed('scalars')).toEqual({
      tier: [['template: 2'], 2],
      status: [['approved: 1', 'draft: 1'], 2],
      category: [['money: 1'], 3],
    });
    await withSurvey(database, { schema: 'scalars' }, async (survey) => {
      const { qualityScore, createdAt } = await survey.facets({ scope: 'all' });
      expect(qualityScore).toEqual({ min: 4.5, max: null, none: 2 });
      expect(createdAt).toEqual({
        min: '2025-01-01T00:00:00.000Z',
        max: '2025-01-01T00:00:00.000Z',
        none: 2,
      });
      expect((await survey.search('')).found.map(({ id, turns }) => [id, turns])).toEqual([
        [B, null],
        [A, 7],
        [C, 0],
        [D, 0],
      ]);
      expect((await survey.search('bbbbbbbb-cccc')).found.map(({ id }) => id)).toEqual([A, C]);
      expect((await survey.search('bbbbbbbb')).found.map(({ id }) => id)).toEqual([B, A, C, D]);
      const { found, next } = await survey.search('bbbbbbbb-c', { limit: 1 });
      expect(found.map(({ id }) => id)).toEqual([A]);
      // Neither page has the title that holds the same text.
      const rest = await survey.search('bbbbbbbb-c', { after: next ?? undefined });
      expect(rest.found.map(({ id }) => id)).toEqual([C]);
      expect((await survey.search(C.toUpperCase())).found.map(({ id }) => id)).toEqual([A, C]);
    });
  });

  it('lists the names in JSON, and categories in JSON', async () => {
    await deploy(
      database.sql,
      'documents',
      `create table conversations (id uuid default gen_random_uuid(), persona jsonb, emotional_arc jsonb, training_topic json, category jsonb);
       insert into conversations (persona, emotional_arc, training_topic, category) values
         ('{"name": "Marcus", "key": "m"}', '"joy"', '{"label": "Money"}', '["a", "b", "a", ""]'),
         ('{"key": "m"}', '{"name": ""}', '{"title": "Money"}', '"a"'),
         ('[1]', '3', null, '{"b": 1, "": 2}'),
         (null, 'null', '{}', '[1, null]'),
         ('{"name": "Marcus"}', null, null, null)`,
    );
    expect(await listed('documents')).toEqual({
      persona: [['Marcus: 2', 'm: 1'], 2],
      emotion: [['joy: 1'], 4],
      topic: [['Money: 2'], 3],
      category: [['a: 2', 'b: 2'], 2],
    });
  });

  it('lists the 200 most frequent of many values, and how many there are besides', async () => {
    await deploy(
      database.sql,
      'manifold',
      `create table conversations (id uuid default gen_random_uuid(), topic text);
       insert into conversations (topic) select 'topic ' || n from generate_series(1, 250) n;
       insert into conversations (topic) values ('topic 250'), (null)`,
    );
    await withSurvey(database, { schema: 'manifold' }, async (survey) => {
      const { topic } = await survey.facets({ scope: 'all' });
      expect(topic?.values).toHaveLength(200);
      expect(topic?.values[0]).toEqual({ value: 'topic 250', count: 2 });
      expect(topic).toMatchObject({ more: 50, none: 1 });
      const one = await survey.facets(
        { scope: 'all', filters: { topics: ['topic 3'] } },
        { only: ['topic'] },
      );
      expect(one.topic).toEqual(topic);
    });
  });

  it('finds columns that were added while it was open once it is asked for the facts', async () => {
    await deploy(
      database.sql,
      'growing',
      `create table conversations (id uuid); insert into conversations values ('${A}')`,
    );
    await withSurvey(database, { schema: 'growing' }, async (survey) => {
      expect(await survey.facets({ scope: 'all' })).toEqual({});
      await database.sql`alter table growing.conversations add tier text default 'new'`;
      await survey.facts();
      expect(valuesOf((await survey.facets({ scope: 'all' })).tier)).toEqual(['new: 1']);
    });
  });
});

describe('the facts', () => {
  it('are told of a database that is ready', async () => {
    await using database = await createDatabase('ready');
    await addConversation(database.sql, { conversation_id: 'a' });
    await withSurvey(database, { isEmbedded: true }, async (survey) => {
      const [row] = await database.sql<
        { version: string }[]
      >`select current_setting('server_version') as version`;
      expect(await survey.facts()).toEqual({
        database: parseDatabaseUrl(database.url, 'the test').label,
        isEmbedded: true,
        serverVersion: row?.version,
        role: 'postgres',
        userId: expect.stringMatching(/^[0-9a-f-]{36}$/) as unknown,
        userOrigin: 'role',
        allUsers: false,
        rowSecurity: false,
        conversations: 1,
        sourceProblem: null,
        auditProblems: [],
        isEmpty: false,
      });
    });
  });

  it('are told of an empty database, and anew after it was filled', async () => {
    await using database = await createDatabase('empty');
    await withSurvey(database, {}, async (survey) => {
      expect(await survey.facts()).toMatchObject({
        conversations: null,
        sourceProblem: expect.stringContaining('table public.conversations is missing') as unknown,
        auditProblems: ['there is no table public.export_logs'],
        isEmpty: true,
      });
      await failureOf(survey.count({}), 'E_SCHEMA');
      await database.sql.unsafe(`create table conversations (id uuid); ${TURN}`).simple();
      await applyMigrations(database.sql);
      expect(await survey.facts()).toMatchObject({
        conversations: 0,
        sourceProblem: null,
        auditProblems: [],
        isEmpty: true,
      });
      await database.sql`insert into conversations values (gen_random_uuid())`;
      expect(await survey.facts()).toMatchObject({ conversations: 1, isEmpty: false });
    });
  });

  it('do not call a database empty whose tables are only of another shape', async () => {
    await using database = await createDatabase('empty');
    await database.sql`create table conversations (id uuid)`;
    await withSurvey(database, {}, async (survey) => {
      const { conversations, sourceProblem, isEmpty } = await survey.facts();
      expect([conversations, isEmpty]).toEqual([null, false]);
      expect(sourceProblem).toContain('conversation_turns is missing');
    });
  });
});

describe('when the connection is lost', () => {
  let database: TestDatabase;

  beforeEach(async () => {
    database = await createDatabase('ready');
    await addConversation(database.sql, { conversation_id: 'a' });
  });
  afterEach(() => database.drop());

  const disconnect = (): Promise<unknown> => database.sql`
    select pg_terminate_backend(pid, 5000) from pg_stat_activity
    where datname = ${database.name} and application_name = 'lora-export wizard'`;

  it('connects again while somebody thinks', async () => {
    await withSurvey(database, {}, async (survey) => {
      expect(await survey.count({})).toBe(1);
      await disconnect();
      expect(await survey.count({})).toBe(1);
      await disconnect();
      expect((await survey.facts()).conversations).toBe(1);
    });
  });

  it('asks again what was being answered', async () => {
    await withSurvey(database, {}, async (survey) => {
      await database.sql
        .begin(async (tx) => {
          await tx`lock table conversations`;
          const answer = survey.count({});
          await blocked(database);
          await disconnect();
          await tx`select 1`;
          return { answer };
        })
        .then(async ({ answer }) => expect(await answer).toBe(1));
    });
  });

  it('says so when the server is gone, and goes on when it is back', async () => {
    const { socketPath, database: name, user } = parseDatabaseUrl(database.url, 'the test');
    const proxy = await startProxy({ path: socketPath ?? '' });
    try {
      const url = `postgres://${user}@127.0.0.1:${proxy.port}/${name}`;
      await withSurvey({ url }, {}, async (survey) => {
        expect(await survey.count({})).toBe(1);
        proxy.refuse();
        proxy.cut();
        const error = await failureOf(survey.count({}), 'E_DB_UNREACHABLE');
        expect(error.retryable).toBe(true);
        proxy.resume();
        expect(await survey.count({})).toBe(1);
      });
    } finally {
      await proxy.close();
    }
  });

  it('ends at once when it is cancelled', async () => {
    const cancelled = new AbortController();
    await withSurvey(database, { signal: cancelled.signal }, async (survey) => {
      await database.sql.begin(async (tx) => {
        await tx`lock table conversations`;
        const answer = survey.count({});
        const ended = failureOf(answer, 'E_INTERNAL');
        await blocked(database);
        cancelled.abort();
        await ended;
      });
      await expect(survey.count({})).rejects.toThrow('cancelled');
    });
  });

  it('never asks a question that was given up before its turn', async () => {
    await deploy(
      database.sql,
      'talking',
      `create function talk() returns boolean language plpgsql as $$ begin raise notice 'read'; return true; end $$;
       create table one as select gen_random_uuid() as id;
       create view conversations as select * from one where talking.talk()`,
    );
    const said: string[] = [];
    const options = { schema: 'talking', onNotice: (text: string) => said.push(text) };
    await withSurvey(database, options, async (survey) => {
      const typing = new AbortController();
      const first = survey.count({ scope: 'all' });
      const second = survey.count({ scope: 'all' }, { signal: typing.signal });
      second.catch(() => undefined);
      typing.abort(new Error('another key'));
      expect(await first).toBe(1);
      expect(await survey.count({ scope: 'all' })).toBe(1);
    });
    expect(said).toEqual(['NOTICE: read', 'NOTICE: read']);
  });

  it('lets nobody wait for an answer that is no longer wanted', async () => {
    await withSurvey(database, {}, async (survey) => {
      const typing = new AbortController();
      const next = await database.sql.begin(async (tx) => {
        await tx`lock table conversations`;
        const stale = survey.search('a', { signal: typing.signal });
        stale.catch(() => undefined);
        await blocked(database);
        typing.abort(new Error('another key'));
        await expect(stale).rejects.toThrow('another key');
        return { found: survey.search('a') };
      });
      expect((await next.found).found).toHaveLength(1);
    });
  });
});

/** Resolves when a statement of the survey waits for a lock. */
async function blocked({ sql, name }: TestDatabase): Promise<void> {
  for (;;) {
    const waiting = await sql`
      select from pg_stat_activity
      where datname = ${name} and application_name = 'lora-export wizard' and wait_event_type = 'Lock'`;
    if (waiting.length > 0) return;
  }
}
