import { randomUUID } from 'node:crypto';
import { hostname, tmpdir } from 'node:os';
import { basename } from 'node:path';
import type { Writable } from 'node:stream';
import { requireAllowance } from './jobs/allowance.js';
import { AuditTrail, refusedByLog } from './audit-trail.js';
import { openAccess, type Access } from './db/access.js';
import { actingAs } from './db/acting.js';
import { connect, type Connection } from './db/connect.js';
import { countConversations, readConversations } from './db/conversations.js';
import { isWorthLanes, jobsFor } from './db/parallel-read.js';
import { requireUser } from './db/identity.js';
import { withSharedSnapshot, withSnapshot, type Snapshot } from './db/snapshot.js';
import { inspectSource, type Source } from './db/source.js';
import { isTransactionPooler, type DatabaseTarget } from './db/target.js';
import { writeDocument } from './document.js';
import { LoraExportError } from './errors.js';
import { fileName } from './naming.js';
import { recipeOf, type Recipe } from './recipe.js';
import { recoverDeadRuns, type Recovery } from './recovery.js';
import { readCounterparts } from './preferences/read-counterparts.js';
import { refuseFlawed, refuseInvalid, refuseNothing, refusePartial } from './judging/refusals.js';
import { parseRequest, type ExportRequest, type ExportRequestInput } from './request.js';
import { withRetries } from './retry.js';
import { runConfig } from './run-config.js';
import { requireIds } from './selected-ids.js';
import { prepareDestination } from './sinks/index.js';
import type { Destination, Sink } from './sinks/sink.js';
import { Tally, type Counts, type ReportLine } from './judging/tally.js';
import type { TargetName } from './targets/index.js';
import type { Problem } from './targets/target.js';
import type { TokenStatistics } from './judging/tokens.js';

/** Exports of so many conversations are jobs, unless told otherwise. */
export const JOB_FROM = 500;

/** What happens during a run. */
export type ExportEvent =
  /** The audit row is committed; content is read next. */
  | {
      readonly kind: 'started';
      readonly exportId: string;
      readonly matched: number;
      readonly rowSecurity: boolean;
    }
  /** After each batch, in conversations and bytes before compression. */
  | { readonly kind: 'progress'; readonly read: number; readonly total: number; readonly bytes: number }
  | {
      readonly kind: 'phase';
      readonly phase: 'counting' | 'writing' | 'sealed' | 'publishing' | 'published' | 'completed';
    }
  | { readonly kind: 'retry'; readonly attempt: number; readonly pauseMs: number; readonly reason: string }
  /** Runs of dead processes were closed on the way. */
  | { readonly kind: 'recovered'; readonly recovery: Recovery }
  | { readonly kind: 'notice'; readonly text: string };

/** Everything an export needs from the outside world. */
export interface ExportContext {
  readonly database: DatabaseTarget;
  /** Name of this machine: it tells later from where the remains of a dead run can be seen. Default: its host name. */
  readonly host?: string | undefined;
  /** Longest silence of the database while it owes an answer, in milliseconds. Default: 60,000. */
  readonly stallMs?: number | undefined;
  /** Longest time for the whole export, in milliseconds. Default: any. */
  readonly timeoutMs?: number | undefined;
  /** Exports of so many conversations are jobs: `queued` first, for others to see. Default: 500. */
  readonly jobFrom?: number | undefined;
  /** Exports that one user may begin within an hour. Default: any number. */
  readonly maxPerHour?: number | undefined;
  /** Where a request with output `stream` goes. It is neither ended nor destroyed. */
  readonly stream?: Writable | undefined;
  /** Aborting ends the run cleanly: no file, the row `failed`. Its reason is thrown. */
  readonly signal?: AbortSignal | undefined;
  readonly onEvent?: ((event: ExportEvent) => void) | undefined;
  /** Told of every conversation that was skipped or written with a warning. */
  readonly onReport?: ((line: ReportLine) => void) | undefined;
}

