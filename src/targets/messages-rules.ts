import type { Problem, Report } from './target.js';

/** What a reader does about a breach: refuses it, reads it with a loss, or reads it well. */
export type Verdict = Problem['severity'] | 'accepted';

/** Every rule of `messages` rows with the verdict of the strictest readers, and the name it is reported by. */
const STRICTEST = {
  'not-an-object': { verdict: 'error' },
  'missing-key': { verdict: 'error' },
  'extra-key': { verdict: 'error' },
  'wrong-type': { verdict: 'error' },
  'empty-messages': { verdict: 'error' },
  'unknown-role': { verdict: 'error' },
  'missing-content': { verdict: 'error' },
  'empty-content': { verdict: 'error' },
  'empty-answer': { verdict: 'error', name: 'empty-content' },
  // No reader is known to look for white space alone.
  'blank-content': { verdict: 'warning', name: 'empty-content' },
  'no-assistant': { verdict: 'error' },
  'starts-with-assistant': { verdict: 'error' },
  'ends-with-user': { verdict: 'error' },
  'equal-neighbours': { verdict: 'error' },
  // What readers make of an answer beside a call is not settled.
  'equal-neighbours-with-call': { verdict: 'warning', name: 'equal-neighbours' },
  'late-system': { verdict: 'error' },
  'several-system': { verdict: 'error' },
  'second-late-system': { verdict: 'accepted', name: 'several-system' },
  weight: { verdict: 'error' },
  'nothing-trained': { verdict: 'warning' },
  'extra-message-key': { verdict: 'accepted', name: 'extra-key' },
  'tool-call': { verdict: 'error' },
  'unanswered-call': { verdict: 'warning', name: 'tool-call' },
  'tool-answer': { verdict: 'error' },
  'unmatched-answer': { verdict: 'warning', name: 'tool-answer' },
  tools: { verdict: 'error' },
  'reserved-text': { verdict: 'error' },
} as const satisfies Record<string, { verdict: Verdict; name?: string }>;

export type MessagesRule = keyof typeof STRICTEST;

/** Roles as the checks see them, whatever words the reader has for them. */
export type CanonicalRole = 'system' | 'user' | 'assistant' | 'tool';

/** How calls of tools, their answers and schemas must look. */
export interface ToolRules {
  /** The form of ids; null where calls need none. */
  readonly id: RegExp | null;
  readonly name: RegExp;
  readonly arguments: 'text' | 'object' | 'either';
  /**
   * The content of a message that calls: `optional` may be anything or absent, `present` may be empty but not null,
   * `filled` may not be blank, `empty` must be blank or absent.
   */
  readonly content: 'optional' | 'present' | 'filled' | 'empty';
  /** What `function` of a schema must have. */
  readonly schema: readonly ('name' | 'description' | 'parameters')[];
  /** `tools` may be the JSON text of an array. Default: false. */
  readonly schemasAsText?: boolean;
}

/** What a reader of `messages` rows demands. What it leaves out is as the strictest readers have it. */
export interface MessagesRules {
  /** Who reads, for messages: `OpenAI`. */
  readonly reader: string;
  /** The key of the list; with several, any of them. Default: `messages`. */
  readonly listKeys?: readonly string[];
  /** The key of the text; with several, any of them. Default: `content`. */
  readonly textKeys?: readonly string[];
  /** Keys that a row may have besides the list. Default: none. */
  readonly extraKeys?: readonly string[];
  /** Keys that a message may have, where the reader looks. */
  readonly messageKeys?: readonly string[];
  /** The list may be JSON text. Default: false. */
  readonly listAsText?: boolean;
  /** Default: system, user, assistant, and tool where there are tool rules. */
  readonly roles?: ReadonlyMap<string, CanonicalRole>;
  /** Absent: the reader knows no tools. */
  readonly tools?: ToolRules;
  /** Content as an array of parts. Default: `allowed`. */
  readonly parts?: 'allowed' | 'all-or-none' | 'refused';
  /** An assistant message may have `refusal` or `function_call` in place of content. Default: false. */
  readonly refusals?: boolean;
  /** `weight` of a message: 0 or 1 on answers alone, on any message, or not read at all. Default: `answers`. */
  readonly weight?: 'answers' | 'any' | 'unread';
  /** Texts that must not stand in content. Default: none. */
  readonly reserved?: readonly string[];
  readonly verdicts?: Partial<Record<MessagesRule, Verdict>>;
  /** The reader's own words, instead of ours; `detail` is the key, role or text in question. */
  readonly says?: Partial<Record<MessagesRule, (detail: string) => string>>;
}

/** What goes with one breach of a rule. */
export interface Breach {
  readonly path: string;
  /** What the reader does, in our words. */
  readonly message: string;
  readonly fix: string;
  /** For the reader's own words. */
  readonly detail?: string;
}

export type Tell = (rule: MessagesRule, breach: Breach) => void;

/** Reports breaches with the reader's verdict and words. */
export function teller({ verdicts, says }: MessagesRules, report: Report): Tell {
  return (rule, { path, message, fix, detail = '' }) => {
    const standard: { verdict: Verdict; name?: string } = STRICTEST[rule];
    const severity = verdicts?.[rule] ?? standard.verdict;
    if (severity === 'accepted') return;
    report({ rule: standard.name ?? rule, path, severity, message: says?.[rule]?.(detail) ?? message, fix });
  };
}
