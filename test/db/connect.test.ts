import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer as createHttpServer } from 'node:http';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { inspect } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, inject, it, vi } from 'vitest';

import { connect, type Connection, type ConnectOptions } from '../../src/db/connect.js';
import { parseDatabaseUrl, type DatabaseTarget } from '../../src/db/target.js';
import { LoraExportError } from '../../src/errors.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { listen, startProxy, type Proxy } from '../support/proxy.js';
import {
  hasOpenssl,
  makeCertificates,
  scramRole,
  startTlsFront,
  startTlsServer,
  type Certificates,
  type Listener,
} from '../support/tls.js';

const canary = 'hunter2-canary';
let database: TestDatabase;
let upstream: { path: string };
let user: string;
const cleanups: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  database = await createDatabase('empty');
  const server = inject('testServer');
  user = server.user;
  upstream = { path: join(server.socketDirectory, '.s.PGSQL.5432') };
});

afterAll(() => database.drop());

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) {
    await cleanup();
  }
});

describe('connect', () => {
  it('proves the session with a statement and names itself to the server', async () => {
    const connection = await open(directTarget(), { purpose: 'audit' });
    const [row] = await connection.ask(
      () => connection.sql`select current_setting('application_name') as name`,
    );
    expect(row).toEqual({ name: 'lora-export audit' });
    expect(connection.lost).toBeNull();
  });

  it('sends no startup parameters that a transaction pooler refuses', async () => {
    const connection = await open(directTarget());
    const rows = await connection.ask(
      () => connection.sql`select name from pg_settings where source = 'client' order by 1`,
    );
    // client_encoding is the one that every driver sends, and that poolers know.
    expect(rows.map((row) => row['name'] as string)).toEqual(['application_name', 'client_encoding']);
  });

  it('uses no named prepared statement behind a transaction pooler', async () => {
    const named = async (target: DatabaseTarget) => {
      const connection = await open(target);
      const [row] = await connection.ask(
        () => connection.sql`select count(*)::int as count from pg_prepared_statements where ${true}`,
      );
      return row?.['count'] as number;
    };
    expect(await named({ ...directTarget(), port: 6543 })).toBe(0);
    expect(await named(directTarget())).toBeGreaterThan(0);
  });

  it('is not influenced by the environment variables of libpq', async () => {
    const names = {
      PGHOST: 'nowhere.invalid',
      PGUSER: 'nobody',
      PGDATABASE: 'none',
      PGMAX: '0',
      PGSSL: 'require',
      PGDEBUG: '1',
      PGAPPNAME: 'x',
    };
    for (const [name, value] of Object.entries(names)) {
      vi.stubEnv(name, value);
    }
    cleanups.push(async () => vi.unstubAllEnvs());
    const connection = await open(directTarget());
    const [row] = await connection.ask(() => connection.sql`select current_user as name`);
    expect(row).toEqual({ name: user });
  });

  it('reads and writes arrays, with NULL inside', async () => {
    const { sql, ask } = await open(directTarget());
    const words = ['a', 'b"c\\d', '{e,f}', '', 'NULL', ' g '];
    const ids = ['7d444840-9dc0-11d1-b245-5ffdce74fad2'];
    const [row] = await ask(
      () => sql`
        select ${words}::text[] as words, ${[1, 2]}::int[] as numbers, ${ids}::uuid[] as ids,
          array[null, 'NULL', 'x']::text[] as nulls, '{{1,2},{3,null}}'::int[] as nested, '{}'::text[] as empty,
          '[0:1]={t,f}'::bool[] as flags, array['9007199254740993']::bigint[] as big,
          ${sql.array(words)} as inferred, 'b"c\\d' = any(${words}) as found`,
    );
    expect(row).toEqual({
      words,
      numbers: [1, 2],
      ids,
      nulls: [null, 'NULL', 'x'],
      nested: [
        [1, 2],
        [3, null],
      ],
      empty: [],
      flags: [true, false],
      big: ['9007199254740993'],
      inferred: words,
      found: true,
    });
  });

  it('hands notices to the callback on one line and never to standard output', async () => {
    const notices: string[] = [];
    const stdout = vi.spyOn(process.stdout, 'write');
    const log = vi.spyOn(console, 'log');
    cleanups.push(async () => vi.restoreAllMocks());
    const told = await open(directTarget(), { onNotice: (text) => notices.push(text) });
    const untold = await open(directTarget());
    for (const { sql, ask } of [told, untold]) {
      await ask(() => sql.unsafe(`do $$ begin raise notice E'two\\nlines \\033[31m'; end $$`));
    }
    expect(notices).toEqual(['NOTICE: two lines \\u{1b}[31m']);
    expect(stdout).not.toHaveBeenCalled();
    expect(log).not.toHaveBeenCalled();
  });

  it('closes orderly, once, and rejects statements afterwards', async () => {
    const connection = await open(directTarget());
    const [row] = await connection.ask(() => connection.sql`select pg_backend_pid() as pid`);
    await connection.close();
    await connection.close();
    await expect.poll(() => backendExists(row?.['pid'] as number)).toBe(false);
    expect(connection.lost).not.toBeNull();
    await expect(connection.ask(() => connection.sql`select 1`)).rejects.toMatchObject({
      code: 'E_INTERNAL',
    });
  });

  it('closes a stalled session within its bound', async () => {
    const proxy = await startedProxy();
    const connection = await open(proxied(proxy));
    proxy.stall();
    await connection.close();
    expect(connection.lost).not.toBeNull();
  });
});

