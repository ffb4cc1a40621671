/**
 * Text from outside with every control, format and line separating character written as `\u{…}`, so that a name sent
 * by a server can neither move the cursor of a terminal nor break a log line.
 */
export function visible(text: string): string {
  // Almost every text is plain, and the other expression takes most of a millisecond to compile.
  if (/^[ -~]*$/.test(text)) return text;
  return text.replace(
    /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu,
    (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`,
  );
}

/** JSON in which the same characters are escaped as JSON escapes them: what reads it finds them unchanged. */
export function visibleJson(value: unknown): string {
  return JSON.stringify(value).replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, (character) =>
    Array.from(
      { length: character.length },
      (_, index) => `\\u${character.charCodeAt(index).toString(16).padStart(4, '0')}`,
    ).join(''),
  );
}

/**
 * A message in which no URL says more than its scheme and what follows its last `@`. Whoever mixes up two flags or
 * variables has a database URL in the place of a path, a name or a rule, and messages repeat those; a path that begins
 * with one has lost a slash. The form that hints show stays.
 */
export function withoutPasswords(text: string): string {
  return text.replace(/\b(?!file:)([a-z][a-z0-9+.-]*:\/{1,2})(?!\/?USER:).*@/gis, '$1…@');
}
