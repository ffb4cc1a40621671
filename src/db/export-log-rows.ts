import type postgres from 'postgres';
import { LoraExportError } from '../errors.js';
import type {
  ExportLog,
  ListExportLogsQuery,
  NewExportLog,
  UpdateExportLogInput,
} from '../service/export-log.js';
import { identifier } from './identifier.js';

/** The log in a database that somebody else has opened: a pool, a reserved connection or a transaction. */
export interface LogTables {
  readonly sql: postgres.ISql;
  readonly schema: string;
}

/** What became of a statement that was to hit one row. */
export type Outcome<T> =
  | { readonly kind: 'done'; readonly value: T }
  /** There is no such row, as far as this role can see. */
  | { readonly kind: 'absent' }
  /** The row can be seen, but the statement did not reach it: a policy hides it from such statements. */
  | { readonly kind: 'untouched' };

/** A row as {@link columns} selects it. */
interface StoredLog extends Omit<ExportLog, 'config' | 'file_size'> {
  readonly config: unknown;
  /** In digits, as it may be too large for a number. */
  readonly file_size: string | null;
}

/** Adds a row; times are the server's. */
export async function insertLog(tables: LogTables, exportId: string, log: NewExportLog): Promise<ExportLog> {
  const { sql } = tables;
  const [[row] = []] = await sql<{ row: string }[]>`
    insert into ${logs(tables)} as l (export_id, user_id, format, config, conversation_count, status)
    values (${exportId}, ${log.user_id}, ${log.format}, ${json(tables, log.config)}, ${log.conversation_count},
      ${log.status})
    returning ${columns(tables)}`.values();
  return toExportLog(row);
}

/** One row, or null. */
export async function findLog(tables: LogTables, exportId: string): Promise<ExportLog | null> {
  const [[row] = []] = await tables.sql<{ row: string }[]>`
    select ${columns(tables)} from ${logs(tables)} l where l.export_id = ${exportId}`.values();
  return row === undefined ? null : toExportLog(row);
}

/** One page of a user's rows, newest first, and how many there are; both of one instant. */
export async function listLogs(
  tables: LogTables,
  userId: string,
  query: ListExportLogsQuery,
): Promise<{ logs: ExportLog[]; total: number }> {
  const { sql } = tables;
  const { page, limit } = query;
  const matching = sql`from ${logs(tables)} l where ${matches(tables, userId, query)}`;
  const rows = await sql<{ total: string; row: string | null }[]>`
    select (select count(*) ${matching})::text, page.row
    from (select) one
    left join (
      select ${columns(tables)} as row, l.timestamp, l.export_id ${matching}
      order by l.timestamp desc, l.export_id desc
      limit ${limit} offset ${(page - 1) * limit}
    ) page on true
    order by page.timestamp desc, page.export_id desc`.values();
  return {
    logs: rows.flatMap(([, row]) => (typeof row === 'string' ? [toExportLog(row)] : [])),
    total: Number(rows[0]?.[0]),
  };
}

/** Changes what is given. */
export async function updateLog(
  tables: LogTables,
  exportId: string,
  changes: UpdateExportLogInput,
): Promise<Outcome<ExportLog>> {
  const { sql } = tables;
  const [[row, isVisible] = []] = await sql<{ row: string | null; visible: string }[]>`
    with changed as (
      update ${logs(tables)} l set updated_at = now()${assignments(tables, changes)}
      where l.export_id = ${exportId}
      returning l.*
    )
    select (select ${columns(tables)} from changed l), ${visible(tables, exportId)}`.values();
  if (typeof row === 'string') return { kind: 'done', value: toExportLog(row) };
  return { kind: isVisible === 'true' ? 'untouched' : 'absent' };
}

/** Removes a row and its companion. False as the value: it still owns a file, and stays until that is gone. */
export async function deleteLog(tables: LogTables, exportId: string): Promise<Outcome<boolean>> {
  const { sql } = tables;
  const [[removed, ownsFile, isVisible] = []] = await sql<
    { removed: string; owns: string; visible: string }[]
  >`
    with owner as (
      select exists (
        select from ${runs(tables)} r
        where r.export_id = ${exportId} and r.storage_key is not null and r.file_deleted_at is null
      ) as owns_file
    ), removed as (
      delete from ${logs(tables)} l using owner where l.export_id = ${exportId} and not owner.owns_file
      returning 1
    )
    select (select count(*) from removed)::text, (select owns_file from owner)::text,
      ${visible(tables, exportId)}`.values();
  if (ownsFile === 'true') return { kind: 'done', value: false };
  if (removed === '1') return { kind: 'done', value: true };
  return { kind: isVisible === 'true' ? 'untouched' : 'absent' };
}

/** Marks every completed row whose time is over, by the server's clock; returns how many. */
export async function expireLogs(tables: LogTables): Promise<number> {
  const { sql } = tables;
  const [[count] = []] = await sql<{ count: string }[]>`
    with expired as (
      update ${logs(tables)} l set status = 'expired', updated_at = now()
      where l.status = 'completed' and l.expires_at < now()
      returning 1
    )
    select count(*)::text from expired`.values();
  return Number(count);
}

