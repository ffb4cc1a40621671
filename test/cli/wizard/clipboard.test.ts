import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

import { copyToClipboard, type ClipboardOptions, type Copied } from '../../../src/cli/wizard/clipboard.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';

/** Copies with tools of which only those named work; says what was tried and what the terminal got. */
async function copy(
  text: string,
  options: Partial<ClipboardOptions> & { readonly working?: readonly string[] },
): Promise<{ copied: Copied; tried: string[]; input: string | null; written: string }> {
  const tried: string[] = [];
  let input: string | null = null;
  let written = '';
  const copied = await copyToClipboard(text, {
    env: {},
    platform: 'linux',
    isTerminal: false,
    run: (file, _args, bytes) => {
      tried.push(file);
      if (options.working?.includes(file) !== true) return Promise.reject(new Error('ENOENT'));
      input = bytes.toString('utf8');
      return Promise.resolve();
    },
    writeTerminal: (sequence) => (written += sequence),
    ...options,
  });
  return { copied, tried, input, written };
}

const WAYLAND = { WAYLAND_DISPLAY: 'wayland-0', DISPLAY: ':0' };
const SSH = { SSH_CONNECTION: '192.0.2.1 50000 192.0.2.2 22' };

describe('the program of the system', () => {
  it.each<[string, Partial<ClipboardOptions>, string[]]>([
    ['macOS', { platform: 'darwin' }, ['pbcopy']],
    ['Windows', { platform: 'win32' }, ['clip.exe', 'powershell.exe']],
    ['X11', { env: { DISPLAY: ':0' } }, ['xclip', 'xsel']],
    ['Wayland', { env: WAYLAND }, ['wl-copy', 'xclip', 'xsel']],
    ['WSL', { env: { WSL_DISTRO_NAME: 'Debian' } }, ['clip.exe', 'powershell.exe']],
    [
      'WSL with a display',
      { env: { WSL_INTEROP: '/run/x', DISPLAY: ':0' } },
      ['clip.exe', 'powershell.exe', 'xclip', 'xsel'],
    ],
    ['a console', {}, []],
    ['SSH into macOS', { platform: 'darwin', env: SSH }, []],
    ['SSH into a desktop', { env: { ...WAYLAND, ...SSH } }, []],
    ['SSH with a forwarded display', { env: { ...SSH, DISPLAY: 'localhost:10.0' } }, ['xclip', 'xsel']],
  ])('is looked for in the usual order on %s', async (_name, options, expected) => {
    const { copied, tried } = await copy('text', options);
    expect(tried).toEqual(expected);
    expect(copied.way).toBeNull();
  });

  it('is the first that works, and gets the text as it is', async () => {
    const text = 'Grüße\n"a"\t😀\u001b[31m';
    const { copied, tried, input, written } = await copy(text, {
      env: WAYLAND,
      working: ['xclip', 'xsel'],
      isTerminal: true,
    });
    expect(copied).toEqual({ way: 'xclip' });
    expect(tried).toEqual(['wl-copy', 'xclip']);
    expect(input).toBe(text);
    expect(written).toBe('');
  });

  it('is never clip.exe for what code pages write differently', async () => {
    const working = ['clip.exe', 'powershell.exe'];
    expect((await copy('plain', { platform: 'win32', working })).copied).toEqual({ way: 'clip.exe' });
    expect((await copy('Grüße', { platform: 'win32', working })).copied).toEqual({ way: 'powershell' });
  });
});

