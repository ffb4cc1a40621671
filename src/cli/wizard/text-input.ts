import {
  createPrompt,
  isEnterKey,
  isTabKey,
  makeTheme,
  useEffect,
  useKeypress,
  usePrefix,
  useState,
} from '@inquirer/core';
import type { Style } from './style.js';

/** True, or what is wrong. */
export type Verdict = true | string;

export interface TextConfig {
  readonly message: string;
  /** Where it begins, and what was typed so far. */
  readonly memory: { text: string };
  readonly validate: (text: string) => Verdict | Promise<Verdict>;
  readonly style: Style;
  readonly theme: object;
}

/** One line of text. Unlike the library's own prompt, emptying a text that was given means: nothing. */
export const textInput: (config: TextConfig, context?: object) => Promise<string> = createPrompt<
  string,
  TextConfig
>(({ message, memory, validate, style, ...config }, done) => {
  const theme = makeTheme(config.theme);
  const [status, setStatus] = useState<'idle' | 'loading' | 'done'>('idle');
  const [value, setValue] = useState(memory.text);
  const [problem, setProblem] = useState<string | undefined>();
  const prefix = usePrefix({ status, theme });

  useEffect((rl) => {
    if (memory.text !== '') rl.write(memory.text);
  }, []);

  useKeypress(async (key, rl) => {
    if (status !== 'idle') return;
    if (isEnterKey(key)) {
      setStatus('loading');
      const verdict = await validate(value);
      if (verdict === true) {
        setStatus('done');
        done(value);
        return;
      }
      // Enter has emptied the line.
      rl.write(value);
      setProblem(verdict);
      setStatus('idle');
    } else if (isTabKey(key)) {
      rl.clearLine(0);
      rl.write(value);
    } else {
      memory.text = rl.line;
      setValue(rl.line);
      setProblem(undefined);
    }
  });

  const shown = style.show(value);
  const line = `${prefix} ${style.bold(message)} ${status === 'done' ? style.accent(shown) : shown}`;
  const { keysHelpTip } = theme.style as unknown as { keysHelpTip: (keys: [string, string][]) => string };
  if (status === 'done') return line;
  return [
    line,
    [...(problem === undefined ? [] : [style.bad(`! ${problem}`)]), keysHelpTip([['enter', 'done']])].join(
      '\n',
    ),
  ];
});
