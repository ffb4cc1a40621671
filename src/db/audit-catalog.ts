import type postgres from 'postgres';

import { AUDIT_TABLES, type AuditTable } from './audit-schema.js';

/** What the catalog says about one table of ours. */
export interface FoundTable {
  /** `pg_class.relkind`: `r` and `p` are tables. */
  readonly kind: string;
  readonly columns: ReadonlyMap<string, FoundColumn>;
}

export interface FoundColumn {
  readonly type: string;
  readonly required: boolean;
  /** The default expression, or how PostgreSQL fills the column by itself; `null` when it does not. */
  readonly filledBy: string | null;
}

interface ColumnRow {
  readonly table: AuditTable;
  readonly kind: string;
  readonly column: string | null;
  readonly type: string | null;
  readonly required: boolean | null;
  readonly filled_by: string | null;
}

/** Reads the shape of the audit tables of a schema; a table that does not exist is not in the result. */
export async function readAuditTables(
  sql: postgres.ISql,
  schema: string,
): Promise<ReadonlyMap<AuditTable, FoundTable>> {
  const rows = await sql<ColumnRow[]>`
    select
      c.relname as table, c.relkind as kind, a.attname as column, format_type(a.atttypid, a.atttypmod) as type,
      a.attnotnull as required,
      case when a.attidentity <> '' then 'identity' else pg_get_expr(d.adbin, d.adrelid) end as filled_by
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    left join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
    where n.nspname = ${schema} and c.relname in ${sql(AUDIT_TABLES)}
    order by c.relname, a.attnum`;
  const tables = new Map<AuditTable, { kind: string; columns: Map<string, FoundColumn> }>();
  for (const row of rows) {
    const table = tables.get(row.table) ?? { kind: row.kind, columns: new Map<string, FoundColumn>() };
    tables.set(row.table, table);
    if (row.column !== null) {
      const { type, required, filled_by: filledBy } = row;
      table.columns.set(row.column, { type: type ?? 'unknown', required: required === true, filledBy });
    }
  }
  return tables;
}

/** An index or a constraint, in the words of PostgreSQL. */
export interface Definition {
  readonly table: string;
  readonly name: string;
  readonly definition: string;
}

/** A row of `pg_policies`; `using` and `check` are expressions. */
export interface Policy {
  readonly table: string;
  readonly name: string;
  readonly command: string;
  readonly permissive: string;
  readonly using: string | null;
  readonly check: string | null;
}

/** A trigger, with the text of its function. */
export interface Trigger {
  readonly name: string;
  /** `pg_trigger.tgenabled`: `O` and `A` fire in ordinary sessions. */
  readonly enabled: string;
  readonly body: string;
}

/** Which parts of Supabase's `auth` schema exist, asked of the catalogs because the schema may be closed to us. */
export async function readAuth(tx: postgres.ISql): Promise<{ uid: boolean; users: boolean }> {
  const [row] = await tx<{ uid: boolean; users: boolean }[]>`
    select
      exists (
        select from pg_proc p join pg_namespace n on n.oid = p.pronamespace
        where n.nspname = 'auth' and p.proname = 'uid' and p.pronargs = 0 and p.prorettype = 'uuid'::regtype
      ) as uid,
      exists (
        select from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_attribute a on a.attrelid = c.oid
        where n.nspname = 'auth' and c.relname = 'users' and c.relkind in ('r', 'p')
          and a.attname = 'id' and a.atttypid = 'uuid'::regtype
      ) as users`;
  return row ?? { uid: false, users: false };
}

/** Reads the indexes of the audit tables; the definition begins after `USING`. */
export async function readIndexes(tx: postgres.ISql, schema: string): Promise<Definition[]> {
  // A concurrent build that failed leaves an index that exists and helps nobody.
  const rows = await tx<(Definition & { valid: boolean })[]>`
    select t.relname as table, c.relname as name, pg_get_indexdef(i.indexrelid) as definition, i.indisvalid as valid
    from pg_index i
    join pg_class c on c.oid = i.indexrelid
    join pg_class t on t.oid = i.indrelid
    join pg_namespace n on n.oid = t.relnamespace
    where n.nspname = ${schema} and t.relname in ${tx(AUDIT_TABLES)}`;
  return rows.map(({ table, name, definition, valid }) => ({
    table,
    name,
    definition:
      (valid ? '' : 'invalid: ') + definition.slice(definition.indexOf(' USING ') + ' USING '.length),
  }));
}

/** Reads the constraints of the audit tables; references within the schema are unqualified. */
export async function readConstraints(tx: postgres.ISql, schema: string): Promise<Definition[]> {
  const rows = await tx<Definition[]>`
    select t.relname as table, c.conname as name,
      replace(pg_get_constraintdef(c.oid), format('REFERENCES %I.', ${schema}::text), 'REFERENCES ') as definition
    from pg_constraint c
    join pg_class t on t.oid = c.conrelid
    join pg_namespace n on n.oid = t.relnamespace
    where n.nspname = ${schema} and t.relname in ${tx(AUDIT_TABLES)}`;
  return [...rows];
}

/** Says for each audit table that exists whether row level security is enabled. */
export async function readRowSecurity(
  tx: postgres.ISql,
  schema: string,
): Promise<ReadonlyMap<string, boolean>> {
  const rows = await tx<{ table: string; enabled: boolean }[]>`
    select c.relname as table, c.relrowsecurity as enabled
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = ${schema} and c.relname in ${tx(AUDIT_TABLES)}`;
  return new Map(rows.map(({ table, enabled }) => [table, enabled]));
}

/** Reads the policies of the audit tables. */
export async function readPolicies(tx: postgres.ISql, schema: string): Promise<Policy[]> {
  const rows = await tx<Policy[]>`
    select tablename as table, policyname as name, cmd as command, permissive, qual as using, with_check as check
    from pg_policies
    where schemaname = ${schema} and tablename in ${tx(AUDIT_TABLES)}
    order by tablename, policyname`;
  return [...rows];
}

/** Reads the triggers of `export_logs` that are not PostgreSQL's own. */
export async function readTriggers(tx: postgres.ISql, schema: string): Promise<Trigger[]> {
  const rows = await tx<Trigger[]>`
    select g.tgname as name, g.tgenabled as enabled, p.prosrc as body
    from pg_trigger g
    join pg_proc p on p.oid = g.tgfoid
    join pg_class t on t.oid = g.tgrelid
    join pg_namespace n on n.oid = t.relnamespace
    where n.nspname = ${schema} and t.relname = 'export_logs' and not g.tgisinternal`;
  return [...rows];
}
