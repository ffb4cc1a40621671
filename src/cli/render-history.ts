import { z } from 'zod';
import { availabilityOf } from '../history/availability.js';
import { shellWords } from '../command-line.js';
import type { RecordedRun } from '../db/recorded-runs.js';
import type { HistoryPage } from '../history.js';
import { RULES, type Rule } from '../judging/rules.js';
import { repetitionOf } from '../history/repetition.js';
import { visible, visibleJson } from '../visible.js';
import { size, table } from './render.js';

/** How many ids per rule are shown; JSON has all that the log has. */
const NAMED = 10;
/** What of an error fits into a table, and what of a setting on a line, in characters. */
const ERROR_LENGTH = 60;
const SETTING_LENGTH = 300;
/** Width of the names of fields. */
const NAME_WIDTH = 16;

/** A page for people: one line per export. */
export function pageTable({ exports }: HistoryPage, { showsUsers }: { showsUsers: boolean }): string {
  const hasErrors = exports.some(({ errorMessage }) => errorMessage !== null);
  const head = ['export', 'asked at (UTC)', ...(showsUsers ? ['user'] : []), 'status', 'format', 'scope'];
  const rows = exports.map((run) => [
    run.exportId,
    minute(run.timestamp),
    ...(showsUsers ? [run.userId] : []),
    run.status,
    run.format,
    cut(scopeOf(run) ?? '', 10),
    String(run.conversationCount),
    run.fileSize === null ? '' : size(run.fileSize),
    availableText(run),
    ...(hasErrors ? [cut(run.errorMessage ?? '', ERROR_LENGTH)] : []),
  ]);
  return table([...head, 'count', 'size', 'available until', ...(hasErrors ? ['error'] : [])], rows);
}

/** Where in the list the page is. */
export function pageNote(
  { total, page, limit, exports }: HistoryPage,
  { isFiltered }: { isFiltered: boolean },
): string {
  if (total === 0) return isFiltered ? 'No export matches.' : 'No exports yet.';
  const pages = Math.ceil(total / limit);
  const more = page < pages ? `; --page ${page + 1} shows more` : '';
  const what = total === 1 ? '1 export' : `${total} exports`;
  return exports.length === 0
    ? `There is no page ${page}: ${what} make ${pages === 1 ? 'one page' : `${pages} pages`}.`
    : `Page ${page} of ${pages}, ${what}${more}.`;
}

/** The same for programs: a contract, to which members may be added. */
export function pageJson({ total, page, limit, exports }: HistoryPage): string {
  return visibleJson({ total, page, limit, exports: exports.map(listedJson) });
}

function listedJson(run: RecordedRun): Record<string, unknown> {
  const { until, unavailable } = availabilityOf(run);
  return {
    export_id: run.exportId,
    user_id: run.userId,
    timestamp: run.timestamp,
    format: run.format,
    target: textOf(run.config['target']),
    scope: scopeOf(run),
    status: run.status,
    conversation_count: run.conversationCount,
    skipped_count: run.run?.skipped ?? null,
    file_size: run.fileSize,
    file_url: run.fileUrl,
    sha256: run.run?.sha256 ?? null,
    duration_ms: run.run?.durationMs ?? null,
    expires_at: run.expiresAt,
    is_available: unavailable === null,
    available_until: until,
    error_message: run.errorMessage,
  };
}

/** One export whole, for programs: a contract, to which members may be added. */
export function runJson(run: RecordedRun): string {
  const { run: details } = run;
  const { like, flags, problem } = repetitionOf(run);
  return visibleJson({
    ...listedJson(run),
    created_at: run.createdAt,
    updated_at: run.updatedAt,
    phase: details?.phase ?? null,
    progress: details?.progress ?? null,
    worker_host: details?.workerHost ?? null,
    attempt: details?.attempt ?? null,
    detached: details?.detached ?? null,
    heartbeat_at: details?.heartbeatAt ?? null,
    matched_count: details?.matched ?? null,
    read_count: details?.read ?? null,
    written_count: details?.written ?? null,
    skips: details?.skips ?? null,
    repairs: details?.repairs ?? null,
    warnings: details?.warnings ?? null,
    output: details?.output ?? null,
    storage_key: details?.storageKey ?? null,
    file_deleted_at: details?.fileDeletedAt ?? null,
    unavailable_because: availabilityOf(run).unavailable,
    config: run.config,
    repeat: {
      like: like === null ? null : shellWords(like),
      flags: flags === null ? null : shellWords(flags),
      problem,
    },
  });
}

/** One export whole, for people. */
export function runText(run: RecordedRun): string {
  const lines = [
    ...headLines(run),
    '',
    'Asked for',
    ...settingLines(run.config),
    '',
    'Came out',
    ...resultLines(run),
    '',
    'Repeat',
    ...repeatLines(run),
  ];
  return lines.map((line) => `${visible(line)}\n`).join('');
}

