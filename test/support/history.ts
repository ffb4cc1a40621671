import { randomUUID } from 'node:crypto';
import type postgres from 'postgres';

/** One export as the log tells it; what is left out is null, or an ordinary value. */
export interface PastRun {
  readonly user?: string;
  /** When it began. Default: now. */
  readonly at?: string | Date;
  readonly format?: string;
  readonly status?: string;
  readonly conversations?: number;
  readonly bytes?: number | null;
  readonly ms?: number | null;
  readonly message?: string;
  /** Hours from its end to its expiry. */
  readonly keptHours?: number;
  /** In the managed directory. */
  readonly managed?: boolean;
  readonly deleted?: boolean;
  /** Seconds since the last sign of life. */
  readonly silent?: number;
  /** Without a row in `export_runs`. */
  readonly alone?: boolean;
}

/** Adds a past export as it would have been recorded, and returns its id. */
export async function addPastRun(sql: postgres.ISql, run: PastRun = {}): Promise<string> {
  const { status = 'completed', conversations = 10, keptHours = null, silent = 0 } = run;
  const { bytes = null, ms = null, message = null, managed = false, deleted = false } = run;
  const at = run.at === undefined ? new Date() : new Date(run.at);
  const ended = new Date(at.getTime() + (ms ?? 0));
  const expires = keptHours === null ? null : new Date(ended.getTime() + keptHours * 3_600_000);
  const id = randomUUID();
  await sql`
    insert into export_logs (export_id, user_id, timestamp, format, config, conversation_count, file_size, status,
      expires_at, error_message, created_at, updated_at)
    values (${id}, ${run.user ?? randomUUID()}, ${at}, ${run.format ?? 'jsonl'}, '{}', ${conversations}, ${bytes},
      ${status}, ${expires}, ${message}, ${at}, now() - ${silent} * interval '1 second')`;
  if (run.alone !== true) {
    await sql`
      insert into export_runs (export_id, phase, duration_ms, storage_key, file_deleted_at, heartbeat_at, created_at)
      values (${id}, ${status === 'queued' ? 'queued' : status === 'processing' ? 'writing' : 'done'}, ${ms},
        ${managed ? `${id}/file.jsonl` : null}, ${deleted ? ended : null},
        now() - ${silent} * interval '1 second', ${at})`;
  }
  return id;
}
