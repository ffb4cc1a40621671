import type postgres from 'postgres';
import { LoraExportError } from '../errors.js';
import type { Scope } from '../request.js';
import { identifier } from './identifier.js';
import { matchesIds, whereClause, type Fragment, type Selection } from './selection.js';
import type { Snapshot } from './snapshot.js';
import type { Source } from './source.js';

/** What a scope would export. */
export interface ScopeCount {
  readonly count: number;
  /** Why this table cannot be exported so, such as a missing column; the count is then 0. Null when it can. */
  readonly problem: string | null;
}

/** The counts of all scopes. */
export type ScopeCounts = Readonly<Record<Scope, ScopeCount>>;

/**
 * How many conversations each scope would export in one snapshot: `selected` those of the ids, `filtered` those of the
 * filters and excluded statuses (without any, all that are not deleted), `approved` and `all` without filters.
 */
export async function countScopes(
  { connection }: Snapshot,
  source: Source,
  selection: Selection,
): Promise<ScopeCounts> {
  const { statement, problems } = scopesStatement(connection.sql, source, selection);
  const [row] = await connection.ask(() => connection.sql<Record<Scope, number>[]>`${statement}`);
  const counts = row as Record<Scope, number>;
  const of = (scope: Scope): ScopeCount => ({ count: counts[scope], problem: problems[scope] ?? null });
  return { selected: of('selected'), filtered: of('filtered'), approved: of('approved'), all: of('all') };
}

/** One pass over the table; the ids are looked up through their indexes. */
export function scopesStatement(
  sql: postgres.Sql,
  source: Source,
  { ids = [], filters, excludeStatus, sort }: Selection,
): { readonly statement: Fragment; readonly problems: Readonly<Partial<Record<Scope, string>>> } {
  const problems: Partial<Record<Scope, string>> = {};
  const condition = (selection: Selection): Fragment => {
    try {
      return whereClause(sql, source, selection);
    } catch (error) {
      if (!(error instanceof LoraExportError)) throw error;
      problems[selection.scope] = error.message;
      return sql`false`;
    }
  };
  const table = sql`${identifier(sql, source.schema)}.conversations c`;
  const approved = condition({ scope: 'approved', filters: {}, sort });
  const filtered = condition({ scope: 'filtered', filters, excludeStatus, sort });
  const selected =
    ids.length === 0 ? sql`0` : sql`(select count(*) from ${table} where ${matchesIds(sql, source, ids)})`;
  const statement = sql`
    select count(*)::integer as "all",
      (count(*) filter (where ${approved}))::integer as approved,
      (count(*) filter (where ${filtered}))::integer as filtered,
      ${selected}::integer as selected
    from ${table}`;
  return { statement, problems };
}
