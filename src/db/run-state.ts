import { isVisible, runsTable, type Access } from './access.js';
import { runColumns, runTables, toRecordedRun, type RecordedRun, type RunRow } from './recorded-runs.js';

/** An export as it stands, with what only the server's clock and its queue can tell. */
export interface RunState {
  readonly run: RecordedRun;
  /** Whole seconds since its owner was last heard of; null when it has ended or came without a companion row. */
  readonly silentSeconds: number | null;
}

/**
 * One export that may be seen, or null.
 * @param exportId a UUID; null for the latest
 */
export async function readRunState(access: Access, exportId: string | null): Promise<RunState | null> {
  const { sql, ask } = access.connection;
  const [row] = await ask(
    () => sql<(RunRow & { silent_seconds: number | null })[]>`
      select ${runColumns(access)},
        case when l.status in ('queued', 'processing') and r.heartbeat_at is not null
          then greatest(0, floor(extract(epoch from now() - r.heartbeat_at)))::double precision end as silent_seconds
      from ${runTables(access)}
      where ${isVisible(access)} ${exportId === null ? sql`` : sql`and l.export_id = ${exportId}`}
      order by l.timestamp desc, l.export_id desc
      limit 1`,
  );
  return row === undefined ? null : { run: toRecordedRun(row), silentSeconds: row.silent_seconds };
}

/** How many jobs were queued before this one and still wait for a worker, among those that may be seen. */
export async function countQueuedBefore(access: Access, exportId: string): Promise<number> {
  const { sql, ask } = access.connection;
  const [row] = await ask(
    () => sql<{ count: number }[]>`
      select count(*)::integer as count from ${runTables(access)}
      where ${isVisible(access)} and l.status = 'queued' and r.phase = 'queued' and r.detached
        and (r.created_at, r.export_id) <
          (select own.created_at, own.export_id from ${runsTable(access)} own where own.export_id = ${exportId})`,
  );
  return row?.count ?? 0;
}
