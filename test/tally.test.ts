import { describe, expect, it } from 'vitest';

import { RULES, type Finding } from '../src/checks.js';
import { Tally, type ReportLine } from '../src/tally.js';
import { aConversation } from './support/conversations.js';

function admitted(tally: Tally, findings: readonly Finding[], conversationId = 'c'): [boolean, ReportLine[]] {
  const lines: ReportLine[] = [];
  const conversation = aConversation({ conversationId });
  return [tally.admit(conversation, findings, (line) => lines.push(line)), lines];
}

describe('a tally', () => {
  it('admits a conversation without findings and counts its turns', () => {
    const tally = new Tally(2);
    expect(admitted(tally, [])).toEqual([true, []]);
    expect(
      tally.admit(aConversation({ turns: ['user: a', 'assistant: b', 'user: c', 'assistant: d'] }), []),
    ).toBe(true);
    expect(tally.close()).toEqual({ matched: 2, written: 2, skipped: 0, turns: 6, skips: {}, warnings: {} });
  });

  it('admits a conversation with warnings, counts it once under each rule and reports each once', () => {
    const tally = new Tally(1);
    const [admits, lines] = admitted(tally, [
      { rule: 'equal-neighbours', turn: 2 },
      { rule: 'equal-neighbours', turn: 3 },
      { rule: 'not-a-number' },
    ]);
    expect(admits).toBe(true);
    expect(tally.close()).toEqual({
      matched: 1,
      written: 1,
      skipped: 0,
      turns: 2,
      skips: {},
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
    const [admits, lines] = admitted(tally, [
      { rule: 'equal-neighbours', turn: 1 },
      { rule: 'late-system', turn: 2 },
      { rule: 'blank-content', turn: 4 },
      { rule: 'blank-content', turn: 3 },
    ]);
    expect(admits).toBe(false);
    expect(lines.map(({ action, rule, turn }) => [action, rule, turn])).toEqual([
      ['skipped', 'blank-content', 4],
    ]);
    expect(tally.close()).toEqual({
      matched: 1,
      written: 0,
      skipped: 1,
      turns: 0,
      skips: { 'blank-content': { count: 1, ids: ['c'] } },
      warnings: {},
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
      tally.admit(aConversation(), findings);
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
    tally.admit(aConversation(), []);
    tally.admit(aConversation(), [{ rule: 'no-turns' }]);
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
      tally.admit(aConversation({ conversationId: `c${index}` }), [{ rule: 'no-turns' }]);
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
    for (const tier of tiers) tally.admit(aConversation({ tier }), []);
    expect(tally.tier).toBe(expected);
  });

  it('is not touched by skipped conversations', () => {
    const tally = new Tally(2);
    tally.admit(aConversation({ tier: 'edge' }), [{ rule: 'no-turns' }]);
    tally.admit(aConversation({ tier: 'template' }), []);
    expect(tally.tier).toBe('template');
  });
});
