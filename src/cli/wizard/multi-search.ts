import {
  createPrompt,
  isDownKey,
  isEnterKey,
  isTabKey,
  isUpKey,
  makeTheme,
  useEffect,
  useKeypress,
  useMemo,
  usePagination,
  usePrefix,
  useState,
} from '@inquirer/core';
import { fit, widthOf } from './fit.js';
import { CHECKED, UNCHECKED, type Style } from './style.js';

/** One row that was found. The texts may be database text. */
export interface Found<T> {
  readonly key: string;
  readonly name: string;
  /** What tells it from others of that name. It is cut off last. */
  readonly detail: string;
  readonly value: T;
}

/** What matches a text; superseded searches are aborted. */
export type SearchSource<T> = (
  term: string,
  signal: AbortSignal,
) => Promise<{ readonly rows: readonly Found<T>[]; readonly hasMore: boolean }>;

/** What was typed and chosen so far. */
export interface SearchMemory<T> {
  term: string;
  chosen: ReadonlyMap<string, T>;
}

export interface MultiSearchConfig<T> {
  readonly message: string;
  readonly memory: SearchMemory<T>;
  readonly source: SearchSource<T>;
  /** For a row without its box. */
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
    const { message, memory, source, style, columns, pageSize } = config;
    const theme = makeTheme(config.theme);
    const [status, setStatus] = useState<'idle' | 'loading' | 'done'>('loading');
    const [term, setTerm] = useState(memory.term);
    const [rows, setRows] = useState<readonly Found<never>[]>([]);
    const [hasMore, setHasMore] = useState(false);
    const [problem, setProblem] = useState<string | undefined>();
    const [active, setActive] = useState(0);
    const [chosen, setChosen] = useState<ReadonlyMap<string, never>>(memory.chosen);
    const prefix = usePrefix({ status, theme });

    useEffect((rl) => {
      if (memory.term !== '') rl.write(memory.term);
    }, []);

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
      // A key that is no text must leave the text as it was.
      const restore = (): void => {
        rl.clearLine(0);
        rl.write(term);
      };
      if (isEnterKey(key)) {
        setStatus('done');
        done(new Map(chosen));
      } else if (isTabKey(key)) {
        restore();
        if (row === undefined) return;
        const changed = new Map(chosen);
        if (!changed.delete(row.key)) changed.set(row.key, row.value);
        memory.chosen = changed;
        setChosen(changed);
      } else if (isUpKey(key) || isDownKey(key)) {
        restore();
        setActive(Math.min(Math.max(0, active + (isUpKey(key) ? -1 : 1)), Math.max(0, rows.length - 1)));
      } else {
        memory.term = rl.line;
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
        const box = chosen.has(item.key) ? style.good(CHECKED) : UNCHECKED;
        const text = inColumns(item, columns, style);
        return `${isActive ? style.pointer : ' '} ${box} ${isActive ? style.accent(text) : text}`;
      },
    });
    const count = `${chosen.size} chosen`;
    if (status === 'done') return `${prefix} ${style.bold(message)} ${style.accent(count)}`;
    const { keysHelpTip } = theme.style as unknown as { keysHelpTip: (keys: [string, string][]) => string };
    const list =
      problem !== undefined
        ? style.bad(`! ${style.show(problem)}`)
        : rows.length > 0
          ? page
          : style.dim(status === 'loading' ? 'Searching' : 'Nothing matches.');
    return [
      `${prefix} ${style.bold(message)} ${style.dim(`(${count})`)} ${style.show(term)}`,
      [
        list,
        ...(hasMore ? [style.dim('There are more: type to narrow it down.')] : []),
        keysHelpTip([
          ['arrows', 'move'],
          ['tab', 'choose'],
          ['enter', 'done'],
        ]),
      ].join('\n'),
    ];
  }) as never;

function inColumns({ name, detail }: Found<never>, columns: number, style: Style): string {
  const half = Math.floor(columns / 2);
  const aside = fit(detail, columns - Math.min(widthOf(fit(name, half, style)), half) - 2, style);
  return `${fit(name, columns - widthOf(aside) - 2, style)}  ${aside}`;
}
