import type { Problem } from '../targets/target.js';
import { jsonPath } from '../import/line-error.js';
import type { Locate } from './problem-log.js';

/** The library `datasets` takes the types of columns from so many bytes (packaged_modules/json, `chunksize`). */
export const FIRST_BLOCK_BYTES = 10 * 1024 * 1024;

/** Free-form objects can have a new key in every row; memory must not follow. */
const MOST_NODES = 20_000;
const DEEPEST = 24;
/** How deep a key that only some objects have is worth a word: rows, and the objects in their lists. */
const TOLD_DEPTH = 2;

type Kind = 'boolean' | 'integer' | 'fraction' | 'text' | 'object' | 'list';

/** What was seen at one place of the rows. */
interface Node {
  readonly kinds: Set<Kind>;
  /** Line of the first value, null included. */
  readonly firstLine: number;
  readonly keys: Map<string, Node>;
  item: Node | undefined;
  /** Objects seen here. */
  objects: number;
  /** The first line on which an object lacked this key; 0 when none did. */
  firstGap: number;
  /** Every text so far looked like a time, which makes the column one of times. */
  isTime: boolean;
}

const TIME = /^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d:\d\dZ?)?$/;

/** Rows as columns: what the loader guesses from the first block, and what later rows break of it. */
export interface Columns {
  /** @param isFirstBlock the row starts within the first {@link FIRST_BLOCK_BYTES} */
  add(row: unknown, line: number, isFirstBlock: boolean): void;
  /** Tells what only the whole file shows. */
  end(): void;
}

