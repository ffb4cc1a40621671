import { readdir, readFile } from 'node:fs/promises';

import type postgres from 'postgres';

import { LoraExportError } from '../errors.js';
import { identifier } from './identifier.js';
import { readAuditTables } from './audit-catalog.js';
import { shapeProblems } from './audit-problems.js';
import { AUDIT_TABLES } from './audit-schema.js';
import { isHardened } from './hardening.js';

/** One file of `sql/`, with what belongs to it: `sql/optional/`, `sql/down/`. */
export interface Migration {
  /** The file name without its extension, such as `001_export_logs`. */
  readonly name: string;
  readonly sql: string;
}

// The way is the same from src/db and from dist/db.
const UP = new URL('../../sql/', import.meta.url);
const DOWN = new URL('../../sql/down/', import.meta.url);
const HARDENED = new URL('optional/hardened.sql', UP);
const UNHARDENED = new URL('hardened.sql', DOWN);
const SOURCE_SCHEMA = new URL('../../fixtures/source-schema.sql', import.meta.url);

/** Long enough for any audit statement to finish, short enough not to look like a hang. */
const LOCK_TIMEOUT_MS = 10_000;
/** What an older version of ours lacks is no other shape: the migrations add it. */
const COLUMNS_ADDED_LATER = new Set(['export_runs.repairs', 'export_runs.progress', 'export_runs.detached']);

const LOCK_NOT_AVAILABLE = '55P03';

/** Reads the migrations, in the order in which they are applied. */
export async function readMigrations(): Promise<Migration[]> {
  return readNumberedFiles(UP);
}

/** Reads what makes the audit log hard to alter, and harder to erase: an option, to be applied after the migrations. */
export async function readHardening(): Promise<Migration> {
  return { name: 'hardened', sql: await readFile(HARDENED, 'utf8') };
}

/** Reads the usual shape of the two source tables, for databases that have none. */
export async function readSourceSchema(): Promise<string> {
  return readFile(SOURCE_SCHEMA, 'utf8');
}

/**
 * Creates or completes the audit tables: all migrations in one transaction, any number of times, also at the same
 * moment from several processes. Creates the schema when it is missing.
 * @param options.hardened also applies {@link readHardening}; default: only where it was applied before, so that it stays
 *   in place and up to date
 * @param options.lockTimeoutMs how long to wait for a table that another session uses, in milliseconds; default 10,000
 * @param options.sourceSchema also creates `conversations` and `conversation_turns` in this schema where they are missing;
 *   default: they are left alone
 * @returns the names of the files that ran; each leaves alone what is already there
 * @throws LoraExportError `E_SCHEMA` when a table of the same name has another shape (nothing is changed then),
 *   `E_DB_ACCESS` when the schema cannot be used, `E_STALLED` when another session keeps a table locked;
 *   errors of the server pass through as they are
 */
export async function migrate(
  sql: postgres.Sql,
  options: {
    readonly schema: string;
    readonly sourceSchema?: string;
    readonly hardened?: boolean;
    readonly lockTimeoutMs?: number;
  },
): Promise<{ applied: string[] }> {
  const { schema, sourceSchema } = options;
  const [migrations, hardening] = await Promise.all([readMigrations(), readHardening()]);
  return alone(sql, options.lockTimeoutMs ?? LOCK_TIMEOUT_MS, async (tx) => {
    const applied: string[] = [];
    const apply = async (migration: Migration): Promise<void> => {
      await tx.unsafe(migration.sql).simple();
      applied.push(migration.name);
    };
    if (sourceSchema !== undefined) {
      await createAndEnter(tx, sourceSchema);
      await apply({ name: 'source-schema', sql: await readSourceSchema() });
    }
    await createAndEnter(tx, schema);
    await refuseOtherShape(tx, schema);
    for (const migration of migrations) await apply(migration);
    if (options.hardened === true || (await isHardened(tx, schema))) await apply(hardening);
    return { applied };
  });
}

async function createAndEnter(tx: postgres.TransactionSql, schema: string): Promise<void> {
  if (!(await schemaExists(tx, schema))) await tx`create schema ${identifier(tx, schema)}`;
  await enterSchema(tx, schema);
}

/**
 * Drops the audit tables; the source tables and the schema stay.
 * @param options.lockTimeoutMs as for {@link migrate}
 * @param options.force drops them even when they hold rows; default false
 * @returns the tables that were dropped and the number of exports that were recorded in them
 * @throws LoraExportError `E_USAGE` when rows exist and `force` is not set, `E_SCHEMA` when `export_logs` has another
 *   shape and so belongs to somebody else, `E_STALLED` when another session keeps a table locked
 */
