import { readdir, readFile, stat } from 'node:fs/promises';
import { join, sep } from 'node:path';

/** Pieces that occur nowhere else, so that a part of the password is found whatever became of the signs between. */
const PIECES = ['kqVz7w', 'zXj3hb', 'jBq9tv', 'hMz5rk', 'lPw2sx', 'nDv8fq', 'gCx6yz'];

/** A password with every sign that a URL, a shell, JSON or a line of a log treats in its own way. */
export const CANARY = PIECES.map((piece, index) => `${piece}${'@/:#%\n'[index] ?? ''}`).join('');

/** Files beyond this hold no secrets of ours. */
const MOST_BYTES = 64 * 1024 * 1024;

/** Raw, or encoded for a URL wholly or in part, escaped in JSON, cut, or in another case: the pieces stay. */
const TRACE = new RegExp(
  [
    ...PIECES,
    ...['base64', 'base64url', 'hex'].flatMap((encoding) =>
      [CANARY, encodeURIComponent(CANARY)].map((text) =>
        Buffer.from(text)
          .toString(encoding as BufferEncoding)
          .slice(0, 24),
      ),
    ),
  ]
    .map((text) => text.replace(/[+]/g, '\\+'))
    .join('|'),
  'i',
);

/** What stands around a trace of the password; null where there is none. */
export function canaryIn(text: string): string | null {
  const found = TRACE.exec(text);
  return found === null ? null : text.slice(Math.max(0, found.index - 80), found.index + 120);
}

/** @throws Error when a trace of the password is in the text */
export function refuseCanary(what: string, text: string): void {
  const found = canaryIn(text);
  if (found !== null) throw new Error(`A password is in ${what}: …${found}…`);
}

/** The same URL with the password in it; a server that trusts everybody does not ask for it. */
export function withCanary(url: string): string {
  const [, start, rest] = /^(postgres(?:ql)?:\/\/[^@/:?]+)(@.*)$/s.exec(url) ?? [];
  return start === undefined ? url : `${start}:${encodeURIComponent(CANARY)}${rest}`;
}

/**
 * Looks through every file below a directory, names included; not into the files of a database server or of packages.
 * @param allowed files that the test itself wrote the password into
 * @throws Error naming the file
 */
export async function refuseCanaryBelow(root: string, allowed: readonly string[] = []): Promise<void> {
  const names = await readdir(root, { recursive: true }).catch(() => []);
  for (const name of names) {
    if (/(^|[\\/])(server|data|pgdata|node_modules)([\\/]|$)/.test(name) || allowed.includes(name)) continue;
    refuseCanary(`the name ${name}`, name.split(sep).join('/'));
    const path = join(root, name);
    const stats = await stat(path).catch(() => null);
    if (stats?.isFile() !== true || stats.size > MOST_BYTES) continue;
    refuseCanary(name, (await readFile(path)).toString('latin1'));
  }
}
