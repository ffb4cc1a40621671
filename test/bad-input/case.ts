/** Something that a command must refuse with status 2 before it does any work. */
export interface BadInput {
  /** The words after `lora-export`; `{file}` stands for the file that holds `content`. */
  readonly args: readonly string[];
  /** Why it has to be refused: what it would mean otherwise. */
  readonly why: string;
  /** What the message must hold: the flag, variable, file or key, the value where it is no secret, what was expected. */
  readonly says: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly content?: string | Uint8Array;
  /** Standard input. */
  readonly input?: string;
}

/** A value, and why it is none. */
export type BadValue = readonly [value: string, why: string];

/** One flag with many values; the message has to name the flag, the value and what was expected. */
export function flagValues(
  command: readonly string[],
  flag: string,
  expected: string,
  values: readonly BadValue[],
): BadInput[] {
  return values.map(([value, why]) => ({
    args: [...command, `${flag}=${value}`],
    why,
    says: [flag, ...(value === '' ? [] : [shown(value)]), expected],
  }));
}

/** One variable with many values. */
export function variableValues(variable: string, expected: string, values: readonly BadValue[]): BadInput[] {
  return values.map(([value, why]) => ({
    args: ['config'],
    env: { [variable]: value },
    why,
    says: [variable, shown(value), expected],
  }));
}

/** A command line, what its message holds, and why it is wrong. */
export function line(args: readonly string[], why: string, ...says: string[]): BadInput {
  return { args, why, says };
}

/** A file, what the message holds besides its path, and why it is wrong. */
export function file(
  args: readonly string[],
  content: string | Uint8Array,
  why: string,
  ...says: string[]
): BadInput {
  return { args, content, why, says };
}

/** Messages show control and format characters by their numbers. */
function shown(value: string): string {
  return value.replace(
    /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu,
    (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`,
  );
}

/** Sound in every way. */
export const AN_ID = '6f3c0b1e-5d1a-4c0f-9a51-b8f0a2b7c9d4';
export const ANOTHER_ID = '00000000-0000-0000-0000-000000000000';
