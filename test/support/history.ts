import { randomUUID } from 'node:crypto';
import type postgres from 'postgres';
import { record } from './recorded.js';

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
  const { status = 'completed', keptHours, ms = null, managed = false, deleted = false } = run;
  const exportId = randomUUID();
  const at = run.at === undefined ? new Date() : new Date(run.at);
  const ended = new Date(at.getTime() + (ms ?? 0));
  return record(sql, {
    exportId,
    timestamp: at,
    status,
    config: {},
    format: run.format ?? 'jsonl',
    count: run.conversations ?? 10,
    size: run.bytes ?? null,
    error: run.message ?? null,
    silent: run.silent ?? 0,
    expiresAt: keptHours === undefined ? null : new Date(ended.getTime() + keptHours * 3_600_000),
    ...(run.user === undefined ? {} : { userId: run.user }),
    run:
      run.alone === true
        ? null
        : {
            phase: status === 'queued' ? 'queued' : status === 'processing' ? 'writing' : 'done',
            duration_ms: ms,
            storage_key: managed ? `${exportId}/file.jsonl` : null,
            file_deleted_at: deleted ? ended : null,
          },
  });
}
