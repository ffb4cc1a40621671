import { describe, expect, it } from 'vitest';

import { trl } from '../../src/targets/trl.js';
import { callAndAnswer, problemsOf, rowOf, say, shapeOf, told, TOOLS, WITH_TOOLS } from './target-testing.js';

const messagesShape = shapeOf(trl, 'messages');
const pairShape = shapeOf(trl, 'prompt-completion');
const system = say('system', 'Be kind.');
const user = say('user', 'hi');
const answer = say('assistant', 'hello');
const row = (...messages: unknown[]): unknown => ({ messages });
const pair = (prompt: unknown, completion: unknown): unknown => ({ prompt, completion });
const OBJECT = { id: '7' };

describe('the check for TRL messages', () => {
  it.each<[string, unknown]>([
    ['a dialogue', row(system, user, answer, user, answer)],
    ['other columns', { messages: [user, answer], id: 7 }],
    [
      'calls with arguments as an object',
      { messages: [user, ...callAndAnswer('x', OBJECT), answer], tools: TOOLS },
    ],
    [
      'calls and answers without id',
      row(
        user,
        say('assistant', '', {
          tool_calls: [{ type: 'function', function: { name: 'get_order', arguments: OBJECT } }],
        }),
        say('tool', '7', { name: 'get_order' }),
        answer,
      ),
    ],
    ['schemas as JSON text', { messages: [user, answer], tools: JSON.stringify(TOOLS) }],
  ])('accepts %s', (_what, good) => {
    expect(problemsOf(messagesShape, good)).toEqual([]);
  });

  it.each<[string, unknown, string[]]>([
    ['an empty list', row(), ['error empty-messages @ messages']],
    [
      'a first message without role',
      row({ from: 'human', content: 'hi' }, answer),
      ['error missing-key @ messages[0].role'],
    ],
    ['a first message that is text', row('hi', answer), ['error not-an-object @ messages[0]']],
    ['two questions in a row', row(user, user, answer), ['error equal-neighbours @ messages[1].role']],
    ['a late system message', row(user, system, answer), ['error late-system @ messages[1].role']],
    ['two system messages', row(system, system, user, answer), ['error several-system @ messages[1].role']],
    ['an answer at the start', row(answer, user, answer), ['error starts-with-assistant @ messages[0].role']],
    ['a question at the end', row(user, answer, user), ['error ends-with-user @ messages[2].role']],
    [
      'content that is null',
      row(user, say('assistant', null)),
      ['error missing-content @ messages[1].content'],
    ],
    [
      'content that is missing',
      row({ role: 'user' }, answer),
      ['error missing-content @ messages[0].content'],
    ],
    [
      'content that is null beside a call',
      row(user, { ...callAndAnswer('x', OBJECT)[0], content: null }, callAndAnswer('x')[1], answer),
      ['error missing-content @ messages[1].content'],
    ],
    ['the role human', row(say('human', 'hi'), answer), ['error unknown-role @ messages[0].role']],
    [
      'arguments as text',
      row(user, ...callAndAnswer(), answer),
      ['error tool-call @ messages[1].tool_calls[0].function.arguments'],
    ],
    ['no answer', row(user), ['error no-assistant @ messages']],
    ['schemas that are an object', { messages: [user, answer], tools: {} }, ['error tools @ tools']],
  ])('tells of %s', (_what, bad, expected) => {
    expect(told(messagesShape, bad)).toEqual(expected);
  });

  it.each<[string, unknown, string[]]>([
    ['an empty question', row(say('user', ''), answer), ['warning empty-content @ messages[0].content']],
    [
      'weight, which is not read',
      row(user, say('assistant', 'a', { weight: 0 })),
      ['warning weight @ messages[1].weight'],
    ],
    [
      'a mark of a chat template',
      row(say('user', '<|eot_id|>'), answer),
      ['warning reserved-text @ messages[0].content'],
    ],
  ])('only warns of %s', (_what, bad, expected) => {
    expect(told(messagesShape, bad)).toEqual(expected);
  });
});

