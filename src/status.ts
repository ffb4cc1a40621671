import { setTimeout as sleep } from 'node:timers/promises';
import type { Access } from './db/access.js';
import { expireOverdue } from './db/overdue.js';
import type { RecordedRun, RunDetails, Status } from './db/recorded-runs.js';
import { countQueuedBefore, readRunState, type RunState } from './db/run-state.js';
import { ExportNotFoundError, LoraExportError } from './errors.js';
import { isUuid } from './import/identity.js';
import { HEARTBEAT_LIMIT_SECONDS } from './recovery.js';

/** How an export stands. Times are ISO 8601 in UTC with milliseconds. */
export interface ExportStatus {
  readonly exportId: string;
  readonly status: Status;
  /** Percent of the matched conversations; 100 only for an export that was completed. */
  readonly progress: number;
  /** Conversations in the file; before it is complete, those that matched. */
  readonly conversationCount: number;
  /** Bytes as stored. */
  readonly fileSize: number | null;
  /** What the log says; for reading only. {@link openDownload} finds the file by itself. */
  readonly fileUrl: string | null;
  readonly errorMessage: string | null;
  readonly format: string;
  /** This and what follows up to `heartbeatAt`: null for rows of other programs, which keep no companion. */
  readonly phase: RunDetails['phase'] | null;
  readonly matched: number | null;
  readonly read: number | null;
  readonly written: number | null;
  readonly skipped: number | null;
  readonly attempt: number | null;
  /** Any worker may take it. */
  readonly detached: boolean | null;
  readonly workerHost: string | null;
  readonly heartbeatAt: string | null;
  /** Whole seconds since its owner was last heard of, by the server's clock; null when it has ended. */
  readonly silentSeconds: number | null;
  /** Its owner was not heard of for so long that it is taken for dead. */
  readonly isSilent: boolean;
  /** Jobs before it in the queue, among those that may be seen; null unless it waits for a worker. */
  readonly queuedBefore: number | null;
  readonly createdAt: string;
  readonly updatedAt: string;
  readonly expiresAt: string | null;
}

/**
 * How an export stands now. Reading one whose time is over marks it expired.
 *
 * @param exportId null for the latest export of whoever asks
 * @throws ExportNotFoundError when there is none to see
 * @example
 * const { status, progress } = await readStatus(access, exportId);
 */
export async function readStatus(access: Access, exportId: string | null = null): Promise<ExportStatus> {
  const state = exportId === null || isUuid(exportId) ? await readRunState(access, exportId) : null;
  if (state === null) throw exportId === null ? noExports() : new ExportNotFoundError(exportId);
  const run = await expireOverdue(access, state.run);
  const isWaiting = run.status === 'queued' && run.run?.detached === true;
  const queuedBefore = isWaiting ? await countQueuedBefore(access, run.exportId) : null;
  return toStatus({ ...state, run }, queuedBefore);
}

export interface WatchOptions {
  /** Pause between two looks in milliseconds. Default: 1,000. */
  readonly intervalMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Told when the database was lost; watching goes on. */
  readonly onTrouble?: ((error: LoraExportError) => void) | undefined;
}

/** The database may be away for so long, in milliseconds. */
const LONGEST_LOSS_MS = 300_000;

/**
 * Follows an export: its status now and after every change, the last one when it has ended. Progress never goes
 * backwards, whatever the rows say. A lost connection is opened again, for up to five minutes.
 *
 * @param exportId null for the export that is the latest now
 * @throws as {@link readStatus}; the signal's reason when aborted
 */
export async function* watchStatus(
  access: Access,
  exportId: string | null,
  options: WatchOptions = {},
): AsyncGenerator<ExportStatus, void, undefined> {
  const { intervalMs = 1_000, signal } = options;
  let last: ExportStatus | null = null;
  for (;;) {
    const found = await readPatiently(access, last?.exportId ?? exportId, options);
    const status: ExportStatus = { ...found, progress: Math.max(found.progress, last?.progress ?? 0) };
    if (last === null || hasChanged(last, status)) yield status;
    if (hasEnded(status)) return;
    last = status;
    await pause(intervalMs, signal);
  }
}

/** Nothing about it will change any more, but for its file that expires. */
export function hasEnded({ status }: ExportStatus): boolean {
  return status !== 'queued' && status !== 'processing';
}

async function readPatiently(
  access: Access,
  exportId: string | null,
  { intervalMs = 1_000, signal, onTrouble }: WatchOptions,
): Promise<ExportStatus> {
  let lostAt: number | null = null;
  for (;;) {
    signal?.throwIfAborted();
    try {
      return await readStatus(access, exportId);
    } catch (error) {
      signal?.throwIfAborted();
      if (!mayPass(error)) throw error;
      if (lostAt === null) onTrouble?.(error);
      lostAt ??= performance.now();
      if (performance.now() - lostAt > LONGEST_LOSS_MS) throw error;
      await pause(intervalMs, signal);
    }
  }
}

function mayPass(error: unknown): error is LoraExportError {
  return error instanceof LoraExportError && (error.retryable || error.code === 'E_STALLED');
}

async function pause(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  await sleep(milliseconds, undefined, { signal }).catch(() => {
    throw signal?.reason;
  });
}

/** A sign of life alone is no change. */
function hasChanged(before: ExportStatus, now: ExportStatus): boolean {
  const lasting = (status: ExportStatus): string =>
    JSON.stringify({ ...status, heartbeatAt: null, silentSeconds: null });
  return lasting(before) !== lasting(now);
}

function toStatus({ run, silentSeconds }: RunState, queuedBefore: number | null): ExportStatus {
  const details = run.run;
  return {
    exportId: run.exportId,
    status: run.status,
    progress: progressOf(run),
    conversationCount: run.conversationCount,
    fileSize: run.fileSize,
    fileUrl: run.fileUrl,
    errorMessage: run.errorMessage,
    format: run.format,
    phase: details?.phase ?? null,
    matched: details?.matched ?? null,
    read: details?.read ?? null,
    written: details?.written ?? null,
    skipped: details?.skipped ?? null,
    attempt: details?.attempt ?? null,
    detached: details?.detached ?? null,
    workerHost: details?.workerHost ?? null,
    heartbeatAt: details?.heartbeatAt ?? null,
    silentSeconds,
    isSilent: silentSeconds !== null && silentSeconds > HEARTBEAT_LIMIT_SECONDS,
    queuedBefore,
    createdAt: run.createdAt,
    updatedAt: run.updatedAt,
    expiresAt: run.expiresAt,
  };
}

/** Users may write what they like into their rows, so the promise about 100 is kept here. */
export function progressOf({ status, run }: RecordedRun): number {
  if (status === 'completed' || status === 'expired') return 100;
  return Math.min(99, Math.max(0, run?.progress ?? 0));
}

function noExports(): LoraExportError {
  return new LoraExportError('E_NOT_FOUND', 'There are no exports yet.', {
    hint: '`lora-export export` makes one; exports of other users are not shown.',
  });
}
