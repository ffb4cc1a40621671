/** What a terminal can draw with. */
export type Charset = 'utf8' | 'ascii';

const CELLS = { utf8: ['█', '░'], ascii: ['#', '.'] } as const;

/** A bar of so many columns. It is full at 100 percent only, and empty at 0 only. */
export function progressBar(width: number, percent: number, charset: Charset): string {
  const [done, open] = CELLS[charset];
  const share = Math.floor((width * percent) / 100);
  const filled = percent > 0 && width > 1 ? Math.max(1, share) : share;
  return done.repeat(filled) + open.repeat(width - filled);
}

/** By the locale, as the C library reads it; Windows Terminal says what it is. */
export function charsetOf(
  env: Readonly<Record<string, string | undefined>>,
  platform: NodeJS.Platform,
): Charset {
  if (platform === 'win32') return env['WT_SESSION'] === undefined ? 'ascii' : 'utf8';
  const locale = env['LC_ALL'] || env['LC_CTYPE'] || env['LANG'] || '';
  return /utf-?8/i.test(locale) ? 'utf8' : 'ascii';
}
