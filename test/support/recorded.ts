import { randomUUID } from 'node:crypto';
import type postgres from 'postgres';

/** Columns of both tables as a test states them; the rest is as in a plain completed export. */
export interface Recorded {
  readonly exportId?: string;
  readonly userId?: string;
  readonly timestamp?: string;
  readonly format?: string;
  readonly status?: string;
  readonly config?: unknown;
  readonly count?: number;
  readonly size?: number | null;
  readonly fileUrl?: string | null;
  readonly expiresAt?: string | null;
  readonly error?: string | null;
  /** Columns of `export_runs`; null leaves the row without a companion. */
  readonly run?: Record<string, unknown> | null;
}

/** Records an export as if it had been made, and returns its id. */
export async function record(sql: postgres.Sql, values: Recorded = {}): Promise<string> {
  const exportId = values.exportId ?? randomUUID();
  const config = values.config ?? { version: 1, scope: 'approved', format: 'jsonl' };
  await sql`
    insert into export_logs (export_id, user_id, timestamp, format, config, conversation_count, file_size, status,
      file_url, expires_at, error_message)
    values (${exportId}, ${values.userId ?? randomUUID()}, ${values.timestamp ?? '2025-10-29T10:00:00Z'}::text::timestamptz,
      ${values.format ?? 'jsonl'}, ${sql.json(config as never)}, ${values.count ?? 1},
      ${values.size === undefined ? 100 : values.size}, ${values.status ?? 'completed'}, ${values.fileUrl ?? null},
      ${values.expiresAt ?? null}::text::timestamptz, ${values.error ?? null})`;
  if (values.run === null) return exportId;
  const { skips, repairs, warnings, output, ...plain } = {
    output: { kind: 'stream' },
    ...values.run,
  } as Record<string, unknown>;
  const json = Object.fromEntries(
    Object.entries({ skips, repairs, warnings, output })
      .filter(([, value]) => value !== undefined)
      .map(([key, value]) => [key, sql.json(value as never)]),
  );
  await sql`insert into export_runs ${sql({ phase: 'done', ...plain, ...json, export_id: exportId } as Record<string, string>)}`;
  return exportId;
}
