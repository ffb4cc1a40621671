/**
 * What a run does about a finding:
 * - `ignore`: nothing, not even a count;
 * - `keep`: writes the conversation as it is, and lists it;
 * - `repair`: puts it right as the rule says, and lists it;
 * - `skip`: leaves the conversation out, and lists it;
 * - `fail`: fails the run at its end, with all such conversations listed.
 */
export const ACTIONS = ['ignore', 'keep', 'repair', 'skip', 'fail'] as const;
export type Action = (typeof ACTIONS)[number];

interface RuleDescription {
  /** Completes "the conversation …". */
  readonly means: string;
  /** What `repair` does; absent where nothing can be repaired. */
  readonly repair?: string;
  /** What happens without a target: text is written as stored, or not at all. */
  readonly plain: Action;
  /** What happens for a training target, which may change it. */
  readonly strict: Action;
}

/**
 * Everything that can be wrong with a conversation, the weightiest first: of several reasons to skip one, the first is
 * named.
 *
 * No service or trainer learns from a conversation without an assistant's answer, most reject blank text and unknown
 * roles, and one that starts with the assistant cannot be put right without inventing a question.
 */
export const RULES = {
  'no-turns': { means: 'has no turns', plain: 'skip', strict: 'skip' },
  'no-assistant': { means: 'has no assistant turn', plain: 'skip', strict: 'skip' },
  'no-user': { means: 'has no user turn', plain: 'skip', strict: 'skip' },
  'no-counterpart': {
    means: 'has no rejected conversation of its family with the same prompt and another answer',
    plain: 'skip',
    strict: 'skip',
  },
  'unknown-role': {
    means: 'has a turn whose role is not one of system, user, assistant (nor mapped to one)',
    plain: 'skip',
    strict: 'skip',
  },
  'tool-turn': {
    means: 'has tool turns, which the target does not know or which lack what it needs',
    repair: 'tool turns become text of the assistant and the user',
    plain: 'skip',
    strict: 'skip',
  },
  'tool-schema': {
    means: 'has parameters.tools that are not tool schemas',
    repair: 'they are left out',
    plain: 'ignore',
    strict: 'repair',
  },
  'null-content': { means: 'has a turn without content (NULL)', plain: 'skip', strict: 'skip' },
  'blank-answer': {
    means: 'has an assistant turn that is empty or only white space',
    plain: 'skip',
    strict: 'skip',
  },
  'blank-content': {
    means: 'has a user or system turn that is empty or only white space',
    repair: 'that turn is left out',
    plain: 'skip',
    strict: 'repair',
  },
  'starts-with-assistant': {
    means: 'starts with the assistant',
    repair: 'what comes before the first user turn is left out',
    plain: 'skip',
    strict: 'skip',
  },
  'late-system': {
    means: 'has a system turn after the conversation began',
    repair: 'it is moved to the front',
    plain: 'skip',
    strict: 'skip',
  },
  'duplicate-turn-number': {
    means: 'has two turns with the same number: their order is unknown',
    plain: 'skip',
    strict: 'skip',
  },
  'reserved-text': {
    means: 'has text that the target or a chat template reads as a mark of its own',
    plain: 'ignore',
    strict: 'keep',
  },
  'over-token-limit': {
    means: 'is longer than the target reads',
    repair: 'turns are left out at the end, up to an answer that fits',
    plain: 'ignore',
    strict: 'keep',
  },
  'ends-with-user': {
    means: 'ends with a user turn',
    repair: 'what comes after the last answer is left out',
    plain: 'keep',
    strict: 'repair',
  },
  'equal-neighbours': {
    means: 'has two turns of the same role in a row',
    repair: 'they are joined by a blank line',
    plain: 'keep',
    strict: 'repair',
  },
  'several-system': {
    means: 'starts with several system turns',
    repair: 'they are joined by a blank line',
    plain: 'ignore',
    strict: 'repair',
  },
  'turn-number-gap': { means: 'has a gap in its turn numbers', plain: 'keep', strict: 'skip' },
  'truncated-answer': {
    means: 'has an assistant turn that ends in a backslash or an opening quote, so probably was cut off',
    plain: 'keep',
    strict: 'keep',
  },
  'control-character': {
    means: 'has control characters, or U+FFFD where a character was lost',
    plain: 'ignore',
    strict: 'keep',
  },
  'lone-surrogate': {
    means: 'has half a surrogate pair in its JSON, written as U+FFFD',
    plain: 'keep',
    strict: 'keep',
  },
  'not-a-number': {
    means: 'has a quality score that is not a finite number, written as null',
    plain: 'keep',
    strict: 'keep',
  },
  'not-a-date': {
    means: 'has a time that ISO 8601 cannot express, written as null',
    plain: 'keep',
    strict: 'keep',
  },
} as const satisfies Record<string, RuleDescription>;

export type Rule = keyof typeof RULES;
export const ruleNames = Object.keys(RULES) as Rule[];

/** What a run does about each rule. */
export type Policy = Readonly<Record<Rule, Action>>;

/** The defaults for files as stored (`plain`) or for training targets (`strict`), with exceptions. */
export function policyOf(kind: 'plain' | 'strict', exceptions: Partial<Policy> = {}): Policy {
  const defaults = Object.fromEntries(ruleNames.map((rule) => [rule, RULES[rule][kind]])) as Record<
    Rule,
    Action
  >;
  return { ...defaults, ...exceptions };
}

/** Flaws that leave nothing to write. */
const FATAL: readonly Rule[] = [
  'no-turns',
  'no-assistant',
  'no-user',
  'unknown-role',
  'null-content',
  'blank-answer',
  'no-counterpart',
];

/** The actions that make sense for a rule: not every flaw can be repaired, and some leave nothing to keep. */
export function allowedActions(rule: Rule): Action[] {
  const description: RuleDescription = RULES[rule];
  return ACTIONS.filter((action) => {
    if (action === 'repair') return description.repair !== undefined;
    return action === 'skip' || action === 'fail' || !FATAL.includes(rule);
  });
}
