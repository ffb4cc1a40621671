/** Signs of our own texts, and what stands for them. */
const PLAIN: Readonly<Record<string, string>> = { '…': '...', '·': '-', '–': '-', '’': "'" };

/** A text for terminals that show nothing but ASCII: other characters are written as `\u{…}`. */
export function ascii(text: string): string {
  return text.replace(
    /[^\0-\x7f]/gu,
    (character) => PLAIN[character] ?? `\\u{${character.codePointAt(0)?.toString(16)}}`,
  );
}
