import { describe, expect, it } from 'vitest';
import { styleFor } from '../../../src/cli/wizard/style.js';
import { keyHelp } from '../../../src/cli/wizard/theme.js';

const signs = (style: ReturnType<typeof styleFor>): string =>
  [...Object.values(style).filter((value) => typeof value === 'string'), ...style.busy].join('');

describe('styleFor', () => {
  it('has colours unless NO_COLOR is set to something', () => {
    const on = styleFor({ env: { NO_COLOR: '' }, platform: 'linux' });
    const off = styleFor({ env: { NO_COLOR: '1' }, platform: 'linux' });
    expect(on.bad('x')).not.toBe('x');
    expect([off.bold, off.dim, off.accent, off.good, off.bad].map((paint) => paint('x')).join('')).toBe(
      'xxxxx',
    );
  });

  it('has ASCII signs unless the locale is UTF-8', () => {
    expect(signs(styleFor({ env: {}, platform: 'linux' }))).toMatch(/^[ -~]+$/);
    expect(signs(styleFor({ env: { LANG: 'de_DE.UTF-8' }, platform: 'linux' }))).toContain('❯');
  });

  it('shows our own signs in ASCII as people write them, and others by number', () => {
    const { show } = styleFor({ env: {}, platform: 'linux' });
    expect(show('a … b · ü \u001b')).toBe(String.raw`a ... b - \u{fc} \u{1b}`);
  });
});

describe('keyHelp', () => {
  it('says every key in words, and fits 60 columns', () => {
    const style = styleFor({ env: { NO_COLOR: '1' }, platform: 'linux' });
    const help = keyHelp(
      [
        ['↑↓', 'navigate'],
        ['space', 'select'],
        ['⏎', 'submit'],
      ],
      style,
      59,
    );
    expect(help).toBe('arrows move  -  space choose  -  enter done  -  esc back\nctrl-c cancel');
  });
});
