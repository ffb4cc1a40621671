import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Access } from '../db/access.js';
import { actingAs } from '../db/acting.js';
import { failExport } from '../db/export-logs.js';
import { identify } from '../db/identity.js';
import { claimJob, vouchForQueue, type Claim } from '../db/jobs.js';
import { LoraExportError } from '../errors.js';
import {
  exportClaimed,
  MOST_ATTEMPTS,
  prepareClaimed,
  type ClaimedExport,
  type ExportContext,
  type ExportResult,
} from '../export.js';
import { HEARTBEAT_LIMIT_SECONDS, recoverDeadRuns, removeRemains } from '../recovery.js';
import type { ExportRequest } from '../request.js';
import { parseRequest } from '../request.js';
import { requestOfConfig } from '../run-config.js';

/** How often a busy worker speaks up for the jobs that wait, in milliseconds. */
const VOUCH_MS = 20_000;
/** The longest pause between two looks at a database that does not answer, in milliseconds. */
const LONGEST_PAUSE_MS = 30_000;

/** What happens to a worker. */
export type WorkerEvent =
  | {
      readonly kind: 'claimed';
      readonly exportId: string;
      readonly userId: string;
      readonly format: string;
      readonly attempt: number;
    }
  | { readonly kind: 'completed'; readonly result: ExportResult }
  | { readonly kind: 'failed'; readonly exportId: string; readonly error: unknown }
  /** The database did not answer; the worker tries again. */
  | { readonly kind: 'waiting'; readonly error: LoraExportError; readonly pauseMs: number };

export interface WorkerOptions extends ExportContext {
  /** The log, on behalf of the user whose jobs are done; of everybody with `--all-users`. */
  readonly access: Access;
  /** Managed files go here, whatever directory the one who asked had. */
  readonly exportDirectory: string;
  /** Do only this job, whatever it needs, and return. For the process that was started for it. */
  readonly exportId?: string | undefined;
  /** Return when no job is left. Default: wait for more. */
  readonly drain?: boolean | undefined;
  /** Pause between two looks at an empty queue, in milliseconds. Default: 2,000. */
  readonly pollMs?: number | undefined;
  readonly onWorkerEvent?: ((event: WorkerEvent) => void) | undefined;
}

/** What a worker has done. */
export interface WorkerTally {
  readonly completed: number;
  readonly failed: number;
  /** Why the last of those failed. */
  readonly lastError: unknown;
}

/**
 * Takes exports from the queue and does them, one after the other; run several for more at a time. Each is taken by one
 * worker only. Should that one die, another takes over after {@link HEARTBEAT_LIMIT_SECONDS}; after three attempts the
 * export is failed.
 *
 * @throws the signal's reason when aborted; `E_NOT_FOUND` when the one job asked for cannot be taken
 */
export async function runWorker(options: WorkerOptions): Promise<WorkerTally> {
  const { access, exportId, drain = false, pollMs = 2_000, signal, host = hostname() } = options;
  const tell = (event: WorkerEvent): void => options.onWorkerEvent?.(event);
  const tally = { completed: 0, failed: 0, lastError: undefined as unknown };
  let troubles = 0;
  for (;;) {
    signal?.throwIfAborted();
    try {
      if (exportId === undefined) {
        await recoverDeadRuns(access, host, { spareJobs: MOST_ATTEMPTS });
        await vouchForQueue(access);
      }
      const workerId = randomUUID();
      const claim = await claimJob(access, {
        workerId,
        host,
        exportId,
        limitSeconds: HEARTBEAT_LIMIT_SECONDS,
        mostAttempts: MOST_ATTEMPTS,
      });
      troubles = 0;
      if (claim !== null) {
        const { exportId: id, userId, format, attempt } = claim;
        tell({ kind: 'claimed', exportId: id, userId, format, attempt });
        await carryOutJob(claim, workerId, options).then(
          (result) => {
            tally.completed++;
            tell({ kind: 'completed', result });
          },
          (error: unknown) => {
            tally.failed++;
            tally.lastError = error;
            tell({ kind: 'failed', exportId: claim.exportId, error });
            signal?.throwIfAborted();
          },
        );
      } else if (exportId !== undefined) {
        throw new LoraExportError('E_NOT_FOUND', `Export ${exportId} is not waiting for a worker.`, {
          hint: 'Another worker may have taken it: `lora-export status ID` tells.',
        });
      } else if (!drain) {
        await pause(pollMs, signal);
      }
      if (exportId !== undefined || (drain && claim === null)) return tally;
    } catch (error) {
      if (signal?.aborted || !(error instanceof LoraExportError) || !error.retryable) throw error;
      const pauseMs = Math.min(LONGEST_PAUSE_MS, 1_000 * 2 ** troubles++);
      tell({ kind: 'waiting', error, pauseMs });
      await pause(pauseMs, signal);
    }
  }
}

/** One job, with the rights of the user who asked for it. */
async function carryOutJob(claim: Claim, workerId: string, options: WorkerOptions): Promise<ExportResult> {
  const { access, host = hostname() } = options;
  const { exportId } = claim;
  const vouching = setInterval(() => {
    // The next round does it as well; a lost connection is told there.
    vouchForQueue(access).catch(() => undefined);
  }, VOUCH_MS);
  vouching.unref();
  try {
    const job = await prepare(claim, workerId, options).catch(async (error: unknown) => {
      // A job that cannot even begin has nobody else to close its row.
      await failExport(access.connection, access.auditSchema, { exportId, workerId }, failureOf(error));
      throw error;
    });
    return await exportClaimed(job, { ...options, host });
  } finally {
    clearInterval(vouching);
  }
}

async function prepare(claim: Claim, workerId: string, options: WorkerOptions): Promise<ClaimedExport> {
  const { exportId, attempt, remains } = claim;
  const access = await accessOf(claim, options.access);
  const request = requestOf(claim, options);
  await removeRemains(remains, exportId);
  return prepareClaimed({ exportId, request, workerId, attempt, access });
}

/** The log on behalf of the user of the job, over the worker's own connection. */
async function accessOf({ userId, config }: Claim, access: Access): Promise<Access> {
  const { login, identity } = access;
  // Whoever may have a job done with the rights of the login was decided when it was claimed.
  const allUsers = (JSON.parse(config) as { allUsers?: unknown }).allUsers === true;
  if (identity.owner === userId && !allUsers) return access;
  const own = await identify(login, { userId, allUsers });
  return { ...access, identity: own, connection: actingAs(login, own.actor) };
}

function requestOf(
  { exportId, userId, config }: Claim,
  { access, exportDirectory }: WorkerOptions,
): ExportRequest {
  const stored = requestOfConfig(JSON.parse(config), `Export ${exportId}`);
  const output =
    stored.output?.kind === 'managed'
      ? { kind: 'managed' as const, directory: exportDirectory }
      : stored.output;
  return parseRequest({ ...stored, output, userId, auditSchema: access.auditSchema });
}

function failureOf(error: unknown) {
  const message = error instanceof Error ? error.message : String(error);
  return { message, progress: { matched: 0, read: 0, written: 0, skipped: 0 } };
}

async function pause(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  await sleep(milliseconds, undefined, { signal }).catch(() => {
    throw signal?.reason;
  });
}
