import { open } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { verifyArchive, writeArchive, type Archive } from './archive-file.js';
import type { Access } from '../db/access.js';
import { countOldLogs, deleteLogs, readOldLogs, requireRightToDelete } from '../db/old-logs.js';
import { withSnapshot } from '../db/snapshot.js';
import { LoraExportError } from '../errors.js';
import { recoverDeadRuns, type Recovery } from '../recovery.js';
import { outputError } from '../sinks/output-errors.js';
import { syncDirectory } from '../sinks/sync-directory.js';

/** Rows of fewer days are deleted only when that is insisted on. */
export const LEAST_DAYS = 30;

/** The record of deletions, beside the archives. */
export const DELETIONS_FILE = 'deletions.jsonl';

export interface LogCleanupOptions {
  /** Only rows that were created longer ago, in days of 24 hours by the clock of the server. */
  readonly olderThanDays: number;
  /** Where the archive goes; made when missing. */
  readonly archiveDirectory: string;
  /** Which database it is, for the record of deletions; no password. */
  readonly database: string;
  /** Show what would be done, and change nothing. Default: false. */
  readonly dryRun?: boolean | undefined;
  /** Name of this machine. Default: its host name. */
  readonly host?: string | undefined;
  readonly onPhase?: ((phase: 'archived' | 'verified' | 'deleting' | 'deleted') => void) | undefined;
}

/** What a cleanup of the log did. */
export interface LogCleanupResult {
  readonly dryRun: boolean;
  /** Deleted rows; in a dry run, those to be deleted. */
  readonly deleted: number;
  /** As old, but still open, not yet expired, or with a file that may still exist. */
  readonly kept: number;
  /** Null in a dry run, and when there was nothing to delete. */
  readonly archive: Pick<Archive, 'path' | 'size' | 'sha256'> | null;
  /** Null in a dry run. */
  readonly recovery: Recovery | null;
}

/**
 * Deletes old rows of the audit log that own no file any more. They are archived first, the archive is read back from
 * the disk, and only what is in it, and has not changed since, is deleted, in one transaction. The deletion itself is
 * recorded beside the archive: announced before it is final, and confirmed after.
 *
 * @throws LoraExportError `E_DB_ACCESS` when the login may not delete, `E_OUTPUT` when archiving fails, `E_AUDIT` when
 * the rows have changed meanwhile; nothing is deleted then
 */
export async function cleanUpLogs(access: Access, options: LogCleanupOptions): Promise<LogCleanupResult> {
  const { olderThanDays: days, archiveDirectory, dryRun = false, host = hostname(), onPhase } = options;
  await requireRightToDelete(access);
  const recovery = dryRun ? null : await recoverDeadRuns(access, host);
  const { due, kept } = await countOldLogs(access, days);
  if (dryRun) return { dryRun, deleted: due, kept, archive: null, recovery };
  const archive = await withSnapshot(access.login, (snapshot) =>
    writeArchive(archiveDirectory, snapshot.takenAt, readOldLogs(access, snapshot, days)),
  );
  if (archive === null) return { dryRun, deleted: 0, kept, archive, recovery };
  onPhase?.('archived');
  await verifyArchive(archive);
  onPhase?.('verified');
  await deleteArchived(access, archive, options);
  const { path, size, sha256, logs } = archive;
  return { dryRun, deleted: logs.length, kept, archive: { path, size, sha256 }, recovery };
}

async function deleteArchived(
  access: Access,
  archive: Archive,
  { olderThanDays: days, database, onPhase }: LogCleanupOptions,
): Promise<void> {
  const { role, owner } = access.identity;
  const record = (event: 'deleting' | 'deleted' | 'kept'): Promise<void> =>
    appendRecord(dirname(archive.path), {
      event,
      at: new Date().toISOString(),
      database,
      audit_schema: access.auditSchema,
      role,
      user_id: owner,
      older_than_days: days,
      rows: archive.logs.length,
      archive: basename(archive.path),
      sha256: archive.sha256,
    });
  let isAnnounced = false;
  try {
    await deleteLogs(access, archive.logs, {
      days,
      async beforeCommit() {
        onPhase?.('deleting');
        await record('deleting');
        isAnnounced = true;
      },
    });
  } catch (error) {
    // A connection that is lost during COMMIT leaves the announcement alone: whether it took place, nobody knows.
    if (!isAnnounced) await record('kept').catch(() => undefined);
    throw error instanceof LoraExportError ? error : outputError(error, archive.path);
  }
  onPhase?.('deleted');
  await record('deleted').catch((error: unknown) => {
    throw new LoraExportError(
      'E_OUTPUT',
      `${archive.logs.length} rows were deleted and are in ${archive.path}, but ${DELETIONS_FILE} could not be told.`,
      { hint: 'It says that they were about to be deleted.', cause: error },
    );
  });
}

async function appendRecord(directory: string, entry: object): Promise<void> {
  const path = join(directory, DELETIONS_FILE);
  try {
    const handle = await open(path, 'a', 0o600);
    try {
      await handle.appendFile(`${JSON.stringify(entry)}\n`);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await syncDirectory(directory);
  } catch (error) {
    throw outputError(error, path);
  }
}
