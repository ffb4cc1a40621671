import { describe, expect, it } from 'vitest';

import type { Finding } from '../../src/judging/checks.js';
import type { Judgement } from '../../src/judging/judge.js';
import { policyOf, RULES, type Policy } from '../../src/judging/rules.js';
import type { Conversation } from '../../src/conversation.js';
import { Tally, type Counts, type ReportLine } from '../../src/judging/tally.js';
import { aConversation, type ConversationParts } from '../support/conversations.js';

/** What a policy makes of findings; the conversation stays as it is unless it is left out. */
function judged(
  conversation: Conversation,
  findings: readonly Finding[],
  exceptions: Partial<Policy> = {},
): Judgement {
  const policy = policyOf('plain', exceptions);
  const withActions = findings.map((finding) => ({ ...finding, action: policy[finding.rule] }));
  const isLeftOut = withActions.some(({ action }) => action === 'skip' || action === 'fail');
  return { findings: withActions, conversation: isLeftOut ? null : conversation };
}

/** Admits a conversation and returns the lines that were reported. */
function admit(
  tally: Tally,
  findings: readonly Finding[],
  parts: ConversationParts = { conversationId: 'c' },
  exceptions: Partial<Policy> = {},
): ReportLine[] {
  const lines: ReportLine[] = [];
  const conversation = aConversation(parts);
  tally.admit(conversation, judged(conversation, findings, exceptions), (line) => lines.push(line));
  return lines;
}

/** The counts of a run without conversations. */
const NOTHING: Counts = {
  matched: 0,
  written: 0,
  skipped: 0,
  turns: 0,
  rows: 0,
  skips: {},
  repairs: {},
  warnings: {},
  failures: {},
};

