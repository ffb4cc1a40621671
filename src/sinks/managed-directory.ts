import type { Stats } from 'node:fs';
import { lstat, readdir, rmdir, unlink } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { LoraExportError } from '../errors.js';
import { visible } from '../visible.js';
import { MANAGED_MARKER, partialName } from './file.js';
import { syncDirectory } from './sync-directory.js';

/** The stored file of one export. */
export interface ManagedFile {
  readonly path: string;
  readonly name: string;
  /** In bytes. */
  readonly size: number;
}

/** What was taken away of one export. */
export interface Removal {
  readonly bytes: number;
  /** False when there was nothing: somebody else was faster, or it never came to a file. */
  readonly removed: boolean;
}

/** The directory of one export, as a listing of the root shows it. */
export interface ManagedEntry {
  readonly exportId: string;
  /** Of the files in it. */
  readonly bytes: number;
  /** When it or a file in it was last changed, in milliseconds since 1970, by the clock of the file system. */
  readonly changedMs: number;
}

/**
 * The managed directory, `<root>/<export id>/<generated name>`. Every path is derived from an export id; nothing that
 * a database says about paths plays a part, and no symbolic link below the root is followed.
 */
export interface ManagedDirectory {
  /** Absolute, as configured. */
  readonly root: string;
  /** Where the file of an export has its place, whether or not it exists. */
  directoryOf(exportId: string): string;
  /**
   * The one file of an export, or null when it has none.
   * @throws LoraExportError `E_OUTPUT` when what lies in its place is not what an export leaves
   */
  find(exportId: string): Promise<ManagedFile | null>;
  /**
   * Removes the file of an export, its temporary file and its directory, for good. What is gone already is no error.
   * @throws LoraExportError `E_OUTPUT` when something else lies there, and then nothing is touched; or when the system
   * refuses
   */
  remove(exportId: string): Promise<Removal>;
  /** Every directory that bears the name of an export, in the order of their ids. */
  list(): Promise<ManagedEntry[]>;
}

/** As `src/naming.ts` makes them, with the `-2` of a name that was taken. */
const GENERATED_NAME = /^training-data-[a-z0-9_-]+-\d{4}-\d{2}-\d{2}-\d+(-\d+)?(\.[a-z0-9]{1,12}){1,2}$/;

const EXPORT_ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/**
 * Opens the managed directory, for reading what is stored and for removing it. It must be a real directory of this
 * user (or of root) with the marker that the first export put there: a wrong path in a configuration must never make
 * anything be removed.
 *
 * @throws LoraExportError `E_USAGE` when it is not
 */
export async function openManagedDirectory(root: string): Promise<ManagedDirectory> {
  const absolute = resolve(root);
  const opened = await examineRoot(absolute);

  const directoryOf = (exportId: string): string => {
    if (!EXPORT_ID.test(exportId)) throw new LoraExportError('E_USAGE', 'An export id must be a UUID.');
    return join(absolute, exportId);
  };

  /** The directory may have been replaced since it was opened, by a link or by another file system. */
  const requireSameRoot = async (): Promise<void> => {
    const { ino, dev } = await examineRoot(absolute);
    if (ino !== opened.ino || dev !== opened.dev)
      throw unusable(absolute, 'was replaced by another directory');
  };

  const look = async (exportId: string): Promise<Contents | null> => {
    const directory = directoryOf(exportId);
    await requireSameRoot();
    try {
      return await readContents(directory, exportId);
    } catch (error) {
      throw failure('look at', directory, error);
    }
  };

  return {
    root: absolute,
    directoryOf,

    async find(exportId) {
      const contents = await look(exportId);
      const [file, ...more] = contents?.files ?? [];
      if (more.length > 0) throw surprise(directoryOf(exportId), 'more than one file');
      return file ?? null;
    },

    async remove(exportId) {
      const directory = directoryOf(exportId);
      const contents = await look(exportId);
      if (contents === null) return { bytes: 0, removed: false };
      try {
        const removed = await removeFiles([...contents.files, ...contents.rest]);
        await ignoreMissing(rmdir(directory));
        await syncDirectory(absolute);
        return removed;
      } catch (error) {
        throw failure('remove', directory, error);
      }
    },

    async list() {
      await requireSameRoot();
      try {
        const names = (await readdir(absolute)).filter((name) => EXPORT_ID.test(name)).sort();
        const entries: ManagedEntry[] = [];
        for (const name of names) {
          const entry = await describeEntry(join(absolute, name), name);
          if (entry !== null) entries.push(entry);
        }
        return entries;
      } catch (error) {
        throw failure('look at', absolute, error);
      }
    },
  };
}

