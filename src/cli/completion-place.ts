/** One command of the program, as far as a shell completes its words. */
export interface Place {
  /** The words that lead to it, such as `/export`; empty for the program itself. */
  readonly path: string;
  readonly name: string;
  readonly description: string;
  readonly commands: readonly Place[];
  readonly flags: readonly Flag[];
  /** What its arguments may be. */
  readonly values: Values;
}

export interface Flag {
  /** With their dashes; the short one first. */
  readonly names: readonly string[];
  readonly description: string;
  /** Null when the next word is none of its values, or need not be. */
  readonly values: Values | null;
}

/** What a word may be: one of a list, a file, or something that only the user knows. */
export type Values = { readonly words: readonly string[] } | 'file' | 'anything';

/** The name of the script's function. */
export function functionName(name: string): string {
  return `_${name.replace(/\W/g, '_')}`;
}

/** A text as one word of a shell. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** Every place where another word can follow a flag, with what the word may be. */
export function flagsWithValues(places: readonly Place[]): { path: string; name: string; values: Values }[] {
  return places.flatMap(({ path, flags }) =>
    flags.flatMap(({ names, values }) =>
      values === null ? [] : names.map((name) => ({ path, name, values })),
    ),
  );
}
