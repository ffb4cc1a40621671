import type { ChalkInstance } from 'chalk';
import { CHECKS, type Check, type Diagnosis } from '../doctor.js';
import type { FindingStatus } from '../doctor/finding.js';
import { LoraExportError } from '../errors.js';
import { visible, visibleJson } from '../visible.js';

const STATUS_WIDTH = 'warning'.length;
const NAME_WIDTH = Math.max(...CHECKS.map((name) => name.length));
const COLOURS = { ok: 'green', warning: 'yellow', failed: 'red', skipped: 'gray' } as const satisfies Record<
  FindingStatus,
  string
>;

/** The report for people: a line per check, and below it what mends it. */
export function doctorText(
  { checks }: Diagnosis,
  { chalk, utf8 }: { readonly chalk: ChalkInstance; readonly utf8: boolean },
): string {
  const arrow = utf8 ? '→' : '->';
  const indent = ' '.repeat(STATUS_WIDTH + NAME_WIDTH + 4);
  const counts = (['ok', 'warning', 'failed', 'skipped'] as const)
    .map((status) => `${checks.filter((check) => check.status === status).length} ${status}`)
    .join(', ');
  return [
    ...checks.flatMap(({ name, status, message, fix, sql }) => [
      `${chalk[COLOURS[status]](status.padEnd(STATUS_WIDTH))}  ${name.padEnd(NAME_WIDTH)}  ${visible(message)}`,
      ...(fix === null ? [] : [`${indent}${arrow} ${visible(fix)}`]),
      ...sql.map((statement) => `${indent}  ${visible(statement)}`),
    ]),
    '',
    counts,
    '',
  ].join('\n');
}

/** The same for programs: a contract, to which members may be added. */
export function doctorJson({ ok, checks }: Diagnosis): string {
  return visibleJson({ ok, checks: checks.map(checkJson) });
}

function checkJson({ name, status, message, fix, sql, code }: Check): object {
  return {
    name,
    status,
    message,
    fix,
    sql,
    kind: code,
    code: code === null ? null : new LoraExportError(code, message).exitStatus,
  };
}
