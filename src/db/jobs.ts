import { isVisible, logsTable, runsTable, type Access } from './access.js';

/** A queued export that a worker has taken. */
export interface Claim {
  readonly exportId: string;
  readonly userId: string;
  readonly format: string;
  /** What was asked, as JSON text: see `runConfig`. */
  readonly config: string;
  /** Which attempt this is, from 1. */
  readonly attempt: number;
  /** Where the attempt before this one, whose worker has died, wrote to; null when this is the first. */
  readonly remains: unknown;
}

export interface ClaimOptions {
  readonly workerId: string;
  readonly host: string;
  /** Only this one, however it was asked for; else whatever any worker may do. */
  readonly exportId?: string | undefined;
  /** A worker that has been silent for so long, in seconds, is dead. */
  readonly limitSeconds: number;
  /** A run that was tried so often is not taken again. */
  readonly mostAttempts: number;
}

/**
 * Takes the oldest job that nobody else is taking: a queued one, or one whose worker has died while it wrote.
 *
 * What a row says was written by a user, and a worker may have more rights than he. So of its own accord a worker takes
 * only what is written to the managed directory with the user's own rights; a path of somebody's choice, or the rights
 * of the login, are for the process that this somebody has started for the job.
 */
export async function claimJob(access: Access, options: ClaimOptions): Promise<Claim | null> {
  const { exportId = null, workerId, host, limitSeconds, mostAttempts } = options;
  return access.connection.transaction('begin', async ({ sql, ask }) => {
    const [job] = await ask(
      () => sql<{ exportId: string; status: string; output: unknown }[]>`
        select export_id as "exportId", l.status, r.output
        from ${runsTable(access)} r join ${logsTable(access)} l using (export_id)
        where ${isVisible(access)} and ${isOpen(access, limitSeconds, mostAttempts)}
          and ${exportId === null ? isForAnybody(access) : sql`export_id = ${exportId}`}
        order by r.created_at, export_id
        limit 1
        for update skip locked`,
    );
    if (job === undefined) return null;
    const again = job.status === 'processing';
    const [taken] = await ask(
      () => sql<Omit<Claim, 'remains'>[]>`
        with run as (
          update ${runsTable(access)} set worker_id = ${workerId}, worker_host = ${host}, phase = 'writing',
            attempt = attempt + ${again ? 1 : 0}, heartbeat_at = now(), updated_at = now()
          where export_id = ${job.exportId}
          returning export_id, attempt
        )
        update ${logsTable(access)} l set status = 'processing', updated_at = now()
        from run where l.export_id = run.export_id
        returning l.export_id as "exportId", l.user_id as "userId", l.format, l.config::text as config, run.attempt`,
    );
    return taken === undefined ? null : { ...taken, remains: again ? job.output : null };
  });
}

/** Says for every waiting job that there is a worker who will come to it; without one, recovery closes it. */
export async function vouchForQueue(access: Access): Promise<void> {
  const { sql, ask } = access.connection;
  await ask(
    () => sql`
      update ${runsTable(access)} set heartbeat_at = now()
      where export_id in (
        select export_id from ${runsTable(access)} r join ${logsTable(access)} l using (export_id)
        where ${isVisible(access)} and r.phase = 'queued' and l.status = 'queued' and r.detached
          and ${isForAnybody(access)} and r.heartbeat_at < now() - interval '20 seconds'
        for update of r skip locked
      )`,
  );
}

/**
 * Closes an export that has not ended: its worker notices at its next sign of life, and publishes nothing.
 * @returns how it stands now: `cancelled`, another status when it had ended before, or null when there is none to see
 */
export async function cancelRun(access: Access, exportId: string, reason: string): Promise<string | null> {
  return access.connection.transaction('begin', async ({ sql, ask }) => {
    const [found] = await ask(
      () => sql<{ status: string }[]>`
        select l.status from ${logsTable(access)} l where ${isVisible(access)} and l.export_id = ${exportId} for update`,
    );
    if (found === undefined) return null;
    if (found.status !== 'queued' && found.status !== 'processing') return found.status;
    await ask(
      () => sql`
        with run as (
          update ${runsTable(access)} r set phase = 'done', updated_at = now(),
            duration_ms = round(extract(epoch from clock_timestamp() - r.created_at) * 1000)
          where r.export_id = ${exportId}
        )
        update ${logsTable(access)} l set status = 'failed', error_message = ${reason}, updated_at = now()
        where l.export_id = ${exportId}`,
    );
    return 'cancelled';
  });
}

/** How many exports a user has begun within the last hour. */
export async function countRecent(access: Access, userId: string): Promise<number> {
  const { sql, ask } = access.connection;
  const [row] = await ask(
    () => sql<{ count: number }[]>`
      select count(*)::int as count from ${logsTable(access)} l
      where l.user_id = ${userId} and l.timestamp > now() - interval '1 hour'`,
  );
  return row?.count ?? 0;
}

function isOpen({ connection: { sql } }: Access, limitSeconds: number, mostAttempts: number) {
  return sql`r.detached and (
    (l.status = 'queued' and r.phase = 'queued')
    or (l.status = 'processing' and r.phase = 'writing' and r.attempt < ${mostAttempts}
      and r.heartbeat_at < now() - ${limitSeconds} * interval '1 second'))`;
}

function isForAnybody({ connection: { sql } }: Access) {
  return sql`l.config #>> '{output,kind}' = 'managed' and l.config ->> 'allUsers' is distinct from 'true'`;
}
