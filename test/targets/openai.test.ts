import { describe, expect, it } from 'vitest';

import { openai } from '../../src/targets/openai.js';
import { callAndAnswer, problemsOf, rowOf, say, shapeOf, told, TOOLS, WITH_TOOLS } from './target-testing.js';

const shape = shapeOf(openai);
const user = say('user', 'hi');
const answer = say('assistant', 'hello');
const row = (...messages: unknown[]): unknown => ({ messages });
const calling = (call: unknown): unknown =>
  row(user, say('assistant', null, { tool_calls: [call] }), say('tool', '7', { tool_call_id: 'a' }), answer);
const CALL = { id: 'a', type: 'function', function: { name: 'f', arguments: '{}' } };
const called = (part: object): unknown => calling({ ...CALL, function: { ...CALL.function, ...part } });
const schema = (part: object): unknown => ({
  messages: [user, answer],
  tools: [{ type: 'function', function: { name: 'f', ...part } }],
});

describe('the check for OpenAI accepts', () => {
  it.each<[string, unknown]>([
    ['a question and an answer', row(user, answer)],
    ['a system prompt before them', row(say('system', 'Be kind.'), user, answer)],
    ['a call, its answer and the schemas', { messages: [user, ...callAndAnswer(), answer], tools: TOOLS }],
    [
      'a call without content',
      row(user, { role: 'assistant', tool_calls: [CALL] }, say('tool', '7', { tool_call_id: 'a' }), answer),
    ],
    [
      'parallel calls, and the switch for them',
      {
        messages: [
          user,
          say('assistant', null, { tool_calls: [CALL, { ...CALL, id: 'b' }] }),
          say('tool', '1', { tool_call_id: 'b' }),
          say('tool', '2', { tool_call_id: 'a' }),
          answer,
        ],
        parallel_tool_calls: true,
      },
    ],
    ['a row that ends on a call', row(user, say('assistant', null, { tool_calls: [CALL] }))],
    [
      'text and images as parts',
      row(
        say('user', [
          { type: 'text', text: 'What is this?' },
          { type: 'image_url', image_url: { url: 'x' } },
        ]),
        answer,
      ),
    ],
    ['a refusal in place of content', row(user, { role: 'assistant', refusal: 'I cannot.' })],
    [
      'weights of 0 and 1 on answers',
      row(user, say('assistant', 'a', { weight: 0 }), user, say('assistant', 'b', { weight: 1 })),
    ],
    ['two questions in a row', row(user, user, answer)],
    [
      'the deprecated role function',
      row(
        user,
        { role: 'assistant', content: null, function_call: { name: 'f', arguments: '{}' } },
        { role: 'function', name: 'f', content: null },
        answer,
      ),
    ],
    ['a name of a speaker', row(say('user', 'hi', { name: 'ann' }), answer)],
  ])('%s', (_what, good) => {
    expect(problemsOf(shape, good)).toEqual([]);
  });
});

