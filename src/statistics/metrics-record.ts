import { LoraExportError } from '../errors.js';
import type { ExportResult } from '../export.js';

/** What is known of a run before it ends; null what is not. */
export interface RunFacts {
  readonly exportId: string | null;
  readonly userId: string | null;
  readonly format: string | null;
  readonly target: string | null;
}

/** One finished run for a log collector: every key is always there, in this order. Keys may be added, never renamed. */
export interface MetricsRecord {
  /** When the run ended, by the clock of this machine, ISO 8601 in UTC. */
  readonly timestamp: string;
  /** Null when the run failed before it was recorded. */
  readonly export_id: string | null;
  readonly user_id: string | null;
  readonly format: string | null;
  readonly target: string | null;
  readonly status: 'completed' | 'failed';
  readonly duration_ms: number;
  /** Bytes as stored. */
  readonly file_size: number | null;
  readonly conversation_count: number | null;
  readonly skipped_count: number | null;
  /** The code of the failure, such as `E_DB_UNREACHABLE`; a cancelled run has that of its signal. */
  readonly error_type: string | null;
  readonly error_message: string | null;
}

export function completedRecord(result: ExportResult, endedAt: Date): MetricsRecord {
  return {
    timestamp: endedAt.toISOString(),
    export_id: result.exportId,
    user_id: result.userId,
    format: result.format,
    target: result.target,
    status: 'completed',
    duration_ms: result.durationMs,
    file_size: result.size,
    conversation_count: result.counts.written,
    skipped_count: result.counts.skipped,
    error_type: null,
    error_message: null,
  };
}

/** @param end when the run ended, and how long it took in milliseconds, by the clock of this machine */
export function failedRecord(
  error: unknown,
  facts: RunFacts,
  end: { readonly endedAt: Date; readonly durationMs: number },
): MetricsRecord {
  const known = error instanceof LoraExportError ? error : undefined;
  return {
    timestamp: end.endedAt.toISOString(),
    export_id: known?.exportId ?? facts.exportId,
    user_id: facts.userId,
    format: facts.format,
    target: facts.target,
    status: 'failed',
    duration_ms: Math.round(end.durationMs),
    file_size: null,
    conversation_count: null,
    skipped_count: null,
    error_type: known?.code ?? 'E_INTERNAL',
    error_message: error instanceof Error ? error.message : String(error),
  };
}
