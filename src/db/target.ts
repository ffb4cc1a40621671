import { isIP } from 'node:net';

import { LoraExportError } from '../errors.js';
import { splitDatabaseUrl, type BadUrl } from './database-url.js';
import { visible } from '../visible.js';

const tlsModes = ['disable', 'prefer', 'require', 'verify-ca', 'verify-full'] as const;

/** How far the connection is protected; the names and meanings are those of libpq's `sslmode`. */
export type TlsMode = (typeof tlsModes)[number];

/** Which database to talk to and how: a database URL, understood and completed. */
export interface DatabaseTarget {
  /** A name, an IP address, or for a Unix socket its directory. */
  readonly host: string;
  readonly port: number;
  /** `<directory>/.s.PGSQL.<port>`, or null for TCP. */
  readonly socketPath: string | null;
  readonly database: string;
  readonly user: string;
  readonly password: string | null;
  readonly tls: TlsMode;
  /** Path of the PEM file to verify the server with; null = the certificate authorities that Node trusts. */
  readonly rootCertificate: string | null;
  /** `user@host:port/database`: safe to print. */
  readonly label: string;
  /** Names of URL parameters that were not understood and had no effect. */
  readonly ignoredParameters: readonly string[];
  /** `connect_timeout` of the URL, in milliseconds. */
  readonly connectTimeoutMs?: number;
}

const understood = new Set([
  'sslmode',
  'sslrootcert',
  'host',
  'port',
  'user',
  'password',
  'dbname',
  'database',
  'application_name',
  'connect_timeout',
]);

/**
 * Reads a database URL as libpq would, without the environment of libpq save one variable: PGPASSWORD is taken when the
 * URL has no password. Without `sslmode`, a server on this machine is spoken to in clear text and any other must prove
 * its name (`verify-full`). Parameters that are not understood are left out, because a server refuses unknown ones.
 *
 * @param origin where the URL came from, for messages: `--database-url`, `DATABASE_URL`, …
 * @param env default: empty
 * @throws LoraExportError E_USAGE, never quoting the URL
 */
export function parseDatabaseUrl(
  url: string,
  origin: string,
  env: Record<string, string | undefined> = {},
): DatabaseTarget {
  const bad: BadUrl = (problem, hint) => new LoraExportError('E_USAGE', `${origin} ${problem}`, { hint });
  const parts = splitDatabaseUrl(url, bad);
  const parameter = (name: string) => parts.parameters.get(name) || undefined;

  const host = checkHost(parameter('host') ?? parts.host ?? 'localhost', bad);
  const port = checkPort(parameter('port') ?? parts.port, bad);
  const user = parameter('user') ?? parts.user;
  if (user === undefined) {
    throw bad('names no user.', 'Write it in front of the host: postgresql://USER@HOST/DATABASE.');
  }
  const password = parameter('password') ?? parts.password ?? (env['PGPASSWORD'] || null);
  const database = parameter('dbname') ?? parameter('database') ?? parts.database ?? user;
  const isSocket = host.startsWith('/');
  const connectTimeoutMs = checkConnectTimeout(parameter('connect_timeout'), bad);
  const printableHost = isIP(host) === 6 ? `[${host}]` : host;
  return {
    host,
    port,
    socketPath: isSocket ? `${host === '/' ? '' : host}/.s.PGSQL.${port}` : null,
    database,
    user,
    password,
    ...checkTls(host, parts.parameters, bad),
    label: visible(`${user}@${printableHost}:${port}/${database}`),
    ignoredParameters: [...parts.parameters.keys()].filter((name) => !understood.has(name)),
    ...(connectTimeoutMs !== undefined && { connectTimeoutMs }),
  };
}

/**
 * True for port 6543, Supabase's transaction pooler: there each transaction may run in another session, so named
 * prepared statements, session settings and session locks do not work.
 */
export function isTransactionPooler(target: DatabaseTarget): boolean {
  return target.port === 6543;
}

function checkHost(host: string, bad: BadUrl): string {
  if (host.startsWith('/')) {
    return host.replace(/(?<=.)\/+$/, '');
  }
  if (host.includes(',')) {
    throw bad('names several hosts.', 'Name one of them: the one that accepts writes.');
  }
  if (isIP(host) === 0 && !/^[\p{L}\p{N}_]([\p{L}\p{N}._-]*[\p{L}\p{N}_.])?$/u.test(host)) {
    throw bad(
      'has no valid host name.',
      'Write the name as it is: no placeholder, brackets or quotation marks.',
    );
  }
  return host;
}

function checkPort(port: string | undefined, bad: BadUrl): number {
  if (port === undefined) {
    return 5432;
  }
  // The text may be half a password, so it is not quoted.
  if (!/^\d+$/.test(port)) {
    throw bad(
      'has something other than a number as its port.',
      'Should it be part of the password: an @, / or ? in there must be percent-encoded (%40, %2F, %3F).',
    );
  }
  const number = Number(port);
  if (number < 1 || number > 65_535) {
    throw bad('has a port that is out of range.', 'Ports go from 1 to 65535; PostgreSQL usually has 5432.');
  }
  return number;
}

function checkConnectTimeout(seconds: string | undefined, bad: BadUrl): number | undefined {
  if (seconds === undefined) {
    return undefined;
  }
  if (!/^\d{1,6}$/.test(seconds)) {
    throw bad('has a connect_timeout that is not a whole number of seconds.');
  }
  // Zero is libpq's word for "wait for ever"; here it leaves the default in place.
  return Number(seconds) * 1000 || undefined;
}

function checkTls(
  host: string,
  parameters: ReadonlyMap<string, string>,
  bad: BadUrl,
): { tls: TlsMode; rootCertificate: string | null } {
  const given = parameters.get('sslmode');
  const file = parameters.get('sslrootcert') || null;
  const mode = given === undefined ? defaultTls(host, file) : readMode(given, bad);
  if (file === 'system') {
    if (given !== undefined && mode !== 'verify-full') {
      throw bad(`has sslrootcert=system with a weaker sslmode than verify-full.`, 'Use sslmode=verify-full.');
    }
    return { tls: host.startsWith('/') ? 'disable' : 'verify-full', rootCertificate: null };
  }
  // As in libpq, sslmode has no meaning on a Unix socket: nobody is in between.
  return { tls: host.startsWith('/') ? 'disable' : mode, rootCertificate: file };
}

function readMode(given: string, bad: BadUrl): TlsMode {
  // `allow` begins in clear text and turns to TLS when refused; starting with TLS is never weaker.
  const mode = given === 'allow' ? 'prefer' : tlsModes.find((mode) => mode === given);
  if (mode === undefined) {
    throw bad('has an unknown sslmode.', `Valid values: ${tlsModes.join(', ')}.`);
  }
  return mode;
}

function defaultTls(host: string, rootCertificate: string | null): TlsMode {
  return isLocal(host) && rootCertificate === null ? 'disable' : 'verify-full';
}

/** The traffic never leaves this machine. */
export function isLocal(host: string): boolean {
  return (
    host.startsWith('/') ||
    host.toLowerCase() === 'localhost' ||
    host === '::1' ||
    (isIP(host) === 4 && host.startsWith('127.'))
  );
}
