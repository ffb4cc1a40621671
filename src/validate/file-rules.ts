import type { Target } from '../targets/target.js';

type Severity = 'error' | 'warning';

/** What the reader of a file makes of its bytes. */
export interface FileRules {
  /** `null`: neither wanted nor refused. */
  readonly bom: 'required' | Severity | null;
  readonly blankLine: Severity;
  /** A name that does not end in `.jsonl`. */
  readonly extension: Severity;
  /** The types of columns are guessed from the first rows. */
  readonly guessesColumns: boolean;
}

/**
 * @param wantsBom whether the file must start with a byte order mark. Default: as the target says; false for a target
 *   that wants one means that both are fine
 */
export function fileRulesOf(target: Target | undefined, wantsBom?: boolean): FileRules {
  const guessesColumns = target?.throughDatasets ?? false;
  return {
    bom: bomRule(target, wantsBom, guessesColumns),
    blankLine: (target?.skipsBlankLines ?? guessesColumns) ? 'warning' : 'error',
    extension: target?.checksFileName ? 'error' : 'warning',
    guessesColumns,
  };
}

function bomRule(
  target: Target | undefined,
  wanted: boolean | undefined,
  isSkipped: boolean,
): FileRules['bom'] {
  if (wanted ?? target?.bom ?? false) return 'required';
  if (target?.bom === true) return null;
  return isSkipped ? 'warning' : 'error';
}
