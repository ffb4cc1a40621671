import { createHash } from 'node:crypto';

import type { Text } from '../bytes/text.js';
import type { Conversation, Turn } from '../conversation.js';
import { exampleOf } from '../targets/encoder.js';
import type { Preference, Target } from '../targets/target.js';

/** Why a conversation is in no pair. */
export type LeftOverReason =
  /** It has no answer of the assistant, or no question before it, or a turn before it without content. */
  | 'no-answer'
  /** Neither has it the same parent as the approved one, nor is one the parent of the other. */
  | 'other-family'
  /** Something before the last answers differs. */
  | 'other-prompt'
  /** Both last answers are the same text. */
  | 'identical-answer'
  /** Another rejected conversation has the same answer and is paired already. */
  | 'repeated-answer'
  /** The approved conversation itself, when none of the candidates could be paired with it. */
  | 'no-pair';

export interface LeftOver {
  readonly conversation: Conversation;
  readonly reason: LeftOverReason;
}

export interface Pairing {
  /** In the order of the candidates. */
  readonly preferences: Preference[];
  /** Everything else that was given; a candidate may still make a pair with another approved conversation. */
  readonly leftOver: LeftOver[];
}

/**
 * What conversations must share to be paired: SHA-256, in hexadecimal, over the roles and contents of all turns before
 * the last one of the assistant. Turn numbers and what follows that turn do not count.
 */
export function preferenceKey({ turns }: Conversation): string {
  const hash = createHash('sha256');
  // Lengths keep two texts from being read as one: without them, moving a word to the next turn would change nothing.
  for (const { role, content } of turns.slice(0, Math.max(0, lastAnswerAt(turns)))) {
    hash.update(`${Buffer.byteLength(role)}:${role}${content === null ? 'null' : `${content.byteLength}:`}`);
    if (content !== null) hash.update(content.bytes());
  }
  return hash.digest('hex');
}

/**
 * Pairs an approved conversation with each rejected one that is of its family and has the same prompt, byte for byte.
 * Two are of one family when they have the same `parent_id`, or when that of one is the `id` of the other.
 * @param target whether tool schemas have a place in a row. Default: they have none
 */
export function pairUp(
  approved: Conversation,
  candidates: readonly Conversation[],
  target: Pick<Target, 'tools'> = {},
): Pairing {
  const preferences: Preference[] = [];
  const leftOver: LeftOver[] = [];
  const parts = partsOf(approved);
  if (parts === null) leftOver.push({ conversation: approved, reason: 'no-answer' });
  const key = preferenceKey(approved);
  const taken: Text[] = [];
  for (const conversation of candidates) {
    const other = partsOf(conversation);
    let reason: LeftOverReason | null = null;
    if (!isFamily(approved, conversation)) reason = 'other-family';
    else if (other === null) reason = 'no-answer';
    else if (parts === null || preferenceKey(conversation) !== key) reason = 'other-prompt';
    else if (isEqual(parts.answer, other.answer)) reason = 'identical-answer';
    else if (taken.some((answer) => isEqual(answer, other.answer))) reason = 'repeated-answer';
    if (reason === null && parts !== null && other !== null) {
      const prompt = exampleOf({ ...approved, turns: parts.prompt }, target);
      preferences.push({ prompt, chosen: parts.answer, rejected: other.answer });
      taken.push(other.answer);
    } else if (reason !== null) {
      leftOver.push({ conversation, reason });
    }
  }
  if (parts !== null && preferences.length === 0)
    leftOver.unshift({ conversation: approved, reason: 'no-pair' });
  return { preferences, leftOver };
}

/** What comes before the last answer, and that answer; null when either is missing. */
function partsOf({ turns }: Conversation): { prompt: readonly Turn[]; answer: Text } | null {
  const index = lastAnswerAt(turns);
  const answer = turns[index]?.content ?? null;
  const prompt = turns.slice(0, Math.max(0, index));
  const asks = prompt.at(-1)?.role;
  if (answer === null || (asks !== 'user' && asks !== 'tool')) return null;
  return prompt.every(({ content }) => content !== null) ? { prompt, answer } : null;
}

function lastAnswerAt(turns: readonly Turn[]): number {
  return turns.findLastIndex(({ role }) => role === 'assistant');
}

function isFamily(one: Conversation, other: Conversation): boolean {
  const parent = one.parentId?.toString();
  const otherParent = other.parentId?.toString();
  return (parent !== undefined && (parent === otherParent || parent === other.id)) || otherParent === one.id;
}

function isEqual(one: Text, other: Text): boolean {
  return one.bytes().equals(other.bytes());
}
