import type { Conversation } from '../conversation.js';

/** Puts roles in place of others, such as `user` for `human`; matching is case-sensitive, as in every reader. */
export function mapRoles(map: ReadonlyMap<string, string>): (conversation: Conversation) => Conversation {
  return (conversation) => {
    if (!conversation.turns.some(({ role }) => map.has(role))) return conversation;
    return {
      ...conversation,
      turns: conversation.turns.map((turn) => ({ ...turn, role: map.get(turn.role) ?? turn.role })),
    };
  };
}
