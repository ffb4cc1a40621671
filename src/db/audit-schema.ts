/** A column as `sql/001` and `sql/002` create it. */
export interface ExpectedColumn {
  readonly name: string;
  /** As PostgreSQL's `format_type` prints it. */
  readonly type: string;
  readonly required: boolean;
  readonly hasDefault: boolean;
}

/** An object of a table, by the definition that PostgreSQL's catalog functions print for it. */
export interface ExpectedObject {
  readonly table: AuditTable;
  readonly name: string;
  readonly definition: string;
}

/** The tables that the migrations create, in the order in which they refer to each other. */
export const AUDIT_TABLES = ['export_logs', 'export_runs'] as const;
export type AuditTable = (typeof AUDIT_TABLES)[number];

const TIMESTAMP = 'timestamp with time zone';

/** The columns of both tables; a test holds them against what the migrations leave behind. */
export const EXPECTED_COLUMNS: Readonly<Record<AuditTable, readonly ExpectedColumn[]>> = {
  export_logs: [
    defaulted('id', 'uuid'),
    defaulted('export_id', 'uuid'),
    required('user_id', 'uuid'),
    defaulted('timestamp', TIMESTAMP),
    required('format', 'text'),
    required('config', 'jsonb'),
    required('conversation_count', 'integer'),
    optional('file_size', 'bigint'),
    required('status', 'text'),
    optional('file_url', 'text'),
    optional('expires_at', TIMESTAMP),
    optional('error_message', 'text'),
    defaulted('created_at', TIMESTAMP),
    defaulted('updated_at', TIMESTAMP),
  ],
  export_runs: [
    required('export_id', 'uuid'),
    defaulted('phase', 'text'),
    optional('worker_id', 'uuid'),
    optional('worker_host', 'text'),
    defaulted('attempt', 'integer'),
    defaulted('heartbeat_at', TIMESTAMP),
    optional('matched_count', 'integer'),
    defaulted('read_count', 'integer'),
    defaulted('written_count', 'integer'),
    defaulted('skipped_count', 'integer'),
    defaulted('skips', 'jsonb'),
    defaulted('warnings', 'jsonb'),
    optional('sha256', 'text'),
    defaulted('output', 'jsonb'),
    optional('storage_key', 'text'),
    optional('duration_ms', 'bigint'),
    optional('file_deleted_at', TIMESTAMP),
    defaulted('created_at', TIMESTAMP),
    defaulted('updated_at', TIMESTAMP),
    defaulted('repairs', 'jsonb'),
    defaulted('progress', 'smallint'),
    defaulted('detached', 'boolean'),
  ],
};

/** Definitions begin where `pg_get_indexdef` says `USING`. */
export const EXPECTED_INDEXES: readonly ExpectedObject[] = [
  { table: 'export_logs', name: 'idx_export_logs_user_id', definition: 'btree (user_id)' },
  { table: 'export_logs', name: 'idx_export_logs_timestamp', definition: 'btree ("timestamp" DESC)' },
  { table: 'export_logs', name: 'idx_export_logs_status', definition: 'btree (status)' },
  { table: 'export_logs', name: 'idx_export_logs_format', definition: 'btree (format)' },
  {
    table: 'export_logs',
    name: 'idx_export_logs_expires_at',
    definition: "btree (expires_at) WHERE (status = 'completed'::text)",
  },
  {
    table: 'export_logs',
    name: 'idx_export_logs_user_id_timestamp',
    definition: 'btree (user_id, "timestamp" DESC, export_id DESC)',
  },
  {
    table: 'export_runs',
    name: 'idx_export_runs_queued',
    definition: "btree (created_at, export_id) WHERE (phase = 'queued'::text)",
  },
  {
    table: 'export_runs',
    name: 'idx_export_runs_stored',
    definition: 'btree (export_id) WHERE ((storage_key IS NOT NULL) AND (file_deleted_at IS NULL))',
  },
];

