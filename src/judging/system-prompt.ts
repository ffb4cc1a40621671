import { Text } from '../bytes/text.js';
import type { Conversation } from '../conversation.js';

/** Where a system prompt comes from: the same text for all, or a path of keys below `parameters`, such as `persona.prompt`. */
export type SystemPromptSource = { readonly text: string } | { readonly parameter: string };

/** How many conversations got their prompt, and how many did not and why. */
export interface SystemPromptCounts {
  added: number;
  /** A system turn is stored: there is never a second one. */
  alreadyThere: number;
  /** `parameters` is not JSON, or what the path leads to is missing, not text, or blank. */
  missing: number;
}

export interface SystemPrompt {
  apply(conversation: Conversation): Conversation;
  /** Counts up with each call of `apply`. */
  readonly counts: Readonly<SystemPromptCounts>;
}

/** Puts a system turn first where a conversation has none; the other turns are numbered after it. */
export function withSystemPrompt(source: SystemPromptSource): SystemPrompt {
  const counts: SystemPromptCounts = { added: 0, alreadyThere: 0, missing: 0 };
  const promptOf = 'text' in source ? fixed(source.text) : fromParameter(source.parameter.split('.'));
  return {
    counts,
    apply(conversation) {
      if (conversation.turns.some(({ role }) => role === 'system')) {
        counts.alreadyThere++;
        return conversation;
      }
      const content = promptOf(conversation);
      if (content === null) {
        counts.missing++;
        return conversation;
      }
      counts.added++;
      // A gap or a repeated number must stay visible to the checks, so the numbers only move up by one.
      const turns = conversation.turns.map((turn) => ({ ...turn, number: turn.number + 1 }));
      return {
        ...conversation,
        turnTokens: withoutFirst(conversation.turnTokens),
        turns: [{ number: 1, role: 'system', content }, ...turns],
      };
    },
  };
}

/** Stored counts stay with their turns: the new first one has none. */
function withoutFirst(turnTokens: Text | null): Text | null {
  if (turnTokens === null) return null;
  return Text.of(JSON.stringify([null, ...(JSON.parse(turnTokens.toString()) as readonly unknown[])]));
}

function fixed(text: string): () => Text | null {
  const content = isBlank(text) ? null : Text.of(text);
  return () => content;
}

function fromParameter(path: readonly string[]): (conversation: Conversation) => Text | null {
  return ({ parameters }) => {
    let value: unknown = parameters === null ? null : parsed(parameters.toString());
    for (const key of path) {
      if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return null;
      value = (value as Record<string, unknown>)[key];
    }
    return typeof value === 'string' && !isBlank(value) ? Text.of(value) : null;
  };
}

function isBlank(text: string): boolean {
  return text.trim() === '';
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return null;
  }
}
