/**
 * Exit status of every way a command can end badly. The numbers are a published contract (README, "Exit codes"):
 * codes may be added, never renumbered. Node itself uses 1 to 14, so ours start at 20.
 */
const EXIT_STATUS = {
  /** Our own bug, or something nobody foresaw. */
  E_INTERNAL: 1,
  /** The database delivered other conversations than it counted in the same snapshot. */
  E_INCOMPLETE: 1,
  /** What was asked about is not well: a threshold of `history --check`, or the run of `status --exit-status`. */
  E_ALERT: 1,
  /** A flag, file or setting is wrong; nothing was started. */
  E_USAGE: 2,
  /** The database cannot be reached, or was lost and retrying did not help. */
  E_DB_UNREACHABLE: 20,
  /** Login, certificate, grant or row level security refused us. */
  E_DB_ACCESS: 21,
  /** Tables or columns are not as required. */
  E_SCHEMA: 22,
  /** Data was rejected: strict mode, a skip bound, or a file that fails validation. */
  E_DATA: 23,
  /** Writing the output failed: no space, no permission, an I/O error. */
  E_OUTPUT: 24,
  /** The target exists, or another export is writing it. */
  E_OUTPUT_EXISTS: 25,
  /** No such export, or not yours (deliberately the same). */
  E_NOT_FOUND: 26,
  /** The export expired, or its file was removed. */
  E_GONE: 27,
  /** The audit log could not be written. */
  E_AUDIT: 28,
  /** The file is complete but breaks a rule of its target as a whole. */
  E_TARGET_RULES: 29,
  /** No conversation matched. */
  E_EMPTY: 30,
  /** One of our own deadlines fired. */
  E_STALLED: 31,
  /** Stopped by SIGHUP. */
  E_SIGHUP: 129,
  /** Stopped by SIGINT (Ctrl-C). */
  E_SIGINT: 130,
  /** The reader of standard output closed it early. */
  E_CONSUMER_CLOSED: 141,
  /** Stopped by SIGTERM. */
  E_SIGTERM: 143,
} as const;

/** Every code a {@link LoraExportError} can carry. */
export type ErrorCode = keyof typeof EXIT_STATUS;

interface ErrorDetails {
  /** What to do next, in one sentence. */
  hint?: string | undefined;
  /** The original error. It is kept for `--debug` and never printed otherwise. */
  cause?: unknown;
  /** True when doing the same again may succeed. Default: false. */
  retryable?: boolean | undefined;
}

/**
 * An expected failure, told in the user's words. Anything else that is thrown is a bug of ours.
 * Messages and hints never hold a password, a whole connection string or row content.
 */
export class LoraExportError extends Error {
  override readonly name: string = 'LoraExportError';
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly retryable: boolean;
  /** The export it happened to, once there is one. */
  exportId: string | undefined;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, { cause: details.cause });
    this.code = code;
    this.hint = details.hint;
    this.retryable = details.retryable ?? false;
  }

  /** The process exit status that stands for this error. */
  get exitStatus(): number {
    return EXIT_STATUS[this.code];
  }
}

/** No such export, or it belongs to somebody else: deliberately the same. */
export class ExportNotFoundError extends LoraExportError {
  override readonly name = 'ExportNotFoundError';

  constructor(exportId: string) {
    super('E_NOT_FOUND', `Export not found: ${exportId}`, {
      hint: '`lora-export history` lists the exports that you may see.',
    });
    this.exportId = exportId;
  }
}

/** The database itself refuses this export to the user. */
export class ExportPermissionError extends LoraExportError {
  override readonly name = 'ExportPermissionError';

  constructor(exportId: string, details: ErrorDetails = {}) {
    super('E_DB_ACCESS', `Permission denied for export: ${exportId}`, details);
    this.exportId = exportId;
  }
}

/** The exit status for anything that can be thrown: 1 unless it is one of our own errors. */
export function exitStatusOf(error: unknown): number {
  return error instanceof LoraExportError ? error.exitStatus : EXIT_STATUS.E_INTERNAL;
}
