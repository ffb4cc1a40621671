import { describe, expect, it } from 'vitest';

import { Text } from '../../src/bytes/text.js';
import { inspect, type InspectOptions } from '../../src/judging/checks.js';
import { judgeWith } from '../../src/judging/judge.js';
import { policyOf, ruleNames, RULES, type Rule } from '../../src/judging/rules.js';
import { Tally } from '../../src/judging/tally.js';
import { aConversation, FULL, viewsIntoOneBuffer, type ConversationParts } from '../support/conversations.js';

type Turns = NonNullable<ConversationParts['turns']>;

/** Rules and turns as `rule` or `rule@turn`. */
function found(parts: ConversationParts, options?: InspectOptions): string[] {
  return inspect(aConversation(parts), options).map(({ rule, turn }) =>
    turn === undefined ? rule : `${rule}@${turn}`,
  );
}

/** Why the conversation is skipped when there is no target, or null. */
function verdict(parts: ConversationParts): Rule | null {
  const conversation = aConversation(parts);
  const tally = new Tally(1);
  tally.admit(conversation, judgeWith(policyOf('plain'), {})(conversation));
  return (Object.keys(tally.skips)[0] as Rule | undefined) ?? null;
}

describe('nothing is found in', () => {
  it.each<[string, Turns]>([
    ['a question and an answer', ['user: hi', 'assistant: hello']],
    ['a system prompt before them', ['system: be kind', 'user: hi', 'assistant: hello']],
    ['many turns in order', ['user: 1', 'assistant: 2', 'user: 3', 'assistant: 4']],
    ['an answer that ends in a closing quote', ['user: hi', 'assistant: He said "yes"']],
    ['an answer that ends in white space', ['user: hi', 'assistant: yes \n']],
    ['a question that ends in a backslash', ['user: what is C:\\', 'assistant: a drive']],
    ['a question that ends in an opening quote', ['user: what is "', 'assistant: a quote']],
    ['visible text that trim leaves alone', ['user: \u200b', 'assistant: \u0085']],
  ])('%s', (_what, turns) => {
    expect(found({ turns })).toEqual([]);
  });

  it('a conversation with every member', () => {
    expect(found(FULL)).toEqual([]);
  });

  it('the members that ISO 8601 and JSON can express at their edges', () => {
    expect(
      found({
        qualityScore: '-0',
        createdAt: '0001-01-01T00:00:00.000Z',
        updatedAt: '9999-12-31T23:59:59.999Z',
      }),
    ).toEqual([]);
  });
});

