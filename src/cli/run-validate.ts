import { createReadStream } from 'node:fs';
import { access } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { LoraExportError } from '../errors.js';
import { readBytes } from '../input-bytes.js';
import { outputError } from '../sinks/output-errors.js';
import { loadTarget, type TargetName } from '../targets/index.js';
import { createValidator, type ValidationSummary } from '../validate.js';
import type { FileFormat } from '../validate/recognise.js';
import type { App } from './app.js';
import { problemLine, validationJson, validationText } from './render-validation.js';

export interface ValidateFlags {
  readonly target?: TargetName;
  readonly shape?: string;
  readonly format?: FileFormat;
  /** False with `--no-bom`. */
  readonly bom: boolean;
  readonly all?: boolean;
  readonly json?: boolean;
}

/** How many findings of one rule are printed unless all are asked for. */
const SHOWN_PER_RULE = 20;

interface Input {
  /** As the user named it. */
  readonly label: string;
  /** Null for standard input. */
  readonly path: string | null;
  open(): Readable;
}

/** The `validate` command. The findings are its result, so they go to standard output. */
export async function runValidate(
  { host, terminal }: App,
  files: readonly string[],
  flags: ValidateFlags,
): Promise<void> {
  if (files.filter((file) => file === '-').length > 1) {
    throw new LoraExportError('E_USAGE', 'Standard input (-) can be read only once.');
  }
  const inputs = await Promise.all(files.map((file) => inputOf(file, host.cwd, host.stdin)));
  const wrong: { label: string; summary: ValidationSummary }[] = [];
  for (const input of inputs) {
    await terminal.status(`Checking ${input.label}`);
    const summary = await validateFile(input, flags, host.stdout, host.signal);
    terminal.clearStatus();
    if (!summary.valid) wrong.push({ label: input.label, summary });
  }
  if (wrong.length > 0) throw refusal(wrong, inputs.length, flags.target);
}

async function validateFile(
  input: Input,
  flags: ValidateFlags,
  stdout: Writable,
  signal: AbortSignal,
): Promise<ValidationSummary> {
  const { label, path } = input;
  const shown = new Map<string, number>();
  let waiting = '';
  const flush = async (): Promise<void> => {
    const text = waiting;
    waiting = '';
    if (text !== '') await write(stdout, text);
  };
  const target = flags.target === undefined ? undefined : await loadTarget(flags.target);
  const validator = createValidator({
    target,
    targetName: flags.target,
    shape: flags.shape,
    format: flags.format,
    name: path === null ? undefined : basename(path),
    isCompressed: path?.endsWith('.gz') ?? false,
    ...(flags.bom ? {} : { bom: false }),
    onProblem: flags.json
      ? undefined
      : (problem) => {
          const count = (shown.get(problem.rule) ?? 0) + 1;
          shown.set(problem.rule, count);
          if (flags.all || count <= SHOWN_PER_RULE) waiting += problemLine(label, problem);
        },
  });
  for await (const chunk of readBytes(input.open(), label, signal)) {
    validator.write(chunk);
    await flush();
  }
  const summary = validator.end();
  waiting += flags.json
    ? validationJson(label, summary)
    : validationText(label, summary, flags.all ? Infinity : SHOWN_PER_RULE);
  await flush();
  return summary;
}

/** Waits until the reader has taken it: a file in which every row is wrong says more than memory should hold. */
function write(stdout: Writable, text: string): Promise<void> {
  return new Promise((done, fail) => {
    stdout.write(text, (error) => {
      if (error) fail(outputError(error, 'standard output'));
      else done();
    });
  });
}

async function inputOf(file: string, cwd: string, stdin: Readable): Promise<Input> {
  if (file === '-') return { label: 'standard input', path: null, open: () => stdin };
  const path = resolve(cwd, file);
  await access(path).catch((error: unknown) => {
    throw new LoraExportError('E_USAGE', `Cannot read ${file}: ${(error as NodeJS.ErrnoException).code}.`, {
      hint: 'Name an existing file, or - for standard input.',
      cause: error,
    });
  });
  return { label: file, path, open: () => createReadStream(path) };
}

function refusal(
  wrong: readonly { label: string; summary: ValidationSummary }[],
  files: number,
  target: string | undefined,
): LoraExportError {
  const hasErrors = wrong.some(({ summary }) => summary.errors > 0);
  const who = files === 1 ? (wrong[0]?.label ?? '') : `${wrong.length} of ${files} files`;
  const verb = files === 1 || wrong.length === 1 ? 'does' : 'do';
  const whose = target === undefined ? 'the rules of training files' : `the rules of ${target}`;
  return new LoraExportError(
    hasErrors ? 'E_DATA' : 'E_TARGET_RULES',
    hasErrors
      ? `${who} ${verb} not keep ${whose}.`
      : `${who} ${verb} not keep ${whose} for a file as a whole.`,
    { hint: 'The findings on standard output name each line, and how to mend it.' },
  );
}
