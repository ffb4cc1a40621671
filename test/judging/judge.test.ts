import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { inspect, type InspectOptions } from '../../src/judging/checks.js';
import type { Conversation } from '../../src/conversation.js';
import { judgeWith, type Judgement } from '../../src/judging/judge.js';
import {
  allowedActions,
  policyOf,
  ruleNames,
  type Action,
  type Policy,
  type Rule,
} from '../../src/judging/rules.js';
import { aConversation, type ConversationParts, type TurnParts } from '../support/conversations.js';

const CALL = 'tool_call: {"name":"get_order","arguments":{"id":"7"}}';

/** What is looked for in these tests; `isTooLong` counts the bytes of all turns. */
const LOOK: InspectOptions = {
  tools: 'refused',
  reserved: [Buffer.from('</s>')],
  isTooLong: ({ turns }) => turns.reduce((sum, { content }) => sum + (content?.byteLength ?? 0), 0) > 40,
};

/** A conversation for each rule that judging can find; what else is wrong with it is of no account here. */
const FLAWED: Record<Exclude<Rule, 'no-counterpart'>, ConversationParts> = {
  'no-turns': { turns: [] },
  'no-assistant': { turns: ['user: a'] },
  'no-user': { turns: ['assistant: a'] },
  'unknown-role': { turns: ['human: a', 'user: b', 'assistant: c'] },
  'tool-turn': { turns: ['user: a', CALL, 'tool: 7', 'assistant: b'] },
  'tool-schema': { parameters: '{"tools":[{}]}' },
  'null-content': { turns: [{ role: 'user', content: null }, 'assistant: a'] },
  'blank-answer': { turns: ['user: a', 'assistant:  '] },
  'blank-content': { turns: ['system:  ', 'user: a', 'assistant: b'] },
  'starts-with-assistant': { turns: ['assistant: a', 'user: b', 'assistant: c'] },
  'late-system': { turns: ['user: a', 'system: b', 'assistant: c'] },
  'duplicate-turn-number': { turns: ['user: a', { number: 1, role: 'assistant', content: 'b' }] },
  'reserved-text': { turns: ['user: a</s>', 'assistant: b'] },
  'over-token-limit': { turns: ['user: a', 'assistant: b', 'user: c', `assistant: ${'d'.repeat(40)}`] },
  'ends-with-user': { turns: ['user: a', 'assistant: b', 'user: c'] },
  'equal-neighbours': { turns: ['user: a', 'user: b', 'assistant: c'] },
  'several-system': { turns: ['system: a', 'system: b', 'user: c', 'assistant: d'] },
  'turn-number-gap': { turns: ['user: a', { number: 3, role: 'assistant', content: 'b' }] },
  'truncated-answer': { turns: ['user: a', 'assistant: b\\'] },
  'control-character': { turns: ['user: a\u0007', 'assistant: b'] },
  'lone-surrogate': { parameters: String.raw`{"a":"\ud800"}` },
  'not-a-number': { qualityScore: 'NaN' },
  'not-a-date': { createdAt: 'infinity' },
};

/** Looks away from everything but one rule; some flaws cannot be looked away from. */
function only(rule: Rule, action: Action): Policy {
  const others = ruleNames.map((name): [Rule, Action] => [
    name,
    allowedActions(name).includes('ignore') ? 'ignore' : 'skip',
  ]);
  return { ...(Object.fromEntries(others) as Record<Rule, Action>), [rule]: action };
}

const cases = (Object.keys(FLAWED) as (keyof typeof FLAWED)[]).flatMap((rule) =>
  allowedActions(rule).map((action): [Action, keyof typeof FLAWED] => [action, rule]),
);

