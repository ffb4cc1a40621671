import type { Access } from '../db/access.js';
import { withSnapshot } from '../db/snapshot.js';
import {
  countByFormat,
  countOpen,
  measureDurations,
  measureStorage,
  readPeriod,
  type Durations,
  type FormatOutcomes,
} from '../db/statistics.js';
import { formatNames } from '../formats/index.js';
import { HEARTBEAT_LIMIT_SECONDS } from '../recovery.js';
import type { Since } from './since.js';
import { refuseFuture, successRate } from '../statistics.js';

/** The last day: ratio and quantiles are to show what is going on. */
const METRICS_SINCE: Since = { seconds: 86_400 };

/** Samples of one name; `suffix` is for the parts of a summary. */
interface Family {
  readonly name: string;
  readonly type: 'counter' | 'gauge' | 'summary';
  readonly help: string;
  readonly samples: readonly Sample[];
}

interface Sample {
  readonly labels?: Readonly<Record<string, string>>;
  readonly suffix?: '_sum' | '_count';
  readonly value: number;
}

/**
 * The exports that may be seen in the text format of Prometheus, version 0.0.4, for the textfile collector of a node
 * exporter: counters over all that is recorded, gauges of now, ratio and quantiles of the period.
 * @param since default: the last 24 hours
 * @throws LoraExportError `E_USAGE` when the period lies in the future
 */
export async function prometheusText(access: Access, since: Since = METRICS_SINCE): Promise<string> {
  return withSnapshot(access.connection, async ({ connection }) => {
    const inside: Access = { ...access, connection };
    const period = await readPeriod(inside, since, 'day');
    refuseFuture(period);
    const [ever, ...formats] = (await countByFormat(inside, null)) as [FormatOutcomes, ...FormatOutcomes[]];
    const [recent] = (await countByFormat(inside, since)) as [FormatOutcomes, ...FormatOutcomes[]];
    const durations = await measureDurations(inside, since);
    const storage = await measureStorage(inside);
    const open = await countOpen(inside, HEARTBEAT_LIMIT_SECONDS);
    return exposition([
      ...countersOf(everyFormat(formats)),
      durationSummary(everyFormat(formats), durations),
      gauge('in_progress', 'Exports that are queued or running.', [
        { labels: { status: 'queued' }, value: open.queued },
        { labels: { status: 'processing' }, value: open.processing },
      ]),
      gauge(
        'silent_runs',
        `Exports that are queued or running and gave no sign of life for over ${HEARTBEAT_LIMIT_SECONDS} s.`,
        [{ value: open.silent }],
      ),
      gauge('stored_files', 'Managed files that were not removed yet.', [{ value: storage.files }]),
      gauge('stored_bytes', 'Bytes of managed files that were not removed yet.', [{ value: storage.bytes }]),
      gauge('overdue_bytes', 'Bytes of stored files whose time is over.', [{ value: storage.overdueBytes }]),
      gauge('success_ratio', 'Share of succeeded exports in the window; NaN without any that ended.', [
        { value: successRate(recent) ?? Number.NaN },
      ]),
      gauge('window_seconds', 'Length of the window that success ratio and quantiles are of.', [
        { value: period.seconds },
      ]),
      gauge(
        'last_success_timestamp_seconds',
        'When the last export that succeeded ended, in seconds since 1970.',
        ever.lastSuccess === null ? [] : [{ value: ever.lastSuccess }],
      ),
    ]);
  });
}

function countersOf(formats: readonly FormatOutcomes[]): Family[] {
  const outcomes = ['succeeded', 'failed', 'cancelled'] as const;
  const perFormat = (value: (format: FormatOutcomes) => number): Sample[] =>
    formats.map((row) => ({ labels: labelsOf(row), value: value(row) }));
  return [
    {
      name: 'lora_export_runs_total',
      type: 'counter',
      help: 'Recorded exports that ended, by outcome; drops when old log rows are removed.',
      samples: formats.flatMap((row) =>
        outcomes.map((outcome) => ({ labels: { ...labelsOf(row), outcome }, value: row[outcome] })),
      ),
    },
    {
      name: 'lora_export_conversations_total',
      type: 'counter',
      help: 'Conversations written by exports that succeeded.',
      samples: perFormat(({ conversations }) => conversations),
    },
    {
      name: 'lora_export_written_bytes_total',
      type: 'counter',
      help: 'Bytes written by exports that succeeded, as stored.',
      samples: perFormat(({ bytes }) => bytes),
    },
  ];
}

function durationSummary(formats: readonly FormatOutcomes[], durations: readonly Durations[]): Family {
  const seconds = (milliseconds: number | null | undefined): number =>
    typeof milliseconds === 'number' ? milliseconds / 1000 : Number.NaN;
  return {
    name: 'lora_export_duration_seconds',
    type: 'summary',
    help: 'Duration of exports that succeeded; quantiles are of the window, sum and count of all.',
    samples: formats.flatMap((row) => {
      const labels = labelsOf(row);
      const found = durations.find(({ format, sizeClass }) => format === row.format && sizeClass === null);
      return [
        { labels: { ...labels, quantile: '0.5' }, value: seconds(found?.medianMs) },
        { labels: { ...labels, quantile: '0.95' }, value: seconds(found?.p95Ms) },
        { labels, suffix: '_sum' as const, value: row.totalMs / 1000 },
        { labels, suffix: '_count' as const, value: row.timed },
      ];
    }),
  };
}

function gauge(name: string, help: string, samples: readonly Sample[]): Family {
  return { name: `lora_export_${name}`, type: 'gauge', help, samples };
}

function labelsOf({ format }: FormatOutcomes): { format: string } {
  return { format: format ?? '' };
}

/** A series that begins at zero, and not with its first event, is what makes a first failure visible as an increase. */
function everyFormat(found: readonly FormatOutcomes[]): FormatOutcomes[] {
  const missing = formatNames.filter((name) => !found.some(({ format }) => format === name));
  return [...found, ...missing.map(nothingOf)].toSorted((a, b) =>
    (a.format ?? '') < (b.format ?? '') ? -1 : 1,
  );
}

function nothingOf(format: string): FormatOutcomes {
  const none = { runs: 0, succeeded: 0, failed: 0, cancelled: 0, inProgress: 0, conversations: 0, bytes: 0 };
  const unknown = { averageBytes: null, largestBytes: null, lastSuccess: null };
  return { format, ...none, ...unknown, users: 0, files: 0, byteHours: 0, timed: 0, totalMs: 0 };
}

/** https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format */
function exposition(families: readonly Family[]): string {
  return families
    .filter(({ samples }) => samples.length > 0)
    .flatMap(({ name, type, help, samples }) => [
      `# HELP ${name} ${help.replace(/[\\\n]/g, escaped)}\n`,
      `# TYPE ${name} ${type}\n`,
      ...samples.map(
        ({ labels = {}, suffix = '', value }) => `${name}${suffix}${labelText(labels)} ${String(value)}\n`,
      ),
    ])
    .join('');
}

function labelText(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(
    ([key, value]) => `${key}="${value.replace(/[\\\n"]/g, escaped)}"`,
  );
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

function escaped(character: string): string {
  return character === '\n' ? String.raw`\n` : `\\${character}`;
}
