import { randomUUID } from 'node:crypto';
import type postgres from 'postgres';
import { explainFailure } from './db/export-log-failures.js';
import {
  deleteLog,
  expireLogs,
  findLog,
  insertLog,
  listLogs,
  updateLog,
  type LogTables,
  type Outcome,
} from './db/export-log-rows.js';
import { ExportNotFoundError, ExportPermissionError, LoraExportError } from './errors.js';
import {
  checkChanges,
  checkList,
  checkNewLog,
  isExportId,
  type CreateExportLogInput,
  type ExportLog,
  type ExportLogFilters,
  type Pagination,
  type UpdateExportLogInput,
} from './service/export-log.js';

/** Where the tables are. */
export interface ExportServiceOptions {
  /** Schema of `export_logs` and `export_runs`. Default: `public`. */
  readonly schema?: string | undefined;
}

/** One page of a user's exports. */
export interface ExportLogPage {
  /** Newest first. */
  readonly logs: readonly ExportLog[];
  /** On all pages together. */
  readonly total: number;
}

/**
 * The rows of `export_logs`, for programs that keep the log themselves or show it. All that a method does happens with
 * the rights of the client that it was made with, in one statement; what row level security hides does not exist.
 *
 * Refusals of the server are a {@link LoraExportError} with a message fit for users; a failure of the connection, a
 * refused login included, is thrown as the driver reports it.
 */
export interface ExportService {
  /**
   * Adds a row, with a new `export_id` and the server's time. It has no companion in `export_runs`: no worker takes it
   * up, and nobody declares it dead.
   * @param input who exports what; `config` is stored as it is, `status` is `queued` unless given
   * @returns the row
   * @throws LoraExportError `E_USAGE` listing every problem of the input, `E_AUDIT` when the database refuses the row;
   * {@link ExportPermissionError} when it may not be written for this user
   * @example
   * const log = await service.createExportLog({
   *   user_id: userId,
   *   format: 'jsonl',
   *   config: { version: 1, scope: 'approved', format: 'jsonl' },
   *   conversation_count: 42,
   * });
   */
  createExportLog(input: CreateExportLogInput): Promise<ExportLog>;

  /**
   * Reads one row.
   * @param exportId any text: what is no UUID is the id of no export
   * @returns the row, or null when there is none that may be seen
   * @throws ExportPermissionError when the role may not read the table
   * @example
   * const log = await service.getExportLog(exportId);
   * if (log === null) response.statusCode = 404;
   */
  getExportLog(exportId: string): Promise<ExportLog | null>;

  /**
   * Lists the exports of one user, newest first.
   * @param userId whose; what is no UUID is the id of nobody
   * @param filters default: none. Both dates are inclusive, on `timestamp`
   * @param pagination default: page 1 of 25 rows; at most 100 rows
   * @returns the page, and how many rows match on all pages; both of one instant
   * @throws LoraExportError `E_USAGE` listing every problem of filters and pagination
   * @example
   * const { logs, total } = await service.listExportLogs(
   *   userId,
   *   { status: 'completed', dateFrom: '2025-10-01', dateTo: '2025-10-31' },
   *   { page: 1, limit: 25 },
   * );
   */
  listExportLogs(userId: string, filters?: ExportLogFilters, pagination?: Pagination): Promise<ExportLogPage>;

  /**
   * Changes what is given, and `updated_at`.
   * @param updates what is left out stays, null empties a column; `config.result` is replaced as a whole
   * @returns the row as it is now
   * @throws ExportNotFoundError when there is no such row that may be seen; {@link ExportPermissionError} when it may
   * be seen but not changed; LoraExportError `E_USAGE`, or `E_AUDIT` for a status that may not follow the present one
   * @example
   * await service.updateExportLog(exportId, {
   *   status: 'completed',
   *   file_size: 81_920,
   *   conversation_count: 40,
   *   config: { result: { exported: 40, skipped: 2 } },
   * });
   */
  updateExportLog(exportId: string, updates: UpdateExportLogInput): Promise<ExportLog>;

  /**
   * Removes one row for good, with its companion: for administrators, as no policy lets a user erase the trail.
   * @throws ExportNotFoundError when there is no such row that may be seen; {@link ExportPermissionError} when it may be
   * seen but not removed; LoraExportError `E_AUDIT` while the export still owns a managed file
   * @example
   * await adminService.deleteExportLog(exportId);
   */
  deleteExportLog(exportId: string): Promise<void>;

  /**
   * Marks completed exports as expired whose `expires_at` has passed, by the clock of the server. Their files stay:
   * `lora-export cleanup` removes them, also after this.
   * @returns how many were marked now
   * @throws ExportPermissionError when the role may not change the table
   * @example
   * const count = await service.markExpiredExports();
   */
  markExpiredExports(): Promise<number>;
}

/**
 * The log of exports as one object, over a client of postgres.js that the caller opens, gives rights and closes: a pool,
 * a reserved connection, or a transaction that has taken a user's claims.
 * @param sql the client
 * @example
 * const service = createExportService(postgres(process.env.DATABASE_URL));
 */
export function createExportService(sql: postgres.ISql, options: ExportServiceOptions = {}): ExportService {
  const tables: LogTables = { sql, schema: options.schema ?? 'public' };
  return {
    createExportLog: async (input) => {
      const log = checkNewLog(input);
      const exportId = randomUUID();
      return told('create export log', exportId, () => insertLog(tables, exportId, log));
    },

    getExportLog: async (exportId) =>
      isExportId(exportId) ? told('get export log', exportId, () => findLog(tables, exportId)) : null,

    listExportLogs: async (userId, filters = {}, pagination = {}) => {
      const query = checkList(filters, pagination);
      return isExportId(userId)
        ? told('list export logs', undefined, () => listLogs(tables, userId, query))
        : { logs: [], total: 0 };
    },

    updateExportLog: async (exportId, updates) => {
      const changes = checkChanges(updates);
      requireId(exportId);
      return valueOf(
        exportId,
        await told('update export log', exportId, () => updateLog(tables, exportId, changes)),
      );
    },

    deleteExportLog: async (exportId) => {
      requireId(exportId);
      const outcome = await told('delete export log', exportId, () => deleteLog(tables, exportId));
      if (!valueOf(exportId, outcome)) {
        throw new LoraExportError('E_AUDIT', 'Failed to delete export log: its file still exists.', {
          hint: '`lora-export cleanup` removes the file once it has expired.',
        });
      }
    },

    markExpiredExports: () => told('mark expired exports', undefined, () => expireLogs(tables)),
  };
}

async function told<T>(action: string, exportId: string | undefined, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw explainFailure(error, action, exportId);
  }
}

function requireId(exportId: string): void {
  if (!isExportId(exportId)) throw new ExportNotFoundError(exportId);
}

function valueOf<T>(exportId: string, outcome: Outcome<T>): T {
  switch (outcome.kind) {
    case 'done':
      return outcome.value;
    case 'absent':
      throw new ExportNotFoundError(exportId);
    case 'untouched':
      throw new ExportPermissionError(exportId, {
        hint: 'Row level security lets this role see the export, but not change or remove it.',
      });
  }
}