function* headLines(run: RecordedRun): Generator<string> {
  const { run: details } = run;
  yield `Export ${run.exportId}`;
  yield field('status', run.status);
  if (run.errorMessage !== null) yield field('error', run.errorMessage);
  yield field('asked at', run.timestamp);
  yield field('user', run.userId);
  if (details === null) return;
  if (details.durationMs !== null) yield field('took', `${(details.durationMs / 1000).toFixed(1)} s`);
  if (details.workerHost !== null) yield field('ran on', details.workerHost);
  if (details.attempt > 1) yield field('attempts', String(details.attempt));
  if (run.status === 'processing') yield field('progress', `${details.progress} %`);
}

/** What a reader looks for first; JSON in the database has no order of its own. */
const FIRST_SETTINGS = [
  'scope',
  'ids',
  'filters',
  'excludeStatus',
  'sort',
  'limit',
  'format',
  'target',
  'shape',
  'output',
];

/** Whatever is stored is shown: rows of other programs have members of their own. */
function settingLines({ result: _result, version: _version, ...config }: RecordedRun['config']): string[] {
  const first = FIRST_SETTINGS.filter((name) => Object.hasOwn(config, name));
  const names = [...new Set([...first, ...Object.keys(config)])].filter(
    (name) => !isEmptyObject(config[name]),
  );
  const width = Math.max(NAME_WIDTH, ...names.map((name) => Math.min(name.length, 30) + 2));
  return names.map((name) => {
    const value = config[name];
    return field(name, cut(typeof value === 'string' ? value : visibleJson(value), SETTING_LENGTH), width);
  });
}

const counted = z.record(z.string(), z.looseObject({ count: z.number(), ids: z.array(z.string()) }));

function* resultLines(run: RecordedRun): Generator<string> {
  const { run: details } = run;
  const { until, unavailable } = availabilityOf(run);
  const matched = details?.matched ?? null;
  yield field(
    'conversations',
    `${run.conversationCount}${matched === null ? '' : ` of ${matched} that matched`}`,
  );
  if (details !== null) {
    yield field('skipped', String(details.skipped));
    yield* ruleLines('skipped', details.skips);
    yield* ruleLines('repaired', details.repairs);
    yield* ruleLines('written, but', details.warnings);
  }
  const { result } = run.config;
  if (typeof result === 'object' && result !== null) {
    const { turns, rows, notes } = result as Record<string, unknown>;
    if (typeof turns === 'number') yield field('turns', String(turns));
    if (typeof rows === 'number') yield field('rows', String(rows));
    if (typeof notes === 'object' && notes !== null)
      for (const [note, count] of Object.entries(notes)) yield `    ${note}: ${String(count)}`;
  }
  if (run.fileSize !== null) yield field('size', sizeText(run.fileSize));
  if (details !== null && details.sha256 !== null) yield field('sha256', details.sha256);
  if (run.fileUrl !== null) yield field('file', run.fileUrl);
  yield unavailable === null
    ? field('available', until === null ? 'yes' : `until ${until}: lora-export download ${run.exportId}`)
    : field('available', `no: ${unavailable}`);
}

function* ruleLines(label: string, stored: unknown): Generator<string> {
  const parsed = counted.safeParse(stored);
  if (!parsed.success) {
    if (stored !== null) yield `    ${label}: ${cut(visibleJson(stored), SETTING_LENGTH)}`;
    return;
  }
  for (const [rule, { count, ids }] of Object.entries(parsed.data)) {
    const more = count > Math.min(NAMED, ids.length) ? ', …' : '';
    const means = Object.hasOwn(RULES, rule) ? ` (${RULES[rule as Rule].means})` : '';
    yield `    ${label} ${rule}${means}: ${count}: ${ids.slice(0, NAMED).join(', ')}${more}`;
  }
}

function* repeatLines(run: RecordedRun): Generator<string> {
  const { like, flags, problem } = repetitionOf(run);
  if (like !== null) yield `  ${shellWords(like)}`;
  if (flags !== null) yield `  ${shellWords(flags)}`;
  else if (like !== null) yield '  (flags cannot say it: a value holds a comma, or there are too many)';
  if (problem !== null) yield `  ${problem}`;
}

function field(name: string, value: string, width = NAME_WIDTH): string {
  return `  ${`${name} `.padEnd(width)}${value}`;
}

function sizeText(bytes: number): string {
  return bytes < 1024 ? size(bytes) : `${size(bytes)} (${bytes} bytes)`;
}

function availableText(run: RecordedRun): string {
  const { until, unavailable } = availabilityOf(run);
  if (unavailable !== null) return unavailable === 'failed' ? '' : `(${unavailable})`;
  return until === null ? 'yes' : minute(until);
}

/** `2025-10-29 10:00` of a time in ISO 8601; other programs may have written infinity, which is none. */
function minute(moment: string | null): string {
  return moment === null ? '' : moment.slice(0, 16).replace('T', ' ');
}

function cut(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 1)}…`;
}

/** In the words of today: before rows had a version, `all` meant all that is approved. */
function scopeOf({ config }: RecordedRun): string | null {
  const scope = textOf(config['scope']);
  return scope === 'all' && config['version'] === undefined ? 'approved' : scope;
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}

function isEmptyObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0;
}
