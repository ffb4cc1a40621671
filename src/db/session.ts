import type { Socket } from 'node:net';
import type postgres from 'postgres';

import { LoraExportError } from '../errors.js';
import {
  closedAtLogin,
  connectTimedOut,
  notPostgres,
  stalled,
  unsupportedLogin,
} from './connection-failures.js';
import { createDriver } from './driver.js';
import { translateDatabaseError } from './driver-errors.js';
import { DriverSocket } from './driver-socket.js';
import { lastServerError, readGreeting } from './server-message.js';
import { RowTap, type RawRow } from './row-tap.js';
import { dialToCancel } from './cancel-socket.js';
import { openSocket } from './socket.js';
import { stallWatch } from './stall-watch.js';
import type { DatabaseTarget } from './target.js';

/** A way to ask a database. */
export interface Connection {
  /** Builds statements; sending them is the business of `ask`. There is never more than one server session at a time. */
  readonly sql: postgres.Sql;
  /**
   * Sends a statement and waits for its answer, at most until the server was silent for the stall limit. Rejects with a
   * LoraExportError, or with the reason given to `destroy`. Leave the driver's `cursor` alone: when the connection dies
   * between two batches, it ends as if all rows had been read.
   */
  readonly ask: <T>(statement: () => PromiseLike<T>) => Promise<T>;
  /**
   * Runs `use` in one transaction of one session: COMMIT is confirmed before it resolves, and a loss of the session ends
   * it, even where later statements would open a new one. Nothing else may use the connection meanwhile.
   */
  readonly transaction: <T>(begin: `begin${string}`, use: (inside: Connection) => Promise<T>) => Promise<T>;
  /** Why the session is gone, or null while it lives. */
  readonly lost: Error | null;
  /** Closes the socket at once, and asks the server to cancel what is running; open statements reject with `reason`. */
  readonly destroy: (reason: Error) => void;
  /** Says goodbye to the server. Takes at most 5 s and never throws; a second call does nothing. */
  readonly close: () => Promise<void>;
  /**
   * From now on rows do not reach the driver: its statements answer with none, and the tap has them, as raw bytes, once
   * the statement was answered. Only for a single session.
   */
  readonly tapRows: () => OpenTap;
}

/** The rows of statements, past the driver. */
export interface OpenTap {
  /** The rows of the earliest statement answered whose rows were not taken yet. */
  readonly take: () => RawRow[];
  /** The driver gets its rows again. */
  readonly end: () => void;
}

export interface SessionOptions {
  /** Shown in `pg_stat_activity` as `lora-export <purpose>`. */
  readonly purpose: string;
  /** From the first packet to the answer of the first statement, in milliseconds. */
  readonly connectTimeoutMs: number;
  /** Longest silence of the server while a statement is open, in milliseconds. */
  readonly stallMs: number;
  /** Receives notices of the server, one line each. Default: they are dropped. */
  readonly onNotice?: ((text: string) => void) | undefined;
  /** Ends the session at once, also after it was opened. */
  readonly signal?: AbortSignal | undefined;
}

interface OpenStatement {
  readonly reject: (reason: Error) => void;
  cancel: () => void;
}

const goodbyeSeconds = 4;

/**
 * Opens one server session with one driver behind it, and proves it with a statement. When the session is lost, that
 * is final: `lost` tells why, and every later statement rejects with it.
 *
 * @throws LoraExportError
 */
