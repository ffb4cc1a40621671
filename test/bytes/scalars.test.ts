import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { isIsoInstant, isJsonNumber } from '../../src/bytes/scalars.js';
import { Text } from '../../src/bytes/text.js';

/** The text between neighbours that would make it a number, or a time. */
function between(value: string): Text {
  const source = Buffer.from(`8Z${value}Z8`);
  return new Text(source, 2, source.length - 2);
}

describe('isJsonNumber', () => {
  it.each(['0', '8', '8.5', '10.0', '-0', '-3.25', '1e+20', '1e-7', '-1.5e+300', '0.00000000000000000001'])(
    'accepts %s',
    (value) => {
      expect(isJsonNumber(between(value))).toBe(true);
      expect(JSON.parse(value)).toBeTypeOf('number');
    },
  );

  it.each([
    'NaN',
    'Infinity',
    '-Infinity',
    '',
    '-',
    '.5',
    '5.',
    '+1',
    '007',
    '8.5 of 10',
    '8,5',
    '1e',
    '0x10',
    ' 8',
  ])('refuses %j', (value) => {
    expect(isJsonNumber(between(value))).toBe(false);
  });

  it('accepts every finite number as JavaScript and PostgreSQL print it', () => {
    fc.assert(
      fc.property(fc.double({ noDefaultInfinity: true, noNaN: true }), (value) => {
        expect(isJsonNumber(between(String(value)))).toBe(true);
      }),
    );
  });
});

describe('isIsoInstant', () => {
  it('accepts a time in UTC', () => {
    expect(isIsoInstant(between('2025-10-29T10:00:00.000Z'))).toBe(true);
  });

  it.each(['infinity', '-infinity', '12000-01-01 00:00:00+00', '0044-03-15 00:00:00+00 BC', ''])(
    'refuses %j',
    (value) => {
      expect(isIsoInstant(between(value))).toBe(false);
    },
  );
});
