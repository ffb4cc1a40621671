import type { Host } from './host.js';

/** The terminal shows more than ASCII: what the locale says where there is one, as POSIX orders its variables. */
export function isUtf8({ env, platform }: Pick<Host, 'env' | 'platform'>): boolean {
  if (platform === 'win32') return true;
  const locale = env['LC_ALL'] || env['LC_CTYPE'] || env['LANG'] || '';
  return /\butf-?8\b/i.test(locale);
}
