import { randomUUID } from 'node:crypto';
import type postgres from 'postgres';
import { record } from './recorded.js';

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
  const { status = 'processing', age = 0, expiresIn = null, run = {}, exportId, userId } = row;
  return record(sql, {
    status,
    age,
    expiresIn,
    config: {},
    count: row.count ?? 0,
    size: row.fileSize ?? null,
    fileUrl: row.fileUrl ?? null,
    error: row.errorMessage ?? null,
    silent: run?.silent ?? 0,
    ...(exportId === undefined ? {} : { exportId }),
    ...(userId === undefined ? {} : { userId }),
    run: run && {
      phase: run.phase ?? 'writing',
      worker_id: randomUUID(),
      worker_host: run.host ?? null,
      attempt: run.attempt ?? 1,
      matched_count: row.count ?? 0,
      read_count: run.read ?? 0,
      written_count: run.read ?? 0,
      progress: run.progress ?? 0,
      detached: run.detached ?? false,
      sha256: run.sha256 ?? null,
      output: run.output ?? {},
      storage_key: run.storageKey ?? null,
      file_deleted_at: run.isDeleted === true ? new Date() : null,
    },
  });
}