describe('a server that cannot be reached', () => {
  it('that accepts and closes is given up after the agreed number of connections', async () => {
    const proxy = await startedProxy();
    proxy.refuse();
    const notices: string[] = [];
    const error = await failureOf(
      connect(proxied(proxy), { ...quick, connectAttempts: 2, onNotice: (text) => notices.push(text) }),
    );
    expect(error).toMatchObject({ code: 'E_DB_UNREACHABLE', retryable: true });
    expect(error.message).toContain(`127.0.0.1:${proxy.port}`);
    expect(proxy.connections).toBe(2);
    expect(notices).toEqual([expect.stringMatching(/Trying again in [0-9.]+ s\.$/)]);
  });

  it.each(['disable', 'require'])(
    'that speaks HTTP is named as not being PostgreSQL (sslmode=%s)',
    async (tls) => {
      const http = createHttpServer((_, response) => response.end('hello'));
      const port = await listen(http);
      cleanups.push(async () => http.close());
      const error = await failureOf(connect(tcpTarget(port, `sslmode=${tls}`), quick));
      expect(error).toMatchObject({ code: 'E_DB_UNREACHABLE', retryable: false });
      expect(error.message).toBe(`What listens at 127.0.0.1:${port} is not PostgreSQL.`);
    },
  );

  it.each([
    ['a banner', Buffer.from('SSH-2.0-OpenSSH_9.2\r\n')],
    ['garbage that begins like PostgreSQL', Buffer.from('Rubbish of some length, and more of it')],
    ['zeroes', Buffer.alloc(64)],
  ])('that sends %s is named as not being PostgreSQL', async (_, bytes) => {
    const port = await serverThat((socket) => socket.write(bytes));
    const error = await failureOf(connect(tcpTarget(port), quick));
    expect(error).toMatchObject({ code: 'E_DB_UNREACHABLE', retryable: false });
    expect(error.message).toContain('is not PostgreSQL');
  });

  it('that wants an unknown kind of login is named with it', async () => {
    const port = await serverThat((socket) => socket.write(Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 7])));
    const error = await failureOf(connect(tcpTarget(port), quick));
    expect(error).toMatchObject({ code: 'E_DB_ACCESS' });
    expect(error.message).toContain('GSSAPI');
  });

  it.each(['disable', 'require'])('that is a black hole is given up in time (sslmode=%s)', async (tls) => {
    const proxy = await startedProxy();
    proxy.stall();
    const error = await failureOf(
      connect(proxied(proxy, `sslmode=${tls}`), { ...quick, connectTimeoutMs: 200, connectAttempts: 1 }),
    );
    expect(error).toMatchObject({ code: 'E_DB_UNREACHABLE', retryable: true });
    expect(error.message).toBe(`127.0.0.1:${proxy.port} did not complete a login within 0.2 s.`);
  });

  it('that falls silent during the login is given up in time', async () => {
    const proxy = await startedProxy();
    proxy.failAfter(20, 'stall');
    const error = await failureOf(
      connect(proxied(proxy), { ...quick, connectTimeoutMs: 300, connectAttempts: 1 }),
    );
    expect(error.message).toContain('did not complete a login');
  });

  it('where nothing listens is tried again, and found when it came up', async () => {
    const proxy = await startedProxy();
    await proxy.close();
    const error = await failureOf(connect(proxied(proxy), { ...quick, connectAttempts: 1 }));
    expect(error).toMatchObject({ code: 'E_DB_UNREACHABLE', retryable: true });
    expect(error.message).toBe(`Nothing listens at 127.0.0.1:${proxy.port}.`);

    const late = await startedProxy();
    late.refuse();
    const opening = open(proxied(late));
    await expect.poll(() => late.connections).toBe(1);
    late.resume();
    expect((await opening).lost).toBeNull();
  });

  it('whose socket is missing is named by path', async () => {
    const target = parseDatabaseUrl('postgres://ann@localhost/app?host=/nonexistent', 'test');
    const error = await failureOf(connect(target, { ...quick, connectAttempts: 1 }));
    expect(error.message).toBe('Nothing listens at /nonexistent/.s.PGSQL.5432.');
  });

  it('whose name is unknown is not tried again', async () => {
    const notices: string[] = [];
    const target = parseDatabaseUrl('postgres://ann@no-such-host.invalid/app?sslmode=disable', 'test');
    const error = await failureOf(
      connect(target, { ...quick, onNotice: (text) => notices.push(text), connectAttempts: 1 }),
    );
    expect(error.code).toBe('E_DB_UNREACHABLE');
    expect(error.message).toContain('no-such-host.invalid:5432');
  });

  it('is no longer waited for once the signal is aborted', async () => {
    const proxy = await startedProxy();
    proxy.stall();
    const stop = new AbortController();
    const opening = failureOf(connect(proxied(proxy), { ...quick, signal: stop.signal }));
    await expect.poll(() => proxy.connections).toBe(1);
    const reason = new LoraExportError('E_SIGINT', 'Stopped.');
    stop.abort(reason);
    expect(await opening).toBe(reason);
    expect(await failureOf(connect(proxied(proxy), { ...quick, signal: stop.signal }))).toBe(reason);
    expect(proxy.connections).toBe(1);
  });

  it('is no longer tried again once the signal is aborted between two tries', async () => {
    const proxy = await startedProxy();
    proxy.refuse();
    const stop = new AbortController();
    const opening = failureOf(
      connect(proxied(proxy), { ...quick, signal: stop.signal, onNotice: () => stop.abort() }),
    );
    expect(await opening).toMatchObject({ code: 'E_INTERNAL' });
    expect(proxy.connections).toBe(1);
  });

  it('at any byte of the login is one clean rejection', async () => {
    const whole = await startedProxy();
    await (await open(proxied(whole))).close();
    const length = whole.bytesFromServer;
    expect(length).toBeGreaterThan(300);
    for (let after = 1; after < length; after += 13) {
      const proxy = await startedProxy();
      proxy.failAfter(after, after % 2 === 0 ? 'cut' : 'reset');
      const error = await failureOf(connect(proxied(proxy), { ...quick, connectAttempts: 1 }));
      expect(error).toMatchObject({ code: 'E_DB_UNREACHABLE', retryable: true });
      await proxy.close();
    }
  });
});

