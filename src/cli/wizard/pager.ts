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

/** Text to read on a screen. */
export interface PagerPage {
  readonly message: string;
  /** Already fit to show: no control characters but colours, no line wider than the screen. */
  readonly lines: readonly string[];
}

export interface PagerConfig extends PagerPage {
  /** Lines on the screen at a time. */
  readonly rows: number;
  readonly style: Style;
  readonly theme: object;
  /** Copies the text somewhere and says where, or why not. */
  readonly onCopy: () => Promise<string>;
}

/** Shows text page by page: arrows and space move, `c` copies, Enter goes on. */
export const pager: (config: PagerConfig, context?: object) => Promise<void> = createPrompt<
  void,
  PagerConfig
>(({ message, lines, rows, style, onCopy, ...config }, done) => {
  const theme = makeTheme(config.theme);
  const [status, setStatus] = useState<'idle' | 'done'>('idle');
  const [top, setTop] = useState(0);
  const [said, setSaid] = useState('');
  const prefix = usePrefix({ status, theme });
  const last = Math.max(0, lines.length - rows);

  useKeypress((key, rl) => {
    rl.clearLine(0);
    if (isEnterKey(key)) {
      setStatus('done');
      done();
    } else if (isDownKey(key)) setTop(Math.min(last, top + 1));
    else if (isUpKey(key)) setTop(Math.max(0, top - 1));
    else if (key.name === 'space' || key.name === 'pagedown') setTop(Math.min(last, top + rows));
    else if (key.name === 'b' || key.name === 'pageup') setTop(Math.max(0, top - rows));
    else if (key.name === 'c' && !key.ctrl) void onCopy().then(setSaid);
  });

  if (status === 'done') return `${prefix} ${style.bold(message)}`;
  const shown = lines.slice(top, top + rows);
  const { keysHelpTip } = theme.style as unknown as { keysHelpTip: (keys: [string, string][]) => string };
  const where = `lines ${top + 1} to ${top + shown.length} of ${lines.length}`;
  return [
    `${prefix} ${style.bold(message)} ${style.dim(`(${where})`)}`,
    [
      ...shown,
      said,
      keysHelpTip([
        ...(last > 0
          ? ([
              [style.keys.move, 'scroll'],
              ['space', 'page'],
            ] as [string, string][])
          : []),
        ['c', 'copy'],
        ['⏎', 'go on'],
      ]),
    ]
      .filter((line, index) => index < shown.length || line !== '')
      .join('\n'),
  ];
});
