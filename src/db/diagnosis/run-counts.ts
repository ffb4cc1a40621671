import { isVisible, logsTable, runsTable, type Access } from '../access.js';
import type { Connection } from '../connect.js';

/** Visible runs that wait for somebody. */
export interface RunCounts {
  /** Begun, and without a sign of life for longer than the limit. */
  readonly dead: number;
  /** Queued, and no worker has vouched for them for longer than the limit. */
  readonly abandoned: number;
  /** Expired, and their file may still be there. */
  readonly overdue: number;
  /** Bytes of the latest export that wrote a file; null when there is none. */
  readonly lastSize: number | null;
}

/** @param inside the connection of `access`, inside a transaction */
export async function countWaitingRuns(
  access: Access,
  inside: Connection,
  limitSeconds: number,
): Promise<RunCounts> {
  const { sql, ask } = inside;
  const isSilent = sql`r.heartbeat_at < now() - ${limitSeconds} * interval '1 second'`;
  const joined = sql`${logsTable(access)} l join ${runsTable(access)} r using (export_id)`;
  const [counts] = await ask(
    () => sql<RunCounts[]>`
      select
        (select count(*)::int from ${joined} where ${isVisible(access)} and l.status = 'processing' and ${isSilent}) as dead,
        (select count(*)::int from ${joined} where ${isVisible(access)} and l.status = 'queued' and ${isSilent}) as abandoned,
        (select count(*)::int from ${logsTable(access)} l
          where ${isVisible(access)} and l.status = 'completed' and l.expires_at < now())
        + (select count(*)::int from ${joined}
          where ${isVisible(access)} and l.status = 'expired' and r.storage_key is not null and r.file_deleted_at is null)
          as overdue,
        (select l.file_size::double precision from ${logsTable(access)} l
          where ${isVisible(access)} and l.status in ('completed', 'expired') and l.file_size is not null
          order by l.timestamp desc limit 1) as "lastSize"`,
  );
  return counts as RunCounts;
}
