import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { access, link, lstat, mkdir, open, readdir, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { MANAGED_MARKER } from '../sinks/file.js';
import { openManagedDirectory } from '../sinks/managed-directory.js';
import { outputError } from '../sinks/output-errors.js';
import type { DoctorContext } from './context.js';
import { failedBy, ok, warning, type Finding } from './finding.js';

/** Whether exports can be stored in the managed directory, and nobody else reads them there. */
export async function checkDirectory({ directory, uid }: DoctorContext): Promise<Finding> {
  const root = resolve(directory);
  const fix =
    'Set LORA_EXPORT_DIR, or `directory` in the configuration, to a directory that you may write to.';
  try {
    const existing = await nearestExisting(root);
    if (existing !== root) {
      await access(existing, constants.W_OK);
      return ok(`${root} does not exist yet; the first export makes it`);
    }
    if (await hasMarker(root)) await openManagedDirectory(root);
    else {
      await access(root, constants.W_OK);
      const names = await readdir(root);
      if (names.length > 0) {
        return warning(
          `${root} is not a directory of lora-export, and holds ${names.length} other entries`,
          'Name a directory of its own for exports (LORA_EXPORT_DIR).',
        );
      }
    }
    await access(root, constants.W_OK);
    return await judge(root, uid);
  } catch (error) {
    return { ...failedBy(outputError(error, root)), fix };
  }
}

async function judge(root: string, uid: number | null): Promise<Finding> {
  const found = await lstat(root);
  const open = found.mode & 0o077;
  // Where there is no user id, there are no such modes either.
  if (uid !== null && found.uid !== uid && uid !== 0) {
    return warning(
      `${root} belongs to user id ${found.uid} and not to this one (${uid})`,
      'Let one account make exports, or give each a directory of its own (LORA_EXPORT_DIR).',
    );
  }
  if (uid !== null && open !== 0) {
    return warning(
      `${root} has mode ${(found.mode & 0o777).toString(8).padStart(4, '0')}: other users of this machine can see it`,
      `Close it: chmod 700 '${root.replaceAll("'", String.raw`'\''`)}'`,
    );
  }
  if (await supportsLinks(root)) return ok(`${root} is writable and private`);
  return warning(
    `${root} is on a file system without hard links: files are given their names under a lock instead`,
    'A local file system is safer when several machines export into this directory.',
  );
}

/** The directory itself, or the first above it that exists: there the missing ones would be made. */
export async function nearestExisting(path: string): Promise<string> {
  try {
    await lstat(path);
    return path;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || dirname(path) === path) throw error;
    return nearestExisting(dirname(path));
  }
}

async function hasMarker(root: string): Promise<boolean> {
  const found = await lstat(join(root, MANAGED_MARKER)).catch(() => null);
  return found !== null;
}

/** Tries it, in a directory that is gone afterwards. */
async function supportsLinks(root: string): Promise<boolean> {
  const trial = join(root, `.lora-export-doctor-${randomUUID()}`);
  await mkdir(trial, { mode: 0o700 });
  try {
    const handle = await open(join(trial, 'a'), 'wx', 0o600);
    await handle.close();
    return await link(join(trial, 'a'), join(trial, 'b')).then(
      () => true,
      () => false,
    );
  } finally {
    await rm(trial, { recursive: true, force: true });
  }
}
