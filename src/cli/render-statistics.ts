import type { Check, CheckReport } from '../statistics/alerts.js';
import {
  sizeClassName,
  successRate,
  type Bucket,
  type Durations,
  type FormatOutcomes,
  type Outcomes,
  type Statistics,
} from '../statistics.js';
import { visible, visibleJson } from '../visible.js';
import { conversations, size, table } from './render.js';

/** Columns of a terminal that nothing here exceeds. */
const WIDTH = 80;
/** Users that are shown to people. */
const SHOWN_USERS = 10;

/** What the text may be made of. */
export interface Drawing {
  /** Blocks in eighths; else `#`. */
  readonly utf8: boolean;
}

/** The history in numbers for people, in tables with bars. */
export function statisticsText(statistics: Statistics, drawing: Drawing): string {
  const { since, until, totals, formats, durations, users, buckets, by } = statistics;
  const heading = `Exports from ${minute(since)} to ${minute(until)} UTC`;
  const sections = [
    `${heading}\n\n${overview(statistics)}`,
    section('Formats', ['format', 'runs', 'share'], formats, (row) => [...sharesOf(row, totals)], drawing),
    section(
      'Sizes',
      ['format', 'files', 'average', 'largest', 'total'],
      formats.filter(({ files }) => files > 0),
      (row) => [
        row.format ?? '',
        String(row.files),
        size(row.averageBytes ?? 0),
        size(row.largestBytes ?? 0),
        size(row.bytes),
        row.bytes,
      ],
      drawing,
    ),
    section(
      'Durations of exports that succeeded (bar: average)',
      ['format', 'conversations', 'runs', 'average', 'median', 'p95', 'longest'],
      durations.filter(({ runs, format }) => runs > 0 && (format === null || formats.length > 1)),
      durationRow,
      drawing,
    ),
    section(
      'Users',
      ['user', 'runs', 'share'],
      users.slice(0, SHOWN_USERS),
      (row) => [row.userId, String(row.runs), percent(row.runs, totals.runs), row.runs],
      drawing,
    ) + (totals.users > SHOWN_USERS ? `and ${totals.users - SHOWN_USERS} more\n` : ''),
    section(
      by === 'hour' ? 'Hours (UTC; bar: runs)' : 'Days (UTC; bar: runs)',
      [by, 'runs', 'failed', 'success', 'conversations', 'bytes'],
      buckets,
      (row) => bucketRow(row, by),
      drawing,
    ),
  ];
  return sections.filter((text) => text !== '').join('\n');
}

function overview(statistics: Statistics): string {
  const { totals, storage } = statistics;
  const { succeeded, failed, cancelled, inProgress } = totals;
  const rate = successRate(totals);
  const ended =
    rate === null
      ? 'none has ended'
      : `${percent(succeeded, succeeded + failed)} of ${succeeded + failed} that ended; cancelled ones do not count`;
  const overdue = storage.overdueFiles === 0 ? '' : `; ${storage.overdueFiles} overdue for cleanup`;
  return [
    `runs          ${totals.runs}: ${succeeded} succeeded, ${failed} failed, ${cancelled} cancelled, ${inProgress} in progress`,
    `success rate  ${ended}`,
    `volume        ${conversations(totals.conversations)}, ${size(totals.bytes)}`,
    `users         ${totals.users}`,
    `storage cost  ${size(totals.byteHours)} hours (size times retention)`,
    `stored now    ${storage.files} ${storage.files === 1 ? 'file' : 'files'}, ${size(storage.bytes)}${overdue}`,
    '',
  ].join('\n');
}

function sharesOf(row: FormatOutcomes, totals: Outcomes): Row {
  return [row.format ?? '', String(row.runs), percent(row.runs, totals.runs), row.runs];
}

function durationRow({ format, sizeClass, runs, ...times }: Durations): Row {
  const { averageMs, medianMs, p95Ms, longestMs } = times;
  return [
    format ?? 'all',
    sizeClass === null ? 'all' : sizeClassName(sizeClass),
    String(runs),
    ...[averageMs, medianMs, p95Ms, longestMs].map((time) => seconds(time ?? 0)),
    averageMs ?? 0,
  ];
}

function bucketRow(row: Bucket, by: Statistics['by']): Row {
  const rate = successRate(row);
  return [
    by === 'hour' ? minute(row.start) : row.start.slice(0, 10),
    String(row.runs),
    String(row.failed),
    rate === null ? '-' : percent(row.succeeded, row.succeeded + row.failed),
    String(row.conversations),
    size(row.bytes),
    row.runs,
  ];
}

/** The cells of a line and, last, what its bar stands for. */
type Row = readonly [...cells: string[], bar: number];

