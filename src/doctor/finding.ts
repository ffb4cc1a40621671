import { LoraExportError, type ErrorCode } from '../errors.js';

export type FindingStatus = 'ok' | 'warning' | 'failed' | 'skipped';

/** What one check found. */
export interface Finding {
  readonly status: FindingStatus;
  readonly message: string;
  /** What to do about it; null where there is nothing to do. */
  readonly fix: string | null;
  /** Statements that mend it; nobody but the user runs them. */
  readonly sql: readonly string[];
  /** Of a failure: what a command that meets it ends with. */
  readonly code: ErrorCode | null;
}

/** A finding, and what later checks build on; null when they cannot. */
export interface Examined<T> {
  readonly finding: Finding;
  readonly value: T | null;
}

export function ok(message: string): Finding {
  return { status: 'ok', message, fix: null, sql: [], code: null };
}

export function warning(message: string, fix: string, sql: readonly string[] = []): Finding {
  return { status: 'warning', message, fix, sql, code: null };
}

export function failed(
  code: ErrorCode,
  message: string,
  fix: string | null,
  sql: readonly string[] = [],
): Finding {
  return { status: 'failed', message, fix, sql, code };
}

export function skipped(message: string): Finding {
  return { status: 'skipped', message, fix: null, sql: [], code: null };
}

/** A failure of ours as a finding; anything else is a bug, and thrown again. */
export function failedBy(error: unknown): Finding {
  if (!(error instanceof LoraExportError)) throw error;
  return failed(error.code, error.message, error.hint ?? null);
}
