import * as fc from 'fast-check';
import { expect, it } from 'vitest';

import { isBlank } from '../../src/bytes/blank.js';
import { Text } from '../../src/bytes/text.js';
import { viewsIntoOneBuffer } from '../support/conversations.js';
import { anyCharacter } from '../support/hostile-strings.js';

it('agrees with String.trim for every single code point, alone and between spaces', () => {
  const wrong: number[] = [];
  for (let point = 0; point <= 0x10ffff; point++) {
    if (point >= 0xd800 && point <= 0xdfff) continue;
    const character = String.fromCodePoint(point);
    const isWhite = character.trim() === '';
    if (isBlank(Text.of(character)) !== isWhite || isBlank(Text.of(` ${character}\n`)) !== isWhite) {
      wrong.push(point);
    }
  }
  expect(wrong).toEqual([]);
});

it('agrees with String.trim for mixtures, also inside a larger buffer', () => {
  const character = fc.oneof(
    fc.constantFrom(
      ' ',
      '\t',
      '\u00a0',
      '\u2028',
      '\u2029',
      '\u3000',
      '\ufeff',
      '\u0085',
      '\u200b',
      '\u1680',
    ),
    anyCharacter,
  );
  fc.assert(
    fc.property(fc.array(character, { maxLength: 6 }), (characters) => {
      const value = characters.join('');
      expect(isBlank(viewsIntoOneBuffer()(value))).toBe(value.trim() === '');
    }),
    { numRuns: 300 },
  );
});

it('calls the empty text blank', () => {
  expect(isBlank(viewsIntoOneBuffer()(''))).toBe(true);
});
