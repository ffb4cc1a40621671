import type postgres from 'postgres';

import {
  readAuditTables,
  readAuth,
  readConstraints,
  readIndexes,
  readPolicies,
  readRowSecurity,
  readTriggers,
  type Definition,
  type FoundTable,
  type Policy,
  type Trigger,
} from './audit-catalog.js';
import { isTable, unfillableColumns } from './audit-problems.js';
import {
  AUDIT_TABLES,
  EXPECTED_COLUMNS,
  EXPECTED_CONSTRAINTS,
  EXPECTED_INDEXES,
  EXPECTED_POLICIES,
  HARDENED_USER_FOREIGN_KEY,
  USER_FOREIGN_KEY,
  type AuditTable,
} from './audit-schema.js';
import { hardeningProblems } from './hardening.js';
import { readHardening, readMigrations } from './migrate.js';

export { auditProblems } from './audit-problems.js';

/** One line of `init --verify`. */
export interface SchemaCheck {
  readonly group: 'table' | 'column' | 'index' | 'constraint' | 'rls' | 'policy' | 'trigger';
  readonly name: string;
  readonly expected: string;
  /** What the database has; `missing`, or why the check does not apply. */
  readonly found: string;
  readonly ok: boolean;
}

const MISSING = 'missing';
const NO_AUTH = 'not applicable: no auth.uid()';
const TRIGGER = 'export_logs_transitions';

/**
 * Holds the audit tables of a schema against what the migrations create. What can only exist beside Supabase's
 * `auth` schema is reported as not applicable elsewhere.
 * @returns every check, failed or not; the schema is as it should be when all of them are `ok`
 */
export async function verifySchema(
  sql: postgres.Sql,
  options: { readonly schema: string },
): Promise<SchemaCheck[]> {
  const { schema } = options;
  const [transitions, hardening] = await Promise.all([readTriggerFunction(), readHardening()]);
  return sql.begin('isolation level repeatable read read only', async (tx) => {
    // The catalog's printing functions qualify a name unless search_path leads to it; so let it lead nowhere.
    await tx`set local search_path = pg_catalog`;
    const tables = await readAuditTables(tx, schema);
    const auth = await readAuth(tx);
    const constraints = await readConstraints(tx, schema);
    return [
      ...checkTables(tables),
      ...checkColumns(tables),
      ...checkIndexes(await readIndexes(tx, schema)),
      ...checkConstraints(constraints, auth.users),
      ...checkRowSecurity(await readRowSecurity(tx, schema), auth.uid),
      ...checkPolicies(await readPolicies(tx, schema), auth.uid),
      ...checkTrigger(await readTriggers(tx, schema), transitions),
      checkHardening(
        tables,
        await hardeningProblems(tx, schema, functionBodyOf(hardening.sql)),
        auth.users && !isUserKept(constraints),
      ),
    ];
  });
}

function checkTables(tables: ReadonlyMap<AuditTable, FoundTable>): SchemaCheck[] {
  return AUDIT_TABLES.map((name) => {
    const table = tables.get(name);
    const found = table === undefined ? MISSING : isTable(table) ? 'table' : 'not a table';
    return { group: 'table', name, expected: 'table', found, ok: found === 'table' };
  });
}

function checkColumns(tables: ReadonlyMap<AuditTable, FoundTable>): SchemaCheck[] {
  return AUDIT_TABLES.flatMap((name) => {
    const table = tables.get(name);
    const known = EXPECTED_COLUMNS[name].map((column): SchemaCheck => {
      const found = table?.columns.get(column.name);
      const expected = describeColumn(column.type, column.required, column.hasDefault);
      const actual =
        found === undefined ? MISSING : describeColumn(found.type, found.required, found.filledBy !== null);
      return {
        group: 'column',
        name: `${name}.${column.name}`,
        expected,
        found: actual,
        ok: actual === expected,
      };
    });
    const unfillable = table === undefined ? [] : unfillableColumns(name, table);
    const foreign = unfillable.map((column): SchemaCheck => {
      const found = 'not null without default';
      return { group: 'column', name: `${name}.${column}`, expected: 'null or a default', found, ok: false };
    });
    return [...known, ...foreign];
  });
}

function describeColumn(type: string, required: boolean, hasDefault: boolean): string {
  return `${type}${required ? ' not null' : ''}${hasDefault ? ' with default' : ''}`;
}

function checkIndexes(indexes: readonly Definition[]): SchemaCheck[] {
  return EXPECTED_INDEXES.map(({ table, name, definition: expected }) => {
    const found =
      indexes.find((index) => index.table === table && index.name === name)?.definition ?? MISSING;
    return { group: 'index', name, expected, found, ok: found === expected };
  });
}

function checkConstraints(constraints: readonly Definition[], hasUsers: boolean): SchemaCheck[] {
  const userKey = isUserKept(constraints) ? HARDENED_USER_FOREIGN_KEY : USER_FOREIGN_KEY;
  const expectations = [...EXPECTED_CONSTRAINTS, ...(hasUsers ? [userKey] : [])];
  const checks = expectations.map(({ table, name, definition: expected }): SchemaCheck => {
    const ofTable = constraints.filter((constraint) => constraint.table === table);
    const ok = ofTable.some((constraint) => constraint.definition === expected);
    const namesake = ofTable.find((constraint) => constraint.name === name)?.definition ?? MISSING;
    return { group: 'constraint', name, expected, found: ok ? expected : namesake, ok };
  });
  if (!hasUsers) {
    const { name, definition: expected } = USER_FOREIGN_KEY;
    checks.push({ group: 'constraint', name, expected, found: 'not applicable: no auth.users', ok: true });
  }
  return checks;
}