describe('every action for every rule:', () => {
  it.each(cases)('%s %s', (action, rule) => {
    const conversation = aConversation(FLAWED[rule]);
    const look: InspectOptions = rule === 'tool-schema' ? { ...LOOK, tools: 'allowed' } : LOOK;
    const { findings, conversation: result } = judgeWith(only(rule, action), look)(conversation);
    expect(findings.map((finding) => [finding.rule, finding.action])).toEqual(
      action === 'ignore' ? [] : [[rule, action]],
    );
    if (action === 'skip' || action === 'fail') expect(result).toBeNull();
    else if (action !== 'repair') expect(result).toBe(conversation);
    else {
      const left = inspect(result ?? conversation, look).map((finding) => finding.rule);
      expect(left).not.toContain(rule);
      expect(result?.turns.map(({ number }) => number)).toEqual(result?.turns.map((_, index) => index + 1));
    }
  });
});

/** The turns of a judged conversation in short form, and its findings as `action rule@turn`. */
function outcome(
  parts: ConversationParts,
  exceptions: Partial<Policy> = {},
  look: InspectOptions = LOOK,
): [string[] | null, string[]] {
  const { conversation, findings } = judgeWith(policyOf('strict', exceptions), look)(aConversation(parts));
  return [
    conversation?.turns.map(({ role, content }) => `${role}: ${String(content)}`) ?? null,
    findings.map(({ rule, action, turn }) => `${action} ${rule}${turn === undefined ? '' : `@${turn}`}`),
  ];
}

describe('a repair that brings out the next flaw', () => {
  it('joins the answers between which a blank question stood', () => {
    const turns = ['user: a', 'assistant: b', 'user: ', 'assistant: c'];
    expect(outcome({ turns })).toEqual([
      ['user: a', 'assistant: b\n\nc'],
      ['repair blank-content@3', 'repair equal-neighbours'],
    ]);
  });

  it('leaves out a conversation whose only question was blank', () => {
    expect(outcome({ turns: ['user:  ', 'assistant: a'] })).toEqual([
      null,
      ['repair blank-content@1', 'skip starts-with-assistant', 'skip no-user'],
    ]);
  });

  it('joins the prompts that were moved to the front', () => {
    const turns = ['system: a', 'user: b', 'system: c', 'assistant: d'];
    expect(outcome({ turns }, { 'late-system': 'repair' })).toEqual([
      ['system: a\n\nc', 'user: b', 'assistant: d'],
      ['repair late-system@3', 'repair several-system'],
    ]);
  });

  it('trims and joins what tool turns became', () => {
    const turns = ['user: a', 'assistant: b', CALL, 'tool: 7'];
    expect(outcome({ turns }, { 'tool-turn': 'repair' }, { tools: 'refused' })).toEqual([
      ['user: a', 'assistant: b\n\n{"name":"get_order","arguments":{"id":"7"}}'],
      ['repair ends-with-user@4', 'repair tool-turn', 'repair equal-neighbours'],
    ]);
  });

  it('notices reserved text that only a joint makes', () => {
    const look: InspectOptions = { reserved: [Buffer.from('\nHuman:')] };
    const turns = ['user: a', 'user: Human: b', 'assistant: c'];
    expect(outcome({ turns }, { 'reserved-text': 'skip' }, look)).toEqual([
      null,
      ['repair equal-neighbours@2', 'skip reserved-text'],
    ]);
  });

  it('leaves out a conversation of which nothing fits', () => {
    const [turns, findings] = outcome(
      { turns: ['user: a', `assistant: ${'b'.repeat(50)}`] },
      { 'over-token-limit': 'repair' },
    );
    expect(turns).toBeNull();
    expect(findings[0]).toBe('repair over-token-limit');
  });
});

