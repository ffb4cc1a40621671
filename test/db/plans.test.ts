import type postgres from 'postgres';
import { afterAll, beforeAll, expect, it } from 'vitest';

import { describeStatement } from '../../src/db/conversations.js';
import { parseRequest, type ExportRequestInput } from '../../src/request.js';
import { recipeOf } from '../../src/recipe.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { inSnapshot } from '../support/export.js';

const CONVERSATIONS = 20_000;

/** A node of `explain (format json)`. */
interface PlanNode {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly 'Index Name'?: string;
  readonly 'Index Cond'?: string;
  readonly 'Plan Rows': number;
  readonly 'Plan Width': number;
  readonly Plans?: readonly PlanNode[];
}

let database: TestDatabase;

beforeAll(async () => {
  database = await createDatabase('ready');
  await database.sql.unsafe(`
    insert into conversations (id, conversation_id, title, tier, status, quality_score, created_at)
    select md5('c' || i)::uuid, 'c' || i, 'title ' || i, (array['template', 'scenario', 'edge_case'])[i % 3 + 1],
      (array['approved', 'approved', 'draft', 'rejected'])[i % 4 + 1], i % 100 / 10.0,
      timestamptz '2025-01-01' + i * 7919 % ${CONVERSATIONS} * interval '1 minute'
    from generate_series(1, ${CONVERSATIONS}) i;
    insert into conversation_turns (conversation_id, turn_number, role, content)
    select md5('c' || i)::uuid, t, case t % 2 when 1 then 'user' else 'assistant' end, repeat(md5(i || ' ' || t), 8)
    from generate_series(1, ${CONVERSATIONS}) i cross join lateral generate_series(1, 4) t order by i, t`);
  await database.sql`vacuum (analyze) conversations, conversation_turns`;
});
afterAll(() => database.drop());

/** The plan of the statement that an export declares its cursor for. */
async function planOf(input: ExportRequestInput, values: readonly string[] = []): Promise<PlanNode> {
  const request = parseRequest(input);
  const { fields } = await recipeOf(request);
  return inSnapshot(database, 'public', async (snapshot, source) => {
    const statement = await describeStatement(snapshot, source, request, fields);
    const { connection } = snapshot;
    const parameters = values as postgres.ParameterOrJSON<never>[];
    const [row] = await connection.ask(() =>
      connection.sql.unsafe<{ 'QUERY PLAN': { Plan: PlanNode }[] }[]>(
        `explain (format json) declare plan no scroll cursor for ${statement}`,
        parameters,
      ),
    );
    return row?.['QUERY PLAN'][0]?.Plan as PlanNode;
  });
}

function nodesOf(plan: PlanNode): PlanNode[] {
  return [plan, ...(plan.Plans ?? []).flatMap(nodesOf)];
}

function holdsJoin(plan: PlanNode): boolean {
  return nodesOf(plan).some((node) => node['Node Type'] === 'Nested Loop');
}

const cases: readonly [name: string, request: ExportRequestInput, values?: readonly string[]][] = [
  ['approved conversations', { scope: 'approved' }],
  ['all conversations', { scope: 'all' }],
  ['the first ten', { scope: 'all', limit: 10 }, ['10']],
  ['one tier', { scope: 'filtered', filters: { tier: ['scenario'] } }, ['{scenario}']],
  ['the best first', { scope: 'all', sort: { key: 'quality_score', order: 'desc' } }],
  ['titles in order', { scope: 'approved', sort: { key: 'title', order: 'asc' } }],
];

it.each(cases)(
  'reads the turns of %s through their index, and sorts nothing that holds them all',
  async (_name, request, values) => {
    const plan = await planOf(request, values);
    const nodes = nodesOf(plan);

    // Which kind of scan is up to the planner, and so is a sort of the few turns of one conversation.
    const [turns, ...more] = nodes.filter((node) => node['Relation Name'] === 'conversation_turns');
    expect(more).toEqual([]);
    const scans = turns === undefined ? [] : nodesOf(turns);
    expect(scans.map((node) => node['Index Name'])).toContain(
      'conversation_turns_conversation_id_turn_number_key',
    );
    expect(scans.map((node) => node['Index Cond'])).toContain('(conversation_id = c.id)');
    expect(nodes.filter((node) => node['Node Type'].includes('Sort') && holdsJoin(node))).toEqual([]);
    expect(nodes.map((node) => node['Node Type'])).toContain('Nested Loop');
  },
);

it('walks the index of the default order, and so needs no sort and delivers the first row at once', async () => {
  const plan = await planOf({ scope: 'all' });
  expect(plan['Node Type']).toBe('Nested Loop');
  const nodes = nodesOf(plan);
  expect(nodes.map((node) => node['Index Name'])).toContain('idx_conversations_created_at');
});

it('finds few conversations by id without reading all of them', async () => {
  const nodes = nodesOf(await planOf({ scope: 'selected', ids: ['c7'] }, ['{}', '{c7}']));
  const scans = nodes.filter((node) => node['Relation Name'] === 'conversations');
  expect(scans.map((node) => node['Node Type'])).toEqual(['Bitmap Heap Scan']);
});
