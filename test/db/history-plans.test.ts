import { afterAll, beforeAll, expect, it } from 'vitest';

import { pageStatement } from '../../src/db/history.js';
import { listExports, parseHistoryQuery, type HistoryQueryInput } from '../../src/history.js';
import { withAccess } from '../support/access.js';
import { applyAuthShim, applyMigrations } from '../support/audit.js';
import { createDatabase, type TestDatabase } from '../support/database.js';

const ROWS = 100_000;
const ANNA = '0a000000-0000-4000-8000-000000000001';
const BERT = '0b000000-0000-4000-8000-000000000002';
const CLEO = '0c000000-0000-4000-8000-000000000003';

/** A node of `explain (format json)`. */
interface PlanNode {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly 'Index Name'?: string;
  readonly 'Actual Rows': number;
  readonly 'Actual Loops': number;
  readonly Plans?: readonly PlanNode[];
}

let database: TestDatabase;

/** A history of 100,000 rows: a thousandth is Bert's, a third Anna's, the rest Cleo's. */
async function fill(): Promise<void> {
  await database.sql.unsafe(`
    insert into export_logs (export_id, user_id, timestamp, format, config, conversation_count, file_size, status)
    select md5('e' || i)::uuid, (case when i % 1000 = 0 then '${BERT}' when i % 3 = 0 then '${ANNA}' else '${CLEO}' end)::uuid,
      timestamptz '2025-01-01' + i * 7919 % ${ROWS} * interval '1 minute',
      (array['jsonl', 'json', 'csv', 'markdown'])[i % 4 + 1], '{"version": 1, "scope": "approved"}', i % 5000, i,
      (array['completed', 'failed', 'expired'])[i % 3 + 1]
    from generate_series(1, ${ROWS}) i;
    insert into export_runs (export_id, phase) select export_id, 'done' from export_logs`);
  await database.sql`vacuum (analyze) export_logs, export_runs`;
}

beforeAll(async () => {
  database = await createDatabase('ready');
  await applyAuthShim(database.sql);
  await database.sql.unsafe(`insert into auth.users (id) values ('${ANNA}'), ('${BERT}'), ('${CLEO}')`);
  await fill();
});
afterAll(() => database.drop());

/** All nodes of the plan of a page as it was carried out. */
async function nodesOf(userId: string | undefined, query: HistoryQueryInput): Promise<PlanNode[]> {
  return withAccess(database, userId, async (access) => {
    const { sql, ask } = access.connection;
    const [row] = await ask(
      () => sql<{ 'QUERY PLAN': { Plan: PlanNode }[] }[]>`
        explain (analyze, timing off, format json) ${pageStatement(access, parseHistoryQuery(query))}`,
    );
    return flat(row?.['QUERY PLAN'][0]?.Plan as PlanNode);
  });
}

function flat(node: PlanNode): PlanNode[] {
  return [node, ...(node.Plans ?? []).flatMap(flat)];
}

/** The most rows that any node handled in all. */
function mostRows(nodes: readonly PlanNode[]): number {
  return Math.max(...nodes.map((node) => node['Actual Rows'] * node['Actual Loops']));
}

async function expectPageByIndex(): Promise<void> {
  for (const user of [ANNA, BERT, CLEO]) {
    for (const query of [{}, { order: 'asc' }, { limit: 20, page: 3 }] as const) {
      const nodes = await nodesOf(user, query);
      const indexes = nodes.map((node) => node['Index Name']);
      // To whom most of all rows belong, the index on time alone is as good.
      if (user === CLEO) expect(indexes.some((name) => name?.includes('timestamp'))).toBe(true);
      else expect(indexes).toContain('idx_export_logs_user_id_timestamp');
      expect(nodes.map((node) => node['Node Type'])).not.toContain('Seq Scan');
      // What is sorted at all is at most the page, once it was cut.
      expect(mostRows(nodes)).toBeLessThanOrEqual(100);
    }
  }
}

it("cuts a page of one user's history from an index, and sorts nothing but the page", async () => {
  const totals = [ANNA, BERT, CLEO].map((user) =>
    withAccess(database, user, async (access) => (await listExports(access)).total),
  );
  expect((await Promise.all(totals)).reduce((sum, total) => sum + total)).toBe(ROWS);
  await expectPageByIndex();
});

it("reads everybody's first page along the index on time", async () => {
  const nodes = await nodesOf(undefined, {});
  expect(nodes.map((node) => node['Index Name'])).toContain('idx_export_logs_timestamp');
  expect(nodes.map((node) => node['Node Type'])).not.toContain('Seq Scan');
  expect(mostRows(nodes)).toBeLessThanOrEqual(30);
});

it('does the same under row level security', async () => {
  await applyMigrations(database.sql);
  await database.sql`vacuum (analyze) export_logs, export_runs`;
  await expectPageByIndex();
});
