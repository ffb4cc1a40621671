import { expect, it } from 'vitest';

import { bedrockClaude } from '../../src/targets/bedrock-claude.js';
import { expectAgreement, expectNoThrow } from './agreement.js';
import { rowOf, told, written } from './target-testing.js';

const shape = bedrockClaude.shapes['messages']!;
const user = { role: 'user', content: 'Where is order 7?' };
const assistant = { role: 'assistant', content: 'It ships today.' };

it('writes the system prompt beside the messages', () => {
  const turns = ['system: Be careful.', 'user: Where is order 7?', 'assistant: It ships today.'];
  expect(rowOf(bedrockClaude, { turns }, shape)!).toBe(
    '{"system":"Be careful.","messages":[{"role":"user","content":"Where is order 7?"},{"role":"assistant","content":"It ships today."}]}\n',
  );
});

it('writes no system key where there is no prompt', () => {
  expect(
    rowOf(bedrockClaude, { turns: ['user: a', 'assistant: b', 'user: c', 'assistant: d'] }, shape)!,
  ).toBe(
    '{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"},{"role":"user","content":"c"},{"role":"assistant","content":"d"}]}\n',
  );
});

it.each(['\nHuman: hi', 'a\n\nHuman:', 'a\nAssistant: b'])(
  'leaves out a conversation with the mark in %j',
  (text) => {
    for (const role of ['system', 'user', 'assistant']) {
      const turns = ['system: s', 'user: u', 'assistant: a'].map((turn) =>
        turn.startsWith(role) ? `${role}: ${text}` : turn,
      );
      expect(rowOf(bedrockClaude, { turns }, shape)).toBeNull();
    }
  },
);

it('leaves out a mark that only joining two turns makes', () => {
  expect(rowOf(bedrockClaude, { turns: ['user: a', 'user: Human: b', 'assistant: c'] }, shape)).toBeNull();
});

it.each<[string, unknown, string[]]>([
  ['a sound row', { system: 's', messages: [user, assistant] }, []],
  ['a sound row without system prompt', { messages: [user, assistant] }, []],
  [
    'a mark at the very start, which is no mark',
    { messages: [{ ...user, content: 'Human: hi' }, assistant] },
    [],
  ],
  ['a list', [], ['error not-an-object @ ']],
  ['an extra key', { messages: [user, assistant], id: 1 }, ['error extra-key @ id']],
  [
    'an extra key in a message',
    { messages: [user, { ...assistant, weight: 1 }] },
    ['error extra-key @ messages[1].weight'],
  ],
  ['no messages', { system: 's' }, ['error missing-key @ messages']],
  ['messages that are none', { messages: 'x' }, ['error wrong-type @ messages']],
  ['a message that is none', { messages: [user, 'x'] }, ['error not-an-object @ messages[1]']],
  ['an empty list', { messages: [] }, ['error empty-messages @ messages']],
  ['one message', { messages: [user] }, ['error no-assistant @ messages']],
  [
    'a system message',
    { messages: [{ role: 'system', content: 's' }, user, assistant] },
    ['error unknown-role @ messages[0].role'],
  ],
  [
    'a tool message',
    { messages: [user, assistant, { role: 'tool', content: 'x' }] },
    ['error unknown-role @ messages[2].role'],
  ],
  ['no role', { messages: [{ content: 'x' }, assistant] }, ['error unknown-role @ messages[0].role']],
  [
    'the assistant first',
    { messages: [assistant, user, assistant] },
    ['error starts-with-assistant @ messages[0].role'],
  ],
  ['the user last', { messages: [user, assistant, user] }, ['error ends-with-user @ messages[2].role']],
  [
    'two users in a row',
    { messages: [user, user, assistant] },
    ['error equal-neighbours @ messages[1].role'],
  ],
  [
    'two assistants in a row',
    { messages: [user, assistant, assistant] },
    ['error equal-neighbours @ messages[2].role'],
  ],
  [
    'no content',
    { messages: [user, { role: 'assistant' }] },
    ['error missing-content @ messages[1].content'],
  ],
  [
    'null content',
    { messages: [user, { role: 'assistant', content: null }] },
    ['error missing-content @ messages[1].content'],
  ],
  [
    'a list as content',
    { messages: [user, { role: 'assistant', content: [] }] },
    ['error wrong-type @ messages[1].content'],
  ],
  [
    'empty content',
    { messages: [user, { role: 'assistant', content: '' }] },
    ['error empty-content @ messages[1].content'],
  ],
  [
    'blank content',
    { messages: [{ ...user, content: ' \n' }, assistant] },
    ['error empty-content @ messages[0].content'],
  ],
  ['a list as system prompt', { system: [], messages: [user, assistant] }, ['error wrong-type @ system']],
  ['null as system prompt', { system: null, messages: [user, assistant] }, ['error wrong-type @ system']],
  ['a blank system prompt', { system: '', messages: [user, assistant] }, ['warning empty-content @ system']],
  [
    'a mark in the system prompt',
    { system: 'a\nHuman:', messages: [user, assistant] },
    ['error reserved-text @ system'],
  ],
  [
    'a mark in a message',
    { messages: [user, { ...assistant, content: 'a\nAssistant: b' }] },
    ['error reserved-text @ messages[1].content'],
  ],
])('finds in %s', (_what, row, problems) => {
  expect(told(shape, row)).toEqual(problems);
});

it('never throws', () => {
  expectNoThrow(shape, ['system', 'messages', 'role', 'content']);
});

it('writes nothing that it refuses', () => {
  expectAgreement(shape, (conversation) => written(bedrockClaude, conversation, shape));
});

it('knows the limits of the service', () => {
  expect(bedrockClaude.limits).toEqual({
    minRows: 32,
    maxRows: 10_000,
    maxBytes: 10 * 1024 ** 3,
    maxTokens: 32_000,
  });
});
