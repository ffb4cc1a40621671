import { LoraExportError } from '../errors.js';
import type { Connection } from './connect.js';
import { identifier } from './identifier.js';

/** What the audit log is told when a run begins. */
export interface NewRun {
  readonly exportId: string;
  readonly userId: string;
  readonly format: string;
  /** Everything needed to repeat the export; no secrets. */
  readonly config: object;
  readonly matched: number;
  /** Where the bytes go: what recovery needs to find them. */
  readonly output: object;
  /** Null: any worker may take it. */
  readonly workerId: string | null;
  readonly workerHost: string;
  /** `queued` runs are jobs: somebody, be it ourselves, takes them up. */
  readonly status: 'queued' | 'processing';
}

/** Who may write to a row: a run that was taken from us (`worker_id`) must not. */
export interface Owner {
  readonly exportId: string;
  readonly workerId: string;
}

/** How far a run is, in conversations. */
export interface Progress {
  readonly matched: number;
  readonly read: number;
  readonly written: number;
  readonly skipped: number;
}

/** A file that is complete and safe, but not yet visible under its name. */
export interface ReadyFile {
  readonly size: number;
  readonly sha256: string;
  /** Conversations in it, and those left out. */
  readonly written: number;
  readonly skipped: number;
  /** By rule. */
  readonly skips: object;
  readonly repairs: object;
  readonly warnings: object;
  /** The final name that is about to be given, without its directory. */
  readonly name: string;
  /** Key of a managed file inside the managed directory. */
  readonly storageKey: string | null;
}

/** Opens the log: both rows or none, committed before any content is read. */
export async function startExport(connection: Connection, auditSchema: string, run: NewRun): Promise<void> {
  // Two statements: the policy on the second row looks for the first, and does not see one of its own statement.
  await connection.transaction('begin', ({ sql, ask }) =>
    ask(() =>
      Promise.all([
        sql`
          insert into ${identifier(sql, auditSchema)}.export_logs
            (export_id, user_id, format, config, conversation_count, status)
          values (${run.exportId}, ${run.userId}, ${run.format}, ${sql.json(run.config as never)}, ${run.matched},
            ${run.status})`,
        sql`
          insert into ${identifier(sql, auditSchema)}.export_runs
            (export_id, phase, worker_id, worker_host, matched_count, output, detached)
          values (${run.exportId}, ${run.status === 'queued' ? 'queued' : 'writing'}, ${run.workerId}, ${run.workerHost},
            ${run.matched}, ${sql.json(run.output as never)}, ${run.workerId === null})`,
      ]),
    ),
  );
}

/** Takes up the job that we queued for ourselves. */
export async function takeUp(connection: Connection, auditSchema: string, owner: Owner): Promise<void> {
  const { sql, ask } = connection;
  const rows = await ask(
    () => sql`
      with log as (
        update ${identifier(sql, auditSchema)}.export_logs l set status = 'processing', updated_at = now()
        from ${identifier(sql, auditSchema)}.export_runs r
        where l.export_id = ${owner.exportId} and l.status = 'queued'
          and r.export_id = l.export_id and r.worker_id = ${owner.workerId}
        returning l.export_id
      )
      update ${identifier(sql, auditSchema)}.export_runs r set phase = 'writing', heartbeat_at = now(), updated_at = now()
      from log where r.export_id = log.export_id
      returning 1`,
  );
  expectOne(rows.length, owner);
}

/** A new attempt of the same export, or the first of one that was queued: a new snapshot, and so a new count. */
export async function restartExport(
  connection: Connection,
  auditSchema: string,
  owner: Owner,
  { matched, output, isAnother }: { matched: number; output: object; isAnother: boolean },
): Promise<void> {
  const { sql, ask } = connection;
  const rows = await ask(
    () => sql`
      update ${identifier(sql, auditSchema)}.export_runs r
      set attempt = attempt + ${isAnother ? 1 : 0}, phase = 'writing', matched_count = ${matched}, output = ${sql.json(output as never)}, read_count = 0, written_count = 0,
        skipped_count = 0, heartbeat_at = now(), updated_at = now()
      where ${ownedAndProcessing(connection, auditSchema, owner)}
      returning 1`,
  );
  expectOne(rows.length, owner);
}

/** Renews the lease and stores progress. */
export async function beat(
  connection: Connection,
  auditSchema: string,
  owner: Owner,
  progress: Progress,
): Promise<void> {
  const { sql, ask } = connection;
  // A hundred is for runs that are completed.
  const percent = Math.min(99, Math.floor((100 * progress.read) / Math.max(1, progress.matched)));
  const rows = await ask(
    () => sql`
      update ${identifier(sql, auditSchema)}.export_runs r
      set heartbeat_at = now(), updated_at = now(), read_count = ${progress.read},
        written_count = ${progress.written}, skipped_count = ${progress.skipped},
        progress = greatest(progress, ${percent})
      where ${ownedAndProcessing(connection, auditSchema, owner)}
      returning 1`,
  );
  expectOne(rows.length, owner);
}

