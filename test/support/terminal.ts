import { spawn } from '@lydell/node-pty';
import xterm from '@xterm/headless';

/** Keys by name; whatever else is pressed is typed as it is. */
const KEYS: Readonly<Record<string, string>> = {
  enter: '\r',
  esc: '\u001b',
  tab: '\t',
  space: ' ',
  up: '\u001b[A',
  down: '\u001b[B',
  backspace: '\u007f',
  'ctrl-c': '\u0003',
  'ctrl-d': '\u0004',
  'ctrl-u': '\u0015',
};

/** A test that waits for this long waits for something that does not come, in milliseconds. */
const PATIENCE_MS = 30_000;

export interface TerminalOptions {
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  /** Default: 80. */
  readonly columns?: number;
  /** Default: 24. */
  readonly rows?: number;
}

/** A program in a terminal of its own. */
export interface TerminalRun {
  /** Presses keys one after the other, without waiting. */
  press(...keys: string[]): void;
  /** What is typed in one go, names of keys included as they are. */
  type(text: string): void;
  resize(columns: number, rows: number): void;
  /** The lines on the screen, without spaces at their ends. */
  lines(): string[];
  /** The screen as text, without empty lines at its end. */
  screen(): string;
  /** What the screen shows from the question that is open on; empty while there is none. */
  question(): string;
  /** Resolves when `test` holds for the screen; rejects, with the screen, when it does not in half a minute or the program ends. */
  until(what: string, test: () => boolean): Promise<void>;
  /** Resolves when the screen shows the text, broken into lines or not. */
  shows(text: string): Promise<void>;
  /** Resolves when a question is open whose first line holds `text`, and which shows `within`. */
  asks(text: string, within?: string): Promise<void>;
  /** All bytes that the program wrote to the terminal. */
  readonly raw: Buffer;
  readonly exited: Promise<number>;
  /** Ends the program if it still runs. */
  kill(): Promise<void>;
}

/** Starts a program in a pseudo-terminal whose screen can be read. */
export function startInTerminal(
  [file, ...args]: readonly [string, ...string[]],
  { cwd, env, columns = 80, rows = 24 }: TerminalOptions,
): TerminalRun {
  const screen = new xterm.Terminal({ cols: columns, rows, scrollback: 0, allowProposedApi: true });
  const child = spawn(file, args, {
    name: 'xterm-256color',
    cols: columns,
    rows,
    cwd,
    env: { TERM: 'xterm-256color', LANG: 'C.UTF-8', ...env },
    encoding: null,
  });
  const chunks: Buffer[] = [];
  const waiting = new Set<() => void>();
  let isOver = false;
  const wake = (): void => waiting.forEach((check) => check());
  child.onData((data: unknown) => {
    const bytes = data as Buffer;
    chunks.push(bytes);
    screen.write(bytes, wake);
  });
  const exited = new Promise<number>((resolve) => {
    child.onExit(({ exitCode }) => {
      isOver = true;
      // The last bytes may still be on their way to the screen.
      screen.write('', wake);
      resolve(exitCode);
    });
  });

  const lines = (): string[] => {
    const { active } = screen.buffer;
    return Array.from({ length: screen.rows }, (_, row) =>
      (active.getLine(active.viewportY + row)?.translateToString(true) ?? '').trimEnd(),
    );
  };
  const text = (): string => lines().join('\n').trimEnd();
  const question = (): string => {
    const shown = lines();
    const start = shown.findLastIndex((line) => line.startsWith('? '));
    return start === -1 ? '' : shown.slice(start).join('\n').trimEnd();
  };
  const until = (what: string, test: () => boolean): Promise<void> =>
    new Promise((resolve, reject) => {
      const fail = (why: string): void => {
        settle();
        reject(new Error(`${why} ${what}. The screen shows:\n${text()}`));
      };
      const timer = setTimeout(() => fail('No sign of'), PATIENCE_MS);
      const settle = (): void => {
        clearTimeout(timer);
        waiting.delete(check);
      };
      const check = (): void => {
        if (test()) {
          settle();
          resolve();
        } else if (isOver) fail('The program ended without');
      };
      waiting.add(check);
      check();
    });

  return {
    press: (...keys) => keys.forEach((key) => child.write(KEYS[key] ?? key)),
    type: (typed) => child.write(typed),
    resize(newColumns, newRows) {
      screen.resize(newColumns, newRows);
      child.resize(newColumns, newRows);
    },
    lines,
    screen: text,
    question,
    until,
    shows: (wanted) =>
      until(`"${wanted}"`, () => text().includes(wanted) || lines().join('').includes(wanted)),
    asks: (wanted, within = '') =>
      until(`the question "${wanted}" ${within}`, () => {
        const open = question();
        // Every question ends with its keys, but those for yes and no: what comes in pieces is whole then.
        const isWhole = /ctrl-c cancel$| [yn]\/[yn]/i.test(open);
        return isWhole && (open.split('\n')[0] ?? '').includes(wanted) && open.includes(within);
      }),
    get raw() {
      return Buffer.concat(chunks);
    },
    exited,
    async kill() {
      if (!isOver) child.kill('SIGKILL');
      await exited;
      screen.dispose();
    },
  };
}
