import * as fc from 'fast-check';
import { countTokens } from 'gpt-tokenizer/encoding/o200k_base';
import { beforeAll, describe, expect, it } from 'vitest';

import { repair } from '../../src/judging/repair.js';
import type { Rule } from '../../src/judging/rules.js';
import {
  lazyTokenCounter,
  loadTokenCounter,
  overTokenLimit,
  TOKEN_ENCODING,
  TokenTally,
  type CountTokens,
} from '../../src/judging/tokens.js';
import { aConversation, HOSTILE_TEXTS } from '../support/conversations.js';
import { hostileStrings } from '../support/hostile-strings.js';

let count: CountTokens;
beforeAll(async () => {
  count = await loadTokenCounter();
});

const asText = { disallowedSpecial: new Set<string>() };

it('counts the same when the tokenizer is loaded by the first text', () => {
  const lazily = lazyTokenCounter();
  for (const text of ['', 'hello world', '<|endoftext|>', 'Übermut 中文 '.repeat(500)]) {
    expect(lazily(text)).toBe(count(text));
  }
});

describe('the number of tokens', () => {
  it.each([
    ['', 0],
    ['hello world', 2],
    ['Where is order 7?', countTokens('Where is order 7?')],
    ['债券是什么？', countTokens('债券是什么？')],
  ])('of %j is %i', (text, tokens) => {
    expect(count(text)).toBe(tokens);
  });

  it('is that of the published encoding for text that needs no cutting', () => {
    for (const text of HOSTILE_TEXTS) expect(count(text)).toBe(countTokens(text, asText));
    fc.assert(
      fc.property(hostileStrings(8), (text) => {
        expect(count(text)).toBe(countTokens(text, asText));
      }),
      { numRuns: 100 },
    );
  });

  it.each(['<|endoftext|>', 'a <|im_end|> b', '<|fim_suffix|>', '<|endofprompt|><|endoftext|>'])(
    'counts the marks in %s as the text they are',
    (text) => {
      expect(count(text)).toBe(countTokens(text, asText));
      expect(count(text)).toBeGreaterThan(2);
    },
  );

  it('of long prose is that of the whole, although it is counted in pieces', () => {
    const sentence = 'A bond is a loan to an issuer, who pays interest until it is due. ';
    const text = sentence.repeat(500);
    expect(text.length).toBeGreaterThan(30_000);
    expect(count(text)).toBe(countTokens(text, asText));
  });

  it('is at most one too high for each cut through a word', () => {
    const text = 'abcdefghij0123456789'.repeat(500);
    const exact = countTokens(text, asText);
    expect(count(text)).toBeGreaterThanOrEqual(exact);
    expect(count(text)).toBeLessThanOrEqual(exact + text.length / 2_000);
  });

  it('never cuts a character in two', () => {
    // Pieces end at even places: an odd start puts every pair across one.
    for (const lead of ['', 'x']) {
      const text = lead + '\u{1f469}'.repeat(3_000);
      const halves = count(lead) + 3_000 * count('\u{1f469}');
      expect(count(text)).toBeLessThanOrEqual(halves);
      expect(count(text)).toBeGreaterThanOrEqual(countTokens(text, asText));
    }
  });

  it('of a million characters without a space is found within the time of a test', () => {
    expect(count('a'.repeat(1_000_000))).toBeGreaterThan(10_000);
    expect(count('QUJD'.repeat(250_000))).toBeGreaterThan(10_000);
    expect(count('=\n'.repeat(100_000))).toBeGreaterThan(1_000);
  }, 60_000);
});