function logs({ sql, schema }: LogTables): postgres.Fragment {
  return sql`${identifier(sql, schema)}.export_logs`;
}

function runs({ sql, schema }: LogTables): postgres.Fragment {
  return sql`${identifier(sql, schema)}.export_runs`;
}

/**
 * The row `l` as one JSON text: the client is not ours, and may rename columns, or read times and big integers in a way
 * of its own.
 */
function columns({ sql }: LogTables): postgres.Fragment {
  const iso = (column: string): postgres.Fragment => {
    const name = sql.unsafe(column);
    return sql`
      case when ${name} >= timestamptz '0001-01-01Z' and ${name} < timestamptz '10000-01-01Z'
        then to_char(${name} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') else ${name}::text end`;
  };
  return sql`
    json_build_object(
      'id', l.id, 'export_id', l.export_id, 'user_id', l.user_id, 'timestamp', ${iso('l.timestamp')},
      'format', l.format, 'config', l.config, 'conversation_count', l.conversation_count,
      'file_size', l.file_size::text, 'status', l.status, 'file_url', l.file_url,
      'expires_at', ${iso('l.expires_at')}, 'error_message', l.error_message,
      'created_at', ${iso('l.created_at')}, 'updated_at', ${iso('l.updated_at')}
    )::text`;
}

/** @throws LoraExportError `E_DATA` when the size is too large for a number */
function toExportLog(text: string | undefined): ExportLog {
  const row = JSON.parse(text ?? '') as StoredLog;
  const { config } = row;
  const isObject = typeof config === 'object' && config !== null && !Array.isArray(config);
  return {
    id: row.id,
    export_id: row.export_id,
    user_id: row.user_id,
    timestamp: row.timestamp,
    format: row.format,
    config: isObject ? (config as Record<string, unknown>) : {},
    conversation_count: row.conversation_count,
    file_size: toFileSize(row),
    status: row.status,
    file_url: row.file_url,
    expires_at: row.expires_at,
    error_message: row.error_message,
    created_at: row.created_at,
    updated_at: row.updated_at,
  };
}

function toFileSize({ file_size: digits, export_id: exportId }: StoredLog): number | null {
  if (digits === null) return null;
  const size = Number(digits);
  if (Number.isSafeInteger(size)) return size;
  throw new LoraExportError('E_DATA', `The file_size of export ${exportId} is too large to be true.`);
}

/** As text, because the driver would write a text for a parameter of type jsonb as a JSON string. */
function json({ sql }: LogTables, value: object): postgres.Fragment {
  return sql`${JSON.stringify(value)}::text::jsonb`;
}

function visible(tables: LogTables, exportId: string): postgres.Fragment {
  return tables.sql`exists (select from ${logs(tables)} seen where seen.export_id = ${exportId})::text`;
}

/** `, column = value` for each column that is given. */
function assignments(tables: LogTables, changes: UpdateExportLogInput): postgres.Fragment {
  const { sql } = tables;
  const { status, file_size, file_url, expires_at, error_message, conversation_count, config } = changes;
  const none = sql``;
  return sql`
    ${status === undefined ? none : sql`, status = ${status}`}
    ${file_size === undefined ? none : sql`, file_size = ${file_size}::bigint`}
    ${file_url === undefined ? none : sql`, file_url = ${file_url}`}
    ${expires_at === undefined ? none : sql`, expires_at = ${time(tables, expires_at)}`}
    ${error_message === undefined ? none : sql`, error_message = ${error_message}`}
    ${conversation_count === undefined ? none : sql`, conversation_count = ${conversation_count}`}
    ${
      // Refused by the server where another program stored no object.
      config === undefined
        ? none
        : sql`, config = jsonb_set(l.config, '{result}', ${json(tables, config.result)})`
    }`;
}

/** As text, because the driver would turn a parameter of a time type into milliseconds. */
function time({ sql }: LogTables, value: string | null): postgres.Fragment {
  return sql`${value}::text::timestamptz`;
}

function matches(tables: LogTables, userId: string, query: ListExportLogsQuery): postgres.Fragment {
  const { sql } = tables;
  const { format, status, dateFrom, dateTo } = query;
  const any = sql``;
  return sql`l.user_id = ${userId}
    ${format === undefined ? any : sql`and l.format = ${format}`}
    ${status === undefined ? any : sql`and l.status = ${status}`}
    ${dateFrom === undefined ? any : sql`and l.timestamp >= ${time(tables, startOf(dateFrom))}`}
    ${dateTo === undefined ? any : sql`and l.timestamp < ${firstAfter(tables, dateTo)}`}`;
}

function startOf(moment: string): string {
  return moment.includes('T') ? moment : `${moment}T00:00:00Z`;
}

/** Rows are shown with milliseconds, so a moment with no more digits than that stands for its whole millisecond. */
function firstAfter(tables: LogTables, moment: string): postgres.Fragment {
  const { sql } = tables;
  if (!moment.includes('T')) return sql`${time(tables, startOf(moment))} + interval '24 hours'`;
  const width = /\.\d{4,}/.test(moment) ? sql`interval '1 microsecond'` : sql`interval '1 millisecond'`;
  return sql`${time(tables, moment)} + ${width}`;
}