/** A finished export. */
export interface ExportResult {
  readonly exportId: string;
  readonly userId: string;
  readonly format: ExportRequest['format'];
  readonly target: TargetName | null;
  readonly scope: ExportRequest['scope'];
  readonly counts: Counts;
  /** What the encoder did to the data on the way, by plain-words reason: how often. */
  readonly notes: Readonly<Record<string, number>>;
  /** Rules about files as a whole that this one breaks, such as too few rows: it is written all the same. */
  readonly brokenLimits: readonly Problem[];
  /** How to hand the file to its target, where there is something to say. */
  readonly advice: string | null;
  /** Token counts, when they were asked for. */
  readonly tokens: TokenStatistics | null;
  /** Bytes of the output as stored (compressed, if it is). */
  readonly size: number;
  /** SHA-256 of those bytes, lower-case hexadecimal. */
  readonly sha256: string;
  /** An absolute path, or `standard output`. */
  readonly location: string;
  readonly url: string | null;
  /** ISO 8601 in UTC; null for output that never expires. */
  readonly expiresAt: string | null;
  readonly durationMs: number;
  /** When the snapshot was taken, by the server's clock, ISO 8601 in UTC. */
  readonly takenAt: string;
}

/**
 * Exports conversations: one snapshot, checked, encoded, published whole, and recorded in `export_logs`.
 *
 * The order of things is the promise. The audit row is committed before content is read. Nothing is visible before the
 * snapshot's COMMIT has proved that every batch arrived and the counts agree. The row says `completed` only when the
 * bytes are durably where it says they are; every other ending leaves no file and the row `failed`, and after a crash
 * {@link recoverDeadRuns} makes that so.
 *
 * @throws LoraExportError whose code says what went wrong; the signal's reason when aborted
 * @example
 * const result = await exportConversations(
 *   { format: 'jsonl', scope: 'approved', output: { kind: 'stream' } },
 *   { database: parseDatabaseUrl(url, 'DATABASE_URL'), stream: response },
 * );
 */
export async function exportConversations(
  input: ExportRequestInput,
  context: ExportContext,
): Promise<ExportResult> {
  const request = parseRequest(input);
  const recipe = await recipeOf(request);
  const exportId = randomUUID();
  const { force } = request;
  const destination = await prepareDestination(request.output, { exportId, force, stream: context.stream });
  const access = await openAuditLog(request, context);
  try {
    await recover(access, context);
    await requireAllowance(access, requireUser(access.identity), context.maxPerHour);
    return await carryOut({ request, recipe, destination, exportId, access }, context);
  } finally {
    await access.login.close();
  }
}

/** All that a run is made of before it begins. */
interface Plan {
  readonly request: ExportRequest;
  readonly recipe: Recipe;
  readonly destination: Destination;
  readonly exportId: string;
  /** The log, on behalf of the user who exports. */
  readonly access: Access;
}

/** A run whose row exists already, because a worker took it from the queue. */
export interface ClaimedExport extends Plan {
  /** What every statement about the row has to name: whoever takes the row from us changes it. */
  readonly workerId: string;
  /** Which attempt this is, from 1. */
  readonly attempt: number;
}

/**
 * Checks what a worker has taken.
 * @throws LoraExportError when it cannot be done; the row is the caller's to close
 */
export async function prepareClaimed(
  claim: Omit<ClaimedExport, 'recipe' | 'destination'>,
): Promise<ClaimedExport> {
  const { exportId, request, access } = claim;
  requireUser(access.identity);
  const recipe = await recipeOf(request);
  const destination = await prepareDestination(request.output, { exportId, force: request.force });
  return { ...claim, recipe, destination };
}

/** Does what {@link exportConversations} does, for a run that was queued; its row is closed however it ends. */
export async function exportClaimed(claimed: ClaimedExport, context: ExportContext): Promise<ExportResult> {
  return carryOut(claimed, context);
}

/** What the attempts of one export share. */
interface Run extends Plan {
  readonly context: ExportContext;
  readonly userId: string;
  readonly trail: AuditTrail;
}

/** No further attempt begins later than this. */
const RETRY_MS = 5 * 60_000;

/** How often an export is tried at all, by however many workers. */
export const MOST_ATTEMPTS = 3;

