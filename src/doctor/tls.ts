import { checkServerIdentity, TLSSocket } from 'node:tls';
import { addressOf } from '../db/connection-failures.js';
import { openSocket } from '../db/socket.js';
import { isLocal, type DatabaseTarget } from '../db/target.js';
import type { DoctorContext } from './context.js';
import { failedBy, ok, warning, type Finding } from './finding.js';

const PATIENCE_MS = 10_000;

/**
 * How the way to the server is protected. This takes a socket of its own, without a login: it tells about TLS also when
 * the login is refused, and about the way to a pooler, which the server behind it knows nothing of.
 *
 * @throws LoraExportError as `openSocket` does
 */
export async function checkTls(target: DatabaseTarget, { signal }: DoctorContext): Promise<Finding> {
  if (target.tls === 'disable') return inClearText(target);
  const patience = AbortSignal.timeout(target.connectTimeoutMs ?? PATIENCE_MS);
  const socket = await openSocket(target, signal ? AbortSignal.any([signal, patience]) : patience).catch(
    (error: unknown) => {
      signal?.throwIfAborted();
      return failedBy(error);
    },
  );
  if ('status' in socket) return socket;
  try {
    return socket instanceof TLSSocket ? encrypted(target, socket) : inClearText(target);
  } finally {
    socket.destroy();
  }
}

function inClearText(target: DatabaseTarget): Finding {
  if (target.socketPath !== null || isLocal(target.host)) {
    return ok(`sslmode=${target.tls}: clear text, which does not leave this machine`);
  }
  return warning(
    `sslmode=${target.tls}: clear text; everybody on the way to ${addressOf(target)} can read the conversations and the login`,
    'Put ?sslmode=verify-full into the database URL; the server has to offer TLS for that.',
  );
}

function encrypted(target: DatabaseTarget, socket: TLSSocket): Finding {
  const how = `${socket.getProtocol() ?? 'TLS'}, ${socket.getCipher().name}`;
  const verifies =
    target.tls === 'verify-ca' || (target.tls === 'require' && target.rootCertificate !== null);
  const isTrusted = socket.authorized;
  const isNamed = checkServerIdentity(target.host, socket.getPeerCertificate()) === undefined;
  if (target.tls === 'verify-full') return ok(`sslmode=verify-full: ${how}; certificate and name verified`);
  const checked = verifies
    ? 'the authority of the certificate is verified, but not the name'
    : 'the certificate is not verified: somebody in between could pose as the server';
  const fix =
    isTrusted && isNamed
      ? 'Put sslmode=verify-full into the database URL: the certificate of this server passes it.'
      : isTrusted
        ? 'Put a name of the certificate into the database URL, then sslmode=verify-full.'
        : 'Put sslmode=verify-full&sslrootcert=FILE into the database URL, with the certificate of the authority that signed it.';
  // Of servers on this machine too: a tunnel to a server elsewhere ends here.
  return warning(`sslmode=${target.tls}: ${how}; ${checked}`, fix);
}
