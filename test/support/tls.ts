import { execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { TLSSocket } from 'node:tls';
import { promisify } from 'node:util';
import postgres from 'postgres';

import { commandAs, prepareServerDirectory } from '../../src/embedded/account.js';
import { findBinaries } from '../../src/embedded/binaries.js';
import { ensureCluster, superuser } from '../../src/embedded/cluster.js';
import { spawnPostmaster } from '../../src/embedded/postmaster.js';
import { listen, type Upstream } from './proxy.js';

const run = promisify(execFile);

/** False, and said on standard error, where certificates cannot be made. */
export const hasOpenssl = (() => {
  try {
    execFileSync('openssl', ['version'], { stdio: 'ignore' });
    return true;
  } catch {
    process.stderr.write('SKIPPED: the TLS tests need the program openssl.\n');
    return false;
  }
})();

/** Paths of PEM files. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

export interface Certificates {
  /** Signed the others, save `selfSigned`. */
  readonly authority: Certificate;
  /** Has nothing to do with the others. */
  readonly otherAuthority: Certificate;
  /** For `localhost` and 127.0.0.1. */
  readonly right: Certificate;
  /** For `localhost` only, not for its IP address. */
  readonly nameOnly: Certificate;
  /** For `db.example`. */
  readonly wrongName: Certificate;
  /** For `localhost`, until yesterday. */
  readonly expired: Certificate;
  /** For `localhost`. */
  readonly selfSigned: Certificate;
}

/** Makes the certificates in a directory that exists. */
export async function makeCertificates(directory: string): Promise<Certificates> {
  const authority = await selfSigned('authority', 'CA:TRUE');
  const signed = async (name: string, names: string, days = 2): Promise<Certificate> => {
    const { cert, key } = paths(name);
    const request = join(directory, `${name}.csr`);
    const extensions = join(directory, `${name}.ext`);
    await writeFile(extensions, `subjectAltName=${names}\n`);
    await openssl('req', '-new', ...newKey, '-subj', `/CN=${name}`, '-keyout', key, '-out', request);
    const signer = ['-CA', authority.cert, '-CAkey', authority.key, '-set_serial', String(Date.now())];
    await openssl(
      'x509',
      '-req',
      '-in',
      request,
      ...signer,
      '-days',
      String(days),
      '-extfile',
      extensions,
      '-out',
      cert,
    );
    return { cert, key };
  };
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  return {
    authority,
    otherAuthority: await selfSigned('other-authority', 'CA:TRUE'),
    right: await signed('right', 'DNS:localhost,IP:127.0.0.1'),
    nameOnly: await signed('name-only', 'DNS:localhost'),
    wrongName: await signed('wrong-name', 'DNS:db.example'),
    expired: await signed('expired', 'DNS:localhost', -1),
    selfSigned: await selfSigned('localhost', 'CA:FALSE'),
  };

  function paths(name: string): Certificate {
    return { cert: join(directory, `${name}.crt`), key: join(directory, `${name}.key`) };
  }

  async function selfSigned(name: string, constraint: string): Promise<Certificate> {
    const { cert, key } = paths(name);
    const extensions = [
      '-addext',
      `basicConstraints=critical,${constraint}`,
      '-addext',
      `subjectAltName=DNS:${name}`,
    ];
    const ec = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
    await openssl(
      'req',
      '-x509',
      ...ec,
      '-days',
      '2',
      '-subj',
      `/CN=${name}`,
      ...extensions,
      '-keyout',
      key,
      '-out',
      cert,
    );
    return { cert, key };
  }
}

async function openssl(...args: string[]): Promise<void> {
  await run('openssl', args);
}

