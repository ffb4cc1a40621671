import { expect, test } from 'vitest';

import { found, validate } from './support.js';

const user = { role: 'user', content: 'q' };
const assistant = { role: 'assistant', content: 'a' };
const system = { role: 'system', content: 's' };

test.each<[row: unknown, expected: string[]]>([
  [{ messages: [user, assistant] }, []],
  [{ messages: [system, user, assistant], metadata: { title: 'x' } }, []],
  [null, ['1 error not-an-object']],
  [{}, ['1 error missing-key messages']],
  [{ messages: 'x' }, ['1 error wrong-type messages']],
  [{ messages: [] }, ['1 error empty-messages messages']],
  [{ messages: [user, assistant], metadata: 'x' }, ['1 error wrong-type metadata']],
  [{ messages: [user, assistant], id: 1 }, ['1 warning extra-key id']],
  [{ messages: [user, 'x', assistant] }, ['1 error wrong-type messages[1]']],
  [{ messages: [user, { content: 'a' }, assistant] }, ['1 error missing-key messages[1].role']],
  [{ messages: [user, { role: 'assistant' }] }, ['1 error missing-content messages[1].content']],
  [
    { messages: [user, { role: 'assistant', content: null }] },
    ['1 error missing-content messages[1].content'],
  ],
  [{ messages: [user, { role: 'assistant', content: 5 }] }, ['1 error wrong-type messages[1].content']],
  [
    { messages: [user, { role: 'assistant', content: ' \n' }] },
    ['1 error empty-content messages[1].content'],
  ],
  [
    { messages: [user, { role: 'human', content: 'x' }, assistant] },
    ['1 error unknown-role messages[1].role'],
  ],
  [{ messages: [user] }, ['1 error no-assistant messages', '1 warning ends-with-user messages[0]']],
  [{ messages: [assistant] }, ['1 warning starts-with-assistant messages[0]', '1 error no-user messages']],
  [{ messages: [user, assistant, user] }, ['1 warning ends-with-user messages[2]']],
  [{ messages: [user, user, assistant] }, ['1 warning equal-neighbours messages[1]']],
  [{ messages: [user, system, assistant] }, ['1 error late-system messages[1]']],
  [{ messages: [user, { ...assistant, weight: 1 }] }, ['1 warning extra-key messages[1].weight']],
])('%j', (value, expected) => {
  expect(found(validate(`${JSON.stringify(value)}\n`, { format: 'jsonl' }))).toEqual(expected);
});

test('names the target whose shape a row has', () => {
  const { problems } = validate('{"conversations":[]}\n', { format: 'jsonl' });
  expect(problems.map(({ fix }) => fix).join()).toContain('--target sharegpt');
});
