import type postgres from 'postgres';
import type { Since } from '../statistics/since.js';
import { isVisible, logsTable, runsTable, type Access } from './access.js';

/** Rows of time in a report; days and hours of UTC. */
export type BucketSize = 'hour' | 'day';

/** Conversations from which a size class begins; the first begins at none. */
export const SIZE_CLASSES = [100, 500, 1000, 5000] as const;

/** How runs ended. A run is succeeded when it was completed, also after its file has expired. */
export interface Outcomes {
  readonly runs: number;
  readonly succeeded: number;
  /** Without those that somebody cancelled. */
  readonly failed: number;
  readonly cancelled: number;
  /** Queued or processing: neither a success nor a failure yet. */
  readonly inProgress: number;
  /** In the files of succeeded runs. */
  readonly conversations: number;
  /** Of the files of succeeded runs, as stored. */
  readonly bytes: number;
}

export interface FormatOutcomes extends Outcomes {
  /** Null: all formats together. */
  readonly format: string | null;
  /** Users who have runs. */
  readonly users: number;
  /** Files whose size is known. */
  readonly files: number;
  readonly averageBytes: number | null;
  readonly largestBytes: number | null;
  /** Size × retention of what was stored with an end, in bytes × hours. */
  readonly byteHours: number;
  /** When the last succeeded run ended, in seconds since 1970. */
  readonly lastSuccess: number | null;
  /** Runs whose duration is known, and the sum of these in milliseconds. */
  readonly timed: number;
  readonly totalMs: number;
}

/** Durations of succeeded runs, in whole milliseconds. */
export interface Durations {
  /** Null: all formats together. */
  readonly format: string | null;
  /** Index into the classes that {@link SIZE_CLASSES} divides; null: all together. */
  readonly sizeClass: number | null;
  readonly runs: number;
  readonly averageMs: number | null;
  readonly medianMs: number | null;
  readonly p95Ms: number | null;
  readonly longestMs: number | null;
}

export interface UserOutcomes extends Outcomes {
  readonly userId: string;
}

export interface Bucket extends Outcomes {
  /** ISO 8601 in UTC. */
  readonly start: string;
}

/** Managed files that are there, whenever they were written. */
export interface Storage {
  readonly files: number;
  readonly bytes: number;
  /** Of these, those whose time is over: `cleanup` removes them. */
  readonly overdueFiles: number;
  readonly overdueBytes: number;
}

/** Where a period begins and ends by the clock of the database, and how many buckets that makes. */
export async function readPeriod(
  { connection: { sql, ask } }: Access,
  since: Since,
  by: BucketSize,
): Promise<{ since: string; until: string; seconds: number; buckets: number }> {
  const [row] = await ask(
    () => sql<{ since: string; until: string; seconds: number; buckets: number }[]>`
      select to_char(start at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as since,
        to_char(now() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as until,
        extract(epoch from now() - start)::double precision as seconds,
        (extract(epoch from date_trunc(${by}, now() at time zone 'UTC')
          - date_trunc(${by}, start at time zone 'UTC')) / ${by === 'hour' ? 3600 : 86_400} + 1)::double precision as buckets
      from (select ${startOf(sql, since)} as start) as period`,
  );
  return row as { since: string; until: string; seconds: number; buckets: number };
}

/**
 * How runs ended, per format and, first, altogether.
 * @param since null: all that is recorded
 */
export async function countByFormat(access: Access, since: Since | null): Promise<FormatOutcomes[]> {
  const { sql, ask } = access.connection;
  return ask(
    () => sql<FormatOutcomes[]>`
      select format, ${outcomes(sql)}, count(distinct user_id)::double precision as users,
        count(bytes)::double precision as files, round(avg(bytes))::double precision as "averageBytes",
        max(bytes)::double precision as "largestBytes", coalesce(sum(byte_hours), 0)::double precision as "byteHours",
        extract(epoch from max(ended_at) filter (where outcome = 'succeeded'))::double precision as "lastSuccess",
        count(ms)::double precision as timed, coalesce(sum(ms), 0)::double precision as "totalMs"
      from ${runsSince(access, since)}
      group by grouping sets ((), (format))
      order by grouping(format) desc, count(*) desc, format`,
  );
}