describe('findings', () => {
  it('come once per rule, with the first turn', () => {
    const turns = ['user: a', 'user: b', 'assistant: c', 'assistant: d'];
    expect(outcome({ turns })[1]).toEqual(['repair equal-neighbours@2']);
  });

  it('name turns as the database numbers them, so none after a repair has numbered them anew', () => {
    const turns = ['user: ', 'user: a', 'assistant: b', 'user:  ', 'assistant: c'];
    expect(outcome({ turns }, { 'equal-neighbours': 'keep' })[1]).toEqual([
      'repair blank-content@1',
      'keep equal-neighbours@2',
    ]);
    expect(outcome({ turns: turns.slice(1) }, { 'equal-neighbours': 'keep' })[1]).toEqual([
      'repair blank-content@3',
      'keep equal-neighbours',
    ]);
  });

  it('do not come from scans that the policy makes needless', () => {
    const ignored: Partial<Policy> = {
      'reserved-text': 'ignore',
      'control-character': 'ignore',
      'over-token-limit': 'ignore',
    };
    const never = (): never => {
      throw new Error('the length was counted for nothing');
    };
    expect(
      outcome({ turns: ['user: </s>\u0007', 'assistant: b'] }, ignored, { ...LOOK, isTooLong: never }),
    ).toEqual([['user: </s>\u0007', 'assistant: b'], []]);
  });

  it('are of the conversation given, not of another', () => {
    const judge = judgeWith(policyOf('strict'), LOOK);
    expect(judge(aConversation(FLAWED['ends-with-user'])).findings).toHaveLength(1);
    expect(judge(aConversation()).findings).toEqual([]);
  });
});

/** Roles in any order, blanks and nulls among the texts; turn numbers are right nine times of ten. */
const anyTurns: fc.Arbitrary<TurnParts[]> = fc
  .tuple(
    fc.array(
      fc.record({
        role: fc.constantFrom(
          'system',
          'user',
          'user',
          'user',
          'assistant',
          'assistant',
          'assistant',
          'tool_call',
          'tool',
          'robot',
        ),
        content: fc.constantFrom(
          'a',
          'é\n',
          ' b ',
          '"c" \\',
          'd',
          '{"name":"f"}',
          '',
          ' \n',
          '\u00a0',
          '</s>',
          null,
        ),
      }),
      { maxLength: 9 },
    ),
    fc.constantFrom(1, 1, 1, 1, 1, 1, 1, 1, 1, 2),
  )
  .map(([turns, first]) => turns.map((turn, index) => ({ ...turn, number: index + first })));

/** Mostly exchanges, so that many pass. */
const likelyTurns: fc.Arbitrary<TurnParts[]> = fc
  .array(
    fc.oneof(
      { weight: 6, arbitrary: fc.constant(['user: q', 'assistant: r']) },
      {
        weight: 4,
        arbitrary: fc.constantFrom(
          ...['user: x', 'assistant: y', 'user:  ', 'system: s', 'system: ', 'user: \u2003z\n'].map(
            (turn) => [turn],
          ),
        ),
      },
    ),
    { maxLength: 8 },
  )
  .chain((pieces) =>
    fc.boolean().map((leads) => (leads ? ['system: one', 'system: two', ...pieces.flat()] : pieces.flat())),
  )
  .map((turns) =>
    turns.map((turn, index) => {
      const colon = turn.indexOf(': ');
      return { number: index + 1, role: turn.slice(0, colon), content: turn.slice(colon + 2) };
    }),
  );

const isBlankText = (content: string | null): boolean => content !== null && content.trim() === '';

/** What a strict policy should make of turns without tools, worked out in another way: null, or role and text. */
function strictly(turns: readonly TurnParts[]): [string, string][] | null {
  const roles = ['system', 'user', 'assistant'];
  if (turns.some(({ role, content }) => !roles.includes(role) || content === null)) return null;
  if (turns.some(({ role, content }) => role === 'assistant' && isBlankText(content))) return null;
  if (turns.some(({ number }, index) => number !== index + 1)) return null;
  if (/[^s]s/.test(turns.map(({ role }) => role[0]).join(''))) return null;
  const groups: [string, string[]][] = [];
  for (const { role, content } of turns) {
    if (isBlankText(content)) continue;
    const last = groups.at(-1);
    if (last?.[0] === role) last[1].push(content ?? '');
    else groups.push([role, [content ?? '']]);
  }
  if (groups.at(-1)?.[0] === 'user') groups.pop();
  const order = groups.map(([role]) => role[0]).join('');
  return /^s?(ua)+$/.test(order) ? groups.map(([role, texts]) => [role, texts.join('\n\n')]) : null;
}

