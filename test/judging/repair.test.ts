import { describe, expect, it } from 'vitest';

import type { Conversation } from '../../src/conversation.js';
import { repair } from '../../src/judging/repair.js';
import { ruleNames, RULES, type Rule } from '../../src/judging/rules.js';
import { aConversation, FULL, HOSTILE_TEXTS, type ConversationParts } from '../support/conversations.js';

type Turns = NonNullable<ConversationParts['turns']>;

const bytesOf = ({ turns }: Conversation): number =>
  turns.reduce((sum, { content }) => sum + (content?.byteLength ?? 0), 0);

/** The turns in short form after some repairs; more than `limit` bytes are too long. */
function repaired(turns: Turns, rules: readonly Rule[], limit = 1_000): string[] {
  const isTooLong = (conversation: Conversation): boolean => bytesOf(conversation) > limit;
  return repair(aConversation({ turns }), new Set(rules), { isTooLong }).turns.map(
    ({ number, role, content }) => `${number} ${role}: ${String(content)}`,
  );
}

const CALL = 'tool_call: {"name":"f"}';

describe('a repair', () => {
  it.each<[Rule, Turns, string[]]>([
    [
      'tool-turn',
      ['user: a', CALL, 'tool: 7', 'assistant: b'],
      ['1 user: a', '2 assistant: {"name":"f"}', '3 user: 7', '4 assistant: b'],
    ],
    [
      'blank-content',
      ['system: ', 'user: \u00a0\n', 'user: a', 'assistant:  ', 'user:  b '],
      ['1 user: a', '2 assistant:  ', '3 user:  b '],
    ],
    ['blank-content', [{ role: 'user', content: null }, 'assistant: a'], ['1 user: null', '2 assistant: a']],
    [
      'late-system',
      ['system: a', 'user: b', 'system: c', 'assistant: d', 'system: e'],
      ['1 system: a', '2 system: c', '3 system: e', '4 user: b', '5 assistant: d'],
    ],
    [
      'several-system',
      ['system: a', 'system: b', 'system: c', 'user: d'],
      ['1 system: a\n\nb\n\nc', '2 user: d'],
    ],
    [
      'starts-with-assistant',
      ['system: s', 'assistant: a', 'assistant: b', 'user: c', 'assistant: d'],
      ['1 system: s', '2 user: c', '3 assistant: d'],
    ],
    ['ends-with-user', ['user: a', 'assistant: b', 'user: c', 'user: d'], ['1 user: a', '2 assistant: b']],
    ['ends-with-user', ['user: a', 'assistant: b', CALL, 'tool: 7'], ['1 user: a', '2 assistant: b']],
    ['ends-with-user', ['system: a', 'user: b'], []],
    [
      'equal-neighbours',
      ['system: r', 'system: s', 'user: a', 'user: b', 'user: c', 'assistant: d', 'assistant: e'],
      ['1 system: r', '2 system: s', '3 user: a\n\nb\n\nc', '4 assistant: d\n\ne'],
    ],
  ])('of %s makes of %j', (rule, turns, expected) => {
    expect(repaired(turns, [rule])).toEqual(expected);
  });

  it('is there for every rule that says how it is repaired', () => {
    const turns: Turns = [
      'system: ',
      'system: a',
      'assistant: b',
      'user: c',
      'user: d',
      'system: e',
      CALL,
      'tool: 7',
      'assistant: f',
      'user: g',
    ];
    const asTheyAre = repaired(turns, []);
    for (const rule of ruleNames.filter((name) => 'repair' in RULES[name] && name !== 'tool-schema')) {
      expect(repaired(turns, [rule], 12), rule).not.toEqual(asTheyAre);
    }
    for (const rule of ruleNames.filter((name) => !('repair' in RULES[name]))) {
      expect(repaired(turns, [rule], 12), rule).toEqual(asTheyAre);
    }
  });

  it('of tool schemas takes them out of the parameters that a target sees', () => {
    const conversation = aConversation({ parameters: '{"tools":[{}],"a":1}' });
    const { turns, parameters } = repair(conversation, new Set<Rule>(['tool-schema']));
    expect(turns).toEqual(conversation.turns);
    expect(parameters?.toString() ?? '').not.toContain('tools');
  });

  it('leaves the rules that were not named alone', () => {
    const turns: Turns = ['user: a', 'user: ', 'assistant: b', 'user: c'];
    expect(repaired(turns, ['ends-with-user'])).toEqual(['1 user: a', '2 user: ', '3 assistant: b']);
    expect(repaired(turns, [])).toHaveLength(4);
  });

  it('of several rules leaves blank turns out before it joins', () => {
    const turns: Turns = ['user: a', 'assistant: b', 'user:  ', 'assistant: c', 'user: d'];
    expect(repaired(turns, ['equal-neighbours', 'ends-with-user', 'blank-content'])).toEqual([
      '1 user: a',
      '2 assistant: b\n\nc',
    ]);
  });

  it('joins the texts as they are, white space and control characters included', () => {
    const turns = HOSTILE_TEXTS.map((content) => ({ role: 'user', content }));
    const { turns: joined } = repair(aConversation({ turns }), new Set<Rule>(['equal-neighbours']));
    expect(joined.map(({ content }) => content?.toString())).toEqual([HOSTILE_TEXTS.join('\n\n')]);
  });

  it('changes nothing of the conversation but its turns and what was counted of them, and not the one it was given', () => {
    const conversation = aConversation({ ...FULL, turns: ['user: a', 'user: b', 'assistant: c'] });
    const before = conversation.turns.map((turn) => ({ ...turn }));
    const { turns, ...rest } = repair(conversation, new Set<Rule>(['equal-neighbours']));
    const { turns: original, ...members } = conversation;
    expect(rest).toEqual({ ...members, turnTokens: null });
    expect(turns).toHaveLength(2);
    expect(turns[1]?.content).toBe(original[2]?.content);
    expect(original).toEqual(before);
  });
});

describe('a conversation that is too long', () => {
  const turns: Turns = ['system: 12', 'user: 34', 'assistant: 56', 'user: 78', 'assistant: 90'];
  const whole = ['1 system: 12', '2 user: 34', '3 assistant: 56', '4 user: 78', '5 assistant: 90'];

  it.each([
    [10, 5],
    [9, 3],
    [6, 3],
    [5, 0],
    [0, 0],
  ])('of ten bytes, where %i fit, keeps %i turns and ends with an answer', (limit, kept) => {
    expect(repaired(turns, ['over-token-limit'], limit)).toEqual(whole.slice(0, kept));
  });

  it('is cut after a whole answer where tools were used on the way', () => {
    const withTools: Turns = ['user: 1', 'assistant: 2', 'user: 3', CALL, 'tool: 4', 'assistant: 5'];
    expect(repaired(withTools, ['over-token-limit'], 14)).toEqual(['1 user: 1', '2 assistant: 2']);
  });

  it('is not cut when nobody says how long is too long', () => {
    const conversation = aConversation({ turns });
    expect(repair(conversation, new Set<Rule>(['over-token-limit'])).turns).toHaveLength(5);
  });
});
