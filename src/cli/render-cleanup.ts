import type { CleanupResult, FileOutcome, Orphans } from '../cleanup.js';
import type { LogCleanupResult } from '../cleanup/log-archive.js';
import { size } from './render.js';
import { visibleJson } from '../visible.js';

/** What happened to the files, for people. */
export function filesSummary(result: CleanupResult): string {
  const { dryRun, expired, examined, deleted, bytes, missing, elsewhere, failed, orphans } = result;
  const did = dryRun ? 'Would expire' : 'Expired';
  const lines = [
    `${did} ${count(expired, 'export')}. Of ${count(examined, 'file')}, ${deleted} ${dryRun ? 'to be deleted' : 'deleted'} ` +
      `(${size(bytes)}), ${missing} already missing, ${elsewhere} elsewhere, ${failed} failed.`,
  ];
  if (elsewhere > 0) {
    lines.push(
      'note: files elsewhere were stored by another machine or in another directory; run cleanup there.',
    );
  }
  if (orphans === null) {
    lines.push(
      'note: orphans were not looked for; that takes --all-users and a role that sees every export.',
    );
  } else if (orphans.count > 0) {
    lines.push(orphansLine(orphans));
  }
  return lines.join('\n');
}

function orphansLine({ count: found, bytes, deleted, failed }: Orphans): string {
  const line = `${count(found, 'orphan')} (${size(bytes)}), stored by no export that this database knows`;
  if (deleted + failed === 0) return `note: ${line}; --delete-orphans removes them.`;
  return `${line}: ${deleted} deleted, ${failed} failed.`;
}

/** One file that deserves a line of its own, or null. */
export function fileLine(file: FileOutcome): string | null {
  return file.outcome === 'failed' ? `warning: export ${file.exportId}: ${file.reason}` : null;
}

/** The same for programs: a contract, to which members may be added. `files` are those of a dry run. */
export function filesJson(result: CleanupResult, files: readonly FileOutcome[], slot: Date | null): string {
  const { orphans, recovery } = result;
  return visibleJson({
    cleanup: 'files',
    slot: slot?.toISOString() ?? null,
    dry_run: result.dryRun,
    examined_count: result.examined,
    expired_count: result.expired,
    deleted_count: result.deleted,
    missing_count: result.missing,
    elsewhere_count: result.elsewhere,
    failed_count: result.failed,
    deleted_bytes: result.bytes,
    failures: files.flatMap((file) =>
      file.outcome === 'failed' ? [{ export_id: file.exportId, reason: file.reason }] : [],
    ),
    files: result.dryRun
      ? files.flatMap((file) =>
          file.outcome === 'deleted' ? [{ export_id: file.exportId, bytes: file.bytes }] : [],
        )
      : null,
    orphans:
      orphans === null
        ? null
        : {
            count: orphans.count,
            bytes: orphans.bytes,
            deleted_count: orphans.deleted,
            failed_count: orphans.failed,
          },
    recovered: recovery === null ? null : { completed: recovery.completed, failed: recovery.failed },
  });
}

/** What happened to old rows of the log, for people. */
export function logsSummary({ dryRun, deleted, kept, archive }: LogCleanupResult): string {
  const lines = [
    dryRun
      ? `Would archive and delete ${count(deleted, 'row')} of the audit log.`
      : `Deleted ${count(deleted, 'row')} of the audit log.`,
  ];
  if (kept > 0) {
    lines.push(`Kept ${count(kept, 'row')} as old: still open, not yet expired, or owning a file.`);
  }
  if (archive !== null) {
    lines.push(
      `  archive  ${archive.path}`,
      `  size     ${size(archive.size)}`,
      `  sha256   ${archive.sha256}`,
    );
  }
  return lines.join('\n');
}

export function logsJson(
  { dryRun, deleted, kept, archive, recovery }: LogCleanupResult,
  slot: Date | null,
): string {
  return visibleJson({
    cleanup: 'logs',
    slot: slot?.toISOString() ?? null,
    dry_run: dryRun,
    deleted_count: deleted,
    kept_count: kept,
    archive:
      archive === null ? null : { file: archive.path, file_size: archive.size, sha256: archive.sha256 },
    recovered: recovery === null ? null : { completed: recovery.completed, failed: recovery.failed },
  });
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