function contentsOf(conversation: Conversation): [string, string][] {
  return conversation.turns.map(({ role, content }) => [role, content?.toString() ?? '(null)']);
}

describe('any conversation', () => {
  it('under the strict policy is left out, or put right exactly as the rules say', () => {
    let written = 0;
    fc.assert(
      fc.property(fc.oneof(anyTurns, likelyTurns), (turns) => {
        const original = aConversation({ turns });
        const { conversation, findings } = judgeWith(policyOf('strict'), {})(original);
        expect(conversation === null ? null : contentsOf(conversation)).toEqual(strictly(turns));
        if (conversation === null) return;
        written++;
        expect(conversation.turns.map(({ number }) => number)).toEqual(
          conversation.turns.map((_, index) => index + 1),
        );
        if (findings.every(({ action }) => action !== 'repair')) expect(conversation).toBe(original);
        // What was not joined is the very text of the row, not a copy.
        const texts = new Set(original.turns.map(({ content }) => content));
        for (const { content } of conversation.turns)
          if (!content?.toString().includes('\n\n')) expect(texts.has(content)).toBe(true);
      }),
      { numRuns: 2_000 },
    );
    expect(written).toBeGreaterThan(200);
  });

  it('without a target is written as it is stored, or not at all', () => {
    fc.assert(
      fc.property(fc.oneof(anyTurns, likelyTurns), (turns) => {
        const original = aConversation({ turns });
        const { conversation, findings } = judgeWith(policyOf('plain'), {})(original);
        if (conversation !== null) expect(conversation).toBe(original);
        expect(conversation === null).toBe(findings.some(({ action }) => action === 'skip'));
      }),
      { numRuns: 1_000 },
    );
  });

  it('comes to an end under any policy, and what is written needs no further repair', () => {
    const anyPolicy: fc.Arbitrary<Policy> = fc
      .tuple(...ruleNames.map((rule) => fc.constantFrom(...allowedActions(rule))))
      .map((actions) => Object.fromEntries(ruleNames.map((rule, index) => [rule, actions[index]])) as Policy);
    // Skipping ends a judgement early, so repairing everything is the longer way.
    const mending: fc.Arbitrary<Policy> = anyPolicy.map(
      (policy) =>
        Object.fromEntries(
          ruleNames.map((rule) => [rule, allowedActions(rule).includes('repair') ? 'repair' : policy[rule]]),
        ) as unknown as Policy,
    );
    const look = fc.record({
      tools: fc.constantFrom('allowed', 'in-turn', 'refused', undefined),
      limit: fc.constantFrom(1, 3, 6, 12, 1_000),
    });
    fc.assert(
      fc.property(
        fc.oneof(anyTurns, likelyTurns),
        fc.oneof(anyPolicy, mending),
        look,
        (turns, policy, given) => {
          const isTooLong = ({ turns: all }: Conversation): boolean =>
            all.reduce((sum, { content }) => sum + (content?.byteLength ?? 0), 0) > given.limit;
          const judge = judgeWith(policy, { ...LOOK, tools: given.tools, isTooLong });
          const first: Judgement = judge(aConversation({ turns }));
          const leavesOut = first.findings.some(({ action }) => action === 'skip' || action === 'fail');
          expect(first.conversation === null).toBe(leavesOut);
          expect(new Set(first.findings.map(({ rule }) => rule)).size).toBe(first.findings.length);
          if (first.conversation === null) return;
          const second = judge(first.conversation);
          expect(second.conversation).toBe(first.conversation);
          expect(second.findings.filter(({ action }) => action !== 'keep')).toEqual([]);
        },
      ),
      { numRuns: 4_000 },
    );
  });
});