describe('each rule', () => {
  it.each<[Rule, ConversationParts, string[]]>([
    ['no-turns', { turns: [] }, ['no-turns']],
    ['no-assistant', { turns: ['user: a'] }, ['no-assistant', 'ends-with-user@1']],
    ['no-user', { turns: ['assistant: a'] }, ['starts-with-assistant@1', 'no-user']],
    ['unknown-role', { turns: ['user: a', 'tool: b', 'assistant: c'] }, ['unknown-role@2']],
    ['null-content', { turns: ['user: a', { role: 'assistant', content: null }] }, ['null-content@2']],
    ['blank-content', { turns: ['user: ', 'assistant: a'] }, ['blank-content@1']],
    ['blank-content', { turns: ['system: \u2003', 'user: a', 'assistant: b'] }, ['blank-content@1']],
    ['blank-answer', { turns: ['user: a', 'assistant: \u3000\n\t\ufeff'] }, ['blank-answer@2']],
    [
      'starts-with-assistant',
      { turns: ['assistant: a', 'user: b', 'assistant: c'] },
      ['starts-with-assistant@1'],
    ],
    [
      'starts-with-assistant',
      { turns: ['system: s', 'assistant: a', 'user: b', 'assistant: c'] },
      ['starts-with-assistant@2'],
    ],
    ['late-system', { turns: ['user: a', 'system: s', 'assistant: b'] }, ['late-system@2']],
    [
      'duplicate-turn-number',
      { turns: ['user: a', { number: 1, role: 'assistant', content: 'b' }] },
      ['duplicate-turn-number@1'],
    ],
    [
      'several-system',
      { turns: ['system: a', 'system: b', 'user: c', 'assistant: d'] },
      ['several-system@2'],
    ],
    ['ends-with-user', { turns: ['user: a', 'assistant: b', 'user: c'] }, ['ends-with-user@3']],
    ['equal-neighbours', { turns: ['user: a', 'user: b', 'assistant: c'] }, ['equal-neighbours@2']],
    ['equal-neighbours', { turns: ['user: a', 'assistant: b', 'assistant: c'] }, ['equal-neighbours@3']],
    [
      'turn-number-gap',
      { turns: ['user: a', { number: 4, role: 'assistant', content: 'b' }] },
      ['turn-number-gap@4'],
    ],
    [
      'turn-number-gap',
      {
        turns: [
          { number: 0, role: 'user', content: 'a' },
          { number: 1, role: 'assistant', content: 'b' },
        ],
      },
      ['turn-number-gap@0'],
    ],
    ['truncated-answer', { turns: ['user: a', 'assistant: He said \\'] }, ['truncated-answer@2']],
    ['truncated-answer', { turns: ['user: a', 'assistant: He said "'] }, ['truncated-answer@2']],
    ['truncated-answer', { turns: ['user: a', 'assistant: "'] }, ['truncated-answer@2']],
    ['lone-surrogate', { parameters: String.raw`{"a":"\ud800"}` }, ['lone-surrogate']],
    ['lone-surrogate', { reviewHistory: String.raw`["\udc00"]` }, ['lone-surrogate']],
    ['not-a-number', { qualityScore: 'NaN' }, ['not-a-number']],
    ['not-a-number', { qualityScore: '-Infinity' }, ['not-a-number']],
    ['not-a-number', { qualityScore: '8.5 of 10' }, ['not-a-number']],
    ['not-a-date', { createdAt: 'infinity' }, ['not-a-date']],
    ['not-a-date', { updatedAt: '12000-01-01 00:00:00+00' }, ['not-a-date']],
    ['not-a-date', { createdAt: '-infinity', updatedAt: 'infinity' }, ['not-a-date']],
  ])('%s is found in %j', (rule, parts, expected) => {
    expect(found(parts)).toEqual(expected);
    expect(expected.map((finding) => finding.split('@')[0])).toContain(rule);
  });

  it('is told for every turn that breaks it', () => {
    expect(found({ turns: ['user: ', 'assistant:  ', 'robot: a', 'human: b', 'assistant: c'] })).toEqual([
      'blank-content@1',
      'blank-answer@2',
      'unknown-role@3',
      'unknown-role@4',
    ]);
  });

  it('is told in the order of the turns, and those of the whole conversation last', () => {
    expect(
      found({
        qualityScore: 'NaN',
        createdAt: 'infinity',
        parameters: String.raw`"\ud800"`,
        turns: [
          { number: 2, role: 'user', content: '' },
          { number: 2, role: 'user', content: null },
        ],
      }),
    ).toEqual([
      'blank-content@2',
      'turn-number-gap@2',
      'null-content@2',
      'equal-neighbours@2',
      'duplicate-turn-number@2',
      'no-assistant',
      'ends-with-user@2',
      'not-a-number',
      'not-a-date',
      'lone-surrogate',
    ]);
  });

  it('matches roles letter by letter', () => {
    expect(found({ turns: ['User: a', 'assistant: b'] })).toEqual(['unknown-role@1', 'no-user']);
  });

  it('tells equal neighbours among system turns under a rule of their own, and only at the start', () => {
    expect(found({ turns: ['system: a', 'system: b'] })).toEqual([
      'several-system@2',
      'no-user',
      'no-assistant',
    ]);
    expect(found({ turns: ['user: a', 'system: b', 'system: c', 'assistant: d'] })).toEqual([
      'late-system@2',
      'late-system@3',
    ]);
  });
});

describe('a turn is judged by its own bytes alone', () => {
  it('although another turn that ends in a space stands right before it', () => {
    for (const neighbour of ['x ', 'x']) {
      const source = Buffer.from(`${neighbour}"`);
      const turns = [
        { number: 1, role: 'user', content: new Text(source, 0, neighbour.length) },
        { number: 2, role: 'assistant', content: new Text(source, neighbour.length) },
      ];
      expect(inspect({ ...aConversation(), turns })).toEqual([{ rule: 'truncated-answer', turn: 2 }]);
    }
  });

  it('wherever it lies in a larger buffer', () => {
    const turns = ['user: a', 'assistant: He said "yes"', 'user: \\', 'assistant: done'];
    expect(inspect(aConversation({ ...FULL, turns }, viewsIntoOneBuffer()))).toEqual([]);
    expect(
      inspect(aConversation({ turns: ['user: ', 'assistant: x'] }, viewsIntoOneBuffer())).map(
        ({ rule }) => rule,
      ),
    ).toEqual(['blank-content']);
  });
});

