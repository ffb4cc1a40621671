import { RULES, type Finding, type Rule } from './checks.js';
import type { Conversation } from './conversation.js';
import { LoraExportError } from './errors.js';

/** How many ids are kept per rule for the summary and the audit row; `--report` lists all of them as they come. */
const LISTED = 1_000;

/** One rule's share of a run. */
export interface RuleCount {
  /** Conversations concerned. */
  readonly count: number;
  /** Business ids of the first of them, at most 1,000. */
  readonly ids: string[];
}

/** What a run did, in conversations. `matched = written + skipped`, or the run fails. */
export interface Counts {
  readonly matched: number;
  readonly written: number;
  readonly skipped: number;
  /** Turns in the conversations written. */
  readonly turns: number;
  /** Each skipped conversation counts once, under the first rule that it broke. */
  readonly skips: Partial<Record<Rule, RuleCount>>;
  /** Written all the same; one conversation may count under several rules. */
  readonly warnings: Partial<Record<Rule, RuleCount>>;
}

/** One line of `--report`: a conversation that was skipped, or written with a warning. */
export interface ReportLine {
  readonly conversation_id: string;
  readonly id: string;
  readonly action: 'skipped' | 'warned';
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
  readonly skips: Partial<Record<Rule, RuleCount>> = {};
  readonly warnings: Partial<Record<Rule, RuleCount>> = {};
  /** The tier that all conversations written share; null when they differ. Undefined before the first. */
  tier: string | null | undefined;

  /** @param matched the conversations that the snapshot's own count promised */
  constructor(matched: number) {
    this.matched = matched;
  }

  get read(): number {
    return this.written + this.skipped;
  }

  /** Counts a conversation with what was found in it, and says whether it is to be written. */
  admit(
    conversation: Conversation,
    findings: readonly Finding[],
    report?: (line: ReportLine) => void,
  ): boolean {
    const reject = findings.length === 0 ? undefined : weightiest(findings);
    for (const finding of reject === undefined ? onePerRule(findings) : [reject]) {
      const id = conversation.conversationId.toString();
      add(reject === undefined ? this.warnings : this.skips, finding.rule, id);
      report?.({
        conversation_id: id,
        id: conversation.id,
        action: reject === undefined ? 'warned' : 'skipped',
        rule: finding.rule,
        turn: finding.turn ?? null,
        reason: RULES[finding.rule].means,
      });
    }
    if (reject !== undefined) {
      this.skipped++;
      return false;
    }
    this.written++;
    this.turns += conversation.turns.length;
    this.#noteTier(conversation);
    return true;
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
    const { matched, written, skipped, turns, skips, warnings } = this;
    return { matched, written, skipped, turns, skips, warnings };
  }

  #noteTier(conversation: Conversation): void {
    if (this.tier === null) return;
    const tier = conversation.tier?.toString() ?? null;
    if (this.tier === undefined) this.tier = tier;
    else if (this.tier !== tier) this.tier = null;
  }
}

const ORDER = Object.keys(RULES) as Rule[];

/** What a conversation is skipped for: of several reasons, the one that the rules name first. */
function weightiest(findings: readonly Finding[]): Finding | undefined {
  return findings
    .filter(({ rule }) => RULES[rule].action === 'skip')
    .toSorted((a, b) => ORDER.indexOf(a.rule) - ORDER.indexOf(b.rule))[0];
}

function onePerRule(findings: readonly Finding[]): Finding[] {
  return findings.filter(({ rule }, index) => findings.findIndex((other) => other.rule === rule) === index);
}

function add(counts: Partial<Record<Rule, RuleCount>>, rule: Rule, id: string): void {
  const { count, ids } = counts[rule] ?? { count: 0, ids: [] };
  if (ids.length < LISTED) ids.push(id);
  counts[rule] = { count: count + 1, ids };
}
