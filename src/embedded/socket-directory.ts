import { createHash } from 'node:crypto';
import { lstat, mkdir } from 'node:fs/promises';
import { join } from 'node:path';

import { LoraExportError } from '../errors.js';
import { giveTo, type ServerAccount } from './account.js';

/** macOS allows 104 bytes for a socket path with its final NUL, Linux 108; `/.s.PGSQL.5432` takes 14. */
const longestDirectory = 104 - 1 - 14;

/**
 * Makes the private directory (0700) that holds the socket of the server of `data`, and returns its path: next to the
 * data, where no cleaner of temporary files and no service with a /tmp of its own can lose it, or in /tmp when that path
 * is too long for a socket. Throws E_DB_UNREACHABLE when somebody else made it.
 */
export async function ensureSocketDirectory(
  data: string,
  account: ServerAccount,
  uid: number,
): Promise<string> {
  const owner = account.ids?.uid ?? uid;
  const preferred = data.replace(/data-(\d+)$/, 'socket-$1');
  const hash = createHash('sha256').update(data).digest('hex').slice(0, 12);
  const directory =
    Buffer.byteLength(preferred) <= longestDirectory
      ? preferred
      : join('/tmp', `lora-export-${owner}-${hash}`);

  await mkdir(directory, { recursive: true, mode: 0o700 });
  const found = await lstat(directory);
  const isOurs = found.isDirectory() && (found.uid === owner || found.uid === uid);
  if (!isOurs || (found.mode & 0o077) !== 0) {
    throw new LoraExportError(
      'E_DB_UNREACHABLE',
      `The socket directory ${directory} is open to other users.`,
      {
        hint: 'Remove it, or pass --database-url.',
      },
    );
  }
  if (found.uid !== owner) {
    await giveTo(account, directory);
  }
  return directory;
}
