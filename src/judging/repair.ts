import { isBlank } from '../bytes/blank.js';
import { Text } from '../bytes/text.js';
import type { InspectOptions } from './checks.js';
import type { Conversation, Turn } from '../conversation.js';
import type { Rule } from './rules.js';

const BLANK_LINE = Buffer.from('\n\n');

/** Each repair makes turns of turns; they are applied in this order. */
const REPAIRS: Partial<Record<Rule, (turns: readonly Turn[]) => readonly Turn[]>> = {
  'tool-turn': (turns) => turns.map(flattened),
  'blank-content': (turns) =>
    turns.filter(({ role, content }) => role === 'assistant' || content === null || !isBlank(content)),
  'late-system': (turns) => [...turns.filter(isSystem), ...turns.filter((turn) => !isSystem(turn))],
  'several-system': (turns) => joined(turns, ({ role }) => role === 'system'),
  'starts-with-assistant': (turns) => {
    const start = turns.findIndex(({ role }) => role === 'user');
    return turns.filter((turn, index) => isSystem(turn) || index >= start);
  },
  'ends-with-user': (turns) => turns.slice(0, turns.findLastIndex(({ role }) => role === 'assistant') + 1),
  'equal-neighbours': (turns) => joined(turns, ({ role }) => role !== 'system'),
};

/** The conversation with the given rules repaired, its turns numbered anew; everything else stays as it is. */
export function repair(
  conversation: Conversation,
  rules: ReadonlySet<Rule>,
  { isTooLong }: Pick<InspectOptions, 'isTooLong'> = {},
): Conversation {
  let turns: readonly Turn[] = conversation.turns;
  for (const [rule, apply] of Object.entries(REPAIRS)) {
    if (rules.has(rule as Rule)) turns = apply(turns);
  }
  if (rules.has('over-token-limit') && isTooLong !== undefined) {
    turns = shortened(turns, (shorter) => isTooLong({ ...conversation, turns: shorter }));
  }
  // Of the parameters, a target's row shows nothing but the tools.
  const parameters = rules.has('tool-schema') ? null : conversation.parameters;
  // Stored counts belong to the turns as they were.
  return {
    ...conversation,
    parameters,
    turnTokens: null,
    turns: turns.map((turn, index) => ({ ...turn, number: index + 1 })),
  };
}

/** Never inside a message: back to the answer before the last one, until it fits. */
function shortened(turns: readonly Turn[], isTooLong: (turns: readonly Turn[]) => boolean): readonly Turn[] {
  let rest = turns;
  while (rest.length > 0 && isTooLong(rest)) {
    rest = rest.slice(0, rest.slice(0, -1).findLastIndex(({ role }) => role === 'assistant') + 1);
  }
  return rest;
}

function isSystem({ role }: Turn): boolean {
  return role === 'system';
}

/** Neighbours of one role as one turn, where `which` says so. */
function joined(turns: readonly Turn[], which: (turn: Turn) => boolean): Turn[] {
  const result: Turn[] = [];
  for (const turn of turns) {
    const last = result.at(-1);
    if (last !== undefined && last.role === turn.role && which(turn)) {
      result[result.length - 1] = { ...last, content: joinedText(last.content, turn.content) };
    } else {
      result.push(turn);
    }
  }
  return result;
}

function joinedText(first: Text | null, second: Text | null): Text | null {
  if (first === null || second === null) return first ?? second;
  return new Text(Buffer.concat([first.bytes(), BLANK_LINE, second.bytes()]));
}

/** What a tool said, told by the side that saw it. */
function flattened(turn: Turn): Turn {
  if (turn.role === 'tool_call') return { ...turn, role: 'assistant' };
  return turn.role === 'tool' ? { ...turn, role: 'user' } : turn;
}
