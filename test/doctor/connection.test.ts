import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest';

import { parseDatabaseUrl } from '../../src/db/target.js';
import { diagnose, failureOf } from '../../src/doctor.js';
import { checkTls } from '../../src/doctor/tls.js';
import { LoraExportError } from '../../src/errors.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { byStatus, checkOf, contextOf, diagnoseUrl } from '../support/doctor.js';
import { listen, startProxy } from '../support/proxy.js';
import {
  hasOpenssl,
  makeCertificates,
  scramRole,
  startTlsFront,
  startTlsServer,
  type Certificates,
} from '../support/tls.js';

const canary = 'hunter2-canary';
const LOCAL = ['settings', 'directory', 'disk'];
let database: TestDatabase;
let upstream: { path: string };
let user: string;
const cleanups: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  database = await createDatabase('ready');
  const server = inject('testServer');
  ({ user } = server);
  upstream = { path: join(server.socketDirectory, '.s.PGSQL.5432') };
});
afterAll(() => database.drop());
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

const tcp = (port: number, parameters = 'sslmode=disable'): string =>
  `postgresql://${user}:${canary}@localhost:${port}/${database.name}?${parameters}`;

async function serverThat(answer: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    answer(socket);
  });
  const port = await listen(server);
  cleanups.push(async () => {
    sockets.forEach((socket) => socket.destroy());
    server.close();
    await once(server, 'close');
  });
  return port;
}

it('names a server that nobody runs, skips what needs it, and still looks at the directory', async () => {
  const diagnosis = await diagnoseUrl(`postgresql://u:${canary}@127.0.0.1:1/x`);
  expect(checkOf(diagnosis, 'connection')).toMatchObject({
    status: 'failed',
    code: 'E_DB_UNREACHABLE',
    message: 'Nothing listens at 127.0.0.1:1.',
  });
  const { ok, failed, skipped, warning } = byStatus(diagnosis);
  expect([...(ok ?? []), ...(warning ?? [])].toSorted()).toEqual(LOCAL.toSorted());
  expect(failed).toEqual(['connection']);
  expect(skipped).toHaveLength(11);
  expect(failureOf(diagnosis)).toEqual({ name: 'connection', code: 'E_DB_UNREACHABLE' });
  expect(JSON.stringify(diagnosis)).not.toContain(canary);
});

it('tries a server that hangs up once, since a second try would hide what is wrong', async () => {
  const proxy = await startProxy(upstream);
  cleanups.push(proxy.close);
  proxy.refuse();
  const diagnosis = await diagnoseUrl(tcp(proxy.port));
  expect(checkOf(diagnosis, 'connection')).toMatchObject({ status: 'failed', code: 'E_DB_UNREACHABLE' });
  expect(proxy.connections).toBe(1);
});

it('tells an unknown database from an unreachable one', async () => {
  const diagnosis = await diagnoseUrl(database.url.replace(database.name, 'no_such_database'));
  expect(checkOf(diagnosis, 'connection')).toMatchObject({ status: 'failed', code: 'E_DB_ACCESS' });
  expect(checkOf(diagnosis, 'connection').message).toContain('does not exist');
  expect(checkOf(diagnosis, 'tls').status).toBe('ok');
});

it("explains Supabase's pooler when it does not know the project", async () => {
  const text = 'SFATAL\0VFATAL\0CXX000\0MTenant or user not found\0\0';
  const port = await serverThat((socket) =>
    socket.once('data', () => {
      const answer = Buffer.alloc(5 + text.length);
      answer.write('E');
      answer.writeInt32BE(4 + text.length, 1);
      answer.write(text, 5, 'latin1');
      socket.end(answer);
    }),
  );
  const { status, code, fix } = checkOf(await diagnoseUrl(tcp(port)), 'connection');
  expect({ status, code }).toEqual({ status: 'failed', code: 'E_DB_ACCESS' });
  expect(fix).toContain('.<project-ref>');
});

it('says that an export needs two sessions where the role may have one', async () => {
  const role = `${database.name}_single`;
  await database.sql.unsafe(`create role ${role} login connection limit 1`);
  cleanups.push(() => database.sql.unsafe(`drop role ${role}`));
  const diagnosis = await diagnoseUrl(database.url.replace(/\/\/[^@]*@/, `//${role}@`));
  expect(checkOf(diagnosis, 'connection')).toMatchObject({ status: 'failed', code: 'E_DB_UNREACHABLE' });
  expect(checkOf(diagnosis, 'connection').message).toContain('an export needs two');
  expect(checkOf(diagnosis, 'role').status).toBe('ok');
});

it('goes on without the session when it is lost in the middle', async () => {
  const proxy = await startProxy(upstream);
  cleanups.push(proxy.close);
  const diagnosis = await diagnoseUrl(tcp(proxy.port), {
    onBegin: (name) => name === 'turns' && proxy.reset(),
  });
  expect(checkOf(diagnosis, 'source').status).toBe('ok');
  expect(checkOf(diagnosis, 'turns')).toMatchObject({ status: 'failed', code: 'E_DB_UNREACHABLE' });
  expect(checkOf(diagnosis, 'indexes')).toMatchObject({
    status: 'skipped',
    message: 'the connection was lost',
  });
  expect(checkOf(diagnosis, 'directory').status).toBe('ok');
});

it('stops with the reason of the signal', async () => {
  const stop = new AbortController();
  const reason = new LoraExportError('E_SIGINT', 'cancelled by SIGINT');
  const diagnosis = diagnose(
    contextOf(database.url, {
      signal: stop.signal,
      onBegin: (name) => name === 'source' && stop.abort(reason),
    }),
  );
  await expect(diagnosis).rejects.toBe(reason);
});

