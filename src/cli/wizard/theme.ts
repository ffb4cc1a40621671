import { flow } from './fit.js';
import { CHECKED, UNCHECKED, type Style } from './style.js';

/** A key and what it does. */
export type KeyHelp = readonly [key: string, action: string];

/** Words for screen readers and plain terminals, in place of the signs and words of the library. */
const KEYS: Readonly<Record<string, string>> = { '↑↓': 'arrows', '⏎': 'enter' };
const ACTIONS: Readonly<Record<string, string>> = { navigate: 'move', submit: 'done', select: 'choose' };

/** Which keys do what, in lines that fit. Esc and Ctrl-C work everywhere. */
export function keyHelp(keys: readonly KeyHelp[], style: Style, columns: number, escape = 'back'): string {
  const pieces = [...keys, ['esc', escape], ['ctrl-c', 'cancel']] as KeyHelp[];
  const named = pieces.map(([key, action]) => `${KEYS[key] ?? key} ${ACTIONS[action] ?? action}`);
  return flow(named, `  ${style.separator}  `, columns)
    .map((line) => style.dim(line))
    .join('\n');
}

/** What all prompts look like, those of the library and ours. */
export function themeOf(style: Style, columns: number, escape?: string) {
  return {
    prefix: { idle: style.accent(style.question), done: style.good(style.done) },
    spinner: { interval: 120, frames: [...style.busy] },
    icon: { cursor: style.pointer },
    i18n: { disabledError: 'It cannot be chosen now.' },
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
      keysHelpTip: (keys: readonly KeyHelp[]) => keyHelp(keys, style, columns, escape),
    },
  };
}

/** The same with boxes to tick. */
export function checkboxTheme(style: Style, columns: number) {
  return {
    ...themeOf(style, columns),
    icon: {
      checked: ` ${style.good(CHECKED)}`,
      unchecked: ` ${UNCHECKED}`,
      cursor: style.pointer,
      disabledChecked: ` ${CHECKED}`,
      disabledUnchecked: ' -  ',
    },
  };
}