/** Durations for all runs, each format, each size class, and each of both; groups without runs are left out, but for the first. */
export async function measureDurations(access: Access, since: Since): Promise<Durations[]> {
  const { sql, ask } = access.connection;
  return ask(
    () => sql<Durations[]>`
      select format, size_class as "sizeClass", count(*)::double precision as runs,
        round(avg(ms))::double precision as "averageMs",
        round(percentile_cont(0.5) within group (order by ms)) as "medianMs",
        round(percentile_cont(0.95) within group (order by ms)) as "p95Ms", max(ms) as "longestMs"
      from ${runsSince(access, since)}
      where ms is not null
      group by grouping sets ((), (format), (size_class), (format, size_class))
      order by grouping(format) desc, format, grouping(size_class) desc, size_class`,
  );
}

/** Average duration of succeeded runs of fewer conversations than `below`, in milliseconds; null without any. */
export async function averageOfSmall(
  access: Access,
  since: Since,
  below: number,
): Promise<{ runs: number; averageMs: number | null }> {
  const { sql, ask } = access.connection;
  const [row] = await ask(
    () => sql<{ runs: number; averageMs: number | null }[]>`
      select count(*)::double precision as runs, avg(ms)::double precision as "averageMs"
      from ${runsSince(access, since)}
      where ms is not null and conversation_count < ${below}`,
  );
  return row as { runs: number; averageMs: number | null };
}

/** The users with the most runs, at most so many of them. */
export async function countByUser(access: Access, since: Since, most: number): Promise<UserOutcomes[]> {
  const { sql, ask } = access.connection;
  return ask(
    () => sql<UserOutcomes[]>`
      select user_id as "userId", ${outcomes(sql)}
      from ${runsSince(access, since)}
      group by user_id
      order by count(*) desc, user_id
      limit ${most}`,
  );
}

/** Every hour or day of the period in order, also those without a run. */
export async function countByTime(access: Access, since: Since, by: BucketSize): Promise<Bucket[]> {
  const { sql, ask } = access.connection;
  return ask(
    () => sql<Bucket[]>`
      with buckets as (
        select date_trunc(${by}, timestamp at time zone 'UTC') as start, ${outcomes(sql)}
        from ${runsSince(access, since)}
        group by 1
      )
      select to_char(every.start, 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as start, coalesce(runs, 0) as runs,
        coalesce(succeeded, 0) as succeeded, coalesce(failed, 0) as failed, coalesce(cancelled, 0) as cancelled,
        coalesce("inProgress", 0) as "inProgress", coalesce(conversations, 0) as conversations,
        coalesce(bytes, 0) as bytes
      from generate_series(
        date_trunc(${by}, ${startOf(sql, since)} at time zone 'UTC'), now() at time zone 'UTC',
        ${by === 'hour' ? sql`interval '1 hour'` : sql`interval '1 day'`}
      ) as every (start)
      left join buckets using (start)
      order by every.start`,
  );
}

/** What managed files take: those of completed exports that were not removed yet. */
export async function measureStorage(access: Access): Promise<Storage> {
  const { sql, ask } = access.connection;
  const [row] = await ask(
    () => sql<Storage[]>`
      select count(*)::double precision as files, coalesce(sum(l.file_size), 0)::double precision as bytes,
        count(*) filter (where l.expires_at <= now())::double precision as "overdueFiles",
        coalesce(sum(l.file_size) filter (where l.expires_at <= now()), 0)::double precision as "overdueBytes"
      from ${runsTable(access)} r join ${logsTable(access)} l using (export_id)
      where ${isVisible(access)} and l.status = 'completed' and r.storage_key is not null
        and r.file_deleted_at is null`,
  );
  return row as Storage;
}