/** The intent to publish, with all that recovery needs to finish or undo it. */
export async function markPublishing(
  connection: Connection,
  auditSchema: string,
  owner: Owner,
  file: ReadyFile,
): Promise<void> {
  const { sql, ask } = connection;
  const rows = await ask(
    () => sql`
      with run as (
        update ${identifier(sql, auditSchema)}.export_runs r
        set phase = 'publishing', progress = 99, sha256 = ${file.sha256}, matched_count = ${file.written + file.skipped}, read_count = ${file.written + file.skipped},
          written_count = ${file.written}, skipped_count = ${file.skipped},
          skips = ${sql.json(file.skips as never)}, repairs = ${sql.json(file.repairs as never)}, warnings = ${sql.json(file.warnings as never)},
          output = output || ${sql.json({ name: file.name })}, storage_key = ${file.storageKey}, heartbeat_at = now(), updated_at = now()
        where ${ownedAndProcessing(connection, auditSchema, owner)}
        returning export_id
      )
      update ${identifier(sql, auditSchema)}.export_logs l
      set file_size = ${file.size}, conversation_count = ${file.written}, updated_at = now()
      from run where l.export_id = run.export_id
      returning 1`,
  );
  expectOne(rows.length, owner);
}

/** The last word on a run that worked. Returns when a managed file expires, ISO 8601, by the database's clock. */
export async function completeExport(
  connection: Connection,
  auditSchema: string,
  owner: Owner,
  end: { url: string | null; retentionHours: number | null; result: object },
): Promise<{ expiresAt: string | null; durationMs: number }> {
  const { sql, ask } = connection;
  const rows = await ask(
    () => sql<{ expiresAt: string | null; durationMs: string }[]>`
      with run as (
        update ${identifier(sql, auditSchema)}.export_runs r
        set phase = 'done', progress = 100, heartbeat_at = now(), updated_at = now(),
          duration_ms = round(extract(epoch from clock_timestamp() - r.created_at) * 1000)
        where ${ownedAndProcessing(connection, auditSchema, owner)}
        returning r.export_id, r.duration_ms
      )
      update ${identifier(sql, auditSchema)}.export_logs l
      set status = 'completed', file_url = ${end.url}, updated_at = now(),
        expires_at = now() + ${end.retentionHours}::double precision * interval '1 hour',
        config = l.config || ${sql.json({ result: end.result } as never)}
      from run where l.export_id = run.export_id
      returning to_char(l.expires_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as "expiresAt",
        run.duration_ms::text as "durationMs"`,
  );
  expectOne(rows.length, owner);
  const row = rows[0] as { expiresAt: string | null; durationMs: string };
  return { expiresAt: row.expiresAt, durationMs: Number(row.durationMs) };
}

/** The last word on a run that did not work. Says whether the row was still ours to close. */
export async function failExport(
  connection: Connection,
  auditSchema: string,
  owner: Owner,
  failure: { message: string; progress: Progress },
): Promise<boolean> {
  const { sql, ask } = connection;
  const rows = await ask(
    () => sql`
      with run as (
        update ${identifier(sql, auditSchema)}.export_runs r
        set phase = 'done', heartbeat_at = now(), updated_at = now(), read_count = ${failure.progress.read},
          written_count = ${failure.progress.written}, skipped_count = ${failure.progress.skipped},
          duration_ms = round(extract(epoch from clock_timestamp() - r.created_at) * 1000)
        where ${ownedAndProcessing(connection, auditSchema, owner)}
        returning r.export_id
      )
      update ${identifier(sql, auditSchema)}.export_logs l
      set status = 'failed', error_message = ${failure.message}, updated_at = now()
      from run where l.export_id = run.export_id
      returning 1`,
  );
  return rows.length === 1;
}

/** Why a row was closed, in the words of whoever closed it; null when that is not known. */
export async function closingMessage(
  { sql, ask }: Connection,
  auditSchema: string,
  { exportId }: Owner,
): Promise<string | null> {
  const [row] = await ask(
    () => sql<{ message: string | null }[]>`
      select error_message as message from ${identifier(sql, auditSchema)}.export_logs where export_id = ${exportId}`,
  );
  return row?.message ?? null;
}

function ownedAndProcessing({ sql }: Connection, auditSchema: string, { exportId, workerId }: Owner) {
  return sql`r.export_id = ${exportId} and r.worker_id = ${workerId}
    and exists (
      select from ${identifier(sql, auditSchema)}.export_logs own
      where own.export_id = r.export_id and own.status = 'processing'
    )`;
}

function expectOne(count: number, { exportId }: Owner): void {
  if (count === 1) return;
  throw new LoraExportError(
    'E_AUDIT',
    `The audit row of export ${exportId} is no longer ours: it was changed or removed while the export ran.`,
    {
      hint: 'Another process declared this export dead, or its row or user was deleted. Nothing was published; run the export again.',
    },
  );
}
