import type { Identity } from '../db/identity.js';
import type { Source } from '../db/source.js';
import { LoraExportError } from '../errors.js';
import type { ExportRequest } from '../request.js';
import type { ValidationSummary } from '../validate.js';
import type { Counts, RuleCounts, Tally } from './tally.js';

/** @throws LoraExportError `E_EMPTY` when nothing matched: an empty training set is a mistake */
export function refuseNothing(
  { matched }: Pick<Tally, 'matched'>,
  { allowEmpty }: ExportRequest,
  { rowSecurity }: Pick<Source, 'rowSecurity'>,
): void {
  if (matched > 0 || allowEmpty) return;
  throw new LoraExportError('E_EMPTY', 'No conversations matched.', {
    hint: rowSecurity
      ? "Row level security applies, and hides what is not the user's: check --user (`lora-export doctor` counts what he sees), then scope and filters."
      : 'Check the scope and the filters (`--dry-run` counts without exporting), or pass --allow-empty.',
  });
}

/**
 * Policies hide rows without a word.
 * @throws LoraExportError `E_DB_ACCESS` when some apply and all conversations were asked for
 */
export function refusePartial(
  source: Source,
  { role, actor }: Identity,
  { requireAll }: ExportRequest,
): void {
  if (!source.rowSecurity || !requireAll) return;
  throw new LoraExportError(
    'E_DB_ACCESS',
    `Row level security applies to role ${actor?.role ?? role}, so some conversations may be hidden; --require-all refuses that.`,
    {
      hint: 'Connect with a role that policies do not bind and pass --all-users, or leave --require-all out.',
    },
  );
}

/**
 * Holds what the checks found against what the request puts up with, before anything is published.
 * @throws LoraExportError `E_DATA` or `E_EMPTY`
 */
export function refuseFlawed(counts: Counts, request: ExportRequest): void {
  const { skips, repairs, warnings, failures } = counts;
  const nothing = 'Nothing was published.';
  if (Object.keys(failures).length > 0) {
    throw new LoraExportError(
      'E_DATA',
      `Conversations break rules that must not be broken: ${list(failures)}. ${nothing}`,
      {
        hint: 'See them all with --report FILE; --on RULE=skip leaves them out.',
      },
    );
  }
  if (request.strict && [skips, repairs, warnings].some((found) => Object.keys(found).length > 0)) {
    throw new LoraExportError('E_DATA', `Strict mode: ${list(skips, repairs, warnings)}. ${nothing}`, {
      hint: 'See them all with --report FILE, or leave --strict out.',
    });
  }
  const most = mostSkipped(request, counts.matched);
  if (counts.skipped > most) {
    throw new LoraExportError(
      'E_DATA',
      `${counts.skipped} of ${counts.matched} conversations were skipped, more than the ${most} allowed: ${list(skips)}. ${nothing}`,
      { hint: 'See them all with --report FILE, or allow more with --max-skipped.' },
    );
  }
  if (counts.written === 0 && counts.matched > 0 && !request.allowEmpty) {
    throw new LoraExportError(
      'E_EMPTY',
      `All ${counts.matched} conversations that matched were skipped: ${list(skips)}.`,
      {
        hint: 'See why with --report FILE.',
      },
    );
  }
}

function mostSkipped({ maxSkipped }: ExportRequest, matched: number): number {
  if (maxSkipped === undefined) return Number.POSITIVE_INFINITY;
  if ('count' in maxSkipped) return maxSkipped.count;
  // In thousandths of a per cent: 0.29 * 100 is less than 29.
  return Math.floor((Math.round(maxSkipped.percent * 1_000) * matched) / 100_000);
}

function list(...counts: readonly RuleCounts[]): string {
  return counts
    .flatMap((each) => Object.entries(each))
    .map(
      ([rule, { count, ids }]) =>
        `${rule} in ${count} (${ids.slice(0, 3).join(', ')}${count > 3 ? ', …' : ''})`,
    )
    .join('; ');
}

/**
 * A file that its own target would refuse is a mistake of ours, and must not be published.
 * @throws LoraExportError `E_DATA`
 */
export function refuseInvalid(verdict: ValidationSummary | null, { target }: ExportRequest): void {
  const problem = verdict?.problems.find(({ severity }) => severity === 'error');
  if (verdict === null || problem === undefined) return;
  const where = problem.line === null ? '' : ` (row ${problem.line}, ${problem.path || 'as a whole'})`;
  throw new LoraExportError(
    'E_DATA',
    `The file breaks ${verdict.errors} rules of ${target ?? 'its format'}, the first ${problem.rule}${where}: ${problem.message}. Nothing was published.`,
    {
      hint: 'Its conversations passed the checks, so please report this; --no-verify writes the file all the same.',
    },
  );
}