/** Runs that wait, run, or have given no sign of life for so long: the ids of the oldest of the last, too. */
export async function countOpen(
  access: Access,
  silentSeconds: number,
): Promise<{ queued: number; processing: number; silent: number; silentIds: string[] }> {
  const { sql, ask } = access.connection;
  const [row] = await ask(
    () => sql<{ queued: number; processing: number; silent: number; silentIds: string[] }[]>`
      select count(*) filter (where status = 'queued')::double precision as queued,
        count(*) filter (where status = 'processing')::double precision as processing,
        count(*) filter (where is_silent)::double precision as silent,
        coalesce((array_agg(export_id::text order by heard, export_id) filter (where is_silent))[1:3], '{}') as "silentIds"
      from (
        select export_id, l.status, coalesce(r.heartbeat_at, l.updated_at) as heard,
          coalesce(r.heartbeat_at, l.updated_at) < now() - ${silentSeconds} * interval '1 second' as is_silent
        from ${logsTable(access)} l left join ${runsTable(access)} r using (export_id)
        where ${isVisible(access)} and l.status in ('queued', 'processing')
      ) as open`,
  );
  return row as { queued: number; processing: number; silent: number; silentIds: string[] };
}

/** One row per visible run of the period, with what only succeeded runs have: bytes, duration, size class. */
function runsSince(access: Access, since: Since | null): postgres.Fragment {
  const { sql } = access.connection;
  return sql`(
    select *, case when expires_at is not null and isfinite(expires_at)
      then bytes * greatest(0, extract(epoch from expires_at - ended_at)) / 3600 end as byte_hours
    from (
      select l.format, l.user_id, l.timestamp, l.conversation_count, l.expires_at, how.outcome,
        case when how.outcome = 'succeeded' then l.file_size end as bytes,
        -- Never from updated_at, which expiry changes.
        case when how.outcome = 'succeeded' then r.duration_ms end::double precision as ms,
        case when how.outcome = 'succeeded' and r.duration_ms is not null
          then width_bucket(l.conversation_count, array[${sql.unsafe(SIZE_CLASSES.join(', '))}]) end as size_class,
        coalesce(r.created_at + r.duration_ms * interval '1 millisecond', l.timestamp) as ended_at
      from ${logsTable(access)} l left join ${runsTable(access)} r using (export_id)
      cross join lateral (
        select case
          when l.status in ('completed', 'expired') then 'succeeded'
          when l.status = 'failed' then case when l.error_message like 'cancelled%' then 'cancelled' else 'failed' end
          else 'in progress'
        end as outcome
      ) as how
      where ${isVisible(access)}
        and ${since === null ? sql`true` : sql`l.timestamp >= ${startOf(sql, since)} and l.timestamp <= now()`}
    ) as plain
  ) as run`;
}

/** The columns of {@link Outcomes} over {@link runsSince}. */
function outcomes(sql: postgres.Sql): postgres.Fragment {
  return sql`count(*)::double precision as runs,
    count(*) filter (where outcome = 'succeeded')::double precision as succeeded,
    count(*) filter (where outcome = 'failed')::double precision as failed,
    count(*) filter (where outcome = 'cancelled')::double precision as cancelled,
    count(*) filter (where outcome = 'in progress')::double precision as "inProgress",
    coalesce(sum(conversation_count) filter (where outcome = 'succeeded'), 0)::double precision as conversations,
    coalesce(sum(bytes), 0)::double precision as bytes`;
}

/** `now()` is one moment throughout a transaction. */
function startOf(sql: postgres.Sql, since: Since): postgres.Fragment {
  return 'at' in since
    ? sql`${since.at}::timestamptz`
    : sql`(now() - ${since.seconds} * interval '1 second')`;
}
