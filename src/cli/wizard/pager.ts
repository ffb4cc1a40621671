import {
  createPrompt,
  isDownKey,
  isEnterKey,
  isUpKey,
  makeTheme,
  useKeypress,
  usePrefix,
  useState,
} from '@inquirer/core';
import type { Style } from './style.js';

export interface PagerConfig {
  readonly message: string;
  /** Already fit to show: no control characters but colours, no line wider than the screen. */
  readonly lines: readonly string[];
  /** Lines on the screen at a time. */
  readonly rows: number;
  /** The line at the top. */
  readonly memory: { top: number };
  readonly style: Style;
  readonly theme: object;
  /** Copies the text somewhere and says where, or why not. Without it there is no such key. */
  readonly onCopy?: (() => Promise<string>) | undefined;
}

/** Shows text page by page: arrows and space move, `c` copies, Enter goes on. */
export const pager: (config: PagerConfig, context?: object) => Promise<void> = createPrompt<
  void,
  PagerConfig
>(({ message, lines, rows, memory, style, onCopy, ...config }, done) => {
  const theme = makeTheme(config.theme);
  const last = Math.max(0, lines.length - rows);
  const [status, setStatus] = useState<'idle' | 'done'>('idle');
  const [top, setTop] = useState(Math.min(memory.top, last));
  const [said, setSaid] = useState('');
  const prefix = usePrefix({ status, theme });

  useKeypress((key, rl) => {
    rl.clearLine(0);
    const move = (by: number): void => {
      memory.top = Math.max(0, Math.min(last, top + by));
      setTop(memory.top);
    };
    if (isEnterKey(key)) {
      setStatus('done');
      done();
    } else if (isDownKey(key)) move(1);
    else if (isUpKey(key)) move(-1);
    else if (key.name === 'space' || key.name === 'pagedown') move(rows);
    else if (key.name === 'b' || key.name === 'pageup') move(-rows);
    else if (key.name === 'home') move(-lines.length);
    else if (key.name === 'end') move(lines.length);
    else if (key.name === 'c' && !key.ctrl && onCopy !== undefined) void onCopy().then(setSaid);
  });

  if (status === 'done') return `${prefix} ${style.bold(message)}`;
  const shown = lines.slice(top, top + rows);
  const { keysHelpTip } = theme.style as unknown as { keysHelpTip: (keys: [string, string][]) => string };
  const where = last === 0 ? 'all lines' : `lines ${top + 1} to ${top + shown.length} of ${lines.length}`;
  const keys: [string, string][] = [
    ...(last > 0
      ? ([
          ['arrows', 'scroll'],
          ['space', 'next page'],
          ['b', 'page back'],
        ] as [string, string][])
      : []),
    ...(onCopy === undefined ? [] : ([['c', 'copy']] as [string, string][])),
    ['enter', 'go on'],
  ];
  return [
    `${prefix} ${style.bold(message)} ${style.dim(`(${where})`)}`,
    [...shown, ...(said === '' ? [] : [style.accent(said)]), keysHelpTip(keys)].join('\n'),
  ];
});
