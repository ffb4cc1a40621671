import { Readable, Writable } from 'node:stream';
import type { Host } from '../../src/cli/host.js';
import { run } from '../../src/cli/main.js';
import type { Ended, Sandbox } from './cli.js';

/**
 * Runs a command line in this process, for tests that need many: what it prints, and its exit status.
 *
 * @param more variables, on top of those of the sandbox
 * @param input standard input
 */
export async function runHere(
  { directory, env }: Pick<Sandbox, 'directory' | 'env'>,
  args: readonly string[],
  more: Readonly<Record<string, string>> = {},
  input = '',
): Promise<Omit<Ended, 'signal'>> {
  const [stdout, stderr] = [sink(), sink()];
  const exitCode = await run(args, {
    stdin: Readable.from(input === '' ? [] : [Buffer.from(input)]),
    stdout: stdout.stream,
    stderr: stderr.stream,
    env: { ...env, ...more },
    cwd: directory,
    platform: process.platform,
    uid: process.getuid?.() ?? null,
    signal: new AbortController().signal,
  });
  return { exitCode, stdout: stdout.text(), stderr: stderr.text() };
}

/** The streams of this process, and nothing of its environment: for what asks about a command line, and runs none. */
export function hostHere(): Host {
  const { stdin, stdout, stderr, platform } = process;
  const { signal } = new AbortController();
  return { stdin, stdout, stderr, env: {}, cwd: process.cwd(), platform, uid: null, signal };
}

function sink() {
  const chunks: Buffer[] = [];
  const stream = new Writable({
    write(chunk: Buffer | string, _encoding, done) {
      chunks.push(Buffer.from(chunk));
      done();
    },
  });
  return { stream, text: () => Buffer.concat(chunks).toString('utf8') };
}
