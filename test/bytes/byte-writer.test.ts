import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { ByteWriter, lineSeparatorAt } from '../../src/bytes/byte-writer.js';
import { Text } from '../../src/bytes/text.js';
import { viewsIntoOneBuffer } from '../support/conversations.js';
import { anyCharacter, hostileStrings } from '../support/hostile-strings.js';

const SLICE = 64 * 1024;

/** What the writer promises: `JSON.stringify`, and three line separators escaped besides. */
function expected(value: string): string {
  return escapeSeparators(JSON.stringify(value));
}

function escapeSeparators(json: string): string {
  return json.replace(/[\u0085\u2028\u2029]/g, escapeUnit);
}

function escapeUnit(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

function written(write: (out: ByteWriter) => void, capacity?: number): string {
  const out = new ByteWriter(capacity);
  write(out);
  return out.view().toString('utf8');
}

/** Lone surrogates become U+FFFD, here through the platform's own encoder. */
function wellFormed(value: string): string {
  return Buffer.from(value, 'utf8').toString('utf8');
}

describe('jsonString', () => {
  it('writes what JSON.stringify gives for any text, line separators escaped too', () => {
    fc.assert(
      fc.property(hostileStrings(), (value) => {
        expect(written((out) => out.jsonString(Text.of(value)))).toBe(expected(value));
      }),
      { numRuns: 500 },
    );
  });

  it('reads nothing outside of a view into a larger buffer', () => {
    fc.assert(
      fc.property(fc.array(hostileStrings(6), { minLength: 1, maxLength: 8 }), (values) => {
        const view = viewsIntoOneBuffer();
        const texts = values.map(view);
        expect(texts.map((text) => written((out) => out.jsonString(text)))).toEqual(values.map(expected));
      }),
    );
  });

  it('writes every single code point of the basic plane as JSON.stringify does', () => {
    const out = new ByteWriter();
    const wrong: number[] = [];
    for (let point = 0; point <= 0xffff; point++) {
      if (point >= 0xd800 && point <= 0xdfff) continue;
      out.clear();
      const character = String.fromCharCode(point);
      out.jsonString(Text.of(character));
      if (out.view().toString('utf8') !== expected(character)) wrong.push(point);
    }
    expect(wrong).toEqual([]);
  });

  it.each(['\u2028', '\u2029', '\u0085', '\u2027', '\u0084', '"', '\\', '\n', '\u0001', '\u{1f469}', 'é'])(
    'keeps %j whole wherever it falls around the border of a slice',
    (character) => {
      for (let before = SLICE - 6; before <= SLICE + 2; before++) {
        const value = `${'x'.repeat(before)}${character}${character}tail`;
        expect(written((out) => out.jsonString(Text.of(value))) === expected(value), `at ${before}`).toBe(
          true,
        );
      }
    },
  );

  it('keeps characters whole at the border of the second slice, and after one that overran the first', () => {
    for (let shift = 0; shift < 5; shift++) {
      const value = `${'x'.repeat(SLICE - 1 - shift)}\u2028${'\u2029'.repeat(SLICE)}end`;
      expect(written((out) => out.jsonString(Text.of(value))) === expected(value), `shift ${shift}`).toBe(
        true,
      );
    }
  });

  it.each([
    ['plain letters', 'a'.repeat(1_500_001)],
    ['nothing but escapes of six bytes', '\u0001'.repeat(1_200_000)],
    ['nothing but quotes', '"'.repeat(1_200_000)],
    ['nothing but line separators', '\u2028'.repeat(400_000)],
    ['mixed prose', 'She said: "näïve"\n\u{1f469}\u2028\\ '.repeat(50_000)],
  ])('writes more than a megabyte of %s', (_what, value) => {
    expect(written((out) => out.jsonString(Text.of(value))) === expected(value)).toBe(true);
  });

  it('writes the empty text as two quotes', () => {
    expect(written((out) => out.jsonString(viewsIntoOneBuffer()('')))).toBe('""');
  });
});

describe('json', () => {
  const value = fc.jsonValue({ stringUnit: anyCharacter });

  it('keeps any JSON value equal and on one line', () => {
    fc.assert(
      fc.property(value, fc.constantFrom('', ' ', '\n', '\r\n\t'), (value, indent) => {
        const json = JSON.stringify(value, null, indent);
        const result = written((out) => out.json(viewsIntoOneBuffer()(json)));
        expect(JSON.parse(result)).toEqual(JSON.parse(json));
        expect(result).not.toMatch(/[\n\r\u0085\u2028\u2029]/);
      }),
      { numRuns: 300 },
    );
  });

  it('keeps the text of numbers and the order and repetition of keys', () => {
    const json = '{"b":1.50,"a":123456789012345678901234567890,"b":-0.0,"e":1E+5}';
    expect(written((out) => out.json(Text.of(json)))).toBe(json);
  });

  it('replaces exactly the escaped surrogates that have no other half', () => {
    const unit = fc.oneof(
      fc.integer({ min: 0xd800, max: 0xdbff }),
      fc.integer({ min: 0xdc00, max: 0xdfff }),
      fc.constantFrom(0x41, 0x5c, 0x22, 0x75, 0x2028),
    );
    fc.assert(
      fc.property(fc.array(unit, { maxLength: 12 }), fc.boolean(), (units, allEscaped) => {
        const string = String.fromCharCode(...units);
        const json = allEscaped
          ? `["${units.map((unit) => `\\u${unit.toString(16).toUpperCase().padStart(4, '0')}`).join('')}"]`
          : JSON.stringify([string]);
        const result = written((out) => out.json(viewsIntoOneBuffer()(json)));
        expect(JSON.parse(result)).toEqual([wellFormed(string)]);
      }),
      { numRuns: 500 },
    );
  });

  it.each([
    ['a lone high half', String.raw`"\ud800"`, String.raw`"\ufffd"`],
    ['a lone low half', String.raw`"\uDC00x"`, String.raw`"\ufffdx"`],
    ['halves in the wrong order', String.raw`"\udc00\ud800"`, String.raw`"\ufffd\ufffd"`],
    ['a high half before a pair', String.raw`"\ud83d\ud83d\ude00"`, String.raw`"\ufffd\ud83d\ude00"`],
    ['a low half after a pair', String.raw`"\ud83d\ude00\ude00"`, String.raw`"\ud83d\ude00\ufffd"`],
    ['a lone half in a key', String.raw`{"\ud800":1}`, String.raw`{"\ufffd":1}`],
  ])('replaces %s by U+FFFD', (_what, json, result) => {
    expect(written((out) => out.json(Text.of(json)))).toBe(result);
  });

  it.each([
    ['a pair', String.raw`"\ud83d\ude00"`],
    ['an escaped backslash before u', String.raw`"\\ud800"`],
    ['two escaped backslashes before u', String.raw`"\\\\udc00"`],
    ['an escaped backslash before a pair', String.raw`"\\\ud83d\ude00"`],
    ['a trailing escaped backslash', String.raw`"\\"`],
    ['all short escapes', String.raw`"\"\\\/\b\f\n\r\t"`],
    ['a raw astral character', '"\u{1f469}"'],
  ])('leaves %s as it is', (_what, json) => {
    expect(written((out) => out.json(Text.of(json)))).toBe(json);
  });

  it('sees an escaped backslash and a high half that is not one before a low half', () => {
    const json = String.raw`"\\ud83d\ude00"`;
    expect(written((out) => out.json(Text.of(json)))).toBe(String.raw`"\\ud83d\ufffd"`);
  });

  it('makes spaces of the line breaks between tokens and escapes the separators inside strings', () => {
    expect(written((out) => out.json(Text.of('{\n\t"a":\r\n"x\u2028y\u2029z\u0085"}')))).toBe(
      '{  "a":  "x\\u2028y\\u2029z\\u0085"}',
    );
  });
});

describe('a writer', () => {
  it('grows from any capacity without losing a byte', () => {
    const pieces = ['a', 'bb'.repeat(100), '"', '\u2028'.repeat(300), 'c'.repeat(70_000)];
    const result = written((out) => {
      for (const piece of pieces) {
        out.text(Text.of(piece));
        out.jsonString(Text.of(piece));
        out.bytes(Buffer.from(piece));
        out.json(Text.of(JSON.stringify(piece)));
      }
    }, 1);
    const wanted = pieces
      .map((piece) => piece + expected(piece) + piece + escapeSeparators(JSON.stringify(piece)))
      .join('');
    expect(result === wanted).toBe(true);
  });

  it('copies text and bytes as they are, also from views', () => {
    fc.assert(
      fc.property(hostileStrings(40), (value) => {
        const text = viewsIntoOneBuffer()(value);
        expect(written((out) => out.text(text))).toBe(value);
        expect(written((out) => out.bytes(text.source.subarray(text.start, text.end)))).toBe(value);
      }),
    );
  });

  it('forgets what was written when cleared, and counts what was not', () => {
    const out = new ByteWriter();
    out.text(Text.of('first'));
    expect(out.length).toBe(5);
    out.clear();
    expect(out.length).toBe(0);
    out.text(Text.of('2nd'));
    expect(out.view().toString()).toBe('2nd');
  });
});

describe('lineSeparatorAt', () => {
  it('finds the three separators and nothing else', () => {
    const found = new Map<number, number>();
    for (let point = 0; point <= 0x2fff; point++) {
      const separator = lineSeparatorAt(Buffer.from(String.fromCodePoint(point)), 0);
      if (separator !== 0) found.set(point, separator);
    }
    expect([...found]).toEqual([
      [0x85, 0x85],
      [0x2028, 0x2028],
      [0x2029, 0x2029],
    ]);
  });
});
