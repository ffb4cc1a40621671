import { expect, it } from 'vitest';

import { isUtf8 } from '../../src/cli/locale.js';

const on = (env: Record<string, string>, platform: NodeJS.Platform = 'linux') => isUtf8({ env, platform });

it('believes the first of LC_ALL, LC_CTYPE and LANG that is set', () => {
  expect(on({ LANG: 'en_GB.UTF-8' })).toBe(true);
  expect(on({ LANG: 'de_DE.utf8@euro' })).toBe(true);
  expect(on({ LANG: 'en_GB.UTF-8', LC_CTYPE: 'C' })).toBe(false);
  expect(on({ LANG: 'C', LC_CTYPE: 'C.UTF-8' })).toBe(true);
  expect(on({ LANG: 'en_GB.UTF-8', LC_CTYPE: 'en_GB.UTF-8', LC_ALL: 'POSIX' })).toBe(false);
  expect(on({ LANG: 'en_GB.UTF-8', LC_ALL: '' })).toBe(true);
});

it('takes no locale for ASCII, but on Windows, which has none', () => {
  expect(on({})).toBe(false);
  expect(on({ LANG: 'en_GB.ISO-8859-1' })).toBe(false);
  expect(on({}, 'win32')).toBe(true);
});
