import { LoraExportError } from '../errors.js';
import type { Problem, Report, RowTexts, Target } from '../targets/target.js';
import { checkPlainRow } from './plain-row.js';

/** One way a row may look. */
interface Candidate {
  /** Null without a target. */
  readonly shape: string | null;
  check(row: unknown, report: Report): void;
  /** Top-level keys that an empty row is told to lack. */
  readonly required: readonly string[];
  readonly texts: RowTexts | null;
}

/** Problems that say the row is of another shape weigh more than flaws within the shape. */
const FOREIGN_KEY = 1_000;

/** Checks rows of one file, which must all be of one shape; a row that fits none is held against the nearest. */
export interface RowChecker {
  check(row: unknown, report: Report): void;
  /** The shape of the file: as told, or as its first row; null before that, or without a target. */
  shape(): string | null;
  /** What the check makes of texts; null where that is not known, or where rows may be of several shapes. */
  readonly texts: RowTexts | null;
}

/**
 * @param shape one of the target's. Default: the first row that has the keys of a shape decides
 * @throws LoraExportError `E_USAGE` when the target has no such shape
 */
export function createRowChecker(target: Target | undefined, shape: string | undefined): RowChecker {
  const candidates = candidatesOf(target, shape);
  let settled = candidates.length === 1 ? candidates[0] : undefined;
  return {
    shape: () => settled?.shape ?? null,
    texts: candidates.length === 1 ? (candidates[0]?.texts ?? null) : null,
    check(row, report) {
      if (candidates.length === 1) {
        candidates[0]?.check(row, report);
        return;
      }
      const best = nearest(row, candidates, settled);
      if (settled === undefined) {
        if (best.score < FOREIGN_KEY) settled = best.candidate;
      } else if (best.candidate !== settled) {
        report({
          rule: 'mixed-shapes',
          path: '',
          severity: 'error',
          message: `the row has the shape ${best.candidate.shape}, and the file started with ${settled.shape}`,
          fix: 'Keep rows of each shape in a file of their own.',
        });
      }
      for (const problem of best.problems) report(problem);
    },
  };
}

function candidatesOf(target: Target | undefined, shape: string | undefined): readonly Candidate[] {
  if (target === undefined) return [{ shape: null, check: checkPlainRow, required: [], texts: null }];
  const all = [...Object.entries(target.shapes), ...Object.entries(target.preferences ?? {})].map(
    ([shape, rowShape]): Candidate => {
      const check: Candidate['check'] = (row, report) => rowShape.check(row, report);
      return { shape, check, required: missingKeys(problemsOf(check, {})), texts: rowShape.texts ?? null };
    },
  );
  const named = shape === undefined ? all : all.filter((candidate) => candidate.shape === shape);
  if (named.length > 0) return named;
  throw new LoraExportError('E_USAGE', `The target has no shape ${JSON.stringify(shape)}.`, {
    hint: `Its shapes: ${all.map(({ shape }) => shape).join(', ')}.`,
  });
}

interface Trial {
  readonly candidate: Candidate;
  readonly problems: readonly Problem[];
  readonly score: number;
}

/** Prefers the settled shape, then the order of the target. */
function nearest(row: unknown, candidates: readonly Candidate[], settled: Candidate | undefined): Trial {
  const ordered =
    settled === undefined ? candidates : [settled, ...candidates.filter((one) => one !== settled)];
  let best: Trial | undefined;
  for (const candidate of ordered) {
    const problems = problemsOf((one, report) => candidate.check(one, report), row);
    const score = scoreOf(problems, candidate.required);
    if (best === undefined || score < best.score) best = { candidate, problems, score };
    // The keys fit, so the flaws are those of this shape.
    if (candidate === settled && score < FOREIGN_KEY) break;
    if (score === 0) break;
  }
  if (best === undefined) throw new Error('a target without shapes');
  return best;
}

function problemsOf(check: (row: unknown, report: Report) => void, row: unknown): Problem[] {
  const problems: Problem[] = [];
  check(row, (problem) => problems.push(problem));
  return problems;
}

function missingKeys(problems: readonly Problem[]): string[] {
  return problems
    .filter(({ rule, path }) => rule === 'missing-key' && isTopLevel(path))
    .map(({ path }) => path);
}

function isTopLevel(path: string): boolean {
  return path !== '' && !/[.[]/.test(path);
}

function scoreOf(problems: readonly Problem[], required: readonly string[]): number {
  let score = 0;
  for (const { rule, path, severity } of problems) {
    if (severity !== 'error') continue;
    const isForeign =
      rule === 'not-an-object' || ((rule === 'missing-key' || rule === 'extra-key') && isTopLevel(path));
    score += isForeign ? FOREIGN_KEY : 1;
  }
  // A row without any key of a shape is less like it than one that has some.
  const missing = missingKeys(problems);
  return required.length > 0 && required.every((key) => missing.includes(key)) ? score + FOREIGN_KEY : score;
}
