import { expect, it } from 'vitest';

import { openaiDpo } from '../../src/targets/openai-dpo.js';
import { aConversation } from '../support/conversations.js';
import { expectAgreement, expectNoThrow, pairOf } from './agreement.js';
import { told } from './target-testing.js';

const shape = openaiDpo.preferences!['preference']!;
const user = { role: 'user', content: 'Where is order 7?' };
const preferred_output = [{ role: 'assistant', content: 'It ships today.' }];
const non_preferred_output = [{ role: 'assistant', content: 'No idea.' }];
const row = { input: { messages: [user] }, preferred_output, non_preferred_output };
const prompt = (...messages: unknown[]): unknown => ({ ...row, input: { messages } });

it('writes the prompt and both answers', () => {
  const conversation = aConversation({ turns: ['user: Where is order 7?', 'assistant: It ships today.'] });
  expect(pairOf(openaiDpo, shape, conversation, 'No idea.')).toBe(`${JSON.stringify(row)}\n`);
});

it('writes the system prompt and tools inside of the input', () => {
  const conversation = aConversation({
    turns: ['system: s', 'user: a', 'tool_call: {"name":"f","arguments":{}}', 'tool: 1', 'assistant: b'],
    parameters: '{"tools":[{"type":"function","function":{"name":"f"}}]}',
  });
  expect(JSON.parse(pairOf(openaiDpo, shape, conversation, 'c')!)).toEqual({
    input: {
      messages: [
        { role: 'system', content: 's' },
        { role: 'user', content: 'a' },
        {
          role: 'assistant',
          content: '',
          tool_calls: [{ id: 'call00001', type: 'function', function: { name: 'f', arguments: '{}' } }],
        },
        { role: 'tool', tool_call_id: 'call00001', content: '1' },
      ],
      tools: [{ type: 'function', function: { name: 'f' } }],
    },
    preferred_output: [{ role: 'assistant', content: 'b' }],
    non_preferred_output: [{ role: 'assistant', content: 'c' }],
  });
});

it.each<[string, unknown, string[]]>([
  ['a sound row', row, []],
  ['a list', [], ['error not-an-object @ ']],
  ['an extra key', { ...row, id: 1 }, ['error extra-key @ id']],
  ['tools beside the input', { ...row, tools: [] }, ['error extra-key @ tools']],
  [
    'an extra key in the input',
    { ...row, input: { messages: [user], id: 1 } },
    ['error extra-key @ input.id'],
  ],
  ['no input', { preferred_output, non_preferred_output }, ['error missing-key @ input']],
  ['an input that is a list', { ...row, input: [user] }, ['error not-an-object @ input']],
  ['no messages', prompt(), ['error empty-messages @ input.messages']],
  [
    'a prompt that ends with an answer',
    prompt(user, preferred_output[0]),
    ['error ends-with-assistant @ input.messages[1].role'],
  ],
  [
    'a prompt that ends with the system prompt',
    prompt({ role: 'system', content: 's' }),
    ['error ends-with-assistant @ input.messages[0].role'],
  ],
  ['an unknown role', prompt({ ...user, role: 'human' }), ['error unknown-role @ input.messages[0].role']],
  [
    'a question without content',
    prompt({ role: 'user' }),
    ['error missing-content @ input.messages[0].content'],
  ],
  [
    'an empty question',
    prompt({ ...user, content: '' }),
    ['error empty-content @ input.messages[0].content'],
  ],
  [
    'a token of the model',
    prompt({ ...user, content: 'a <|endoftext|>' }),
    ['error reserved-text @ input.messages[0].content'],
  ],
  [
    'no preferred answer',
    { input: row.input, non_preferred_output },
    ['error missing-key @ preferred_output'],
  ],
  [
    'two answers',
    { ...row, preferred_output: [...preferred_output, ...preferred_output] },
    ['error wrong-count @ preferred_output'],
  ],
  [
    'no answer in the list',
    { ...row, non_preferred_output: [] },
    ['error wrong-count @ non_preferred_output'],
  ],
  [
    'an answer that is no list',
    { ...row, non_preferred_output: 'x' },
    ['error wrong-type @ non_preferred_output'],
  ],
  [
    'an answer of the user',
    { ...row, preferred_output: [user] },
    ['error unknown-role @ preferred_output[0].role'],
  ],
  [
    'an answer without content',
    { ...row, preferred_output: [{ role: 'assistant' }] },
    ['error missing-content @ preferred_output[0].content'],
  ],
  [
    'an empty answer',
    { ...row, preferred_output: [{ role: 'assistant', content: '' }] },
    ['error empty-content @ preferred_output[0].content'],
  ],
  [
    'a token of the model in an answer',
    { ...row, preferred_output: [{ role: 'assistant', content: '<|im_end|>' }] },
    ['error reserved-text @ preferred_output[0].content'],
  ],
  ['equal answers', { ...row, non_preferred_output: preferred_output }, ['warning identical-outputs @ ']],
])('finds in %s', (_what, given, problems) => {
  expect(told(shape, given)).toEqual(problems);
});

it('says how the keys of an early schema are called today', () => {
  const { preferred_output: answer, ...rest } = row;
  const problems: string[] = [];
  shape.check({ ...rest, preferred_completion: answer }, ({ rule, fix }) => problems.push(`${rule}: ${fix}`));
  expect(problems).toContain(
    'missing-key: Rename "preferred_completion": only an early schema called it so.',
  );
});

it('never throws', () => {
  expectNoThrow(shape, [
    'input',
    'messages',
    'preferred_output',
    'non_preferred_output',
    'role',
    'content',
    'tools',
    'tool_calls',
  ]);
});

it('writes nothing that it refuses', () => {
  expectAgreement(shape, (conversation) => pairOf(openaiDpo, shape, conversation, 'No idea.'));
});

it('knows pairs alone', () => {
  expect(openaiDpo.shapes).toEqual({});
  expect(openaiDpo.limits).toEqual({ minRows: 10, maxBytes: 512 * 1024 ** 2, maxTokens: 65_536 });
});
