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
      stripFinalNewline: false,
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

/** The questions of the usual way, and the answer that leads on from each. */
export const WAY = [
  { question: 'Go on with', answer: 'Export from' },
  { question: 'Export', answer: 'All approved' },
  { question: 'It is for', answer: 'Training with LoRA' },
  { question: 'Options', answer: 'Go on' },
  { question: 'Write to', answer: 'The export directory' },
  { question: 'The first', answer: null },
  { question: 'would be written', answer: 'Go on' },
  { question: 'Write the file?', answer: 'Export' },
] as const;

export type Question = (typeof WAY)[number]['question'];

/** Answers the usual way's questions from one to another, which is open afterwards; the last one by default. */
export async function goTo(
  wizard: WizardRun,
  last: Question = 'Write the file?',
  first: Question = 'Go on with',
): Promise<void> {
  const questions = WAY.map(({ question }) => question);
  for (const { question, answer } of WAY.slice(questions.indexOf(first), questions.indexOf(last))) {
    if (answer !== null) await wizard.choose(question, answer);
    else {
      await wizard.asks(question);
      wizard.press('enter');
    }
  }
  await wizard.asks(last);
}

/** Answers the last questions: export, no preset. Resolves when the program has ended well. */
export async function finish(wizard: WizardRun): Promise<void> {
  await wizard.choose('Write the file?', 'Export');
  await wizard.asks('Name of the preset');
  wizard.press('enter');
  const status = await wizard.exited;
  if (status !== 0) throw new Error(`The wizard ended with ${status}:\n${wizard.screen()}`);
}
