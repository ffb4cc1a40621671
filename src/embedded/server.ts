import type { ChildProcess } from 'node:child_process';
import { access, constants, readdir, readFile, realpath, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import postgres from 'postgres';

import { LoraExportError } from '../errors.js';
import { prepareServerDirectory, type ServerAccount } from './account.js';
import { findBinaries, type Binaries } from './binaries.js';
import { ensureCluster, lastLines, superuser } from './cluster.js';
import { createStateDirectory } from './default-state-directory.js';
import { findPostmaster } from './postmaster-file.js';
import { spawnPostmaster } from './postmaster.js';
import { ensureSocketDirectory } from './socket-directory.js';

interface StartOptions {
  /** The server lives in its subdirectory `postgres`. */
  readonly stateDirectory: string;
  /** The PATH to look for an installed PostgreSQL on, when the packaged one does not run here. Default: none. */
  readonly path?: string | undefined;
  /** Told what takes long or is surprising, in a line for the user. Default: nobody. */
  readonly log?: ((line: string) => void) | undefined;
  /** Stops waiting; the promise rejects with its reason. */
  readonly signal?: AbortSignal | undefined;
}

/** A running server that stays up at least until `release`. */
export interface EmbeddedServer {
  readonly socketDirectory: string;
  readonly port: number;
  readonly user: string;
  readonly database: string;
  /** Of PostgreSQL, e.g. `18.4`. */
  readonly version: string;
  /** Gives the server up; the last process to do so stops it. Never throws, and a second call does nothing. */
  release(): Promise<void>;
}

interface Cluster {
  readonly binaries: Binaries;
  readonly account: ServerAccount;
  readonly data: string;
  readonly logFile: string;
  readonly uid: number;
}

/** A connection whose session holds the shared lock that keeps the server up. */
interface Hold {
  readonly control: postgres.Sql;
  readonly socketDirectory: string;
  readonly port: number;
}

const applicationName = 'lora_export';
/** Any number will do, as long as it never changes: all versions of lora-export must take the same lock. */
const userCountLock = 5_172_904;
/** Recovery after a crash may take this long on a slow disk. */
const patienceMs = 60_000;
const pollMs = 25;
/** Starts that die at once are mostly lost races; this many in one command are a broken server. */
const maxStarts = 8;
const maxLogBytes = 1_000_000;

/**
 * Connects to the embedded PostgreSQL of the state directory, and first creates and starts it where needed. Any number
 * of processes may do so at once. Throws E_USAGE when the state directory cannot be used, and E_DB_UNREACHABLE
 * when no server can be started; the hint then quotes the server's log.
 *
 * @example
 * const server = await startEmbedded({ stateDirectory: '/var/lib/lora-export' });
 * const sql = postgres({ host: server.socketDirectory, port: server.port, user: server.user, database: server.database });
 * await sql.end();
 * await server.release();
 */
export async function startEmbedded(options: StartOptions): Promise<EmbeddedServer> {
  const uid = process.getuid?.();
  if (uid === undefined) {
    throw new LoraExportError('E_DB_UNREACHABLE', 'There is no embedded database on this platform yet.', {
      hint: 'Pass --database-url or set DATABASE_URL.',
    });
  }
  try {
    const cluster = await prepareCluster(options, uid);
    const hold = await startAndHold(cluster, options.signal);
    await createUserAndDatabase(hold.control).catch(async (error: unknown) => {
      await giveUp(hold, cluster.data);
      throw error;
    });
    let released: Promise<void> | undefined;
    return {
      socketDirectory: hold.socketDirectory,
      port: hold.port,
      user: applicationName,
      database: applicationName,
      version: cluster.binaries.version,
      release: () => (released ??= giveUp(hold, cluster.data)),
    };
  } catch (error) {
    options.signal?.throwIfAborted();
    throw error instanceof LoraExportError
      ? error
      : new LoraExportError('E_DB_UNREACHABLE', 'The embedded database could not be started.', {
          hint: `${error instanceof Error ? error.message : String(error)}. Or pass --database-url.`,
          cause: error,
        });
  }
}

async function prepareCluster(
  { stateDirectory, path, log, signal }: StartOptions,
  uid: number,
): Promise<Cluster> {
  await createStateDirectory(stateDirectory, uid);
  // The running server is recognised by this path in its arguments, so two names of one directory must become one.
  const directory = join(await realpath(stateDirectory), 'postgres');
  const account = await prepareServerDirectory(directory, uid);
  const binaries = await findBinaries({ account, copyTo: directory, path, log });
  await warnOfOtherVersions(directory, binaries.major, log);
  const data = await ensureCluster(directory, { binaries, account, log, signal });
  return { binaries, account, data, logFile: join(directory, 'server.log'), uid };
}

/** Data cannot be carried over without the old programs, and an empty database must not come as a surprise. */
async function warnOfOtherVersions(
  directory: string,
  major: number,
  log: StartOptions['log'],
): Promise<void> {
  const names = (await readdir(directory)).filter((name) => /^data-\d+$/.test(name));
  if (names.length > 0 && !names.includes(`data-${major}`)) {
    log?.(
      `Starting with an empty database: ${names.join(', ')} in ${directory} is of another PostgreSQL than ${major}`,
    );
  }
}

async function startAndHold(cluster: Cluster, signal: AbortSignal | undefined): Promise<Hold> {
  const logStart = await sizeOf(cluster.logFile);
  const deadline = Date.now() + patienceMs;
  let child: ChildProcess | undefined;
  let starts = 0;
  try {
    for (;;) {
      signal?.throwIfAborted();
      const outcome = await tryToHold(cluster.data);
      if (typeof outcome === 'object') {
        return outcome;
      }
      if (outcome === 'no server' && !isRunning(child)) {
        if (starts === maxStarts) {
          throw await startFailure(cluster.logFile, logStart);
        }
        starts += 1;
        child = await spawnServer(cluster);
      }
      if (Date.now() > deadline) {
        throw await startFailure(cluster.logFile, logStart);
      }
      await delay(pollMs);
    }
  } catch (error) {
    await abandon(child, cluster.data);
    throw error;
  }
}

async function spawnServer({ binaries, account, data, logFile, uid }: Cluster): Promise<ChildProcess> {
  if ((await sizeOf(logFile)) > maxLogBytes || !(await isWritable(logFile))) {
    await rm(logFile, { force: true });
  }
  const socketDirectory = await ensureSocketDirectory(data, account, uid);
  return spawnPostmaster({ postgres: binaries.postgres, account, data, socketDirectory, logFile });
}

function isRunning(child: ChildProcess | undefined): child is ChildProcess {
  return child !== undefined && child.exitCode === null && child.signalCode === null;
}

/** False also for a log that root left in a user's directory. */
async function isWritable(file: string): Promise<boolean> {
  return access(file, constants.W_OK).then(
    () => true,
    () => false,
  );
}

async function sizeOf(file: string): Promise<number> {
  return stat(file).then(
    ({ size }) => size,
    () => 0,
  );
}

async function startFailure(logFile: string, logStart: number): Promise<LoraExportError> {
  const log = await readFile(logFile).catch(() => Buffer.alloc(0));
  const said = lastLines(log.subarray(log.length < logStart ? 0 : logStart).toString('utf8'), 4);
  return new LoraExportError('E_DB_UNREACHABLE', 'The embedded database did not start.', {
    hint:
      said === ''
        ? `A server for it is running but does not answer; its log is ${logFile}.`
        : `Its log ${logFile} says:\n${said}`,
  });
}

/**
 * 'no server': one may be started. 'wait': a server is starting or stopping. Otherwise it runs, and the lock of the
 * returned connection keeps it running.
 */
async function tryToHold(data: string): Promise<Hold | 'no server' | 'wait'> {
  const server = await findPostmaster(data);
  if (server === undefined) {
    return 'no server';
  }
  if (server.socketDirectory === '' || server.isStopping) {
    return 'wait';
  }
  const { socketDirectory, port } = server;
  const control = connectControl(socketDirectory, port);
  try {
    const [row] = await control`select pg_try_advisory_lock_shared(${userCountLock}) as held`;
    // The server writes that it stops before it disconnects anybody. So if the one who stopped it is already gone,
    // which gave us the lock, this second look tells.
    const later = await findPostmaster(data);
    if (row?.['held'] === true && later?.pid === server.pid && !later.isStopping) {
      return { control, socketDirectory, port };
    }
  } catch (error) {
    if (!isPassing(error)) {
      await control.end({ timeout: 0 });
      throw error;
    }
  }
  await control.end({ timeout: 0 });
  return 'wait';
}

/** The errors of a server that is starting, stopping or was just killed. */
function isPassing(error: unknown): boolean {
  const codes = [
    '57P03',
    '57P01',
    '57P02',
    'ENOENT',
    'ECONNREFUSED',
    'ECONNRESET',
    'EPIPE',
    'CONNECTION_CLOSED',
  ];
  return error instanceof Error && 'code' in error && codes.includes(String(error.code));
}

function connectControl(host: string, port: number): postgres.Sql {
  return postgres({
    host,
    port,
    user: superuser,
    database: 'postgres',
    max: 1,
    // By default a connection is renewed after half an hour or more, and the lock would go with the old one.
    max_lifetime: null,
    prepare: false,
    fetch_types: false,
    onnotice: () => {},
    connection: { application_name: applicationName },
  });
}

async function createUserAndDatabase(control: postgres.Sql): Promise<void> {
  const [found] = await control`
    select exists (select from pg_roles where rolname = ${applicationName}) as role,
           exists (select from pg_database where datname = ${applicationName}) as database`;
  if (found?.['role'] !== true) {
    await control`create role ${control(applicationName)} login`.catch(ignoreExisting);
  }
  if (found?.['database'] !== true) {
    // Unlike template1, nobody can be connected to template0 and so be in the way.
    await control`create database ${control(applicationName)} owner ${control(applicationName)} template template0`.catch(
      ignoreExisting,
    );
  }
}

/** Another process made it at the same moment: duplicate_object, duplicate_database, unique_violation. */
function ignoreExisting(error: unknown): void {
  if (!(error instanceof postgres.PostgresError && ['42710', '42P04', '23505'].includes(error.code))) {
    throw error;
  }
}

/**
 * The last one out stops the server. It must do so while its connection still holds the exclusive lock: a newcomer that
 * finds the lock taken waits, and one that would find it free would be cut off.
 */
async function giveUp({ control }: Hold, data: string): Promise<void> {
  let stopped: number | undefined;
  try {
    await control`select pg_advisory_unlock_shared(${userCountLock})`;
    const [row] = await control`select pg_try_advisory_lock(${userCountLock}) as alone`;
    const server = row?.['alone'] === true ? await findPostmaster(data) : undefined;
    if (server !== undefined) {
      process.kill(server.pid, 'SIGINT');
      stopped = server.pid;
    }
  } catch {
    // The server is gone already, and whoever needs it next starts it.
  }
  await control.end({ timeout: 0 });
  if (stopped !== undefined) {
    // In a container the end of this process may be the end of all; a clean stop spares the next start the recovery.
    await waitUntilGone(stopped, data);
  }
}

async function waitUntilGone(pid: number, data: string): Promise<void> {
  for (const deadline = Date.now() + 5000; Date.now() < deadline; await delay(10)) {
    if ((await findPostmaster(data).catch(() => undefined))?.pid !== pid) {
      return;
    }
  }
}

/** Leaves no server of ours behind when the start fails or is given up, unless others already use it. */
async function abandon(child: ChildProcess | undefined, data: string): Promise<void> {
  if (!isRunning(child)) {
    return;
  }
  const outcome = await tryToHold(data).catch(() => 'no server' as const);
  if (typeof outcome === 'object') {
    await giveUp(outcome, data);
  } else {
    child.kill('SIGINT');
    for (const deadline = Date.now() + 5000; isRunning(child) && Date.now() < deadline; await delay(10));
    child.kill('SIGKILL');
  }
}
