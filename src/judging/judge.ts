import { inspectorOf, type Finding, type InspectOptions } from './checks.js';
import type { Conversation } from '../conversation.js';
import { repair } from './repair.js';
import type { Action, Policy, Rule } from './rules.js';

/** A finding and what is done about it. */
export interface JudgedFinding extends Finding {
  readonly action: Action;
}

/** What becomes of a conversation. */
export interface Judgement {
  /** What was found, once per rule; nothing that is ignored. */
  readonly findings: readonly JudgedFinding[];
  /** As it is to be written, or null when it is left out. */
  readonly conversation: Conversation | null;
}

/** A repair can bring out the next flaw: a user turn that is left out leaves two answers in a row. */
const MOST_ROUNDS = 4;

/** Inspects conversations and applies the policy; `look` says what of the text is worth scanning. */
export function judgeWith(policy: Policy, look: InspectOptions): (conversation: Conversation) => Judgement {
  const options: InspectOptions = {
    tools: look.tools,
    reserved: policy['reserved-text'] === 'ignore' ? undefined : look.reserved,
    controlCharacters: policy['control-character'] !== 'ignore',
    isTooLong: policy['over-token-limit'] === 'ignore' ? undefined : look.isTooLong,
  };
  const inspect = inspectorOf(options);
  return (original) => {
    let conversation = original;
    const judged = new Map<Rule, JudgedFinding>();
    for (let round = 0; ; round++) {
      const findings = inspect(conversation).filter(({ rule }) => policy[rule] !== 'ignore');
      for (const { rule, turn } of findings) {
        if (judged.has(rule)) continue;
        // A repair numbers the turns anew; what it brings out has no number that anybody could look up.
        const place = turn === undefined || round > 0 ? {} : { turn };
        judged.set(rule, { rule, ...place, action: policy[rule] });
      }
      const leavesOut = findings.some(({ rule }) => policy[rule] === 'skip' || policy[rule] === 'fail');
      if (leavesOut) return { findings: [...judged.values()], conversation: null };
      const repairs = new Set(findings.map(({ rule }) => rule).filter((rule) => policy[rule] === 'repair'));
      if (repairs.size === 0) return { findings: [...judged.values()], conversation };
      if (round === MOST_ROUNDS)
        throw new Error(`repairs of conversation ${original.id} do not come to an end`);
      conversation = repair(conversation, repairs, options);
    }
  };
}
