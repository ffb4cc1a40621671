import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { escapeLength, hasLoneSurrogate } from '../../src/bytes/json-escapes.js';
import { viewsIntoOneBuffer } from '../support/conversations.js';

/** Whether a lone half appears anywhere: `\p{Cs}` matches only halves without their other half. */
function expected(json: string): boolean {
  return /\p{Cs}/u.test(JSON.parse(json) as string);
}

describe('hasLoneSurrogate', () => {
  it('agrees with the string that JSON.parse makes', () => {
    const piece = fc.oneof(
      fc.constantFrom(String.raw`\\`, 'u', 'd800', String.raw`\"`, String.raw`\n`, '\u{1f469}', 'é'),
      fc.integer({ min: 0xd7f0, max: 0xe00f }).map((unit) => `\\u${unit.toString(16)}`),
      fc.integer({ min: 0xd800, max: 0xdfff }).map((unit) => `\\u${unit.toString(16).toUpperCase()}`),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 10 }), (pieces) => {
        const json = `"${pieces.join('')}"`;
        expect(hasLoneSurrogate(viewsIntoOneBuffer()(json))).toBe(expected(json));
      }),
      { numRuns: 1000 },
    );
  });

  it('does not take a half of the neighbouring text for its own other half', () => {
    const view = viewsIntoOneBuffer();
    view(String.raw`"\ud83d"`);
    const text = view(String.raw`"\ude00"`);
    view(String.raw`"\ude00"`);
    expect(hasLoneSurrogate(text)).toBe(true);
  });

  it.each(['null', '[]', '{"a":[1,"b"]}', ''])('finds none in %s', (json) => {
    expect(hasLoneSurrogate(viewsIntoOneBuffer()(json))).toBe(false);
  });
});

describe('escapeLength', () => {
  it('is six for a code unit and two for the rest', () => {
    expect(escapeLength(Buffer.from(String.raw`\u0041`), 0)).toBe(6);
    expect(escapeLength(Buffer.from(String.raw`\\u041`), 0)).toBe(2);
  });
});