/** Whether a user who has exports cannot be deleted. */
function isUserKept(constraints: readonly Definition[]): boolean {
  const { table, definition } = HARDENED_USER_FOREIGN_KEY;
  return constraints.some((constraint) => constraint.table === table && constraint.definition === definition);
}

function checkRowSecurity(enabled: ReadonlyMap<string, boolean>, hasUid: boolean): SchemaCheck[] {
  return AUDIT_TABLES.map((name) => {
    const state = enabled.get(name);
    const found = state === undefined ? MISSING : state ? 'enabled' : hasUid ? 'disabled' : NO_AUTH;
    const ok = state !== undefined && (state || !hasUid);
    return { group: 'rls', name, expected: 'enabled', found, ok };
  });
}

function checkPolicies(policies: readonly Policy[], hasUid: boolean): SchemaCheck[] {
  const ours = EXPECTED_POLICIES.map(({ table, name, definition: command }): SchemaCheck => {
    const expected = `${command} of own rows`;
    if (!hasUid) return { group: 'policy', name, expected, found: NO_AUTH, ok: true };
    const policy = policies.find((candidate) => candidate.table === table && candidate.name === name);
    const found = policy === undefined ? MISSING : describePolicy(policy);
    return { group: 'policy', name, expected, found, ok: found === expected };
  });
  return hasUid ? [...ours, ...checkForeignPolicies(policies)] : ours;
}

/** Permissive policies add up, so a single open one undoes all others, and none of ours allows DELETE. */
function checkForeignPolicies(policies: readonly Policy[]): SchemaCheck[] {
  const ours = new Set(EXPECTED_POLICIES.map(({ table, name }) => `${table} ${name}`));
  return policies
    .filter(({ table, name, permissive }) => permissive === 'PERMISSIVE' && !ours.has(`${table} ${name}`))
    .filter((policy) => ['DELETE', 'ALL'].includes(policy.command) || !isLimitedToOwner(policy))
    .map((policy) => {
      const expected = 'no policy that opens the table or allows DELETE';
      const { name } = policy;
      return { group: 'policy', name, expected, found: describePolicy(policy), ok: false };
    });
}

function describePolicy(policy: Policy): string {
  if (isLimitedToOwner(policy) && policy.permissive === 'PERMISSIVE') return `${policy.command} of own rows`;
  return `${policy.command} where ${policy.using ?? policy.check ?? 'true'}`;
}

/** PostgreSQL versions print expressions differently, so this looks for the parts that matter. */
function isLimitedToOwner({ using, check }: Policy): boolean {
  const conditions = [using, check].filter((condition) => condition !== null);
  return (
    conditions.length > 0 &&
    conditions.every(
      (condition) =>
        condition.includes('auth.uid()') && condition.includes('user_id') && !/\bOR\b/.test(condition),
    )
  );
}

function checkTrigger(triggers: readonly Trigger[], functionBody: string): SchemaCheck[] {
  const trigger = triggers.find(({ name }) => name === TRIGGER);
  const expected = 'enabled, function as in the migration';
  const found = trigger === undefined ? MISSING : describeTrigger(trigger, functionBody);
  return [{ group: 'trigger', name: TRIGGER, expected, found, ok: found === expected }];
}

function describeTrigger(trigger: Trigger, functionBody: string): string {
  // 'O' fires in ordinary sessions, 'A' in all of them, replication included.
  const enabled = trigger.enabled === 'O' || trigger.enabled === 'A';
  const same = normaliseLines(trigger.body) === functionBody;
  return `${enabled ? 'enabled' : 'disabled'}, function ${same ? 'as in the migration' : 'of another version'}`;
}

/** The hardening is an option: it may be there or not, but what is there must hold. */
function checkHardening(
  tables: ReadonlyMap<AuditTable, FoundTable>,
  problems: readonly string[] | null,
  isUserLost: boolean,
): SchemaCheck {
  const check = { group: 'trigger', name: 'hardened', expected: 'applied or not' } as const;
  if (!tables.has('export_logs')) return { ...check, found: 'not applicable: no audit tables', ok: true };
  if (problems === null) return { ...check, found: 'not applied (optional)', ok: true };
  const all = [...problems, ...(isUserLost ? [`${USER_FOREIGN_KEY.name} not as hardened`] : [])];
  if (all.length === 0) return { ...check, found: 'applied', ok: true };
  return { ...check, expected: 'applied', found: `incomplete: ${all.join(', ')}`, ok: false };
}

async function readTriggerFunction(): Promise<string> {
  const migration = (await readMigrations()).find(({ name }) => name.endsWith(TRIGGER));
  return functionBodyOf(migration?.sql ?? '');
}

/** The text of the one function that a file creates. */
function functionBodyOf(sql: string): string {
  return normaliseLines(/^as \$\$(.*?)\$\$/ms.exec(sql)?.[1] ?? '');
}

/** A checkout on Windows may have turned the line ends of the file. */
function normaliseLines(text: string): string {
  return text.replaceAll('\r\n', '\n');
}
