import { describe, expect, it } from 'vitest';

import { together } from '../../src/targets/together.js';
import { callAndAnswer, problemsOf, rowOf, say, shapeOf, told, TOOLS } from './target-testing.js';

const shape = shapeOf(together);
const system = say('system', 'Be kind.');
const user = say('user', 'hi');
const answer = say('assistant', 'hello');
const row = (...messages: unknown[]): unknown => ({ messages });
const parts = [{ type: 'text', text: 'hi' }];

describe('the check for Together', () => {
  it.each<[string, unknown]>([
    ['a dialogue', row(system, user, answer, user, answer)],
    ['parts in all messages', row(say('user', parts), say('assistant', parts))],
    ['weights on any message', row(say('user', 'hi', { weight: 0 }), say('assistant', 'a', { weight: 1 }))],
    ['tools and their calls', { messages: [user, ...callAndAnswer(), answer], tools: TOOLS }],
    ['the weight of a row', { messages: [user, answer], weight: 0.5 }],
    ['reasoning of the assistant', row(user, say('assistant', 'a', { reasoning_content: 'b' }))],
  ])('accepts %s', (_what, good) => {
    expect(problemsOf(shape, good)).toEqual([]);
  });

  it.each<[string, unknown, string[]]>([
    ['two questions in a row', row(user, user, answer), ['error equal-neighbours @ messages[1].role']],
    ['two answers in a row', row(user, answer, answer), ['error equal-neighbours @ messages[2].role']],
    [
      'two system messages in a row',
      row(system, system, user, answer),
      ['error several-system @ messages[1].role'],
    ],
    ['an answer at the start', row(answer, user, answer), ['error starts-with-assistant @ messages[0].role']],
    [
      'an answer after the system prompt',
      row(system, answer, user, answer),
      ['error starts-with-assistant @ messages[1].role'],
    ],
    ['no answer', row(user), ['error no-assistant @ messages']],
    ['no messages', row(), ['error empty-messages @ messages']],
    ['metadata', { messages: [user, answer], metadata: {} }, ['error extra-key @ metadata']],
    [
      'parallel_tool_calls',
      { messages: [user, answer], parallel_tool_calls: true },
      ['error extra-key @ parallel_tool_calls'],
    ],
    ['an unknown role', row(say('human', 'hi'), answer), ['error unknown-role @ messages[0].role']],
    [
      'the role function',
      row(user, say('function', 'x', { name: 'f' }), answer),
      ['error unknown-role @ messages[1].role'],
    ],
    ['parts in some messages', row(say('user', parts), answer), ['error wrong-type @ messages[1].content']],
    ['content that is a number', row(say('user', 1), answer), ['error wrong-type @ messages[0].content']],
    ['no content', row(user, { role: 'assistant' }), ['error missing-content @ messages[1].content']],
    ['a weight of 2', row(user, say('assistant', 'a', { weight: 2 })), ['error weight @ messages[1].weight']],
    [
      'a weight of 0.5',
      row(user, say('assistant', 'a', { weight: 0.5 })),
      ['error weight @ messages[1].weight'],
    ],
    ['a weight of a row that is text', { messages: [user, answer], weight: '1' }, ['error weight @ weight']],
    [
      'a prompt without messages',
      { prompt: 'a', completion: 'b' },
      ['error extra-key @ prompt', 'error extra-key @ completion', 'error missing-key @ messages'],
    ],
  ])('tells of %s', (_what, bad, expected) => {
    expect(told(shape, bad)).toEqual(expected);
  });

  it.each<[string, unknown, string[]]>([
    ['a question at the end', row(user, answer, user), ['warning ends-with-user @ messages[2].role']],
    ['an empty question', row(say('user', ''), answer), ['warning empty-content @ messages[0].content']],
    ['an empty answer', row(user, say('assistant', '')), ['warning empty-content @ messages[1].content']],
    ['a late system message', row(user, system, answer), ['warning late-system @ messages[1].role']],
    [
      'a mark of a chat template',
      row(user, say('assistant', '</s>')),
      ['warning reserved-text @ messages[1].content'],
    ],
  ])('only warns of %s, which the client lets through', (_what, bad, expected) => {
    expect(told(shape, bad)).toEqual(expected);
  });
});

describe('a row for Together', () => {
  it('has neighbours of one role joined', () => {
    expect(
      rowOf(together, {
        turns: ['system: a', 'system: b', 'user: c', 'user: d', 'assistant: e', 'assistant: f', 'user: g'],
      }),
    ).toBe(
      '{"messages":[{"role":"system","content":"a\\n\\nb"},{"role":"user","content":"c\\n\\nd"},{"role":"assistant","content":"e\\n\\nf"}]}\n',
    );
  });

  it('is written of a conversation with a mark of a chat template: the run only lists it', () => {
    expect(rowOf(together, { turns: ['user: what is </s>', 'assistant: a mark'] })).toContain('</s>');
  });
});
