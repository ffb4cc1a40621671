import type { Problem } from '../targets/target.js';
import { visible } from '../visible.js';

/** Problems come from foreign files: what is quoted of them stays short. */
const MOST_CHARACTERS = 400;
/** So many problems are kept, and of each rule at least so many, however late it first occurs. */
const KEPT = 1_000;
const KEPT_PER_RULE = 20;

/** A problem and where it stands. */
export interface LocatedProblem extends Problem {
  /** From 1; null for the file as a whole. */
  readonly line: number | null;
}

/** How often a rule was broken. */
export interface RuleTotal {
  readonly errors: number;
  readonly warnings: number;
  /** The first line that breaks it; null for the file as a whole. */
  readonly firstLine: number | null;
}

export type Locate = (problem: Problem, line: number | null) => void;

/** Counts problems and keeps the first of them, so that a file in which every row is wrong costs no memory. */
export class ProblemLog {
  readonly #tell: ((problem: LocatedProblem) => void) | undefined;
  readonly #kept: LocatedProblem[] = [];
  readonly #totals = new Map<string, { errors: number; warnings: number; firstLine: number | null }>();

  /** @param tell hears of every problem at once, also of those that are not kept */
  constructor(tell?: (problem: LocatedProblem) => void) {
    this.#tell = tell;
  }

  readonly report: Locate = (problem, line) => {
    const { rule, severity } = problem;
    let total = this.#totals.get(rule);
    if (total === undefined) {
      total = { errors: 0, warnings: 0, firstLine: line };
      this.#totals.set(rule, total);
    }
    const ofRule = total.errors + total.warnings;
    if (severity === 'error') total.errors += 1;
    else total.warnings += 1;
    const isKept = this.#kept.length < KEPT || ofRule < KEPT_PER_RULE;
    if (!isKept && this.#tell === undefined) return;
    const located = {
      line,
      rule,
      severity,
      path: printable(problem.path),
      message: printable(problem.message),
      fix: printable(problem.fix),
    };
    if (isKept) this.#kept.push(located);
    this.#tell?.(located);
  };

  get problems(): readonly LocatedProblem[] {
    return this.#kept;
  }

  get byRule(): Readonly<Record<string, RuleTotal>> {
    return Object.fromEntries(this.#totals);
  }

  count(severity: 'errors' | 'warnings'): number {
    return [...this.#totals.values()].reduce((sum, total) => sum + total[severity], 0);
  }
}

function printable(text: string): string {
  return visible(text.length > MOST_CHARACTERS ? `${text.slice(0, MOST_CHARACTERS)}…` : text);
}
