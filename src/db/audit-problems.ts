import type postgres from 'postgres';

import { LoraExportError } from '../errors.js';
import type { Connection } from './connect.js';
import { readAuditTables, type FoundTable } from './audit-catalog.js';
import { AUDIT_TABLES, EXPECTED_COLUMNS, type AuditTable } from './audit-schema.js';

/**
 * Says in plain words why a table of this shape cannot be used; empty when it can. Extra columns are harmless.
 * @param mayLack columns, as `table.column`, whose absence is no problem. Default: none
 */
export function shapeProblems(
  name: AuditTable,
  found: FoundTable,
  mayLack: ReadonlySet<string> = new Set(),
): string[] {
  if (!isTable(found)) return [`${name} is not a table`];
  const problems: string[] = [];
  const expected = EXPECTED_COLUMNS[name];
  for (const { name: column, type } of expected) {
    const present = found.columns.get(column);
    if (present === undefined && mayLack.has(`${name}.${column}`)) continue;
    if (present === undefined) problems.push(`${name}.${column} is missing (${type})`);
    else if (present.type !== type) problems.push(`${name}.${column} is ${present.type} instead of ${type}`);
  }
  for (const column of unfillableColumns(name, found)) {
    problems.push(`${name}.${column} is unknown to us, must not be null and has no default`);
  }
  return problems;
}

/** Columns of somebody else that would make every insert of ours fail. */
export function unfillableColumns(name: AuditTable, found: FoundTable): string[] {
  const known = new Set(EXPECTED_COLUMNS[name].map((column) => column.name));
  return [...found.columns]
    .filter(([column, { required, filledBy }]) => !known.has(column) && required && filledBy === null)
    .map(([column]) => column);
}

/** False for a view, an index or whatever else may bear the name. */
export function isTable(found: FoundTable): boolean {
  return found.kind === 'r' || found.kind === 'p';
}

/**
 * Names what is missing or mistyped in `export_logs` and `export_runs`: empty when both can be used, `null` when there
 * is no `export_logs` at all.
 */
export async function auditProblems(
  sql: postgres.ISql,
  options: { readonly schema: string },
): Promise<string[] | null> {
  const tables = await readAuditTables(sql, options.schema);
  if (!tables.has('export_logs')) return null;
  return AUDIT_TABLES.flatMap((name) => {
    const found = tables.get(name);
    return found === undefined ? [`${name} is missing`] : shapeProblems(name, found);
  });
}

/**
 * Makes sure that the audit log can be written before anything is read.
 * @throws LoraExportError `E_SCHEMA` naming everything that is missing
 */
export async function requireAuditTables({ sql, ask }: Connection, schema: string): Promise<void> {
  const problems = await ask(() => auditProblems(sql, { schema }));
  if (problems === null) {
    throw new LoraExportError(
      'E_SCHEMA',
      `The audit log is missing: there is no table ${schema}.export_logs.`,
      {
        hint: 'Create it with `lora-export init`, or name the schema that holds it with --audit-schema.',
      },
    );
  }
  if (problems.length === 0) return;
  throw new LoraExportError(
    'E_SCHEMA',
    `The audit log has another shape than ours: ${problems.join('; ')}.`,
    {
      hint: 'Update it with `lora-export init`, or keep ours apart from it: `lora-export init --audit-schema NAME`.',
    },
  );
}
