import { ExportPermissionError, LoraExportError, type ErrorCode } from '../errors.js';
import { severityOf, textFieldOf } from './error-fields.js';
import { redactedCause } from './server-text.js';

/** What is said about an answer of the server; never its own text, which repeats values. */
interface Reason {
  readonly code: ErrorCode;
  readonly text: string;
  readonly hint?: string;
  readonly retryable?: boolean;
}

/**
 * What a statement on the log threw, fit for users: refusals of the server by its SQLSTATE (PostgreSQL documentation,
 * appendix A). Failures of the connection, and whatever else is not the answer to a statement, come back as they are.
 *
 * @param action such as `create export log`
 * @param exportId which export it was about; without it, about several
 */
export function explainFailure(error: unknown, action: string, exportId?: string): unknown {
  const state = textFieldOf(error, 'code');
  // Only the server's errors have a severity; those that end the session, or never let it begin, are FATAL or PANIC.
  if (state === undefined || severityOf(error) !== 'ERROR') return error;
  const cause = redactedCause(error, `SQLSTATE ${state}`);
  if (state === '42501') {
    return new ExportPermissionError(exportId ?? '*', {
      hint:
        textFieldOf(error, 'constraint_name') === 'export_logs_hardened'
          ? 'This log is hardened: only `cleanup --logs` removes rows, after it has archived them.'
          : 'Row level security or a missing grant refuses it to this role.',
      cause,
    });
  }
  const { code, text, ...details } = reasonOf(state, textFieldOf(error, 'constraint_name') ?? '');
  return new LoraExportError(code, `Failed to ${action}: ${text}.`, { ...details, cause });
}

function reasonOf(state: string, constraint: string): Reason {
  switch (state) {
    case '23503':
      return { code: 'E_AUDIT', text: 'the database does not know this user' };
    case '23514':
      return {
        code: 'E_AUDIT',
        text:
          constraint === 'export_logs_transitions'
            ? 'this status is not allowed here'
            : `the database refuses such a row (${constraint})`,
        hint: 'A status moves forward only: queued, processing, completed, expired; or from the first two to failed.',
      };
    case '25P02':
      return { code: 'E_AUDIT', text: 'the transaction had failed before' };
    case '40001':
    case '40P01':
    case '55P03':
      return { code: 'E_DB_UNREACHABLE', text: 'another transaction was in the way', retryable: true };
    case '57014':
      return { code: 'E_STALLED', text: 'the server cancelled the statement' };
    case '42P01':
    case '42703':
    case '3F000':
      return {
        code: 'E_SCHEMA',
        text: 'the audit tables are missing, or have another shape',
        hint: '`lora-export init` creates them.',
      };
    default:
      return { code: 'E_AUDIT', text: `the database refused it (SQLSTATE ${state})` };
  }
}
