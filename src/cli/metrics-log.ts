import { closeSync, constants, openSync, writeSync } from 'node:fs';
import { LoraExportError } from '../errors.js';
import type { ExportResult } from '../export.js';
import { completedRecord, failedRecord, type RunFacts } from '../statistics/metrics-record.js';
import { outputError } from '../sinks/output-errors.js';
import { visible, visibleJson } from '../visible.js';
import type { Terminal } from './terminal.js';

/** Where finished runs are told to programs. */
export interface MetricsOptions {
  /** Absolute; a line is appended per finished run. Null: nowhere. */
  readonly metricsFile: string | null;
  /** `json` prints the same line on standard error. */
  readonly logFormat: 'text' | 'json';
}

/** The record of one run: it is written once, whatever is said afterwards. */
export interface RunMetrics {
  completed(this: void, result: ExportResult): void;
  failed(this: void, error: unknown): void;
}

export interface Metrics {
  /** The summary for people gives way to the line for programs. */
  readonly replacesSummary: boolean;
  /** Starts the clock of a run. */
  begin(this: void, facts: RunFacts): RunMetrics;
}

/**
 * Finds out whether the file can be written before an export begins. What fails later is told on standard error: an
 * export that is complete stays so.
 * @throws LoraExportError `E_USAGE` when the file or its directory is none, `E_OUTPUT` when it may not be written
 */
export function openMetrics({ metricsFile, logFormat }: MetricsOptions, terminal: Terminal): Metrics {
  if (metricsFile !== null) requireWritable(metricsFile);
  const write = (line: string): void => {
    if (logFormat === 'json') terminal.line(line);
    if (metricsFile === null) return;
    try {
      append(metricsFile, line);
    } catch (error) {
      terminal.line(`warning: a run is missing in the metrics: ${metricsError(error, metricsFile).message}`);
    }
  };
  return {
    replacesSummary: logFormat === 'json',
    begin(facts) {
      const started = performance.now();
      let isWritten = false;
      const once = (line: () => string): void => {
        if (!isWritten) write(line());
        isWritten = true;
      };
      return {
        completed: (result) => once(() => visibleJson(completedRecord(result, new Date()))),
        failed(error) {
          const durationMs = performance.now() - started;
          once(() => visibleJson(failedRecord(error, facts, { endedAt: new Date(), durationMs })));
        },
      };
    },
  };
}

function requireWritable(path: string): void {
  try {
    closeSync(open(path));
  } catch (error) {
    throw metricsError(error, path);
  }
}

/** One `write` at the end of the file: lines of processes that write at once stay whole. */
function append(path: string, line: string): void {
  const bytes = Buffer.from(`${line}\n`);
  // Opened for each line, so that a rotated file is followed.
  const file = open(path);
  try {
    const written = writeSync(file, bytes);
    if (written < bytes.length) throw Object.assign(new Error('short write'), { code: 'ENOSPC' });
  } finally {
    closeSync(file);
  }
}

function open(path: string): number {
  const { O_WRONLY, O_APPEND, O_CREAT, O_NONBLOCK } = constants;
  // A named pipe that nobody reads would hold the export for ever.
  return openSync(path, O_WRONLY | O_APPEND | O_CREAT | (O_NONBLOCK ?? 0), 0o600);
}

const NOT_A_FILE: Record<string, string> = {
  ENOENT: 'its directory does not exist',
  ENOTDIR: 'a part of its path is not a directory',
  EISDIR: 'it is a directory',
  ENXIO: 'it is a pipe that nobody reads',
};

function metricsError(error: unknown, path: string): LoraExportError {
  const why = NOT_A_FILE[(error as NodeJS.ErrnoException).code ?? ''];
  if (why !== undefined) {
    return new LoraExportError('E_USAGE', `Cannot append to --metrics-file ${visible(path)}: ${why}.`, {
      hint: 'Name a file in a directory that exists.',
      cause: error,
    });
  }
  const { code, message } = outputError(error, path);
  return new LoraExportError(code, message, {
    hint: 'Choose another file with --metrics-file.',
    cause: error,
  });
}
