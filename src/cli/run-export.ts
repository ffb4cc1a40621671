import { LoraExportError } from '../errors.js';
import { exportConversations, type ExportContext, type ExportEvent, type ExportResult } from '../export.js';
import { formats } from '../formats/index.js';
import { previewExport } from '../preview.js';
import { planExport } from '../plan.js';
import { parseRequest, type ExportRequest } from '../request.js';
import type { App } from './app.js';
import { toRequest, type ExportFlags } from './export-request.js';
import { conversations, exportJson, exportSummary, planJson, planText } from './render.js';
import { openReport } from './report.js';
import type { Terminal } from './terminal.js';

/** Conversations that a preview shows unless told otherwise. */
const PREVIEWED = 3;

/** A status line is worth redrawing this often, in milliseconds. */
const REDRAW_MS = 100;

/** The `export` command: fill in a request, run it, tell what happened. */
export async function runExport(app: App, flags: ExportFlags): Promise<void> {
  const { host, terminal } = app;
  const settings = await app.readSettings(flags);
  const request = parseRequest(
    await toRequest(flags, {
      cwd: host.cwd,
      stdin: host.stdin,
      stdoutIsTerminal: terminal.showsData,
      exportDirectory: settings.exportDirectory,
      settings,
    }),
  );
  await app.withDatabase(settings, async ({ target }) => {
    const stallMs = flags.stallTimeout === undefined ? undefined : flags.stallTimeout * 1000;
    const context = { database: target, stream: host.stdout, signal: host.signal, stallMs };
    const showJson = flags.json === true;
    if (flags.dryRun) {
      const plan = await planExport(request, context);
      terminal.data(`${showJson ? planJson(plan) : planText(plan)}\n`);
      return;
    }
    if (flags.preview !== undefined) {
      await showPreview(app, request, context, flags.preview === true ? PREVIEWED : flags.preview);
      return;
    }
    warnBeforehand(terminal, request);
    const report = flags.report === undefined ? undefined : await openReport(flags.report, host.cwd);
    try {
      const result = await exportConversations(request, {
        ...context,
        onEvent: eventTeller(app),
        onReport: report?.add,
      }).catch(async (error: unknown) => {
        // A run that was refused for its flaws is the one whose report is wanted most.
        if (error instanceof LoraExportError && (error.code === 'E_DATA' || error.code === 'E_EMPTY'))
          await report?.publish();
        throw error;
      });
      await report?.publish();
      terminal.clearStatus();
      if (!showJson) terminal.line(exportSummary(result));
      // The summary is data, unless standard output already carries the export itself.
      else if (request.output.kind === 'stream') terminal.line(exportJson(result));
      else terminal.data(`${exportJson(result)}\n`);
      refuseLimits(result);
    } finally {
      await report?.close();
    }
  });
}

/** The file is there and recorded; its target will not take it as it is. */
function refuseLimits({ brokenLimits, target, location, exportId }: ExportResult): void {
  const [first] = brokenLimits;
  if (first === undefined) return;
  const error = new LoraExportError(
    'E_TARGET_RULES',
    `${location} is complete, but not what ${target} takes: ${first.message}.`,
    {
      hint: first.fix,
    },
  );
  error.exportId = exportId;
  throw error;
}

/** The bytes of the file; on a terminal, made readable. */
async function showPreview(
  app: App,
  request: ExportRequest,
  context: ExportContext,
  count: number,
): Promise<void> {
  const { host, terminal } = app;
  const preview = await previewExport(request, context, count);
  if (terminal.showsData) {
    const { Chalk } = await import('chalk');
    const { colourPreview } = await import('./colour-preview.js');
    const chalk = new Chalk({ level: (host.env['NO_COLOR'] ?? '') === '' ? 1 : 0 });
    terminal.data(
      `${colourPreview(preview.bytes.toString('utf8'), formats[request.format].extension, chalk).trimEnd()}\n`,
    );
  } else {
    terminal.data(preview.bytes);
  }
  terminal.line(
    `Preview of ${conversations(preview.conversations)}; ${preview.skipped} skipped on the way. Nothing was written or logged.`,
  );
}

function warnBeforehand(terminal: Terminal, { format, target, content }: ExportRequest): void {
  if (format === 'jsonl' && target === undefined && content.includeMetadata && terminal.isInteractive) {
    terminal.line(
      'note: several training services refuse keys beside "messages"; --no-metadata leaves them out, --target NAME writes what a service reads.',
    );
  }
  // CSV has columns for them all the same.
  if (
    format !== 'csv' &&
    !content.includeMetadata &&
    (content.includeApprovalHistory || content.includeParentReferences)
  ) {
    terminal.line('note: without metadata, review history and parents have no place in this format.');
  }
}

/** Turns events into lines and, on a terminal, into a status line with rate and remaining time. */
function eventTeller({ host, terminal }: App): (event: ExportEvent) => void {
  const showPhases = host.env['LORA_EXPORT_TEST_PHASES'] === '1';
  let started = performance.now();
  let drawn = 0;
  return (event) => {
    switch (event.kind) {
      case 'phase':
        // For tests that stop a run at a certain point.
        if (showPhases) terminal.line(`phase=${event.phase}`);
        return;
      case 'started':
        started = performance.now();
        if (event.rowSecurity) {
          terminal.line(
            'note: row level security applies to this role; conversations that it hides are not exported.',
          );
        }
        return;
      case 'progress': {
        const now = performance.now();
        if (now - drawn < REDRAW_MS) return;
        drawn = now;
        void terminal.status(progressText(event, (now - started) / 1000));
        return;
      }
      case 'retry':
        terminal.line(
          `${event.reason} Trying again in ${(event.pauseMs / 1000).toFixed(1)} s (attempt ${event.attempt}).`,
        );
        return;
      case 'recovered':
        for (const text of recoveryLines(event)) terminal.line(text);
        return;
      case 'notice':
        terminal.line(`note: ${event.text}`);
    }
  };
}

function progressText({ read, total, bytes }: ExportEvent & { kind: 'progress' }, seconds: number): string {
  const rate = read / Math.max(seconds, 0.001);
  const left = Math.ceil((total - read) / Math.max(rate, 0.001));
  return `${read} of ${conversations(total)} · ${Math.round(rate)}/s · ${(bytes / 1_048_576).toFixed(1)} MiB · ${left} s left`;
}

function* recoveryLines({ recovery }: ExportEvent & { kind: 'recovered' }): Generator<string> {
  const { completed, failed, left } = recovery;
  if (completed.length > 0)
    yield `note: completed the log of interrupted exports whose files were whole: ${completed.join(', ')}`;
  if (failed.length > 0) yield `note: marked exports as failed whose process had died: ${failed.join(', ')}`;
  if (left.length > 0)
    yield `note: exports of another host may have died while publishing; run a command there: ${left.join(', ')}`;
}
