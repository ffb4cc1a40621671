import { createRequire } from 'node:module';
import type { Conversation } from '../conversation.js';

/** Longest piece that is given to the tokenizer at once, in UTF-16 units: its time grows with the square of unbroken runs. */
const PIECE = 2_000;

/** Which encoding counts; other models differ, on Chinese text by a fifth and more. */
export const TOKEN_ENCODING = 'o200k_base';

export type CountTokens = (text: string) => number;

/**
 * Loads the tokenizer, which takes about a third of a second and 30 MB, so only when asked.
 *
 * Text that reads like a mark of the tokenizer (`<|endoftext|>`) is counted as text. Long text is cut at white space, an
 * unbroken run wherever a piece is full; a count can therefore be a token too high per cut, never too low by more.
 */
export async function loadTokenCounter(): Promise<CountTokens> {
  return countWith(await import('gpt-tokenizer/encoding/o200k_base'));
}

/**
 * The same for a limit that few conversations come near: the tokenizer is loaded, at one go, by the first text that has
 * to be counted, and nearly always not at all.
 */
export function lazyTokenCounter(): CountTokens {
  let count: CountTokens | undefined;
  return (text) => {
    count ??= countWith(createRequire(import.meta.url)('gpt-tokenizer/encoding/o200k_base') as Tokenizer);
    return count(text);
  };
}

type Tokenizer = Pick<typeof import('gpt-tokenizer/encoding/o200k_base'), 'countTokens'>;

function countWith({ countTokens }: Tokenizer): CountTokens {
  const options = { disallowedSpecial: new Set<string>() };
  return (text) => {
    let tokens = 0;
    for (const piece of piecesOf(text)) tokens += countTokens(piece, options);
    return tokens;
  };
}

function* piecesOf(text: string): Generator<string> {
  let start = 0;
  while (text.length - start > PIECE) {
    // In the piece alone: a search through the whole text would take the square of its length.
    const space = text.slice(start, start + PIECE + 1).lastIndexOf(' ');
    let end = start + (space > 0 ? space : PIECE);
    // Never between the halves of one character.
    if (/[\uD800-\uDBFF]/.test(text[end - 1] as string)) end--;
    yield text.slice(start, end);
    start = end;
  }
  yield text.slice(start);
}

/** Counts of one kind over a run. */
export interface TokenSpread {
  readonly total: number;
  readonly min: number;
  readonly median: number;
  readonly p95: number;
  readonly max: number;
}

/** What a run's conversations weigh. */
export interface TokenStatistics {
  readonly encoding: string;
  readonly conversation: TokenSpread;
  readonly byRole: Readonly<Record<string, TokenSpread>>;
  /** Conversations over the target's limit, and that limit; null where there is none. */
  readonly overLimit: { readonly limit: number; readonly count: number } | null;
}

/** Gathers token counts; four bytes per conversation and role. */
export class TokenTally {
  readonly #count: CountTokens;
  readonly #limit: number | undefined;
  readonly #conversations: number[] = [];
  readonly #roles = new Map<string, number[]>();
  #over = 0;

  constructor(count: CountTokens, limit: number | undefined) {
    this.#count = count;
    this.#limit = limit;
  }

  add({ turns }: Conversation): void {
    const byRole = new Map<string, number>();
    let total = 0;
    for (const { role, content } of turns) {
      const tokens = content === null ? 0 : this.#count(content.toString());
      total += tokens;
      byRole.set(role, (byRole.get(role) ?? 0) + tokens);
    }
    this.#conversations.push(total);
    for (const [role, tokens] of byRole) {
      const counts = this.#roles.get(role);
      if (counts === undefined) this.#roles.set(role, [tokens]);
      else counts.push(tokens);
    }
    if (this.#limit !== undefined && total > this.#limit) this.#over++;
  }

  statistics(): TokenStatistics {
    return {
      encoding: TOKEN_ENCODING,
      conversation: spreadOf(this.#conversations),
      byRole: Object.fromEntries([...this.#roles].map(([role, counts]) => [role, spreadOf(counts)])),
      overLimit: this.#limit === undefined ? null : { limit: this.#limit, count: this.#over },
    };
  }
}

function spreadOf(counts: readonly number[]): TokenSpread {
  const sorted = counts.toSorted((a, b) => a - b);
  // Nearest rank: the smallest count that at least so many in a hundred do not exceed.
  const at = (percent: number): number =>
    sorted[Math.max(Math.ceil((percent / 100) * sorted.length) - 1, 0)] ?? 0;
  return {
    total: sorted.reduce((sum, count) => sum + count, 0),
    min: at(0),
    median: at(50),
    p95: at(95),
    max: at(100),
  };
}

/**
 * Whether a conversation is over a limit. Every token is at least a byte, so most are known to fit without counting.
 */
export function overTokenLimit(limit: number, count: CountTokens): (conversation: Conversation) => boolean {
  return ({ turns }) => {
    const bytes = turns.reduce((sum, { content }) => sum + (content?.byteLength ?? 0), 0);
    if (bytes <= limit) return false;
    let tokens = 0;
    for (const { content } of turns) {
      tokens += content === null ? 0 : count(content.toString());
      if (tokens > limit) return true;
    }
    return false;
  };
}
