/**
 * The bytes between the values of a JSON document: what `JSON.stringify` puts there with two spaces of indentation, or
 * nothing but punctuation.
 */
export interface JsonLayout {
  /** What stands before the first value of an object or array at this depth, or between two of its values. */
  readonly line: (depth: number) => string;
  /** A member's name with its colon, on a line of its own. */
  readonly key: (depth: number, name: string) => string;
}

/** @param compact the whole document on one line */
export function jsonLayout(compact: boolean): JsonLayout {
  const line = (depth: number): string => (compact ? '' : `\n${'  '.repeat(depth)}`);
  return { line, key: (depth, name) => `${line(depth)}${JSON.stringify(name)}:${compact ? '' : ' '}` };
}
