import { execFile } from 'node:child_process';
import { link, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** What a running server writes to `postmaster.pid` (PostgreSQL's pidfile.h lists the lines). */
export interface PostmasterFile {
  readonly pid: number;
  readonly port: number;
  /** Empty until the server listens. */
  readonly socketDirectory: string;
  /** True from the moment the server was told to stop, before it disconnects anybody. */
  readonly isStopping: boolean;
}

/**
 * Reads `postmaster.pid` of a data directory and tells whether that server lives. `undefined` means that a server may
 * be started: there is no file, or its process is gone (PostgreSQL then replaces the file itself), or its pid
 * was given to another program, or the file is an empty leftover (PostgreSQL would refuse to start for ever, so the
 * file is removed here).
 */
export async function findPostmaster(data: string): Promise<PostmasterFile | undefined> {
  const path = join(data, 'postmaster.pid');
  const text = await readIfPresent(path);
  if (text === undefined) {
    return undefined;
  }
  const [pid, , , port, socketDirectory = '', , , status = ''] = text.split('\n').map((line) => line.trim());
  const found = { pid: Number(pid), port: Number(port), socketDirectory, isStopping: status === 'stopping' };
  if (text === '' ? await isRecent(path) : await isServer(found.pid, data)) {
    return found;
  }
  if (text === '' || isAlive(found.pid)) {
    await removeStale(path, text);
    if (socketDirectory !== '') {
      const lock = join(socketDirectory, `.s.PGSQL.${found.port}.lock`);
      const lockText = await readIfPresent(lock);
      if (lockText !== undefined && Number(lockText.split('\n')[0]) === found.pid) {
        await removeStale(lock, lockText);
      }
    }
  }
  return undefined;
}

/** The file is created empty and written a moment later, unless the machine or the disk failed in between. */
async function isRecent(path: string): Promise<boolean> {
  return stat(path).then(
    ({ mtimeMs }) => Date.now() - mtimeMs < 5000,
    () => false,
  );
}

async function readIfPresent(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') {
      return undefined;
    }
    throw error;
  }
}

/** Every server is started with its data directory as an argument. */
async function isServer(pid: number, data: string): Promise<boolean> {
  if (!isAlive(pid)) {
    return false;
  }
  try {
    // Images for containers often lack `ps`. A zombie has no arguments, and holds nothing that we would wait for.
    return process.platform === 'linux'
      ? (await readFile(`/proc/${pid}/cmdline`, 'utf8')).split('\0').includes(data)
      : (await run('ps', ['-ww', '-o', 'args=', '-p', String(pid)])).stdout.includes(data);
  } catch {
    return false;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

/**
 * Moves the file away and looks again: between our reading and the move a new server may have replaced it, and then it
 * goes back. In that instant PostgreSQL still refuses a second server, by the shared memory of the first.
 */
async function removeStale(path: string, text: string): Promise<void> {
  const aside = `${path}.${process.pid}.stale`;
  try {
    await rename(path, aside);
    if ((await readFile(aside, 'utf8')) !== text) {
      await link(aside, path);
    }
  } catch {
    // Another process removed it first.
  } finally {
    await rm(aside, { force: true });
  }
}
