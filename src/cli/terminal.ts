import { LoraExportError } from '../errors.js';
import type { Host } from './host.js';
import { failureJson, failureText } from './failure.js';
import { visible } from '../visible.js';
import { ascii } from './ascii.js';
import { isUtf8 } from './locale.js';

/** The only code that touches standard output, standard error and what a terminal can do. */
export class Terminal {
  readonly #host: Host;
  /** Loaded once: a second spinner would keep the process alive after the first was stopped. */
  #loading: Promise<Status> | undefined;
  #status: Status | undefined;
  #statusText: string | undefined;

  constructor(host: Host) {
    this.#host = host;
    // A reader that goes away ends the data, not the program: the sink reports it. Stderr has nobody to tell.
    host.stdout.on('error', () => undefined);
    host.stderr.on('error', () => undefined);
  }

  /** A person is there to read a moving status line. */
  get isInteractive(): boolean {
    const { stderr, env } = this.#host;
    // A terminal without a width, as `script` makes from a pipe, would keep the spinner clearing lines for ever.
    const hasWidth = (stderr.columns ?? 0) > 0;
    return stderr.isTTY === true && hasWidth && env['TERM'] !== 'dumb' && (env['CI'] ?? '') === '';
  }

  /** Standard output is a terminal, so data would scroll past a person. */
  get showsData(): boolean {
    return this.#host.stdout.isTTY === true;
  }

  /** Data, to standard output as it is. */
  data(data: string | Uint8Array): void {
    this.#host.stdout.write(data);
  }

  /** A line about the data, to standard error; control characters are made visible. */
  line(text: string): void {
    this.#status?.pause();
    this.#host.stderr.write(`${text.split('\n').map(this.#show).join('\n')}\n`);
    this.#status?.resume();
  }

  /** What is going on right now: one line that replaces itself, only where somebody watches. */
  async status(text: string): Promise<void> {
    if (!this.isInteractive) return;
    this.#statusText = this.#show(text);
    const status = await (this.#loading ??= createStatus(this.#host));
    // It may have been cleared, or another text come in, while the spinner was loading.
    if (this.#statusText === undefined) return;
    this.#status = status;
    status.show(this.#statusText);
  }

  /** Control characters visible; on a terminal that knows no other characters, in ASCII. */
  readonly #show = (text: string): string => {
    const shown = visible(text);
    return this.#host.stderr.isTTY === true && !isUtf8(this.#host) ? ascii(shown) : shown;
  };

  clearStatus(): void {
    this.#statusText = undefined;
    this.#status?.stop();
    this.#status = undefined;
  }

  /** The last error of a command. */
  failure(error: unknown, { json, debug }: { json: boolean; debug: boolean }): void {
    this.clearStatus();
    if (isQuiet(error)) return;
    this.line(json ? failureJson(error) : failureText(error, { debug }));
  }

  close(): Promise<void> {
    this.clearStatus();
    return Promise.resolve();
  }
}

/** `… | head` is how people look at the first lines: no error to them. */
function isQuiet(error: unknown): boolean {
  return error instanceof LoraExportError && error.code === 'E_CONSUMER_CLOSED';
}

interface Status {
  show(text: string): void;
  pause(): void;
  resume(): void;
  stop(): void;
}

async function createStatus(host: Host): Promise<Status> {
  const { stderr, env } = host;
  const { default: ora } = await import('ora');
  const color = (env['NO_COLOR'] ?? '') === '' ? ('cyan' as const) : false;
  const spinner = ora({
    stream: stderr as NodeJS.WriteStream,
    color,
    ...(isUtf8(host) ? {} : { spinner: 'line' as const }),
    discardStdin: false,
    hideCursor: false,
  });
  return {
    show(text) {
      spinner.text = text;
      if (!spinner.isSpinning) spinner.start();
    },
    pause: () => void spinner.clear(),
    resume: () => void spinner.render(),
    stop: () => void spinner.stop(),
  };
}
