import { textFieldOf } from './error-fields.js';
import { visible } from '../visible.js';

/** Text of a server made fit to print: one line, no control characters, at most 300 characters. */
export function safeServerText(text: string): string {
  const line = visible(text.replace(/\s+/g, ' ').trim());
  return line.length > 300 ? `${line.slice(0, 299)}…` : line;
}

/**
 * A copy of an error of driver or server for `cause`: with its code, its place in the server's source and in ours, and
 * the names of what it is about, but without detail, values, statement and parameters, which a debug print would show.
 *
 * @param message what may be shown of the original's message
 */
export function redactedCause(error: unknown, message: string): Error {
  const copy = new Error(message);
  const frames = framesOf(error).filter((line) => /^\s+at /.test(line));
  copy.stack = [`${copy.name}: ${message}`, ...frames].join('\n');
  const names = [
    'code',
    'severity',
    'routine',
    'schema_name',
    'table_name',
    'column_name',
    'constraint_name',
    'syscall',
  ];
  for (const name of names) {
    const value = textFieldOf(error, name);
    if (value !== undefined) {
      Object.defineProperty(copy, name, { value: safeServerText(value), enumerable: true });
    }
  }
  return copy;
}

/** The stack begins with the message, which may have lines that look like frames. */
function framesOf(error: unknown): string[] {
  const stack = textFieldOf(error, 'stack') ?? '';
  const message = textFieldOf(error, 'message') ?? '';
  const start = stack.indexOf(message);
  return start < 0 ? [] : stack.slice(start + message.length).split('\n');
}
