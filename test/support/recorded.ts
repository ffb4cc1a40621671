import { randomUUID } from 'node:crypto';
import type postgres from 'postgres';

/** Columns of both tables as a test states them; the rest is as in a plain completed export. */
export interface Recorded {
  readonly exportId?: string;
  readonly userId?: string;
  readonly timestamp?: string | Date;
  readonly format?: string;
  readonly status?: string;
  readonly config?: unknown;
  readonly count?: number;
  readonly size?: number | null;
  readonly fileUrl?: string | null;
  readonly expiresAt?: string | Date | null;
  /** Hours from now by the clock of the server; null: never. Instead of `expiresAt`. */
  readonly expiresIn?: number | null;
  readonly error?: string | null;
  /** Seconds since the run was last heard of, in both tables. Default: 0. */
  readonly silent?: number;
  /** Hours since the row was made. Default: 0, or `timestamp`. */
  readonly age?: number;
  /** Columns of `export_runs`; null leaves the row without a companion. */
  readonly run?: Record<string, unknown> | null;
}

const JSON_COLUMNS: ReadonlySet<string> = new Set(['skips', 'repairs', 'warnings', 'output']);

/** Records an export as if it had been made, and returns its id. Everything else that adds rows builds on this. */
export async function record(sql: postgres.ISql, values: Recorded = {}): Promise<string> {
  const { exportId = randomUUID(), userId = randomUUID(), config, size = 100, silent = 0 } = values;
  const made =
    values.age === undefined
      ? sql`${iso(values.timestamp ?? '2025-10-29T10:00:00Z')}::text::timestamptz`
      : sql`now() - ${values.age}::float8 * interval '1 hour'`;
  const expires =
    values.expiresIn === undefined
      ? sql`${iso(values.expiresAt ?? null)}::text::timestamptz`
      : sql`now() + ${values.expiresIn}::float8 * interval '1 hour'`;
  const heard = sql`now() - ${silent}::float8 * interval '1 second'`;
  await sql`
    insert into export_logs (export_id, user_id, timestamp, format, config, conversation_count, file_size, status,
      file_url, expires_at, error_message, created_at, updated_at)
    values (${exportId}, ${userId}, ${made}, ${values.format ?? 'jsonl'},
      ${sql.json((config ?? { version: 1, scope: 'approved', format: 'jsonl' }) as never)}, ${values.count ?? 1}, ${size},
      ${values.status ?? 'completed'}, ${values.fileUrl ?? null}, ${expires}, ${values.error ?? null}, ${made}, ${heard})`;
  if (values.run === null) return exportId;
  const columns = Object.entries({ phase: 'done', output: { kind: 'stream' }, ...values.run })
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => [name, JSON_COLUMNS.has(name) ? sql.json(value as never) : value]);
  await sql`insert into export_runs ${sql({ ...Object.fromEntries(columns), export_id: exportId } as Record<string, string>)}`;
  await sql`
    update export_runs set heartbeat_at = ${heard}, created_at = ${made}
    where export_id = ${exportId} and ${values.run?.['heartbeat_at'] === undefined}`;
  return exportId;
}

function iso(moment: string | Date | null): string | null {
  return moment instanceof Date ? moment.toISOString() : moment;
}
