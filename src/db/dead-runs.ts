import { isVisible, logsTable, runsTable, type Access } from './access.js';

/** A run whose owner has not been heard of for longer than the heartbeat limit. */
export interface DeadRun {
  readonly exportId: string;
  readonly phase: string;
  readonly workerHost: string | null;
  /** As stored by the run: see `OutputRecord`. */
  readonly output: unknown;
  readonly size: number | null;
  readonly sha256: string | null;
}

/** How a dead run is closed. */
export type Verdict =
  | { readonly status: 'completed'; readonly url: string }
  | { readonly status: 'failed'; readonly message: string };

/**
 * Takes one dead run that no other process is looking at, asks for a verdict, and closes it, all in one transaction:
 * whoever dies in between leaves the row as it was. A verdict of null leaves it to somebody else.
 *
 * @param spare leaves alone what a worker may still try, that is jobs with fewer attempts than this; null spares none
 * @param after only runs with a greater export id, so that a run left alone is not met again
 * @returns the run, or null when there is none left
 */
export async function closeDeadRun(
  access: Access,
  { limitSeconds, after, spare }: { limitSeconds: number; after: string | null; spare: number | null },
  judge: (run: DeadRun) => Promise<Verdict | null>,
): Promise<DeadRun | null> {
  return access.connection.transaction('begin', async ({ sql, ask }) => {
    const [run] = await ask(
      () => sql<DeadRun[]>`
        select r.export_id as "exportId", r.phase, r.worker_host as "workerHost", r.output,
          l.file_size::double precision as size, r.sha256
        from ${runsTable(access)} r
        join ${logsTable(access)} l using (export_id)
        where ${isVisible(access)} and l.status in ('queued', 'processing') and r.heartbeat_at < now() - ${limitSeconds} * interval '1 second'
          and (${after}::uuid is null or r.export_id > ${after}::uuid)
          and (${spare}::integer is null or not r.detached or r.phase = 'publishing' or r.attempt >= ${spare}::integer)
        order by r.export_id
        limit 1
        for update skip locked`,
    );
    const verdict = run === undefined ? null : await judge(run);
    if (run !== undefined && verdict !== null) {
      await ask(
        () => sql`
          with run as (
            update ${runsTable(access)}
            set phase = 'done', progress = ${verdict.status === 'completed' ? sql`100` : sql`progress`}, updated_at = now()
            where export_id = ${run.exportId} and heartbeat_at < now() - ${limitSeconds} * interval '1 second'
            returning export_id, written_count, skipped_count, sha256
          )
          update ${logsTable(access)} l
          set status = ${verdict.status}, updated_at = now(),
            file_url = ${verdict.status === 'completed' ? verdict.url : null},
            error_message = ${verdict.status === 'failed' ? verdict.message : null},
            config = case when ${verdict.status === 'completed'} then l.config || jsonb_build_object('result',
              jsonb_build_object('recovered', true, 'exported', run.written_count, 'skipped', run.skipped_count,
                'size', l.file_size, 'sha256', run.sha256)) else l.config end,
            expires_at = case when ${verdict.status === 'completed'} then
              now() + (l.config #>> '{output,retentionHours}')::double precision * interval '1 hour' end
          from run where l.export_id = run.export_id and l.status in ('queued', 'processing')`,
      );
    }
    return run ?? null;
  });
}
