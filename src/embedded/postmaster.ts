import { spawn, type ChildProcess } from 'node:child_process';
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';

import { commandAs, type ServerAccount } from './account.js';

interface PostmasterOptions {
  readonly postgres: string;
  readonly account: ServerAccount;
  readonly data: string;
  readonly socketDirectory: string;
  /** Receives everything the server prints; appended to. */
  readonly logFile: string;
  /** Server settings, e.g. `fsync=off`. */
  readonly settings?: readonly string[];
}

/**
 * Starts the server and does not wait for it. It is detached, so that Ctrl-C in the terminal does not reach it,
 * and holds none of this process's streams, so that a reader of our output does not wait for it.
 */
export async function spawnPostmaster(options: PostmasterOptions): Promise<ChildProcess> {
  const settings = ['listen_addresses=', ...(options.settings ?? [])].flatMap((setting) => ['-c', setting]);
  const {
    file,
    args,
    options: as,
  } = commandAs(options.account, options.postgres, [
    '-D',
    options.data,
    '-k',
    options.socketDirectory,
    '-p',
    '5432',
    ...settings,
  ]);
  const { O_APPEND, O_CREAT, O_NOFOLLOW, O_WRONLY } = constants;
  const log = await open(options.logFile, O_APPEND | O_CREAT | O_NOFOLLOW | O_WRONLY, 0o600);
  try {
    const child = spawn(file, args, { ...as, detached: true, stdio: ['ignore', log.fd, log.fd] });
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve).once('error', reject);
    });
    child.unref();
    return child;
  } finally {
    await log.close();
  }
}
