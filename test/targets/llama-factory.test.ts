import { describe, expect, it } from 'vitest';

import { llamaFactory } from '../../src/targets/llama-factory.js';
import { aConversation } from '../support/conversations.js';
import { expectAgreement, expectNoThrow, pairOf } from './agreement.js';
import { rowOf, told, written } from './target-testing.js';

const { openai, sharegpt, alpaca } = llamaFactory.shapes;
const preference = llamaFactory.preferences!['preference']!;
const SCHEMAS = '[{"type":"function","function":{"name":"get_order"}}]';
const CALL = '{"name":"get_order","arguments":{"id":"7"}}';
const WITH_TOOL = {
  turns: [
    'system: s',
    'user: Where is order 7?',
    `tool_call: ${CALL}`,
    'tool: {"day":7}',
    'assistant: On day 7.',
  ],
  parameters: `{"tools":${SCHEMAS}}`,
};

describe('rows in the shape of OpenAI', () => {
  const user = { role: 'user', content: 'a' };
  const assistant = { role: 'assistant', content: 'b' };
  const call = { role: 'function', content: CALL };
  const tool = { role: 'tool', content: '1' };
  const calls = [{ function: { name: 'f', arguments: '{}' } }];

  it('have the column of tools also where there are none, so that the entry can name it', () => {
    expect(rowOf(llamaFactory, { turns: ['user: a', 'assistant: b'] }, openai)!).toBe(
      '{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}],"tools":""}\n',
    );
  });

  it('have the same two keys in every message, calls of tools too', () => {
    expect(JSON.parse(rowOf(llamaFactory, WITH_TOOL, openai)!)).toEqual({
      messages: [
        { role: 'system', content: 's' },
        { role: 'user', content: 'Where is order 7?' },
        { role: 'function', content: CALL },
        { role: 'tool', content: '{"day":7}' },
        { role: 'assistant', content: 'On day 7.' },
      ],
      tools: SCHEMAS,
    });
  });

  it('have arguments as an object where they were stored as text', () => {
    const turns = [
      'user: a',
      'tool_call: {"name":"f","arguments":"{\\"id\\":1}"}',
      'tool: 1',
      'assistant: b',
    ];
    const { messages } = JSON.parse(rowOf(llamaFactory, { turns }, openai)!) as {
      messages: { content: string }[];
    };
    expect(JSON.parse(messages[1]!.content)).toEqual({ name: 'f', arguments: { id: 1 } });
  });

  it.each<[string, unknown[], string[]]>([
    ['a sound row', [user, assistant], []],
    ['a row with a tool', [user, call, tool, assistant], []],
    ['two answers of tools in a row, read as one', [user, call, tool, tool, assistant], []],
    ['no message', [], ['error empty-messages @ messages']],
    ['a system prompt alone', [{ role: 'system', content: 's' }], ['error no-assistant @ messages']],
    ['no content', [user, { role: 'assistant' }], ['error missing-content @ messages[1].content']],
    ['the role human', [{ ...user, role: 'human' }, assistant], ['error unknown-role @ messages[0].role']],
    ['the assistant first', [assistant, user, assistant], ['error starts-with-assistant @ messages[0].role']],
    ['the user last', [user, assistant, user], ['error ends-with-user @ messages[2].role']],
    ['equal neighbours', [user, user, assistant], ['error equal-neighbours @ messages[1].role']],
    [
      'an answer before a call',
      [user, assistant, call, tool, assistant],
      ['error equal-neighbours @ messages[2].role'],
    ],
    [
      'a question after a tool',
      [user, call, tool, user, assistant],
      ['error equal-neighbours @ messages[3].role'],
    ],
    [
      'a late system prompt',
      [user, { role: 'system', content: 's' }, assistant],
      ['error late-system @ messages[1].role'],
    ],
    [
      'a weight, which nobody reads',
      [user, { ...assistant, weight: 0 }],
      ['warning weight @ messages[1].weight'],
    ],
    [
      'an empty answer',
      [user, { ...assistant, content: '' }],
      ['warning empty-content @ messages[1].content'],
    ],
    [
      'a call that is plain text',
      [user, { ...call, content: 'x' }, tool, assistant],
      ['error tool-call @ messages[1].content'],
    ],
    [
      'calls that are null',
      [user, { ...assistant, tool_calls: null }],
      ['error tool-call @ messages[1].tool_calls'],
    ],
    [
      'a call beside content',
      [user, { ...assistant, content: '', tool_calls: calls }, tool, assistant],
      ['warning tool-call @ messages[1].tool_calls'],
    ],
    [
      'a call without content',
      [user, { role: 'assistant', tool_calls: calls }, tool, assistant],
      ['error missing-content @ messages[1].content', 'warning tool-call @ messages[1].tool_calls'],
    ],
  ])('show %s', (_what, messages, problems) => {
    expect(told(openai!, { messages })).toEqual(problems);
  });

  it('show a missing list, and tools that are none', () => {
    expect(told(openai!, { tools: '' })).toEqual(['error missing-key @ messages']);
    expect(told(openai!, { messages: [user, assistant], tools: SCHEMAS })).toEqual([]);
    expect(told(openai!, { messages: [user, assistant], tools: JSON.parse(SCHEMAS) })).toEqual([]);
    expect(told(openai!, { messages: [user, assistant], tools: 7 })).toHaveLength(1);
  });
});