export async function openSession(target: DatabaseTarget, options: SessionOptions): Promise<Connection> {
  const { connectTimeoutMs, stallMs, signal } = options;
  const dialling = new AbortController();
  const open = new Set<OpenStatement>();
  const watch = stallWatch(stallMs, () => destroy(stalled(target, stallMs)));
  const onAbort = () => destroy(abortReason(signal));
  let lost: Error | null = null;
  let isProven = false;
  let isClosing = false;
  let dialled = false;
  let tap: RowTap | null = null;
  let raw: Socket | undefined;
  let driverSocket: DriverSocket | undefined;

  function destroy(reason: Error): void {
    if (lost === null && isProven) {
      for (const { cancel } of open) {
        cancel();
      }
    }
    lose(reason);
  }

  function lose(reason: Error): void {
    if (lost !== null) {
      return;
    }
    lost = reason;
    signal?.removeEventListener('abort', onAbort);
    dialling.abort(reason);
    raw?.destroy();
    for (const { reject } of open) {
      reject(reason);
    }
    // Ended first, or the driver would connect again. It lets go of the socket in a later turn, never in the middle of
    // what it received: it would write to a socket that is gone, and throw where nobody can catch.
    const ended = isClosing ? Promise.resolve() : sql.end({ timeout: 0 });
    void ended.then(() => driverSocket?.closed());
  }

  function whyLost(): Error | null {
    return lost;
  }

  async function ask<T>(statement: () => PromiseLike<T>): Promise<T> {
    if (lost !== null) {
      throw lost;
    }
    const { promise: gone, reject } = rejection();
    const entry: OpenStatement = { reject, cancel: () => {} };
    open.add(entry);
    watch.begin();
    try {
      const answer = statement();
      entry.cancel = () => cancelIfQuery(answer);
      return await Promise.race([answer, gone]);
    } catch (error) {
      throw whyLost() ?? translateDatabaseError(error, target);
    } finally {
      watch.end();
      open.delete(entry);
    }
  }

  /**
   * The driver comes here for every connection that it wants: once for the session, and then only to cancel a statement.
   * That it should come for a second session is prevented by ending it on a loss.
   */
  async function dial(): Promise<DriverSocket> {
    if (dialled) {
      return dialToCancel(target);
    }
    dialled = true;
    try {
      driverSocket = attach(await openSocket(target, dialling.signal));
      return driverSocket;
    } catch (error) {
      lose(translateDatabaseError(error, target));
      return new DriverSocket(null);
    }
  }

  function attach(socket: Socket): DriverSocket {
    const forDriver = new DriverSocket(socket, () => lose(failure('SASL_SIGNATURE_MISMATCH')));
    let error: Error | undefined;
    let last: Buffer = Buffer.alloc(0);
    let greeting: Buffer | null = Buffer.alloc(0);
    socket.on('error', (cause) => (error ??= cause));
    socket.on('close', () => lose(whyClosed(last, error)));
    socket.on('drain', () => lost === null && forDriver.emit('drain'));
    socket.on('data', (chunk: Buffer) => {
      watch.heard();
      last = chunk;
      if (tap !== null) {
        tap.feed(chunk);
        return;
      }
      if (greeting === null) {
        forDriver.emit('data', chunk);
        return;
      }
      greeting = Buffer.concat([greeting, chunk]);
      if (isGreetedBy(greeting)) {
        forDriver.emit('data', greeting);
        greeting = null;
      }
    });
    raw = socket;
    if (lost !== null) {
      socket.destroy();
    }
    socket.resume();
    return forDriver;
  }

  function isGreetedBy(bytes: Buffer): boolean {
    const greeting = readGreeting(bytes);
    if (greeting === 'foreign') {
      lose(notPostgres(target));
    } else if (typeof greeting === 'object') {
      lose(unsupportedLogin(target, greeting.unsupportedLogin));
    }
    return greeting === 'postgres';
  }

  function whyClosed(last: Buffer, error: Error | undefined): Error {
    if (isClosing) {
      return alreadyClosed();
    }
    const said = lastServerError(last);
    if (said !== null) {
      return translateDatabaseError(said, target);
    }
    return isProven
      ? translateDatabaseError(error ?? failure('CONNECTION_CLOSED'), target)
      : closedAtLogin(target);
  }

  function failure(code: string): LoraExportError {
    return translateDatabaseError(Object.assign(new Error(code), { code }), target);
  }

  async function prove(): Promise<void> {
    const deadline = setTimeout(() => lose(connectTimedOut(target, connectTimeoutMs)), connectTimeoutMs);
    try {
      await ask(() => sql`select 1`);
      isProven = true;
    } catch (error) {
      const reason = translateDatabaseError(error, target);
      lose(reason);
      throw reason;
    } finally {
      clearTimeout(deadline);
    }
  }

  function tapRows(): OpenTap {
    const opened = new RowTap((bytes) => lost === null && driverSocket?.emit('data', bytes));
    tap = opened;
    return {
      take: () => opened.take(),
      end() {
        opened.end();
        tap = null;
      },
    };
  }

  async function close(): Promise<void> {
    if (lost === null && !isClosing) {
      isClosing = true;
      await sql.end({ timeout: goodbyeSeconds }).catch(() => {});
      lose(alreadyClosed());
    }
  }

  const sql = createDriver(target, { ...options, dial });
  if (signal?.aborted) {
    throw abortReason(signal);
  }
  signal?.addEventListener('abort', onAbort, { once: true });
  await prove();
  const connection: Connection = {
    sql,
    ask,
    transaction: (begin, use) => inTransaction(connection, begin, use),
    get lost() {
      return lost;
    },
    destroy,
    close,
    tapRows,
  };
  return connection;
}

async function inTransaction<T>(
  connection: Connection,
  begin: string,
  use: (inside: Connection) => Promise<T>,
): Promise<T> {
  const { sql, ask } = connection;
  await ask(() => sql.unsafe(begin));
  try {
    const result = await use(connection);
    await ask(() => sql`commit`);
    return result;
  } catch (error) {
    // The session may die at any moment; the error that brought us here is the one to tell.
    if (connection.lost === null) await ask(() => sql`rollback`).catch(() => undefined);
    throw error;
  }
}

/** What an aborted signal stands for: its own reason where that is meant for the user. */
export function abortReason(signal: AbortSignal | undefined): Error {
  const reason: unknown = signal?.reason;
  return reason instanceof LoraExportError
    ? reason
    : new LoraExportError('E_INTERNAL', 'The work with the database was cancelled.', { cause: reason });
}

function alreadyClosed(): LoraExportError {
  return new LoraExportError('E_INTERNAL', 'A database connection was used after it was closed.');
}

/** A promise that can only be rejected, and whose rejection need not be heard. */
function rejection(): { promise: Promise<never>; reject: (reason: Error) => void } {
  let reject!: (reason: Error) => void;
  const promise = new Promise<never>((_, settle) => {
    reject = settle;
  });
  promise.catch(() => {});
  return { promise, reject };
}

/** A statement of the driver can be cancelled; a function that runs several cannot. */
function cancelIfQuery(answer: PromiseLike<unknown>): void {
  if ('cancel' in answer && typeof answer.cancel === 'function') {
    answer.cancel();
  }
}
