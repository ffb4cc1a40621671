import type { Conversation } from '../conversation.js';

/**
 * One training example for each answer of the assistant, with everything before it; turns are numbered from 1. Texts
 * are shared, not copied. A conversation without answers comes back as it is, so that the checks can name its flaw.
 */
export function expand(conversation: Conversation): Conversation[] {
  const turns = conversation.turns.map((turn, index) => ({ ...turn, number: index + 1 }));
  const examples: Conversation[] = [];
  for (const [index, { role }] of turns.entries()) {
    if (role === 'assistant') examples.push({ ...conversation, turns: turns.slice(0, index + 1) });
  }
  return examples.length > 0 ? examples : [conversation];
}