async function carryOut(plan: Plan | ClaimedExport, context: ExportContext): Promise<ExportResult> {
  const { request, destination, exportId, access } = plan;
  const claim = 'workerId' in plan ? plan : null;
  const { connection, auditSchema, identity } = access;
  const userId = requireUser(identity);
  const { database, host = hostname(), jobFrom = JOB_FROM } = context;
  const trail = new AuditTrail({
    connection,
    auditSchema,
    exportId,
    userId,
    format: request.format,
    config: runConfig(request, database, identity),
    output: destination.record,
    host,
    jobFrom,
    claimedAs: claim?.workerId,
    onNotice: (text) => context.onEvent?.({ kind: 'notice', text }),
  });
  const run: Run = { ...plan, context, userId, trail };
  const deadline = deadlineAfter(context.timeoutMs);
  const signal = AbortSignal.any([trail.taken, deadline.signal, ...(context.signal ? [context.signal] : [])]);
  try {
    return await withRetries(
      {
        attempts: destination.restartable ? MOST_ATTEMPTS + 1 - (claim?.attempt ?? 1) : 1,
        firstPauseMs: 1_000,
        totalMs: RETRY_MS,
        signal,
        onRetry: (error, next) => context.onEvent?.({ kind: 'retry', ...next, reason: error.message }),
      },
      () => attempt(run, signal),
    );
  } catch (error) {
    await trail.fail(error);
    if (error instanceof LoraExportError) error.exportId = exportId;
    throw error;
  } finally {
    deadline.clear();
    trail.close();
  }
}

/** Aborts when the time for the whole export is over. */
function deadlineAfter(timeoutMs: number | undefined): { signal: AbortSignal; clear: () => void } {
  const controller = new AbortController();
  if (timeoutMs === undefined) return { signal: controller.signal, clear: () => undefined };
  const timer = setTimeout(() => {
    const seconds = timeoutMs / 1000;
    controller.abort(
      new LoraExportError('E_STALLED', `The export took longer than the ${seconds} s that it was given.`, {
        hint: 'Give it more with --timeout, or export less.',
      }),
    );
  }, timeoutMs);
  return { signal: controller.signal, clear: () => clearTimeout(timer) };
}

/** The audit log on behalf of the one who exports. */
function openAuditLog(request: ExportRequest, context: ExportContext): Promise<Access> {
  const { auditSchema, userId, allUsers } = request;
  const { stallMs, signal } = context;
  const onNotice = (text: string): void => context.onEvent?.({ kind: 'notice', text });
  signal?.throwIfAborted();
  // The signal ends the run, not this connection: the last word on the run has yet to be said.
  return openAccess(context.database, { purpose: 'audit', auditSchema, userId, allUsers, stallMs, onNotice });
}

/** Closes what dead processes left behind. */
async function recover(access: Access, { host = hostname(), onEvent }: ExportContext): Promise<void> {
  const recovery = await recoverDeadRuns(access, host).catch((error: unknown) => {
    throw refusedByLog(error);
  });
  onEvent?.({ kind: 'recovered', recovery });
}

