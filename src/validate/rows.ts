import type { Problem, Target } from '../targets/target.js';
import { createColumns, FIRST_BLOCK_BYTES } from './columns.js';
import { dialogueOf } from './dialogue.js';
import { createDuplicates } from './duplicates.js';
import type { FileRules } from './file-rules.js';
import type { Locate } from './problem-log.js';
import { createKnownRows } from './known-rows.js';
import { createRowChecker } from './row-checker.js';
import { scanJson, type HiddenFlaw } from './scan-json.js';

/** Options of the checks of rows. */
export interface RowOptions {
  readonly target: Target | undefined;
  readonly shape: string | undefined;
  readonly rules: FileRules;
  /** Counts the tokens of one text; without it no limit of tokens is checked. */
  readonly countTokens: ((text: string) => number) | undefined;
  readonly duplicates: boolean;
}

/** Rows of a file, checked one by one and against each other. */
export interface Rows {
  /**
   * Takes a row that differs in nothing but its texts from an earlier one with which all was well.
   * @param row one line of UTF-8 without its line feed
   * @returns false for any other, which must be parsed and added
   */
  addKnown(row: Uint8Array): boolean;
  /**
   * @param json the text that `row` was parsed from
   * @param offset of its first byte in the file
   */
  add(row: unknown, json: string, line: number, offset: number): void;
  end(): void;
  count(): number;
  shape(): string | null;
}

const FLAWS: Readonly<Record<HiddenFlaw, Pick<Problem, 'severity' | 'message' | 'fix'>>> = {
  'duplicate-key': {
    severity: 'error',
    message: 'the key stands twice in one object: readers keep one of the values, or refuse the file',
    fix: 'Keep one of them.',
  },
  'big-integer': {
    severity: 'warning',
    message: 'the whole number is beyond 2^53: readers round it',
    fix: 'Write it as a text.',
  },
  'lone-surrogate': {
    severity: 'error',
    message:
      'the text holds half of a surrogate pair (\\ud800 to \\udfff): some readers refuse the row, some the whole file',
    fix: 'Replace it by U+FFFD, as String.prototype.toWellFormed does.',
  },
  'line-separator': {
    severity: 'warning',
    message: 'the text holds U+2028, U+2029 or U+0085 as such: readers in some languages split the row there',
    fix: 'Escape it: \\u2028, \\u2029 or \\u0085.',
  },
  'too-deep': {
    severity: 'error',
    message: 'the row is nested deeper than 200 levels: readers in Python give up',
    fix: 'Flatten it, or write the value as one JSON text.',
  },
};

/** Checks rows against the target, and as the rows of one file. */
export function createRows(
  locate: Locate,
  { target, shape, rules, countTokens, duplicates }: RowOptions,
): Rows {
  const checker = createRowChecker(target, shape);
  const columns = rules.guessesColumns ? createColumns(locate) : null;
  const findDuplicate = duplicates ? createDuplicates(locate) : null;
  const maxTokens = target?.limits.maxTokens;
  // Repeated rows and long ones are known by their texts.
  const canKnow = !duplicates && countTokens === undefined;
  const known = canKnow && checker.texts !== null ? createKnownRows(checker.texts) : null;
  let form: string | null = null;
  let count = 0;
  return {
    count: () => count,
    shape: () => checker.shape(),
    addKnown(row) {
      form = known?.formOf(row) ?? null;
      if (form === null || !known?.has(form)) return false;
      count += 1;
      return true;
    },
    add(row, json, line, offset) {
      count += 1;
      // A target may look for what the scan finds, too.
      const told = new Set<string>();
      const report = (problem: Problem): void => {
        const key = `${problem.rule} ${problem.path}`;
        if (told.has(key)) return;
        told.add(key);
        locate(problem, line);
      };
      let isDeep = false;
      scanJson(json, (flaw, path) => {
        isDeep ||= flaw === 'too-deep';
        report({ rule: flaw, path, ...FLAWS[flaw] });
      });
      if (isDeep) return;
      checker.check(row, report);
      columns?.add(row, line, offset < FIRST_BLOCK_BYTES);
      findDuplicate?.(row, line);
      // What the loader would make of the columns does not change when the same columns come again.
      if (form !== null && told.size === 0) known?.add(form);
      form = null;
      if (countTokens === undefined || maxTokens === undefined) return;
      const tokens = dialogueOf(row).reduce((sum, { text }) => sum + countTokens(text), 0);
      if (tokens > maxTokens) {
        report({
          rule: 'over-token-limit',
          path: '',
          severity: 'warning',
          message: `the row has about ${tokens} tokens, and the target reads ${maxTokens}: it is cut or dropped`,
          fix: 'Shorten it at a turn boundary, or leave it out.',
        });
      }
    },
    end: () => columns?.end(),
  };
}
