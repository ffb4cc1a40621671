import { Separator } from '@inquirer/core';
import { checkbox, confirm, input, password, select } from '@inquirer/prompts';
import { LoraExportError } from '../../errors.js';
import type { Host } from '../host.js';
import { fit, wrap } from './fit.js';
import { multiSearch, type SearchSource } from './multi-search.js';
import { pager, type PagerPage } from './pager.js';
import type { Style } from './style.js';

/** Thrown by every question that is answered with "back". */
export class Back extends Error {}

/** One answer that can be chosen. Names and descriptions may be database text. */
export interface Choice<T> {
  readonly value: T;
  readonly name: string;
  /** What it is for, shown while it is under the cursor. */
  readonly description?: string | undefined;
  /** Why it cannot be chosen now. */
  readonly disabled?: string | undefined;
  readonly checked?: boolean | undefined;
}

/** Rows of the screen that a question needs beside its list. */
const OTHER_ROWS = 9;
/** Columns that a list needs beside its texts. */
const OTHER_COLUMNS = 8;

const BACK = Symbol('back');

/**
 * Questions on a terminal, all on standard error. Esc, or the choice "Back", throws {@link Back}; Ctrl-C and the end of
 * the input throw `E_SIGINT`.
 */
export class Prompts {
  readonly #host: Host;
  readonly style: Style;

  constructor(host: Host, style: Style) {
    this.#host = host;
    this.style = style;
  }

  get columns(): number {
    return Math.min(this.#host.stderr.columns ?? 80, 200);
  }

  get rows(): number {
    return (this.#host.stderr as NodeJS.WriteStream).rows ?? 24;
  }

  /** Prose between questions. */
  say(text = ''): void {
    const lines = text.split('\n').flatMap((line) => wrap(line, this.columns - 1));
    this.#host.stderr.write(`${lines.join('\n')}\n`);
  }

  /** Where one is. */
  heading(title: string): void {
    this.say(`\n${this.style.bold(title)}`);
  }

  async select<T>(
    message: string,
    choices: readonly Choice<T>[],
    { initial, canGoBack = true }: { initial?: T; canGoBack?: boolean } = {},
  ): Promise<T> {
    const listed = choices.map((choice, index) => ({ ...this.#listed(choice), value: index }));
    const answer = await this.#ask((context) =>
      select<number | typeof BACK>(
        {
          message,
          choices: [
            ...listed,
            ...(canGoBack
              ? [
                  new Separator(' '),
                  { value: BACK as typeof BACK, name: `${this.style.back} Back`, description: 'Also: Esc' },
                ]
              : []),
          ],
          default: Math.max(
            0,
            choices.findIndex(({ value }) => value === initial),
          ),
          pageSize: this.#pageSize,
          loop: false,
          theme: this.#theme(),
        },
        context,
      ),
    );
    if (answer === BACK) throw new Back();
    return (choices[answer] as Choice<T>).value;
  }

  async checkbox<T>(message: string, choices: readonly Choice<T>[]): Promise<T[]> {
    const listed = choices.map((choice, index) => ({
      ...this.#listed(choice),
      value: index,
      checked: choice.checked ?? false,
    }));
    const answer = await this.#ask((context) =>
      checkbox(
        { message, choices: listed, pageSize: this.#pageSize, loop: false, theme: this.#checkboxTheme() },
        context,
      ),
    );
    return answer.map((index) => (choices[index] as Choice<T>).value);
  }

  /** @param validate true, or what is wrong */
  input(
    message: string,
    {
      initial,
      validate,
    }: { initial?: string; validate?: (value: string) => true | string | Promise<true | string> } = {},
  ): Promise<string> {
    return this.#ask((context) =>
      input(
        {
          message,
          ...(initial === undefined ? {} : { default: initial, prefill: 'editable' as const }),
          ...(validate === undefined ? {} : { validate }),
          theme: this.#theme(),
        },
        context,
      ),
    );
  }

  /** A secret: what is typed is not shown. */
  secret(message: string, validate: (value: string) => true | string): Promise<string> {
    return this.#ask((context) => password({ message, mask: '*', validate, theme: this.#theme() }, context));
  }

  confirm(message: string, initial: boolean): Promise<boolean> {
    return this.#ask((context) => confirm({ message, default: initial, theme: this.#theme() }, context));
  }

  /** Choosing several of very many. Returns the values chosen. */
  search<T>(
    message: string,
    chosen: ReadonlyMap<string, T>,
    source: SearchSource<T>,
  ): Promise<Map<string, T>> {
    return this.#ask((context) =>
      multiSearch<T>(
        {
          message,
          chosen,
          source,
          columns: this.columns - OTHER_COLUMNS,
          pageSize: this.#pageSize,
          style: this.style,
          theme: this.#theme(),
        },
        context,
      ),
    );
  }

  /** Text to read page by page; `onCopy` is told to copy it and says how that went. */
  page(page: PagerPage, onCopy: () => Promise<string>): Promise<void> {
    return this.#ask((context) =>
      pager(
        { ...page, onCopy, rows: Math.max(5, this.rows - 5), style: this.style, theme: this.#theme() },
        context,
      ),
    );
  }

  get #pageSize(): number {
    return Math.max(5, this.rows - OTHER_ROWS);
  }

  #listed<T>({ name, description, disabled }: Choice<T>): {
    name: string;
    description?: string;
    disabled: string | false;
  } {
    const columns = this.columns - OTHER_COLUMNS;
    const reason = disabled === undefined ? false : `(${disabled})`;
    const room = reason === false ? columns : Math.max(10, columns - reason.length - 1);
    return {
      name: fit(name, room, this.style.ellipsis),
      ...(description === undefined ? {} : { description: wrap(description, this.columns - 2).join('\n') }),
      disabled: reason,
    };
  }

