import type { FoundConversation } from '../../../survey.js';
import type { Step } from '../wizard.js';

/** Conversations on the screen for a search; more are found by typing more. */
const MOST_FOUND = 50;

/** Picking conversations one by one, by title or id. */
export const selectionStep: Step = {
  title: 'Pick conversations',
  applies: ({ next }) => next.selection,
  async run({ draft, prompts, survey }) {
    prompts.say('Type a part of a title or an id. Tab picks the conversation at the cursor, Enter ends.');
    for (;;) {
      const chosen = new Map((draft.ids ?? []).map((id) => [id, id]));
      const picked = await prompts.search('Search', chosen, async (term, signal) => {
        const { found, next } = await survey.search(term, { limit: MOST_FOUND, signal });
        return { rows: found.map(rowOf), hasMore: next !== null };
      });
      if (picked.size > 0) {
        draft.ids = [...picked.values()];
        return;
      }
      prompts.say('Nothing is picked yet: Tab picks, Esc goes back.');
    }
  },
};

function rowOf({ id, conversationId, title, status, tier }: FoundConversation) {
  const detail = [conversationId, status, tier].filter((word) => word !== null).join(', ');
  return { key: id, value: id, name: title ?? '(no title)', detail };
}
