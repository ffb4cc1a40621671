import { inspect } from 'node:util';
import { exitStatusOf, LoraExportError } from '../errors.js';
import { version } from '../version.js';
import { visibleJson, withoutPasswords } from '../visible.js';

/** An error for people: what happened, and what to do next. */
export function failureText(error: unknown, { debug }: { debug: boolean }): string {
  const text =
    error instanceof LoraExportError
      ? [`lora-export: ${error.message}`, ...(error.hint === undefined ? [] : [`  ${error.hint}`])].join('\n')
      : [
          `lora-export: unexpected error: ${error instanceof Error ? error.message : String(error)}`,
          `  This is a bug in lora-export ${version}. Run the command again with --debug and report what it prints.`,
        ].join('\n');
  return withoutPasswords(debug ? `${text}\n${inspect(error, { depth: 4 })}` : text);
}

/** An error for programs: one JSON object. */
export function failureJson(error: unknown): string {
  const known = error instanceof LoraExportError ? error : undefined;
  return visibleJson({
    code: exitStatusOf(error),
    kind: known?.code ?? 'E_INTERNAL',
    retryable: known?.retryable ?? false,
    export_id: known?.exportId ?? null,
    message: withoutPasswords(error instanceof Error ? error.message : String(error)),
    hint: known?.hint ?? null,
  });
}
