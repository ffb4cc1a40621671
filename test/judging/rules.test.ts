import { describe, expect, it } from 'vitest';

import {
  ACTIONS,
  allowedActions,
  policyOf,
  ruleNames,
  RULES,
  type Action,
  type Rule,
} from '../../src/judging/rules.js';

const REPAIRABLE: readonly Rule[] = [
  'tool-turn',
  'tool-schema',
  'blank-content',
  'starts-with-assistant',
  'late-system',
  'over-token-limit',
  'ends-with-user',
  'equal-neighbours',
  'several-system',
];

const NOTHING_TO_WRITE: readonly Rule[] = [
  'no-turns',
  'no-assistant',
  'no-user',
  'no-counterpart',
  'unknown-role',
  'null-content',
  'blank-answer',
];

describe.each(ruleNames)('the rule %s', (rule) => {
  it('has defaults that it allows', () => {
    expect(allowedActions(rule)).toContain(RULES[rule].plain);
    expect(allowedActions(rule)).toContain(RULES[rule].strict);
  });

  it('can always be skipped, and made fatal', () => {
    expect(allowedActions(rule)).toEqual(expect.arrayContaining<Action>(['skip', 'fail']));
  });

  it('can be repaired exactly when it says how', () => {
    expect(allowedActions(rule).includes('repair')).toBe('repair' in RULES[rule]);
    expect(allowedActions(rule).includes('repair')).toBe(REPAIRABLE.includes(rule));
  });

  it('can be ignored or kept unless it leaves nothing to write', () => {
    const leavesOut = NOTHING_TO_WRITE.includes(rule);
    expect(allowedActions(rule).includes('keep')).toBe(!leavesOut);
    expect(allowedActions(rule).includes('ignore')).toBe(!leavesOut);
  });

  it('lists its actions in the order of the registry', () => {
    expect(allowedActions(rule)).toEqual(ACTIONS.filter((action) => allowedActions(rule).includes(action)));
  });

  it('changes nothing without a target', () => {
    expect(RULES[rule].plain).not.toBe('repair');
  });

  it('completes the sentence "the conversation …"', () => {
    expect(RULES[rule].means).toMatch(/^(has|is|starts|ends|was|cannot|could|makes) .+[^.]$/);
  });
});

describe('a policy', () => {
  it('names every rule once', () => {
    expect(Object.keys(policyOf('plain'))).toEqual(ruleNames);
    expect(Object.keys(policyOf('strict'))).toEqual(ruleNames);
  });

  it('is the defaults with its exceptions', () => {
    const policy = policyOf('strict', { 'late-system': 'repair' });
    expect(policy['late-system']).toBe('repair');
    expect(policyOf('strict')['late-system']).toBe('skip');
    expect({ ...policy, 'late-system': 'skip' }).toEqual(policyOf('strict'));
  });

  // Requirement D6 and the table of imperfect conversations in docs: what a target's file never holds.
  it.each<[Rule, Action]>([
    ['no-turns', 'skip'],
    ['no-assistant', 'skip'],
    ['ends-with-user', 'repair'],
    ['starts-with-assistant', 'skip'],
    ['equal-neighbours', 'repair'],
    ['late-system', 'skip'],
    ['several-system', 'repair'],
    ['blank-content', 'repair'],
    ['blank-answer', 'skip'],
    ['tool-turn', 'skip'],
    ['reserved-text', 'keep'],
    ['over-token-limit', 'keep'],
  ])('for a target does this about %s: %s', (rule, action) => {
    expect(policyOf('strict')[rule]).toBe(action);
  });
});
