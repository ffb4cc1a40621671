import type { Connection } from '../connect.js';

/** Whether the audit log can be written by the role of the connection. */
export interface AuditRights {
  readonly isReplica: boolean;
  /** `default_transaction_read_only` is on. */
  readonly isReadOnly: boolean;
  readonly mayUseSchema: boolean;
  /** Such as `insert on export_logs`. */
  readonly missing: readonly string[];
}

/** Of tables that exist; a right on single columns counts, since that is how they may have been granted. */
export async function readAuditRights({ sql, ask }: Connection, schema: string): Promise<AuditRights> {
  const [rights] = await ask(
    () => sql<AuditRights[]>`
      select pg_is_in_recovery() as "isReplica", current_setting('default_transaction_read_only')::boolean as "isReadOnly",
        coalesce((select has_schema_privilege(oid, 'usage') from pg_namespace where nspname = ${schema}), true)
          as "mayUseSchema",
        coalesce((
          select json_agg(format('%s on %s', privilege, c.relname) order by c.relname, privilege)
          from pg_class c
          join pg_namespace n on n.oid = c.relnamespace
          cross join unnest(array['select', 'insert', 'update']) privilege
          where n.nspname = ${schema} and c.relname in ('export_logs', 'export_runs')
            and not has_any_column_privilege(c.oid, privilege)
        ), '[]') as missing`,
  );
  return rights as AuditRights;
}
