import { createHash } from 'node:crypto';
import type postgres from 'postgres';
import { afterAll, beforeAll, expect, it } from 'vitest';

import { connect, type Connection } from '../../src/db/connect.js';
import { countConversations, describeStatement, readConversations } from '../../src/db/conversations.js';
import { withSharedSnapshot } from '../../src/db/snapshot.js';
import { inspectSource } from '../../src/db/source.js';
import { parseDatabaseUrl } from '../../src/db/target.js';
import { parseRequest, type ExportRequestInput } from '../../src/request.js';
import { recipeOf } from '../../src/recipe.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { inSnapshot } from '../support/export.js';

/**
 * The planner decides by size. Continuous integration has little time; all of it at a million, with figures:
 * `PLANS_CONVERSATIONS=1000000 npx vitest run test/db/plans.test.ts`.
 */
const CONVERSATIONS = Number(process.env['PLANS_CONVERSATIONS'] ?? 20_000);
const TELLS = process.env['PLANS_CONVERSATIONS'] !== undefined;

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
    insert into conversations (id, conversation_id, title, tier, status, quality_score, created_at,
      persona, emotion, topic, category, parent_id, created_by)
    select md5('c' || i)::uuid, 'c' || i, 'title ' || i, (array['template', 'scenario', 'edge_case'])[i % 3 + 1],
      (array['approved', 'approved', 'draft', 'rejected'])[i % 4 + 1], i % 100 / 10.0,
      timestamptz '2025-01-01' + (i::bigint * 7919 % ${CONVERSATIONS})::integer * interval '1 minute',
      'Persona ' || i % 12, 'emotion ' || i % 9, 'topic ' || i % 40, array['category ' || i % 20],
      case when i % 3 = 0 then md5('p' || i / 9)::uuid end, md5('u' || i % 1000)::uuid
    from generate_series(1, ${CONVERSATIONS}) i;
    insert into conversation_turns (conversation_id, turn_number, role, content)
    select md5('c' || i)::uuid, t, case t % 2 when 1 then 'user' else 'assistant' end, repeat(md5(i || ' ' || t), 8)
    from generate_series(1, ${CONVERSATIONS}) i cross join lateral generate_series(1, 4) t order by i, t`);
  await database.sql`vacuum (analyze) conversations, conversation_turns`;
}, 1_800_000);
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

const selections: readonly [name: string, request: ExportRequestInput][] = [
  ['all', { scope: 'all' }],
  ['approved', { scope: 'approved' }],
  [
    'a thousand by id',
    { scope: 'selected', ids: Array.from({ length: 1000 }, (_, index) => `c${index + 1}`) },
  ],
  ['a limit', { scope: 'approved', limit: 1_000 }],
  ['tier', { scope: 'filtered', filters: { tier: ['scenario'] } }],
  ['status', { scope: 'filtered', filters: { status: ['rejected'] } }],
  ['quality', { scope: 'approved', filters: { qualityScoreMin: 9 } }],
  ['dates', { scope: 'approved', filters: { dateFrom: '2025-01-02', dateTo: '2025-01-05' } }],
  ['categories', { scope: 'filtered', filters: { categories: ['category 3'] } }],
  ['persona', { scope: 'filtered', filters: { personas: ['Persona 3'] } }],
  ['emotion', { scope: 'filtered', filters: { emotions: ['emotion 3'] } }],
  ['topic', { scope: 'filtered', filters: { topics: ['topic 7'] } }],
  ['search', { scope: 'filtered', filters: { searchQuery: 'title 77' } }],
  ['parent', { scope: 'filtered', filters: { parentId: md5Of('p7') } }],
  ['owner', { scope: 'filtered', filters: { createdBy: md5Of('u7') } }],
  ['excluded statuses', { scope: 'all', excludeStatus: ['draft', 'rejected'] }],
  ...(['created_at', 'updated_at', 'quality_score', 'title', 'status', 'tier'] as const).flatMap((key) =>
    (['asc', 'desc'] as const).map((order): [string, ExportRequestInput] => [
      `sorted by ${key} ${order}`,
      { scope: 'approved', sort: { key, order } },
    ]),
  ),
];

it.each(selections)('counts without turns, and reads turns by their index: %s', async (name, request) => {
  for (const jobs of [1, 2]) {
    const plans = await plansOf(request, jobs);
    const counts = plans.filter(({ about }) => about === 'count');
    expect(counts).toHaveLength(1);
    for (const { plan } of plans.filter(({ about }) => about !== 'conversations')) {
      expect(new Set(relationsOf(plan))).toEqual(new Set(['conversations']));
    }
    const reads = plans.filter(({ about }) => about === 'conversations');
    expect(reads.length).toBeGreaterThan(0);
    for (const { plan } of reads) {
      const nodes = nodesOf(plan);
      const turns = nodes.filter((node) => node['Relation Name'] === 'conversation_turns').flatMap(nodesOf);
      expect(turns.map((node) => node['Index Cond'])).toContain('(conversation_id = c.id)');
      expect(nodes.filter((node) => node['Node Type'].includes('Sort') && holdsJoin(node))).toEqual([]);
      if (jobs > 1) expect(nodes.map((node) => node['Index Name'])).toContain('conversations_pkey');
    }
    if (TELLS) process.stderr.write(`${name}, --jobs ${jobs}: ${plans.map(told).join('; ')}\n`);
  }
});

it.each([
  ['parent', { parentId: md5Of('p7') }, 'idx_conversations_parent_id'],
  ['owner', { createdBy: md5Of('u7') }, 'idx_conversations_created_by'],
] as const)('finds those of one %s by their index', async (_name, filters, index) => {
  const plans = await plansOf({ scope: 'filtered', filters });
  expect(plans).toHaveLength(2);
  for (const { plan } of plans) expect(nodesOf(plan).map((node) => node['Index Name'])).toContain(index);
});

function relationsOf(plan: PlanNode): string[] {
  return nodesOf(plan).flatMap((node) => node['Relation Name'] ?? []);
}

function told({ about, plan, milliseconds }: Explained): string {
  const ways = nodesOf(plan)
    .filter((node) => node['Relation Name'] === 'conversations' || node['Node Type'].includes('Sort'))
    .map((node) => `${node['Node Type']}${node['Index Name'] === undefined ? '' : ` ${node['Index Name']}`}`);
  return `${about} ${milliseconds === null ? '' : `${milliseconds.toFixed(0)} ms `}(${ways.join(' < ')})`;
}

function md5Of(text: string): string {
  return createHash('md5')
    .update(text)
    .digest('hex')
    .replace(/(.{8})(.{4})(.{4})(.{4})(.{12})/, '$1-$2-$3-$4-$5');
}

it('finds few conversations by id without reading all of them', async () => {
  const nodes = nodesOf(await planOf({ scope: 'selected', ids: ['c7'] }, ['{}', '{c7}']));
  const scans = nodes.filter((node) => node['Relation Name'] === 'conversations');
  expect(scans.map((node) => node['Node Type'])).toEqual(['Bitmap Heap Scan']);
});

/** Every statement that counting and reading send, with the server's plan for it and its parameters. */
async function plansOf(input: ExportRequestInput, jobs = 1): Promise<Explained[]> {
  const request = parseRequest(input);
  const { fields } = await recipeOf(request);
  const target = parseDatabaseUrl(database.url, 'the test');
  const open = (): Promise<Connection> => connect(target, { purpose: 'plans', singleSession: true });
  const reader = await open();
  const explainer = await open();
  const plans: Explained[] = [];
  try {
    await withSharedSnapshot(
      reader,
      () => undefined,
      async (snapshot) => {
        const source = await inspectSource(snapshot.connection, 'public');
        const watched = { ...snapshot, connection: explaining(snapshot.connection, explainer, plans) };
        const matched = await countConversations(watched, source, request);
        const lanes =
          jobs === 1
            ? undefined
            : { jobs, open: async () => explaining(await open(), explainer, plans), onNotice: expect.fail };
        const batches = readConversations(watched, source, request, { fields, batchSize: 100, lanes });
        const { value } = await batches.next();
        expect(value?.length ?? 0).toBe(Math.min(10, matched));
        await batches.return(undefined);
      },
    );
  } finally {
    await Promise.all([reader.close(), explainer.close()]);
  }
  return plans;
}

interface Explained {
  readonly about: 'count' | 'ids' | 'conversations';
  readonly plan: PlanNode;
  /** Milliseconds that running it took, of those that are cheap enough to be run. */
  readonly milliseconds: number | null;
}

/** The same connection, but each statement about conversations is explained on another one before it is sent. */
function explaining(connection: Connection, explainer: Connection, plans: Explained[]): Connection {
  return {
    ...connection,
    get lost() {
      return connection.lost;
    },
    async ask(statement) {
      // The driver sends a statement when it is awaited, and not before.
      const query = statement() as Promise<never> & { readonly strings?: readonly string[] };
      const text = (query.strings ?? []).join(' ');
      const about = subjectOf(text);
      if (about !== null) {
        const how = connection.sql.unsafe(
          about === 'conversations' ? '(format json)' : '(analyze, format json)',
        );
        const [row] = await explainer.ask(
          () => explainer.sql<{ 'QUERY PLAN': [{ Plan: PlanNode; 'Execution Time'?: number }] }[]>`
            explain ${how} ${query as unknown as postgres.Fragment}`,
        );
        const [{ Plan: plan, ...times }] = (row as { 'QUERY PLAN': [{ Plan: PlanNode }] })['QUERY PLAN'];
        plans.push({
          about,
          plan,
          milliseconds: (times as { 'Execution Time'?: number })['Execution Time'] ?? null,
        });
      }
      return connection.ask(() => query);
    },
    transaction: (begin, use) =>
      connection.transaction(begin, (inside) => use(explaining(inside, explainer, plans))),
  };
}

function subjectOf(text: string): Explained['about'] | null {
  if (text.includes('select count(*)')) return 'count';
  if (text.includes('declare lora_export_ids')) return 'ids';
  // A lane sends a statement that is nothing but a fragment.
  if (text.includes('declare lora_export_source') || text.trim() === '') return 'conversations';
  return null;
}
