import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { connect, isIP, type Socket } from 'node:net';
import { checkServerIdentity, connect as connectTls } from 'node:tls';

import { LoraExportError } from '../errors.js';
import { closedAtLogin, notPostgres, tlsFailed, tlsNotOffered } from './connection-failures.js';
import { translateDatabaseError } from './driver-errors.js';
import { textFieldOf } from './error-fields.js';
import type { DatabaseTarget } from './target.js';
import { visible } from '../visible.js';

/** Per address of a host that has several; Node's own 250 ms would pass over servers on another continent. */
const addressAttemptMs = 2500;

/** Length 8, code 80877103 (PostgreSQL documentation, "Message Formats", SSLRequest). */
const sslRequest = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]);

/**
 * Opens a socket on which the startup message can be sent: connected, and encrypted and verified as `target.tls` says.
 * The driver would do that too, but checks the certificate against "localhost" when it is given a socket or an IP
 * address, and reports most TLS failures as a timeout.
 *
 * @throws LoraExportError E_DB_UNREACHABLE, E_DB_ACCESS (TLS), E_USAGE (unreadable root certificate), or the signal's reason
 */
export async function openSocket(target: DatabaseTarget, signal: AbortSignal): Promise<Socket> {
  const ca = target.tls === 'disable' ? undefined : await readRootCertificate(target);
  signal.throwIfAborted();
  const socket =
    target.socketPath === null
      ? connect({
          host: target.host,
          port: target.port,
          noDelay: true,
          autoSelectFamily: true,
          autoSelectFamilyAttemptTimeout: addressAttemptMs,
        })
      : connect({ path: target.socketPath });
  // Between two steps nobody waits for an error; the next step finds the socket destroyed.
  socket.on('error', () => {});
  let secure: Socket | undefined;
  const abandon = () => {
    secure?.destroy();
    socket.destroy();
  };
  signal.addEventListener('abort', abandon, { once: true });
  try {
    await next(socket, 'connect');
    if (target.tls === 'disable' || !(await serverOffersTls(socket, target))) {
      return socket;
    }
    secure = encrypt(socket, target, ca);
    await next(secure, 'secureConnect').catch((error: unknown) => {
      throw isLoss(error) ? error : tlsFailed(target, error);
    });
    return secure;
  } catch (error) {
    abandon();
    signal.throwIfAborted();
    throw isLoss(error) ? closedAtLogin(target) : translateDatabaseError(error, target);
  } finally {
    signal.removeEventListener('abort', abandon);
  }
}

/** False = in clear text, which only `prefer` puts up with. */
async function serverOffersTls(socket: Socket, target: DatabaseTarget): Promise<boolean> {
  socket.write(sslRequest);
  const answer = await nextBytes(socket);
  socket.pause();
  switch (answer.toString('latin1')) {
    case 'S':
      return true;
    case 'N':
      if (target.tls === 'prefer') {
        return false;
      }
      throw tlsNotOffered(target);
    default:
      // Also an S with bytes behind it: somebody in between would have us believe them (CVE-2021-23222).
      // An E is an error message of a server that could not even start a process for us.
      throw answer[0] === 0x45 ? closedAtLogin(target) : notPostgres(target);
  }
}

function encrypt(socket: Socket, target: DatabaseTarget, ca: string | undefined): Socket {
  // libpq: a root certificate turns `require` into `verify-ca`.
  const verifies =
    target.tls === 'verify-ca' ||
    target.tls === 'verify-full' ||
    (target.tls === 'require' && ca !== undefined);
  const secure = connectTls({
    socket,
    host: target.host,
    // Server names are names; an IP address is checked against the certificate all the same.
    ...(isIP(target.host) === 0 && { servername: target.host }),
    ...(ca !== undefined && { ca }),
    minVersion: 'TLSv1.2',
    rejectUnauthorized: verifies,
    checkServerIdentity: target.tls === 'verify-full' ? checkServerIdentity : () => undefined,
  });
  secure.on('error', () => {});
  return secure;
}

async function readRootCertificate(target: DatabaseTarget): Promise<string | undefined> {
  if (target.rootCertificate === null) {
    return undefined;
  }
  const file = visible(target.rootCertificate);
  try {
    const text = await readFile(target.rootCertificate, 'utf8');
    // Node ignores a file without certificates, and the failure would look like the server's.
    parseCertificate(text);
    return text;
  } catch (cause) {
    const missing = textFieldOf(cause, 'syscall') !== undefined;
    throw new LoraExportError(
      'E_USAGE',
      missing
        ? `The file of sslrootcert cannot be read: ${file}.`
        : `The file of sslrootcert holds no PEM certificate: ${file}.`,
      { hint: 'Name a PEM file (-----BEGIN CERTIFICATE-----), with an absolute path.', cause },
    );
  }
}

function parseCertificate(pem: string): X509Certificate {
  return new X509Certificate(pem);
}

const loss = new Error('The peer closed the connection');

/** The peer hung up; a reset counts too, because some programs answer that way to what they do not understand. */
function isLoss(error: unknown): boolean {
  return error === loss || ['ECONNRESET', 'EPIPE'].includes(textFieldOf(error, 'code') ?? '');
}

async function nextBytes(socket: Socket): Promise<Buffer> {
  let bytes: Buffer = Buffer.alloc(0);
  socket.once('data', (chunk: Buffer) => (bytes = chunk));
  await next(socket, 'data');
  return bytes;
}

/** Resolves at the event; rejects with the socket's error, or with `loss` when it closes. */
function next(socket: Socket, event: 'connect' | 'data' | 'secureConnect'): Promise<void> {
  return new Promise((resolve, reject) => {
    if (socket.destroyed) {
      reject(socket.errored ?? loss);
      return;
    }
    const settle = (act: () => void) => {
      socket.off(event, onEvent).off('error', onError).off('close', onClose);
      act();
    };
    const onEvent = () => settle(resolve);
    const onError = (error: Error) => settle(() => reject(error));
    const onClose = () => settle(() => reject(loss));
    socket.on(event, onEvent).on('error', onError).on('close', onClose);
  });
}