describe('a spread', () => {
  /** Counts characters, so that the numbers can be chosen. */
  const perCharacter: CountTokens = (text) => text.length;

  function tallyOf(lengths: readonly number[], limit?: number) {
    const tally = new TokenTally(perCharacter, limit);
    for (const length of lengths)
      tally.add(aConversation({ turns: [{ role: 'assistant', content: 'x'.repeat(length) }] }));
    return tally.statistics();
  }

  it.each([
    [[], { total: 0, min: 0, median: 0, p95: 0, max: 0 }],
    [[7], { total: 7, min: 7, median: 7, p95: 7, max: 7 }],
    [[9, 1], { total: 10, min: 1, median: 1, p95: 9, max: 9 }],
    [[3, 1, 2], { total: 6, min: 1, median: 2, p95: 3, max: 3 }],
    [[10, 9, 100, 2], { total: 121, min: 2, median: 9, p95: 100, max: 100 }],
    [
      Array.from({ length: 100 }, (_, index) => 100 - index),
      { total: 5_050, min: 1, median: 50, p95: 95, max: 100 },
    ],
    [
      Array.from({ length: 20 }, (_, index) => index + 1),
      { total: 210, min: 1, median: 10, p95: 19, max: 20 },
    ],
  ])('of %j', (lengths, expected) => {
    expect(tallyOf(lengths).conversation).toEqual(expected);
  });

  it('is told per conversation and per role, each role over the conversations that have it', () => {
    const tally = new TokenTally(perCharacter, undefined);
    tally.add(
      aConversation({ turns: ['system: 123', 'user: 1', 'assistant: 12', 'user: 1234', 'assistant: 1'] }),
    );
    tally.add(aConversation({ turns: ['user: 12', 'assistant: 1234567'] }));
    expect(tally.statistics()).toEqual({
      encoding: TOKEN_ENCODING,
      conversation: { total: 20, min: 9, median: 9, p95: 11, max: 11 },
      byRole: {
        system: { total: 3, min: 3, median: 3, p95: 3, max: 3 },
        user: { total: 7, min: 2, median: 2, p95: 5, max: 5 },
        assistant: { total: 10, min: 3, median: 3, p95: 7, max: 7 },
      },
      overLimit: null,
    });
  });

  it('counts the conversations over the limit, and not those at it', () => {
    expect(tallyOf([4, 5, 6, 7], 5).overLimit).toEqual({ limit: 5, count: 2 });
    expect(tallyOf([4], 5).overLimit).toEqual({ limit: 5, count: 0 });
  });
});

describe('a conversation over a limit of tokens', () => {
  it('has more of them, in all turns together', () => {
    const conversation = aConversation({ turns: ['user: hello world', 'assistant: hello world'] });
    expect(overTokenLimit(4, count)(conversation)).toBe(false);
    expect(overTokenLimit(3, count)(conversation)).toBe(true);
    expect(overTokenLimit(1, count)(conversation)).toBe(true);
  });

  it('is not counted when its bytes are no more than the limit', () => {
    const never: CountTokens = () => {
      throw new Error('it was counted for nothing');
    };
    expect(
      overTokenLimit(7, never)(aConversation({ turns: ['user: hé', 'assistant: b', 'user: cde'] })),
    ).toBe(false);
    expect(() =>
      overTokenLimit(6, never)(aConversation({ turns: ['user: hé', 'assistant: b', 'user: cde'] })),
    ).toThrow('for nothing');
  });

  it('survives turns without content', () => {
    const conversation = aConversation({
      turns: [{ role: 'user', content: null }, 'assistant: hello world'],
    });
    expect(overTokenLimit(1, count)(conversation)).toBe(true);
    const tally = new TokenTally(count, 1);
    tally.add(conversation);
    expect(tally.statistics().conversation.total).toBe(2);
  });

  it('is cut at an answer so that it fits', () => {
    const question = 'user: What is a bond, and who pays the interest on it?';
    const answer = 'assistant: A loan to an issuer, who pays the interest on it.';
    const conversation = aConversation({
      turns: ['system: Be kind.', question, answer, question, answer, question, answer],
    });
    const [turnTokens] = [question, answer].map((turn) => count(turn.slice(turn.indexOf(': ') + 2)));
    const isTooLong = overTokenLimit(60, count);
    expect(isTooLong(conversation)).toBe(true);
    const { turns } = repair(conversation, new Set<Rule>(['over-token-limit']), { isTooLong });
    expect(turnTokens).toBeGreaterThan(5);
    expect(turns.at(-1)?.role).toBe('assistant');
    expect(turns).toEqual(conversation.turns.slice(0, turns.length));
    expect(isTooLong({ ...conversation, turns })).toBe(false);
    // Two turns more would have been too many.
    expect(isTooLong({ ...conversation, turns: conversation.turns.slice(0, turns.length + 2) })).toBe(true);
  });
});
