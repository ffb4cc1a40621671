import { expect, it } from 'vitest';

import { since } from '../../src/cli/flags.js';
import { readSince } from '../../src/statistics/since.js';

it('reads spans, days and moments', () => {
  expect(['30m', '24h', '7d', '4w', '36500d'].map((text) => readSince(since(text)))).toEqual([
    { seconds: 1800 },
    { seconds: 86_400 },
    { seconds: 604_800 },
    { seconds: 2_419_200 },
    { seconds: 3_153_600_000 },
  ]);
  expect(
    ['2025-10-29', '2025-10-29T10:00Z', '2025-10-29T10:00:00.5+23:30'].map((text) => readSince(since(text))),
  ).toEqual([
    { at: '2025-10-29T00:00:00.000Z' },
    { at: '2025-10-29T10:00:00.000Z' },
    { at: '2025-10-28T10:30:00.500Z' },
  ]);
});

it.each([
  '',
  '0h',
  '-1d',
  '1',
  'h',
  '1.5h',
  '1s',
  '1h ',
  '36501d',
  '999999999w',
  '2025-02-30',
  '2025-10-29T10:00',
  '1969-12-31',
  '0000-01-01',
  'yesterday',
])('refuses %j', (text) => {
  expect(() => since(text)).toThrow(/^Expected how long ago/);
});
