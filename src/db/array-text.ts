/**
 * The elements of a one-dimensional array as PostgreSQL prints it, such as `{user,"odd \"role\"",NULL}`: double quotes
 * around what needs them, backslashes before quotes and backslashes, NULL for null.
 * Source: PostgreSQL manual, "Array Input and Output Syntax".
 */
export function parseArrayText(text: string): (string | null)[] {
  if (!text.includes('"')) {
    return text === '{}'
      ? []
      : text
          .slice(1, -1)
          .split(',')
          .map((element) => (element === 'NULL' ? null : element));
  }
  const elements: (string | null)[] = [];
  for (const [, quoted, plain] of text.slice(1, -1).matchAll(/"((?:[^"\\]|\\.)*)"|([^,]+)/gs)) {
    if (quoted !== undefined) elements.push(quoted.replace(/\\(.)/gs, '$1'));
    else elements.push(plain === 'NULL' || plain === undefined ? null : plain);
  }
  return elements;
}
