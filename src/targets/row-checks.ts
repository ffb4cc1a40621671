import type { Problem, Report } from './target.js';

/** An object of JSON. */
export type JsonObject = Readonly<Record<string, unknown>>;

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Collects problems of one severity with less writing: `error('extra-key', 'id', 'says …', 'remove it')`. */
export function problems(report: Report) {
  const tell =
    (severity: Problem['severity']) =>
    (rule: string, path: string, message: string, fix: string): void =>
      report({ rule, path, severity, message, fix });
  return { error: tell('error'), warning: tell('warning') };
}
