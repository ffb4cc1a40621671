import { expect, it } from 'vitest';

import { trlPreference } from '../../src/targets/trl-preference.js';
import { trl } from '../../src/targets/trl.js';
import { aConversation } from '../support/conversations.js';
import { expectAgreement, expectNoThrow, pairOf } from './agreement.js';
import { told } from './target-testing.js';

const user = { role: 'user', content: 'Where is order 7?' };
const chosen = [{ role: 'assistant', content: 'It ships today.' }];
const rejected = [{ role: 'assistant', content: 'No idea.' }];
const row = { prompt: [user], chosen, rejected };

it('writes the prompt and both answers as messages', () => {
  const conversation = aConversation({ turns: ['user: Where is order 7?', 'assistant: It ships today.'] });
  expect(pairOf(trl, trlPreference, conversation, 'No idea.')).toBe(`${JSON.stringify(row)}\n`);
});

it('writes arguments of calls as objects, and schemas as text', () => {
  const conversation = aConversation({
    turns: ['user: a', 'tool_call: {"name":"f","arguments":{"id":1}}', 'tool: 1', 'assistant: b'],
    parameters: '{"tools":[{"type":"function","function":{"name":"f"}}]}',
  });
  const { prompt, tools } = JSON.parse(pairOf(trl, trlPreference, conversation, 'c')!) as {
    prompt: { tool_calls?: { function: { arguments: unknown } }[] }[];
    tools: unknown;
  };
  expect(prompt[1]?.tool_calls?.[0]?.function.arguments).toEqual({ id: 1 });
  expect(tools).toBe('[{"type":"function","function":{"name":"f"}}]');
});

it.each<[string, unknown, string[]]>([
  ['a sound row', row, []],
  ['a sound row of plain text', { prompt: 'a', chosen: 'b', rejected: 'c' }, []],
  ['null', null, ['error not-an-object @ ']],
  ['another column', { ...row, id: 1 }, ['warning extra-key @ id']],
  ['no prompt', { chosen, rejected }, ['error missing-key @ prompt']],
  ['no message in the prompt', { ...row, prompt: [] }, ['error empty-messages @ prompt']],
  [
    'a prompt that ends with an answer',
    { ...row, prompt: [user, chosen[0]] },
    ['error ends-with-assistant @ prompt[1].role'],
  ],
  ['two users in a row', { ...row, prompt: [user, user] }, ['error equal-neighbours @ prompt[1].role']],
  [
    'a question without content',
    { ...row, prompt: [{ role: 'user' }] },
    ['error missing-content @ prompt[0].content'],
  ],
  ['no chosen answer', { prompt: [user], rejected }, ['error missing-key @ chosen']],
  ['two chosen answers', { ...row, chosen: [...chosen, ...chosen] }, ['error wrong-count @ chosen']],
  ['an answer of the user', { ...row, rejected: [user] }, ['error unknown-role @ rejected[0].role']],
  [
    'an empty answer',
    { ...row, rejected: [{ role: 'assistant', content: '' }] },
    ['warning empty-content @ rejected[0].content'],
  ],
  ['equal answers', { ...row, rejected: chosen }, ['warning identical-outputs @ ']],
  ['text beside messages', { prompt: [user], chosen: 'b', rejected: 'c' }, ['error wrong-type @ prompt']],
  ['equal texts', { prompt: 'a', chosen: 'b', rejected: 'b' }, ['warning identical-outputs @ ']],
])('finds in %s', (_what, given, problems) => {
  expect(told(trlPreference, given)).toEqual(problems);
});

it('never throws', () => {
  expectNoThrow(trlPreference, ['prompt', 'chosen', 'rejected', 'role', 'content', 'tools']);
});

it('writes nothing that it refuses', () => {
  expectAgreement(trlPreference, (conversation) => pairOf(trl, trlPreference, conversation, 'No idea.'));
});
