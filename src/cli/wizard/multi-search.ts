import {
  createPrompt,
  isDownKey,
  isEnterKey,
  isTabKey,
  isUpKey,
  useEffect,
  useKeypress,
  useMemo,
  usePagination,
  usePrefix,
  useState,
  makeTheme,
} from '@inquirer/core';
import { fit } from './fit.js';
import type { Style } from './style.js';

/** One row that was found. */
export interface Found<T> {
  readonly key: string;
  readonly name: string;
  readonly value: T;
}

/** What matches a text; superseded searches are aborted. */
export type SearchSource<T> = (
  term: string,
  signal: AbortSignal,
) => Promise<{ readonly rows: readonly Found<T>[]; readonly hasMore: boolean }>;

export interface MultiSearchConfig<T> {
  readonly message: string;
  readonly chosen: ReadonlyMap<string, T>;
  readonly source: SearchSource<T>;
  /** For the name of a row. */
  readonly columns: number;
  readonly pageSize: number;
  readonly style: Style;
  readonly theme: object;
}

/** How long typing has to pause before the database is asked, in milliseconds. */
const DEBOUNCE_MS = 150;

/**
 * Chooses any number of rows of a list that is too long to show: typing searches, Tab chooses or unchooses the row under
 * the cursor, Enter ends. What was chosen stays chosen whatever is searched for next.
 */
export const multiSearch: <T>(config: MultiSearchConfig<T>, context?: object) => Promise<Map<string, T>> =
  createPrompt<Map<string, never>, MultiSearchConfig<never>>((config, done) => {
    const { message, source, style, columns, pageSize } = config;
    const theme = makeTheme(config.theme);
    const [status, setStatus] = useState<'idle' | 'loading' | 'done'>('loading');
    const [term, setTerm] = useState('');
    const [rows, setRows] = useState<readonly Found<never>[]>([]);
    const [hasMore, setHasMore] = useState(false);
    const [problem, setProblem] = useState<string | undefined>();
    const [active, setActive] = useState(0);
    const [chosen, setChosen] = useState<ReadonlyMap<string, never>>(config.chosen);
    const prefix = usePrefix({ status, theme });

    useEffect(() => {
      const controller = new AbortController();
      setStatus('loading');
      const search = async (): Promise<void> => {
        try {
          const found = await source(term, controller.signal);
          if (controller.signal.aborted) return;
          setRows(found.rows);
          setHasMore(found.hasMore);
          setActive(0);
          setProblem(undefined);
        } catch (error) {
          if (controller.signal.aborted) return;
          setProblem(error instanceof Error ? error.message : String(error));
        }
        setStatus('idle');
      };
      const timer = setTimeout(() => void search(), term === '' ? 0 : DEBOUNCE_MS);
      return () => {
        clearTimeout(timer);
        controller.abort();
      };
    }, [term]);

    useKeypress((key, rl) => {
      const row = rows[active];
      if (isEnterKey(key)) {
        setStatus('done');
        done(new Map(chosen));
      } else if (isTabKey(key)) {
        // The tab itself is not part of the text.
        rl.clearLine(0);
        rl.write(term);
        if (row === undefined) return;
        const changed = new Map(chosen);
        if (!changed.delete(row.key)) changed.set(row.key, row.value);
        setChosen(changed);
      } else if (isUpKey(key) || isDownKey(key)) {
        rl.clearLine(0);
        rl.write(term);
        setActive(Math.min(Math.max(0, active + (isUpKey(key) ? -1 : 1)), Math.max(0, rows.length - 1)));
      } else {
        setTerm(rl.line);
      }
    });

    const items = useMemo(() => [...rows], [rows]);
    const page = usePagination({
      items,
      active,
      pageSize,
      loop: false,
      renderItem({ item, isActive }) {
        const box = chosen.has(item.key) ? style.good(style.checked) : style.unchecked;
        const name = fit(item.name, columns, style.ellipsis);
        return `${isActive ? style.pointer : ' '} ${box} ${isActive ? style.accent(name) : name}`;
      },
    });
    const count = `${chosen.size} selected`;
    if (status === 'done') return `${prefix} ${style.bold(message)} ${style.accent(count)}`;
    const { keysHelpTip } = theme.style as unknown as { keysHelpTip: (keys: [string, string][]) => string };
    const list =
      problem !== undefined
        ? style.bad(`! ${problem}`)
        : rows.length > 0
          ? page
          : status === 'loading'
            ? style.dim('Searching')
            : style.dim('Nothing matches.');
    return [
      `${prefix} ${style.bold(message)} ${style.dim(`(${count})`)} ${term}`,
      [
        list,
        hasMore ? style.dim('There are more: type to narrow it down.') : '',
        keysHelpTip([
          ['↑↓', 'move'],
          ['tab', 'choose'],
          ['⏎', 'done'],
        ]),
      ]
        .filter((line) => line !== '')
        .join('\n'),
    ];
  }) as never;
