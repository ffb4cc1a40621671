import { describe, expect, test } from 'vitest';

import { createColumns } from '../../src/validate/columns.js';
import { against, errors, validate } from './support.js';

/** What is found when the first rows lie within the first block and the others behind it. */
function columns(first: readonly unknown[], later: readonly unknown[] = []): string[] {
  const found: string[] = [];
  const { add, end } = createColumns(({ severity, rule, path }, line) => {
    found.push([line, severity, rule, path].join(' ').trimEnd());
  });
  first.forEach((row, index) => add(row, index + 1, true));
  later.forEach((row, index) => add(row, first.length + index + 1, false));
  end();
  return found;
}

describe('columns as the datasets library guesses them', () => {
  test.each<[what: string, first: unknown[], later: unknown[], expected: string[]]>([
    [
      'equal rows',
      [
        { a: 1, b: 'x' },
        { a: 2, b: 'y' },
      ],
      [{ a: 3, b: 'z' }],
      [],
    ],
    ['a column that a row lacks', [{ a: 1, b: 1 }, { a: 1 }], [], ['2 warning missing-column b']],
    ['a column that comes second', [{ a: 1 }, { a: 1, b: 1 }], [], ['1 warning missing-column b']],
    [
      'a key of some messages',
      [{ m: [{ r: 'u' }, { r: 'a', weight: 0 }] }],
      [],
      ['1 warning missing-column m[].weight'],
    ],
    [
      'a column first seen late',
      [{ a: 1 }],
      [{ a: 1, b: 1 }],
      ['2 error late-column b', '1 warning missing-column b'],
    ],
    [
      'a key of messages first seen late',
      [{ m: [{ r: 'u' }] }],
      [{ m: [{ r: 'u', weight: 0 }] }],
      ['2 error late-column m[].weight', '1 warning missing-column m[].weight'],
    ],
    ['null at first', [{ a: null }], [{ a: 1 }], ['2 error late-value a']],
    ['an empty list at first', [{ a: [] }], [{ a: ['x'] }], ['2 error late-value a']],
    [
      'an empty object at first',
      [{ a: {} }],
      [{ a: { b: 1 } }],
      ['2 error late-column a.b', '1 warning missing-column a.b'],
    ],
    ['null only', [{ a: null }], [{ a: null }], []],
    ['integers, then a fraction', [{ a: 1 }], [{ a: 8.5 }], ['2 error mixed-types a']],
    ['integers, then a text', [{ a: 1 }], [{ a: 'n/a' }], ['2 error mixed-types a']],
    ['integers and fractions at first', [{ a: 1 }, { a: 8.5 }], [{ a: 2 }], []],
    ['texts and numbers at first', [{ a: 1 }, { a: 'x' }], [], ['2 error mixed-types a']],
    [
      'another order',
      [
        { a: 1, b: 1 },
        { b: 1, a: 1 },
      ],
      [],
      ['2 warning column-order'],
    ],
    ['times without milliseconds', [{ a: '2025-10-29T10:00:00Z' }], [], ['1 warning time-column a']],
    [
      'times, then milliseconds',
      [{ a: '2025-10-29T10:00:00Z' }],
      [{ a: '2025-10-29T10:00:00.123Z' }],
      ['2 error mixed-types a'],
    ],
    ['times with milliseconds', [{ a: '2025-10-29T10:00:00.000Z' }], [{ a: 'x' }], []],
  ])('%s', (_, first, later, expected) => {
    expect(columns(first, later)).toEqual(expected);
  });

  test('free-form keys do not fill the memory', () => {
    const rows = Array.from({ length: 300 }, (_, row) =>
      Object.fromEntries(Array.from({ length: 100 }, (_, key) => [`k${row}_${key}`, 1])),
    );
    expect(columns(rows).length).toBeLessThan(21_000);
  });
});

test('the first block ends after 10 MiB of the file', () => {
  const row = (number: number, extra: object): string =>
    `${JSON.stringify({ prompt: [{ role: 'user', content: `q${number}` }], completion: [{ role: 'assistant', content: `a${number}` }], ...extra })}\n`;
  const filler = JSON.stringify('x'.repeat(1024 * 1024)).slice(1, -1);
  const file = (before: number): string =>
    Array.from({ length: before }, (_, index) => row(index, { note: `${index}${filler}` })).join('') +
    row(99, { note: 'n', late: 1 });
  expect(errors(validate(file(8), against('trl')))).toEqual([]);
  expect(errors(validate(file(12), against('trl')))).toEqual(['13 error late-column late']);
});
