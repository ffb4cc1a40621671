import { execa } from 'execa';

/** What put a text on the clipboard. */
export type ClipboardWay = 'pbcopy' | 'wl-copy' | 'xclip' | 'xsel' | 'clip.exe' | 'powershell' | 'OSC 52';

/** The way that worked, or in words why none did. */
export type Copied = { readonly way: ClipboardWay } | { readonly way: null; readonly problem: string };

/** Gives a program its standard input; rejects when it is missing, fails or takes too long. */
export type RunTool = (file: string, args: readonly string[], input: Buffer) => Promise<unknown>;

export interface ClipboardOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly platform: NodeJS.Platform;
  /** Default: starts the program, with `env` and for at most 3 s. */
  readonly run?: RunTool | undefined;
  /** Writes to the terminal, past everything that makes control characters visible. */
  readonly writeTerminal: (text: string) => void;
  /** `writeTerminal` reaches a terminal. */
  readonly isTerminal: boolean;
}

/** More in one sequence is cut off or dropped by widespread terminals: 100,000 characters of Base64 with their frame. */
const MOST_BYTES = 74_994;

/** A tool that cannot reach its display waits for ever. */
const LIMIT_MS = 3_000;

/**
 * Puts a text on the clipboard of the person at the terminal: through a program of the system, else through the terminal
 * itself (OSC 52), which never says whether it did. Over SSH the programs would fill a clipboard that nobody sees, so
 * there only a forwarded display counts.
 */
export async function copyToClipboard(text: string, options: ClipboardOptions): Promise<Copied> {
  const { env, platform, run = starter(env), writeTerminal, isTerminal } = options;
  const tools = toolsFor(text, env, platform);
  for (const { way, file, args } of tools) {
    try {
      await run(file, args, Buffer.from(text));
      return { way };
    } catch {
      // Missing, or not able to reach its display: the next may be.
    }
  }
  const tried =
    tools.length === 0
      ? 'There is no clipboard program for this session'
      : `No clipboard program worked (tried ${tools.map(({ file }) => file).join(', ')})`;
  if (!isTerminal) return { way: null, problem: `${tried}, and no terminal that could take the text.` };
  const bytes = Buffer.byteLength(text);
  if (bytes > MOST_BYTES) {
    const limit = `${thousands(MOST_BYTES)} bytes`;
    return {
      way: null,
      problem: `${tried}, and terminals take at most ${limit} this way: these are ${thousands(bytes)}.`,
    };
  }
  writeTerminal(throughMultiplexer(`\u001b]52;c;${Buffer.from(text).toString('base64')}\u0007`, env));
  return { way: 'OSC 52' };
}

interface Tool {
  readonly way: ClipboardWay;
  readonly file: string;
  readonly args: readonly string[];
}

const PBCOPY: Tool = { way: 'pbcopy', file: 'pbcopy', args: [] };
const WL_COPY: Tool = { way: 'wl-copy', file: 'wl-copy', args: ['--type', 'text/plain;charset=utf-8'] };
const XCLIP: Tool = { way: 'xclip', file: 'xclip', args: ['-selection', 'clipboard', '-in'] };
const XSEL: Tool = { way: 'xsel', file: 'xsel', args: ['--clipboard', '--input'] };
const CLIP: Tool = { way: 'clip.exe', file: 'clip.exe', args: [] };
const POWERSHELL: Tool = {
  way: 'powershell',
  file: 'powershell.exe',
  args: [
    '-NoProfile',
    '-NonInteractive',
    '-Command',
    '[Console]::InputEncoding = New-Object System.Text.UTF8Encoding $false; Set-Clipboard -Value ([Console]::In.ReadToEnd())',
  ],
};

function toolsFor(text: string, env: ClipboardOptions['env'], platform: NodeJS.Platform): Tool[] {
  const isRemote = isSet(env, 'SSH_CONNECTION') || isSet(env, 'SSH_TTY');
  // A display of this machine is `:0`; one that SSH forwards has a host in front.
  const hasDisplay = isRemote ? /^[^:]/.test(env['DISPLAY'] ?? '') : isSet(env, 'DISPLAY');
  const display = hasDisplay ? [XCLIP, XSEL] : [];
  if (isRemote) return display;
  if (platform === 'darwin') return [PBCOPY];
  // clip.exe takes bytes for the code page of the console; what is ASCII, it is in all of them.
  const windows = isAscii(text) ? [CLIP, POWERSHELL] : [POWERSHELL];
  if (platform === 'win32') return windows;
  const isWsl = isSet(env, 'WSL_DISTRO_NAME') || isSet(env, 'WSL_INTEROP');
  return [...(isWsl ? windows : []), ...(isSet(env, 'WAYLAND_DISPLAY') ? [WL_COPY] : []), ...display];
}

/**
 * A multiplexer hands a sequence on to the terminal around it only in an envelope (DCS). tmux does so with
 * `allow-passthrough`; with `set-clipboard on` it takes the plain sequence itself, and ignores it otherwise: so it is
 * given both. screen has a limit on the length of an envelope, so there it is many.
 */
function throughMultiplexer(sequence: string, env: ClipboardOptions['env']): string {
  if (isSet(env, 'TMUX')) {
    return `${sequence}\u001bPtmux;${sequence.replaceAll('\u001b', '\u001b\u001b')}\u001b\\`;
  }
  if (!isSet(env, 'STY')) return sequence;
  const pieces = sequence.match(/[^]{1,240}/g) ?? [];
  return pieces.map((piece) => `\u001bP${piece}\u001b\\`).join('');
}

/** Without pipes to read from: xclip and wl-copy stay behind to serve the clipboard, and would keep them open. */
function starter(env: ClipboardOptions['env']): RunTool {
  return (file, args, input) =>
    execa(file, [...args], {
      input,
      env: { ...env },
      extendEnv: false,
      stdout: 'ignore',
      stderr: 'ignore',
      timeout: LIMIT_MS,
      forceKillAfterDelay: 500,
      windowsHide: true,
    });
}

function isSet(env: ClipboardOptions['env'], name: string): boolean {
  return (env[name] ?? '') !== '';
}

function isAscii(text: string): boolean {
  // Every other character takes more bytes in UTF-8 than it has units here.
  return Buffer.byteLength(text) === text.length;
}

function thousands(value: number): string {
  return value.toLocaleString('en-US');
}