it('warns of clear text on the way to another machine', async () => {
  const target = parseDatabaseUrl('postgresql://u@db.example/x?sslmode=disable', 'the test');
  expect(await checkTls(target, contextOf(database.url))).toMatchObject({ status: 'warning' });
  const local = parseDatabaseUrl('postgresql://u@127.0.0.1/x', 'the test');
  expect(await checkTls(local, contextOf(database.url))).toMatchObject({ status: 'ok' });
});

describe.skipIf(!hasOpenssl)('TLS', () => {
  let directory: string;
  let certificates: Certificates;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'lora-doctor-certificates-'));
    certificates = await makeCertificates(directory);
  });
  afterAll(() => rm(directory, { recursive: true, force: true }));

  const diagnoseFront = async (certificate: keyof Certificates, parameters: string) => {
    const front = await startTlsFront(certificates[certificate], upstream);
    cleanups.push(front.close);
    const file = parameters.replace('$authority', certificates.authority.cert);
    return diagnoseUrl(tcp(front.port, file));
  };

  it('says which version and cipher are in force, and that the certificate was verified', async () => {
    const tls = checkOf(await diagnoseFront('right', 'sslmode=verify-full&sslrootcert=$authority'), 'tls');
    expect(tls.status).toBe('ok');
    expect(tls.message).toMatch(/^sslmode=verify-full: TLSv1\.3, TLS_\w+; certificate and name verified$/);
  });

  it.each([
    ['selfSigned', 'sslmode=require', /not verified/, /sslrootcert=FILE/],
    ['right', 'sslmode=require&sslrootcert=$authority', /but not the name/, /this server passes it/],
    [
      'wrongName',
      'sslmode=verify-ca&sslrootcert=$authority',
      /but not the name/,
      /a name of the certificate/,
    ],
  ] as const)(
    'warns about %s with %s, and says what would do',
    async (certificate, parameters, message, fix) => {
      const diagnosis = await diagnoseFront(certificate, parameters);
      expect(checkOf(diagnosis, 'connection').status).toBe('ok');
      const tls = checkOf(diagnosis, 'tls');
      expect(tls.status).toBe('warning');
      expect(tls.message).toMatch(message);
      expect(tls.fix).toMatch(fix);
    },
  );

  it('blames TLS, and not the login, for a certificate that is refused', async () => {
    const diagnosis = await diagnoseFront('selfSigned', 'sslmode=verify-full');
    expect(checkOf(diagnosis, 'connection')).toMatchObject({
      status: 'failed',
      message: 'No session: see tls.',
      code: 'E_DB_ACCESS',
    });
    const tls = checkOf(diagnosis, 'tls');
    expect(tls).toMatchObject({ status: 'failed', code: 'E_DB_ACCESS' });
    expect(tls.message).toContain('self-signed');
    expect(tls.fix).toContain('sslrootcert');
  });

  it('blames the login, and not TLS, for a wrong password, which it does not repeat', async () => {
    const server = await startTlsServer(certificates.right);
    cleanups.push(server.close);
    const url = (password: string): string =>
      `postgresql://${scramRole.user}:${encodeURIComponent(password)}@localhost:${server.port}/postgres?sslrootcert=${certificates.authority.cert}`;
    const wrong = await diagnoseUrl(url(canary));
    expect(checkOf(wrong, 'connection')).toMatchObject({ status: 'failed', code: 'E_DB_ACCESS' });
    expect(checkOf(wrong, 'connection').message).toContain('password was refused');
    expect(checkOf(wrong, 'tls').status).toBe('ok');
    expect(JSON.stringify(wrong)).not.toContain(canary);
    const right = await diagnoseUrl(url(scramRole.password));
    expect(checkOf(right, 'connection').status).toBe('ok');
  });
});

const hasPooler = spawnSync('pgbouncer', ['--version']).status === 0;
if (!hasPooler) process.stderr.write('skipped: PgBouncer is not installed, so no pooler was diagnosed\n');

it.skipIf(!hasPooler)('recognises a transaction pooler that is not on the usual port', async () => {
  const server = createServer();
  const port = await listen(server);
  server.close();
  const directory = await mkdtemp(join(tmpdir(), 'lora-doctor-pooler-'));
  await chmod(directory, 0o777);
  const settings = [
    '[databases]',
    `${database.name} = host=${inject('testServer').socketDirectory} port=5432 user=${user}`,
    '[pgbouncer]',
    'listen_addr = 127.0.0.1',
    `listen_port = ${port}`,
    'unix_socket_dir =',
    'auth_type = any',
    'pool_mode = transaction',
    'default_pool_size = 2',
  ];
  await writeFile(join(directory, 'pooler.ini'), `${settings.join('\n')}\n`, { mode: 0o644 });
  const account = process.getuid?.() === 0 ? ['-u', 'postgres'] : [];
  const pooler = spawn('pgbouncer', [...account, join(directory, 'pooler.ini')], { stdio: 'ignore' });
  cleanups.push(async () => {
    pooler.kill('SIGINT');
    await rm(directory, { recursive: true, force: true });
  });
  let diagnosis = await diagnoseUrl(tcp(port));
  while (checkOf(diagnosis, 'connection').code === 'E_DB_UNREACHABLE') {
    await delay(50);
    diagnosis = await diagnoseUrl(tcp(port));
  }
  expect(checkOf(diagnosis, 'connection')).toMatchObject({ status: 'warning' });
  expect(checkOf(diagnosis, 'connection').message).toContain('pooler in transaction mode');
});
