import { LoraExportError } from '../errors.js';
import { addressOf, isSupabase } from './connection-failures.js';
import { severityOf, textFieldOf } from './error-fields.js';
import { redactedCause, safeServerText } from './server-text.js';
import { translateServerError, type ServerErrorFields } from './server-errors.js';
import type { DatabaseTarget } from './target.js';

/**
 * Turns whatever a database statement can throw into an error in the user's words. What the server or the driver said
 * survives only where it cannot hold data: a server repeats bad values in its messages. Our own errors pass unchanged;
 * what is neither ours, nor the server's, nor the network's is E_INTERNAL with the original as its cause.
 */
export function translateDatabaseError(error: unknown, target: DatabaseTarget): LoraExportError {
  if (error instanceof LoraExportError) {
    return error;
  }
  // Several addresses were tried; the first failure is as good as any.
  const single = error instanceof AggregateError ? ((error.errors[0] as unknown) ?? error) : error;
  const code = textFieldOf(single, 'code');
  const fields = serverFields(single);
  return (
    (fields && translateServerError(fields, target)) ??
    (code === undefined ? undefined : translateFailure(code, single, target)) ??
    new LoraExportError('E_INTERNAL', `Unexpected failure while talking to ${target.label}.`, {
      cause: error,
    })
  );
}

/** Only the server's errors have a severity; the driver's own have codes such as CONNECTION_CLOSED. */
function serverFields(error: unknown): ServerErrorFields | undefined {
  const code = textFieldOf(error, 'code');
  const severity = severityOf(error);
  if (code === undefined || severity === undefined || !/^[0-9A-Z]{5}$/.test(code)) {
    return undefined;
  }
  return {
    code,
    severity,
    message: textFieldOf(error, 'message') ?? '',
    stack: textFieldOf(error, 'stack'),
    routine: textFieldOf(error, 'routine'),
    schema_name: textFieldOf(error, 'schema_name'),
    table_name: textFieldOf(error, 'table_name'),
    column_name: textFieldOf(error, 'column_name'),
    constraint_name: textFieldOf(error, 'constraint_name'),
  };
}

function translateFailure(code: string, error: unknown, target: DatabaseTarget): LoraExportError | undefined {
  const address = addressOf(target);
  const cause = redactedCause(error, safeServerText(textFieldOf(error, 'message') ?? code));
  const unreachable = (message: string, hint: string, retryable: boolean) =>
    new LoraExportError('E_DB_UNREACHABLE', message, { hint, cause, retryable });
  switch (code) {
    case 'ECONNREFUSED':
    case 'ENOENT':
      return unreachable(
        `Nothing listens at ${address}.`,
        'Check that PostgreSQL is running, and host and port of the database URL.',
        true,
      );
    case 'ENOTFOUND':
      return unreachable(`The host name ${address} is not known.`, unknownHostHint(target), false);
    case 'EAI_AGAIN':
      return unreachable(
        `The host name ${address} could not be looked up.`,
        'Check the network and its name server.',
        true,
      );
    case 'ENETUNREACH':
    case 'EHOSTUNREACH':
    case 'EADDRNOTAVAIL':
      return unreachable(
        `There is no network path to ${address}.`,
        noRouteHint(target),
        !isSupabaseDirect(target),
      );
    case 'ETIMEDOUT':
    case 'CONNECT_TIMEOUT':
      return unreachable(
        `${address} does not answer.`,
        isSupabase(target)
          ? noRouteHint(target)
          : 'Check host and port, and that no firewall stands in between.',
        true,
      );
    case 'ECONNRESET':
    case 'ECONNABORTED':
    case 'EPIPE':
    case 'CONNECTION_CLOSED':
    case 'CONNECTION_ENDED':
    case 'CONNECTION_DESTROYED':
      return unreachable(
        `The connection to ${target.label} was lost.`,
        'The server may have been restarted, or the network path was cut.',
        true,
      );
    case 'EACCES':
    case 'EPERM':
      return new LoraExportError('E_DB_ACCESS', `This account may not connect to ${address}.`, {
        hint: 'Check the permissions of the socket and its directory.',
        cause,
      });
    case 'SASL_SIGNATURE_MISMATCH':
      return new LoraExportError(
        'E_DB_ACCESS',
        `${address} could not prove that it knows the password of ${target.label}.`,
        {
          hint: 'Another program may pose as the server: check host and port, and use ?sslmode=verify-full.',
          cause,
        },
      );
    default:
      return textFieldOf(error, 'syscall') === 'connect'
        ? unreachable(
            `${address} cannot be reached (${code}).`,
            'Check host and port of the database URL.',
            false,
          )
        : undefined;
  }
}

/** Supabase's direct hosts `db.<ref>.supabase.co` have no IPv4 address. */
function isSupabaseDirect(target: DatabaseTarget): boolean {
  return isSupabase(target) && target.host.startsWith('db.');
}

function unknownHostHint(target: DatabaseTarget): string {
  return isSupabaseDirect(target)
    ? 'The project may be paused or deleted. Direct addresses of Supabase have IPv6 only: without it use the session pooler (dashboard, "Connect").'
    : 'Check the spelling of the host in the database URL.';
}

function noRouteHint(target: DatabaseTarget): string {
  return isSupabaseDirect(target)
    ? 'Direct addresses of Supabase have IPv6 only: without it use the session pooler (dashboard, "Connect").'
    : 'Check the network of this machine (VPN, IPv6) and the host in the database URL.';
}
