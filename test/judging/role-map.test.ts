import { expect, it } from 'vitest';

import { mapRoles } from '../../src/judging/role-map.js';
import { aConversation } from '../support/conversations.js';

const map = mapRoles(
  new Map([
    ['human', 'user'],
    ['gpt', 'assistant'],
    ['user', 'system'],
  ]),
);

it('puts roles in place of others, once', () => {
  const conversation = aConversation({ turns: ['human: a', 'gpt: b', 'user: c'] });
  const mapped = map(conversation);
  expect(mapped.turns.map(({ role }) => role)).toEqual(['user', 'assistant', 'system']);
  expect(mapped.turns[0]?.content).toBe(conversation.turns[0]?.content);
  expect(conversation.turns[0]?.role).toBe('human');
});

it('is case-sensitive, and leaves other roles alone', () => {
  const conversation = aConversation({ turns: ['Human: a', 'assistant: b', 'constructor: c'] });
  expect(map(conversation)).toBe(conversation);
});