/** Holds only where `auth.users` exists. */
export const USER_FOREIGN_KEY: ExpectedObject = {
  table: 'export_logs',
  name: 'fk_export_logs_user',
  definition: 'FOREIGN KEY (user_id) REFERENCES auth.users(id) ON DELETE CASCADE',
};

/** Takes the place of {@link USER_FOREIGN_KEY} where `sql/optional/hardened.sql` was applied. */
export const HARDENED_USER_FOREIGN_KEY: ExpectedObject = {
  ...USER_FOREIGN_KEY,
  definition: 'FOREIGN KEY (user_id) REFERENCES auth.users(id)',
};

/** Bits of `pg_trigger.tgtype` (PostgreSQL's pg_trigger.h). */
const [ROW, BEFORE, DELETE, UPDATE, TRUNCATE] = [1, 2, 8, 16, 32];

/** The triggers of `sql/optional/hardened.sql`; `type` is on what they fire, and when. */
export const HARDENING_TRIGGERS: readonly {
  readonly table: AuditTable;
  readonly name: string;
  readonly type: number;
}[] = AUDIT_TABLES.flatMap((table) => [
  { table, name: `${table}_hardened_delete`, type: BEFORE | DELETE | TRUNCATE },
  { table, name: `${table}_hardened_update`, type: BEFORE | ROW | UPDATE },
]);

/** Names are those that PostgreSQL gives; a constraint with the same definition and another name is as good. */
export const EXPECTED_CONSTRAINTS: readonly ExpectedObject[] = [
  { table: 'export_logs', name: 'export_logs_pkey', definition: 'PRIMARY KEY (id)' },
  { table: 'export_logs', name: 'export_logs_export_id_key', definition: 'UNIQUE (export_id)' },
  {
    table: 'export_logs',
    name: 'export_logs_format_check',
    definition: check('format', ['json', 'jsonl', 'csv', 'markdown']),
  },
  {
    table: 'export_logs',
    name: 'export_logs_status_check',
    definition: check('status', ['queued', 'processing', 'completed', 'failed', 'expired']),
  },
  { table: 'export_runs', name: 'export_runs_pkey', definition: 'PRIMARY KEY (export_id)' },
  {
    table: 'export_runs',
    name: 'export_runs_export_id_fkey',
    definition: 'FOREIGN KEY (export_id) REFERENCES export_logs(export_id) ON DELETE CASCADE',
  },
  {
    table: 'export_runs',
    name: 'export_runs_phase_check',
    definition: check('phase', ['queued', 'writing', 'publishing', 'done']),
  },
];

/** The policies that let a user see, add and change his own rows; the definition is the command. */
export const EXPECTED_POLICIES: readonly ExpectedObject[] = [
  { table: 'export_logs', name: 'Users can view own export logs', definition: 'SELECT' },
  { table: 'export_logs', name: 'Users can create own export logs', definition: 'INSERT' },
  { table: 'export_logs', name: 'Users can update own export logs', definition: 'UPDATE' },
  { table: 'export_runs', name: 'Users can view own export runs', definition: 'SELECT' },
  { table: 'export_runs', name: 'Users can create own export runs', definition: 'INSERT' },
  { table: 'export_runs', name: 'Users can update own export runs', definition: 'UPDATE' },
];

function required(name: string, type: string): ExpectedColumn {
  return { name, type, required: true, hasDefault: false };
}

function defaulted(name: string, type: string): ExpectedColumn {
  return { name, type, required: true, hasDefault: true };
}

function optional(name: string, type: string): ExpectedColumn {
  return { name, type, required: false, hasDefault: false };
}

/** `column in (values)` as PostgreSQL prints it. */
function check(column: string, values: readonly string[]): string {
  return `CHECK ((${column} = ANY (ARRAY[${values.map((value) => `'${value}'::text`).join(', ')}])))`;
}
