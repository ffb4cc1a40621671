import { emitKeypressEvents, type Interface } from 'node:readline';
import { checkbox, confirm, password, select } from '@inquirer/prompts';
import { Separator } from '@inquirer/core';
import { LoraExportError } from '../../errors.js';
import type { Host } from '../host.js';
import { fit, widthOf, wrap } from './fit.js';
import { multiSearch, type SearchSource } from './multi-search.js';
import { pager } from './pager.js';
import { CHECKED, UNCHECKED, type Paint, type Style } from './style.js';
import { textInput, type Verdict } from './text-input.js';
import { checkboxTheme, keyHelp, themeOf } from './theme.js';

/** Thrown by every question that is answered with "back". */
export class Back extends Error {}

/** The screen has another size. */
class Resized extends Error {}

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

export interface SelectOptions<T> {
  /** Where the cursor begins. */
  readonly initial?: T | undefined;
  /** Default: true. */
  readonly canGoBack?: boolean | undefined;
  /** The question disappears when it is answered, because it comes again. Default: false. */
  readonly clears?: boolean | undefined;
}

/** Columns that a list needs beside its texts. */
const OTHER_COLUMNS = 8;
/** Fewer rows of a list are no list. */
const FEWEST_ROWS = 3;
/** How long Esc may be the beginning of another key, in milliseconds: as editors have it. */
const ESCAPE_MS = 100;
const BACK = Symbol('back');

interface Line {
  readonly text: string;
  readonly paint: Paint;
  /** The terminal breaks it, so that it can be copied in one piece. */
  readonly isWhole?: boolean;
}

const plain: Paint = (text) => text;

/**
 * Questions on a terminal, all on standard error. Esc, or the choice "Back", throws {@link Back}; Ctrl-C and the end of
 * the input throw `E_SIGINT`. A question is asked again when the screen changes its size.
 */
export class Prompts {
  readonly #host: Host;
  readonly style: Style;
  /** What was said since the last heading: it stays on the screen, above the question. */
  #above: Line[] = [];

  constructor(host: Host, style: Style) {
    this.#host = host;
    this.style = style;
    // The first call decides for the stream, and half a second is long to wait for Esc.
    emitKeypressEvents(host.stdin, { escapeCodeTimeout: ESCAPE_MS } as unknown as Interface);
  }