/** A title over a table whose first column is names and whose others are numbers; nothing without rows. */
function section<T>(
  title: string,
  head: readonly string[],
  items: readonly T[],
  toRow: (item: T) => Row,
  drawing: Drawing,
): string {
  if (items.length === 0) return '';
  const rows = items.map(toRow);
  const texts = rows.map((row) => (row.slice(0, -1) as string[]).map(visible));
  const bars = rows.map((row) => row.at(-1) as number);
  const widths = head.map((name, column) =>
    Math.max(name.length, ...texts.map((row) => (row[column] ?? '').length)),
  );
  const aligned = [head, ...texts].map((row) =>
    row.map((cell, column) => (column === 0 ? cell : cell.padStart(widths[column] ?? 0))),
  );
  const room = Math.max(0, WIDTH - widths.reduce((sum, width) => sum + width + 2, 0));
  const most = Math.max(...bars);
  const drawn = bars.map((value) => bar(most === 0 ? 0 : value / most, Math.min(room, 24), drawing));
  const [names = [], ...lines] = aligned;
  return `${title}\n${table(
    [...names, ''],
    lines.map((line, index) => [...line, drawn[index] ?? '']),
  )}`;
}

const EIGHTHS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];

/** A bar of a share, 0 to 1, of so many columns; what is more than nothing shows. */
export function bar(share: number, columns: number, { utf8 }: Drawing): string {
  const unit = utf8 ? 8 : 1;
  const parts = share === 0 || columns === 0 ? 0 : Math.max(1, Math.round(share * columns * unit));
  return (utf8 ? '█' : '#').repeat(Math.floor(parts / unit)) + (utf8 ? (EIGHTHS[parts % unit] ?? '') : '');
}

/** `2025-10-29 10:00` of ISO 8601. */
function minute(moment: string): string {
  return moment.slice(0, 16).replace('T', ' ');
}

function seconds(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(milliseconds < 10_000 ? 2 : 1)} s`;
}

function percent(part: number, whole: number): string {
  return `${((100 * part) / whole).toFixed(1)} %`;
}

/** The same for programs: a contract, to which members may be added. */
export function statisticsJson(statistics: Statistics): string {
  const { totals, formats, durations, users, buckets, storage } = statistics;
  return visibleJson({
    since: statistics.since,
    until: statistics.until,
    by: statistics.by,
    ...outcomesJson(totals),
    success_rate: successRate(totals),
    byte_hours: totals.byteHours,
    formats: formats.map((row) => ({
      format: row.format,
      share: row.runs / totals.runs,
      ...outcomesJson(row),
      success_rate: successRate(row),
      file_count: row.files,
      average_file_size: row.averageBytes,
      max_file_size: row.largestBytes,
      byte_hours: row.byteHours,
    })),
    durations: durations.map((row) => ({
      format: row.format,
      size_class: row.sizeClass === null ? null : sizeClassName(row.sizeClass),
      run_count: row.runs,
      average_ms: row.averageMs,
      median_ms: row.medianMs,
      p95_ms: row.p95Ms,
      max_ms: row.longestMs,
    })),
    user_count: totals.users,
    users: users.map((row) => ({
      user_id: row.userId,
      share: row.runs / totals.runs,
      ...outcomesJson(row),
      success_rate: successRate(row),
    })),
    buckets: buckets.map((row) => ({
      start: row.start,
      ...outcomesJson(row),
      success_rate: successRate(row),
    })),
    storage: {
      file_count: storage.files,
      bytes: storage.bytes,
      overdue_file_count: storage.overdueFiles,
      overdue_bytes: storage.overdueBytes,
    },
  });
}

function outcomesJson(row: Outcomes): object {
  return {
    run_count: row.runs,
    succeeded_count: row.succeeded,
    failed_count: row.failed,
    cancelled_count: row.cancelled,
    in_progress_count: row.inProgress,
    conversation_count: row.conversations,
    total_bytes: row.bytes,
  };
}

const CHECKS: Record<Check['name'], { label: string; show: (value: number) => string }> = {
  failure_rate: { label: 'failure rate', show: (share) => `${(100 * share).toFixed(1)} %` },
  small_export_seconds: { label: 'small exports', show: (value) => `${value.toFixed(1)} s` },
  storage_bytes: { label: 'storage', show: size },
  silent_runs: { label: 'silent runs', show: String },
};

/** A line per threshold, for people. */
export function checkText({ checks }: CheckReport): string {
  const rows = checks.map(({ ok, ...check }) => [ok ? 'ok' : 'ALERT', ...checkCells(check), check.message]);
  return table(['', 'check', 'value', 'limit', ''], rows);
}

/** What is wrong, in one line per crossed threshold. */
export function crossedText({ checks }: CheckReport): string {
  return checks
    .filter(({ ok }) => !ok)
    .map((check) => {
      const [label, value, limit] = checkCells(check);
      return `${label} ${value} is more than ${limit} (${check.message})`;
    })
    .join('; ');
}

function checkCells({ name, value, limit }: Pick<Check, 'name' | 'value' | 'limit'>): string[] {
  const { label, show } = CHECKS[name];
  return [label, value === null ? '-' : show(value), show(limit)];
}

export function checkJson({ ok, since, until, checks }: CheckReport): string {
  return visibleJson({ ok, since, until, checks });
}
