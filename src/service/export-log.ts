import { z } from 'zod';
import { STATUSES, type Status } from '../db/recorded-runs.js';
import { LoraExportError } from '../errors.js';
import { formatNames, type FormatName } from '../formats/index.js';
import { endOf, moment, startOf } from '../request.js';

/**
 * A row of `export_logs`, every column under its own name. Times are ISO 8601 in UTC with milliseconds; what that form
 * has no words for, such as `infinity`, is as PostgreSQL prints it.
 */
export interface ExportLog {
  readonly id: string;
  readonly export_id: string;
  readonly user_id: string;
  /** When the export was asked for. */
  readonly timestamp: string;
  readonly format: FormatName;
  /** What was asked, and at the end what came out (`result`); empty where another program stored no object. */
  readonly config: Readonly<Record<string, unknown>>;
  /** Conversations in the file; before it is complete, those that matched. */
  readonly conversation_count: number;
  /** Bytes as stored. */
  readonly file_size: number | null;
  readonly status: Status;
  readonly file_url: string | null;
  /** Null for output that never expires. */
  readonly expires_at: string | null;
  readonly error_message: string | null;
  readonly created_at: string;
  readonly updated_at: string;
}

/** `integer` of PostgreSQL, from 0. */
const count = z.int('must be a whole number').min(0, 'must be at least 0').max(2_147_483_647, 'is too large');
/** PostgreSQL refuses NUL, and half a surrogate pair would be replaced in silence. */
const text = z
  .string()
  .refine((value) => !value.includes('\0') && value.isWellFormed(), 'must be text without NUL');
const format = z.enum(formatNames, { error: `must be one of ${formatNames.join(', ')}` });
const status = z.enum(STATUSES, { error: `must be one of ${STATUSES.join(', ')}` });
const object = z.record(z.string(), z.unknown(), { error: 'must be an object' });
const uuid = z.guid('must be a UUID');

const createInput = z.strictObject({
  user_id: uuid,
  format,
  /** Stored as it is, as JSON. A request in the words of `exportConversations` can be repeated later. */
  config: object,
  conversation_count: count,
  /** Default: `queued`. Who is bound by row level security can only begin as `queued` or `processing`. */
  status: status.default('queued'),
});
/** What a new row says. */
export type CreateExportLogInput = z.input<typeof createInput>;
export type NewExportLog = z.output<typeof createInput>;

const updateInput = z.strictObject({
  /** Moves forward only: queued, processing, completed, expired; or from the first two to failed. */
  status: status.optional(),
  file_size: z.int('must be a whole number').min(0, 'must be at least 0').nullish(),
  file_url: text.nullish(),
  /** ISO 8601 with its zone. */
  expires_at: z.iso
    .datetime({ offset: true, error: 'must be a time with its zone such as 2025-10-29T10:00:00Z' })
    .nullish(),
  error_message: text.nullish(),
  conversation_count: count.optional(),
  /** Replaces `config.result`; what was asked cannot be changed afterwards. */
  config: z.strictObject({ result: object }).optional(),
});
/** What changes in a row; what is left out stays, null empties. */
export type UpdateExportLogInput = z.input<typeof updateInput>;

const listFilters = z
  .strictObject({
    format: format.optional(),
    status: status.optional(),
    /** Asked for at this time or later; a date is its beginning, UTC. */
    dateFrom: moment.optional(),
    /** Asked for at this time or earlier; a date means that whole day, UTC. */
    dateTo: moment.optional(),
  })
  .refine(
    ({ dateFrom, dateTo }) =>
      dateFrom === undefined || dateTo === undefined || startOf(dateFrom) <= endOf(dateTo),
    {
      path: ['dateFrom'],
      error: 'must not be after dateTo',
    },
  );
/** Which rows of a user are listed; every member narrows. */
export type ExportLogFilters = z.input<typeof listFilters>;

const pagination = z.strictObject({
  /** From 1. */
  page: z
    .int('must be a whole number')
    .min(1, 'must be at least 1')
    .max(2_147_483_647, 'is too large')
    .default(1),
  limit: z
    .int('must be a whole number')
    .min(1, 'must be at least 1')
    .max(100, 'must be at most 100')
    .default(25),
});
/** Which part of the list: `page` from 1, `limit` rows a page. Default: 1 and 25; at most 100. */
export type Pagination = z.input<typeof pagination>;

export type ListExportLogsQuery = z.output<typeof listFilters> & z.output<typeof pagination>;

/** Whether a text is a UUID in its usual form; the database refuses others with an error. */
export function isExportId(value: string): boolean {
  return uuid.safeParse(value).success;
}

/** @throws LoraExportError `E_USAGE` listing every problem */
export function checkNewLog(input: CreateExportLogInput): NewExportLog {
  const log = check(createInput, input, 'create export log');
  requireJson(log.config, 'config', 'create export log');
  return log;
}

/** @throws LoraExportError `E_USAGE` listing every problem */
export function checkChanges(updates: UpdateExportLogInput): UpdateExportLogInput {
  const changes = check(updateInput, updates, 'update export log');
  requireJson(changes.config, 'config.result', 'update export log');
  return changes;
}

/** @throws LoraExportError `E_USAGE` listing every problem */
export function checkList(filters: ExportLogFilters, page: Pagination): ListExportLogsQuery {
  return {
    ...check(listFilters, filters, 'list export logs'),
    ...check(pagination, page, 'list export logs'),
  };
}

function check<T>(schema: z.ZodType<T>, value: unknown, action: string): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const problems = result.error.issues.map(({ path, message }) =>
    path.length === 0 ? message : `${path.join('.')}: ${message}`,
  );
  throw new LoraExportError('E_USAGE', `Failed to ${action}: ${problems.join('; ')}.`);
}

/** Values may be anything; circles and big integers show only when they are written. */
function requireJson(value: unknown, name: string, action: string): void {
  try {
    JSON.stringify(value);
  } catch (cause) {
    throw new LoraExportError('E_USAGE', `Failed to ${action}: ${name}: cannot be written as JSON.`, {
      cause,
    });
  }
}
