import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { recoverDeadRuns } from '../../src/recovery.js';
import { withAccess } from './access.js';
import type { TestDatabase } from './database.js';
import { ageHeartbeats, endSessions, loggedRuns } from './seed.js';

/** What may be found after a run that was disturbed in some way. */
export interface Expectation {
  /** Everything below it is looked at: the target's directory, or the managed directory. */
  readonly directory: string;
  /** Name of the file that the run was to write; absent where it had to find one. */
  readonly name?: string;
  /** The bytes of a whole export. */
  readonly whole: string;
  /** What the target held before; null = there was none. */
  readonly older: string | null;
}

/**
 * The promises that hold after every disturbance (one database, one run): what `completed` says is true, nothing
 * partial has the final name, success means a completed row; and after recovery no row is open and nothing lies around.
 * Returns what is broken, in words; empty when all holds.
 */
export async function brokenPromises(
  database: TestDatabase,
  { directory, name, whole, older }: Expectation,
  exitCode: number | undefined,
): Promise<string[]> {
  const broken: string[] = [];
  const check = async (when: string): Promise<void> => {
    const runs = await loggedRuns(database.sql);
    for (const path of await filesBelow(directory)) {
      if (path.endsWith('.partial') || path.endsWith('.lora-export-directory')) continue;
      const text = await readFile(path, 'utf8');
      const mayBeOlder = older !== null && path === join(directory, name ?? '');
      if (text !== whole && !(mayBeOlder && text === older)) broken.push(`${when}: ${path} is partial`);
    }
    for (const { status, file_url: url, file_size: size, sha256 } of runs) {
      if (status !== 'completed' || url === null) continue;
      const bytes = await readFile(fileURLToPath(url)).catch(() => null);
      if (bytes === null) broken.push(`${when}: the row is completed, but ${url} is missing`);
      else if (String(bytes.length) !== size || createHash('sha256').update(bytes).digest('hex') !== sha256)
        broken.push(`${when}: the row is completed, but ${url} has other bytes`);
    }
    if (exitCode === 0 && !runs.some(({ status }) => status === 'completed'))
      broken.push(`${when}: status 0, but no row is completed`);
  };

  await endSessions(database.sql);
  await check('before recovery');
  await recoverAll(database);
  await check('after recovery');
  const runs = await loggedRuns(database.sql);
  for (const { status } of runs)
    if (status === 'processing') broken.push('a row is still open after recovery');
  for (const path of await filesBelow(directory))
    if (/\.partial$|\.lock$/.test(path)) broken.push(`${path} was left after recovery`);
  if (older !== null && name !== undefined) {
    const text = await readFile(join(directory, name), 'utf8').catch(() => null);
    if (text === null) broken.push('the older file is gone');
  }
  if (runs.every(({ status }) => status === 'failed')) {
    const extra = (await filesBelow(directory)).filter((path) => !path.endsWith('.lora-export-directory'));
    const left = older === null ? extra : extra.filter((path) => path !== join(directory, name ?? ''));
    if (left.length > 0) broken.push(`no row is completed, but there is ${left.join(', ')}`);
  }
  return broken;
}

/** Lets every open run look dead, and does what the next writing command would do first. */
async function recoverAll(database: TestDatabase): Promise<void> {
  await ageHeartbeats(database.sql);
  await withAccess(database, undefined, (access) => recoverDeadRuns(access, hostname()));
}

async function filesBelow(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => !entry.isDirectory()).map((entry) => join(entry.parentPath, entry.name));
}