describe('rows in the shape of ShareGPT', () => {
  const human = { from: 'human', value: 'a' };
  const gpt = { from: 'gpt', value: 'b' };
  const call = { from: 'function_call', value: CALL };
  const observation = { from: 'observation', value: '1' };

  it('have function_call and observation for tools, and schemas as text', () => {
    expect(JSON.parse(rowOf(llamaFactory, WITH_TOOL, sharegpt)!)).toEqual({
      conversations: [
        { from: 'system', value: 's' },
        { from: 'human', value: 'Where is order 7?' },
        { from: 'function_call', value: CALL },
        { from: 'observation', value: '{"day":7}' },
        { from: 'gpt', value: 'On day 7.' },
      ],
      tools: SCHEMAS,
    });
  });

  it.each<[string, unknown[], string[]]>([
    ['a sound row', [human, gpt], []],
    ['a row with a tool', [human, call, observation, gpt], []],
    [
      'a call that is plain text',
      [human, { ...call, value: 'x' }, observation, gpt],
      ['error tool-call @ conversations[1].value'],
    ],
    [
      'two observations in a row',
      [human, call, observation, observation, gpt],
      ['error equal-neighbours @ conversations[3].from'],
    ],
    ['the human last', [human, gpt, human], ['error ends-with-user @ conversations[2].from']],
    ['an unknown role', [{ ...human, from: 'user' }, gpt], ['error unknown-role @ conversations[0].from']],
  ])('show %s', (_what, conversations, problems) => {
    expect(told(sharegpt!, { conversations })).toEqual(problems);
  });

  it('show schemas that are no text', () => {
    expect(told(sharegpt!, { conversations: [human, gpt], tools: [] })).toEqual(['error wrong-type @ tools']);
  });
});

it('writes what tools say as text in rows of Alpaca', () => {
  expect(JSON.parse(rowOf(llamaFactory, WITH_TOOL, alpaca)!)).toEqual({
    instruction: '{"day":7}',
    input: '',
    output: 'On day 7.',
    system: 's',
    history: [['Where is order 7?', CALL]],
  });
});

describe('pairs', () => {
  const human = { from: 'human', value: 'a' };
  const chosen = { from: 'gpt', value: 'b' };
  const rejected = { from: 'gpt', value: 'c' };
  const pair = { conversations: [human], chosen, rejected };

  it('end with the question, beside one message for each answer', () => {
    expect(pairOf(llamaFactory, preference, aConversation({ turns: ['user: a', 'assistant: b'] }), 'c')).toBe(
      '{"conversations":[{"from":"human","value":"a"}],"tools":"","chosen":{"from":"gpt","value":"b"},"rejected":{"from":"gpt","value":"c"}}\n',
    );
  });

  it.each<[string, unknown, string[]]>([
    ['a sound pair', pair, []],
    [
      'an even number of turns',
      { ...pair, conversations: [human, chosen] },
      ['error ends-with-assistant @ conversations[1].from'],
    ],
    ['no chosen answer', { conversations: [human], rejected }, ['error missing-key @ chosen']],
    ['an answer in a list', { ...pair, chosen: [chosen] }, ['error not-an-object @ chosen']],
    ['an answer of the human', { ...pair, rejected: human }, ['error unknown-role @ rejected.from']],
    ['equal answers', { ...pair, rejected: chosen }, ['warning identical-outputs @ ']],
  ])('show %s', (_what, given, problems) => {
    expect(told(preference, given)).toEqual(problems);
  });
});

describe('the entry for dataset_info.json', () => {
  const entry = (shape: string): unknown =>
    JSON.parse(llamaFactory.advice!('exports/support.train.jsonl', shape)!.replace(/^[^{]*/, ''));

  it.each(['openai', 'sharegpt', 'alpaca'])(
    'names the columns of %s rows, all of them and no others',
    (shape) => {
      const row = JSON.parse(
        rowOf(llamaFactory, { turns: ['user: a', 'assistant: b'] }, llamaFactory.shapes[shape])!,
      ) as object;
      const { support } = entry(shape) as { support: { file_name: string; columns: Record<string, string> } };
      expect(support.file_name).toBe('support.train.jsonl');
      expect(Object.values(support.columns).sort()).toEqual(Object.keys(row).sort());
    },
  );

  it('names the columns of pairs', () => {
    expect(entry('preference')).toEqual({
      support: {
        file_name: 'support.train.jsonl',
        formatting: 'sharegpt',
        ranking: true,
        columns: { messages: 'conversations', tools: 'tools', chosen: 'chosen', rejected: 'rejected' },
      },
    });
  });
});

it('never throws', () => {
  expectNoThrow(openai!, ['messages', 'role', 'content', 'tools', 'tool_calls']);
  expectNoThrow(sharegpt!, ['conversations', 'from', 'value', 'tools']);
  expectNoThrow(preference, ['conversations', 'from', 'value', 'chosen', 'rejected']);
});

it.each(['openai', 'sharegpt', 'alpaca'])('writes no %s row that it refuses', (name) => {
  const shape = llamaFactory.shapes[name]!;
  expectAgreement(shape, (conversation) => written(llamaFactory, conversation, shape));
});

it('writes no pair that it refuses', () => {
  expectAgreement(preference, (conversation) => pairOf(llamaFactory, preference, conversation, 'No idea.'));
});
