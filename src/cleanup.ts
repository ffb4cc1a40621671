import { hostname } from 'node:os';
import type { Access } from './db/access.js';
import {
  claimOverdue,
  countOverdue,
  findUnknown,
  readStoredFiles,
  recordRemoval,
  type StoredFile,
} from './db/expiry.js';
import { LoraExportError } from './errors.js';
import { HEARTBEAT_LIMIT_SECONDS, recoverDeadRuns, type Recovery } from './recovery.js';
import type { ManagedDirectory, ManagedEntry } from './sinks/managed-directory.js';

/** How many rows are claimed, and how many files looked for, at a time. */
const BATCH = 100;

/** A directory that no row knows is no orphan before this age, in hours. */
const ORPHAN_AGE_HOURS = 24;

/** What became of the file of one export. */
export type FileOutcome =
  /** Removed; in a dry run, to be removed. */
  | { readonly outcome: 'deleted'; readonly exportId: string; readonly bytes: number }
  /** Gone before we came. */
  | { readonly outcome: 'missing'; readonly exportId: string }
  /** Kept on another machine or under another directory: left for a cleanup there. */
  | { readonly outcome: 'elsewhere'; readonly exportId: string }
  | { readonly outcome: 'failed'; readonly exportId: string; readonly reason: string };

export interface CleanupOptions {
  readonly directory: ManagedDirectory;
  /** Show what would be done, and change nothing. Default: false. */
  readonly dryRun?: boolean | undefined;
  /** Also remove what lies in the directory and is unknown to the database. Default: false. */
  readonly deleteOrphans?: boolean | undefined;
  /** Name of this machine. Default: its host name. */
  readonly host?: string | undefined;
  readonly onFile?: ((file: FileOutcome) => void) | undefined;
  readonly onPhase?: ((phase: 'claimed' | 'removing' | 'removed' | 'recorded') => void) | undefined;
}

/** Directories in the managed directory that belong to no export of this database. */
export interface Orphans {
  readonly count: number;
  readonly bytes: number;
  readonly deleted: number;
  readonly failed: number;
}

/** What a cleanup did. Examined = deleted + missing + elsewhere + failed. */
export interface CleanupResult {
  readonly dryRun: boolean;
  /** Exports that were over and might still have had a file. */
  readonly examined: number;
  /** Exports that were completed until now. */
  readonly expired: number;
  readonly deleted: number;
  readonly missing: number;
  readonly elsewhere: number;
  readonly failed: number;
  /** Of the deleted files. */
  readonly bytes: number;
  /** Null when this login cannot tell what is unknown from what is somebody else's. */
  readonly orphans: Orphans | null;
  /** Null in a dry run. */
  readonly recovery: Recovery | null;
}

/**
 * Removes the files of exports whose time is over. The row is claimed first, then the file is removed at the place that
 * the export id gives, then the removal is recorded: whoever dies in between leaves rows that are true, and the next
 * cleanup goes on. A file that cannot be removed stops nothing; it is counted, and tried again next time.
 *
 * @throws LoraExportError when the database or the directory itself fails
 */
export async function cleanUpFiles(access: Access, options: CleanupOptions): Promise<CleanupResult> {
  const { directory, dryRun = false, deleteOrphans = false, host = hostname(), onPhase } = options;
  const recovery = dryRun ? null : await recoverDeadRuns(access, host);
  const expired = dryRun ? await countOverdue(access) : await claimAll(access);
  onPhase?.('claimed');
  const totals = { examined: 0, deleted: 0, missing: 0, elsewhere: 0, failed: 0, bytes: 0 };
  for await (const stored of storedFiles(access, dryRun)) {
    const file = await settle(access, stored, { ...options, dryRun, host });
    totals.examined++;
    totals[file.outcome]++;
    if (file.outcome === 'deleted') totals.bytes += file.bytes;
    options.onFile?.(file);
  }
  const orphans = await settleOrphans(access, directory, deleteOrphans && !dryRun);
  return { dryRun, expired, ...totals, orphans, recovery };
}

