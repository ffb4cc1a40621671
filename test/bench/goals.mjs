/**
 * What we want to be true, each a ratio: `of` against `against`, by median of the ratios round by round, at `size`
 * conversations, or of one size against another.
 */
export const GOALS = [
  {
    what: 'JSONL, wall, against `psql \\copy` of JSON built by the server',
    size: 100_000,
    of: 'jsonl',
    against: 'psql json',
    figure: 'wall',
    most: 0.45,
  },
  {
    what: 'JSONL, wall, against pg-query-stream and JSON.stringify',
    size: 100_000,
    of: 'jsonl',
    against: 'pg-query-stream',
    figure: 'wall',
    most: 0.22,
  },
  {
    what: 'JSONL, CPU of the client, against the plain cursor',
    size: 100_000,
    of: 'jsonl',
    against: 'plain cursor',
    figure: 'cpu',
    most: 0.3,
  },
  {
    what: 'CSV, wall, against `psql \\copy … csv` of the same join',
    size: 100_000,
    of: 'csv',
    against: 'psql csv',
    figure: 'wall',
    most: 0.75,
  },
  {
    what: 'JSON, wall, against our JSONL',
    size: 100_000,
    of: 'json',
    against: 'jsonl',
    figure: 'wall',
    most: 1.3,
  },
  {
    what: 'Markdown, wall, against our JSONL',
    size: 100_000,
    of: 'markdown',
    against: 'jsonl',
    figure: 'wall',
    most: 1.3,
  },
  {
    what: '`--target openai`, wall, against plain JSONL',
    size: 100_000,
    of: 'openai',
    against: 'jsonl',
    figure: 'wall',
    most: 1.2,
  },
  {
    what: '`--gzip`, wall, against `gzip -6` of the same file',
    size: 100_000,
    of: 'gzip',
    against: 'gzip -6',
    figure: 'wall',
    most: 0.5,
  },
  {
    what: '`--jobs 2`, wall, against one connection',
    size: 100_000,
    of: 'jsonl --jobs 2',
    against: 'jsonl',
    figure: 'wall',
    most: null,
  },
  {
    what: '`--tokens`, wall, against plain JSONL',
    size: 10_000,
    of: 'tokens',
    against: 'jsonl',
    figure: 'wall',
    most: null,
  },
  {
    what: '1,000 conversations, wall, against psql',
    size: 1_000,
    of: 'jsonl',
    against: 'psql json',
    figure: 'wall',
    most: 3,
  },
  {
    what: '1,000 conversations, wall, against pg-query-stream',
    size: 1_000,
    of: 'jsonl',
    against: 'pg-query-stream',
    figure: 'wall',
    most: 0.8,
  },
  {
    what: '`--version`, wall, against `node -e 0`',
    size: 1_000,
    of: '--version',
    against: 'node -e 0',
    figure: 'wall',
    most: 1.5,
  },
  {
    what: 'time per conversation at 1,000,000 against 10,000',
    of: 'jsonl',
    size: 1_000_000,
    than: 10_000,
    figure: 'wall',
    most: 1.15,
  },
  {
    what: 'peak memory at 1,000,000 against 100,000',
    of: 'jsonl',
    size: 1_000_000,
    than: 100_000,
    figure: 'rss',
    most: 1.1,
  },
];

/** Peak memory of the largest set, in MB. */
export const MOST_RSS = 110;

/** Each goal with what was measured: a number, or null where a contestant or a size did not run. */
export function judged(results) {
  const rowOf = (size, name) =>
    results.find((one) => one.size === size)?.rows.find((row) => row.name === name);
  const ratios = GOALS.map((goal) => {
    const one = rowOf(goal.size, goal.of);
    const other = goal.than === undefined ? rowOf(goal.size, goal.against) : rowOf(goal.than, goal.of);
    return { ...goal, measured: one === undefined || other === undefined ? null : ratio(goal, one, other) };
  });
  const largest = rowOf(1_000_000, 'jsonl');
  const memory = {
    what: 'peak memory at 1,000,000, MB',
    most: MOST_RSS,
    measured: largest === undefined ? null : largest.rss,
  };
  return [...ratios, memory];
}

function ratio({ figure, size, than }, one, other) {
  if (than === undefined)
    return median(one.runs.map((run, round) => run[figure] / other.runs[round][figure]));
  return figure === 'rss' ? one.rss / other.rss : one.wall / size / (other.wall / than);
}

export function median(numbers) {
  const sorted = numbers.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
