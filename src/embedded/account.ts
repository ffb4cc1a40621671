import { execFile } from 'node:child_process';
import { chmod, lchown, lstat, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { LoraExportError } from '../errors.js';

const run = promisify(execFile);

/** The operating system account that PostgreSQL runs under, and the way to start a program as it. */
export interface ServerAccount {
  /** What to show in logs, e.g. `postgres`. */
  readonly name: string;
  /** Given to `spawn`, and the owner of what the server writes; undefined = the account of this process. */
  readonly ids: { readonly uid: number; readonly gid: number } | undefined;
  /** Put before the program and its arguments; empty unless a user namespace is needed. */
  readonly wrapper: readonly string[];
}

/** PostgreSQL is started as the user of this process. */
const ownAccount: ServerAccount = { name: 'this user', ids: undefined, wrapper: [] };

/**
 * Inside the namespace the program sees the uid of `nobody` (initdb wants one with a name), outside its files belong
 * to root. For a root that may not change its user id, and for directories that only root can reach.
 */
const namespaceAccount: ServerAccount = {
  name: 'root in a user namespace',
  ids: undefined,
  wrapper: ['unshare', '-U', '--map-user=65534', '--map-group=65534'],
};

/** A program with its arguments, and the options of `spawn` and `execFile` that run it as `account`. */
export function commandAs(account: ServerAccount, program: string, args: readonly string[]) {
  const [file = program, ...rest] = [...account.wrapper, program, ...args];
  return {
    file,
    args: rest,
    options: {
      // The current directory may be one that the account cannot enter.
      cwd: '/',
      // Nothing of the user's environment (PGDATA, PGPORT, locale) may reach the server.
      env: { PATH: '/usr/local/bin:/usr/bin:/bin', LC_ALL: 'C' },
      ...account.ids,
    },
  };
}

/**
 * Makes `directory`, which holds everything of the server, and returns the account that runs PostgreSQL there.
 * PostgreSQL refuses to run as root, so uid 0 hands over to `postgres`, else `nobody`, else a user namespace; existing
 * data keep the account that owns them. As root the directory itself stays root's, so that nothing in the
 * power of that account can lead root's own writes astray.
 * Throws E_DB_UNREACHABLE when no account can work there, and E_USAGE when an ordinary user meets another's directory.
 */
export async function prepareServerDirectory(directory: string, uid: number): Promise<ServerAccount> {
  const created = await mkdir(directory, { recursive: true, mode: uid === 0 ? 0o755 : 0o700 });
  if (uid === 0 && created !== undefined) {
    await chmod(directory, 0o755);
  }
  const owner = await ownerOf(directory);
  if (uid !== 0) {
    if (owner.uid !== uid) {
      throw new LoraExportError('E_USAGE', `The embedded database in ${directory} belongs to another user.`, {
        hint: 'Set LORA_EXPORT_HOME to a directory of your own.',
      });
    }
    return ownAccount;
  }
  const data = (await readdir(directory)).find((name) => /^data-\d+$/.test(name));
  const present = data === undefined ? owner : await ownerOf(join(directory, data));
  if (present.uid !== 0) {
    return { name: `uid ${present.uid}`, ids: present, wrapper: [] };
  }
  const candidates = [await accountNamed('postgres'), await accountNamed('nobody'), namespaceAccount];
  for (const account of data === undefined ? candidates : [namespaceAccount]) {
    if (account !== undefined && (await canWorkIn(directory, account))) {
      return account;
    }
  }
  throw new LoraExportError(
    'E_DB_UNREACHABLE',
    'PostgreSQL does not run as root, and no other account could be used.',
    {
      hint: 'Run the command as an ordinary user, or pass --database-url.',
    },
  );
}

async function ownerOf(path: string): Promise<{ uid: number; gid: number }> {
  const { uid, gid } = await lstat(path);
  return { uid, gid };
}

/** Asks `id`, which also knows accounts that are not in /etc/passwd. */
async function accountNamed(name: string): Promise<ServerAccount | undefined> {
  try {
    const [uid, gid] = await Promise.all([run('id', ['-u', name]), run('id', ['-g', name])]);
    return { name, ids: { uid: Number(uid.stdout), gid: Number(gid.stdout) }, wrapper: [] };
  } catch {
    return undefined;
  }
}

/** False when a parent directory is private, or when this root may not change its user id or make a namespace. */
async function canWorkIn(directory: string, account: ServerAccount): Promise<boolean> {
  const probe = await mkdtemp(join(directory, 'probe-'));
  try {
    await giveTo(account, probe);
    const { file, args, options } = commandAs(account, '/bin/sh', [
      '-c',
      'test -w "$0" && test -x "$0"',
      probe,
    ]);
    await run(file, args, options);
    return true;
  } catch {
    return false;
  } finally {
    await rm(probe, { recursive: true, force: true });
  }
}

/** Makes the account the owner of a file or directory that this process created. */
export async function giveTo(account: ServerAccount, path: string): Promise<void> {
  if (account.ids !== undefined) {
    await lchown(path, account.ids.uid, account.ids.gid);
  }
}