describe('a server that refuses us', () => {
  it('names a missing database', async () => {
    const target = { ...directTarget(), database: 'none', label: `${user}@socket:5432/none` };
    const error = await failureOf(connect(target, quick));
    expect(error).toMatchObject({ code: 'E_DB_ACCESS', retryable: false });
    expect(error.message).toBe(`The database does not exist: ${target.label}.`);
  });

  it('names a missing role', async () => {
    const error = await failureOf(connect({ ...directTarget(), user: 'no_such_role' }, quick));
    expect(error).toMatchObject({ code: 'E_DB_ACCESS' });
    expect(error.message).toContain('role "no_such_role" does not exist (28000)');
  });

  it('explains the answer of a pooler that knows no such project', async () => {
    const text = 'Tenant or user not found';
    const port = await serverThat((socket) =>
      socket.once('data', () => socket.end(errorResponse({ S: 'FATAL', V: 'FATAL', C: 'XX000', M: text }))),
    );
    const error = await failureOf(connect(tcpTarget(port), quick));
    expect(error).toMatchObject({ code: 'E_DB_ACCESS', retryable: false });
    expect(error.message).toContain('knows no such project or user');
    expect(error.hint).toContain('.<project-ref>');
  });
});

describe('a session that dies', () => {
  it('rejects the open statement when the line is cut or reset, and never opens a second session', async () => {
    for (const how of ['cut', 'reset'] as const) {
      const proxy = await startedProxy();
      const connection = await open(proxied(proxy), { singleSession: true });
      const statement = failureOf(connection.ask(() => connection.sql`select pg_sleep(30)`));
      await delay(50);
      proxy[how]();
      expect(await statement).toMatchObject({ code: 'E_DB_UNREACHABLE', retryable: true });
      expect(connection.lost).toBe(await failureOf(connection.ask(() => connection.sql`select 1`)));
      expect(proxy.connections).toBe(1);
    }
  });

  it('rejects the next statement when the server ended it between two, with the reason the server gave', async () => {
    const proxy = await startedProxy();
    const connection = await open(proxied(proxy), { singleSession: true });
    const { sql, ask } = connection;
    await ask(() => sql`begin isolation level repeatable read`);
    const [row] = await ask(() => sql`select pg_backend_pid() as pid`);
    await database.sql`select pg_terminate_backend(${row?.['pid'] as number})`;
    await expect.poll(() => connection.lost).not.toBeNull();
    const error = await failureOf(ask(() => sql`select 1`));
    expect(error).toMatchObject({ code: 'E_DB_UNREACHABLE', retryable: true });
    expect(error.message).toContain('terminating connection due to administrator command (57P01)');
    expect(proxy.connections).toBe(1);
  });

  it('tells the reason of the server also in the middle of a statement', async () => {
    const connection = await open(directTarget(), { singleSession: true });
    const [row] = await connection.ask(() => connection.sql`select pg_backend_pid() as pid`);
    const statement = failureOf(connection.ask(() => connection.sql`select pg_sleep(30)`));
    await expect.poll(() => stateOf(row?.['pid'] as number)).toBe('active');
    await database.sql`select pg_terminate_backend(${row?.['pid'] as number})`;
    expect((await statement).message).toContain('57P01');
  });

  it('names the limit when the server ends an idle transaction', async () => {
    const connection = await open(directTarget(), { singleSession: true });
    const { sql, ask } = connection;
    await ask(() => sql`set idle_in_transaction_session_timeout = '50ms'`);
    await ask(() => sql`begin`);
    await expect.poll(() => connection.lost).not.toBeNull();
    expect(connection.lost).toMatchObject({
      code: 'E_DB_UNREACHABLE',
      hint: expect.stringContaining('idle_in_transaction_session_timeout') as string,
    });
  });

  it('rejects what is asked past `ask` as well, again and again, without a second session', async () => {
    const proxy = await startedProxy();
    const { sql } = await open(proxied(proxy), { singleSession: true });
    const statements = [sql`select pg_sleep(30)`, sql`select ${1}::int`, sql`select 3`].map((statement) =>
      failureOf(statement),
    );
    await delay(50);
    proxy.reset();
    await Promise.all(statements);
    for (let i = 0; i < 3; i++) {
      await failureOf(sql`select ${i}::int`);
    }
    expect(proxy.connections).toBe(1);
  });

  it.each([
    ['a plain statement', (tx: Connection['sql']) => tx`select pg_sleep(30)`],
    ['a statement with parameters', (tx: Connection['sql']) => tx`select pg_sleep(${30})`],
  ])(
    "rejects the driver's own transaction during %s, although its callback goes on",
    async (_, statement) => {
      const proxy = await startedProxy();
      const { sql } = await open(proxied(proxy), { singleSession: true });
      const transaction = failureOf(
        sql.begin(async (tx) => {
          await statement(tx as unknown as Connection['sql']);
          await tx`select 2`;
        }),
      );
      await delay(100);
      proxy.reset();
      await transaction;
      // An uncaught error of the driver would come in the next turns of the event loop, and fail the test run.
      await delay(50);
      expect(proxy.connections).toBe(1);
    },
  );

  it('is replaced at the next statement where nothing depends on it', async () => {
    const proxy = await startedProxy();
    const connection = await open(proxied(proxy));
    const { sql, ask } = connection;
    for (let sessions = 2; sessions <= 4; sessions++) {
      proxy.reset();
      await expect.poll(() => connection.lost).not.toBeNull();
      const answers = await Promise.all([
        ask(() => sql`select ${sessions}::int as n`),
        ask(() => sql`select 7 as n`),
      ]);
      expect(answers.map(([row]) => row)).toEqual([{ n: sessions }, { n: 7 }]);
      expect(connection.lost).toBeNull();
      expect(proxy.connections).toBe(sessions);
    }
    await connection.close();
    await failureOf(ask(() => sql`select 1`));
    expect(proxy.connections).toBe(4);
  });

  it('is replaced in a bounded number of tries', async () => {
    const proxy = await startedProxy();
    const connection = await open(proxied(proxy), { connectAttempts: 1 });
    proxy.refuse();
    proxy.cut();
    await expect.poll(() => connection.lost).not.toBeNull();
    expect(await failureOf(connection.ask(() => connection.sql`select 1`))).toMatchObject({
      code: 'E_DB_UNREACHABLE',
    });
    expect(proxy.connections).toBe(2);
    proxy.resume();
    await connection.ask(() => connection.sql`select 1`);
  });

  it('by stalling is given up after the limit', async () => {
    const proxy = await startedProxy();
    const connection = await open(proxied(proxy), { singleSession: true, stallMs: 200 });
    proxy.stall();
    const error = await failureOf(connection.ask(() => connection.sql`select 1`));
    expect(error).toMatchObject({ code: 'E_STALLED', retryable: false });
    expect(error.message).toContain(`127.0.0.1:${proxy.port} sent nothing for 0.2 s`);
    expect(connection.lost).toBe(error);
  });

  it('by stalling within an answer is given up after the limit', async () => {
    const proxy = await startedProxy();
    const connection = await open(proxied(proxy), { singleSession: true, stallMs: 200 });
    proxy.failAfter(proxy.bytesFromServer + 5000, 'stall');
    const error = await failureOf(connection.ask(() => connection.sql`select repeat('x', 100000) as text`));
    expect(error.code).toBe('E_STALLED');
  });
});