  async #ask<T>(open: (context: object) => Promise<T>): Promise<T> {
    const { stdin, stderr, signal } = this.#host;
    const escape = new AbortController();
    const onKeypress = (_: unknown, key: { name?: string } | undefined): void => {
      if (key?.name === 'escape') escape.abort();
    };
    stdin.on('keypress', onKeypress);
    try {
      return await open({
        input: stdin,
        output: stderr,
        signal: AbortSignal.any([escape.signal, signal]),
      });
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      if (escape.signal.aborted) throw new Back();
      if (error instanceof Error && error.name === 'ExitPromptError') throw cancelled();
      throw error;
    } finally {
      stdin.off('keypress', onKeypress);
    }
  }

  #theme() {
    const { style } = this;
    const tip = (keys: [key: string, action: string][]): string =>
      style.dim(
        [...keys.map(([key, action]) => `${this.#keyName(key)} ${action}`), 'esc back', 'ctrl-c cancel'].join(
          `  ${style.separator}  `,
        ),
      );
    return {
      prefix: { idle: style.accent(style.question), done: style.good(style.done) },
      spinner: { interval: 120, frames: [...style.busy] },
      icon: { cursor: style.pointer },
      style: {
        answer: style.accent,
        message: (text: string) => style.bold(text),
        error: (text: string) => style.bad(`! ${text}`),
        defaultAnswer: style.dim,
        help: style.dim,
        highlight: style.accent,
        key: style.accent,
        disabled: style.dim,
        description: style.dim,
        keysHelpTip: tip,
      },
    };
  }

  #checkboxTheme() {
    const theme = this.#theme();
    const { style } = this;
    return {
      ...theme,
      icon: {
        checked: ` ${style.good(style.checked)}`,
        unchecked: ` ${style.unchecked}`,
        cursor: style.pointer,
        disabledChecked: style.checked,
        disabledUnchecked: '-',
      },
    };
  }

  #keyName(key: string): string {
    const { move, enter } = this.style.keys;
    return key === '↑↓' ? move : key === '⏎' ? enter : key;
  }
}

/** The user has had enough. */
export function cancelled(): LoraExportError {
  return new LoraExportError('E_SIGINT', 'Cancelled. Nothing was exported.');
}
