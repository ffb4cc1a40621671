import type { Access } from './db/access.js';
import { withSnapshot } from './db/snapshot.js';
import {
  countByFormat,
  countByTime,
  countByUser,
  measureDurations,
  measureStorage,
  readPeriod,
  SIZE_CLASSES,
  type Bucket,
  type BucketSize,
  type Durations,
  type FormatOutcomes,
  type Outcomes,
  type Storage,
  type UserOutcomes,
} from './db/statistics.js';
import { LoraExportError } from './errors.js';
import type { Since } from './statistics/since.js';

export type { Bucket, BucketSize, Durations, FormatOutcomes, Outcomes, Storage, UserOutcomes };

/** Thirty days, over which the targets are tracked. */
export const STATISTICS_SINCE: Since = { seconds: 30 * 86_400 };

/** Users that are listed one by one. */
const MOST_USERS = 100;
/** 27 years of days, or a good year of hours. */
const MOST_BUCKETS = 10_000;

/** The history in numbers, all from one snapshot. */
export interface Statistics {
  /** ISO 8601 in UTC, by the clock of the database. */
  readonly since: string;
  readonly until: string;
  readonly by: BucketSize;
  readonly totals: FormatOutcomes;
  readonly formats: readonly FormatOutcomes[];
  /** All together, per format, per size class, and per both: see {@link Durations}. */
  readonly durations: readonly Durations[];
  /** Those with the most runs, at most a hundred. */
  readonly users: readonly UserOutcomes[];
  readonly buckets: readonly Bucket[];
  /** Now, not of the period. */
  readonly storage: Storage;
}

/**
 * Counts and measures the exports that may be seen, by when they were begun.
 * @param options.since default: the last 30 days
 * @param options.by default: `day`
 * @throws LoraExportError `E_USAGE` when the period lies in the future, or has more than 10,000 hours or days
 */
export async function collectStatistics(
  access: Access,
  { since = STATISTICS_SINCE, by = 'day' }: { since?: Since | undefined; by?: BucketSize | undefined } = {},
): Promise<Statistics> {
  return withSnapshot(access.connection, async ({ connection }) => {
    const inside: Access = { ...access, connection };
    const period = await readPeriod(inside, since, by);
    refuseFuture(period);
    if (period.buckets > MOST_BUCKETS) {
      throw new LoraExportError(
        'E_USAGE',
        `From ${period.since} to now there are ${period.buckets} ${by}s; at most ${MOST_BUCKETS} can be shown.`,
        { hint: by === 'hour' ? 'Pass --by day, or a later --since.' : 'Pass a later --since.' },
      );
    }
    const [totals, ...formats] = (await countByFormat(inside, since)) as [
      FormatOutcomes,
      ...FormatOutcomes[],
    ];
    const durations = await measureDurations(inside, since);
    const users = await countByUser(inside, since, MOST_USERS);
    const buckets = await countByTime(inside, since, by);
    const storage = await measureStorage(inside);
    const { since: begin, until } = period;
    return {
      since: begin,
      until,
      by,
      totals,
      formats,
      durations,
      users,
      buckets,
      storage,
    };
  });
}

/** @throws LoraExportError `E_USAGE` */
export function refuseFuture({ since, seconds }: { since: string; seconds: number }): void {
  if (seconds >= 0) return;
  throw new LoraExportError('E_USAGE', `${since} lies in the future by the clock of the database.`, {
    hint: 'Pass an earlier --since.',
  });
}

/** Share of succeeded runs among those that succeeded or failed, 0 to 1; cancelled ones are neither. Null without any. */
export function successRate({ succeeded, failed }: Outcomes): number | null {
  const ended = succeeded + failed;
  return ended === 0 ? null : succeeded / ended;
}

/** `<100`, `100-499`, …, `5000+`. */
export function sizeClassName(index: number): string {
  const from = SIZE_CLASSES[index - 1];
  const next = SIZE_CLASSES[index];
  if (from === undefined) return `<${next}`;
  return next === undefined ? `${from}+` : `${from}-${next - 1}`;
}
