import * as fc from 'fast-check';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { describe, expect, it } from 'vitest';

import { fileName, type NameParts } from '../src/naming.js';
import { hostileStrings } from './support/hostile-strings.js';
import { temporaryDirectory } from './support/temporary-directory.js';

/** Tiers that would be paths, devices, flags, patterns, commands or names that no system takes. */
const HOSTILE_NAMES = [
  ['..', '../..', '../../etc/passwd', '/etc/passwd', '//server/share', './x', 'a/../../b', 'a/b', '/', '.'],
  [
    '..\\..\\x',
    'C:\\Windows\\win.ini',
    'C:',
    'C:x',
    '\\\\?\\C:\\x',
    '\\\\server\\share',
    'x:stream',
    'x::$DATA',
  ],
  [
    'file:///etc/passwd',
    'https://example.org/x',
    '%2e%2e%2f',
    '%00',
    '..%252f',
    '..%c0%af',
    '．．／',
    '..\u2215x',
  ],
  ['CON', 'con.txt', 'NUL', 'AUX', 'PRN', 'COM1', 'LPT1', 'CLOCK$', 'desktop.ini', '.bashrc', '.git', '.env'],
  [
    '-rf',
    '--force',
    '~',
    '~root',
    '$HOME',
    '${IFS}',
    '$(id)',
    '`id`',
    '; rm -rf /',
    '| sh',
    '&& x',
    '> x',
    '*',
    '?',
    '[a-z]',
    '{a,b}',
    '!x',
  ],
  ['', ' ', '  x  ', 'x ', 'x.', 'x...', '\t', 'a\nb', 'a\r\nb', 'a\0b', '\0', '\u001b]0;x\u0007', '\b\b'],
  [
    '\u202egnp.exe',
    '\u2066x',
    '\u200b',
    '\ufeff',
    'e\u0301',
    'é',
    'ß',
    'İ',
    '👩\u200d💻',
    '中文',
    'раураl',
    '\ud800',
    '\uffff',
  ],
  [
    'x'.repeat(255),
    'x'.repeat(5_000),
    'é'.repeat(300),
    '.'.repeat(300),
    '-'.repeat(300),
    '../'.repeat(1_000),
    `${'x'.repeat(59)}/y`,
  ],
  [
    '"',
    "'",
    '<x>',
    '|',
    ':',
    "'; drop table export_logs; --",
    '.jsonl',
    'x.jsonl.gz',
    '.partial',
    '.lora-export-directory',
  ],
].flat();

function nameOf(parts: Partial<NameParts> = {}): string {
  return fileName({
    tier: null,
    takenAt: '2025-10-29T23:59:59.999Z',
    count: 42,
    extension: 'jsonl',
    gzip: false,
    ...parts,
  });
}

describe('a generated file name', () => {
  it('shows the tier, the day in UTC and the number of conversations', () => {
    expect(nameOf({ tier: 'template' })).toBe('training-data-template-2025-10-29-42.jsonl');
  });

  it('says all when the tiers differ', () => {
    expect(nameOf()).toBe('training-data-all-2025-10-29-42.jsonl');
  });

  it('ends in .gz when compressed', () => {
    expect(nameOf({ gzip: true })).toBe('training-data-all-2025-10-29-42.jsonl.gz');
  });

  it('holds a count of zero', () => {
    expect(nameOf({ count: 0 })).toBe('training-data-all-2025-10-29-0.jsonl');
  });
});

describe('a tier becomes a harmless part of the name', () => {
  it.each([
    ['../../etc/passwd', 'etc-passwd'],
    ['..', 'other'],
    ['.', 'other'],
    ['', 'other'],
    ['a/b', 'a-b'],
    [String.raw`a\b`, 'a-b'],
    ['CON', 'con'],
    ['Edge Case', 'edge-case'],
    ['edge_case', 'edge_case'],
    ['a\0b', 'a-b'],
    ['\u202eevil', 'evil'],
    ['\u{1f469}\u200d\u{1f4bb}', 'other'],
    ['größe', 'gr-e'],
    ['--force', 'force'],
    ['-', 'other'],
    ['a.jsonl', 'a-jsonl'],
    ['a\n\u001b]0;x\u0007', 'a-0-x'],
    ['x'.repeat(300), 'x'.repeat(60)],
    [`${'x'.repeat(59)} y`, 'x'.repeat(59)],
  ])('%j is %s', (tier, slug) => {
    expect(nameOf({ tier })).toBe(`training-data-${slug}-2025-10-29-42.jsonl`);
  });

  it('even of the worst names: each can be made inside its directory, and nothing is made outside', async () => {
    expect(new Set(HOSTILE_NAMES).size).toBeGreaterThanOrEqual(60);
    const parent = await temporaryDirectory();
    const directory = join(parent, 'exports');
    await mkdir(directory);
    for (const [count, tier] of HOSTILE_NAMES.entries()) {
      await writeFile(join(directory, nameOf({ tier, count })), '', { flag: 'wx' });
    }
    expect(await readdir(parent, { recursive: true })).toHaveLength(1 + HOSTILE_NAMES.length);
    for (const name of await readdir(directory)) expect(name).toMatch(/^training-data-[a-z0-9_-]+\.jsonl$/);
  });

  it('whatever it is: one plain name of bounded length, inside its directory', () => {
    fc.assert(
      fc.property(fc.oneof(hostileStrings(60), fc.string({ maxLength: 400 })), (tier) => {
        const name = nameOf({ tier, count: 2_147_483_647, gzip: true });
        expect(name).toMatch(
          /^training-data-[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?-2025-10-29-2147483647\.jsonl\.gz$/,
        );
        expect(name.length).toBeLessThanOrEqual(120);
        expect(basename(join('directory', name))).toBe(name);
      }),
    );
  });

  it('does not tell tiers apart by case alone, which some file systems cannot', () => {
    expect(nameOf({ tier: 'EDGE' })).toBe(nameOf({ tier: 'edge' }));
  });
});
