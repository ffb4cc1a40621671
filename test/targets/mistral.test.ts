import { describe, expect, it } from 'vitest';

import { mistral } from '../../src/targets/mistral.js';
import { callAndAnswer, problemsOf, rowOf, say, shapeOf, told, TOOLS, WITH_TOOLS } from './target-testing.js';

const shape = shapeOf(mistral);
const system = say('system', 'Be kind.');
const user = say('user', 'hi');
const answer = say('assistant', 'hello');
const row = (...messages: unknown[]): unknown => ({ messages });
const [call, result] = callAndAnswer();
const withSchema = (part: object): unknown => ({
  messages: [user, answer],
  tools: [{ type: 'function', function: { ...TOOLS[0]?.function, ...part } }],
});

describe('the check for Mistral', () => {
  it.each<[string, unknown]>([
    ['a dialogue', row(system, user, answer, user, answer)],
    [
      'interactions in place of messages, text in place of content',
      {
        interactions: [
          { role: 'user', text: 'hi' },
          { role: 'assistant', text: 'a' },
        ],
      },
    ],
    ['other keys beside messages', { messages: [user, answer], id: 7 }],
    [
      'calls with empty content, with null and with none',
      row(
        user,
        ...callAndAnswer(),
        { ...call, content: null },
        result,
        { ...call, content: undefined },
        result,
        answer,
      ),
    ],
    ['a row that ends on a call', row(user, call)],
    ['tools', { messages: [user, answer], tools: TOOLS }],
  ])('accepts %s', (_what, good) => {
    expect(problemsOf(shape, good).filter(({ severity }) => severity === 'error')).toEqual([]);
  });

  it.each<[string, unknown, string[]]>([
    ['a question at the end', row(user, answer, user), ['error ends-with-user @ messages[2].role']],
    [
      'two system messages at the start',
      row(system, system, user, answer),
      ['error several-system @ messages[1].role'],
    ],
    [
      'a second system message, later',
      row(system, user, system, answer),
      ['warning late-system @ messages[2].role', 'error several-system @ messages[2].role'],
    ],
    [
      'an answer without content or calls',
      row(user, { role: 'assistant' }),
      ['error missing-content @ messages[1].content'],
    ],
    ['an empty answer', row(user, say('assistant', '')), ['error empty-content @ messages[1].content']],
    [
      'an answer with both content and calls',
      row(user, { ...call, content: 'Let me look.' }, result, answer),
      ['error tool-call @ messages[1].content'],
    ],
    [
      'a call that is not answered before the next answer',
      row(user, call, answer),
      ['warning equal-neighbours @ messages[2].role', 'error tool-call @ messages[1].tool_calls'],
    ],
    [
      'an id of ten characters',
      row(user, ...callAndAnswer('call000001'), answer),
      ['error tool-call @ messages[1].tool_calls[0].id'],
    ],
    [
      'an id with a hyphen',
      row(user, ...callAndAnswer('call-0001'), answer),
      ['error tool-call @ messages[1].tool_calls[0].id'],
    ],
    [
      'arguments as an object',
      row(user, ...callAndAnswer('call00001', {}), answer),
      ['error tool-call @ messages[1].tool_calls[0].function.arguments'],
    ],
    [
      'parts',
      row(say('user', [{ type: 'text', text: 'hi' }]), answer),
      ['error wrong-type @ messages[0].content'],
    ],
    ['a weight of 2', row(user, say('assistant', 'a', { weight: 2 })), ['error weight @ messages[1].weight']],
    [
      'a tool without description',
      withSchema({ description: undefined }),
      ['error tools @ tools[0].function.description'],
    ],
    [
      'a tool without parameters',
      withSchema({ parameters: undefined }),
      ['error tools @ tools[0].function.parameters'],
    ],
    ['a tool without name', withSchema({ name: undefined }), ['error tools @ tools[0].function.name']],
    ['an unknown role', row(say('human', 'hi'), answer), ['error unknown-role @ messages[0].role']],
    ['no messages', row(), ['error empty-messages @ messages']],
    ['neither messages nor interactions', {}, ['error missing-key @ messages']],
  ])('tells of %s', (_what, bad, expected) => {
    expect(told(shape, bad)).toEqual(expected);
  });

  it.each<[string, unknown, string[]]>([
    ['two questions in a row', row(user, user, answer), ['warning equal-neighbours @ messages[1].role']],
    ['an empty question', row(say('user', ''), answer), ['warning empty-content @ messages[0].content']],
    [
      'the name of a speaker',
      row(say('user', 'hi', { name: 'ann' }), answer),
      ['warning extra-key @ messages[0].name'],
    ],
    [
      'a mark of its template',
      row(say('user', '[INST]'), answer),
      ['warning reserved-text @ messages[0].content'],
    ],
  ])('only warns of %s', (_what, bad, expected) => {
    expect(told(shape, bad)).toEqual(expected);
  });
});

it('writes calls with ids of nine letters and digits', () => {
  const { messages } = JSON.parse(rowOf(mistral, WITH_TOOLS) ?? '') as {
    messages: { tool_calls?: { id: string }[] }[];
  };
  expect(messages[1]?.tool_calls?.[0]?.id).toMatch(/^[a-z0-9]{9}$/);
});
