import { constants } from 'node:fs';
import { access, link, lstat, mkdir, open, rename, rmdir, unlink, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { LoraExportError } from '../errors.js';
import { visible } from '../visible.js';
import { Digest } from './digest.js';
import { outputError } from './output-errors.js';
import { syncDirectory } from './sync-directory.js';
import type { Destination, DestinationContext, OutputRecord, Published, Sink } from './sink.js';

/** Marks the directory as ours: cleanup works in no other. */
export const MANAGED_MARKER = '.lora-export-directory';

/** How many `-2`, `-3` … are tried for a generated name that is taken. */
const MOST_SUFFIXES = 10_000;

/** A file that the user named. It is refused when it exists, unless `force` says to replace it. */
export async function prepareFile(path: string, context: DestinationContext): Promise<Destination> {
  const absolute = resolve(path);
  const existing = await lstat(absolute).catch((error: unknown) => {
    if (isCode(error, 'ENOENT')) return null;
    throw outputError(error, absolute);
  });
  if (existing !== null && !existing.isFile()) {
    // A symbolic link is refused as well: its target may be anything, and a rename would replace the link.
    throw new LoraExportError('E_OUTPUT_EXISTS', `${visible(absolute)} exists and is not a regular file.`, {
      hint: 'Name another path with --output; a directory is written with a trailing slash.',
    });
  }
  if (existing !== null && !context.force) throw existsError(absolute);
  await requireWritableDirectory(dirname(absolute));
  return fileDestination({ directory: dirname(absolute), name: basename(absolute) }, context);
}

/** A directory that the user named: the file gets a generated name, `-2` appended where that is taken. */
export async function prepareInDirectory(path: string, context: DestinationContext): Promise<Destination> {
  const directory = resolve(path);
  await requireWritableDirectory(directory);
  return fileDestination({ directory }, { ...context, force: false });
}

/**
 * The managed directory, made when missing. Each export gets a directory of its own below it, named by the export id,
 * so that cleanup can derive what to delete from the id alone and never from a path in the database.
 */
export async function prepareManaged(root: string, context: DestinationContext): Promise<Destination> {
  const absolute = resolve(root);
  await makeManagedDirectory(absolute);
  return fileDestination(
    { directory: join(absolute, context.exportId), managed: true },
    { ...context, force: false },
  );
}

async function makeManagedDirectory(root: string): Promise<void> {
  try {
    await mkdir(root, { recursive: true, mode: 0o700 });
    const handle = await open(join(root, MANAGED_MARKER), 'a', 0o600);
    await handle.close();
    await access(root, constants.W_OK);
  } catch (error) {
    throw outputError(error, root);
  }
}

async function requireWritableDirectory(directory: string): Promise<void> {
  try {
    const found = await lstat(`${directory}/`);
    if (!found.isDirectory()) throw Object.assign(new Error('not a directory'), { code: 'ENOTDIR' });
    await access(directory, constants.W_OK);
  } catch (error) {
    throw outputError(error, directory);
  }
}

interface FilePlace {
  readonly directory: string;
  readonly name?: string;
  readonly managed?: boolean;
}

function fileDestination(place: FilePlace, context: DestinationContext): Destination {
  const partial = partialName(context.exportId);
  const record: OutputRecord = { kind: 'file', partial, ...place };
  return { record, restartable: true, open: () => openFile(place, partial, context.force) };
}

/** Hidden, recognisable, and of one length whatever the final name is. */
export function partialName(exportId: string): string {
  return `.lora-export-${exportId}.partial`;
}

async function openFile(place: FilePlace, partial: string, force: boolean): Promise<Sink> {
  const { directory, name, managed = false } = place;
  const temporary = join(directory, partial);
  const digest = new Digest();
  const step = async <T>(location: string, action: () => Promise<T>): Promise<T> => {
    try {
      return await action();
    } catch (error) {
      throw outputError(error, location);
    }
  };

  if (managed) await step(directory, () => makeOwnDirectory(directory));
  // `wx` follows nothing and replaces nothing: a file or link planted under this name fails the run.
  const handle = await step(temporary, () => open(temporary, 'wx', 0o600));
  const { ino, dev } = await step(temporary, () => handle.stat());
  let state: 'open' | 'sealed' | 'published' = 'open';
  let final: string | undefined;

  const isOurs = async (path: string): Promise<boolean> => {
    const found = await lstat(path).catch(() => null);
    return found !== null && found.ino === ino && found.dev === dev;
  };

  const retract = async (): Promise<boolean> => {
    // With `force` the file that stood there is already gone, and ours is a whole one: it stays.
    if (final === undefined || force || !(await isOurs(final))) return false;
    await unlink(final).catch(() => undefined);
    if (managed) await rmdir(directory).catch(() => undefined);
    return true;
  };

  return {
    write: (bytes) =>
      step(temporary, async () => {
        await writeAll(handle, bytes);
        digest.update(bytes);
      }),

    seal: () =>
      step(temporary, async () => {
        // A failed fsync is final: the kernel may have dropped the pages, and a second one would lie.
        await handle.sync();
        await handle.close();
        state = 'sealed';
        return digest.seal();
      }),

    publish: (fileName): Promise<Published> =>
      step(join(directory, name ?? fileName), async () => {
        // The directory may have been swapped since: only our own file is given the name.
        if (!(await isOurs(temporary)))
          throw Object.assign(new Error('the temporary file is gone'), { code: 'ENOENT' });
        final = await giveName(temporary, directory, name ?? fileName, {
          force,
          numbered: name === undefined,
        });
        state = 'published';
        await syncDirectory(directory).catch(async (error: unknown) => {
          // This run will be called failed, so it must not leave a file.
          await retract();
          throw error;
        });
        return { location: final, url: pathToFileURL(final).href };
      }),

    retract,

    async abort() {
      if (state === 'published') return;
      if (state === 'open') await handle.close().catch(() => undefined);
      if (await isOurs(temporary)) await unlink(temporary).catch(() => undefined);
      if (managed) await rmdir(directory).catch(() => undefined);
    },
  };
}

async function makeOwnDirectory(directory: string): Promise<void> {
  await mkdir(directory, { mode: 0o700 }).catch((error: unknown) => {
    // A second attempt of the same export finds its own directory.
    if (!isCode(error, 'EEXIST')) throw error;
  });
  await syncDirectory(dirname(directory));
}

async function writeAll(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  // The system may take fewer bytes than offered.
  for (let offset = 0; offset < bytes.length;) {
    const { bytesWritten } = await handle.write(bytes, offset, bytes.length - offset);
    offset += bytesWritten;
  }
}

/**
 * Moves the temporary file to its final name in one step. A hard link fails when the name is taken, even by a dangling
 * link, which no check beforehand can promise; `rename` is for replacing.
 */
async function giveName(
  temporary: string,
  directory: string,
  name: string,
  { force, numbered }: { force: boolean; numbered: boolean },
): Promise<string> {
  if (force) {
    const final = join(directory, name);
    await rename(temporary, final);
    return final;
  }
  for (let number = 1; number <= (numbered ? MOST_SUFFIXES : 1); number++) {
    const final = join(directory, number === 1 ? name : numberedName(name, number));
    if (await linkOrMove(temporary, final)) return final;
  }
  throw existsError(join(directory, name));
}

/** `a.jsonl.gz` → `a-2.jsonl.gz`. */
export function numberedName(name: string, number: number): string {
  const dot = name.indexOf('.');
  return dot < 0 ? `${name}-${number}` : `${name.slice(0, dot)}-${number}${name.slice(dot)}`;
}

/** False when the name is taken. */
async function linkOrMove(temporary: string, final: string): Promise<boolean> {
  try {
    await link(temporary, final);
  } catch (error) {
    if (isCode(error, 'EEXIST')) return false;
    if (!isCode(error, 'EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK')) throw error;
    return moveUnderLock(temporary, final);
  }
  await unlink(temporary).catch(async (error: unknown) => {
    // The file has both names now, and a run that fails must leave neither.
    await unlink(final).catch(() => undefined);
    throw error;
  });
  return true;
}

/** For file systems without hard links: the lock keeps two exports apart, so that check and rename act as one. */
async function moveUnderLock(temporary: string, final: string): Promise<boolean> {
  const lock = join(dirname(final), `.${basename(final)}.lock`);
  let handle: FileHandle;
  try {
    handle = await open(lock, 'wx', 0o600);
  } catch (error) {
    if (isCode(error, 'EEXIST')) return false;
    throw error;
  }
  try {
    const taken = await lstat(final).then(
      () => true,
      (error: unknown) => {
        if (isCode(error, 'ENOENT')) return false;
        throw error;
      },
    );
    if (!taken) await rename(temporary, final);
    return !taken;
  } finally {
    await handle.close();
    await unlink(lock);
  }
}

function existsError(path: string): LoraExportError {
  return new LoraExportError('E_OUTPUT_EXISTS', `${visible(path)} exists already.`, {
    hint: 'Name another path with --output, or replace it with --force.',
  });
}

function isCode(error: unknown, ...codes: string[]): boolean {
  return codes.includes((error as NodeJS.ErrnoException).code ?? '');
}