describe('the stall limit', () => {
  it('does not count the time between statements, and not while bytes keep coming', async () => {
    const connection = await open(directTarget(), { singleSession: true, stallMs: 200 });
    const { sql, ask } = connection;
    await delay(500);
    // Wide rows, so that each leaves the server's buffer by itself.
    const rows = await ask(
      () => sql`select repeat('x', 9000) as wide, pg_sleep(0.05) from generate_series(1, 12)`,
    );
    expect(rows).toHaveLength(12);
  });

  it('does not punish a process that was stopped, or busy, for longer than the limit', async () => {
    const connection = await open(directTarget(), { singleSession: true, stallMs: 200 });
    const answer = connection.ask(() => connection.sql`select pg_sleep(0.1), 1 as one`);
    await delay(20);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 500);
    expect(await answer).toMatchObject([{ one: 1 }]);
  });
});

describe('destroy', () => {
  it('rejects open statements with its reason and has the server cancel them', async () => {
    const connection = await open(directTarget(), { singleSession: true });
    const [row] = await connection.ask(() => connection.sql`select pg_backend_pid() as pid`);
    const statement = failureOf(connection.ask(() => connection.sql`select pg_sleep(60)`));
    await expect.poll(() => stateOf(row?.['pid'] as number)).toBe('active');
    const reason = new Error('enough');
    connection.destroy(reason);
    expect(await statement).toBe(reason);
    expect(connection.lost).toBe(reason);
    expect(await failureOf(connection.ask(() => connection.sql`select 1`))).toBe(reason);
    await expect.poll(() => backendExists(row?.['pid'] as number)).toBe(false);
  });

  it('is what an aborted signal does', async () => {
    const stop = new AbortController();
    const connection = await open(directTarget(), { signal: stop.signal });
    const statement = failureOf(connection.ask(() => connection.sql`select pg_sleep(60)`));
    const reason = new LoraExportError('E_SIGTERM', 'Stopped.');
    stop.abort(reason);
    expect(await statement).toBe(reason);
    expect(await failureOf(connection.ask(() => connection.sql`select 1`))).toBe(reason);
  });

  it('also ends the opening of a new session, with its reason', async () => {
    const proxy = await startedProxy();
    const connection = await open(proxied(proxy));
    proxy.stall();
    proxy.cut();
    await expect.poll(() => connection.lost).not.toBeNull();
    const statement = failureOf(connection.ask(() => connection.sql`select 1`));
    await expect.poll(() => proxy.connections).toBe(2);
    const reason = new Error('enough');
    connection.destroy(reason);
    expect(await statement).toBe(reason);
    expect(connection.lost).toBe(reason);
    expect(await failureOf(connection.ask(() => connection.sql`select 1`))).toBe(reason);
    expect(proxy.connections).toBe(2);
  });

  it('from within a notice leaves no error behind', async () => {
    const connection = await open(directTarget(), {
      singleSession: true,
      onNotice: () => connection.destroy(new Error('enough')),
    });
    const { sql, ask } = connection;
    const statements = [
      ask(() => sql.unsafe(`do $$ begin raise notice 'x'; end $$`)),
      ask(() => sql`select 2`),
      ask(() => sql`select ${3}::int`),
    ];
    for (const error of await Promise.all(statements.map((statement) => failureOf(statement)))) {
      expect(error.message).toBe('enough');
    }
    await delay(20);
  });

  it("lets the driver's own cancel reach the server", async () => {
    const { sql, ask } = await open(directTarget(), { singleSession: true });
    const statement = sql`select pg_sleep(60)`;
    const answer = failureOf(ask(() => statement));
    await delay(100);
    statement.cancel();
    expect(await answer).toMatchObject({ code: 'E_STALLED' });
    expect(await ask(() => sql`select 1 as one`)).toEqual([{ one: 1 }]);
  });
});

