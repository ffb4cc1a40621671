import { describe, expect, it } from 'vitest';

import { hasToolTurns, parseToolCall, toolTurnsFit } from '../src/tool-turns.js';
import { aConversation, HOSTILE_TEXTS, type ConversationParts } from './support/conversations.js';

type Turns = NonNullable<ConversationParts['turns']>;

const turnsOf = (turns: Turns) => aConversation({ turns }).turns;

function callOf(content: string | null) {
  const [turn] = turnsOf([{ role: 'tool_call', content }]);
  return turn === undefined ? null : parseToolCall(turn);
}

describe('a tool call', () => {
  it.each([
    ['{"name":"get_order","arguments":{"id":"7"}}', 'get_order', '{"id":"7"}'],
    [
      '{"arguments": { "id" : 7 , "deep":[1,{"a":null}]}, "name": "get-order_2"}',
      'get-order_2',
      '{"id":7,"deep":[1,{"a":null}]}',
    ],
    ['{"name":"f","arguments":"{\\"id\\": \\"7\\"}"}', 'f', '{"id": "7"}'],
    ['{"name":"f"}', 'f', '{}'],
    ['{"name":"f","arguments":null}', 'f', '{}'],
    ['{"name":"f","arguments":{},"id":"call_1","type":"function"}', 'f', '{}'],
    [`{"name":"${'n'.repeat(64)}"}`, 'n'.repeat(64), '{}'],
  ])('is read from %s', (content, name, args) => {
    expect(callOf(content)).toEqual({ name, arguments: args });
  });

  it.each([
    null,
    '',
    'get_order(7)',
    'null',
    '[]',
    '"get_order"',
    '7',
    '{}',
    '{"name":7,"arguments":{}}',
    '{"name":"","arguments":{}}',
    '{"name":"get order","arguments":{}}',
    '{"name":"gét","arguments":{}}',
    '{"name":"f\\n","arguments":{}}',
    `{"name":"${'n'.repeat(65)}","arguments":{}}`,
    '{"name":"f","arguments":"id=7"}',
    '{"name":"f","arguments":""}',
    '{"name":"f","arguments":{}} trailing',
  ])('is not read from %s', (content) => {
    expect(callOf(content)).toBeNull();
  });

  it('keeps hostile text in its arguments', () => {
    for (const text of HOSTILE_TEXTS) {
      const call = callOf(JSON.stringify({ name: 'f', arguments: { text } }));
      expect(JSON.parse(call?.arguments ?? '')).toEqual({ text });
    }
  });
});

const call = 'tool_call: {"name":"get_order","arguments":{"id":"7"}}';

describe('tool turns', () => {
  it('are turns of the roles tool_call and tool, written just so', () => {
    expect(hasToolTurns(turnsOf(['user: a', 'assistant: b']))).toBe(false);
    expect(hasToolTurns(turnsOf(['user: a', 'Tool: b']))).toBe(false);
    expect(hasToolTurns(turnsOf(['user: a', 'tool: b']))).toBe(true);
    expect(hasToolTurns(turnsOf(['user: a', 'tool_call: b']))).toBe(true);
  });

  it.each<[string, Turns]>([
    ['there are none', ['user: a', 'assistant: b']],
    ['a call is answered', ['user: a', call, 'tool: 7', 'assistant: b']],
    ['several calls are answered one by one', ['user: a', call, 'tool: 7', call, 'tool: 8', 'assistant: b']],
    ['the answer of a tool is blank', ['user: a', call, 'tool: ', 'assistant: b']],
  ])('fit when %s', (_what, turns) => {
    expect(toolTurnsFit(turnsOf(turns))).toBe(true);
  });

  it.each<[string, Turns]>([
    ['a call is not answered', ['user: a', call, 'assistant: b']],
    ['a call is answered later', ['user: a', call, 'assistant: b', 'tool: 7', 'assistant: c']],
    ['a call is the last turn', ['user: a', call]],
    ['an answer has no call', ['user: a', 'tool: 7', 'assistant: b']],
    ['an answer is the first turn', ['tool: 7', 'assistant: b']],
    ['a call is answered twice', ['user: a', call, 'tool: 7', 'tool: 8', 'assistant: b']],
    ['two calls stand in a row', ['user: a', call, call, 'tool: 7', 'assistant: b']],
    ['a call is malformed', ['user: a', 'tool_call: get_order', 'tool: 7', 'assistant: b']],
  ])('do not fit when %s', (_what, turns) => {
    expect(toolTurnsFit(turnsOf(turns))).toBe(false);
  });
});
