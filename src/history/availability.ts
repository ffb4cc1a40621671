import type { RecordedRun } from '../db/recorded-runs.js';

/** Whether the file of an export is still kept. */
export interface Availability {
  /** Until when, ISO 8601 in UTC; null when it is not kept, or has no end. */
  readonly until: string | null;
  /** Why it is not kept, for people; null when it is. */
  readonly unavailable: string | null;
}

/** What the log says about the file of an export; the file itself is not looked at. */
export function availabilityOf({ status, isOverdue, expiresAt, run }: RecordedRun): Availability {
  const unavailable = ((): string | null => {
    if (status === 'failed') return 'failed';
    if (status === 'queued' || status === 'processing') return 'not finished';
    if (status === 'expired' || isOverdue) return 'expired';
    if (run === null) return 'recorded by another program';
    if (run.fileDeletedAt !== null) return 'removed';
    if (run.storageKey !== null) return null;
    return (run.output as { kind?: unknown } | null)?.kind === 'stream'
      ? 'standard output'
      : 'a file of your own';
  })();
  return { until: unavailable === null ? expiresAt : null, unavailable };
}
