import * as fc from 'fast-check';
import { HOSTILE_TEXTS } from './conversations.js';

/** Well-formed text of any code points, in which the ones that need care are common. */
export function hostileStrings(maxPieces = 20): fc.Arbitrary<string> {
  const special = fc.constantFrom(
    '"',
    '\\',
    '\n',
    '\u0000',
    '\u001f',
    '\u0085',
    '\u2028',
    '\u2029',
    '\u00c2',
  );
  const piece = fc.oneof(
    special,
    fc.string({ unit: 'binary', maxLength: 6 }),
    fc.string({ unit: 'grapheme', maxLength: 6 }),
    fc.constantFrom(...HOSTILE_TEXTS),
  );
  return fc.array(piece, { maxLength: maxPieces }).map((pieces) => pieces.join(''));
}
