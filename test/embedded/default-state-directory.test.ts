import { userInfo } from 'node:os';
import { expect, test } from 'vitest';

import { defaultStateDirectory } from '../../src/embedded/default-state-directory.js';

test.each([
  ['LORA_EXPORT_HOME wins', { LORA_EXPORT_HOME: '/data/x', HOME: '/home/a' }, 1000, 'linux', '/data/x'],
  ['it wins for root too', { LORA_EXPORT_HOME: '/data/x' }, 0, 'linux', '/data/x'],
  ['Linux', { HOME: '/home/a' }, 1000, 'linux', '/home/a/.local/share/lora-export'],
  ['XDG_DATA_HOME', { HOME: '/home/a', XDG_DATA_HOME: '/xdg' }, 1000, 'linux', '/xdg/lora-export'],
  [
    'a relative XDG_DATA_HOME is ignored',
    { HOME: '/h', XDG_DATA_HOME: 'x' },
    1000,
    'linux',
    '/h/.local/share/lora-export',
  ],
  ['root on Linux, whose home is private', { HOME: '/root' }, 0, 'linux', '/var/lib/lora-export'],
  ['macOS', { HOME: '/Users/a' }, 501, 'darwin', '/Users/a/Library/Application Support/lora-export'],
  ['root on macOS', { HOME: '/var/root' }, 0, 'darwin', '/Library/Application Support/lora-export'],
  ['no environment at all', {}, 1000, 'linux', `${userInfo().homedir}/.local/share/lora-export`],
  ['an empty HOME', { HOME: '' }, 1000, 'linux', `${userInfo().homedir}/.local/share/lora-export`],
] as const)('the state directory: %s', (_name, env, uid, platform, expected) => {
  expect(defaultStateDirectory(env, uid, platform)).toBe(expected);
});
