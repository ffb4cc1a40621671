import { Chalk } from 'chalk';
import type { Host } from '../host.js';
import { isUtf8 } from '../locale.js';

/** How the wizard looks: colours where they are wanted, signs that the terminal can show. */
export interface Style {
  readonly bold: (text: string) => string;
  readonly dim: (text: string) => string;
  readonly accent: (text: string) => string;
  readonly good: (text: string) => string;
  readonly bad: (text: string) => string;
  readonly question: string;
  readonly done: string;
  readonly pointer: string;
  readonly checked: string;
  readonly unchecked: string;
  readonly back: string;
  readonly ellipsis: string;
  readonly separator: string;
  /** Frames of something that goes on. */
  readonly busy: readonly string[];
  readonly keys: { readonly move: string; readonly enter: string };
}

export function styleFor(host: Host): Style {
  const hasColour = (host.env['NO_COLOR'] ?? '') === '' && host.env['TERM'] !== 'dumb';
  const chalk = new Chalk({ level: hasColour ? 1 : 0 });
  const colours = {
    bold: chalk.bold,
    dim: chalk.dim,
    accent: chalk.cyan,
    good: chalk.green,
    bad: chalk.red,
  };
  const signs = isUtf8(host)
    ? {
        question: '?',
        done: '✓',
        pointer: '❯',
        checked: '◉',
        unchecked: '◯',
        back: '←',
        ellipsis: '…',
        separator: '·',
        busy: ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'],
        keys: { move: '↑↓', enter: '⏎' },
      }
    : {
        question: '?',
        done: '+',
        pointer: '>',
        checked: '[x]',
        unchecked: '[ ]',
        back: '<',
        ellipsis: '...',
        separator: '-',
        busy: ['|', '/', '-', '\\'],
        keys: { move: 'up/down', enter: 'enter' },
      };
  return { ...colours, ...signs };
}