  get columns(): number {
    return Math.min(Math.max(this.#host.stderr.columns ?? 80, 20), 200);
  }

  get rows(): number {
    return Math.max((this.#host.stderr as NodeJS.WriteStream).rows ?? 24, 10);
  }

  /** Rows that are left below what was said. */
  get rowsLeft(): number {
    return this.rows - 1 - this.#above.reduce((sum, line) => sum + this.#heightOf(line), 0);
  }

  /** Prose between questions. It may hold database text; so colours are added by `paint`. */
  say(text = '', paint = plain): void {
    for (const line of text.split('\n')) {
      this.#add({ text: this.style.show(line), paint });
    }
  }

  /** One line to copy, however long it is. */
  sayWhole(text: string): void {
    this.#add({ text: this.style.show(text), paint: plain, isWhole: true });
  }

  /** Where one is. */
  heading(title: string): void {
    this.#write({ text: '', paint: plain });
    this.#above = [];
    this.say(title, this.style.bold);
  }

  async select<T>(
    message: string,
    choices: readonly Choice<T>[],
    { initial, canGoBack = true, clears = false }: SelectOptions<T> = {},
  ): Promise<T> {
    const start = choices.findIndex(({ value }) => value === initial);
    let active: number | typeof BACK = Math.max(0, start);
    const back: { value: typeof BACK; name: string; description: string } = {
      value: BACK,
      name: `${this.style.back} Back`,
      description: 'Or Esc.',
    };
    const answer = await this.#ask((context) => {
      const { style, columns } = this;
      const listed = choices.map((choice, index) => ({ ...this.#listed(choice), value: index }));
      const theme = themeOf(style, columns - 1, canGoBack ? 'back' : 'leave');
      // The prompt keeps its cursor to itself; what is highlighted tells where it is.
      const highlight = (text: string): string => {
        active = [...listed, back].find(({ name }) => text === `${style.pointer} ${name}`)?.value ?? active;
        return style.accent(text);
      };
      const help = keyHelp(
        [
          ['arrows', 'move'],
          ['enter', 'choose'],
        ],
        style,
        columns - 1,
      );
      const heights = [...listed, back].map(({ description = '' }) => description.split('\n').length);
      // The message, an empty line, the explanation, a problem, the keys.
      const pageSize = this.#pageSize(3 + Math.max(...heights) + help.split('\n').length);
      const isCut = choices.length + (canGoBack ? 2 : 0) > pageSize;
      return select<number | typeof BACK>(
        {
          message: fit(
            isCut ? `${message} (${choices.length} choices, scroll)` : message,
            columns - 4,
            style,
          ),
          choices: [...listed, ...(canGoBack ? [new Separator(' '), back] : [])],
          default: active,
          pageSize,
          loop: false,
          theme: { ...theme, style: { ...theme.style, highlight } },
        },
        context,
      );
    }, clears);
    if (answer === BACK) throw new Back();
    return (choices[answer] as Choice<T>).value;
  }

  /** Several of a list. It disappears when it is answered. */
  async checkbox<T>(message: string, choices: readonly Choice<T>[]): Promise<T[]> {
    const checked = new Set(choices.flatMap((choice, index) => (choice.checked ? [index] : [])));
    const answer = await this.#ask((context) => {
      const { style, columns } = this;
      const theme = checkboxTheme(style, columns - 1);
      const listed = choices.map((choice, index) => {
        const entry = this.#listed(choice);
        return { ...entry, value: index, checked: checked.has(index), checkedName: `${entry.name}, chosen` };
      });
      // As for `select`: only the row that is highlighted can change.
      const highlight = (text: string): string => {
        for (const { value, name, checkedName } of listed) {
          if (
            text.endsWith(`${CHECKED} ${checkedName}`) ||
            text.endsWith(`${style.good(CHECKED)} ${checkedName}`)
          ) {
            checked.add(value);
          } else if (text.endsWith(`${UNCHECKED} ${name}`)) checked.delete(value);
        }
        return style.accent(text);
      };
      const heights = listed.map(({ description = '' }) => description.split('\n').length);
      return checkbox(
        {
          message: fit(message, columns - 4, style),
          choices: listed,
          pageSize: this.#pageSize(4 + Math.max(...heights) + 1),
          loop: false,
          shortcuts: { all: null, invert: null },
          theme: { ...theme, style: { ...theme.style, highlight } },
        },
        context,
      );
    }, true);
    return answer.map((index) => (choices[index] as Choice<T>).value);
  }

  /** One line of text; nothing is an answer too. */
  input(
    message: string,
    {
      initial = '',
      validate = () => true,
      clears = false,
      escape,
    }: {
      readonly initial?: string | undefined;
      readonly validate?: (text: string) => Verdict | Promise<Verdict>;
      readonly clears?: boolean;
      /** What Esc does. Default: back. */
      readonly escape?: string;
    } = {},
  ): Promise<string> {
    const memory = { text: initial };
    return this.#ask(
      (context) =>
        textInput({ message, memory, validate, style: this.style, theme: this.#theme(escape) }, context),
      clears,
    );
  }

  /** A secret: what is typed is shown as stars. */
  secret(message: string, validate: (value: string) => Verdict): Promise<string> {
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
    const memory = { term: '', chosen };
    return this.#ask((context) =>
      multiSearch<T>(
        {
          message,
          memory,
          source,
          columns: this.columns - OTHER_COLUMNS,
          pageSize: this.#pageSize(5),
          style: this.style,
          theme: this.#theme(),
        },
        context,
      ),
    );
  }

  /**
   * Text to read page by page.
   * @param linesIn the text in lines of at most so many columns, fit to show
   * @param onCopy copies it and says how that went
   */
  page(
    message: string,
    linesIn: (columns: number) => readonly string[],
    onCopy?: () => Promise<string>,
  ): Promise<void> {
    const memory = { top: 0 };
    return this.#ask((context) => {
      const { style, columns } = this;
      // The message, what copying says, two lines of keys.
      const rows = this.#pageSize(5);
      const lines = linesIn(columns - 1);
      return pager({ message, lines, rows, memory, onCopy, style, theme: this.#theme() }, context);
    });
  }

  #theme(escape?: string) {
    return themeOf(this.style, this.columns - 1, escape);
  }

  /** @param others rows of the question that are no list */
  #pageSize(others: number): number {
    return Math.max(FEWEST_ROWS, this.rowsLeft - others);
  }

  #listed<T>({ name, description, disabled }: Choice<T>): {
    name: string;
    description?: string;
    disabled: string | false;
  } {
    const { style } = this;
    const columns = this.columns - OTHER_COLUMNS;
    const reason = disabled === undefined ? false : `(${fit(disabled, columns / 2, style)})`;
    const room = reason === false ? columns : columns - widthOf(reason) - 1;
    return {
      name: fit(name, room, style),
      ...(description === undefined
        ? {}
        : { description: wrap(style.show(description), this.columns - 2).join('\n') }),
      disabled: reason,
    };
  }

