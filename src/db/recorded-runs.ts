import type postgres from 'postgres';
import { isVisible, logsTable, runsTable, type Access } from './access.js';

export const STATUSES = ['queued', 'processing', 'completed', 'failed', 'expired'] as const;
export type Status = (typeof STATUSES)[number];

/** What the log knows about one export. Times are ISO 8601 in UTC with milliseconds. */
export interface RecordedRun {
  readonly exportId: string;
  readonly userId: string;
  readonly timestamp: string;
  readonly format: string;
  readonly status: Status;
  /** What was asked, and at the end what came out (`result`); rows of other programs may hold anything. */
  readonly config: Readonly<Record<string, unknown>>;
  /** Conversations in the file; before it is complete, those that matched. */
  readonly conversationCount: number;
  /** Bytes as stored. */
  readonly fileSize: number | null;
  readonly fileUrl: string | null;
  readonly expiresAt: string | null;
  readonly errorMessage: string | null;
  readonly createdAt: string;
  readonly updatedAt: string;
  /** The clock of the server says that the file's time is over, whatever the status says. */
  readonly isOverdue: boolean;
  /** Null for rows that came without a companion in `export_runs`. */
  readonly run: RunDetails | null;
}

/** The companion row. */
export interface RunDetails {
  readonly phase: 'queued' | 'writing' | 'publishing' | 'done';
  readonly workerHost: string | null;
  readonly attempt: number;
  readonly heartbeatAt: string;
  /** Percent, never backwards. */
  readonly progress: number;
  readonly detached: boolean;
  readonly matched: number | null;
  readonly read: number;
  readonly written: number;
  readonly skipped: number;
  /** By rule: `{ "no-turns": { "count": 2, "ids": ["…"] } }`. */
  readonly skips: unknown;
  readonly repairs: unknown;
  readonly warnings: unknown;
  readonly sha256: string | null;
  /** Where the bytes were to go: see `OutputRecord`. Never a path to trust. */
  readonly output: unknown;
  /** `<export id>/<file name>` of a managed file. */
  readonly storageKey: string | null;
  readonly durationMs: number | null;
  readonly fileDeletedAt: string | null;
}

/**
 * One export that may be seen, or null: what does not exist and what belongs to somebody else look the same.
 * @param exportId a UUID; check its form before
 */
export async function readRun(access: Access, exportId: string): Promise<RecordedRun | null> {
  const { sql, ask } = access.connection;
  const rows = await ask(
    () => sql<RunRow[]>`
      select ${runColumns(access)} from ${runTables(access)}
      where ${isVisible(access)} and l.export_id = ${exportId}`,
  );
  return rows[0] === undefined ? null : toRecordedRun(rows[0]);
}

/** `from` of a list of runs: the log as `l`, its companion as `r`. */
export function runTables(access: Access): postgres.Fragment {
  return access.connection.sql`
    ${logsTable(access)} l left join ${runsTable(access)} r using (export_id)`;
}

/** Columns that {@link toRecordedRun} reads, over `l` and `r`. */
export function runColumns({ connection: { sql } }: Access): postgres.Fragment {
  const iso = (column: string): postgres.Fragment =>
    sql`to_char(${sql.unsafe(column)} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;
  return sql`
    export_id, l.user_id, ${iso('l.timestamp')} as timestamp, l.format, l.status, l.config::text as config,
    l.conversation_count, l.file_size::double precision as file_size, l.file_url, ${iso('l.expires_at')} as expires_at,
    l.error_message, ${iso('l.created_at')} as created_at, ${iso('l.updated_at')} as updated_at,
    coalesce(l.expires_at <= now(), false) as is_overdue,
    r.phase, r.worker_host, r.attempt, ${iso('r.heartbeat_at')} as heartbeat_at, r.progress, r.detached,
    r.matched_count, r.read_count, r.written_count, r.skipped_count,
    r.skips::text as skips, r.repairs::text as repairs, r.warnings::text as warnings, r.sha256,
    r.output::text as output, r.storage_key, r.duration_ms::double precision as duration_ms,
    ${iso('r.file_deleted_at')} as file_deleted_at`;
}

/** A row as {@link runColumns} selects it; JSON comes as text, so that the driver's idea of it plays no part. */
export interface RunRow {
  export_id: string;
  user_id: string;
  timestamp: string;
  format: string;
  status: Status;
  config: string;
  conversation_count: number;
  file_size: number | null;
  file_url: string | null;
  expires_at: string | null;
  error_message: string | null;
  created_at: string;
  updated_at: string;
  is_overdue: boolean;
  phase: RunDetails['phase'] | null;
  worker_host: string | null;
  attempt: number;
  heartbeat_at: string;
  progress: number;
  detached: boolean;
  matched_count: number | null;
  read_count: number;
  written_count: number;
  skipped_count: number;
  skips: string;
  repairs: string;
  warnings: string;
  sha256: string | null;
  output: string;
  storage_key: string | null;
  duration_ms: number | null;
  file_deleted_at: string | null;
}

export function toRecordedRun(row: RunRow): RecordedRun {
  const config: unknown = JSON.parse(row.config);
  return {
    exportId: row.export_id,
    userId: row.user_id,
    timestamp: row.timestamp,
    format: row.format,
    status: row.status,
    config: typeof config === 'object' && config !== null ? (config as Record<string, unknown>) : {},
    conversationCount: row.conversation_count,
    fileSize: row.file_size,
    fileUrl: row.file_url,
    expiresAt: row.expires_at,
    errorMessage: row.error_message,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    isOverdue: row.is_overdue,
    run: row.phase === null ? null : toRunDetails(row, row.phase),
  };
}

function toRunDetails(row: RunRow, phase: RunDetails['phase']): RunDetails {
  return {
    phase,
    workerHost: row.worker_host,
    attempt: row.attempt,
    heartbeatAt: row.heartbeat_at,
    progress: row.progress,
    detached: row.detached,
    matched: row.matched_count,
    read: row.read_count,
    written: row.written_count,
    skipped: row.skipped_count,
    skips: JSON.parse(row.skips),
    repairs: JSON.parse(row.repairs),
    warnings: JSON.parse(row.warnings),
    sha256: row.sha256,
    output: JSON.parse(row.output),
    storageKey: row.storage_key,
    durationMs: row.duration_ms,
    fileDeletedAt: row.file_deleted_at,
  };
}
