import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { openAccess, type Access } from '../db/access.js';
import { countConversations } from '../db/conversations.js';
import { startExport } from '../db/export-logs.js';
import { requireUser } from '../db/identity.js';
import { cancelRun } from '../db/jobs.js';
import { requireAllowance } from './allowance.js';
import { refusedByLog } from '../audit-trail.js';
import { ExportNotFoundError, LoraExportError } from '../errors.js';
import type { ExportContext } from '../export.js';
import { refuseNothing } from '../judging/refusals.js';
import { lookAtSource } from '../look.js';
import { recipeOf } from '../recipe.js';
import { recoverDeadRuns } from '../recovery.js';
import { parseRequest, type ExportRequest, type ExportRequestInput } from '../request.js';
import { MOST_IDS, runConfig } from '../run-config.js';
import { prepareDestination } from '../sinks/index.js';

/** An export that waits for a worker. */
export interface QueuedExport {
  readonly exportId: string;
  /** Conversations that match now; the worker counts again. */
  readonly matched: number;
}

/**
 * Puts an export into the queue, for a worker to do it: {@link runWorker}, here or on another machine. All that can be
 * checked without reading content is checked first.
 * @throws LoraExportError as `exportConversations` would; `E_USAGE` for what a worker cannot do
 */
export async function queueExport(input: ExportRequestInput, context: ExportContext): Promise<QueuedExport> {
  const request = parseRequest(input);
  refuseUnfit(request);
  await recipeOf(request);
  const exportId = randomUUID();
  const { output, force, auditSchema, userId, allUsers } = request;
  const { record } = await prepareDestination(output, { exportId, force });
  const { database, host = hostname(), signal, stallMs } = context;
  const access = await openAccess(database, {
    purpose: 'queue',
    auditSchema,
    userId,
    allUsers,
    stallMs,
    signal,
  });
  try {
    const { identity, connection } = access;
    const user = requireUser(identity);
    context.onEvent?.({ kind: 'recovered', recovery: await recoverDeadRuns(access, host) });
    await requireAllowance(access, user, context.maxPerHour);
    const matched = await lookAtSource(
      request,
      context,
      { purpose: 'count' },
      async ({ snapshot, source }) => {
        const matched = await countConversations(snapshot, source, request);
        refuseNothing({ matched }, request, source);
        return matched;
      },
    );
    await startExport(connection, auditSchema, {
      exportId,
      userId: user,
      format: request.format,
      config: runConfig(request, database, identity),
      matched,
      output: record,
      workerId: null,
      workerHost: host,
      status: 'queued',
    }).catch((error: unknown) => {
      throw refusedByLog(error);
    });
    return { exportId, matched };
  } finally {
    await access.login.close();
  }
}

/**
 * Cancels an export, queued or running, whoever runs it: the row is `failed` at once, and nothing is published.
 * @throws ExportNotFoundError when there is none to see; LoraExportError `E_GONE` when it had ended before
 */
export async function cancelExport(access: Access, exportId: string): Promise<void> {
  const { owner, userId, role } = access.identity;
  const who = owner === null || userId === null ? `role ${role}` : `user ${userId}`;
  const status = await cancelRun(access, exportId, `cancelled by ${who}`);
  if (status === null) throw new ExportNotFoundError(exportId);
  if (status === 'cancelled') return;
  throw new LoraExportError('E_GONE', `Export ${exportId} is ${status} already; there is nothing to cancel.`);
}

function refuseUnfit({ output, ids }: ExportRequest): void {
  if (output.kind === 'stream') {
    throw new LoraExportError(
      'E_USAGE',
      'Standard output cannot outlive the command, so such an export cannot be detached.',
      {
        hint: 'Name a file or directory with --output, or leave --output out on a terminal.',
      },
    );
  }
  if (ids !== undefined && ids.length > MOST_IDS) {
    throw new LoraExportError(
      'E_USAGE',
      `A job is stored with its ids, and ${ids.length} are more than the ${MOST_IDS} that are.`,
      { hint: 'Leave --detach out, or name fewer.' },
    );
  }
}
