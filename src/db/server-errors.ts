import { LoraExportError, type ErrorCode } from '../errors.js';
import { addressOf, isSupabase } from './connection-failures.js';
import { redactedCause, safeServerText } from './server-text.js';
import type { DatabaseTarget } from './target.js';

/** What is used of a server's error, named as the driver names it. */
export interface ServerErrorFields {
  /** SQLSTATE. */
  readonly code: string;
  readonly severity: string;
  readonly message: string;
  readonly stack?: string | undefined;
  /** The function in the server's source that raised it. */
  readonly routine?: string | undefined;
  readonly schema_name?: string | undefined;
  readonly table_name?: string | undefined;
  readonly column_name?: string | undefined;
  readonly constraint_name?: string | undefined;
}

interface Translation {
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint?: string | undefined;
  readonly retryable?: boolean;
}

/** An ErrorResponse of the server, by its SQLSTATE (PostgreSQL documentation, appendix A). */
export function translateServerError(error: ServerErrorFields, target: DatabaseTarget): LoraExportError {
  const text = quotableText(error);
  const { code, message, ...details } = fromPooler(error, target) ?? fromState(error, target, text);
  return new LoraExportError(code, message, {
    ...details,
    cause: redactedCause(error, text ?? `SQLSTATE ${error.code}`),
  });
}

/**
 * The server's message where it can hold no more than names: classes 22, 23 and P0 repeat values, and a function may
 * raise any SQLSTATE with any text.
 */
function quotableText({ code, message, routine }: ServerErrorFields): string | undefined {
  return /^(?:08|0A|25|26|28|3D|3F|40|42|53|55|57)/.test(code) && routine !== 'exec_stmt_raise'
    ? safeServerText(message)
    : undefined;
}

/** Poolers report their own troubles under SQLSTATEs that say nothing; their texts are constants. */
function fromPooler({ message }: ServerErrorFields, target: DatabaseTarget): Translation | undefined {
  if (/tenant or user not found|tenant\/user/i.test(message)) {
    return {
      code: 'E_DB_ACCESS',
      message: `The pooler at ${addressOf(target)} knows no such project or user (${target.label}).`,
      hint: 'Copy the pooler address anew from the dashboard ("Connect"): the host has to be that of the project, the user has to end in .<project-ref>, and a paused project has to be restored. The password is usually not the cause.',
    };
  }
  if (/max ?clients/i.test(message)) {
    return tooManyConnections(target);
  }
  return undefined;
}

function tooManyConnections(target: DatabaseTarget): Translation {
  return {
    code: 'E_DB_UNREACHABLE',
    message: `${addressOf(target)} has no free connection.`,
    hint: 'Close other clients, raise the limit of the server or pooler, or try later.',
    retryable: true,
  };
}

function fromState(error: ServerErrorFields, target: DatabaseTarget, text: string | undefined): Translation {
  const state = error.code;
  const said = text === undefined ? `SQLSTATE ${state}` : `${text} (${state})`;
  const what = `${target.label}: ${said}${namesIn(error)}`;
  switch (state) {
    case '28P01':
      return {
        code: 'E_DB_ACCESS',
        message: `The password was refused: ${target.label}.`,
        hint: passwordHint(target),
      };
    case '28000':
      return {
        code: 'E_DB_ACCESS',
        message: `The login was refused: ${what}.`,
        hint: loginHint(text, target),
      };
    case '3D000':
      return {
        code: 'E_DB_ACCESS',
        message: `The database does not exist: ${target.label}.`,
        hint: 'Name an existing one at the end of the database URL; without a name it is that of the user.',
      };
    case '42501':
      return {
        code: 'E_DB_ACCESS',
        message: `Permission denied: ${what}.`,
        hint: 'Grant the role what is missing, or check the row level security policies of the table.',
      };
    case '25006':
      return {
        code: 'E_DB_ACCESS',
        message: `The server accepts no writes: ${what}.`,
        hint: 'Connect to the primary and not to a replica; check default_transaction_read_only of the role.',
      };
    case '42P01':
    case '42703':
    case '3F000':
    case '42883':
      return {
        code: 'E_SCHEMA',
        message: `The database lacks something that is needed: ${what}.`,
        hint: '`lora-export doctor` lists the tables and columns that are missing.',
      };
    case '26000':
    case '42P05':
      return {
        code: 'E_SCHEMA',
        message: `A pooler keeps no prepared statements: ${what}.`,
        hint: 'Use the session pooler or the direct address; a transaction pooler is recognised by its port 6543.',
      };
    case '57014':
      return {
        code: 'E_STALLED',
        message: `The server cancelled a statement: ${what}.`,
        hint: `If it was statement_timeout, raise it for this role: alter role … set statement_timeout = '10min'.`,
      };
    case '25P04':
      return {
        code: 'E_STALLED',
        message: `The server ended a long transaction: ${what}.`,
        hint: 'Raise transaction_timeout for this role, or set it to 0.',
      };
    case '55P03':
      return {
        code: 'E_STALLED',
        message: `A lock was not free in time: ${what}.`,
        hint: 'Another session holds it (see pg_locks): wait for its end, or raise lock_timeout.',
      };
    case '25P03':
      return lost(target, said, 'Raise idle_in_transaction_session_timeout for this role, or set it to 0.');
    case '57P05':
      return lost(target, said, 'Raise idle_session_timeout for this role, or set it to 0.');
    case '57P01':
    case '57P02':
      return lost(
        target,
        said,
        'The server was stopped or restarted, or an administrator ended the session.',
      );
    case '57P03':
      return {
        code: 'E_DB_UNREACHABLE',
        message: `The server does not accept connections now: ${what}.`,
        hint: 'It is starting, stopping or recovering: try again soon.',
        retryable: true,
      };
    case '53300':
      return tooManyConnections(target);
    case '40001':
    case '40P01':
      return {
        code: 'E_DB_UNREACHABLE',
        message: `The server broke off the transaction because of another one: ${what}.`,
        hint: 'Try again. On a replica that happens to long reads: use the primary, or raise max_standby_streaming_delay.',
        retryable: true,
      };
    default:
      return fromClass(error, target, what);
  }
}