  #add(line: Line): void {
    this.#above.push(line);
    this.#write(line);
  }

  #linesOf({ text, isWhole = false }: Line): string[] {
    return isWhole ? [text] : wrap(text, this.columns - 1);
  }

  #heightOf(line: Line): number {
    const { columns } = this;
    return this.#linesOf(line).reduce((sum, one) => sum + Math.max(1, Math.ceil(widthOf(one) / columns)), 0);
  }

  #write(line: Line): void {
    this.#host.stderr.write(
      `${this.#linesOf(line)
        .map((text) => line.paint(text))
        .join('\n')}\n`,
    );
  }

  async #ask<T>(open: (context: object) => Promise<T>, clears = false): Promise<T> {
    for (;;) {
      try {
        const answer = await this.#askOnce(open, clears);
        if (!clears) this.#above.push({ text: '', paint: plain });
        return answer;
      } catch (error) {
        if (!(error instanceof Resized)) throw error;
        // The terminal has broken the lines anew, so nobody knows where they are.
        this.#host.stderr.write('\u001b[H\u001b[2J');
        for (const line of this.#above) this.#write(line);
      }
    }
  }

  async #askOnce<T>(open: (context: object) => Promise<T>, clears: boolean): Promise<T> {
    const { stdin, stderr, signal } = this.#host;
    const ending = new AbortController();
    const context = {
      input: stdin,
      output: stderr,
      signal: AbortSignal.any([ending.signal, signal]),
      clearPromptOnDone: clears,
    };
    const leave = (reason: Error): void => {
      context.clearPromptOnDone = true;
      ending.abort(reason);
    };
    const onKeypress = (_: unknown, key: { readonly name?: string } | undefined): void => {
      if (key?.name === 'escape') leave(new Back());
    };
    const onResize = (): void => leave(new Resized());
    // A prompt whose input has ended (Ctrl-D, a closed terminal) would wait for ever. One that is answered pauses it too.
    const onEnd = (): void => void setImmediate(() => ending.abort(cancelled()));
    stdin.on('keypress', onKeypress);
    stdin.on('pause', onEnd);
    stderr.on('resize', onResize);
    try {
      return await open(context);
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      if (ending.signal.aborted) throw ending.signal.reason;
      if (error instanceof Error && error.name === 'ExitPromptError') throw cancelled();
      throw error;
    } finally {
      stdin.off('keypress', onKeypress);
      stdin.off('pause', onEnd);
      stderr.off('resize', onResize);
    }
  }
}

/** The user has had enough. */
export function cancelled(): LoraExportError {
  return new LoraExportError('E_SIGINT', 'Cancelled. Nothing was exported.');
}