/** Follows the keys and types of rows; each place of a row is reported once per kind of trouble. */
export function createColumns(locate: Locate): Columns {
  let nodes = 0;
  let order: string | undefined;
  let isOrderTold = false;
  const told = new Set<string>();
  const node = (line: number): Node => {
    nodes += 1;
    return {
      kinds: new Set(),
      firstLine: line,
      keys: new Map(),
      item: undefined,
      objects: 0,
      firstGap: 0,
      isTime: false,
    };
  };
  const root = node(1);

  const tell = (problem: Omit<Problem, 'path'>, steps: readonly PropertyKey[], line: number): void => {
    const path = jsonPath(steps).replaceAll('[0]', '[]');
    const key = `${problem.rule} ${path}`;
    if (told.has(key)) return;
    told.add(key);
    locate({ ...problem, path }, line);
  };

  const enter = (
    at: Node,
    value: unknown,
    steps: readonly PropertyKey[],
    line: number,
    isFirst: boolean,
  ): void => {
    const kind = kindOf(value);
    if (kind === null) return;
    const wasEmpty = at.kinds.size === 0;
    if (!isFirst && wasEmpty && at.firstLine !== line) {
      tell(
        error('late-value', 'is null in the first 10 MiB and has a value here: loading fails'),
        steps,
        line,
      );
    } else if (!wasEmpty && !at.kinds.has(kind) && !(isFirst && areNumbers(at.kinds, kind))) {
      if (isFirst || !(kind === 'integer' && at.kinds.has('fraction'))) {
        tell(
          error(
            'mixed-types',
            `is ${article(kind)} here and ${article([...at.kinds][0] as Kind)} before: loading fails`,
          ),
          steps,
          line,
        );
      }
    }
    if (kind === 'text') enterText(at, value as string, wasEmpty, steps, line, isFirst);
    at.kinds.add(kind);
    if (steps.length >= DEEPEST) return;
    if (kind === 'object') enterObject(at, value as Record<string, unknown>, steps, line, isFirst);
    if (kind === 'list') enterList(at, value as readonly unknown[], steps, line, isFirst);
  };

  const enterText = (
    at: Node,
    value: string,
    wasEmpty: boolean,
    steps: readonly PropertyKey[],
    line: number,
    isFirst: boolean,
  ): void => {
    if (wasEmpty) at.isTime = TIME.test(value);
    else if (at.isTime && !TIME.test(value)) {
      if (!isFirst)
        tell(
          error('mixed-types', 'was a time in the first 10 MiB and is another text here: loading fails'),
          steps,
          line,
        );
      at.isTime = false;
    }
  };

  const enterList = (
    at: Node,
    values: readonly unknown[],
    steps: readonly PropertyKey[],
    line: number,
    isFirst: boolean,
  ): void => {
    if (values.length === 0) return;
    if (at.item === undefined) {
      if (!isFirst && at.firstLine !== line) {
        tell(
          error('late-value', 'is an empty list in the first 10 MiB and has entries here: loading fails'),
          steps,
          line,
        );
      }
      at.item = node(line);
    }
    for (const value of values) enter(at.item, value, [...steps, 0], line, isFirst);
  };

  const enterObject = (
    at: Node,
    value: Record<string, unknown>,
    steps: readonly PropertyKey[],
    line: number,
    isFirst: boolean,
  ): void => {
    let known = 0;
    for (const key in value) {
      const path = [...steps, key];
      let child = at.keys.get(key);
      if (child === undefined) {
        if (!isFirst && at.firstLine !== line) {
          tell(error('late-column', 'first occurs after 10 MiB: loading fails'), path, line);
        }
        if (nodes >= MOST_NODES) continue;
        child = node(line);
        if (at.objects > 0) child.firstGap = at.firstLine;
        at.keys.set(key, child);
      }
      known += 1;
      enter(child, value[key], path, line, isFirst);
    }
    at.objects += 1;
    if (known === at.keys.size) return;
    for (const [key, child] of at.keys)
      if (child.firstGap === 0 && !Object.hasOwn(value, key)) child.firstGap = line;
  };

  const enterOrder = (row: Record<string, unknown>, line: number): void => {
    if (isOrderTold) return;
    const found = JSON.stringify(Object.keys(row));
    order ??= found;
    if (
      found === order ||
      [...(JSON.parse(found) as string[])].sort().join() !==
        [...(JSON.parse(order) as string[])].sort().join()
    )
      return;
    isOrderTold = true;
    locate(
      {
        ...warning('column-order', 'the keys stand in another order than in the first row'),
        path: '',
        fix: 'Write the keys of all rows in one order.',
      },
      line,
    );
  };

  const finish = (at: Node, steps: readonly PropertyKey[], depth: number): void => {
    if (at.isTime) {
      tell(
        {
          ...warning(
            'time-column',
            'is loaded as a time, and loading fails where a later row has milliseconds',
          ),
          fix: 'Write times with milliseconds everywhere: 2025-10-29T10:00:00.000Z.',
        },
        steps,
        at.firstLine,
      );
    }
    if (depth < TOLD_DEPTH) {
      for (const [key, child] of at.keys) {
        if (child.firstGap === 0) continue;
        tell(
          {
            ...warning(
              'missing-column',
              'is missing here and present elsewhere: what is loaded depends on the version of the library',
            ),
            fix: 'Write the key in every row, null where it has no value.',
          },
          [...steps, key],
          child.firstGap,
        );
      }
    }
    for (const [key, child] of at.keys) finish(child, [...steps, key], depth + 1);
    if (at.item !== undefined) finish(at.item, [...steps, 0], depth);
  };

  return {
    add(row, line, isFirst) {
      if (kindOf(row) !== 'object') return;
      enterOrder(row as Record<string, unknown>, line);
      enter(root, row, [], line, isFirst);
    },
    end: () => finish(root, [], 0),
  };
}

const FIX = 'Write every column in every row, with one type each; free-form data as one JSON text.';

function error(rule: string, message: string): Omit<Problem, 'path'> {
  return { rule, severity: 'error', message, fix: FIX };
}

function warning(rule: string, message: string): Omit<Problem, 'path'> {
  return { rule, severity: 'warning', message, fix: FIX };
}

function kindOf(value: unknown): Kind | null {
  if (value === null || value === undefined) return null;
  if (typeof value === 'string') return 'text';
  if (typeof value === 'boolean') return 'boolean';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'fraction';
  return Array.isArray(value) ? 'list' : 'object';
}

/** Within the first block integers and fractions make a column of fractions. */
function areNumbers(kinds: ReadonlySet<Kind>, kind: Kind): boolean {
  return (kind === 'integer' && kinds.has('fraction')) || (kind === 'fraction' && kinds.has('integer'));
}

function article(kind: Kind): string {
  return kind === 'integer' || kind === 'object' ? `an ${kind}` : `a ${kind}`;
}
