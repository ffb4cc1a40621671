import type { CheckResult } from '../../check.js';
import { LoraExportError } from '../../errors.js';
import { refuseFlawed } from '../../judging/refusals.js';
import { RULES, type Rule } from '../../judging/rules.js';
import type { Counts, RuleCounts } from '../../judging/tally.js';
import type { ExportRequest } from '../../request.js';

/** Ids that are named with a reason. */
const NAMED = 3;

/** What was found, a line per reason, the weightiest first: `1 left out: has no turns (fp_odd_no_turns)`. */
export function findingLines({ failures, skips, repairs, warnings }: Counts): string[] {
  return [
    ...lines('not allowed', failures),
    ...lines('left out', skips),
    ...lines('put right', repairs),
    ...lines('written as is', warnings),
  ];
}

function lines(fate: string, counts: RuleCounts): string[] {
  return Object.entries(counts).map(([rule, { count, ids }]) => {
    const named = ids.slice(0, NAMED).join(', ');
    return `  ${count} ${fate}: ${RULES[rule as Rule].means} (${named}${count > NAMED ? ', ...' : ''})`;
  });
}

/** Why an export of what was checked would fail; null when it would not. */
export function refusalIn({ counts }: Pick<CheckResult, 'counts'>, request: ExportRequest): string | null {
  try {
    refuseFlawed(counts, request);
    return null;
  } catch (error) {
    if (!(error instanceof LoraExportError)) throw error;
    return error.message;
  }
}
