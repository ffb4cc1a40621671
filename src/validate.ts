import type { Problem, Target } from './targets/target.js';
import { checkCsvFile } from './validate/csv-file.js';
import type { FileCheck } from './validate/file-check.js';
import { fileRulesOf } from './validate/file-rules.js';
import { checkJsonFile } from './validate/json-file.js';
import { checkJsonlFile } from './validate/jsonl-file.js';
import { checkMarkdownFile } from './validate/markdown-file.js';
import { ProblemLog, type LocatedProblem, type RuleTotal } from './validate/problem-log.js';
import { HEAD_BYTES, recognise, type FileFormat } from './validate/recognise.js';
import { createRows } from './validate/rows.js';

/** A row of a training file is far smaller; beyond this it is not read, so that memory stays flat. */
const MAX_ROW_BYTES = 64 * 1024 * 1024;

/** What a file is checked as. */
export interface ValidatorOptions {
  /** Who reads the file next. Default: nobody in particular; rows are `{"messages":[…],"metadata":{…}}`. */
  readonly target?: Target | undefined;
  /** The target's name in the registry. */
  readonly targetName?: string | undefined;
  /** One of the target's shapes. Default: as the first row. */
  readonly shape?: string | undefined;
  /** Default: recognised by name and first bytes. */
  readonly format?: FileFormat | undefined;
  /** Name of the file; without it no rule about names is checked. */
  readonly name?: string | undefined;
  /** The bytes came out of gzip. Default: false. */
  readonly isCompressed?: boolean | undefined;
  /** Whether a byte order mark must stand at the start. Default: as the target says. */
  readonly bom?: boolean | undefined;
  /** A file without rows is right. Default: false. */
  readonly allowEmpty?: boolean | undefined;
  /** Look for rows that repeat others. Default: true. */
  readonly duplicates?: boolean | undefined;
  /** Counts the tokens of one text. Default: limits of tokens are not checked. */
  readonly countTokens?: ((text: string) => number) | undefined;
  /** Bytes of a row at most; a longer one is an error and is not read. Default: 64 MiB. */
  readonly maxRowBytes?: number | undefined;
  /** Hears of every problem as soon as it is found, also of those that the summary leaves out. */
  readonly onProblem?: ((problem: LocatedProblem) => void) | undefined;
}

/** What was found in a file. */
export interface ValidationSummary {
  readonly format: FileFormat;
  /** Name of the target, or null. */
  readonly target: string | null;
  readonly shape: string | null;
  /** Lines, conversations or records. */
  readonly rows: number;
  /** Bytes, unpacked. */
  readonly bytes: number;
  readonly errors: number;
  readonly warnings: number;
  /** The first 1,000, and at least 20 of each rule. */
  readonly problems: readonly LocatedProblem[];
  readonly byRule: Readonly<Record<string, RuleTotal>>;
  /** Limits of the file as a whole that it breaks. */
  readonly limits: readonly Problem[];
  /** No errors, no broken limit; warnings do not count. */
  readonly valid: boolean;
}

/** Checks a file while it is read or written. It never throws because of what the file holds. */
export interface Validator {
  /** The next bytes, unpacked; the memory may be used again afterwards. */
  write(bytes: Uint8Array): void;
  end(): ValidationSummary;
}

/**
 * Checks the bytes of one file against a target, piece by piece, in memory that does not grow with the file.
 * @throws LoraExportError `E_USAGE` when the target has no such shape
 * @example
 * const validator = createValidator({ target: targets.openai, targetName: 'openai', name: 'train.jsonl' });
 * for await (const chunk of createReadStream('train.jsonl')) validator.write(chunk);
 * const { valid, problems } = validator.end();
 */
