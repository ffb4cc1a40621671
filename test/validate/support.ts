import { targets } from '../../src/targets/all.js';
import { createValidator, type ValidationSummary, type ValidatorOptions } from '../../src/validate.js';

/** Checks a whole text at once. */
export function validate(text: string | Uint8Array, options: ValidatorOptions = {}): ValidationSummary {
  const validator = createValidator(options);
  validator.write(typeof text === 'string' ? Buffer.from(text) : text);
  return validator.end();
}

/** The options that name a target of the registry. */
export function against(targetName: string): Pick<ValidatorOptions, 'target' | 'targetName' | 'format'> {
  return { target: targets[targetName as keyof typeof targets], targetName, format: 'jsonl' };
}

/** Problems in short: `2 error invalid-json`, `1 error missing-key messages`. */
export function found({ problems }: ValidationSummary): string[] {
  return problems.map(({ line, severity, rule, path }) =>
    [line ?? 'file', severity, rule, ...(path === '' ? [] : [path])].join(' '),
  );
}

/** Only the errors among them. */
export function errors(summary: ValidationSummary): string[] {
  return found(summary).filter((line) => / error /.test(line));
}

/** A row of two messages, each number another. */
export function row(number: number | string): string {
  return JSON.stringify({
    messages: [
      { role: 'user', content: `question ${number}` },
      { role: 'assistant', content: `answer ${number}` },
    ],
  });
}

/** So many rows with their line feeds. */
export function rows(count: number): string {
  return Array.from({ length: count }, (_, index) => `${row(index)}\n`).join('');
}
