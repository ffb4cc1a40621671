import { access, chmod, constants, mkdir } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { dirname, isAbsolute, join, resolve } from 'node:path';

import { LoraExportError } from '../errors.js';

const name = 'lora-export';

/**
 * Where lora-export keeps its own files: `LORA_EXPORT_HOME`, else the platform's directory for user data
 * (the places of the env-paths package, which itself reads the process and fails where no home directory is known).
 * For root it is system-wide, because the database server does not run as root and root's home is private.
 * Throws E_USAGE when no home directory is known.
 */
export function defaultStateDirectory(
  env: Readonly<Record<string, string | undefined>>,
  uid: number,
  platform: NodeJS.Platform,
): string {
  if (env['LORA_EXPORT_HOME']) {
    return resolve(env['LORA_EXPORT_HOME']);
  }
  if (platform === 'win32') {
    return join(
      env['LOCALAPPDATA'] || join(homeDirectory(env['USERPROFILE']), 'AppData', 'Local'),
      name,
      'Data',
    );
  }
  if (platform === 'darwin') {
    return join(uid === 0 ? '/' : homeDirectory(env['HOME']), 'Library', 'Application Support', name);
  }
  if (uid === 0) {
    return join('/var/lib', name);
  }
  // The XDG specification: a relative path is invalid and to be ignored.
  const xdg = env['XDG_DATA_HOME'] ?? '';
  return join(isAbsolute(xdg) ? xdg : join(homeDirectory(env['HOME']), '.local', 'share'), name);
}

/** cron and `env -i` give no HOME; the user database knows it, unless the uid was made up by a container. */
function homeDirectory(fromEnvironment: string | undefined): string {
  if (fromEnvironment) {
    return fromEnvironment;
  }
  try {
    return userInfo().homedir;
  } catch (cause) {
    throw new LoraExportError(
      'E_USAGE',
      'This user has no home directory to keep the embedded database in.',
      {
        hint: 'Set LORA_EXPORT_HOME to a directory that you can write to.',
        cause,
      },
    );
  }
}

/**
 * Creates the state directory and its missing parents: mode 0700, for root 0755, because the server's account must be
 * able to enter. What exists keeps its mode. Throws E_USAGE when it cannot be created or written to.
 */
export async function createStateDirectory(directory: string, uid: number): Promise<void> {
  try {
    const firstCreated = await mkdir(directory, { recursive: true, mode: uid === 0 ? 0o755 : 0o700 });
    if (uid === 0 && firstCreated !== undefined) {
      await openToOthers(firstCreated, directory);
    }
    await access(directory, constants.W_OK | constants.X_OK);
  } catch (cause) {
    throw new LoraExportError('E_USAGE', `Cannot write to the state directory ${directory}`, {
      hint: 'Set LORA_EXPORT_HOME to a directory that you can write to.',
      cause,
    });
  }
}

/** A strict umask (077 is common for root) would have closed the new directories. */
async function openToOthers(first: string, last: string): Promise<void> {
  await chmod(last, 0o755);
  if (resolve(last) !== resolve(first)) {
    await openToOthers(first, dirname(last));
  }
}
