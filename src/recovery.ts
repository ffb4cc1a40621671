import { z } from 'zod';
import type { Access } from './db/access.js';
import { closeDeadRun, type DeadRun, type Verdict } from './db/dead-runs.js';
import { findPublished, removePartial } from './sinks/remains.js';
import type { OutputRecord } from './sinks/sink.js';

/** An owner that has not renewed its lease for so long, in seconds, is dead; it renews every ten. */
export const HEARTBEAT_LIMIT_SECONDS = 90;

const outputRecord = z.object({
  kind: z.enum(['stream', 'file']),
  directory: z.string().optional(),
  name: z.string().optional(),
  managed: z.boolean().optional(),
});

/** What recovery did with the runs that nobody owned any more. */
export interface Recovery {
  /** Their file was complete: the log now says so. */
  readonly completed: string[];
  /** Stopped in the middle: closed as failed, temporary file removed. */
  readonly failed: string[];
  /** Published, perhaps, on a machine whose files cannot be seen from here. */
  readonly left: string[];
}

export interface RecoveryOptions {
  /** Workers leave jobs that were tried less often than this for one of them to take up. Default: null, none. */
  readonly spareJobs?: number | null;
}

/**
 * Makes the log true after crashes: every visible run without a live owner is finished or failed. Each command that writes
 * calls this first, so no service has to.
 */
export async function recoverDeadRuns(
  access: Access,
  host: string,
  { spareJobs = null }: RecoveryOptions = {},
): Promise<Recovery> {
  const recovery: Recovery = { completed: [], failed: [], left: [] };
  let after: string | null = null;
  for (;;) {
    const run: DeadRun | null = await closeDeadRun(
      access,
      { limitSeconds: HEARTBEAT_LIMIT_SECONDS, after, spare: spareJobs },
      async (dead) => {
        const verdict = await judge(dead, host);
        recovery[verdict?.status ?? 'left'].push(dead.exportId);
        return verdict;
      },
    );
    if (run === null) return recovery;
    after = run.exportId;
  }
}

/** Removes what a dead attempt left, as far as it can be seen from here. */
export async function removeRemains(output: unknown, exportId: string): Promise<void> {
  const parsed = outputRecord.safeParse(output);
  if (parsed.success) await removePartial(parsed.data as OutputRecord, exportId);
}

async function judge(run: DeadRun, host: string): Promise<Verdict | null> {
  const parsed = outputRecord.safeParse(run.output);
  const record = parsed.success ? (parsed.data as OutputRecord) : null;
  const isHere = run.workerHost === host;
  if (run.phase === 'publishing' && record?.kind === 'file') {
    if (!isHere) return null;
    const { size, sha256 } = run;
    const url =
      size === null || sha256 === null ? null : await findPublished(record, run.exportId, { size, sha256 });
    if (url !== null) {
      await removePartial(record, run.exportId);
      return { status: 'completed', url };
    }
  }
  if (record !== null && isHere) await removePartial(record, run.exportId);
  if (run.phase === 'queued') return { status: 'failed', message: 'no worker took it from the queue' };
  return {
    status: 'failed',
    message: `the process on ${run.workerHost ?? 'an unknown host'} stopped while ${run.phase}`,
  };
}