describe('the check for OpenAI tells of', () => {
  it.each<[string, unknown, string[]]>([
    ['a row that is an array', [user, answer], ['error not-an-object @ ']],
    ['a row without messages', {}, ['error missing-key @ messages']],
    ['messages that are no array', { messages: 'hi' }, ['error wrong-type @ messages']],
    ['no messages', row(), ['error empty-messages @ messages']],
    ['metadata beside messages', { messages: [user, answer], metadata: {} }, ['error extra-key @ metadata']],
    [
      'a key that is no plain word',
      { messages: [user, answer], 'a\nb': 1 },
      ['error extra-key @ ["a\\\\u{a}b"]'],
    ],
    ['a message that is a string', row('hi', user, answer), ['error not-an-object @ messages[0]']],
    ['a message without role', row({ content: 'x' }, user, answer), ['error missing-key @ messages[0].role']],
    [
      'a role that is a number',
      row(say(7 as unknown as string, 'x'), user, answer),
      ['error wrong-type @ messages[0].role'],
    ],
    ['the role human', row(say('human', 'hi'), answer), ['error unknown-role @ messages[0].role']],
    [
      'the role developer',
      row(say('developer', 'x'), user, answer),
      ['error unknown-role @ messages[0].role'],
    ],
    ['a role in capitals', row(say('User', 'hi'), answer), ['error unknown-role @ messages[0].role']],
    [
      'a question without content',
      row({ role: 'user' }, answer),
      ['error missing-content @ messages[0].content'],
    ],
    [
      'a question that is null',
      row(say('user', null), answer),
      ['error missing-content @ messages[0].content'],
    ],
    [
      'a system prompt that is null',
      row(say('system', null), user, answer),
      ['error missing-content @ messages[0].content'],
    ],
    [
      'an answer that is null',
      row(user, say('assistant', null)),
      ['error missing-content @ messages[1].content'],
    ],
    [
      'an answer without content',
      row(user, { role: 'assistant' }),
      ['error missing-content @ messages[1].content'],
    ],
    ['content that is a number', row(say('user', 7), answer), ['error wrong-type @ messages[0].content']],
    [
      'a part without type',
      row(say('user', [{ text: 'x' }]), answer),
      ['error wrong-type @ messages[0].content[0]'],
    ],
    [
      'a part without its text',
      row(say('user', [{ type: 'text' }]), answer),
      ['error wrong-type @ messages[0].content[0].text'],
    ],
    [
      'an image of the assistant',
      row(user, say('assistant', [{ type: 'image_url' }])),
      ['error wrong-type @ messages[1].content[0]'],
    ],
    ['no parts', row(say('user', []), answer), ['warning empty-content @ messages[0].content']],
    ['an empty question', row(say('user', ''), answer), ['warning empty-content @ messages[0].content']],
    ['an empty answer', row(user, say('assistant', '')), ['error empty-content @ messages[1].content']],
    ['a blank answer', row(user, say('assistant', ' \n')), ['warning empty-content @ messages[1].content']],
    ['no answer', row(user), ['error no-assistant @ messages']],
    ['a question at the end', row(user, answer, user), ['error ends-with-user @ messages[2].role']],
    [
      'an answer at the start',
      row(answer, user, answer),
      ['warning starts-with-assistant @ messages[0].role'],
    ],
    [
      'a late system message',
      row(user, say('system', 'x'), answer),
      ['warning late-system @ messages[1].role'],
    ],
    [
      'a weight of true',
      row(user, say('assistant', 'a', { weight: true })),
      ['error weight @ messages[1].weight'],
    ],
    [
      'a weight of 0.5',
      row(user, say('assistant', 'a', { weight: 0.5 })),
      ['error weight @ messages[1].weight'],
    ],
    [
      'a weight of null',
      row(user, say('assistant', 'a', { weight: null })),
      ['error weight @ messages[1].weight'],
    ],
    [
      'a weight on a question',
      row(say('user', 'hi', { weight: 1 }), answer),
      ['error weight @ messages[0].weight'],
    ],
    [
      'answers of which none counts',
      row(user, say('assistant', 'a', { weight: 0 })),
      ['warning nothing-trained @ messages'],
    ],
    [
      'a key that messages do not have',
      row(say('user', 'hi', { id: 1 }), answer),
      ['warning extra-key @ messages[0].id'],
    ],
    [
      'calls that are no array',
      row(user, say('assistant', null, { tool_calls: {} }), answer),
      ['error tool-call @ messages[1].tool_calls'],
    ],
    [
      'calls of the user',
      row(say('user', 'hi', { tool_calls: [CALL] }), answer),
      ['error tool-call @ messages[0].tool_calls'],
    ],
    [
      'a call without type',
      calling({ ...CALL, type: undefined }),
      ['error tool-call @ messages[1].tool_calls[0].type'],
    ],
    [
      'a call without function',
      calling({ ...CALL, function: undefined }),
      ['error tool-call @ messages[1].tool_calls[0].function'],
    ],
    [
      'a call without name',
      called({ name: undefined }),
      ['error tool-call @ messages[1].tool_calls[0].function.name'],
    ],
    [
      'a name with a dot',
      called({ name: 'a.b' }),
      ['error tool-call @ messages[1].tool_calls[0].function.name'],
    ],
    [
      'a name of 65 letters',
      called({ name: 'a'.repeat(65) }),
      ['error tool-call @ messages[1].tool_calls[0].function.name'],
    ],
    [
      'arguments as an object',
      called({ arguments: {} }),
      ['error tool-call @ messages[1].tool_calls[0].function.arguments'],
    ],
    [
      'arguments that are no JSON',
      called({ arguments: '{' }),
      ['error tool-call @ messages[1].tool_calls[0].function.arguments'],
    ],
    [
      'no arguments',
      called({ arguments: undefined }),
      ['error tool-call @ messages[1].tool_calls[0].function.arguments'],
    ],
    [
      'an answer to no id',
      row(user, say('assistant', null, { tool_calls: [CALL] }), say('tool', 'x'), answer),
      ['error tool-answer @ messages[2].tool_call_id', 'warning tool-call @ messages[1].tool_calls'],
    ],
    [
      'an answer to no call',
      row(user, say('tool', 'x', { tool_call_id: 'a' }), answer),
      ['warning tool-answer @ messages[1]'],
    ],
    [
      'a call that nobody answers',
      row(user, say('assistant', null, { tool_calls: [CALL] }), answer),
      ['warning tool-call @ messages[1].tool_calls'],
    ],
    ['tools that are text', { messages: [user, answer], tools: '[]' }, ['error tools @ tools']],
    ['a tool that is a name', { messages: [user, answer], tools: ['f'] }, ['error tools @ tools[0]']],
    ['a tool without name', schema({ name: undefined }), ['error tools @ tools[0].function.name']],
    [
      'a description that is a number',
      schema({ description: 7 }),
      ['error tools @ tools[0].function.description'],
    ],
    [
      'parameters that are text',
      schema({ parameters: '{}' }),
      ['error tools @ tools[0].function.parameters'],
    ],
    [
      'a switch that is a number',
      { messages: [user, answer], parallel_tool_calls: 1 },
      ['error wrong-type @ parallel_tool_calls'],
    ],
  ])('%s', (_what, bad, expected) => {
    expect(told(shape, bad)).toEqual(expected);
  });

  it.each(openai.reserved ?? [])('the text %s', (mark) => {
    expect(told(shape, row(say('user', `a${mark}b`), answer))).toEqual([
      'error reserved-text @ messages[0].content',
    ]);
  });

  it('a call without id, and that its answer belongs nowhere', () => {
    expect(told(shape, calling({ ...CALL, id: undefined }))).toEqual([
      'error tool-call @ messages[1].tool_calls[0].id',
      'warning tool-answer @ messages[2]',
      'warning tool-call @ messages[1].tool_calls',
    ]);
  });

  it('problems in the words of the service', () => {
    const words = (bad: unknown): string[] => problemsOf(shape, bad).map(({ message }) => message);
    expect(words({ messages: [user, answer], id: 1 })).toEqual([
      'the service answers: Example … contains an extra "id"',
    ]);
    expect(words(row(user))).toEqual([
      'the service answers: At least one message must be from the assistant',
    ]);
    expect(words(row(user, say('assistant', 'a<|fim_suffix|>')))).toEqual([
      'the service answers: message contains an invalid token: <|fim_suffix|>',
    ]);
  });
});

describe('a row for OpenAI', () => {
  it('is the messages alone', () => {
    expect(
      rowOf(openai, {
        turns: ['system: Be kind.', 'user: hi', 'assistant: "hello"\n'],
        parameters: '{"a":1}',
      }),
    ).toBe(
      '{"messages":[{"role":"system","content":"Be kind."},{"role":"user","content":"hi"},{"role":"assistant","content":"\\"hello\\"\\n"}]}\n',
    );
  });

  it('has calls, answers and schemas of tools', () => {
    expect(rowOf(openai, WITH_TOOLS)).toBe(
      '{"messages":[{"role":"user","content":"Where is order 7?"},{"role":"assistant","content":"","tool_calls":[{"id":"call00001","type":"function","function":{"name":"get_order","arguments":"{\\"id\\":\\"7\\"}"}}]},{"role":"tool","tool_call_id":"call00001","content":"{\\"day\\":7}"},{"role":"assistant","content":"It ships on day 7."}],' +
        `"tools":${JSON.stringify(TOOLS)}}\n`,
    );
  });

  it('is not written of a conversation with a mark of the tokenizer', () => {
    expect(rowOf(openai, { turns: ['user: hi', 'assistant: bye<|endoftext|>'] })).toBeNull();
  });
});
