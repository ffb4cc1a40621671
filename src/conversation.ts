import type { Text } from './bytes/text.js';

/** The roles that training data knows. Databases hold others too; see {@link Turn.role}. */
export const ROLES = ['system', 'user', 'assistant'] as const;
export type Role = (typeof ROLES)[number];

/** One message of a conversation. */
export interface Turn {
  /** `turn_number`, normally 1, 2, 3 … */
  readonly number: number;
  /** As stored: usually one of {@link ROLES}, but any text is possible until the checks have run. */
  readonly role: string;
  /** `null` where the database holds NULL. An empty text is not the same. */
  readonly content: Text | null;
}

/**
 * One conversation with all of its turns, as every check, format and target sees it.
 *
 * Text members are views over bytes ({@link Text}). A member that the run did not ask the database for
 * ({@link ConversationField}), that the source table lacks, or that is NULL, is `null`.
 */
export interface Conversation {
  /** Primary key (`conversations.id`), a UUID as text. */
  readonly id: string;
  /** Business key (`conversations.conversation_id`); the primary key where the table has none. */
  readonly conversationId: Text;
  readonly title: Text | null;
  readonly status: Text | null;
  readonly tier: Text | null;
  readonly persona: Text | null;
  readonly emotion: Text | null;
  readonly topic: Text | null;
  /** A decimal number as PostgreSQL prints it, unscaled, such as `8.5`. */
  readonly qualityScore: Text | null;
  /** The stored number of turns; it may be stale, so summaries count {@link turns} instead. */
  readonly totalTurns: Text | null;
  /** The stored number of tokens, as a decimal integer. */
  readonly totalTokens: Text | null;
  readonly parentId: Text | null;
  readonly parentType: Text | null;
  /** ISO 8601 in UTC with milliseconds, such as `2025-10-29T10:00:00.000Z`. */
  readonly createdAt: Text | null;
  readonly updatedAt: Text | null;
  /** JSON text of an array of strings. */
  readonly category: Text | null;
  /** JSON text, as stored. */
  readonly parameters: Text | null;
  /** JSON text, as stored. */
  readonly reviewHistory: Text | null;
  /** JSON text of an array: the stored number of tokens of each turn, in the order of {@link turns}; 0 is "not measured". */
  readonly turnTokens: Text | null;
  /** In order of `turn_number`. */
  readonly turns: readonly Turn[];
}

/** The members of {@link Conversation} that are read only when a format asks for them. */
export type ConversationField = Exclude<keyof Conversation, 'id' | 'conversationId' | 'turns'>;
