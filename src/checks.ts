import { isBlank } from './bytes/blank.js';
import { hasLoneSurrogate } from './bytes/json-escapes.js';
import { isIsoInstant, isJsonNumber } from './bytes/scalars.js';
import type { Text } from './bytes/text.js';
import { ROLES, type Conversation, type Role, type Turn } from './conversation.js';

/**
 * Everything that can be wrong with a conversation, the weightiest first, and what the run does about it:
 * `skip` leaves it out and lists it, `warn` writes it as it is and lists it.
 *
 * The rules are those of the common training formats: no service or trainer learns from a conversation without an
 * assistant's answer, most reject blank text and unknown roles, and one that starts with the assistant cannot be put
 * right without inventing a question.
 */
export const RULES = {
  'no-turns': { action: 'skip', means: 'has no turns' },
  'no-assistant': { action: 'skip', means: 'has no assistant turn' },
  'no-user': { action: 'skip', means: 'has no user turn' },
  'unknown-role': { action: 'skip', means: `has a turn whose role is not one of ${ROLES.join(', ')}` },
  'null-content': { action: 'skip', means: 'has a turn without content (NULL)' },
  'blank-content': { action: 'skip', means: 'has a turn that is empty or only white space' },
  'starts-with-assistant': { action: 'skip', means: 'starts with the assistant' },
  'late-system': { action: 'skip', means: 'has a system turn after the conversation began' },
  'duplicate-turn-number': {
    action: 'skip',
    means: 'has two turns with the same number: their order is unknown',
  },
  'ends-with-user': { action: 'warn', means: 'ends with a user turn' },
  'equal-neighbours': { action: 'warn', means: 'has two turns of the same role in a row' },
  'turn-number-gap': { action: 'warn', means: 'has a gap in its turn numbers' },
  'truncated-answer': {
    action: 'warn',
    means: 'has an assistant turn that ends in a backslash or an opening quote, so probably was cut off',
  },
  'lone-surrogate': { action: 'warn', means: 'has half a surrogate pair in its JSON, written as U+FFFD' },
  'not-a-number': {
    action: 'warn',
    means: 'has a quality score that is not a finite number, written as null',
  },
  'not-a-date': { action: 'warn', means: 'has a time that ISO 8601 cannot express, written as null' },
} as const satisfies Record<string, { action: 'skip' | 'warn'; means: string }>;

export type Rule = keyof typeof RULES;

/** One thing found in one conversation. */
export interface Finding {
  readonly rule: Rule;
  /** The turn number it was found at, where there is one. */
  readonly turn?: number;
}

/** What is wrong with a conversation, in the order of its turns; nothing for nearly all. */
export function inspect(conversation: Conversation): Finding[] {
  const { turns } = conversation;
  if (turns.length === 0) return [{ rule: 'no-turns' }];
  const findings: Finding[] = [];
  const seen = new Set<string>();
  let previous: Turn | undefined;
  let inDialogue = false;
  for (const turn of turns) {
    const report = (rule: Rule): void => void findings.push({ rule, turn: turn.number });
    if (!isRole(turn.role)) report('unknown-role');
    if (turn.content === null) report('null-content');
    else if (isBlank(turn.content)) report('blank-content');
    else if (turn.role === 'assistant' && looksCutOff(turn.content)) report('truncated-answer');
    if (turn.role === 'system' && inDialogue) report('late-system');
    if (turn.role === 'assistant' && !inDialogue) report('starts-with-assistant');
    if (previous !== undefined) {
      if (previous.role === turn.role && turn.role !== 'system') report('equal-neighbours');
      if (previous.number === turn.number) report('duplicate-turn-number');
      else if (previous.number + 1 !== turn.number) report('turn-number-gap');
    } else if (turn.number !== 1) {
      report('turn-number-gap');
    }
    inDialogue ||= turn.role !== 'system';
    seen.add(turn.role);
    previous = turn;
  }
  if (!seen.has('user')) findings.push({ rule: 'no-user' });
  if (!seen.has('assistant')) findings.push({ rule: 'no-assistant' });
  if (previous?.role === 'user') findings.push({ rule: 'ends-with-user', turn: previous.number });
  return [...findings, ...inspectMetadata(conversation)];
}

function* inspectMetadata(conversation: Conversation): Generator<Finding> {
  const { qualityScore, parameters, reviewHistory, createdAt, updatedAt } = conversation;
  if (qualityScore !== null && !isJsonNumber(qualityScore)) yield { rule: 'not-a-number' };
  if ([createdAt, updatedAt].some((instant) => instant !== null && !isIsoInstant(instant)))
    yield { rule: 'not-a-date' };
  if ([parameters, reviewHistory].some((json) => json !== null && hasLoneSurrogate(json))) {
    yield { rule: 'lone-surrogate' };
  }
}

function isRole(role: string): role is Role {
  return (ROLES as readonly string[]).includes(role);
}

/**
 * The signs of text that was cut out of a JSON string at an escape; both were seen in production data. A quote opens
 * when it stands after a space or alone; bytes before `start` belong to another turn.
 */
function looksCutOff({ source, start, end }: Text): boolean {
  const last = source[end - 1];
  return last === 0x5c || (last === 0x22 && (end - 1 === start || source[end - 2] === 0x20));
}
