import { join, resolve } from 'node:path';
import { LoraExportError } from '../errors.js';
import { LEAST_DAYS } from '../cleanup/log-archive.js';
import type { AppSettings } from './app.js';
import { kebab } from './flags.js';
import type { ConnectionFlags } from './settings.js';

export interface CleanupFlags extends ConnectionFlags {
  readonly files?: boolean;
  readonly logs?: boolean;
  readonly dryRun?: boolean;
  readonly deleteOrphans?: boolean;
  readonly olderThan?: number;
  readonly archiveDir?: string;
  readonly force?: boolean;
  readonly schedule?: string;
  readonly timezone?: string;
  readonly json?: boolean;
}

/** What one run of `cleanup` is to do. */
export interface CleanupPlan {
  readonly dryRun: boolean;
  /** Null: leaves files alone. */
  readonly files: { readonly deleteOrphans: boolean } | null;
  /** Null: leaves the log alone. */
  readonly logs: { readonly olderThanDays: number; readonly archiveDirectory: string } | null;
}

/** Flags without meaning unless another is there. */
const NEEDS = {
  olderThan: 'logs',
  archiveDir: 'logs',
  force: 'logs',
  timezone: 'schedule',
} as const satisfies Partial<Record<keyof CleanupFlags, keyof CleanupFlags>>;

/**
 * Fills in what the flags leave open, and refuses what would not do what it says.
 * @throws LoraExportError `E_USAGE`
 */
export function planCleanup(flags: CleanupFlags, settings: AppSettings, cwd: string): CleanupPlan {
  for (const [flag, other] of Object.entries(NEEDS) as [keyof typeof NEEDS, keyof CleanupFlags][]) {
    if (flags[flag] === undefined || flags[other] !== undefined) continue;
    throw new LoraExportError('E_USAGE', `--${kebab(flag)} has a meaning only with --${other}.`);
  }
  const withLogs = flags.logs === true;
  const withFiles = flags.files === true || !withLogs;
  if (flags.deleteOrphans && !withFiles) {
    throw new LoraExportError('E_USAGE', '--delete-orphans is about files; add --files.');
  }
  if (flags.schedule !== undefined && flags.dryRun) {
    throw new LoraExportError('E_USAGE', '--dry-run and --schedule contradict each other.');
  }
  return {
    dryRun: flags.dryRun === true,
    files: withFiles ? { deleteOrphans: flags.deleteOrphans === true } : null,
    logs: withLogs ? planLogs(flags, settings, cwd) : null,
  };
}

function planLogs(flags: CleanupFlags, settings: AppSettings, cwd: string): NonNullable<CleanupPlan['logs']> {
  if (settings.legalHold) {
    throw new LoraExportError('E_USAGE', 'legalHold is on: no audit row may be deleted.', {
      hint: 'Set it to false when the hold is over.',
    });
  }
  const olderThanDays = flags.olderThan ?? settings.logRetentionDays;
  if (olderThanDays < LEAST_DAYS && !flags.force) {
    throw new LoraExportError(
      'E_USAGE',
      `Audit rows are kept for ${LEAST_DAYS} days at least, not for ${olderThanDays}.`,
      { hint: 'Pass --force if that is meant.' },
    );
  }
  const archiveDirectory =
    flags.archiveDir === undefined
      ? (settings.archiveDirectory ?? join(settings.stateDirectory, 'archive'))
      : resolve(cwd, flags.archiveDir);
  return { olderThanDays, archiveDirectory };
}
