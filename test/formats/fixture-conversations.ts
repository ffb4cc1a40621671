import { readdirSync, readFileSync } from 'node:fs';

import { inspect } from '../../src/judging/checks.js';
import type { Conversation } from '../../src/conversation.js';
import { RULES } from '../../src/judging/rules.js';
import { aConversation, type ConversationParts, type TurnParts } from '../support/conversations.js';

/** A line of the files in `fixtures` and of the data sets, as far as a format shows it. */
export interface FixtureLine {
  readonly conversation_id: string;
  readonly turns: readonly { role: string; content: string | null; turn_number?: number }[];
  readonly category?: readonly string[] | null;
  readonly parameters?: object | null;
  readonly review_history?: object[] | null;
  readonly created_at?: string | null;
  readonly updated_at?: string | null;
  readonly quality_score?: number | null;
  readonly [member: string]: unknown;
}

const FIXTURES = new URL('../../fixtures/', import.meta.url);

/** The oddities and the first of the ordinary conversations, in the order of file names; some must be skipped. */
export function fixtureLines(): FixtureLine[] {
  const demo = readFileSync(new URL('demo/debt.jsonl', FIXTURES), 'utf8').split('\n').slice(0, 3);
  const oddities = readdirSync(new URL('oddities/', FIXTURES))
    .toSorted()
    .map((name) => readFileSync(new URL(`oddities/${name}`, FIXTURES), 'utf8'));
  return [...demo, ...oddities].map((text) => JSON.parse(text) as FixtureLine);
}

export function isWritten(conversation: Conversation): boolean {
  return inspect(conversation).every(({ rule }) => RULES[rule].plain !== 'skip');
}

/** The conversation as the database would deliver it. */
export function fromLine(line: FixtureLine): Conversation {
  const json = (value: unknown): string | null =>
    value === null || value === undefined ? null : JSON.stringify(value);
  const text = (member: string): string | null => (typeof line[member] === 'string' ? line[member] : null);
  const instant = (value: string | null | undefined): string | null =>
    typeof value === 'string' ? new Date(value).toISOString() : null;
  const parts: ConversationParts = {
    conversationId: line.conversation_id,
    title: text('title'),
    status: text('status'),
    tier: text('tier'),
    persona: text('persona'),
    emotion: text('emotion'),
    topic: text('topic'),
    qualityScore: json(line.quality_score),
    parentId: text('parent_id'),
    parentType: text('parent_type'),
    category: json(line.category),
    parameters: json(line.parameters),
    reviewHistory: json(line.review_history),
    createdAt: instant(line.created_at),
    updatedAt: instant(line.updated_at),
    turns: line.turns.map(({ role, content, turn_number: number }, index): TurnParts => ({
      number: number ?? index + 1,
      role,
      content,
    })),
  };
  return aConversation(parts);
}
