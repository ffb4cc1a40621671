import { auditProblems } from '../db/audit-problems.js';
import type { Connection } from '../db/connect.js';
import { verifySchema } from '../db/verify.js';
import { failed, ok, warning, type Finding } from './finding.js';

/** How many differences are named. */
const NAMED = 5;

/** Whether the audit tables are there, as the migrations make them. */
export async function checkAuditTables({ sql, ask }: Connection, schema: string): Promise<Finding> {
  const problems = await ask(() => auditProblems(sql, { schema }));
  if (problems === null) {
    return failed(
      'E_SCHEMA',
      `There is no table ${schema}.export_logs.`,
      'Create it with `lora-export init`, or name the schema that holds it with --audit-schema.',
    );
  }
  if (problems.length > 0) {
    return failed(
      'E_SCHEMA',
      `The audit tables in schema ${schema} have another shape than ours: ${list(problems)}.`,
      'Update them with `lora-export init`, or keep ours apart: `lora-export init --audit-schema NAME`.',
    );
  }
  const checks = await ask(() => verifySchema(sql, { schema }));
  const wrong = checks.filter(({ ok }) => !ok);
  if (wrong.length === 0) return ok(`export_logs and export_runs in schema ${schema} are as they should be`);
  const message = `${wrong.length} of ${checks.length} checks of the audit tables failed: ${list(wrong.map(({ group, name, found }) => `${group} ${name} (${found})`))}`;
  const fix =
    'Run `lora-export init` to create what is missing; `lora-export init --verify` lists all differences.';
  // Without an index everything works, only slower; the others protect the log.
  return wrong.every(({ group }) => group === 'index')
    ? warning(message, fix)
    : failed('E_SCHEMA', `${message}.`, fix);
}

function list(items: readonly string[]): string {
  return `${items.slice(0, NAMED).join(', ')}${items.length > NAMED ? ', …' : ''}`;
}
