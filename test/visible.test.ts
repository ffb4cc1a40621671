import { expect, it } from 'vitest';

import { visible } from '../src/visible.js';

it.each([
  ['plain text, größe, \u{1f469}', 'plain text, größe, \u{1f469}'],
  ['\u001b]52;c;AAAA\u0007', String.raw`\u{1b}]52;c;AAAA\u{7}`],
  ['a\r\nb\tc', String.raw`a\u{d}\u{a}b\u{9}c`],
  ['\u009b31m', String.raw`\u{9b}31m`],
  ['\u202egnp.exe', String.raw`\u{202e}gnp.exe`],
  ['\u2028\u2029', String.raw`\u{2028}\u{2029}`],
  ['\u{e0041}', String.raw`\u{e0041}`],
  ['\ud800', String.raw`\u{d800}`],
  ['\0', String.raw`\u{0}`],
])('shows %j as %s', (text, shown) => {
  expect(visible(text)).toBe(shown);
});
