import * as fc from 'fast-check';
import { HOSTILE_TEXTS } from './conversations.js';

/** Any character that UTF-8 can hold; made by hand, since the library's own unit `binary` takes seconds to set up. */
export const anyCharacter: fc.Arbitrary<string> = fc
  .integer({ min: 0, max: 0x10ffff - 0x800 })
  .map((point) => String.fromCodePoint(point < 0xd800 ? point : point + 0x800));

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
    fc.string({ unit: anyCharacter, maxLength: 6 }),
    fc.string({ maxLength: 6 }),
    fc.constantFrom(...HOSTILE_TEXTS),
  );
  return fc.array(piece, { maxLength: maxPieces }).map((pieces) => pieces.join(''));
}
