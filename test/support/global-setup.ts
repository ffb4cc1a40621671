import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import postgres from 'postgres';
import type { TestProject } from 'vitest/node';

import { giveTo, prepareServerDirectory } from '../../src/embedded/account.js';
import { findBinaries } from '../../src/embedded/binaries.js';
import { ensureCluster, superuser } from '../../src/embedded/cluster.js';
import { spawnPostmaster } from '../../src/embedded/postmaster.js';

/** How a test reaches the server of this run. */
export interface TestServer {
  socketDirectory: string;
  user: string;
}

declare module 'vitest' {
  interface ProvidedContext {
    testServer: TestServer;
  }
}

/** One fresh PostgreSQL for the whole run, on a Unix socket only, so that several runs never meet. */
export default async function setup({ provide }: TestProject): Promise<() => Promise<void>> {
  const root = await makeReachableDirectory();
  try {
    const stop = await startServer(root);
    const server = { socketDirectory: join(root, 'socket'), user: superuser };
    try {
      await createTemplate(server);
    } catch (error) {
      await stop();
      throw error;
    }
    provide('testServer', server);
    return async () => {
      await stop();
      await rm(root, { recursive: true, force: true });
    };
  } catch (error) {
    await rm(root, { recursive: true, force: true });
    throw error;
  }
}

/** As root the server runs under another account, which cannot enter a private temporary directory. */
async function makeReachableDirectory(): Promise<string> {
  const parent = process.getuid?.() === 0 ? '/tmp' : tmpdir();
  const root = await mkdtemp(join(parent, 'lora-test-'));
  await chmod(root, 0o755);
  return root;
}

async function startServer(root: string): Promise<() => Promise<void>> {
  const home = join(root, 'server');
  const account = await prepareServerDirectory(home, process.getuid?.() ?? -1);
  const binaries = await findBinaries({ account, copyTo: home, path: process.env['PATH'] });
  const data = await ensureCluster(home, { binaries, account, initdbFlags: ['--no-sync'] });
  const socketDirectory = join(root, 'socket');
  await mkdir(socketDirectory, { mode: 0o755 });
  await giveTo(account, socketDirectory);
  const logFile = join(home, 'server.log');
  const child = await spawnPostmaster({
    postgres: binaries.postgres,
    account,
    data,
    socketDirectory,
    logFile,
    settings: ['fsync=off', 'max_connections=200'],
  });
  try {
    await waitUntilReady({ socketDirectory, user: superuser }, () => child.exitCode === null);
  } catch (error) {
    child.kill('SIGKILL');
    throw new Error(`The test server did not start:\n${await readFile(logFile, 'utf8')}`, { cause: error });
  }
  const guard = guardAgainstKill(child.pid ?? 0, root);
  return async () => {
    guard.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) {
      child.ref();
      const exit = once(child, 'exit');
      child.kill('SIGQUIT');
      await exit;
    }
  };
}

/** A killed test run has no teardown; this shell notices the closed pipe, and leaves no server or directory behind. */
function guardAgainstKill(pid: number, root: string) {
  const script = 'cat; kill -QUIT "$0"; sleep 1; rm -rf "$1"';
  return spawn('/bin/sh', ['-c', script, String(pid), root], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
}

async function waitUntilReady(server: TestServer, isRunning: () => boolean): Promise<void> {
  for (const start = Date.now(); ; await delay(20)) {
    const sql = connect(server, 'postgres');
    try {
      await sql`select 1`;
      return;
    } catch (error) {
      if (!isRunning() || Date.now() - start > 60_000) {
        throw error;
      }
    } finally {
      await sql.end();
    }
  }
}

/** What `createDatabase('ready')` copies: the application's tables, then our own migrations. */
async function createTemplate(server: TestServer): Promise<void> {
  const project = join(import.meta.dirname, '..', '..');
  const migrations = (await readdir(join(project, 'sql'))).filter((name) => /^\d.*\.sql$/.test(name)).sort();
  const maintenance = connect(server, 'postgres');
  try {
    await maintenance`create database ready`;
  } finally {
    await maintenance.end();
  }
  const sql = connect(server, 'ready');
  try {
    for (const file of ['fixtures/source-schema.sql', ...migrations.map((name) => `sql/${name}`)]) {
      const text = await readFile(join(project, file), 'utf8');
      await sql
        .unsafe(text)
        .simple()
        .catch((cause: unknown) => {
          throw new Error(`${file} does not apply to an empty database`, { cause });
        });
    }
  } finally {
    await sql.end();
  }
}

function connect({ socketDirectory, user }: TestServer, database: string): postgres.Sql {
  return postgres({ host: socketDirectory, port: 5432, user, database, max: 1, onnotice: () => {} });
}
