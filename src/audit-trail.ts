import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Connection } from './db/connect.js';
import {
  beat,
  closingMessage,
  completeExport,
  failExport,
  markPublishing,
  restartExport,
  startExport,
  takeUp,
  type Owner,
  type Progress,
  type ReadyFile,
} from './db/export-logs.js';
import { LoraExportError } from './errors.js';

/** The longest between two signs of life. */
const HEARTBEAT_MS = 10_000;
/** Progress is stored this often while there is some, so that others can watch it. */
const PROGRESS_MS = 1_000;
/** How long the last word on a run is tried on fresh connections. */
const LAST_WORD_MS = 30_000;
/** An interrupted command must end soon: recovery makes the row true when this is not enough. */
const FAILURE_MS = 5_000;

const NOTHING: Progress = { matched: 0, read: 0, written: 0, skipped: 0 };

/** What the row of a run says from its beginning. */
export interface TrailOptions {
  /** Opens a new session by itself after a loss. */
  readonly connection: Connection;
  readonly auditSchema: string;
  readonly exportId: string;
  readonly userId: string;
  readonly format: string;
  readonly config: object;
  readonly output: object;
  readonly host: string;
  /** Runs of so many conversations are jobs, which begin as `queued`. */
  readonly jobFrom: number;
  /** The worker id under which the row was taken from the queue; without it there is no row yet. */
  readonly claimedAs?: string | undefined;
  readonly onNotice: (text: string) => void;
}

/**
 * The audit rows of one run. Every statement names the run's own worker id and expects to change exactly one row: when
 * another process has declared this run dead, the run learns it and stops.
 */
export class AuditTrail {
  readonly #options: TrailOptions;
  readonly #owner: Owner;
  readonly #taken = new AbortController();
  readonly #connection: Connection;
  #heartbeat: NodeJS.Timeout | undefined;
  #progress: Progress = NOTHING;
  #stored: Progress = NOTHING;
  #beatAt = 0;
  #beating = false;
  #state: 'new' | 'claimed' | 'open' | 'publishing' | 'published' | 'closed' = 'new';

  constructor(options: TrailOptions) {
    this.#options = options;
    this.#connection = options.connection;
    this.#owner = { exportId: options.exportId, workerId: options.claimedAs ?? randomUUID() };
    if (options.claimedAs !== undefined) {
      this.#state = 'claimed';
      this.#keepAlive();
    }
  }

  /** Aborts when the row was taken from us; its reason says so. */
  get taken(): AbortSignal {
    return this.#taken.signal;
  }

