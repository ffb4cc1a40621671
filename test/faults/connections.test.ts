import { createServer, connect as dial, type Socket } from 'node:net';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest';

import { makeSandbox, type Ended, type Sandbox } from '../support/cli.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { listen, startProxy, type Proxy } from '../support/proxy.js';
import { random } from '../support/random.js';
import { loggedRuns, seed } from '../support/seed.js';
import { brokenPromises } from '../support/truth.js';

/** Repeat a failure with the seed that the failed run printed. */
const SEED = Number(process.env['FAULT_SEED'] ?? Date.now() % 1_000_000);
/** Cuts per kind; fewer for a quick look. */
const ROUNDS = Number(process.env['FAULT_ROUNDS'] ?? 60);

let database: TestDatabase;
let box: Sandbox;
let whole: string;
let total: number;

beforeAll(async () => {
  process.stderr.write(`connection faults: FAULT_SEED=${SEED}\n`);
  database = await createDatabase();
  await seed(database.sql, 300, 4_000);
  box = await makeSandbox(database);
  whole = (await box.lora(['export'])).stdout;
  const proxy = await startProxy(upstream());
  await box.lora(['export'], { database: through(proxy) });
  total = proxy.bytesFromServer;
  await proxy.close();
});

afterAll(async () => {
  await database.drop();
  await box.remove();
});

beforeEach(clean);

async function clean(): Promise<void> {
  await rm(box.directory, { recursive: true, force: true });
  await mkdir(box.directory);
  await database.sql`delete from export_logs`;
}

function upstream(): { path: string } {
  return { path: join(inject('testServer').socketDirectory, '.s.PGSQL.5432') };
}

function through({ port }: { port: number }): { url: string } {
  return { url: `postgres://${inject('testServer').user}@127.0.0.1:${port}/${database.name}` };
}

/** Success means the whole file and a completed row; everything else an orderly failure without a stack trace. */
async function lies(what: string, ended: Ended, where: 'stdout' | 'file'): Promise<string[]> {
  const { exitCode, stdout, stderr } = ended;
  const broken = await brokenPromises(
    database,
    { directory: box.directory, name: 'out.jsonl', whole, older: null },
    exitCode,
  );
  if (exitCode === 0 && where === 'stdout' && stdout !== whole)
    broken.push('status 0 with other bytes on stdout');
  if (exitCode === 0 && where === 'file') {
    const text = await readFile(box.path('out.jsonl'), 'utf8').catch(() => null);
    if (text !== whole) broken.push('status 0 with another file');
  }
  if (exitCode === undefined || exitCode === 1 || /^\s+at |unexpected error/m.test(stderr))
    broken.push(`status ${exitCode}: ${stderr}`);
  return broken.map((promise) => `${what}: ${promise}`);
}

describe('a connection that breaks at a random byte', () => {
  test.each(['cut', 'reset'] as const)('never gives a wrong stream: %s', async (how) => {
    const next = random(SEED + how.length);
    const broken: string[] = [];
    const statuses = new Set<number | undefined>();
    for (let round = 0; round < ROUNDS; round++) {
      // Most offsets beyond the login, whose repetition takes seconds.
      const offset = Math.floor(round % 10 === 0 ? next() * 1_000 : 1_000 + next() * total);
      const ended = await disturbed(['export'], (proxy) => proxy.failAfter(offset, how));
      statuses.add(ended.exitCode);
      broken.push(...(await lies(`${how} after ${offset}`, ended, 'stdout')));
      await clean();
    }
    expect(broken).toEqual([]);
    expect([...statuses]).toContain(20);
  });

  test('never gives a wrong file, however often it is tried', async () => {
    const next = random(SEED);
    const broken: string[] = [];
    for (let round = 0; round < ROUNDS / 5; round++) {
      const offset = Math.floor(1_000 + next() * total);
      const ended = await disturbed(['export', '--output', 'out.jsonl'], (proxy) =>
        proxy.failAfter(offset, 'reset'),
      );
      broken.push(...(await lies(`reset after ${offset}`, ended, 'file')));
      await clean();
    }
    expect(broken).toEqual([]);
  });

  test('once is made good by another attempt, with the same bytes', async () => {
    const next = random(SEED);
    for (let round = 0; round < ROUNDS / 8; round++) {
      const ended = await disturbed(['export', '--output', 'out.jsonl'], (proxy) => {
        const offset = total * (0.1 + 0.7 * next());
        const timer = setInterval(() => {
          if (proxy.bytesFromServer < offset) return;
          clearInterval(timer);
          proxy.reset();
        }, 1);
        timer.unref();
      });
      expect(await lies('one reset', ended, 'file')).toEqual([]);
      expect(ended.exitCode).toBe(0);
      await clean();
    }
  });
});

