import * as fc from 'fast-check';
import { expect, it } from 'vitest';

import { FOUND_CONTROL, FOUND_MARK, textSearch } from '../../src/bytes/text-search.js';
import { Text } from '../../src/bytes/text.js';
import { viewsIntoOneBuffer } from '../support/conversations.js';
import { hostileStrings } from '../support/hostile-strings.js';

/** Unicode's category Cc without tab, line feed and carriage return; and the mark of a lost character. */
const CONTROL = /(?![\t\n\r])\p{Cc}|\u{fffd}/u;

const hasControlCharacter = (text: Text): boolean =>
  textSearch({ marks: [], controls: true })(text) === FOUND_CONTROL;

it('finds exactly the control characters among all code points', () => {
  const wrong: string[] = [];
  for (let point = 0; point <= 0x10ffff; point++) {
    if (point >= 0xd800 && point <= 0xdfff) continue;
    const character = String.fromCodePoint(point);
    if (hasControlCharacter(Text.of(character)) !== CONTROL.test(character)) wrong.push(point.toString(16));
  }
  expect(wrong).toEqual([]);
});

it('finds them anywhere in a text, as a regular expression does', () => {
  fc.assert(
    fc.property(hostileStrings(6), (text) => {
      expect(hasControlCharacter(Text.of(text))).toBe(CONTROL.test(text));
    }),
    { numRuns: 500 },
  );
});

it('looks at the bytes of the text alone', () => {
  const source = Buffer.from('\u0007ab\u0007');
  expect(hasControlCharacter(new Text(source, 1, 3))).toBe(false);
  expect(hasControlCharacter(new Text(source, 1))).toBe(true);
  expect(hasControlCharacter(new Text(source, 0, 3))).toBe(true);
  const view = viewsIntoOneBuffer();
  expect(hasControlCharacter(view('é \u00a0 \ufffc \uffff'))).toBe(false);
  expect(hasControlCharacter(view('é \u009f'))).toBe(true);
});

it('finds nothing in an empty text', () => {
  expect(hasControlCharacter(Text.of(''))).toBe(false);
});

it('finds marks and control characters in one pass, as two searches would', () => {
  const marks = ['<|im_end|>', '</s>', '[INST]', '\nHuman:', '<'];
  const piece = fc.constantFrom(
    ...marks,
    '<|im_end|',
    '</',
    '[INS',
    '\n',
    '\u0007',
    '\u009f',
    '\ufffd',
    'é',
    'a',
  );
  const wanted = fc.subarray(marks.slice(0, -1));
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 8 }), wanted, fc.boolean(), (pieces, marks, controls) => {
      const text = pieces.join('');
      const search = textSearch({ marks: marks.map((mark) => Buffer.from(mark)), controls });
      const expected =
        (marks.some((mark) => text.includes(mark)) ? FOUND_MARK : 0) |
        (controls && CONTROL.test(text) ? FOUND_CONTROL : 0);
      expect(search(viewsIntoOneBuffer()(text))).toBe(expected);
    }),
    { numRuns: 1_000 },
  );
});

it('finds no mark that only the bytes behind the text complete', () => {
  const source = Buffer.from('a</s>');
  const search = textSearch({ marks: [Buffer.from('</s>')], controls: false });
  expect(search(new Text(source, 0, 4))).toBe(0);
  expect(search(new Text(source, 0, 5))).toBe(FOUND_MARK);
});
