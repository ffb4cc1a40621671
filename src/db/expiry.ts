import type postgres from 'postgres';
import { isVisible, logsTable, runsTable, type Access } from './access.js';

/** An export whose managed file has to go, as far as the log knows. */
export interface StoredFile {
  readonly exportId: string;
  /** Where the run said that it would write. For comparing, never as a path to use: users can change it. */
  readonly directory: string | null;
  readonly isManaged: boolean;
  readonly workerHost: string | null;
}

export interface StoredFilesPage {
  readonly after: string | null;
  readonly limit: number;
  /** A failed run whose owner was heard of within so many seconds may still be taking its file back. */
  readonly deadAfterSeconds: number;
  /** Also those whose time is over, but that nobody has claimed. */
  readonly withOverdue: boolean;
}

/**
 * Claims exports whose time is over, by the clock of the server: from now on they are expired, whatever becomes of
 * their files.
 * @returns how many; rows that another process is claiming at this moment are left to it
 */
export async function claimOverdue(access: Access, limit: number): Promise<number> {
  const { sql, ask } = access.connection;
  const claimed = await ask(
    () => sql`
      with due as (
        select l.export_id from ${logsTable(access)} l
        where ${isVisible(access)} and ${isOverdue(access)}
        order by l.expires_at, l.export_id
        limit ${limit}
        for update skip locked
      )
      update ${logsTable(access)} l set status = 'expired', updated_at = now()
      from due where l.export_id = due.export_id
      returning 1`,
  );
  return claimed.length;
}

/** How many exports {@link claimOverdue} would find. */
export async function countOverdue(access: Access): Promise<number> {
  const { sql, ask } = access.connection;
  const [row] = await ask(
    () => sql<{ count: number }[]>`
      select count(*)::int as count from ${logsTable(access)} l where ${isVisible(access)} and ${isOverdue(access)}`,
  );
  return row?.count ?? 0;
}

/** Exports that are over, and whose file was stored and not yet recorded as removed; in the order of their ids. */
export async function readStoredFiles(access: Access, page: StoredFilesPage): Promise<StoredFile[]> {
  const { sql, ask } = access.connection;
  const { after, limit, deadAfterSeconds, withOverdue } = page;
  return ask(
    () => sql<StoredFile[]>`
      select r.export_id as "exportId", r.output ->> 'directory' as directory,
        coalesce(r.output -> 'managed' = 'true'::jsonb, false) as "isManaged", r.worker_host as "workerHost"
      from ${runsTable(access)} r join ${logsTable(access)} l using (export_id)
      where ${isVisible(access)} and r.storage_key is not null and r.file_deleted_at is null
        and (l.status = 'expired'
          or (l.status = 'failed' and r.heartbeat_at < now() - ${deadAfterSeconds} * interval '1 second')
          or (${withOverdue}::boolean and ${isOverdue(access)}))
        and (${after}::uuid is null or r.export_id > ${after}::uuid)
      order by r.export_id
      limit ${limit}`,
  );
}

/**
 * Records that the file of an export is gone.
 * @returns false when the row is not there any more, or may not be changed
 */
export async function recordRemoval(access: Access, exportId: string): Promise<boolean> {
  const { sql, ask } = access.connection;
  const changed = await ask(
    () => sql`
      update ${runsTable(access)} r
      set file_deleted_at = coalesce(r.file_deleted_at, now()), updated_at = now()
      from ${logsTable(access)} l
      where r.export_id = ${exportId} and l.export_id = r.export_id and ${isVisible(access)}
        and l.status in ('expired', 'failed')
      returning 1`,
  );
  return changed.length === 1;
}

/** What looks like an export in the directory, and when it was last changed. */
export interface Candidate {
  readonly exportId: string;
  readonly changedMs: number;
}

/**
 * Those of the candidates that no row knows, and that were last changed longer ago than `hours`, by the clock of the
 * server. Null when policies may hide rows from the login: then a row that cannot be seen says nothing.
 */
export async function findUnknown(
  access: Access,
  candidates: readonly Candidate[],
  hours: number,
): Promise<string[] | null> {
  const { sql, ask } = access.login;
  const [rights] = await ask(
    () => sql<{ isBound: boolean }[]>`
      select row_security_active(${relation(access, 'export_logs')}::regclass) as "isBound"`,
  );
  if (rights?.isBound !== false) return null;
  const rows = await ask(
    () => sql<{ exportId: string }[]>`
      select c.export_id as "exportId"
      from unnest(${candidates.map(({ exportId }) => exportId)}::uuid[],
        ${candidates.map(({ changedMs }) => changedMs)}::double precision[]) as c (export_id, changed)
      where to_timestamp(c.changed / 1000) < now() - ${hours} * interval '1 hour'
        and not exists (select from ${logsTable(access)} l where l.export_id = c.export_id)
      order by c.export_id`,
  );
  return rows.map(({ exportId }) => exportId);
}

/** A table of the log by its quoted name, as a value. */
export function relation({ auditSchema }: Access, table: 'export_logs' | 'export_runs'): string {
  return `"${auditSchema.replaceAll('"', '""')}".${table}`;
}

function isOverdue({ connection: { sql } }: Access): postgres.Fragment {
  return sql`l.status = 'completed' and l.expires_at < now()`;
}
