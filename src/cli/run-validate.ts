import { basename } from 'node:path';
import type { Writable } from 'node:stream';
import { LoraExportError } from '../errors.js';
import { readBytes } from '../input-bytes.js';
import { outputError } from '../sinks/output-errors.js';
import { loadTarget, type TargetName } from '../targets/index.js';
import { createValidator, type ValidationSummary } from '../validate.js';
import type { FileFormat } from '../validate/recognise.js';
import type { App } from './app.js';
import { inputFiles, type InputFile } from './input-file.js';
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

/** The `validate` command. The findings are its result, so they go to standard output. */
export async function runValidate(
  { host, terminal }: App,
  files: readonly string[],
  flags: ValidateFlags,
): Promise<void> {
  const inputs = await inputFiles(files, host);
  const wrong: { label: string; summary: ValidationSummary }[] = [];
  for (const input of inputs) {
    await terminal.status(`Checking ${input.name}`);
    const summary = await validateFile(input, flags, host.stdout, host.signal);
    terminal.clearStatus();
    if (!summary.valid) wrong.push({ label: input.name, summary });
  }
  if (wrong.length > 0) throw refusal(wrong, inputs.length, flags.target);
}

async function validateFile(
  input: InputFile,
  flags: ValidateFlags,
  stdout: Writable,
  signal: AbortSignal,
): Promise<ValidationSummary> {
  const { name: label, path } = input;
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