describe('a tally', () => {
  it('admits a conversation without findings and counts its turns', () => {
    const tally = new Tally(2);
    expect(admit(tally, [])).toEqual([]);
    admit(tally, [], { turns: ['user: a', 'assistant: b', 'user: c', 'assistant: d'] });
    expect(tally.close()).toEqual({ ...NOTHING, matched: 2, written: 2, turns: 6 });
  });

  it('admits a conversation with warnings, counts it once under each rule and reports each once', () => {
    const tally = new Tally(1);
    const lines = admit(tally, [{ rule: 'equal-neighbours', turn: 2 }, { rule: 'not-a-number' }]);
    expect(tally.close()).toEqual({
      ...NOTHING,
      matched: 1,
      written: 1,
      turns: 2,
      warnings: { 'equal-neighbours': { count: 1, ids: ['c'] }, 'not-a-number': { count: 1, ids: ['c'] } },
    });
    const { id } = aConversation();
    expect(lines).toEqual([
      {
        conversation_id: 'c',
        id,
        action: 'warned',
        rule: 'equal-neighbours',
        turn: 2,
        reason: RULES['equal-neighbours'].means,
      },
      {
        conversation_id: 'c',
        id,
        action: 'warned',
        rule: 'not-a-number',
        turn: null,
        reason: RULES['not-a-number'].means,
      },
    ]);
  });

  it('skips under the weightiest rule alone, and does not count the warnings of what is not written', () => {
    const tally = new Tally(1);
    const lines = admit(tally, [
      { rule: 'equal-neighbours', turn: 1 },
      { rule: 'late-system', turn: 2 },
      { rule: 'blank-content', turn: 4 },
    ]);
    expect(lines.map(({ action, rule, turn }) => [action, rule, turn])).toEqual([
      ['skipped', 'blank-content', 4],
    ]);
    expect(tally.close()).toEqual({
      ...NOTHING,
      matched: 1,
      skipped: 1,
      skips: { 'blank-content': { count: 1, ids: ['c'] } },
    });
  });

  it('counts what was put right apart from what was only listed, and the turns as they are written', () => {
    const tally = new Tally(1);
    const exceptions: Partial<Policy> = { 'equal-neighbours': 'repair', 'blank-content': 'repair' };
    const lines: ReportLine[] = [];
    const original = aConversation({
      conversationId: 'c',
      turns: ['user: a', 'user: b', 'user: ', 'assistant: c'],
    });
    const { findings } = judged(
      original,
      [
        { rule: 'equal-neighbours', turn: 2 },
        { rule: 'blank-content', turn: 3 },
        { rule: 'turn-number-gap' },
      ],
      exceptions,
    );
    const conversation = aConversation({ turns: ['user: a\n\nb', 'assistant: c'] });
    tally.admit(original, { findings, conversation }, (line) => lines.push(line));
    expect(lines.map(({ action, rule, turn }) => [action, rule, turn])).toEqual([
      ['repaired', 'equal-neighbours', 2],
      ['repaired', 'blank-content', 3],
      ['warned', 'turn-number-gap', null],
    ]);
    expect(tally.close()).toEqual({
      ...NOTHING,
      matched: 1,
      written: 1,
      turns: 2,
      repairs: { 'equal-neighbours': { count: 1, ids: ['c'] }, 'blank-content': { count: 1, ids: ['c'] } },
      warnings: { 'turn-number-gap': { count: 1, ids: ['c'] } },
    });
  });

  it('names a failure before every reason to skip, and counts it as left out', () => {
    const tally = new Tally(1);
    const findings: Finding[] = [{ rule: 'no-user' }, { rule: 'turn-number-gap', turn: 4 }];
    const lines = admit(tally, findings, { conversationId: 'c' }, { 'turn-number-gap': 'fail' });
    expect(lines.map(({ action, rule }) => [action, rule])).toEqual([['failed', 'turn-number-gap']]);
    expect(tally.close()).toEqual({
      ...NOTHING,
      matched: 1,
      skipped: 1,
      failures: { 'turn-number-gap': { count: 1, ids: ['c'] } },
    });
  });

  it('closes only when every conversation that was counted came: matched = written + skipped, per reason', () => {
    const tally = new Tally(5);
    for (const findings of [
      [],
      [{ rule: 'no-turns' }],
      [{ rule: 'no-user' }],
      [{ rule: 'no-user' }],
      [],
    ] as const) {
      admit(tally, findings);
    }
    const { matched, written, skipped, skips } = tally.close();
    expect(matched).toBe(written + skipped);
    expect(Object.values(skips).reduce((sum, { count }) => sum + count, 0)).toBe(skipped);
  });

  it.each([
    ['fewer', 3],
    ['more', 1],
  ])('refuses to close when %s came than the database counted', (_what, matched) => {
    const tally = new Tally(matched);
    admit(tally, []);
    admit(tally, [{ rule: 'no-turns' }]);
    expect(tally.read).toBe(2);
    expect(() => tally.close()).toThrow(
      expect.objectContaining({
        code: 'E_INCOMPLETE',
        message: expect.stringContaining(`${matched}`) as string,
      }),
    );
  });

  it('counts every conversation but keeps the ids of the first thousand per rule', () => {
    const tally = new Tally(1_500);
    for (let index = 0; index < 1_500; index++) {
      admit(tally, [{ rule: 'no-turns' }], { conversationId: `c${index}` });
    }
    const kept = tally.close().skips['no-turns'];
    expect(kept?.count).toBe(1_500);
    expect(kept?.ids).toHaveLength(1_000);
    expect(kept?.ids.at(-1)).toBe('c999');
  });
});

describe('the tier that all written conversations share', () => {
  it.each<[string, (string | null)[], string | null | undefined]>([
    ['is unknown before the first', [], undefined],
    ['is that of the only one', ['edge'], 'edge'],
    ['is that of all', ['edge', 'edge'], 'edge'],
    ['is none when they differ', ['edge', 'template'], null],
    ['stays none once they differed', ['edge', 'template', 'edge'], null],
    ['is none when one has none', ['edge', null], null],
    ['is none when the first has none', [null, 'edge'], null],
  ])('%s', (_what, tiers, expected) => {
    const tally = new Tally(tiers.length);
    for (const tier of tiers) admit(tally, [], { tier });
    expect(tally.tier).toBe(expected);
  });

  it('is not touched by skipped conversations', () => {
    const tally = new Tally(2);
    admit(tally, [{ rule: 'no-turns' }], { tier: 'edge' });
    admit(tally, [], { tier: 'template' });
    expect(tally.tier).toBe('template');
  });
});