describe.skipIf(!hasOpenssl)('TLS', () => {
  let directory: string;
  let certificates: Certificates;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'lora-certificates-'));
    certificates = await makeCertificates(directory);
    await writeFile(join(directory, 'not-a-certificate.pem'), 'hello');
  });
  afterAll(() => rm(directory, { recursive: true, force: true }));

  type Outcome = 'encrypted' | 'clear' | RegExp;
  type Offer = 'none' | Exclude<keyof Certificates, 'authority' | 'otherAuthority'>;
  const notOffered = /offers no TLS/;
  const unknown = /authority that is not trusted here \(UNABLE_TO_/;
  const otherName = /for another name: DNS:\S+ \(ERR_TLS_CERT_ALTNAME_INVALID/;

  it.each<[offer: Offer, url: string, outcome: Outcome]>([
    ['none', 'localhost?sslmode=disable', 'clear'],
    ['none', 'localhost?sslmode=prefer', 'clear'],
    ['none', 'localhost?sslmode=require', notOffered],
    ['none', 'localhost?sslmode=verify-ca', notOffered],
    ['none', 'localhost?sslmode=verify-full', notOffered],
    ['selfSigned', 'localhost?sslmode=disable', 'clear'],
    ['selfSigned', 'localhost?sslmode=prefer', 'encrypted'],
    ['selfSigned', 'localhost?sslmode=require', 'encrypted'],
    ['selfSigned', 'localhost?sslmode=verify-ca', /a self-signed certificate \(DEPTH_ZERO/],
    ['selfSigned', 'localhost?sslmode=verify-full', /a self-signed certificate \(DEPTH_ZERO/],
    ['selfSigned', 'localhost?sslmode=verify-full&sslrootcert=$selfSigned', 'encrypted'],
    ['right', 'localhost?sslmode=require', 'encrypted'],
    ['right', 'localhost?sslmode=require&sslrootcert=$authority', 'encrypted'],
    ['right', 'localhost?sslmode=require&sslrootcert=$otherAuthority', unknown],
    ['right', 'localhost?sslmode=verify-ca', unknown],
    ['right', 'localhost?sslmode=verify-full', unknown],
    ['right', 'localhost?sslmode=verify-full&sslrootcert=$otherAuthority', unknown],
    ['right', 'localhost?sslmode=verify-ca&sslrootcert=$authority', 'encrypted'],
    ['right', 'localhost?sslmode=verify-full&sslrootcert=$authority', 'encrypted'],
    ['right', 'localhost?sslrootcert=$authority', 'encrypted'],
    ['right', '127.0.0.1?sslmode=verify-full&sslrootcert=$authority', 'encrypted'],
    ['nameOnly', 'localhost?sslmode=verify-full&sslrootcert=$authority', 'encrypted'],
    ['nameOnly', '127.0.0.1?sslmode=verify-full&sslrootcert=$authority', otherName],
    ['nameOnly', '127.0.0.1?sslmode=verify-ca&sslrootcert=$authority', 'encrypted'],
    ['wrongName', 'localhost?sslmode=require', 'encrypted'],
    ['wrongName', 'localhost?sslmode=verify-ca&sslrootcert=$authority', 'encrypted'],
    ['wrongName', 'localhost?sslmode=verify-full&sslrootcert=$authority', otherName],
    ['wrongName', '127.0.0.1?sslmode=verify-full&sslrootcert=$authority', otherName],
    ['expired', 'localhost?sslmode=require', 'encrypted'],
    ['expired', 'localhost?sslmode=verify-ca&sslrootcert=$authority', /has expired \(CERT_HAS_EXPIRED/],
    ['expired', 'localhost?sslmode=verify-full&sslrootcert=$authority', /has expired \(CERT_HAS_EXPIRED/],
    [
      'right',
      'localhost?sslmode=verify-full&sslrootcert=/nonexistent.pem',
      /cannot be read: \/nonexistent.pem/,
    ],
    ['right', 'localhost?sslmode=require&sslrootcert=$garbage', /holds no PEM certificate/],
  ])('offered %s, asked for %s', async (offer, url, outcome) => {
    const proxy = await startProxy(upstream);
    const front = await startTlsFront(offer === 'none' ? null : certificates[offer], { port: proxy.port });
    cleanups.push(proxy.close, front.close);
    const [host, query] = url.split('?');
    const parameters = (query ?? '').replace(/\$(\w+)/, (_, name: string) =>
      name === 'garbage'
        ? join(directory, 'not-a-certificate.pem')
        : certificates[name as keyof Certificates].cert,
    );
    const target = parseDatabaseUrl(
      `postgres://${user}:${canary}@${host}:${front.port}/${database.name}?${parameters}`,
      'test',
    );
    const watched = await startProxyWithTap(target, front.port);
    if (outcome instanceof RegExp) {
      const error = await failureOf(connect(watched.target, quick));
      expect(error.message).toMatch(outcome);
      expect(error).toMatchObject({
        code: target.rootCertificate?.includes('.pem') ? 'E_USAGE' : 'E_DB_ACCESS',
        retryable: false,
      });
      if (error.code === 'E_DB_ACCESS') {
        expect(error.message).toContain(`sslmode=${target.tls}`);
        expect(error.message).toContain(`${host}:${watched.target.port}`);
      }
      // Neither the startup message nor a password went out.
      expect(watched.sent()).not.toContain(user);
      return;
    }
    const connection = await open(watched.target);
    await connection.ask(() => connection.sql`select 'marker-of-the-statement'`);
    expect(watched.sent().includes('marker-of-the-statement')).toBe(outcome === 'clear');
  });

  it('injected bytes behind the answer of the server are not believed', async () => {
    const port = await serverThat((socket) =>
      socket.once('data', () => socket.write(Buffer.from('SE\0\0\0'))),
    );
    const error = await failureOf(connect(tcpTarget(port, 'sslmode=require'), quick));
    expect(error.message).toContain('is not PostgreSQL');
  });

  describe('and passwords, with a real server', () => {
    let server: Listener;

    beforeAll(async () => {
      server = await startTlsServer(certificates.right);
    });
    afterAll(() => server.close());

    const login = (parameters: string, password = scramRole.password, role = scramRole.user) =>
      parseDatabaseUrl(
        `postgres://${role}:${encodeURIComponent(password)}@localhost:${server.port}/postgres?${parameters}`,
        'test',
      );

    it('log in with a verified name', async () => {
      const connection = await open(login(`sslmode=verify-full&sslrootcert=${certificates.authority.cert}`));
      const [row] = await connection.ask(
        () => connection.sql`select ssl, current_user as role from pg_stat_ssl where pid = pg_backend_pid()`,
      );
      expect(row).toEqual({ ssl: true, role: scramRole.user });
      await connection.close();
    });

    it('carry large answers in both modes', async () => {
      for (const [mode, role] of [
        ['require', scramRole.user],
        ['disable', 'plain_user'],
      ] as const) {
        const { sql, ask } = await open(login(`sslmode=${mode}`, scramRole.password, role));
        const text = 'ä'.repeat(3_000_000);
        const [row] = await ask(() => sql`select ${text}::text as text`);
        expect(row?.['text'] === text).toBe(true);
      }
    });

    it('are refused when wrong, without showing them', async () => {
      const error = await failureOf(connect(login('sslmode=require', canary), quick));
      expect(error).toMatchObject({ code: 'E_DB_ACCESS', retryable: false });
      expect(error.message).toBe(
        `The password was refused: ${scramRole.user}@localhost:${server.port}/postgres.`,
      );
    });

    it('are asked for when there is none, whatever PGPASSWORD of the process says', async () => {
      vi.stubEnv('PGPASSWORD', scramRole.password);
      cleanups.push(async () => vi.unstubAllEnvs());
      const error = await failureOf(connect({ ...login('sslmode=require'), password: null }, quick));
      expect(error.hint).toContain('None was given');
    });

    it('are not even asked for where the server demands TLS, and the message says so', async () => {
      const error = await failureOf(connect(login('sslmode=disable'), quick));
      expect(error).toMatchObject({ code: 'E_DB_ACCESS' });
      expect(error.message).toContain('no encryption');
      expect(error.hint).toContain('sslmode=verify-full');
    });
  });
});

const quick: ConnectOptions = { purpose: 'test', connectTimeoutMs: 5000 };

async function open(target: DatabaseTarget, options: Partial<ConnectOptions> = {}): Promise<Connection> {
  const connection = await connect(target, { ...quick, ...options });
  cleanups.push(connection.close);
  return connection;
}

function directTarget(): DatabaseTarget {
  const target = parseDatabaseUrl(database.url, 'test');
  // The server looks at no password, so this one may be a canary.
  return { ...target, socketPath: upstream.path, password: canary };
}

function tcpTarget(port: number, parameters = 'sslmode=disable'): DatabaseTarget {
  return parseDatabaseUrl(
    `postgres://${user}:${canary}@127.0.0.1:${port}/${database.name}?${parameters}`,
    'test',
  );
}

function proxied(proxy: Proxy, parameters?: string): DatabaseTarget {
  return tcpTarget(proxy.port, parameters);
}

async function startedProxy(): Promise<Proxy> {
  const proxy = await startProxy(upstream);
  cleanups.push(proxy.close);
  return proxy;
}

/** A server that does one thing with every connection. */
async function serverThat(act: (socket: Socket) => unknown): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {}).resume();
    act(socket);
  });
  cleanups.push(async () => {
    sockets.forEach((socket) => socket.destroy());
    server.close();
  });
  return listen(server);
}