/** From a fresh snapshot to the completed row. */
async function attempt(run: Run, signal: AbortSignal): Promise<ExportResult> {
  const { request, recipe, context, destination, exportId, trail } = run;
  const { identity } = run.access;
  const phase = (name: (ExportEvent & { kind: 'phase' })['phase']): void =>
    context.onEvent?.({ kind: 'phase', phase: name });
  const onNotice = (text: string): void => context.onEvent?.({ kind: 'notice', text });
  const open = async (): Promise<Connection> => {
    const session = await connect(context.database, {
      purpose: 'snapshot',
      singleSession: true,
      connectAttempts: 1,
      stallMs: context.stallMs,
      signal,
    });
    return actingAs(session, identity.actor);
  };
  const jobs = jobsFor(request.jobs, context.database, onNotice);
  const reader = await open();
  const onUnshared = (reason: Error): void =>
    onNotice(`One connection reads instead of ${jobs}: ${reason.message}`);
  const sinks: Sink[] = [];
  try {
    phase('counting');
    const look = async (snapshot: Snapshot): Promise<{ source: Source; matched: number }> => {
      const source = await inspectSource(snapshot.connection, request.schema);
      refusePartial(source, identity, request);
      await requireIds(snapshot, source, request, onNotice);
      return { source, matched: await countConversations(snapshot, source, request) };
    };
    // Behind a transaction pooler, everybody who holds a server session for his snapshot and waits for a second one for
    // his log would wait for ever. So there the row is opened between two snapshots, with the count of the first.
    const isPooled = isTransactionPooler(context.database);
    if (isPooled) await trail.start((await withSnapshot(reader, look)).matched);
    const write = async (snapshot: Snapshot) => {
      const { source, matched } = await look(snapshot);
      const tally = new Tally(matched);
      if (!isPooled) await trail.start(matched);
      const { rowSecurity } = source;
      context.onEvent?.({ kind: 'started', exportId, matched: tally.matched, rowSecurity });
      refuseNothing(tally, request, source);
      const file = await destination.open();
      const sink = request.gzip ? (await import('./sinks/gzip.js')).gzipped(file) : file;
      sinks.push(sink);
      phase('writing');
      const { fields } = recipe;
      const { batchSize } = request;
      const lanes = jobs > 1 && isWorthLanes(request.jobs, matched) ? { jobs, open, onNotice } : undefined;
      const writer = recipe.begin(snapshot.takenAt);
      const validator = recipe.validator();
      await readCounterparts(snapshot, source, request, { fields, batchSize }, writer);
      await writeDocument({
        batches: readConversations(snapshot, source, request, { fields, batchSize, lanes }),
        writer,
        spoolDirectory: recipe.needsCount ? (destination.record.directory ?? tmpdir()) : null,
        tally,
        sink,
        verify: validator === null ? undefined : (bytes) => validator.write(bytes),
        signal,
        onReport: context.onReport,
        onBatch(bytes) {
          trail.note(tally);
          context.onEvent?.({ kind: 'progress', read: tally.read, total: tally.matched, bytes });
        },
      });
      return { tally, takenAt: snapshot.takenAt, rowSecurity, writer, verdict: validator?.end() ?? null };
    };
    const { tally, takenAt, rowSecurity, writer, verdict } =
      jobs > 1 ? await withSharedSnapshot(reader, onUnshared, write) : await withSnapshot(reader, write);
    // COMMIT was confirmed: every batch had arrived. Only now may anything become visible.
    const [sink] = sinks as [Sink];
    const counts = tally.close();
    refuseFlawed(counts, request);
    refuseInvalid(verdict, request);
    const sealed = await sink.seal();
    phase('sealed');
    signal.throwIfAborted();
    const name = fileName({
      tier: tally.tier ?? null,
      takenAt,
      count: counts.written,
      extension: recipe.extension,
      gzip: request.gzip,
    });
    const isManaged = request.output.kind === 'managed';
    await trail.publishing({
      ...sealed,
      ...counts,
      name: destination.record.name ?? name,
      storageKey: isManaged ? `${exportId}/${name}` : null,
    });
    phase('publishing');
    // Announcing took a round trip; this is the last moment at which the run can still be called off.
    signal.throwIfAborted();
    const published = await sink.publish(name);
    trail.published();
    phase('published');
    const { matched, written, skipped, turns, rows } = counts;
    const notes = writer.notes();
    const tokens = writer.tokens?.statistics() ?? null;
    const end = await trail
      .complete({
        url: published.url,
        retentionHours: isManaged ? request.retentionHours : null,
        result: {
          matched,
          exported: written,
          skipped,
          turns,
          rows,
          notes,
          tokens,
          ...sealed,
          taken_at: takenAt,
          row_security: rowSecurity,
        },
      })
      .catch(async (error: unknown) => {
        throw await unrecorded(error, exportId, sink, published.location);
      });
    phase('completed');
    const { format, scope, target = null } = request;
    return {
      exportId,
      userId: run.userId,
      format,
      target,
      scope,
      counts,
      notes,
      tokens,
      brokenLimits: verdict?.limits ?? [],
      advice: recipe.advice(basename(published.location)),
      ...sealed,
      ...published,
      ...end,
      takenAt,
    };
  } catch (error) {
    await Promise.all(sinks.map((sink) => sink.abort()));
    throw signal.aborted ? signal.reason : error;
  } finally {
    await reader.close();
  }
}

/** The file is published, but the log does not say so. */
async function unrecorded(
  error: unknown,
  exportId: string,
  sink: Sink,
  location: string,
): Promise<LoraExportError> {
  const isTaken = error instanceof LoraExportError && error.code === 'E_AUDIT';
  if (isTaken && (await sink.retract())) return error;
  return new LoraExportError(
    'E_AUDIT',
    `The export ${exportId} is complete at ${location}, but the audit log could not be told.`,
    {
      hint: isTaken
        ? 'Its row was closed or removed by another process; the file is whole.'
        : 'The next command that writes checks the file and completes the row.',
      cause: error,
    },
  );
}
