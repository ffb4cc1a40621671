import * as fc from 'fast-check';
import { expect, it } from 'vitest';

import { Text } from '../../src/bytes/text.js';
import { viewsIntoOneBuffer } from '../support/conversations.js';
import { hostileStrings } from '../support/hostile-strings.js';

it('gives back the string that it was made of, byte order mark included', () => {
  fc.assert(
    fc.property(hostileStrings(), (value) => {
      const text = Text.of(value);
      expect(text.toString()).toBe(value);
      expect(text.byteLength).toBe(Buffer.byteLength(value));
    }),
  );
});

it('shows only its own part of a larger buffer, also of one that is itself a view', () => {
  const view = viewsIntoOneBuffer();
  const [first, second] = [view('größe \u{1f469}'), view('\ufeffzwei')];
  expect(first.toString()).toBe('größe \u{1f469}');
  expect(second.toString()).toBe('\ufeffzwei');
  const inner = new Text(first.source.subarray(1), first.start - 1, first.end - 1);
  expect(inner.toString()).toBe('größe \u{1f469}');
  expect(first.part(first.start, first.start + 2)).toBe('gr');
});

it('makes U+FFFD of a lone surrogate', () => {
  expect(Text.of('a\ud800b').toString()).toBe('a\ufffdb');
});

it('takes the whole source when no offsets are given', () => {
  expect(new Text(Buffer.from('whole')).toString()).toBe('whole');
  expect(new Text(Buffer.alloc(0)).toString()).toBe('');
});
