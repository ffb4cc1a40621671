import { randomUUID } from 'node:crypto';
import type postgres from 'postgres';

export interface RecordedRow {
  readonly exportId?: string;
  readonly userId?: string;
  readonly status?: string;
  readonly errorMessage?: string | null;
  readonly fileUrl?: string | null;
  readonly fileSize?: number | null;
  readonly count?: number;
  /** Hours from now; null for never. */
  readonly expiresIn?: number | null;
  /** Hours before now. */
  readonly age?: number;
  /** The companion row; null for rows of other programs. */
  readonly run?: {
    readonly phase?: string;
    readonly progress?: number;
    readonly read?: number;
    readonly attempt?: number;
    readonly detached?: boolean;
    readonly host?: string | null;
    /** Seconds since the last heartbeat. */
    readonly silent?: number;
    readonly sha256?: string | null;
    readonly output?: object;
    readonly storageKey?: string | null;
    readonly isDeleted?: boolean;
  } | null;
}

/** Adds an export to the audit log as it would look at some moment of its life, and returns its id. */
export async function addRecordedRun(sql: postgres.ISql, row: RecordedRow = {}): Promise<string> {
  const { exportId = randomUUID(), userId = randomUUID(), status = 'processing', age = 0, run = {} } = row;
  await sql`
    insert into export_logs (export_id, user_id, timestamp, format, config, conversation_count, file_size, status, file_url,
      expires_at, error_message)
    values (${exportId}, ${userId}, now() - ${age} * interval '1 hour', 'jsonl', '{}', ${row.count ?? 0},
      ${row.fileSize ?? null}, ${status}, ${row.fileUrl ?? null}, now() + ${row.expiresIn ?? null}::float8 * interval '1 hour',
      ${row.errorMessage ?? null})`;
  if (run === null) return exportId;
  await sql`
    insert into export_runs (export_id, phase, worker_id, worker_host, attempt, heartbeat_at, matched_count, read_count,
      written_count, progress, detached, sha256, output, storage_key, file_deleted_at, created_at)
    values (${exportId}, ${run.phase ?? 'writing'}, ${randomUUID()}, ${run.host ?? null}, ${run.attempt ?? 1},
      now() - ${run.silent ?? 0} * interval '1 second', ${row.count ?? 0}, ${run.read ?? 0}, ${run.read ?? 0},
      ${run.progress ?? 0}, ${run.detached ?? false}, ${run.sha256 ?? null}, ${sql.json((run.output ?? {}) as never)},
      ${run.storageKey ?? null}, case when ${run.isDeleted ?? false} then now() end, now() - ${age} * interval '1 hour')`;
  return exportId;
}