/** Something that listens and is stopped. */
export interface Listener {
  readonly port: number;
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Speaks PostgreSQL's TLS negotiation with any certificate and forwards what was decrypted to a server without TLS.
 *
 * @param certificate null = offers no TLS; clear text is forwarded
 */
export async function startTlsFront(certificate: Certificate | null, upstream: Upstream): Promise<Listener> {
  const sockets = new Set<Socket>();
  const secrets = certificate && {
    cert: await readFile(certificate.cert),
    key: await readFile(certificate.key),
  };
  const server = createServer((client) => {
    sockets.add(client);
    client.on('error', () => {}).on('close', () => sockets.delete(client));
    client.once('data', (first) => {
      if (first.length !== 8) {
        join(client, first);
      } else if (secrets === null) {
        client.write('N');
        client.once('data', (startup) => join(client, startup));
      } else {
        client.write('S');
        join(new TLSSocket(client, { isServer: true, ...secrets }));
      }
    });
  });
  function join(client: Socket, first?: Buffer): void {
    const onward = connect(upstream);
    sockets.add(onward);
    client.on('error', () => {});
    onward.on('error', () => client.destroy());
    if (first !== undefined) {
      onward.write(first);
    }
    client.pipe(onward).pipe(client);
  }
  const port = await listen(server);
  const close = async () => {
    sockets.forEach((socket) => socket.destroy());
    if (server.listening) {
      server.close();
      await once(server, 'close');
    }
  };
  return { port, close, [Symbol.asyncDispose]: close };
}

/** The role of {@link startTlsServer} that needs a password; it may log in over TLS only. */
export const scramRole = { user: 'scram_user', password: 'right p@ssword/1' };

/**
 * A PostgreSQL of its own that listens on 127.0.0.1 with TLS, and knows {@link scramRole}, whose database is
 * `postgres`. Role `plain_user` with the same password may log in without TLS.
 *
 * @param options another password for both, and whether they may do everything
 */
export async function startTlsServer(
  certificate: Certificate,
  { password = scramRole.password, isSuperuser = false } = {},
): Promise<Listener> {
  const asRoot = process.getuid?.() === 0;
  const root = await mkdtemp(join(asRoot ? '/tmp' : tmpdir(), 'lora-tls-'));
  await chmod(root, 0o755);
  const home = join(root, 'server');
  const account = await prepareServerDirectory(home, process.getuid?.() ?? -1);
  const binaries = await findBinaries({ account, copyTo: home, path: process.env['PATH'] });
  const data = await ensureCluster(home, { binaries, account, initdbFlags: ['--no-sync'] });
  const sockets = join(home, 'socket');
  await mkdir(sockets, { mode: 0o755 });
  await copyFile(certificate.cert, join(data, 'server.crt'));
  await copyFile(certificate.key, join(data, 'server.key'));
  await chmod(join(data, 'server.key'), 0o600);
  const rules = [
    'local all all trust',
    `hostssl all ${scramRole.user} 127.0.0.1/32 scram-sha-256`,
    'host all plain_user 127.0.0.1/32 scram-sha-256',
  ];
  await writeFile(join(data, 'pg_hba.conf'), `${rules.join('\n')}\n`);
  if (account.ids !== undefined) {
    const { file, args } = commandAs({ ...account, ids: undefined }, 'chown', []);
    await run(file, [...args, '-R', `${account.ids.uid}:${account.ids.gid}`, home]);
  }
  const port = await freePort();
  const child = await spawnPostmaster({
    postgres: binaries.postgres,
    account,
    data,
    socketDirectory: sockets,
    logFile: join(home, 'server.log'),
    settings: ['fsync=off', 'ssl=on', 'listen_addresses=127.0.0.1', `port=${port}`],
  });
  const guard = guardAgainstKill(child.pid ?? 0, root);
  const close = async () => {
    guard.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) {
      child.ref();
      const exit = once(child, 'exit');
      child.kill('SIGQUIT');
      await exit;
    }
    await rm(root, { recursive: true, force: true });
  };
  try {
    await createRoles(sockets, port, `${isSuperuser ? 'superuser ' : ''}login password ${literal(password)}`);
  } catch (error) {
    const log = await readFile(join(home, 'server.log'), 'utf8');
    await close();
    throw new Error(`The TLS test server did not start:\n${log}`, { cause: error });
  }
  return { port, close, [Symbol.asyncDispose]: close };
}

/** A killed test run closes nothing; this shell notices the closed pipe, and leaves no server or directory behind. */
function guardAgainstKill(pid: number, root: string) {
  const script = 'cat; kill -QUIT "$0"; sleep 1; rm -rf "$1"';
  return spawn('/bin/sh', ['-c', script, String(pid), root], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
}

function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

async function createRoles(host: string, port: number, options: string): Promise<void> {
  for (let tries = 0; ; tries++) {
    const sql = postgres({ host, port, user: superuser, database: 'postgres', max: 1, onnotice: () => {} });
    try {
      await sql`select 1`;
      for (const role of [scramRole.user, 'plain_user']) {
        await sql.unsafe(`create role ${role} ${options}`);
      }
      return;
    } catch (error) {
      if (tries > 300) {
        throw error;
      }
      await delay(50);
    } finally {
      await sql.end();
    }
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  const port = await listen(server);
  server.close();
  return port;
}