export async function rollBack(
  sql: postgres.Sql,
  options: { readonly schema: string; readonly force?: boolean; readonly lockTimeoutMs?: number },
): Promise<{ dropped: string[]; rows: number }> {
  const [unharden, numbered] = await Promise.all([readFile(UNHARDENED, 'utf8'), readNumberedFiles(DOWN)]);
  const undo = [unharden, ...numbered.toReversed().map(({ sql }) => sql)];
  return alone(sql, options.lockTimeoutMs ?? LOCK_TIMEOUT_MS, async (tx) => {
    if (!(await schemaExists(tx, options.schema))) return { dropped: [], rows: 0 };
    await enterSchema(tx, options.schema);
    await refuseOtherShape(tx, options.schema);
    const tables = await readAuditTables(tx, options.schema);
    const dropped = AUDIT_TABLES.filter((name) => tables.has(name)).toReversed();
    const rows = tables.has('export_logs') ? await countLogs(tx) : 0;
    if (rows > 0 && options.force !== true) {
      throw new LoraExportError(
        'E_USAGE',
        `The audit log in schema ${options.schema} holds ${rows} ${rows === 1 ? 'export' : 'exports'}; nothing was dropped`,
        { hint: 'Archive the rows first (lora-export history --csv), or pass --force to lose them.' },
      );
    }
    // The files refuse by themselves too, for those who run them with psql.
    await tx`select set_config('lora_export.force', 'on', true)`;
    for (const file of undo) await tx.unsafe(file).simple();
    return { dropped, rows };
  });
}

async function readNumberedFiles(directory: URL): Promise<Migration[]> {
  const names = (await readdir(directory)).filter((name) => /^\d{3}_.+\.sql$/.test(name)).sort();
  return Promise.all(
    names.map(async (name) => ({
      name: name.slice(0, -'.sql'.length),
      sql: await readFile(new URL(name, directory), 'utf8'),
    })),
  );
}

/** One transaction at a time may change our tables in a database; others wait for their turn. */
async function alone<T>(
  sql: postgres.Sql,
  lockTimeoutMs: number,
  work: (tx: postgres.TransactionSql) => Promise<T>,
) {
  try {
    // A role's own default may be serializable, which would not see what the session before us has done, or read only.
    return await sql.begin('isolation level read committed read write', async (tx) => {
      await tx`select pg_advisory_xact_lock(hashtext('lora-export'), hashtext('migrate'))`;
      await tx`
        select
          set_config('lock_timeout', ${String(lockTimeoutMs)}, true),
          set_config('client_min_messages', 'warning', true)`;
      return work(tx);
    });
  } catch (error) {
    if (!isLockTimeout(error)) throw error;
    throw new LoraExportError(
      'E_STALLED',
      `Another session kept a table locked for ${lockTimeoutMs / 1000} s`,
      {
        hint: 'Nothing was changed; try again when no export or cleanup is running.',
        cause: error,
        retryable: true,
      },
    );
  }
}

function isLockTimeout(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === LOCK_NOT_AVAILABLE;
}

async function schemaExists(tx: postgres.TransactionSql, schema: string): Promise<boolean> {
  const rows = await tx`select from pg_namespace where nspname = ${schema}`;
  return rows.length > 0;
}

/** Makes unqualified names mean this schema until the transaction ends. */
async function enterSchema(tx: postgres.TransactionSql, schema: string): Promise<void> {
  await tx`select set_config('search_path', quote_ident(${schema}), true)`;
  // PostgreSQL passes over a schema of the search path that the role may not use.
  const [row] = await tx<{ usable: boolean | null }[]>`select current_schema() = ${schema} as usable`;
  if (row?.usable !== true) {
    throw new LoraExportError('E_DB_ACCESS', `This role may not use the schema ${schema}`, {
      hint: 'Grant it usage on the schema, or name another one with --audit-schema NAME.',
    });
  }
}

/** Tables of the same names and another shape are in circulation; they are not ours to change. */
async function refuseOtherShape(tx: postgres.TransactionSql, schema: string): Promise<void> {
  const tables = await readAuditTables(tx, schema);
  const problems = AUDIT_TABLES.flatMap((name) => {
    const found = tables.get(name);
    return found === undefined ? [] : shapeProblems(name, found, COLUMNS_ADDED_LATER);
  });
  if (problems.length > 0) {
    throw new LoraExportError(
      'E_SCHEMA',
      `Schema ${schema} has audit tables of another shape; they were left as they are: ${problems.join('; ')}`,
      { hint: 'Keep ours in a schema of their own: --audit-schema NAME (it is created when missing).' },
    );
  }
}

async function countLogs(tx: postgres.TransactionSql): Promise<number> {
  // Nobody may add a row between the count and the drop. Should a policy hide rows from us, the files refuse.
  await tx`lock table export_logs in access exclusive mode`;
  const [row] = await tx<{ rows: number }[]>`select count(*)::float8 as rows from export_logs`;
  return row?.rows ?? 0;
}
