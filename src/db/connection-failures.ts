import { LoraExportError } from '../errors.js';
import { fieldOf, textFieldOf } from './error-fields.js';
import type { DatabaseTarget } from './target.js';
import { visible } from '../visible.js';

/** `host:port`, or the path of the Unix socket. */
export function addressOf(target: DatabaseTarget): string {
  return visible(
    target.socketPath ?? `${target.host.includes(':') ? `[${target.host}]` : target.host}:${target.port}`,
  );
}

/** True for the hosts of Supabase's platform. */
export function isSupabase(target: DatabaseTarget): boolean {
  return /\.supabase\.(?:co|com|in|green)$/i.test(target.host);
}

/** Something answered, and it was not PostgreSQL. */
export function notPostgres(target: DatabaseTarget): LoraExportError {
  return new LoraExportError('E_DB_UNREACHABLE', `What listens at ${addressOf(target)} is not PostgreSQL.`, {
    hint: 'Check host and port: PostgreSQL usually has port 5432, the transaction pooler of Supabase 6543.',
  });
}

/** The peer hung up before the login was through. */
export function closedAtLogin(target: DatabaseTarget): LoraExportError {
  return new LoraExportError(
    'E_DB_UNREACHABLE',
    `${addressOf(target)} closed the connection before the login was finished.`,
    {
      hint: 'The server may be starting or refuse this machine; a load balancer may have no server behind it; or the port belongs to another program.',
      retryable: true,
    },
  );
}

/** @param limitMs what was allowed, in milliseconds */
export function connectTimedOut(target: DatabaseTarget, limitMs: number): LoraExportError {
  return new LoraExportError(
    'E_DB_UNREACHABLE',
    `${addressOf(target)} did not complete a login within ${limitMs / 1000} s.`,
    {
      hint: 'Check host and port, and that no firewall stands in between. A slow server can be given more time with ?connect_timeout=SECONDS.',
      retryable: true,
    },
  );
}

/** @param limitMs how long nothing came, in milliseconds */
export function stalled(target: DatabaseTarget, limitMs: number): LoraExportError {
  return new LoraExportError(
    'E_STALLED',
    `${addressOf(target)} sent nothing for ${limitMs / 1000} s while a statement was running.`,
    { hint: 'The statement may wait for a lock (see pg_stat_activity), or the network path was lost.' },
  );
}

export function unsupportedLogin(target: DatabaseTarget, method: string): LoraExportError {
  return new LoraExportError(
    'E_DB_ACCESS',
    `${addressOf(target)} wants a login by ${method}, which lora-export does not know.`,
    { hint: 'Use a role that logs in with a password (scram-sha-256 in pg_hba.conf).' },
  );
}

export function tlsNotOffered(target: DatabaseTarget): LoraExportError {
  return new LoraExportError(
    'E_DB_ACCESS',
    `${addressOf(target)} offers no TLS, and sslmode=${target.tls} demands it.`,
    {
      hint: 'Turn TLS on at the server; or, if everybody on the way may read the data, add ?sslmode=disable to the database URL.',
    },
  );
}

export function tlsFailed(target: DatabaseTarget, error: unknown): LoraExportError {
  const { code, problem, remedy } = describeTlsFailure(target, error);
  const mode = `sslmode=${target.tls}`;
  return new LoraExportError('E_DB_ACCESS', `${addressOf(target)} ${problem} (${code}; ${mode}).`, {
    hint: remedy,
  });
}

const trustFile =
  'Add ?sslrootcert=FILE with the certificate of the authority that signed it; ?sslmode=require encrypts without verifying who answers.';
const supabaseTrustFile =
  'Supabase signs with an authority of its own: download its certificate (Database settings, SSL configuration) and add ?sslrootcert=FILE; ?sslmode=require encrypts without verifying who answers.';

function describeTlsFailure(
  target: DatabaseTarget,
  error: unknown,
): { code: string; problem: string; remedy: string } {
  const name = textFieldOf(error, 'code') ?? 'TLS';
  const trust = isSupabase(target) ? supabaseTrustFile : trustFile;
  switch (name) {
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
      return {
        code: name,
        problem: 'has a self-signed certificate',
        remedy: trust.replace('of the authority that signed it', 'itself'),
      };
    case 'SELF_SIGNED_CERT_IN_CHAIN':
      return {
        code: name,
        problem: 'has a certificate of a private authority that is not trusted here',
        remedy: trust,
      };
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
    case 'UNABLE_TO_GET_ISSUER_CERT':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
    case 'CERT_UNTRUSTED':
    case 'INVALID_CA':
    case 'CERT_SIGNATURE_FAILURE':
      return {
        code: name,
        problem: 'has a certificate of an authority that is not trusted here',
        remedy: trust,
      };
    case 'ERR_TLS_CERT_ALTNAME_INVALID': {
      const names = textFieldOf(fieldOf(error, 'cert'), 'subjectaltname')?.slice(0, 200);
      return {
        code: name,
        problem: `has a certificate for another name${names ? `: ${visible(names)}` : ''}`,
        remedy:
          'Use a host name of the certificate in the database URL; ?sslmode=verify-ca verifies the authority and not the name.',
      };
    }
    case 'CERT_HAS_EXPIRED':
      return {
        code: name,
        problem: 'has a certificate that has expired',
        remedy: 'Renew it at the server, and check the clock of this machine.',
      };
    case 'CERT_NOT_YET_VALID':
      return {
        code: name,
        problem: 'has a certificate that is not valid yet',
        remedy: 'Check the clocks of this machine and of the server.',
      };
    default:
      return {
        code: name,
        problem: 'did not complete the TLS handshake',
        remedy: 'The server may demand a client certificate or a TLS version older than 1.2.',
      };
  }
}