function fromClass(error: ServerErrorFields, target: DatabaseTarget, what: string): Translation {
  switch (error.code.slice(0, 2)) {
    case '08':
      return {
        code: 'E_DB_UNREACHABLE',
        message: `The server or a pooler broke off the connection: ${what}.`,
        retryable: true,
      };
    case '28':
      return {
        code: 'E_DB_ACCESS',
        message: `The login was refused: ${what}.`,
        hint: loginHint(undefined, target),
      };
    case '0A':
    case '42':
      return {
        code: 'E_SCHEMA',
        message: `The database is not as lora-export needs it: ${what}.`,
        hint: '`lora-export doctor` compares it with what is needed.',
      };
    case '22':
    case '23':
    case 'P0':
      return {
        code: 'E_DATA',
        message: `The server refused a value: ${what}.`,
        hint: 'The value itself is not shown. The SQLSTATE is explained in appendix A of the PostgreSQL documentation.',
      };
    case '53':
    case '54':
    case '57':
    case '58':
    case 'F0':
    case 'XX':
      return {
        code: 'E_DB_UNREACHABLE',
        message: `The database server failed: ${what}.`,
        hint: 'Its log has the details.',
      };
    default:
      return { code: 'E_INTERNAL', message: `Unexpected answer of the database server: ${what}.` };
  }
}

function lost(target: DatabaseTarget, said: string, hint: string): Translation {
  return {
    code: 'E_DB_UNREACHABLE',
    message: `The server ended the connection to ${target.label}: ${said}.`,
    hint,
    retryable: true,
  };
}

/** Which table, column and constraint the server named, for errors whose text is withheld. */
function namesIn({ schema_name, table_name, column_name, constraint_name }: ServerErrorFields): string {
  const table = table_name && (schema_name ? `${schema_name}.${table_name}` : table_name);
  const names = [
    table && `table ${table}`,
    column_name && `column ${column_name}`,
    constraint_name && `constraint ${constraint_name}`,
  ].filter((name) => name !== undefined && name !== '');
  return names.length === 0 ? '' : safeServerText(` [${names.join(', ')}]`).replace(/^\[/, ' [');
}

function passwordHint(target: DatabaseTarget): string {
  if (target.password === null) {
    return 'None was given: put it into the database URL, or into PGPASSWORD.';
  }
  return isSupabase(target)
    ? 'It has to be the database password of the project, not an API key; it can be reset in the dashboard. Reserved characters in a URL have to be percent-encoded (@ is %40).'
    : 'Reserved characters in a URL have to be percent-encoded (@ is %40, : is %3A, / is %2F, # is %23, % is %25).';
}

/** pg_hba.conf refusals end in "no encryption" (before PostgreSQL 14 "SSL off") when TLS might have been let in. */
function loginHint(text: string | undefined, target: DatabaseTarget): string {
  return target.tls === 'disable' && /no encryption|SSL off/.test(text ?? '')
    ? 'The server may demand TLS: add ?sslmode=verify-full to the database URL.'
    : 'Check the role, and the rules of pg_hba.conf for it.';
}