export function createValidator(options: ValidatorOptions = {}): Validator {
  const { target, targetName, shape, name, maxRowBytes = MAX_ROW_BYTES } = options;
  const log = new ProblemLog(options.onProblem);
  const locate = log.report;
  const rules = fileRulesOf(target, options.bom);
  const rows = createRows(locate, {
    target,
    shape,
    rules,
    countTokens: options.countTokens,
    duplicates: options.duplicates ?? true,
  });
  const checks: Record<FileFormat, () => FileCheck> = {
    jsonl: () => checkJsonlFile(locate, rules, rows, maxRowBytes),
    json: () => checkJsonFile(locate, rules, target === undefined ? null : rows, maxRowBytes),
    csv: () => checkCsvFile(locate, maxRowBytes),
    markdown: () => checkMarkdownFile(locate, rules, maxRowBytes),
  };

  let bytes = 0;
  let head: Buffer = Buffer.alloc(0);
  let format = options.format;
  let check: FileCheck | undefined = format === undefined ? undefined : checks[format]();
  const begin = (): FileCheck => {
    format ??= recognise(name, head);
    check = checks[format]();
    check.write(head);
    head = Buffer.alloc(0);
    return check;
  };

  return {
    write(chunk) {
      const piece = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
      bytes += piece.length;
      if (check !== undefined) {
        check.write(piece);
        return;
      }
      head = Buffer.concat([head, piece]);
      if (head.length >= HEAD_BYTES) begin();
    },
    end() {
      const checked = (check ?? begin()).end();
      const known = format ?? 'jsonl';
      for (const problem of fileProblems(known, checked.rows, options, rules.extension))
        locate(problem, null);
      const limits = checked.rows === 0 ? [] : brokenLimits(target, checked.rows, bytes);
      const errors = log.count('errors');
      return {
        format: known,
        target: targetName ?? null,
        shape: checked.shape,
        rows: checked.rows,
        bytes,
        errors,
        warnings: log.count('warnings'),
        problems: log.problems,
        byRule: log.byRule,
        limits,
        valid: errors === 0 && limits.length === 0,
      };
    },
  };
}

function* fileProblems(
  format: FileFormat,
  rows: number,
  { target, name, isCompressed, allowEmpty }: ValidatorOptions,
  extension: Problem['severity'],
): Generator<Problem> {
  const problem = (severity: Problem['severity'], rule: string, message: string, fix: string): Problem => ({
    rule,
    path: '',
    severity,
    message,
    fix,
  });
  if (rows === 0 && allowEmpty !== true) {
    yield problem(
      'error',
      'empty-file',
      'Empty output: the file has no rows',
      'Do not upload it; look at what it was made from.',
    );
  }
  if (target === undefined) return;
  if (format === 'csv' || format === 'markdown') {
    yield problem(
      'error',
      'not-json-lines',
      'the target reads JSON Lines',
      'Export as JSON Lines with --target.',
    );
  }
  if (name !== undefined && format === 'jsonl' && !/\.jsonl(?:\.gz)?$/.test(name)) {
    const does = extension === 'error' ? 'the service refuses it' : 'some services refuse it';
    yield problem(extension, 'file-name', `the name does not end in .jsonl: ${does}`, 'Rename the file.');
  }
  if (isCompressed === true && extension === 'error') {
    yield problem(
      'warning',
      'compressed',
      'the file is compressed, and was checked unpacked',
      'Unpack it before the upload.',
    );
  }
}

/** Sizes are those of the file as the target reads it, unpacked. */
function brokenLimits(target: Target | undefined, rows: number, bytes: number): Problem[] {
  const { minRows = 0, maxRows = Infinity, maxBytes = Infinity } = target?.limits ?? {};
  const broken: Problem[] = [];
  const add = (rule: string, message: string, fix: string): void =>
    void broken.push({ rule, path: '', severity: 'error', message, fix });
  if (rows < minRows)
    add(
      'too-few-rows',
      `the file has ${rows} rows, and the target wants ${minRows} at least`,
      'Export more conversations.',
    );
  if (rows > maxRows)
    add(
      'too-many-rows',
      `the file has ${rows} rows, and the target reads ${maxRows} at most`,
      'Split the file, or export fewer.',
    );
  if (bytes > maxBytes)
    add(
      'too-large',
      `the file has ${bytes} bytes, and the target reads ${maxBytes} at most`,
      'Split the file, or export fewer.',
    );
  return broken;
}
