import { Chalk } from 'chalk';
import { visible } from '../../visible.js';
import { ascii } from '../ascii.js';
import type { Host } from '../host.js';
import { isUtf8 } from '../locale.js';

/** Adds colour to a text, or nothing. */
export type Paint = (text: string) => string;

/** How the wizard looks: colours where they are wanted, signs that the terminal can show. */
export interface Style {
  readonly hasColour: boolean;
  readonly bold: Paint;
  readonly dim: Paint;
  readonly accent: Paint;
  readonly good: Paint;
  readonly bad: Paint;
  /** Any text in characters that the terminal shows and does not obey. */
  readonly show: (text: string) => string;
  readonly question: string;
  readonly done: string;
  readonly pointer: string;
  readonly back: string;
  readonly ellipsis: string;
  readonly separator: string;
  /** Frames of something that goes on. */
  readonly busy: readonly string[];
}

/** What no list needs to tell by a sign alone; these two are read out as they are. */
export const CHECKED = '[x]';
export const UNCHECKED = '[ ]';

/** Without colours for NO_COLOR, without other characters than ASCII for a locale that is not UTF-8. */
export function styleFor(host: Pick<Host, 'env' | 'platform'>): Style {
  const hasColour = (host.env['NO_COLOR'] ?? '') === '';
  const chalk = new Chalk({ level: hasColour ? 1 : 0 });
  const colours = {
    hasColour,
    bold: chalk.bold,
    dim: chalk.dim,
    accent: chalk.cyan,
    good: chalk.green,
    bad: chalk.red,
  };
  const signs = isUtf8(host)
    ? {
        show: visible,
        question: '?',
        done: '✓',
        pointer: '❯',
        back: '←',
        ellipsis: '…',
        separator: '·',
        busy: ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'],
      }
    : {
        show: (text: string) => ascii(visible(text)),
        question: '?',
        done: '+',
        pointer: '>',
        back: '<',
        ellipsis: '...',
        separator: '-',
        busy: ['|', '/', '-', '\\'],
      };
  return { ...colours, ...signs };
}
