import type postgres from 'postgres';
import type { HistoryFilters, HistoryQuery } from '../history.js';
import { isWholeDay } from '../request.js';
import { isVisible, logsTable, runsTable, type Access } from './access.js';
import { EXPECTED_COLUMNS, type ExpectedColumn } from './audit-schema.js';
import { runColumns, runTables, toRecordedRun, type RecordedRun, type RunRow } from './recorded-runs.js';
import { withSnapshot } from './snapshot.js';

/** What a history can be sorted by, as expressions on `export_logs l`. */
const SORT_EXPRESSIONS = {
  timestamp: 'l.timestamp',
  // Collations differ between servers and versions.
  format: 'l.format collate "C"',
  status: 'l.status collate "C"',
  count: 'l.conversation_count',
  size: 'l.file_size',
  user: 'l.user_id',
} as const;
export type HistorySort = keyof typeof SORT_EXPRESSIONS;
export const HISTORY_SORTS = Object.keys(SORT_EXPRESSIONS) as HistorySort[];

/** A batch of whole rows aims at so many characters: one configuration may list 100,000 ids. */
const BATCH_CHARACTERS = 4 * 1024 * 1024;
const FIRST_BATCH = 10;
const MOST_ROWS_PER_BATCH = 1_000;

/** One page and, of the same instant, how many rows match in all. */
export async function readPage(
  access: Access,
  query: HistoryQuery,
): Promise<{ total: number; runs: RecordedRun[] }> {
  return access.connection.transaction(
    'begin isolation level repeatable read read only',
    async ({ sql, ask }) => {
      const [counted, rows] = await ask(() =>
        Promise.all([
          sql<{ total: number }[]>`
            select count(*)::double precision as total from ${logsTable(access)} l where ${matches(access, query)}`,
          sql<RunRow[]>`${pageStatement(access, query)}`,
        ]),
      );
      return { total: counted[0]?.total ?? 0, runs: rows.map(toRecordedRun) };
    },
  );
}

/**
 * The rows of one page. The page is cut from the log alone, along an index where there is one for the order, and only
 * its rows are joined to their companions.
 */
export function pageStatement(access: Access, query: HistoryQuery): postgres.Fragment {
  const { sql } = access.connection;
  const order = sortOrder(access, query);
  return sql`
    select ${runColumns(access)}
    from (
      select l.* from ${logsTable(access)} l
      where ${matches(access, query)}
      order by ${order} limit ${query.limit} offset ${(query.page - 1) * query.limit}
    ) l
    left join ${runsTable(access)} r using (export_id)
    order by ${order}`;
}

/** A column of {@link readWholeRows}. */
export interface HistoryColumn {
  /** As in `export_logs`; those of `export_runs` have the prefix `run_`. */
  readonly name: string;
  /** Its text is free, unlike that of a number, a time or a UUID. */
  readonly isText: boolean;
}

/** Every column of both tables, each once. New columns come last within their table. */
export const HISTORY_COLUMNS: readonly HistoryColumn[] = [
  ...EXPECTED_COLUMNS.export_logs.map((column) => ({ name: column.name, isText: isText(column) })),
  ...companionColumns().map((column) => ({ name: `run_${column.name}`, isText: isText(column) })),
];

/**
 * Every row that matches, page and limit aside, of one snapshot and in batches; the values as text, times in ISO 8601
 * with microseconds in UTC. It has resolved only when COMMIT proved that every batch arrived.
 * @param onBatch is awaited before more is read
 */
