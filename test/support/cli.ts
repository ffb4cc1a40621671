import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa, type Options } from 'execa';

import { refuseCanary, refuseCanaryBelow, withCanary } from './canary.js';
import type { TestDatabase } from './database.js';

/** The installed program; `npm run build` makes what it loads. */
export const program = fileURLToPath(new URL('../../bin/lora-export.js', import.meta.url));

export interface RunOptions {
  /** On top of the clean environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Standard input; empty without it. */
  readonly input?: string | Uint8Array;
  /** Where DATABASE_URL points; unset without it. It gets a password, for which every output is searched. */
  readonly database?: Pick<TestDatabase, 'url'> | undefined;
}

/** How a run of the program ended. */
export interface Ended {
  /** Undefined when a signal ended it. */
  readonly exitCode: number | undefined;
  readonly signal: string | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/** A run that has not ended yet. */
export interface Running {
  readonly child: ChildProcess;
  /** Resolves when standard error has shown the text. Rejects when the program ended without it. */
  shown(text: string): Promise<void>;
  readonly ended: Promise<Ended>;
}

/** A place for runs of the program: a home, a state and a working directory that nobody else has. */
export interface Sandbox {
  /** The working directory of every run. */
  readonly directory: string;
  /** LORA_EXPORT_HOME. */
  readonly state: string;
  readonly env: Readonly<Record<string, string>>;
  path(name: string): string;
  /** Names in the working directory, sorted. */
  files(): Promise<string[]>;
  lora(args: readonly string[], options?: RunOptions): Promise<Ended>;
  /** A line for bash in which "$@" is the program with its arguments; `pipefail` is on. */
  shell(line: string, args: readonly string[], options?: RunOptions): Promise<Ended>;
  /** Starts a run whose standard output is read only when `reads` is true (the default). */
  start(args: readonly string[], options?: RunOptions & { readonly reads?: boolean }): Running;
  remove(): Promise<void>;
}

/** Makes the directories of a sandbox. As root they can be entered by the account of the embedded server. */
export async function makeSandbox(database?: Pick<TestDatabase, 'url'>): Promise<Sandbox> {
  const root = await mkdtemp(join(process.getuid?.() === 0 ? '/tmp' : tmpdir(), 'lora-e2e-'));
  await chmod(root, 0o755);
  const [home, state, directory] = ['home', 'state', 'work'].map((name) => join(root, name)) as [
    string,
    string,
    string,
  ];
  await Promise.all([mkdir(home), mkdir(directory)]);
  const env = { PATH: process.env['PATH'] ?? '', HOME: home, LORA_EXPORT_HOME: state };

  const settings = ({ env: more = {}, input, ...rest }: RunOptions = {}) => {
    const url = 'database' in rest ? rest.database?.url : database?.url;
    return {
      cwd: directory,
      env: { ...env, ...(url === undefined ? {} : { DATABASE_URL: withCanary(url) }), ...more },
      extendEnv: false,
      reject: false,
      stripFinalNewline: false,
      ...(input === undefined ? { stdin: 'ignore' } : { input }),
    } satisfies Options;
  };
  const run = async (file: string, args: readonly string[], options?: RunOptions): Promise<Ended> => {
    const { exitCode, signal, stdout, stderr } = await execa(file, args, settings(options));
    refuseCanary(`the output of ${args.join(' ')}`, `${String(stdout)}${String(stderr)}`);
    return { exitCode, signal, stdout: String(stdout), stderr: String(stderr) };
  };

  return {
    directory,
    state,
    env,
    path: (name) => join(directory, name),
    files: async () => (await readdir(directory)).sort(),
    lora: (args, options) => run(process.execPath, [program, ...args], options),
    shell: (line, args, options) =>
      run('bash', ['-c', `set -o pipefail; ${line}`, 'bash', process.execPath, program, ...args], options),
    start(args, { reads = true, ...options } = {}) {
      const { cwd, env } = settings(options);
      const child = spawn(process.execPath, [program, ...args], {
        cwd,
        env,
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      return follow(child, reads);
    },
    async remove() {
      try {
        await refuseCanaryBelow(root);
      } finally {
        await rm(root, { recursive: true, force: true });
      }
    },
  };
}

function follow(child: ChildProcess, reads: boolean): Running {
  let stdout = '';
  let stderr = '';
  const waiting = new Set<() => void>();
  const wake = (): void => waiting.forEach((check) => check());
  if (reads) child.stdout?.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr?.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
    wake();
  });
  let isOver = false;
  const ended = once(child, reads ? 'close' : 'exit').then(([exitCode, signal]) => {
    isOver = true;
    wake();
    child.stdout?.destroy();
    refuseCanary('the output', stdout + stderr);
    return {
      exitCode: (exitCode as number | null) ?? undefined,
      signal: (signal as string | null) ?? undefined,
      stdout,
      stderr,
    };
  });
  return {
    child,
    ended,
    shown: (text) =>
      new Promise((resolve, reject) => {
        const check = (): void => {
          if (stderr.includes(text)) resolve();
          else if (isOver) reject(new Error(`The program ended without "${text}":\n${stderr}`));
          else return;
          waiting.delete(check);
        };
        waiting.add(check);
        check();
      }),
  };
}
