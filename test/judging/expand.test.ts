import { expect, it } from 'vitest';

import { expand } from '../../src/judging/expand.js';
import { aConversation } from '../support/conversations.js';

const shown = (...turns: string[]): string[] =>
  expand(aConversation({ turns })).map((example) =>
    example.turns.map(({ content }) => String(content)).join(' '),
  );

it('makes one example of each answer, with all before it', () => {
  expect(shown('system: s', 'user: a', 'assistant: b', 'user: c', 'assistant: d')).toEqual([
    's a b',
    's a b c d',
  ]);
});

it('leaves out what follows the last answer', () => {
  expect(shown('user: a', 'assistant: b', 'user: c')).toEqual(['a b']);
});

it('keeps calls of tools as history of the answer after them', () => {
  expect(shown('user: a', 'tool_call: x', 'tool: y', 'assistant: b')).toEqual(['a x y b']);
});

it('numbers turns from 1 and keeps everything else, sharing the texts', () => {
  const conversation = aConversation({
    title: 't',
    turns: [
      { number: 3, role: 'user', content: 'a' },
      { number: 7, role: 'assistant', content: 'b' },
    ],
  });
  const [example] = expand(conversation);
  expect(example?.turns.map(({ number }) => number)).toEqual([1, 2]);
  expect(example?.turns[1]?.content).toBe(conversation.turns[1]?.content);
  expect(example).toEqual({ ...conversation, turns: example?.turns });
});

it('gives a conversation without answers back, for the checks to name its flaw', () => {
  const conversation = aConversation({ turns: ['user: a'] });
  expect(expand(conversation)).toEqual([conversation]);
  expect(expand(aConversation({ turns: [] }))).toHaveLength(1);
});
