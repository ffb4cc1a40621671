import { execFileSync } from 'node:child_process';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { spawn } from '@lydell/node-pty';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { makeSandbox, program, type Sandbox } from '../support/cli.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { loggedRuns, seed } from '../support/seed.js';
import { brokenPromises, type Expectation } from '../support/truth.js';

const hasStrace = (() => {
  try {
    execFileSync('strace', ['-qq', '-e', 'trace=none', 'true'], { stdio: 'ignore' });
    return true;
  } catch {
    process.stderr.write('SKIPPED: killing at every system call needs strace and the right to trace.\n');
    return false;
  }
})();

/** Every call by which a run changes a file, a directory or what the server knows. */
const CHANGES =
  'write,pwrite64,writev,fsync,fdatasync,link,linkat,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,rmdir';
/** Calls of files alone: an error in them meets the export and nothing else. */
const FILE_CALLS = ['fsync', 'link', 'rename', 'unlink', 'rmdir'] as const;
/** No run makes more calls of one kind in one thread; beyond it something is wrong with the test. */
const MOST_CALLS = 400;

const hasNamespaces = (() => {
  try {
    execFileSync('unshare', ['-Urm', 'mount', '-t', 'tmpfs', 'none', '/mnt'], { stdio: 'ignore' });
    return true;
  } catch {
    process.stderr.write('SKIPPED: filling a disk needs unshare and the right to mount.\n');
    return false;
  }
})();

let database: TestDatabase;
let box: Sandbox;
let whole: string;

beforeAll(async () => {
  database = await createDatabase();
  await seed(database.sql, 300, 4_000);
  box = await makeSandbox(database);
  whole = (await box.lora(['export'])).stdout;
});

afterAll(async () => {
  await database.drop();
  await box.remove();
});

interface Way {
  readonly args: readonly string[];
  readonly older: string | null;
  readonly expectation: () => Expectation;
  readonly isManaged?: boolean;
}

const toFile = (): Omit<Expectation, 'older'> => ({ directory: box.directory, name: 'out.jsonl', whole });

const ways: Record<string, Way> = {
  'a new file': {
    args: ['export', '--output', 'out.jsonl'],
    older: null,
    expectation: () => ({ ...toFile(), older: null }),
  },
  'a file to replace': {
    args: ['export', '--output', 'out.jsonl', '--force'],
    older: 'older\n',
    expectation: () => ({ ...toFile(), older: 'older\n' }),
  },
  'the managed directory': {
    args: ['export'],
    older: null,
    expectation: () => ({ directory: join(box.state, 'exports'), whole, older: null }),
    isManaged: true,
  },
};

/** Runs the program under an injection; a killed run has no exit code. */
async function runInjected(injection: string, { args, isManaged }: Way): Promise<number | undefined> {
  const strace = ['-f', '-qq', '-o', '/dev/null', '-e', `trace=${CHANGES}`, '-e', `inject=${injection}`];
  const line = [...strace, process.execPath, program, ...args];
  // One thread for files: strace counts the calls of each thread by itself.
  const env = { ...box.env, UV_THREADPOOL_SIZE: '1', DATABASE_URL: database.url, TERM: 'dumb' };
  if (!isManaged) {
    const { exitCode } = await box.shell('exec strace "${@:3}"', line, { env });
    return exitCode;
  }
  return new Promise((resolve) => {
    const terminal = spawn('strace', line, { cwd: box.directory, env });
    terminal.onExit(({ exitCode, signal }) => resolve(signal ? undefined : exitCode));
  });
}

/** One disturbed run in fresh surroundings; says what it broke. */
async function disturb(
  injection: string,
  way: Way,
): Promise<{ exitCode: number | undefined; broken: string[] }> {
  await rm(box.directory, { recursive: true, force: true });
  await rm(box.state, { recursive: true, force: true });
  await mkdir(box.directory);
  await database.sql`delete from export_logs`;
  if (way.older !== null) await writeFile(box.path('out.jsonl'), way.older);
  const exitCode = await runInjected(injection, way);
  const broken = await brokenPromises(database, way.expectation(), exitCode);
  return { exitCode, broken: broken.map((what) => `${injection}: ${what}`) };
}

describe.runIf(hasStrace).each(Object.entries(ways))('%s', (_name, way) => {
  test('keeps every promise when the run is killed at any call that changes something', async () => {
    const broken: string[] = [];
    let points = 0;
    for (let call = 1; ; call++) {
      if (call > MOST_CALLS) throw new Error('The run never got through.');
      const result = await disturb(`${CHANGES}:signal=KILL:when=${call}`, way);
      broken.push(...result.broken);
      if (result.exitCode === 0) break;
      points++;
    }
    process.stderr.write(`${points} kill points\n`);
    expect(broken).toEqual([]);
    expect(points).toBeGreaterThan(20);
  });

  test.each(['EIO', 'ENOSPC'])('keeps every promise when one call of a file fails with %s', async (error) => {
    const broken: string[] = [];
    for (const name of FILE_CALLS) {
      for (const call of [1, 2, 3]) {
        const result = await disturb(`${name}:error=${error}:when=${call}`, way);
        broken.push(...result.broken);
        // A call that the run does not make so often fails nothing.
        if (result.exitCode === 0) break;
      }
    }
    expect(broken).toEqual([]);
  });
});

describe.runIf(hasStrace)('a failed fsync', () => {
  test.each(['EIO', 'ENOSPC'])('of the file (%s) is status 24: nothing is published', async (error) => {
    const way = ways['a new file'] as Way;
    const { exitCode, broken } = await disturb(`fsync:error=${error}:when=1`, way);
    expect(broken).toEqual([]);
    expect(exitCode).toBe(24);
    expect(await box.files()).toEqual([]);
  });
});

describe.runIf(hasNamespaces)('a disk that fills up', () => {
  // The export has 2.4 MB: nothing fits, a part of the first flush, the first, all but the last.
  test.each(['4k', '512k', '1100k', '2300k'])(
    'at %s is status 24, a failed row, and nothing left',
    async (size) => {
      await rm(box.directory, { recursive: true, force: true });
      await mkdir(box.path('disk'), { recursive: true });
      await database.sql`delete from export_logs`;
      const inside = `mount -t tmpfs -o size=${size} none disk && cd disk && "$@"; status=$?; ls -A; exit $status`;
      const { exitCode, stdout, stderr } = await box.shell(`unshare -Urm bash -c '${inside}' bash "$@"`, [
        'export',
        '--output',
        'out.jsonl',
      ]);
      expect(stderr).toContain('no space left');
      expect({ exitCode, stdout }).toEqual({ exitCode: 24, stdout: '' });
      expect((await loggedRuns(database.sql)).map(({ status }) => status)).toEqual(['failed']);
    },
  );
});
