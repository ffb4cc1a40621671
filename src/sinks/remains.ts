import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { lstat, rmdir, unlink } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { numberedName, partialName } from './file.js';
import type { OutputRecord, Sealed } from './sink.js';

/** A dead run of a generated name tries few; looking further than this would find other people's files. */
const MOST_NAMES = 100;

/**
 * The file that a dead run had published before it could say so, or null. It is ours when its bytes are those announced
 * and the temporary name is gone or names the same file: a run unlinks that name only after publishing.
 */
export async function findPublished(
  record: OutputRecord,
  exportId: string,
  sealed: Sealed,
): Promise<string | null> {
  const { directory, name } = record;
  // The record comes out of a database: a name that leads elsewhere is none of ours.
  if (directory === undefined || name === undefined || basename(name) !== name) return null;
  const temporary = await lstat(join(directory, partialName(exportId))).catch(() => null);
  for (let number = 1; number <= MOST_NAMES; number++) {
    const path = join(directory, number === 1 ? name : numberedName(name, number));
    const found = await lstat(path).catch(() => null);
    if (found === null) return null;
    if (!found.isFile() || found.size !== sealed.size) continue;
    if (temporary !== null && (temporary.ino !== found.ino || temporary.dev !== found.dev)) continue;
    if ((await sha256Of(path)) === sealed.sha256) return pathToFileURL(path).href;
  }
  return null;
}

/** Removes the temporary file of a dead run: only a regular file of the very name that its export id gives. */
export async function removePartial(record: OutputRecord, exportId: string): Promise<void> {
  const { directory, managed = false } = record;
  if (directory === undefined) return;
  const path = join(directory, partialName(exportId));
  const found = await lstat(path).catch(() => null);
  if (found?.isFile()) await unlink(path).catch(() => undefined);
  // Only a directory that bears the id of the export can be its own; this succeeds only when it is empty.
  if (managed && basename(directory) === exportId) await rmdir(directory).catch(() => undefined);
}

async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}
