import { describe, expect, it } from 'vitest';

import { axolotl } from '../../src/targets/axolotl.js';
import { callAndAnswer, problemsOf, rowOf, say, shapeOf, told, TOOLS, WITH_TOOLS } from './target-testing.js';

const shape = shapeOf(axolotl);
const user = say('user', 'hi');
const answer = say('assistant', 'hello');
const row = (...messages: unknown[]): unknown => ({ messages });

describe('the check for Axolotl', () => {
  it.each<[string, unknown]>([
    ['a dialogue', row(say('system', 'x'), user, answer)],
    ['the roles human and gpt', row(say('human', 'hi'), say('gpt', 'hello'))],
    ['a system prompt beside the messages', { system: 'Be kind.', messages: [user, answer] }],
    ['messages as JSON text', { messages: JSON.stringify([user, answer]) }],
    ['other columns', { messages: [user, answer], id: 7 }],
    ['train on messages', row(say('user', 'hi', { train: false }), say('assistant', 'a', { train: true }))],
    ['arguments as text', row(user, ...callAndAnswer(), answer)],
    ['arguments as an object', row(user, ...callAndAnswer('x', { id: '7' }), answer)],
    ['schemas as an array', { messages: [user, answer], tools: TOOLS }],
    ['schemas as JSON text', { messages: [user, answer], tools: JSON.stringify(TOOLS) }],
    ['schemas that are null, as in a column that most rows lack', { messages: [user, answer], tools: null }],
  ])('accepts %s', (_what, good) => {
    expect(problemsOf(shape, good)).toEqual([]);
  });

  it.each<[string, unknown, string[]]>([
    ['an empty list', row(), ['error empty-messages @ messages']],
    ['JSON text of an empty list', { messages: '[]' }, ['error empty-messages @ messages']],
    ['messages that are no JSON text', { messages: '[' }, ['error wrong-type @ messages']],
    ['content that is null', row(say('user', null), answer), ['error missing-content @ messages[0].content']],
    [
      'content that is missing',
      row(user, { role: 'assistant' }),
      ['error missing-content @ messages[1].content'],
    ],
    [
      'content that is missing beside a call',
      row(user, { ...callAndAnswer()[0], content: undefined }, callAndAnswer()[1], answer),
      ['error missing-content @ messages[1].content'],
    ],
    ['no answer', row(user), ['error no-assistant @ messages']],
    ['an empty answer', row(user, say('assistant', '')), ['error empty-content @ messages[1].content']],
    ['an unknown role', row(say('bot', 'hi'), answer), ['error unknown-role @ messages[0].role']],
    [
      'a system prompt that is a list',
      { system: ['x'], messages: [user, answer] },
      ['error wrong-type @ system'],
    ],
    ['schemas that are no JSON text', { messages: [user, answer], tools: '[' }, ['error tools @ tools']],
    ['a row without messages', { conversations: [] }, ['error missing-key @ messages']],
  ])('tells of %s', (_what, bad, expected) => {
    expect(told(shape, bad)).toEqual(expected);
  });

  it.each<[string, unknown, string[]]>([
    [
      'weight, which is not read',
      row(user, say('assistant', 'a', { weight: 0 })),
      ['warning weight @ messages[1].weight'],
    ],
    ['a question at the end', row(user, answer, user), ['warning ends-with-user @ messages[2].role']],
    [
      'a question of both user and human',
      row(user, say('human', 'hi'), answer),
      ['warning equal-neighbours @ messages[1].role'],
    ],
    [
      'a late system message',
      row(user, say('system', 'x'), answer),
      ['warning late-system @ messages[1].role'],
    ],
  ])('only warns of %s', (_what, bad, expected) => {
    expect(told(shape, bad)).toEqual(expected);
  });
});

it('writes schemas as JSON text, so that every row of the column has one type', () => {
  const { tools } = JSON.parse(rowOf(axolotl, WITH_TOOLS) ?? '') as { tools: string };
  expect(JSON.parse(tools)).toEqual(TOOLS);
});

it('says how the configuration names the file', () => {
  expect(axolotl.advice?.('my "train".jsonl', 'messages')).toBe(
    'In the configuration: datasets: [{path: "my \\"train\\".jsonl", type: chat_template}]',
  );
});
