import postgres from 'postgres';
import {
  type ImportTables,
  type TableName,
  describeConstraint,
  enumValues,
  tryValue,
} from '../db/write-conversations.js';
import type { LoraExportError } from '../errors.js';
import type { Entry } from './entry.js';
import { lineError } from './line-error.js';
import { unlessLost } from './lost-connection.js';
import { fieldPath } from './parse-line.js';
import { writeBatch } from './write-batch.js';

/**
 * True for what the database says about values: class 22 (data), 23 (constraints), 54 (too large or too deep) and
 * errors raised by triggers. All others are about the connection, rights or the schema and not about a line.
 * Source: PostgreSQL, appendix A.
 */
export function isRefusal(error: unknown): error is postgres.PostgresError {
  return error instanceof postgres.PostgresError && /^(22|23|54|P0)/.test(error.code);
}

/**
 * Finds which line, and which value in it, made the database refuse a batch, by trying ever smaller parts of it in
 * savepoints that are rolled back. The server's own message is not used, as it quotes the value.
 */
export async function explainRefusal(
  tx: postgres.TransactionSql,
  tables: ImportTables,
  entries: readonly Entry[],
  file: string,
  refused: postgres.PostgresError,
): Promise<LoraExportError> {
  // A part of the batch may lack a parent that the whole has, which would be a fault of the search, not of a line.
  const alone = entries.map((entry) => ({ ...entry, row: { ...entry.row, parent_id: null } }));
  const attempt = (some: readonly Entry[]) =>
    refusalOf(tx, (savepoint) => writeBatch(savepoint, tables, some));
  const found = await shortestRefused(alone.length, (length) => attempt(alone.slice(0, length)));
  const entry = alone[(found?.length ?? 1) - 1];
  if (found === undefined || entry === undefined) {
    const what = entries.length === 1 ? 'the line' : `this line or one of the ${entries.length - 1} after it`;
    const { constraint_name: rule = `SQLSTATE ${refused.code}` }: Partial<postgres.PostgresError> = refused;
    const problem = `${what} is refused by the database (${rule})`;
    return lineError({ file, line: entries[0]?.line.number ?? 0 }, problem, { cause: refused });
  }
  const place = { file, line: entry.line.number };
  const own = await attempt([{ ...entry, take: 0 }]);
  const inTurns =
    own === undefined
      ? await shortestRefused(entry.line.turns.length, (take) => attempt([{ ...entry, take }]))
      : undefined;
  const table = inTurns === undefined ? 'conversations' : 'conversation_turns';
  const error = own ?? inTurns?.error ?? found.error;
  const index = (inTurns?.length ?? 0) - 1;
  const values = inTurns === undefined ? conversationValues(entry) : (entry.line.turns[index] ?? {});
  const column = await columnAtFault(tx, tables, table, values, error);

  let subject = 'the conversation';
  if (inTurns !== undefined)
    subject = `${entry.line.turnsKey}[${index}]${column === null ? '' : `.${column}`}`;
  else if (column !== null && column in entry.defaults)
    subject = `${column}, which the line lacks and the import filled in,`;
  else if (column !== null) subject = fieldPath(entry.line, column);
  const { problem, hint } = await describe(tx, tables, table, column, error);
  return lineError(place, `${subject} ${problem}`, { cause: error, ...(hint === undefined ? {} : { hint }) });
}

const undone = Symbol('undone');

/** What the database refuses about `work`, which leaves nothing behind; undefined when it accepts. */
async function refusalOf(
  tx: postgres.TransactionSql,
  work: (savepoint: postgres.TransactionSql) => Promise<unknown>,
): Promise<postgres.PostgresError | undefined> {
  try {
    await tx.savepoint(async (savepoint) => {
      await unlessLost(() => work(savepoint));
      throw undone;
    });
  } catch (error) {
    if (isRefusal(error)) return error;
    if (error !== undone) throw error;
  }
  return undefined;
}

/** The shortest beginning of `count` things that is refused, found by halving; undefined when the whole is not. */
async function shortestRefused(
  count: number,
  attempt: (length: number) => Promise<postgres.PostgresError | undefined>,
): Promise<{ length: number; error: postgres.PostgresError } | undefined> {
  let error = await attempt(count);
  if (error === undefined) return undefined;
  let accepted = 0;
  let length = count;
  while (length - accepted > 1) {
    const middle = Math.floor((accepted + length) / 2);
    const refused = await attempt(middle);
    if (refused === undefined) accepted = middle;
    else [length, error] = [middle, refused];
  }
  return { length, error };
}

function conversationValues(entry: Entry): Record<string, unknown> {
  const ofLine = new Map<string, unknown>(Object.entries(entry.line.fields));
  const given = Object.fromEntries(
    entry.columns.map((column) => [column, entry.row[column] ?? ofLine.get(column)]),
  );
  return { ...given, ...(entry.isNew ? entry.defaults : {}), id: entry.id };
}

async function columnAtFault(
  tx: postgres.TransactionSql,
  tables: ImportTables,
  table: TableName,
  values: object,
  error: postgres.PostgresError,
): Promise<string | null> {
  // The driver's type promises these members, yet the server sends them only where they apply.
  const { column_name: named, constraint_name: constraint }: Partial<postgres.PostgresError> = error;
  if (named !== undefined) return named;
  if (constraint !== undefined) {
    const parts = await describeConstraint(tx, tables, table, constraint);
    return parts.map((part) => part.column).find((column) => column !== null && column in values) ?? null;
  }
  // Too large or too deep may be for us as well.
  if (!error.code.startsWith('22')) return null;
  for (const [column, value] of Object.entries(values)) {
    if (await refusalOf(tx, (savepoint) => tryValue(savepoint, tables, table, column, value))) return column;
  }
  return null;
}

async function describe(
  tx: postgres.TransactionSql,
  tables: ImportTables,
  table: TableName,
  column: string | null,
  error: postgres.PostgresError,
): Promise<{ problem: string; hint?: string }> {
  const columns = table === 'conversations' ? tables.conversations : tables.turns;
  const type = (column === null ? undefined : columns.get(column)?.type) ?? 'unknown type';
  const { constraint_name: constraint = '' }: Partial<postgres.PostgresError> = error;
  switch (error.code) {
    case '23502':
      return { problem: 'must have a value, because the column is NOT NULL' };
    case '23505':
      return {
        problem: `is taken by another row already (${constraint})`,
        hint: 'If there seems to be no such row, row level security may be hiding it from this role.',
      };
    case '22001':
      return { problem: `is too long for the column (${type})` };
    case '22003':
      return { problem: `is too large for the column (${type})` };
  }
  if (error.code.startsWith('23')) {
    const [rule] = await describeConstraint(tx, tables, table, constraint);
    return {
      problem: `breaks the rule ${constraint} of the table`,
      ...(rule === undefined ? {} : { hint: `The rule: ${rule.definition}` }),
    };
  }
  if (error.code.startsWith('22') && column !== null) {
    const accepted = await enumValues(tx, tables, table, column);
    return {
      problem: `is not a value that the column takes (${type})`,
      ...(accepted.length === 0 ? {} : { hint: `It takes ${accepted.join(', ')}.` }),
    };
  }
  if (error.code.startsWith('54'))
    return { problem: `is too large or too deep for PostgreSQL (SQLSTATE ${error.code})` };
  return { problem: `is refused by the database (SQLSTATE ${error.code})` };
}