describe('a real program', () => {
  /** A directory with a program of that name. */
  async function withTool(name: string, script: string): Promise<{ PATH: string; at: string }> {
    const at = await temporaryDirectory();
    const path = join(at, name);
    await writeFile(path, `#!/bin/sh\n${script}\n`);
    await chmod(path, 0o755);
    return { PATH: `${at}:${process.env['PATH']}`, at };
  }

  const real = (env: Record<string, string>, text = 'text') =>
    copyToClipboard(text, { env, platform: 'linux', isTerminal: false, writeTerminal: () => undefined });

  it('is found on the path and given every byte', async () => {
    const { PATH, at } = await withTool('xclip', `echo "$@" > "$OUT.args"; cat > "$OUT"`);
    const text = 'Grüße\n'.repeat(50_000);
    const OUT = join(at, 'out');

    expect(await real({ PATH, DISPLAY: ':0', OUT }, text)).toEqual({ way: 'xclip' });
    expect(await readFile(OUT, 'utf8')).toBe(text);
    expect(await readFile(`${OUT}.args`, 'utf8')).toBe('-selection clipboard -in\n');
  });

  it('may leave a part of itself behind to serve the clipboard', async () => {
    const { PATH, at } = await withTool('xclip', `cat > "$OUT"; sleep 30 & echo $! > "$OUT.pid"`);
    const OUT = join(at, 'out');
    expect(await real({ PATH, DISPLAY: ':0', OUT })).toEqual({ way: 'xclip' });
    process.kill(Number(await readFile(`${OUT}.pid`, 'utf8')));
  });

  it('is given up when it fails, when it reads nothing, and when it never ends', async () => {
    for (const script of ['cat > /dev/null; exit 1', 'exit 1', "trap '' TERM; exec sleep 100"]) {
      const { PATH } = await withTool('wl-copy', script);
      const copied = await real({ PATH, WAYLAND_DISPLAY: 'wayland-0' }, 'x'.repeat(200_000));
      expect(copied).toEqual({
        way: null,
        problem: 'No clipboard program worked (tried wl-copy), and no terminal that could take the text.',
      });
    }
  });
});

describe('the terminal', () => {
  const osc52 = (text: string): string => `\u001b]52;c;${Buffer.from(text).toString('base64')}\u0007`;

  it('is asked when no program works', async () => {
    const { copied, written } = await copy('Grüße', { env: { DISPLAY: ':0' }, isTerminal: true });
    expect(copied).toEqual({ way: 'OSC 52' });
    expect(written).toBe(osc52('Grüße'));
  });

  it('is asked over SSH, where a program would fill the clipboard of another machine', async () => {
    const working = ['pbcopy'];
    const { copied, tried } = await copy('a', { platform: 'darwin', env: SSH, working, isTerminal: true });
    expect(copied).toEqual({ way: 'OSC 52' });
    expect(tried).toEqual([]);
  });

  it('gets nothing where there is none', async () => {
    const { copied, written } = await copy('text', {});
    expect(copied).toEqual({
      way: null,
      problem: 'There is no clipboard program for this session, and no terminal that could take the text.',
    });
    expect(written).toBe('');
  });

  it('gets no more than it can take, and the limit is told', async () => {
    const most = await copy('é'.repeat(37_497), { isTerminal: true });
    expect(most.copied).toEqual({ way: 'OSC 52' });
    expect(most.written.length).toBeLessThanOrEqual(100_000);
    const more = await copy(`${'é'.repeat(37_497)}x`, { isTerminal: true });
    expect(more.copied).toEqual({
      way: null,
      problem:
        'There is no clipboard program for this session, and terminals take at most 74,994 bytes this way: these are 74,995.',
    });
    expect(more.written).toBe('');
  });

  it('is reached through tmux, by itself and in an envelope', async () => {
    const { written } = await copy('text', { env: { TMUX: '/tmp/tmux-0/default,1,0' }, isTerminal: true });
    expect(written).toBe(`${osc52('text')}\u001bPtmux;\u001b${osc52('text')}\u001b\\`);
  });

  it('is reached through screen, in envelopes that it can hold', async () => {
    const text = 'x'.repeat(1_000);
    const { written } = await copy(text, { env: { STY: '1.pts-0.host' }, isTerminal: true });
    const envelopes = written.split('\u001b\\').slice(0, -1);
    expect(envelopes.every((each) => each.startsWith('\u001bP') && each.length <= 242)).toBe(true);
    expect(envelopes.map((each) => each.slice(2)).join('')).toBe(osc52(text));
  });
});