  /**
   * Commits the row, before content is read, and keeps it alive; a further attempt of the same run finds it there.
   * @throws LoraExportError `E_AUDIT` when the log refuses it: then nothing may be read
   */
  async start(matched: number): Promise<void> {
    const { auditSchema, output } = this.#options;
    if (this.#state !== 'new') {
      const isAnother = this.#state !== 'claimed';
      await restartExport(this.#connection, auditSchema, this.#owner, { matched, output, isAnother });
      this.#state = 'open';
      this.#progress = NOTHING;
      return;
    }
    await this.#insert(matched).catch((error: unknown) => {
      throw refusedByLog(error);
    });
    this.#state = 'open';
    this.#keepAlive();
  }

  async #insert(matched: number): Promise<void> {
    const { auditSchema, exportId, userId, format, config, output, host, jobFrom } = this.#options;
    const { workerId } = this.#owner;
    const isJob = matched >= jobFrom;
    const row = { exportId, userId, format, config, matched, output, workerId, workerHost: host };
    await startExport(this.#connection, auditSchema, { ...row, status: isJob ? 'queued' : 'processing' });
    if (isJob) await takeUp(this.#connection, auditSchema, this.#owner);
  }

  /** Notes how far the run is; the next heartbeat stores it. */
  note({ matched, read, written, skipped }: Progress): void {
    this.#progress = { matched, read, written, skipped };
  }

  /**
   * Records the intent to publish, so that a crash from here on can be finished by somebody else.
   * @throws LoraExportError `E_AUDIT` when the log refuses it: then nothing may be published
   */
  async publishing(file: ReadyFile): Promise<void> {
    await this.#insist(LAST_WORD_MS, (connection) =>
      markPublishing(connection, this.#options.auditSchema, this.#owner, file),
    ).catch((error: unknown) => {
      throw refusedByLog(error, 'published');
    });
    this.#state = 'publishing';
  }

  /** From here on the run cannot fail any more, only be recorded late. */
  published(): void {
    this.#state = 'published';
  }

  /** @throws LoraExportError `E_AUDIT` when the row was taken from us, or cannot be written for half a minute */
  async complete(end: {
    url: string | null;
    retentionHours: number | null;
    result: object;
  }): Promise<{ expiresAt: string | null; durationMs: number }> {
    const done = await this.#insist(LAST_WORD_MS, (connection) =>
      completeExport(connection, this.#options.auditSchema, this.#owner, end),
    );
    this.#state = 'closed';
    return done;
  }

  /**
   * Marks the run failed. Never throws: the failure that brought us here is the one to tell, and recovery closes the
   * row if this could not.
   */
  async fail(error: unknown): Promise<void> {
    if (this.#state === 'new' || this.#state === 'published' || this.#state === 'closed') return;
    this.#state = 'closed';
    const message = error instanceof Error ? error.message : String(error);
    try {
      const closed = await this.#insist(FAILURE_MS, (connection) =>
        failExport(connection, this.#options.auditSchema, this.#owner, { message, progress: this.#progress }),
      );
      if (!closed) this.#options.onNotice('The audit row was closed by another process meanwhile.');
    } catch (trouble) {
      const reason = trouble instanceof Error ? trouble.message : String(trouble);
      this.#options.onNotice(
        `The audit row could not be marked failed (${reason}); the next command that writes will do it.`,
      );
    }
  }

  /** Ends the heartbeat. */
  close(): void {
    clearInterval(this.#heartbeat);
  }

  #keepAlive(): void {
    this.#beatAt = performance.now();
    this.#heartbeat = setInterval(() => void this.#beat(), PROGRESS_MS);
    this.#heartbeat.unref();
  }

  async #beat(): Promise<void> {
    if (this.#beating || this.#state === 'published' || this.#state === 'closed') return;
    const progress = this.#progress;
    const isDue = performance.now() - this.#beatAt >= HEARTBEAT_MS;
    if (!isDue && (progress.read === this.#stored.read || this.#state !== 'open')) return;
    this.#beating = true;
    this.#beatAt = performance.now();
    try {
      await beat(this.#connection, this.#options.auditSchema, this.#owner, progress);
      this.#stored = { ...progress };
    } catch (error) {
      // A lost connection is not a lost row: the next beat, or the next statement, opens a fresh one.
      if (isTaken(error)) this.#taken.abort(await this.#explained(error));
    } finally {
      this.#beating = false;
    }
  }

  /** Whoever closed our row said why; there is nothing left to close for us. */
  async #explained(error: LoraExportError): Promise<LoraExportError> {
    if (this.#state !== 'published') this.#state = 'closed';
    const { auditSchema, exportId } = this.#options;
    let message: string | null = null;
    try {
      message = await closingMessage(this.#connection, auditSchema, this.#owner);
    } catch {
      // Without a reason the loss is told as it is.
    }
    if (message === null) return error;
    return new LoraExportError('E_AUDIT', `Export ${exportId} was closed from elsewhere: ${message}`, {
      hint: 'Nothing was published. Run the export again if it is still wanted.',
      cause: error,
    });
  }

  /** Tries on fresh connections for as long as the failure may pass; every statement here can be repeated safely. */
  async #insist<T>(limitMs: number, statement: (connection: Connection) => Promise<T>): Promise<T> {
    const deadline = performance.now() + limitMs;
    for (;;) {
      try {
        return await statement(this.#connection);
      } catch (error) {
        if (isTaken(error)) throw await this.#explained(error);
        if (!(error instanceof LoraExportError && error.retryable) || performance.now() >= deadline)
          throw error;
        await sleep(500);
      }
    }
  }
}

function isTaken(error: unknown): error is LoraExportError {
  return error instanceof LoraExportError && error.code === 'E_AUDIT';
}

/** Whatever the audit log refuses ends the run: before content is read, or before the file is published. */
export function refusedByLog(error: unknown, nothingWas: 'read' | 'published' = 'read'): unknown {
  const passes = ['E_DB_UNREACHABLE', 'E_STALLED', ...(nothingWas === 'published' ? ['E_AUDIT'] : [])];
  if (!(error instanceof LoraExportError) || passes.includes(error.code)) return error;
  return new LoraExportError(
    'E_AUDIT',
    `The audit log refused this export, so nothing was ${nothingWas}: ${error.message}`,
    {
      hint: error.hint ?? 'Check with `lora-export init --verify`.',
      cause: error,
    },
  );
}