async function examineRoot(root: string): Promise<Stats> {
  if (dirname(root) === root) throw unusable(root, 'is the root of the file system');
  const found = await statOf(root);
  if (found === null) throw unusable(root, 'does not exist');
  if (found.isSymbolicLink()) throw unusable(root, 'is a symbolic link');
  if (!found.isDirectory()) throw unusable(root, 'is not a directory');
  const marker = await statOf(join(root, MANAGED_MARKER));
  if (marker === null || !marker.isFile())
    throw unusable(root, `has no ${MANAGED_MARKER}: no export was ever stored there`);
  if (!isTrusted(found.uid) || !isTrusted(marker.uid)) throw unusable(root, 'belongs to another user');
  // Who may rename directories in it could put a link in the place of one between our look and our deed.
  if ((found.mode & 0o1002) === 0o002)
    throw unusable(root, 'may be written to by every user of this machine');
  return found;
}

async function statOf(path: string): Promise<Stats | null> {
  try {
    return await lstat(path);
  } catch (error) {
    if (isMissing(error)) return null;
    throw failure('look at', path, error);
  }
}

function isTrusted(owner: number): boolean {
  const self = process.getuid?.();
  return self === undefined || owner === self || owner === 0;
}

/** What lies in the directory of one export. */
interface Contents {
  /** Published. */
  readonly files: readonly ManagedFile[];
  /** Temporary, of a run that was killed. */
  readonly rest: readonly ManagedFile[];
}

/** Null when there is no such directory. Throws when there is anything that no export of ours can have left. */
async function readContents(directory: string, exportId: string): Promise<Contents | null> {
  const found = await statOf(directory);
  if (found === null) return null;
  if (!found.isDirectory()) throw surprise(directory, 'something that is not a directory');
  const files: ManagedFile[] = [];
  const rest: ManagedFile[] = [];
  for (const name of (await namesIn(directory)).sort()) {
    const path = join(directory, name);
    const isPublished = GENERATED_NAME.test(name);
    if (!isPublished && !isTemporary(name, exportId)) throw surprise(path, 'a file that is none of ours');
    const file = await statOf(path);
    if (file === null) continue;
    if (!file.isFile()) throw surprise(path, 'something that is not a regular file');
    (isPublished ? files : rest).push({ path, name, size: file.size });
  }
  return { files, rest };
}

/** None when the directory has gone meanwhile: two cleanups may meet. */
async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

/** The name under which an export writes, or the lock under which it publishes where there are no hard links. */
function isTemporary(name: string, exportId: string): boolean {
  return (
    name === partialName(exportId) ||
    (name.startsWith('.') && name.endsWith('.lock') && GENERATED_NAME.test(name.slice(1, -'.lock'.length)))
  );
}

async function removeFiles(files: readonly ManagedFile[]): Promise<Removal> {
  let bytes = 0;
  let removed = false;
  for (const { path, size } of files) {
    if (!(await ignoreMissing(unlink(path)))) continue;
    bytes += size;
    removed = true;
  }
  return { bytes, removed };
}

/** False when there was nothing any more. */
async function ignoreMissing(deed: Promise<void>): Promise<boolean> {
  try {
    await deed;
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

async function describeEntry(directory: string, exportId: string): Promise<ManagedEntry | null> {
  const found = await statOf(directory);
  if (found === null || !found.isDirectory()) return null;
  let bytes = 0;
  let changedMs = found.mtimeMs;
  for (const name of await namesIn(directory)) {
    const file = await statOf(join(directory, name));
    if (file === null) continue;
    if (file.isFile()) bytes += file.size;
    changedMs = Math.max(changedMs, file.mtimeMs);
  }
  return { exportId, bytes, changedMs };
}

function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ENOENT';
}

function unusable(root: string, why: string): LoraExportError {
  return new LoraExportError('E_USAGE', `${visible(root)} cannot be the export directory: it ${why}.`, {
    hint: 'Set LORA_EXPORT_DIR, or `directory` in the configuration, to the directory that exports are stored in.',
  });
}

function surprise(path: string, what: string): LoraExportError {
  return new LoraExportError('E_OUTPUT', `Found ${what} at ${visible(path)}; it was left alone.`, {
    hint: 'Look at it, and move it out of the export directory.',
  });
}

function failure(deed: string, path: string, error: unknown): LoraExportError {
  if (error instanceof LoraExportError) return error;
  const code = (error as NodeJS.ErrnoException).code ?? 'an unknown error';
  return new LoraExportError('E_OUTPUT', `Cannot ${deed} ${visible(path)}: the system reported ${code}.`, {
    hint: 'Check who owns it, its permissions and its attributes.',
    cause: error,
  });
}