export async function readWholeRows(
  access: Access,
  query: HistoryQuery,
  onBatch: (rows: readonly (readonly (string | null)[])[]) => Promise<void>,
): Promise<void> {
  await withSnapshot(access.connection, async ({ connection: { sql, ask } }) => {
    const columns = [
      ...EXPECTED_COLUMNS.export_logs.map((column) => asText('l', column)),
      ...companionColumns().map((column) => asText('r', column)),
    ].map((expression, index) => `${expression} as column_${index}`);
    await ask(
      () => sql`
        declare lora_export_history no scroll cursor for
        select ${sql.unsafe(columns.join(', '))} from ${runTables(access)}
        where ${matches(access, query)} order by ${sortOrder(access, query)}`,
    );
    for (let wanted = FIRST_BATCH; ;) {
      const count = wanted;
      const rows = await ask(() =>
        sql
          .unsafe<Record<string, string | null>[]>(`fetch forward ${count} from lora_export_history`)
          .values(),
      );
      if (rows.length === 0) return;
      const cells = rows as unknown as (string | null)[][];
      await onBatch(cells);
      const characters = cells.reduce((sum, row) => sum + lengthOf(row), 0);
      wanted = Math.floor((BATCH_CHARACTERS * rows.length) / characters);
      wanted = Math.min(Math.max(wanted, 1), MOST_ROWS_PER_BATCH);
    }
  });
}

function companionColumns(): readonly ExpectedColumn[] {
  return EXPECTED_COLUMNS.export_runs.filter(({ name }) => name !== 'export_id');
}

function isText({ type }: ExpectedColumn): boolean {
  return type === 'text' || type === 'jsonb';
}

function asText(alias: 'l' | 'r', { name, type }: ExpectedColumn): string {
  const column = `${alias}."${name}"`;
  if (type !== 'timestamp with time zone') return `${column}::text`;
  // to_char has no word for infinity.
  return `coalesce(to_char(${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), ${column}::text)`;
}

function lengthOf(row: readonly (string | null)[]): number {
  return row.reduce((sum, cell) => sum + (cell?.length ?? 0), 1);
}

/** Condition on `export_logs l`: visible, and what the filters ask for. */
function matches(access: Access, query: HistoryFilters): postgres.Fragment {
  const { sql } = access.connection;
  return [...conditions(sql, query)].reduce(
    (all, condition) => sql`${all} and ${condition}`,
    sql`${isVisible(access)}`,
  );
}

function* conditions(sql: postgres.Sql, query: HistoryFilters): Generator<postgres.Fragment> {
  const { format, status, scope, from, to, userId } = query;
  if (format !== undefined) yield sql`l.format = any(${format}::text[])`;
  if (status !== undefined) yield sql`l.status = any(${status}::text[])`;
  if (scope !== undefined) yield sql`${scopeOf(sql)} = any(${scope}::text[])`;
  if (from !== undefined) {
    yield isWholeDay(from)
      ? sql`l.timestamp >= ${from}::text::timestamp at time zone 'UTC'`
      : sql`l.timestamp >= ${from}::text::timestamptz`;
  }
  if (to !== undefined) {
    yield isWholeDay(to)
      ? sql`l.timestamp < (${to}::text::date + 1)::timestamp at time zone 'UTC'`
      : sql`l.timestamp <= ${to}::text::timestamptz`;
  }
  if (userId !== undefined) yield sql`l.user_id = ${userId}::uuid`;
}

/** Before rows had a version, `all` was the word for all that is approved. */
function scopeOf(sql: postgres.Sql): postgres.Fragment {
  return sql`case when l.config -> 'version' is null and l.config ->> 'scope' = 'all' then 'approved'
    else l.config ->> 'scope' end`;
}

/** A total order: pages neither repeat nor lose a row. */
function sortOrder(access: Access, { sort, order }: HistoryQuery): postgres.Fragment {
  const { sql } = access.connection;
  const direction = sql.unsafe(order);
  // Without a word on nulls, which a timestamp cannot be: otherwise the order would not be that of the index.
  if (sort === 'timestamp') return sql`l.timestamp ${direction}, l.export_id ${direction}`;
  const key = sql.unsafe(SORT_EXPRESSIONS[sort]);
  return sql`${key} ${direction} nulls last, l.timestamp desc, l.export_id desc`;
}
