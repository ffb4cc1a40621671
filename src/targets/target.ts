import type { ByteWriter } from '../bytes/byte-writer.js';
import type { Text } from '../bytes/text.js';
import type { Policy } from '../judging/rules.js';

/** A message of a training example. Tool messages occur only for targets that know them. */
export interface Message {
  readonly role: 'user' | 'assistant' | 'tool_call' | 'tool';
  readonly content: Text;
}

/** A conversation as a target sees it: already checked and repaired, so that it keeps the target's order of roles. */
export interface Example {
  /** The one system prompt, or null. */
  readonly system: Text | null;
  readonly messages: readonly Message[];
  /** `parameters.tools`, JSON text of an array of tool schemas; null where there is none or it is empty. */
  readonly tools: Text | null;
}

/** Two answers to the same beginning, one approved and one rejected. */
export interface Preference {
  /** Up to and including the user message that both answer. */
  readonly prompt: Example;
  readonly chosen: Text;
  readonly rejected: Text;
}

/** One thing wrong with one row of a file. */
export interface Problem {
  /** Stable name of the rule, such as `extra-key` or `ends-with-user`. */
  readonly rule: string;
  /** Where in the row: `messages[2].content`; empty for the row as a whole. */
  readonly path: string;
  readonly severity: 'error' | 'warning';
  /** What the service or trainer would say or do. */
  readonly message: string;
  readonly fix: string;
}

/** Tells of a problem; the engine adds the line. */
export type Report = (problem: Problem) => void;

/**
 * What a check makes of texts of the data, where it makes so little of them that rows of one form are all right or all
 * wrong: such a text must be a string, should not be blank, and should hold none of the marks.
 */
export interface RowTexts {
  /** The keys under which texts stand, as strings or in lists of any depth. */
  readonly keys: readonly string[];
  /** Every mark that the check looks for. */
  readonly marks: readonly string[];
  /** Values by which the check knows a row whose texts it looks at more closely. Default: none. */
  readonly readClosely?: readonly string[];
}

/** What a row looks like: how it is written, and what makes it right. The two must agree about every rule. */
export interface RowShape<Source = Example> {
  /** Writes one row with its newline, nothing else: no key beyond those that the target reads. */
  write(source: Source, out: ByteWriter): void;
  /** Checks one parsed row of any file, whoever wrote it. */
  check(row: unknown, report: Report): void;
  /** Spares rows of a form already found right from being parsed. Absent: the check compares texts or reads them closely. */
  readonly texts?: RowTexts;
}

/** Rules about a file as a whole. Bytes and rows are of one file; tokens of one row. */
export interface Limits {
  readonly minRows?: number;
  readonly maxRows?: number;
  readonly maxBytes?: number;
  readonly maxTokens?: number;
}

/** A service or trainer that reads the file next. A new one is one file beside this and one line in `index.ts`. */
export interface Target {
  /** One line for help texts and menus. */
  readonly summary: string;
  /** When the rules were last held against their sources, and what those are. */
  readonly asOf: string;
  readonly sources: readonly string[];
  /** What a row is made of, the default first; most targets have one. Pairs need `preferences` instead. */
  readonly shapes: Readonly<Record<string, RowShape>>;
  readonly preferences?: Readonly<Record<string, RowShape<Preference>>>;
  readonly limits: Limits;
  /**
   * The file is loaded through the `datasets` library, which skips a byte order mark and blank lines and guesses the
   * types of columns from the first rows. Default: false.
   */
  readonly throughDatasets?: boolean;
  /** Blank lines are skipped and not refused. Default: as `throughDatasets`. */
  readonly skipsBlankLines?: boolean;
  /** A name that does not end in `.jsonl` is refused. Default: false. */
  readonly checksFileName?: boolean;
  /** The file starts with a byte order mark. */
  readonly bom?: boolean;
  /**
   * Tool calls, tool answers and tool schemas have a place in a row. `in-turn`: a call stands in the
   * assistant's place and an answer in the user's, and the two sides must take turns. Default: they have none.
   */
  readonly tools?: boolean | 'in-turn';
  /** Texts that must not stand in a row; what happens then says `policy`. */
  readonly reserved?: readonly string[];
  /** Exceptions to the defaults for targets. */
  readonly policy?: Partial<Policy>;
  /** One line for the user after an export, for instance how to register the file with the trainer. */
  advice?(fileName: string, shape: string): string | null;
}