describe('the check for TRL prompts and completions', () => {
  it.each<[string, unknown]>([
    ['messages', pair([system, user], [answer])],
    ['a longer prompt', pair([user, answer, user], [answer])],
    ['a completion that takes a tool', pair([user], [...callAndAnswer('x', OBJECT), answer])],
    ['text', pair('Where?', 'There.')],
  ])('accepts %s', (_what, good) => {
    expect(problemsOf(pairShape, good)).toEqual([]);
  });

  it.each<[string, unknown, string[]]>([
    ['a row of text', 'hi', ['error not-an-object @ ']],
    ['no completion', { prompt: [user] }, ['error missing-key @ completion']],
    [
      'messages in place of both',
      row(user, answer),
      ['error missing-key @ prompt', 'error missing-key @ completion'],
    ],
    ['a text beside messages', pair('hi', [answer]), ['error wrong-type @ prompt']],
    ['an empty prompt', pair([], [answer]), ['error empty-messages @ prompt']],
    ['an empty completion', pair([user, answer], []), ['error empty-messages @ completion']],
    [
      'a prompt that ends with the assistant',
      pair([user, answer], [answer]),
      ['error equal-neighbours @ completion[0].role'],
    ],
    ['a completion of the user', pair([user, answer], [user]), ['error ends-with-user @ completion[0].role']],
    [
      'a prompt of the system alone',
      pair([system], [answer]),
      ['error starts-with-assistant @ completion[0].role'],
    ],
    [
      'content that is null',
      pair([say('user', null)], [answer]),
      ['error missing-content @ prompt[0].content'],
    ],
    ['a completion without text', pair('hi', ''), ['warning empty-content @ completion']],
    [
      'schemas that are a number',
      { prompt: [user], completion: [answer], tools: 7 },
      ['error tools @ tools'],
    ],
  ])('tells of %s', (_what, bad, expected) => {
    expect(told(pairShape, bad)).toEqual(expected);
  });
});

describe('a row for TRL', () => {
  const parts = { turns: ['system: s', 'user: a', 'assistant: b', 'user: c', 'assistant: d'] };

  it('has all messages', () => {
    expect(rowOf(trl, parts, messagesShape)).toBe(
      '{"messages":[{"role":"system","content":"s"},{"role":"user","content":"a"},{"role":"assistant","content":"b"},{"role":"user","content":"c"},{"role":"assistant","content":"d"}]}\n',
    );
  });

  it('has the last answer as its completion', () => {
    expect(rowOf(trl, parts, pairShape)).toBe(
      '{"prompt":[{"role":"system","content":"s"},{"role":"user","content":"a"},{"role":"assistant","content":"b"},{"role":"user","content":"c"}],"completion":[{"role":"assistant","content":"d"}]}\n',
    );
  });

  it('has the arguments of calls as an object, and schemas as JSON text', () => {
    const value = JSON.parse(rowOf(trl, WITH_TOOLS, messagesShape) ?? '') as {
      messages: unknown[];
      tools: string;
    };
    expect(value.messages.slice(1, 3)).toEqual(callAndAnswer('call00001', OBJECT));
    expect(JSON.parse(value.tools)).toEqual(TOOLS);
  });

  it('has calls and answers in the prompt', () => {
    const value = JSON.parse(rowOf(trl, WITH_TOOLS, pairShape) ?? '') as {
      prompt: unknown[];
      completion: unknown[];
    };
    expect(value.prompt).toHaveLength(3);
    expect(value.completion).toEqual([say('assistant', 'It ships on day 7.')]);
  });

  it('comes with advice where every token would be trained', () => {
    expect(trl.advice?.('x.jsonl', 'messages')).toContain('assistant_only_loss=True');
    expect(trl.advice?.('x.jsonl', 'prompt-completion')).toBeNull();
  });
});