/** Puts a listener in front of a port that records what the client sends in clear text. */
async function startProxyWithTap(target: DatabaseTarget, port: number) {
  const { connect: connectSocket } = await import('node:net');
  let sent = '';
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const onward = connectSocket({ port });
    sockets.add(client).add(onward);
    client.on('error', () => {}).on('data', (bytes) => (sent += bytes.toString('latin1')));
    onward.on('error', () => {});
    client.pipe(onward).pipe(client);
  });
  const tapped = { ...target, port: await listen(server) };
  cleanups.push(async () => {
    sockets.forEach((socket) => socket.destroy());
    server.close();
  });
  return { target: tapped, sent: () => sent };
}

function errorResponse(fields: Record<string, string>): Buffer {
  const content = Buffer.from(
    `${Object.entries(fields)
      .map(([type, text]) => `${type}${text}\0`)
      .join('')}\0`,
  );
  const header = Buffer.alloc(5);
  header.write('E');
  header.writeInt32BE(content.length + 4, 1);
  return Buffer.concat([header, content]);
}

async function backendExists(pid: number): Promise<boolean> {
  return (await stateOf(pid)) !== undefined;
}

async function stateOf(pid: number): Promise<string | undefined> {
  const [row] = await database.sql<
    { state: string }[]
  >`select state from pg_stat_activity where pid = ${pid}`;
  return row?.state;
}

/** What a promise was rejected with. No form in which an error can be shown may hold the password. */
async function failureOf(promise: PromiseLike<unknown>): Promise<LoraExportError> {
  try {
    await promise;
  } catch (error) {
    const { message, hint } = error as LoraExportError;
    const shown = [message, hint, JSON.stringify(error), inspect(error, { depth: 9, showHidden: true })].join(
      '\n',
    );
    expect(shown).not.toContain(canary);
    return error as LoraExportError;
  }
  throw new Error('Nothing was rejected');
}
