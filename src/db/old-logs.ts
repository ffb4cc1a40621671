import type postgres from 'postgres';
import { LoraExportError } from '../errors.js';
import { isVisible, logsTable, runsTable, type Access } from './access.js';
import { relation } from './expiry.js';
import type { Snapshot } from './snapshot.js';

/** Rows are read and deleted so many at a time. */
const BATCH = 200;

/** What is about to be deleted: a row of the log with its companion, whole. */
export interface OldLog {
  readonly exportId: string;
  /** `{"export_logs":{…},"export_runs":{…}|null}` with every column, on one line. */
  readonly line: string;
  /** SHA-256 of that line, as the server computed it. */
  readonly fingerprint: string;
}

/** An old log as it is remembered while its line is on its way to the disk. */
export type Fingerprint = Omit<OldLog, 'line'>;

export interface OldLogCounts {
  /** May be deleted. */
  readonly due: number;
  /** As old, but still open, not yet expired, or with a file that may still exist. */
  readonly kept: number;
}

/**
 * Makes sure that this login sees every row and may delete: a policy would make it archive and delete a part without a
 * word, and there is no policy for deleting at all.
 * @throws LoraExportError `E_DB_ACCESS`
 */
export async function requireRightToDelete(access: Access): Promise<void> {
  const { sql, ask } = access.login;
  const logs = relation(access, 'export_logs');
  const [rights] = await ask(
    () => sql<{ isBound: boolean; mayDelete: boolean }[]>`
      select row_security_active(${logs}::regclass)
          or row_security_active(${relation(access, 'export_runs')}::regclass) as "isBound",
        has_table_privilege(${logs}::regclass, 'delete') as "mayDelete"`,
  );
  if (rights?.mayDelete === true && !rights.isBound) return;
  const why = rights?.isBound === true ? 'is bound by row level security' : 'has no right to DELETE';
  throw new LoraExportError(
    'E_DB_ACCESS',
    `Role ${access.identity.role} ${why} on ${access.auditSchema}.export_logs.`,
    {
      hint: 'Users cannot erase the audit trail. Connect as the owner of the tables or the service role.',
    },
  );
}

/** How many visible rows are older than so many days, by the clock of the server. */
export async function countOldLogs(access: Access, days: number): Promise<OldLogCounts> {
  const { sql, ask } = access.login;
  const [counts] = await ask(
    () => sql<OldLogCounts[]>`
      select (count(*) filter (where ${ownsNoFile(access)}))::int as due,
        (count(*) filter (where not ${ownsNoFile(access)}))::int as kept
      from ${logsTable(access)} l left join ${runsTable(access)} r using (export_id)
      where ${isVisible(access)} and ${isOlderThan(access, days)}`,
  );
  return counts ?? { due: 0, kept: 0 };
}

/** The rows that may be deleted, in the order of their export ids, as the snapshot sees them. */
export async function* readOldLogs(
  access: Access,
  { connection: { sql, ask } }: Snapshot,
  days: number,
): AsyncGenerator<OldLog> {
  let after: string | null = null;
  for (;;) {
    const logs: OldLog[] = await ask(
      () => sql<OldLog[]>`
        select export_id as "exportId", line, ${fingerprintOf(access, sql`line`)} as fingerprint
        from (
          select export_id, ${lineOf(access)} as line
          from ${logsTable(access)} l left join ${runsTable(access)} r using (export_id)
          where ${isVisible(access)} and ${isOlderThan(access, days)} and ${ownsNoFile(access)}
            and (${after}::uuid is null or l.export_id > ${after}::uuid)
          order by export_id
          limit ${BATCH}
        ) page
        order by export_id`,
    );
    yield* logs;
    after = logs.at(-1)?.exportId ?? null;
    if (after === null) return;
  }
}

/**
 * Deletes exactly these rows, in one transaction: each must still be what it was when it was read, to the last column.
 *
 * @param beforeCommit called when all are deleted and nothing is final yet
 * @throws LoraExportError `E_AUDIT` when one has changed or gone; then all are still there
 */
export async function deleteLogs(
  access: Access,
  logs: readonly Fingerprint[],
  { days, beforeCommit }: { days: number; beforeCommit: () => Promise<void> },
): Promise<void> {
  await access.login.transaction('begin', async ({ sql, ask }) => {
    // The text of a time depends on the zone, and the fingerprint on the text. A hardened log (sql/optional) lets nobody
    // delete who does not say that it is the purge.
    await ask(() =>
      sql.unsafe(`set local timezone = 'UTC'; set local lock_timeout = '5s'; set local lora_export.purge = on;
        set local idle_in_transaction_session_timeout = 0`),
    );
    let deleted = 0;
    for (let start = 0; start < logs.length; start += BATCH) {
      const batch = logs.slice(start, start + BATCH);
      const ids = batch.map(({ exportId }) => exportId);
      // Locked first: what DELETE joins with is not read again after a wait.
      await ask(
        () => sql`
        select from ${logsTable(access)} where export_id = any(${ids}::uuid[]) order by export_id for update`,
      );
      await ask(
        () => sql`
        select from ${runsTable(access)} where export_id = any(${ids}::uuid[]) order by export_id for update`,
      );
      const gone = await ask(
        () => sql`
          delete from ${logsTable(access)} l
          using unnest(${ids}::uuid[], ${batch.map(({ fingerprint }) => fingerprint)}::text[]) as a (id, fingerprint)
            left join ${runsTable(access)} r on r.export_id = a.id
          where l.export_id = a.id and ${isVisible(access)} and ${isOlderThan(access, days)} and ${ownsNoFile(access)}
            and ${fingerprintOf(access, lineOf(access))} = a.fingerprint`,
      );
      deleted += gone.count;
    }
    if (deleted !== logs.length) {
      throw new LoraExportError(
        'E_AUDIT',
        `${logs.length - deleted} of ${logs.length} archived rows were changed or removed meanwhile; nothing was deleted.`,
        { hint: 'Run the command again.' },
      );
    }
    await beforeCommit();
  });
}

function isOlderThan({ connection: { sql } }: Access, days: number): postgres.Fragment {
  // When it was created is the one time that no user can change.
  return sql`l.created_at < now() - ${days}::integer * interval '24 hours'`;
}

/** The export is over, and no managed file of it can exist: it was removed, or there never was one. */
function ownsNoFile({ connection: { sql } }: Access): postgres.Fragment {
  const isOfTheUser = sql`r.output -> 'managed' is distinct from 'true'::jsonb`;
  return sql`(case l.status
    when 'failed' then r.storage_key is null or r.file_deleted_at is not null
    when 'expired' then r.file_deleted_at is not null or (r.storage_key is null and ${isOfTheUser})
    when 'completed' then r.storage_key is null and l.expires_at is null and ${isOfTheUser}
    else false end)`;
}

function lineOf({ connection: { sql } }: Access): postgres.Fragment {
  return sql`'{"export_logs":' || to_jsonb(l)::text || ',"export_runs":'
    || case when r.export_id is null then 'null' else to_jsonb(r)::text end || '}'`;
}

function fingerprintOf({ connection: { sql } }: Access, line: postgres.Fragment): postgres.Fragment {
  return sql`encode(sha256(convert_to(${line}, 'UTF8')), 'hex')`;
}