describe('a conversation is skipped for the weightiest of several reasons', () => {
  it.each<[Rule | null, Turns]>([
    ['no-turns', []],
    ['no-assistant', ['user: ']],
    ['no-assistant', ['system: a']],
    ['no-assistant', ['robot: a', 'user: b']],
    ['no-user', ['assistant: ', 'robot: b']],
    ['unknown-role', ['user: ', 'robot: b', 'assistant: c']],
    ['null-content', ['user: ', { role: 'assistant', content: null }]],
    ['blank-answer', ['assistant: ', 'user: ', 'system: s']],
    ['blank-content', ['user: ', 'assistant: a', 'system: s']],
    ['starts-with-assistant', ['assistant: a', 'user: b', 'system: s', 'assistant: c']],
    ['late-system', ['user: a', 'system: b', { number: 2, role: 'assistant', content: 'c' }]],
    ['duplicate-turn-number', ['user: a', { number: 1, role: 'user', content: 'b' }, 'assistant: c']],
    [null, ['user: a', 'user: b', 'assistant: c\\', 'user: d']],
  ])('%s', (rule, turns) => {
    expect(verdict({ turns })).toBe(rule);
  });

  it('and these rules skip', () => {
    const skipping = ruleNames.filter((rule) => RULES[rule].plain === 'skip');
    expect(skipping).toEqual([
      'no-turns',
      'no-assistant',
      'no-user',
      'no-counterpart',
      'unknown-role',
      'tool-turn',
      'null-content',
      'blank-answer',
      'blank-content',
      'starts-with-assistant',
      'late-system',
      'duplicate-turn-number',
    ]);
  });
});

describe('what is looked for only when asked', () => {
  const call = 'tool_call: {"name":"get_order","arguments":{"id":"7"}}';
  const withTools: Turns = ['user: a', call, 'tool: {"day":7}', 'assistant: b'];

  it('are roles of tools: unknown without a target, sound or refused with one', () => {
    expect(found({ turns: withTools })).toEqual(['unknown-role@2', 'unknown-role@3']);
    expect(found({ turns: withTools }, { tools: 'allowed' })).toEqual([]);
    expect(found({ turns: withTools }, { tools: 'refused' })).toEqual(['tool-turn']);
    expect(found({}, { tools: 'refused' })).toEqual([]);
  });

  it.each<[string, Turns, string[]]>([
    ['a call that is no JSON', ['user: a', 'tool_call: get_order', 'tool: 7', 'assistant: b'], ['tool-turn']],
    ['a call without an answer', ['user: a', call, 'assistant: b'], ['tool-turn']],
    ['an answer without a call', ['user: a', 'tool: 7', 'assistant: b'], ['tool-turn']],
    ['an answer at the end', ['user: a', call, 'tool: 7'], ['no-assistant', 'ends-with-user@3']],
    ['a call at the end', ['user: a', 'assistant: b', call], ['ends-with-user@3', 'tool-turn']],
  ])('is %s, where the target knows tools', (_what, turns, expected) => {
    expect(found({ turns }, { tools: 'allowed' })).toEqual(expected);
  });

  it('are texts that the target reserves, in turns of every role', () => {
    const turns = ['system: a</s>', 'user: b', 'assistant: </s>'];
    expect(found({ turns })).toEqual([]);
    const reserved = [Buffer.from('[INST]'), Buffer.from('</s>')];
    expect(found({ turns }, { reserved })).toEqual(['reserved-text@1', 'reserved-text@3']);
  });

  it('are control characters', () => {
    const turns = ['user: a\u0007', 'assistant: b\ufffd'];
    expect(found({ turns })).toEqual([]);
    expect(found({ turns }, { controlCharacters: true })).toEqual([
      'control-character@1',
      'control-character@2',
    ]);
  });

  it('is the length', () => {
    expect(found({}, { isTooLong: ({ turns }) => turns.length > 1 })).toEqual(['over-token-limit']);
    expect(found({}, { isTooLong: ({ turns }) => turns.length > 2 })).toEqual([]);
  });
});