// A cut login is tried again after pauses of seconds, so this one takes long.
test(
  'a connection that is cut at any border between two messages never gives a wrong stream',
  { timeout: 3_600_000 },
  async () => {
    const broken: string[] = [];
    const recorded = await recordBorders();
    expect(recorded.length).toBe(2);
    for (const [connection, borders] of recorded.entries()) {
      // The long middle of the snapshot's connection is rows, each like the other: both ends, and a sample between.
      const sample = borders.filter(
        (_, index) => index < 60 || index >= borders.length - 30 || index % 37 === 0,
      );
      for (const border of sample) {
        const ended = await cutOnce(connection, border);
        broken.push(...(await lies(`connection ${connection} cut after ${border}`, ended, 'stdout')));
        await clean();
      }
    }
    expect(broken).toEqual([]);
  },
);

test('a backend that is ended between two batches is tried again, or is status 20 on standard output', async () => {
  for (const [where, args] of [
    ['stdout', ['export', '--batch-size', '10']],
    ['file', ['export', '--batch-size', '10', '--output', 'out.jsonl']],
  ] as const) {
    const run = box.start(args, { env: { LORA_EXPORT_TEST_PHASES: '1' }, reads: where === 'file' });
    await run.shown('phase=writing');
    await database.sql`
      select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and application_name = 'lora-export snapshot'`;
    run.child.stdout?.resume();
    const ended = await run.ended;
    if (where === 'stdout') expect([20]).toContain(ended.exitCode);
    expect(await lies(`terminated, ${where}`, { ...ended, stdout: whole }, where)).toEqual([]);
    await clean();
  }
});

test('a proxy that refuses everything from the middle on is status 20, with the row left to recovery', async () => {
  const proxy = await startProxy(upstream());
  try {
    const run = box.start(['export', '--output', 'out.jsonl'], {
      database: through(proxy),
      env: { LORA_EXPORT_TEST_PHASES: '1' },
    });
    await run.shown('phase=writing');
    proxy.refuse();
    proxy.reset();
    const ended = await run.ended;
    expect(ended.exitCode).toBe(20);
    expect((await loggedRuns(database.sql)).map(({ status }) => status)).toEqual(['processing']);
    expect(await lies('refused', ended, 'file')).toEqual([]);
  } finally {
    await proxy.close();
  }
});

async function disturbed(args: readonly string[], disturb: (proxy: Proxy) => void): Promise<Ended> {
  const proxy = await startProxy(upstream());
  try {
    disturb(proxy);
    return await box.lora(args, { database: through(proxy) });
  } finally {
    await proxy.close();
  }
}

/** Forwards each connection with `onData` told what came from the server; returns its port and how to end it. */
async function tap(
  onData: (connection: number, bytes: Buffer, client: Socket) => Buffer,
): Promise<{ port: number; close: () => void }> {
  const sockets = new Set<Socket>();
  let connections = 0;
  const server = createServer((client) => {
    const connection = connections++;
    const onward = dial(upstream().path);
    for (const socket of [client, onward]) sockets.add(socket.on('error', () => socket.destroy()));
    client.pipe(onward);
    onward.on('data', (bytes: Buffer) => client.writable && client.write(onData(connection, bytes, client)));
    onward.on('close', () => client.destroy());
    client.on('close', () => onward.destroy());
  });
  const port = await listen(server);
  return {
    port,
    close: () => {
      sockets.forEach((socket) => socket.destroy());
      server.close();
    },
  };
}

/** After how many bytes of each connection a message of the server ends (a letter, then a length that counts itself). */
async function recordBorders(): Promise<number[][]> {
  const streams: Buffer[][] = [];
  const { port, close } = await tap((connection, bytes) => {
    (streams[connection] ??= []).push(bytes);
    return bytes;
  });
  const { exitCode } = await box.lora(['export'], { database: through({ port }) });
  expect(exitCode).toBe(0);
  close();
  await clean();
  return streams.map((chunks) => {
    const stream = Buffer.concat(chunks);
    const borders: number[] = [];
    for (let end = 0; end + 5 <= stream.length;) borders.push((end += 1 + stream.readInt32BE(end + 1)));
    return borders;
  });
}

/** One run whose connection of that number ends after so many bytes; those that follow live. */
async function cutOnce(number: number, border: number): Promise<Ended> {
  let seen = 0;
  const { port, close } = await tap((connection, bytes, client) => {
    if (connection !== number) return bytes;
    const rest = border - seen;
    seen += bytes.length;
    if (bytes.length < rest) return bytes;
    setImmediate(() => client.destroy());
    return bytes.subarray(0, Math.max(0, rest));
  });
  try {
    return await box.lora(['export'], { database: through({ port }) });
  } finally {
    close();
  }
}
