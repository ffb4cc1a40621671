import type { Conversation } from '../conversation.js';
import { LoraExportError } from '../errors.js';
import type { JudgedFinding, Judgement } from './judge.js';
import { ruleNames, RULES, type Rule } from './rules.js';

/** How many ids are kept per rule for the summary and the audit row; `--report` lists all of them as they come. */
const LISTED = 1_000;

/** One rule's share of a run. */
export interface RuleCount {
  /** Conversations concerned. */
  readonly count: number;
  /** Business ids of the first of them, at most 1,000. */
  readonly ids: string[];
}
export type RuleCounts = Partial<Record<Rule, RuleCount>>;

/** What a run did, in conversations. `matched = written + skipped`, or the run fails. */
export interface Counts {
  readonly matched: number;
  readonly written: number;
  readonly skipped: number;
  /** Turns in the conversations written, as written. */
  readonly turns: number;
  readonly rows: number;
  /** Each skipped conversation counts once, under the weightiest rule that it broke. */
  readonly skips: RuleCounts;
  /** Put right; one conversation may count under several rules. */
  readonly repairs: RuleCounts;
  /** Written as they are. */
  readonly warnings: RuleCounts;
  /** Left out, and the run fails for them. */
  readonly failures: RuleCounts;
}

/** One line of `--report`: a conversation that was skipped, repaired, or written although something is doubtful. */
export interface ReportLine {
  readonly conversation_id: string;
  readonly id: string;
  readonly action: 'skipped' | 'repaired' | 'warned' | 'failed';
  readonly rule: Rule;
  readonly turn: number | null;
  readonly reason: string;
}

/** Accounts for every conversation of a run. */
export class Tally {
  readonly matched: number;
  written = 0;
  skipped = 0;
  turns = 0;
  /** Rows or documents written: more than conversations when these are expanded. */
  rows = 0;
  readonly skips: RuleCounts = {};
  readonly repairs: RuleCounts = {};
  readonly warnings: RuleCounts = {};
  readonly failures: RuleCounts = {};
  /** The tier that all conversations written share; null when they differ. Undefined before the first. */
  tier: string | null | undefined;

  /** @param matched the conversations that the snapshot's own count promised */
  constructor(matched: number) {
    this.matched = matched;
  }

  get read(): number {
    return this.written + this.skipped;
  }

  /** Counts a conversation with what was decided about it. */
  admit(
    original: Conversation,
    { findings, conversation }: Judgement,
    report?: (line: ReportLine) => void,
  ): void {
    if (findings.length > 0)
      this.#list(original, conversation === null ? [weightiest(findings)] : findings, report);
    if (conversation === null) {
      this.skipped++;
      return;
    }
    this.written++;
    this.turns += conversation.turns.length;
    this.#noteTier(conversation);
  }

  /**
   * The final counts.
   * @throws LoraExportError `E_INCOMPLETE` when the conversations read are not those counted in the same snapshot
   */
  close(): Counts {
    if (this.read !== this.matched) {
      throw new LoraExportError(
        'E_INCOMPLETE',
        `The database counted ${this.matched} conversations but delivered ${this.read}; nothing was published.`,
        {
          hint: 'A policy or view that changes between two reads of one snapshot can do this. Run the export again; if it stays, check the row level security policies.',
        },
      );
    }
    const { matched, written, skipped, turns, rows, skips, repairs, warnings, failures } = this;
    return { matched, written, skipped, turns, rows, skips, repairs, warnings, failures };
  }

  #list(
    { id, conversationId }: Conversation,
    findings: readonly JudgedFinding[],
    report: ((line: ReportLine) => void) | undefined,
  ): void {
    const businessId = conversationId.toString();
    for (const { rule, turn, action } of findings) {
      const [counts, done] = this.#listOf(action);
      add(counts, rule, businessId);
      report?.({
        conversation_id: businessId,
        id,
        action: done,
        rule,
        turn: turn ?? null,
        reason: RULES[rule].means,
      });
    }
  }

  #listOf(action: JudgedFinding['action']): [RuleCounts, ReportLine['action']] {
    if (action === 'skip') return [this.skips, 'skipped'];
    if (action === 'fail') return [this.failures, 'failed'];
    return action === 'repair' ? [this.repairs, 'repaired'] : [this.warnings, 'warned'];
  }

  #noteTier(conversation: Conversation): void {
    if (this.tier === null) return;
    const tier = conversation.tier?.toString() ?? null;
    if (this.tier === undefined) this.tier = tier;
    else if (this.tier !== tier) this.tier = null;
  }
}

/** What a conversation is left out for: of several reasons, the one that the rules name first; a failure before all. */
function weightiest(findings: readonly JudgedFinding[]): JudgedFinding {
  const weight = ({ rule, action }: JudgedFinding): number =>
    ruleNames.indexOf(rule) - (action === 'fail' ? ruleNames.length : 0);
  const [first] = findings
    .filter(({ action }) => action === 'skip' || action === 'fail')
    .toSorted((a, b) => weight(a) - weight(b));
  if (first === undefined) throw new Error('a conversation was left out for no reason');
  return first;
}

function add(counts: RuleCounts, rule: Rule, id: string): void {
  const { count, ids } = counts[rule] ?? { count: 0, ids: [] };
  if (ids.length < LISTED) ids.push(id);
  counts[rule] = { count: count + 1, ids };
}
