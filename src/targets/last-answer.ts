import type { Message } from './target.js';

/** The last answer and what comes before it; what comes after it would be learned as if it were one. */
export function splitAtLastAnswer(messages: readonly Message[]): {
  before: readonly Message[];
  answer: Message;
} {
  const index = messages.findLastIndex(({ role }) => role === 'assistant');
  const answer = messages[index];
  if (answer === undefined) throw new Error('a conversation without an answer got past the checks');
  return { before: messages.slice(0, index), answer };
}