async function claimAll(access: Access): Promise<number> {
  let claimed = 0;
  for (;;) {
    const count = await claimOverdue(access, BATCH);
    if (count === 0) return claimed;
    claimed += count;
  }
}

async function* storedFiles(access: Access, withOverdue: boolean): AsyncGenerator<StoredFile> {
  let after: string | null = null;
  for (;;) {
    const page = { after, limit: BATCH, deadAfterSeconds: HEARTBEAT_LIMIT_SECONDS, withOverdue };
    const files: StoredFile[] = await readStoredFiles(access, page);
    yield* files;
    after = files.at(-1)?.exportId ?? null;
    if (after === null) return;
  }
}

async function settle(
  access: Access,
  stored: StoredFile,
  { directory, dryRun, host, onPhase }: CleanupOptions & { host: string },
): Promise<FileOutcome> {
  const { exportId } = stored;
  // What the row says about the place only decides whether to look at all. The place itself follows from the id.
  if (!stored.isManaged || stored.directory !== directory.directoryOf(exportId)) {
    return { outcome: 'elsewhere', exportId };
  }
  try {
    onPhase?.('removing');
    const bytes = await (dryRun ? sizeOf(directory, exportId) : removedBytes(directory, exportId));
    onPhase?.('removed');
    if (bytes === null && stored.workerHost !== host) return { outcome: 'elsewhere', exportId };
    if (!dryRun) await record(access, exportId);
    onPhase?.('recorded');
    return bytes === null ? { outcome: 'missing', exportId } : { outcome: 'deleted', exportId, bytes };
  } catch (error) {
    if (!(error instanceof LoraExportError) || !(error.code === 'E_OUTPUT' || error.code === 'E_AUDIT'))
      throw error;
    return { outcome: 'failed', exportId, reason: error.message };
  }
}

async function sizeOf(directory: ManagedDirectory, exportId: string): Promise<number | null> {
  return (await directory.find(exportId))?.size ?? null;
}

async function removedBytes(directory: ManagedDirectory, exportId: string): Promise<number | null> {
  const { bytes, removed } = await directory.remove(exportId);
  return removed ? bytes : null;
}

async function record(access: Access, exportId: string): Promise<void> {
  if (await recordRemoval(access, exportId)) return;
  throw new LoraExportError('E_AUDIT', 'Its file is gone, but its row could not be changed any more.');
}

/** Finds, and if wanted removes, what lies in the directory without belonging to any export. */
async function settleOrphans(
  access: Access,
  directory: ManagedDirectory,
  doDelete: boolean,
): Promise<Orphans | null> {
  // Where users are told apart, what one of them does not see is not unknown.
  if (access.identity.owner !== null && access.identity.actor !== null) return null;
  const entries = new Map((await directory.list()).map((entry) => [entry.exportId, entry]));
  const unknown = await findUnknown(access, [...entries.values()], ORPHAN_AGE_HOURS);
  if (unknown === null) return null;
  // Both clocks have to agree on the age: either may be wrong, and nothing here is urgent.
  const limitMs = Date.now() - ORPHAN_AGE_HOURS * 3_600_000;
  const orphans = unknown
    .map((exportId) => entries.get(exportId))
    .filter((entry): entry is ManagedEntry => entry !== undefined && entry.changedMs < limitMs);
  const totals = { count: orphans.length, bytes: 0, deleted: 0, failed: 0 };
  for (const { exportId, bytes } of orphans) {
    totals.bytes += bytes;
    if (!doDelete) continue;
    try {
      await directory.remove(exportId);
      totals.deleted++;
    } catch (error) {
      if (!(error instanceof LoraExportError) || error.code !== 'E_OUTPUT') throw error;
      totals.failed++;
    }
  }
  return totals;
}
