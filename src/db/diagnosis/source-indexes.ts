import type { Connection } from '../connect.js';

/** An index of a source table. */
export interface SourceIndex {
  readonly table: string;
  readonly name: string;
  /** False while it is being built, and for ever when that failed. */
  readonly isUsable: boolean;
  /** It holds some rows only. */
  readonly isPartial: boolean;
  /** Its columns in order; null stands for an expression. */
  readonly columns: readonly (string | null)[];
}

export async function readSourceIndexes(
  { sql, ask }: Connection,
  schema: string,
): Promise<readonly SourceIndex[]> {
  return ask(
    () => sql<SourceIndex[]>`
      select t.relname as table, x.relname as name, i.indisvalid and i.indisready as "isUsable",
        i.indpred is not null as "isPartial",
        (
          select json_agg(a.attname order by k.position)
          from unnest(i.indkey::int2[]) with ordinality k (number, position)
          left join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.number and k.number > 0
        ) as columns
      from pg_index i
      join pg_class t on t.oid = i.indrelid
      join pg_class x on x.oid = i.indexrelid
      join pg_namespace n on n.oid = t.relnamespace
      where n.nspname = ${schema} and t.relname in ('conversations', 'conversation_turns')
      order by t.relname, x.relname`,
  );
}
