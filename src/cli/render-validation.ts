import type { ValidationSummary } from '../validate.js';
import type { LocatedProblem } from '../validate/problem-log.js';
import { visible, visibleJson } from '../visible.js';

type Finding = Omit<LocatedProblem, 'line'> & { readonly line?: number | null };

/** One finding, as compilers word theirs. */
export function problemLine(file: string, { line, severity, rule, path, message, fix }: Finding): string {
  const place = line === null || line === undefined ? visible(file) : `${visible(file)}:${line}`;
  const at = path === '' ? '' : ` at ${path}`;
  return `${place}: ${severity} ${rule}${at}: ${message.replace(/\.$/, '')}. Fix: ${fix}\n`;
}

/** What remains to be said behind the findings: broken limits, and how often each rule was broken. */
export function validationText(file: string, summary: ValidationSummary, shownPerRule: number): string {
  const { rows, errors, warnings, limits, byRule, target, format, shape } = summary;
  const checkedAs = [format, ...(target === null ? [] : [target]), ...(shape === null ? [] : [shape])].join(
    ', ',
  );
  const verdict = summary.valid ? 'valid' : 'not valid';
  return [
    ...limits.map((limit) => problemLine(file, limit).trimEnd()),
    `${visible(file)}: ${verdict} (${checkedAs}); ${counted(rows, 'row')}, ${counted(errors + limits.length, 'error')}, ${counted(warnings, 'warning')}`,
    ...Object.entries(byRule).map(([rule, total]) => {
      const count = total.errors + total.warnings;
      const first = total.firstLine === null ? '' : `, first on line ${total.firstLine}`;
      const hidden = count > shownPerRule ? `; ${shownPerRule} shown, --all prints the rest` : '';
      return `  ${rule}: ${count}${first}${hidden}`;
    }),
    '',
  ].join('\n');
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/** The same for programs: a contract, to which members may be added. */
export function validationJson(file: string, summary: ValidationSummary): string {
  const { format, target, shape, rows, bytes, errors, warnings, problems, byRule, limits, valid } = summary;
  return `${visibleJson({
    file,
    format,
    target,
    shape,
    rows,
    bytes,
    errors,
    warnings,
    problems,
    by_rule: Object.fromEntries(
      Object.entries(byRule).map(([rule, total]) => [
        rule,
        { errors: total.errors, warnings: total.warnings, first_line: total.firstLine },
      ]),
    ),
    limits,
    valid,
  })}\n`;
}
