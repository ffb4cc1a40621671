import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { LoraExportError } from '../errors.js';
import { commandAs, giveTo, type ServerAccount } from './account.js';
import type { Binaries } from './binaries.js';

const run = promisify(execFile);

/** The superuser of every cluster made here; it has no password, because only the owner can reach the socket. */
export const superuser = 'postgres';

/** An unfinished cluster older than this was left by a killed process; initdb takes seconds. */
const abandonedAfterMs = 60 * 60_000;

interface ClusterOptions {
  readonly binaries: Binaries;
  readonly account: ServerAccount;
  /** Added to initdb's own flags. */
  readonly initdbFlags?: readonly string[];
  readonly signal?: AbortSignal | undefined;
  readonly log?: ((line: string) => void) | undefined;
}

/**
 * Makes the cluster `data-<major>` in `directory` unless it is there, and returns its path. Processes may race: each
 * makes its own and the first rename wins. The major version is in the name because no pg_upgrade is at hand.
 * Throws E_DB_UNREACHABLE when initdb fails.
 */
export async function ensureCluster(directory: string, options: ClusterOptions): Promise<string> {
  const data = join(directory, `data-${options.binaries.major}`);
  if (await isCluster(data)) {
    return data;
  }
  options.log?.('Creating the embedded database (once)');
  await removeAbandoned(directory);
  const unfinished = `${data}.${process.pid}-${randomBytes(3).toString('hex')}.tmp`;
  try {
    await initialize(unfinished, options);
    await rename(unfinished, data);
  } catch (error) {
    if (!(await isCluster(data))) {
      throw error;
    }
  } finally {
    await remove(unfinished);
  }
  return data;
}

async function isCluster(data: string): Promise<boolean> {
  return stat(join(data, 'PG_VERSION')).then(
    () => true,
    () => false,
  );
}

/** An initdb that was just stopped may still be writing for a moment. */
async function remove(directory: string): Promise<void> {
  await rm(directory, { recursive: true, force: true, maxRetries: 5 });
}

async function removeAbandoned(directory: string): Promise<void> {
  const unfinished = (await readdir(directory)).filter((name) => /^data-\d+\..*\.tmp$/.test(name));
  for (const name of unfinished) {
    const path = join(directory, name);
    const age = await stat(path).then(
      ({ mtimeMs }) => Date.now() - mtimeMs,
      () => 0,
    );
    if (age > abandonedAfterMs) {
      await remove(path);
    }
  }
}

async function initialize(
  data: string,
  { binaries, account, initdbFlags = [], signal }: ClusterOptions,
): Promise<void> {
  let failure: unknown;
  for (const locale of localesFor(binaries.major)) {
    const flags = ['-D', data, '-U', superuser, '-A', 'trust', '-E', 'UTF8', ...locale, ...initdbFlags];
    const { file, args, options } = commandAs(account, binaries.initdb, flags);
    try {
      await mkdir(data, { mode: 0o700 });
      await giveTo(account, data);
      await run(file, args, { ...options, ...(signal && { signal }) });
      return;
    } catch (error) {
      signal?.throwIfAborted();
      failure = error;
      await remove(data);
    }
  }
  throw new LoraExportError('E_DB_UNREACHABLE', 'The embedded database could not be created.', {
    hint: `${lastLines(stderrOf(failure), 3)}\nSet LORA_EXPORT_HOME to a local directory with 200 MB free, or pass --database-url.`.trim(),
    cause: failure,
  });
}

/**
 * PostgreSQL 17 has its own UTF-8 locale; before, the name depends on the machine. Plain C is the last resort,
 * because it does not know the case of letters beyond ASCII.
 */
function localesFor(major: number): string[][] {
  return major >= 17
    ? [['--locale-provider=builtin', '--builtin-locale=C.UTF-8', '--locale=C']]
    : [['--locale=C.UTF-8'], ['--locale=en_US.UTF-8'], ['--locale=C']];
}

function stderrOf(error: unknown): string {
  return error instanceof Error && 'stderr' in error ? String(error.stderr) : '';
}

/** The last `count` lines of a program's output that are not blank. */
export function lastLines(text: string, count: number): string {
  return text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .slice(-count)
    .join('\n');
}
