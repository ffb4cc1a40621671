import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { charsetOf, progressBar } from '../../src/cli/progress-bar.js';

describe('a progress bar', () => {
  it('is drawn with blocks, or with what every terminal has', () => {
    expect(progressBar(10, 40, 'utf8')).toBe('████░░░░░░');
    expect(progressBar(10, 40, 'ascii')).toBe('####......');
  });

  it('is empty at the beginning only, and full at the end only', () => {
    expect(progressBar(10, 0, 'ascii')).toBe('..........');
    expect(progressBar(10, 1, 'ascii')).toBe('#.........');
    expect(progressBar(10, 99, 'ascii')).toBe('#########.');
    expect(progressBar(10, 100, 'ascii')).toBe('##########');
  });

  it('has the width that was asked for, and never shrinks', () => {
    const percent = fc.integer({ min: 0, max: 100 });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 200 }), percent, percent, (width, one, other) => {
        const [less, more] = [Math.min(one, other), Math.max(one, other)];
        const length = (at: number): number => progressBar(width, at, 'ascii').replaceAll('.', '').length;
        expect(progressBar(width, one, 'utf8')).toHaveLength(width);
        expect(length(less)).toBeLessThanOrEqual(length(more));
      }),
    );
  });
});

describe('the characters of a terminal', () => {
  it.each([
    [{ LANG: 'de_DE.UTF-8' }, 'utf8'],
    [{ LANG: 'C.utf8' }, 'utf8'],
    [{ LANG: 'de_DE.UTF-8', LC_ALL: 'C' }, 'ascii'],
    [{ LANG: 'C', LC_CTYPE: 'en_US.UTF-8' }, 'utf8'],
    [{ LC_ALL: '', LANG: 'en_US.UTF-8' }, 'utf8'],
    [{}, 'ascii'],
  ])('are told by the locale: %o is %s', (env, charset) => {
    expect(charsetOf(env, 'linux')).toBe(charset);
  });

  it('are told by the terminal itself on Windows', () => {
    expect(charsetOf({ WT_SESSION: '1' }, 'win32')).toBe('utf8');
    expect(charsetOf({ LANG: 'C.UTF-8' }, 'win32')).toBe('ascii');
  });
});
