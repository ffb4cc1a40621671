import type postgres from 'postgres';
import { afterAll, beforeAll, expect, it } from 'vitest';

import { facetStatement, type FacetName } from '../../src/db/facets.js';
import {
  holdsText,
  matchesKey,
  pageStatement,
  type SearchPosition,
} from '../../src/db/find-conversations.js';
import { scopesStatement } from '../../src/db/scope-counts.js';
import type { Fragment } from '../../src/db/selection.js';
import type { Source } from '../../src/db/source.js';
import { parseRequest, type ExportRequestInput } from '../../src/request.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { inSnapshot } from '../support/export.js';

const CONVERSATIONS = 100_000;

/** A node of `explain (analyze, format json)`. */
interface PlanNode {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly 'Index Name'?: string;
  readonly 'Actual Rows': number;
  readonly 'Actual Loops': number;
  readonly 'Rows Removed by Filter'?: number;
  readonly Plans?: readonly PlanNode[];
}

let database: TestDatabase;

beforeAll(async () => {
  database = await createDatabase('ready');
  await database.sql`
    insert into conversations (id, conversation_id, title, tier, status, topic, category, created_at)
    select md5('c' || i)::uuid, 'c' || i, 'title ' || i, (array['template', 'scenario', 'edge_case'])[i % 3 + 1],
      (array['approved', 'draft'])[i % 2 + 1], 'topic ' || i % 1000, array['a' || i % 10, 'b' || i % 7],
      case when i % 1000 > 0 then timestamptz '2025-01-01' + i * 7919 % ${CONVERSATIONS} * interval '1 minute' end
    from generate_series(1, ${CONVERSATIONS}) i`;
  await database.sql`vacuum (analyze) conversations`;
});
afterAll(() => database.drop());

async function nodesOf(
  statement: (sql: postgres.Sql, source: Source) => Fragment | null,
): Promise<PlanNode[]> {
  return inSnapshot(database, 'public', async ({ connection: { sql, ask } }, source) => {
    const [row] = await ask(
      () => sql<{ 'QUERY PLAN': { Plan: PlanNode }[] }[]>`
        explain (analyze, timing off, format json) ${statement(sql, source) ?? sql`select 1`}`,
    );
    return flatten(row?.['QUERY PLAN'][0]?.Plan as PlanNode);
  });
}

function flatten(plan: PlanNode): PlanNode[] {
  return [plan, ...(plan.Plans ?? []).flatMap(flatten)];
}

const scansIn = (nodes: readonly PlanNode[]): PlanNode[] =>
  nodes.filter((node) => node['Relation Name'] === 'conversations');

/** Rows that were looked at, those of parallel workers included. */
const touched = (nodes: readonly PlanNode[]): number =>
  scansIn(nodes).reduce(
    (sum, node) => sum + (node['Actual Rows'] + (node['Rows Removed by Filter'] ?? 0)) * node['Actual Loops'],
    0,
  );

it('counts all scopes in one pass, and the ids through their indexes', async () => {
  const ids = ['c7', 'c8', '0cc175b9-c0f1-b6a8-31c3-99e269772661'];
  const request = parseRequest({
    scope: 'selected',
    ids,
    filters: { tier: ['scenario'], searchQuery: '99' },
  });
  const nodes = await nodesOf((sql, source) => scopesStatement(sql, source, request).statement);

  const scans = scansIn(nodes);
  expect(scans).toHaveLength(2);
  expect(scans.map((node) => node['Node Type']).toSorted()).toEqual([
    'Bitmap Heap Scan',
    expect.stringContaining('Scan'),
  ]);
  // Rounded, since each worker reports its average.
  expect(touched(nodes)).toBeLessThan(CONVERSATIONS * 1.01);
});

it.each<FacetName>(['tier', 'topic', 'category'])('lists the values of %s in one pass', async (name) => {
  const request = parseRequest({ scope: 'approved', filters: { tier: ['scenario'], categories: ['a1'] } });
  const nodes = await nodesOf((sql, source) => facetStatement(sql, source, request, name));

  expect(scansIn(nodes)).toHaveLength(1);
  expect(touched(nodes)).toBeLessThan(CONVERSATIONS * 1.01);
});

const search = (
  text: string,
  part: 'dated' | 'undated' = 'dated',
  after?: SearchPosition,
  input: ExportRequestInput = { scope: 'all' },
) =>
  nodesOf((sql, source) => {
    const match = matchesKey(sql, source, text) ?? holdsText(sql, source, text);
    return pageStatement(sql, source, parseRequest(input), part, match, after, 51);
  });

it('reads no more than a page when everything is listed, on the first page and on a later one', async () => {
  for (const after of [
    undefined,
    { createdAt: '2025-02-01 00:00:00+00', id: 'ffffffff-ffff-ffff-ffff-ffffffffffff', isKey: false },
  ]) {
    const nodes = await search('', 'dated', after);
    expect(scansIn(nodes).map((node) => node['Index Name'])).toEqual(['idx_conversations_created_at']);
    expect(touched(nodes)).toBeLessThanOrEqual(51);
  }
});

it.each(['title 1', 'title 4711', 'nowhere'])('takes one pass at most to look for %s', async (text) => {
  const nodes = await search(text);
  expect(scansIn(nodes)).toHaveLength(1);
  expect(touched(nodes)).toBeLessThan(CONVERSATIONS * 1.01);
});

it('goes to those without a date by index', async () => {
  const nodes = await search('title 4711', 'undated');
  expect(touched(nodes)).toBeLessThan(500);
});

it('looks a UUID up without reading the others', async () => {
  const [row] = await database.sql<
    { id: string }[]
  >`select id from conversations where conversation_id = 'c4711'`;
  expect(touched(await search(row?.id ?? ''))).toBeLessThanOrEqual(3);
});

it('looks the beginning of a UUID up by range where both keys are of that type', async () => {
  const { sql } = database;
  await sql`create schema keys`;
  await sql`create table keys.conversations as select id, title, created_at from conversations`;
  await sql`alter table keys.conversations add primary key (id)`;
  await sql`create table keys.conversation_turns as select * from conversation_turns`;
  await sql`vacuum (analyze) keys.conversations`;
  const [row] = await sql<{ id: string }[]>`select id from conversations where conversation_id = 'c4711'`;
  const nodes = await inSnapshot(database, 'keys', async ({ connection }, source) => {
    const match = matchesKey(connection.sql, source, row?.id.slice(0, 11) ?? '') as Fragment;
    const statement = pageStatement(
      connection.sql,
      source,
      parseRequest({ scope: 'all' }),
      'dated',
      match,
      undefined,
      51,
    );
    const [plan] = await connection.ask(
      () =>
        connection.sql<
          { 'QUERY PLAN': { Plan: PlanNode }[] }[]
        >`explain (analyze, timing off, format json) ${statement}`,
    );
    return flatten(plan?.['QUERY PLAN'][0]?.Plan as PlanNode);
  });
  expect(scansIn(nodes).map((node) => node['Index Name'])).toEqual(['conversations_pkey']);
  expect(touched(nodes)).toBe(1);
});
