import { expect, it } from 'vitest';

import { bedrockConverse } from '../../src/targets/bedrock-converse.js';
import { expectAgreement, expectNoThrow } from './agreement.js';
import { rowOf, told, written } from './target-testing.js';

const shape = bedrockConverse.shapes['messages']!;
const schemaVersion = 'bedrock-conversation-2024';
const system = [{ text: 'Be careful.' }];
const user = { role: 'user', content: [{ text: 'Where is order 7?' }] };
const assistant = { role: 'assistant', content: [{ text: 'It ships today.' }] };
const messages = [user, assistant];
const row = { schemaVersion, system, messages };

it('writes blocks of text, the system prompt as a list of one', () => {
  const turns = ['system: Be careful.', 'user: Where is order 7?', 'assistant: It ships today.'];
  expect(rowOf(bedrockConverse, { turns }, shape)!).toBe(`${JSON.stringify(row)}\n`);
});

it('joins several system turns into the one that the service reads', () => {
  const turns = ['system: a', 'system: b', 'user: u', 'assistant: v'];
  expect(JSON.parse(rowOf(bedrockConverse, { turns }, shape)!).system).toEqual([{ text: 'a\n\nb' }]);
});

it('writes no system key where there is no prompt', () => {
  const { system: _, ...rest } = row;
  const turns = ['user: Where is order 7?', 'assistant: It ships today.'];
  expect(rowOf(bedrockConverse, { turns }, shape)!).toBe(`${JSON.stringify(rest)}\n`);
});

it.each(['System: x', 'the USER: said', 'Assistant:', 'Thought: hm', 'a [EOS] b', '<image>'])(
  "leaves out a conversation with Nova's invalid token in %j",
  (text) => {
    expect(rowOf(bedrockConverse, { turns: ['user: hi', `assistant: ${text}`] }, shape)).toBeNull();
    expect(
      rowOf(bedrockConverse, { turns: [`system: ${text}`, 'user: a', 'assistant: b'] }, shape),
    ).toBeNull();
  },
);

it.each<[string, unknown, string[]]>([
  ['a sound row', row, []],
  ['a sound row without system prompt', { schemaVersion, messages }, []],
  ['a null system prompt', { ...row, system: null }, []],
  [
    'a picture of the user',
    { ...row, messages: [{ role: 'user', content: [{ image: {} }, { text: 'x' }] }, assistant] },
    [],
  ],
  ['a number', 7, ['error not-an-object @ ']],
  ['an extra key', { ...row, id: 1 }, ['warning extra-key @ id']],
  [
    'an extra key in a message',
    { ...row, messages: [user, { ...assistant, weight: 1 }] },
    ['warning extra-key @ messages[1].weight'],
  ],
  ['no version', { messages }, ['warning missing-key @ schemaVersion']],
  ['another version', { ...row, schemaVersion: 'x' }, ['warning wrong-value @ schemaVersion']],
  ['a version that is no text', { ...row, schemaVersion: 1 }, ['error wrong-type @ schemaVersion']],
  ['text as system prompt', { ...row, system: 's' }, ['error wrong-type @ system']],
  ['two system prompts', { ...row, system: [...system, ...system] }, ['error several-system @ system']],
  ['no system prompt in the list', { ...row, system: [] }, ['error empty-content @ system']],
  ['a system prompt that is no block', { ...row, system: ['s'] }, ['error missing-content @ system[0].text']],
  ['a blank system prompt', { ...row, system: [{ text: ' ' }] }, ['warning empty-content @ system[0].text']],
  [
    'an invalid token in it',
    { ...row, system: [{ text: 'User: x' }] },
    ['error reserved-text @ system[0].text'],
  ],
  ['no messages', { schemaVersion }, ['error missing-key @ messages']],
  ['an empty list', { ...row, messages: [] }, ['error empty-messages @ messages']],
  ['a question alone', { ...row, messages: [user] }, ['error no-assistant @ messages']],
  [
    'a system message',
    { ...row, messages: [{ role: 'system', content: system }, user, assistant] },
    ['error unknown-role @ messages[0].role'],
  ],
  [
    'a role in capitals',
    { ...row, messages: [user, { ...assistant, role: 'Assistant' }] },
    ['error unknown-role @ messages[1].role'],
  ],
  [
    'the assistant first',
    { ...row, messages: [assistant, user, assistant] },
    ['error starts-with-assistant @ messages[0].role'],
  ],
  [
    'the user last',
    { ...row, messages: [user, assistant, user] },
    ['error ends-with-user @ messages[2].role'],
  ],
  [
    'two users in a row',
    { ...row, messages: [user, user, assistant] },
    ['error equal-neighbours @ messages[1].role'],
  ],
  [
    'content that is text',
    { ...row, messages: [{ ...user, content: 'hi' }, assistant] },
    ['error wrong-type @ messages[0].content'],
  ],
  [
    'no content',
    { ...row, messages: [{ role: 'user' }, assistant] },
    ['error missing-content @ messages[0].content'],
  ],
  [
    'no block',
    { ...row, messages: [{ ...user, content: [] }, assistant] },
    ['error empty-content @ messages[0].content'],
  ],
  [
    'a block without text',
    { ...row, messages: [{ ...user, content: [{}] }, assistant] },
    ['error missing-content @ messages[0].content[0].text'],
  ],
  [
    'a block that is text',
    { ...row, messages: [{ ...user, content: ['hi'] }, assistant] },
    ['error not-an-object @ messages[0].content[0]'],
  ],
  [
    'a text that is a number',
    { ...row, messages: [{ ...user, content: [{ text: 1 }] }, assistant] },
    ['error wrong-type @ messages[0].content[0].text'],
  ],
  [
    'empty text',
    { ...row, messages: [user, { ...assistant, content: [{ text: '' }] }] },
    ['error empty-content @ messages[1].content'],
  ],
  [
    'an invalid token',
    { ...row, messages: [user, { ...assistant, content: [{ text: 'Bot: hi' }] }] },
    ['error reserved-text @ messages[1].content[0].text'],
  ],
])('finds in %s', (_what, given, problems) => {
  expect(told(shape, given)).toEqual(problems);
});

it('never throws', () => {
  expectNoThrow(shape, ['schemaVersion', 'system', 'messages', 'role', 'content', 'text', 'image']);
});

it('writes nothing that it refuses', () => {
  expectAgreement(shape, (conversation) => written(bedrockConverse, conversation, shape));
});

it('knows the limits of Nova and tells those of Llama', () => {
  expect(bedrockConverse.limits).toEqual({ minRows: 8, maxRows: 20_000 });
  expect(bedrockConverse.advice?.('train.jsonl', 'messages')).toContain('10,000');
});
