import { execa } from 'execa';
import type { Ended, Sandbox } from './cli.js';
import { program } from './cli.js';
import { startInTerminal, type TerminalRun } from './terminal.js';
import type { TestDatabase } from './database.js';

export interface WizardOptions {
  readonly database?: Pick<TestDatabase, 'url'> | undefined;
  readonly env?: Readonly<Record<string, string>>;
  readonly columns?: number;
  readonly rows?: number;
}

/** The wizard in a terminal, and what people do with it. */
export interface WizardRun extends TerminalRun {
  /** Waits for a question, moves to the choice that begins so, and takes it. */
  choose(question: string, choice: string): Promise<void>;
  /** Waits for a question with boxes and changes those of the choices that begin so. */
  tick(question: string, ...choices: string[]): Promise<void>;
  /** Waits for a question and answers it with a text, in place of what stands there. */
  answer(question: string, text: string): Promise<void>;
  /** The command that does the same, as it was printed. */
  command(): string;
}

const POINTER = /^[❯>] /;

/** Starts the built program without arguments in a terminal. */
export function startWizard(box: Sandbox, { database, env = {}, ...size }: WizardOptions = {}): WizardRun {
  const terminal = startInTerminal([process.execPath, program], {
    cwd: box.directory,
    env: { ...box.env, ...(database === undefined ? {} : { DATABASE_URL: database.url }), ...env },
    ...size,
  });
  const pointed = (choice: string): boolean =>
    terminal
      .question()
      .split('\n')
      .some(
        (line) =>
          POINTER.test(line) &&
          line
            .slice(2)
            .replace(/^\[.\] /, '')
            .startsWith(choice),
      );
  return Object.assign(terminal, {
    async choose(question: string, choice: string) {
      await terminal.asks(question);
      if (!pointed(choice)) terminal.type(choice);
      await terminal.until(`the cursor at "${choice}"`, () => pointed(choice));
      terminal.press('enter');
    },
    async tick(question: string, ...choices: string[]) {
      await terminal.asks(question);
      for (const choice of choices) {
        for (const key of ['up', 'down']) {
          for (let before = ''; !pointed(choice) && terminal.question() !== before;) {
            before = terminal.question();
            const moved = pointerRow(before) + (key === 'up' ? -1 : 1);
            if (!before.split('\n')[moved]?.includes('[')) break;
            terminal.press(key);
            await terminal.until('another row', () => terminal.question() !== before);
          }
        }
        if (!pointed(choice)) throw new Error(`There is no choice "${choice}":\n${terminal.question()}`);
        const before = terminal.question();
        terminal.press('space');
        await terminal.until('a changed box', () => terminal.question() !== before);
      }
      terminal.press('enter');
    },
    async answer(question: string, text: string) {
      await terminal.asks(question);
      terminal.press('ctrl-u');
      terminal.type(text);
      terminal.press('enter');
    },
    command: () => {
      const text = terminal.raw.toString('utf8').replaceAll('\r', '');
      // eslint-disable-next-line no-control-regex
      const plain = text.replaceAll(/\u001b\[[0-9;?]*[a-zA-Z]/g, '');
      const found = /The same again, as a command:\n {2}(lora-export [^\n]*)\n/.exec(plain)?.[1];
      if (found === undefined) throw new Error(`No command was printed:\n${terminal.screen()}`);
      return found;
    },
  });
}

function pointerRow(question: string): number {
  return question.split('\n').findIndex((line) => POINTER.test(line));
}

/** Runs a printed command as a person would who pastes it into bash: `lora-export` is found on PATH. */
export async function paste(
  box: Sandbox,
  command: string,
  database?: Pick<TestDatabase, 'url'>,
): Promise<Ended & { readonly bytes: Buffer }> {
  const { exitCode, signal, stdout, stderr } = await execa(
    'bash',
    ['-c', `lora-export() { "${process.execPath}" "${program}" "$@"; }; ${command}`],
    {
      cwd: box.directory,
      env: { ...box.env, ...(database === undefined ? {} : { DATABASE_URL: database.url }) },
      extendEnv: false,
      reject: false,
      stdin: 'ignore',
      encoding: 'buffer',
    },
  );
  const bytes = Buffer.from(stdout);
  return {
    exitCode,
    signal,
    bytes,
    stdout: bytes.toString('utf8'),
    stderr: Buffer.from(stderr).toString('utf8'),
  };
}
