import { describe, expect, it } from 'vitest';
import { fit, flow, pad, widthOf, wrap } from '../../../src/cli/wizard/fit.js';
import { styleFor } from '../../../src/cli/wizard/style.js';

const unicode = styleFor({ env: { LANG: 'C.UTF-8' }, platform: 'linux' });
const plain = styleFor({ env: { LC_ALL: 'C' }, platform: 'linux' });

describe('fit', () => {
  it('leaves a text alone that fits', () => {
    expect(fit('exactly', 7, unicode)).toBe('exactly');
  });

  it('marks what is cut off, within the columns', () => {
    expect(fit('too long', 7, unicode)).toBe('too lo…');
    expect(fit('too long', 7, plain)).toBe('too ...');
    expect(widthOf(fit('日本語の題名', 7, unicode))).toBeLessThanOrEqual(7);
  });

  it('counts control characters as they are shown', () => {
    expect(fit('\u001b[2J', 20, unicode)).toBe(String.raw`\u{1b}[2J`);
    expect(widthOf(fit('\u001b'.repeat(50), 20, unicode))).toBeLessThanOrEqual(20);
  });

  it('shows nothing but ASCII where the terminal knows nothing else', () => {
    expect(fit('é', 20, plain)).toBe(String.raw`\u{e9}`);
  });

  it('cuts a text of combining characters, which take no column', () => {
    expect(fit('e\u0301'.repeat(10_000), 10, unicode).length).toBeLessThan(50);
    expect(fit('\u0301'.repeat(10_000), 10, unicode)).toMatch(/…$/);
  });

  it('does not cut a character in half', () => {
    expect(fit('👩'.repeat(100), 11, unicode)).not.toContain('u{d8');
  });
});

describe('wrap', () => {
  it('breaks between words and keeps the indentation', () => {
    expect(wrap('  one two three four', 11)).toEqual(['  one two', '  three', '  four']);
  });

  it('leaves a word whole that no line takes, so that it can be copied', () => {
    const path = '/a/very/long/path/that/fits/nowhere';
    expect(wrap(`  to ${path}`, 20)).toEqual([`  to ${path}`]);
  });

  it('keeps spaces between words', () => {
    expect(wrap('  size     1 KiB', 40)).toEqual(['  size     1 KiB']);
  });
});

describe('flow', () => {
  it('never breaks within a piece', () => {
    expect(flow(['arrows move', 'enter choose', 'esc back'], ' - ', 27)).toEqual([
      'arrows move - enter choose',
      'esc back',
    ]);
  });
});

describe('pad', () => {
  it('counts columns, not characters', () => {
    expect(widthOf(pad('日本', 6))).toBe(6);
    expect(pad('longer', 3)).toBe('longer');
  });
});
