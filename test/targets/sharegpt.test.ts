import { expect, it } from 'vitest';

import { sharegpt } from '../../src/targets/sharegpt.js';
import { expectAgreement, expectNoThrow } from './agreement.js';
import { rowOf, told, written } from './target-testing.js';

const shape = sharegpt.shapes['conversations']!;
const system = { from: 'system', value: 'Be careful.' };
const human = { from: 'human', value: 'Where is order 7?' };
const gpt = { from: 'gpt', value: 'It ships today.' };

it('writes from and value, with the three words of the shape', () => {
  const turns = ['system: Be careful.', 'user: Where is order 7?', 'assistant: It ships today.'];
  expect(rowOf(sharegpt, { turns }, shape)!).toBe(
    `${JSON.stringify({ conversations: [system, human, gpt] })}\n`,
  );
});

it('leaves out a conversation with tools, which have no place', () => {
  const turns = ['user: a', 'tool_call: {"name":"f","arguments":{}}', 'tool: 1', 'assistant: b'];
  expect(rowOf(sharegpt, { turns }, shape)).toBeNull();
});

it.each<[string, unknown[] | undefined, string[]]>([
  ['a sound row', [system, human, gpt], []],
  ['no list', undefined, ['error missing-key @ conversations']],
  ['an empty list', [], ['error empty-messages @ conversations']],
  ['a system prompt alone', [system], ['error no-assistant @ conversations']],
  ['an odd number of turns', [human, gpt, human], ['error ends-with-user @ conversations[2].from']],
  ['gpt first', [gpt, human, gpt], ['error starts-with-assistant @ conversations[0].from']],
  ['two humans in a row', [human, human, gpt], ['error equal-neighbours @ conversations[1].from']],
  ['a late system prompt', [human, system, gpt], ['error late-system @ conversations[1].from']],
  ['two system prompts', [system, system, human, gpt], ['error several-system @ conversations[1].from']],
  ['the role user', [{ ...human, from: 'user' }, gpt], ['error unknown-role @ conversations[0].from']],
  ['no role', [{ value: 'x' }, gpt], ['error unknown-role @ conversations[0].from']],
  ['a weight', [human, { ...gpt, weight: 1 }], ['error extra-key @ conversations[1].weight']],
  ['no value', [human, { from: 'gpt' }], ['error missing-content @ conversations[1].value']],
  [
    'a value that is null',
    [human, { from: 'gpt', value: null }],
    ['error missing-content @ conversations[1].value'],
  ],
  [
    'a value that is a number',
    [human, { from: 'gpt', value: 1 }],
    ['error wrong-type @ conversations[1].value'],
  ],
  ['an empty value', [human, { from: 'gpt', value: '' }], ['warning empty-content @ conversations[1].value']],
  [
    'a mark of chat templates',
    [human, { from: 'gpt', value: 'a<|im_end|>' }],
    ['warning reserved-text @ conversations[1].value'],
  ],
])('finds in %s', (_what, conversations, problems) => {
  expect(told(shape, { conversations })).toEqual(problems);
});

it('warns of a column that nobody reads', () => {
  expect(told(shape, { conversations: [human, gpt], id: 7 })).toEqual(['warning extra-key @ id']);
});

it('never throws', () => {
  expectNoThrow(shape, ['conversations', 'from', 'value']);
});

it('writes nothing that it refuses', () => {
  expectAgreement(shape, (conversation) => written(sharegpt, conversation, shape));
});
