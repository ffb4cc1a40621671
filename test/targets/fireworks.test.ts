import { describe, expect, it } from 'vitest';

import { fireworks } from '../../src/targets/fireworks.js';
import { callAndAnswer, problemsOf, rowOf, say, shapeOf, told, TOOLS, WITH_TOOLS } from './target-testing.js';

const shape = shapeOf(fireworks);
const system = say('system', 'Be kind.');
const user = say('user', 'hi');
const answer = say('assistant', 'hello');
const row = (...messages: unknown[]): unknown => ({ messages });
const [call, result] = callAndAnswer();

describe('the check for Fireworks', () => {
  it.each<[string, unknown]>([
    ['a dialogue', row(system, user, answer, user, answer)],
    ['several system messages at the start', row(system, system, user, answer)],
    [
      'weights on answers',
      row(user, say('assistant', 'a', { weight: 0 }), user, say('assistant', 'b', { weight: 1 })),
    ],
    [
      'tools, where the calling message says something',
      {
        messages: [user, { ...call, content: 'Let me look.' }, result, answer],
        tools: TOOLS,
      },
    ],
  ])('accepts %s', (_what, good) => {
    expect(problemsOf(shape, good)).toEqual([]);
  });

  it.each<[string, unknown, string[]]>([
    ['two questions in a row', row(user, user, answer), ['error equal-neighbours @ messages[1].role']],
    ['an answer at the start', row(answer, user, answer), ['error starts-with-assistant @ messages[0].role']],
    ['a question at the end', row(user, answer, user), ['error ends-with-user @ messages[2].role']],
    ['a late system message', row(user, system, answer), ['error late-system @ messages[1].role']],
    [
      'an empty system prompt',
      row(say('system', ''), user, answer),
      ['error empty-content @ messages[0].content'],
    ],
    ['an empty question', row(say('user', ''), answer), ['error empty-content @ messages[0].content']],
    ['an empty answer', row(user, say('assistant', '')), ['error empty-content @ messages[1].content']],
    [
      'a call without content',
      row(user, { ...call, content: '' }, result, answer),
      ['error empty-content @ messages[1].content'],
    ],
    [
      'a call whose content is null',
      row(user, { ...call, content: null }, result, answer),
      ['error missing-content @ messages[1].content'],
    ],
    [
      'a question that is null',
      row(say('user', null), answer),
      ['error missing-content @ messages[0].content'],
    ],
    ['an unknown role', row(say('human', 'hi'), answer), ['error unknown-role @ messages[0].role']],
    ['no answer', row(user), ['error no-assistant @ messages']],
    ['no messages', row(), ['error empty-messages @ messages']],
    [
      'a weight of 0.5',
      row(user, say('assistant', 'a', { weight: 0.5 })),
      ['error weight @ messages[1].weight'],
    ],
    ['another key', { messages: [user, answer], id: 1 }, ['warning extra-key @ id']],
    ['a blank question', row(say('user', ' '), answer), ['warning empty-content @ messages[0].content']],
  ])('tells of %s', (_what, bad, expected) => {
    expect(told(shape, bad)).toEqual(expected);
  });
});

it('leaves out conversations that call tools: nothing stands beside the call, and the check wants something there', () => {
  expect(rowOf(fireworks, WITH_TOOLS)).toBeNull();
});

it('writes the messages alone', () => {
  expect(
    rowOf(fireworks, { turns: ['user: hi', 'assistant: hello', 'user: bye'], parameters: '{"tools":[1]}' }),
  ).toBe('{"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"hello"}]}\n');
});

it('takes files of 3 to 3,000,000 rows', () => {
  expect(fireworks.limits).toEqual({ minRows: 3, maxRows: 3_000_000 });
});
