import { setTimeout as delay } from 'node:timers/promises';

import { LoraExportError } from '../errors.js';
import { abortReason, openSession, type Connection } from './session.js';
import type { DatabaseTarget } from './target.js';

export type { Connection } from './session.js';

export interface ConnectOptions {
  /** Shown in `pg_stat_activity` as `lora-export <purpose>`. */
  readonly purpose: string;
  /**
   * For whatever lives in one session, such as a transaction: once it is lost, every statement rejects. Without it the
   * next statement after a loss opens a new session. Default: false.
   */
  readonly singleSession?: boolean | undefined;
  /** Limit of one try, from the first packet to the first answer, in milliseconds. Default: `connect_timeout` of the URL, else 10 s. */
  readonly connectTimeoutMs?: number | undefined;
  /** How often to try when the failure may pass. Default: 3. */
  readonly connectAttempts?: number | undefined;
  /** Longest silence of the server while a statement is open, in milliseconds. Default: 60 s. */
  readonly stallMs?: number | undefined;
  /** Receives one line for each notice of the server and each repeated try. Default: they are dropped. */
  readonly onNotice?: ((text: string) => void) | undefined;
  /** Ends the connecting, and later the connection, at once with its reason. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Connects to a database and proves it with a statement. Failures that may pass are tried again after about 1 s and 4 s.
 *
 * @throws LoraExportError E_DB_UNREACHABLE, E_DB_ACCESS, E_USAGE (unreadable root certificate), or the reason of the signal
 */
export async function connect(target: DatabaseTarget, options: ConnectOptions): Promise<Connection> {
  const session = await openWithRetries(target, options);
  return options.singleSession
    ? session
    : reconnecting(session, (signal) => openWithRetries(target, { ...options, signal }), options.signal);
}

async function openWithRetries(target: DatabaseTarget, options: ConnectOptions): Promise<Connection> {
  const { connectAttempts = 3, onNotice, signal } = options;
  const session = {
    ...options,
    connectTimeoutMs: options.connectTimeoutMs ?? target.connectTimeoutMs ?? 10_000,
    stallMs: options.stallMs ?? 60_000,
  };
  for (let attempt = 1; ; attempt++) {
    try {
      return await openSession(target, session);
    } catch (error) {
      const mayPass = error instanceof LoraExportError && error.retryable;
      if (!mayPass || attempt >= connectAttempts || signal?.aborted) {
        throw error;
      }
      const pauseMs = 1000 * 4 ** (attempt - 1) * (0.5 + Math.random());
      onNotice?.(`${error.message} Trying again in ${(pauseMs / 1000).toFixed(1)} s.`);
      await delay(pauseMs, undefined, signal && { signal }).catch(() => {
        throw abortReason(signal);
      });
    }
  }
}

/** A connection that replaces its session when it is lost, each time with a driver that knows nothing of the last. */
function reconnecting(
  first: Connection,
  reopen: (signal: AbortSignal) => Promise<Connection>,
  signal: AbortSignal | undefined,
): Connection {
  const ending = new AbortController();
  const either = signal ? AbortSignal.any([signal, ending.signal]) : ending.signal;
  let current = first;
  let ended: Error | null = null;
  let opening: Promise<void> | undefined;

  async function revive(): Promise<void> {
    opening ??= reopen(either)
      .then((session) => {
        current = session;
      })
      .catch((error: unknown) => {
        throw ended ?? error;
      })
      .finally(() => {
        opening = undefined;
      });
    await opening;
  }

  function destroy(reason: Error): void {
    ended ??= reason;
    ending.abort(ended);
    current.destroy(reason);
  }

  async function living(): Promise<Connection> {
    if (ended !== null) throw ended;
    if (current.lost !== null) await revive();
    return current;
  }

  return {
    // Callers may keep `sql`: it stands for the driver of the day.
    sql: new Proxy(first.sql, {
      apply: (_first, _this, args) => Reflect.apply(current.sql, undefined, args) as unknown,
      get: (_first, key) => Reflect.get(current.sql, key) as unknown,
    }),
    ask: async (statement) => (await living()).ask(statement),
    transaction: async (begin, use) => (await living()).transaction(begin, use),
    get lost() {
      return ended ?? current.lost;
    },
    destroy,
    tapRows: () => current.tapRows(),
    async close() {
      if (ended === null) {
        await current.close();
        destroy(current.lost ?? new Error('closed'));
      }
    },
  };
}
