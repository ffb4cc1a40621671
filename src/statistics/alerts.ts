import type { Access } from '../db/access.js';
import { withSnapshot } from '../db/snapshot.js';
import {
  averageOfSmall,
  countByFormat,
  countOpen,
  measureStorage,
  readPeriod,
  type FormatOutcomes,
} from '../db/statistics.js';
import { HEARTBEAT_LIMIT_SECONDS } from '../recovery.js';
import type { Since } from './since.js';
import { refuseFuture } from '../statistics.js';

/** The last day: what is checked regularly should end when the trouble ends. */
const ALERTS_SINCE: Since = { seconds: 86_400 };

/** From when on something is an alarm: each is crossed by more than it says. */
export interface Thresholds {
  /** Share of failed runs among those that ended uncancelled, 0 to 1. */
  readonly failureRate: number;
  /** Average duration of small exports, in seconds. */
  readonly smallExportSeconds: number;
  /** Exports of fewer conversations are small. */
  readonly smallExportConversations: number;
  /** Bytes that managed files take. */
  readonly storageBytes: number;
}

/** One threshold and what was found. */
export interface Check {
  readonly name: 'failure_rate' | 'small_export_seconds' | 'storage_bytes' | 'silent_runs';
  /** In the unit of the limit; null where there was nothing to measure, which is fine. */
  readonly value: number | null;
  readonly limit: number;
  readonly ok: boolean;
  /** Where the value comes from, in a few words. */
  readonly message: string;
}

export interface CheckReport {
  /** ISO 8601 in UTC, by the clock of the database. */
  readonly since: string;
  readonly until: string;
  readonly ok: boolean;
  readonly checks: readonly Check[];
}

/**
 * Holds the exports that may be seen against thresholds, in one snapshot: failures and durations of the period, storage
 * and silent runs as they are now.
 * @param since default: the last 24 hours
 * @throws LoraExportError `E_USAGE` when the period lies in the future
 */
export async function checkThresholds(
  access: Access,
  thresholds: Thresholds,
  since: Since = ALERTS_SINCE,
): Promise<CheckReport> {
  return withSnapshot(access.connection, async ({ connection }) => {
    const inside: Access = { ...access, connection };
    const period = await readPeriod(inside, since, 'day');
    refuseFuture(period);
    const [totals] = (await countByFormat(inside, since)) as [FormatOutcomes, ...FormatOutcomes[]];
    const { smallExportConversations: below } = thresholds;
    const small = await averageOfSmall(inside, since, below);
    const storage = await measureStorage(inside);
    const open = await countOpen(inside, HEARTBEAT_LIMIT_SECONDS);
    const ended = totals.succeeded + totals.failed;
    const checks = [
      check(
        'failure_rate',
        ended === 0 ? null : totals.failed / ended,
        thresholds.failureRate,
        `${totals.failed} of ${ended} exports failed`,
      ),
      check(
        'small_export_seconds',
        small.averageMs === null ? null : small.averageMs / 1000,
        thresholds.smallExportSeconds,
        `average of ${small.runs} exports of fewer than ${below} conversations`,
      ),
      check(
        'storage_bytes',
        storage.bytes,
        thresholds.storageBytes,
        `${storage.files} stored files, ${storage.overdueFiles} of them overdue for cleanup`,
      ),
      check(
        'silent_runs',
        open.silent,
        0,
        open.silent === 0
          ? `${open.queued} queued, ${open.processing} running`
          : `no sign of life for over ${HEARTBEAT_LIMIT_SECONDS} s: ${open.silentIds.join(', ')}${open.silent > open.silentIds.length ? ', …' : ''}`,
      ),
    ];
    return { since: period.since, until: period.until, ok: checks.every(({ ok }) => ok), checks };
  });
}

function check(name: Check['name'], value: number | null, limit: number, message: string): Check {
  return { name, value, limit, ok: value === null || value <= limit, message };
}
