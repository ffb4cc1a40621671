import type { Connection } from '../connect.js';

/** What the role of the connection may not do with the source tables, and what policies do to it. */
export interface SourceRights {
  readonly mayUseSchema: boolean;
  readonly tables: readonly TableRights[];
}

export interface TableRights {
  readonly table: 'conversations' | 'conversation_turns';
  /** `r` for a table, `p` for a partitioned one, `v` for a view … (`pg_class.relkind`). */
  readonly kind: string;
  readonly unreadable: readonly string[];
  readonly columns: number;
  readonly policiesApply: boolean;
}

/** @returns null when the schema does not exist; the tables that do not exist are left out */
export async function readSourceRights(
  { sql, ask }: Connection,
  schema: string,
): Promise<SourceRights | null> {
  const [found] = await ask(
    () => sql<{ mayUse: boolean }[]>`
      select has_schema_privilege(oid, 'usage') as "mayUse" from pg_namespace where nspname = ${schema}`,
  );
  if (found === undefined) return null;
  const tables = await ask(
    () => sql<TableRights[]>`
      select c.relname as table, c.relkind as kind, count(*)::int as columns,
        row_security_active(c.oid) as "policiesApply",
        coalesce(json_agg(a.attname order by a.attnum)
          filter (where not has_column_privilege(c.oid, a.attnum, 'select')), '[]') as unreadable
      from pg_class c
      join pg_namespace n on n.oid = c.relnamespace
      join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
      where n.nspname = ${schema} and c.relname in ('conversations', 'conversation_turns')
        and c.relkind in ('r', 'p', 'v', 'm', 'f')
      group by c.oid, c.relname, c.relkind
      order by c.relname desc`,
  );
  return { mayUseSchema: found.mayUse, tables };
}
