/**
 * Text from outside with every control, format and line separating character written as `\u{…}`, so that a name sent
 * by a server can neither move the cursor of a terminal nor break a log line.
 */
export function visible(text: string): string {
  return text.replace(
    /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu,
    (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`,
  );
}
