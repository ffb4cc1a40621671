import { LoraExportError } from '../errors.js';
import { exportConversations, type ExportContext, type ExportResult } from '../export.js';
import { formats } from '../formats/index.js';
import { parseRequest, type ExportRequest } from '../request.js';
import type { App, AppSettings } from './app.js';
import { toRequest, type ExportFlags } from './export-request.js';
import { kebab, milliseconds } from './flags.js';
import { openMetrics } from './metrics-log.js';
import { conversations, exportJson, exportSummary, planJson, planText } from './render.js';
import { eventTeller } from './tell-events.js';
import type { Terminal } from './terminal.js';

/** Conversations that a preview shows unless told otherwise. */
const PREVIEWED = 3;

/** Flags that say how and where to; what is exported `--like` another export is what that one asked for. */
const GOES_WITH_LIKE: ReadonlySet<keyof ExportFlags> = new Set([
  'like',
  'output',
  'force',
  'gzip',
  'detach',
  'dryRun',
  'preview',
  'report',
  'strict',
  'allowEmpty',
  'requireAll',
  'batchSize',
  'jobs',
  'retentionHours',
  'stallTimeout',
  'timeout',
  'jobFrom',
  'json',
  'debug',
  'databaseUrl',
  'auditSchema',
  'user',
  'allUsers',
  'config',
  'dotenv',
  'metricsFile',
  'logFormat',
]);

/** Flags that say which database, and how to answer; nothing is exported with `--cancel`. */
const GOES_WITH_CANCEL: ReadonlySet<keyof ExportFlags> = new Set([
  'cancel',
  'json',
  'debug',
  'databaseUrl',
  'schema',
  'auditSchema',
  'user',
  'allUsers',
  'config',
  'dotenv',
]);

/** The `export` command: fill in a request, run it, tell what happened. */
export async function runExport(app: App, flags: ExportFlags): Promise<void> {
  const { host, terminal } = app;
  refuseMisfits(flags);
  const settings = await app.readSettings(flags);
  if (flags.cancel !== undefined) {
    const { runCancel } = await import('./run-cancel.js');
    return runCancel(app, settings, flags.cancel, flags.json === true);
  }
  const around = {
    cwd: host.cwd,
    stdin: host.stdin,
    stdoutIsTerminal: terminal.showsData,
    exportDirectory: settings.exportDirectory,
    settings,
  };
  // What is wrong with the command line is told before a database is touched.
  const wanted = await toRequest(flags, around);
  const typed = parseRequest(wanted);
  if (flags.savePreset !== undefined) {
    const { saveAndTell } = await import('./save-preset.js');
    await saveAndTell(app, settings, flags.savePreset, wanted, flags.force === true);
  }
  await app.withDatabase(settings, async (database) => {
    const request =
      flags.like === undefined
        ? typed
        : await (await import('./request-like.js')).requestLike(app, settings, database, flags.like, typed);
    const context: ExportContext = {
      database: database.target,
      stream: host.stdout,
      signal: host.signal,
      stallMs: milliseconds(flags.stallTimeout),
      timeoutMs: milliseconds(flags.timeout),
      jobFrom: flags.jobFrom ?? settings.jobFrom,
      maxPerHour: settings.maxExportsPerHour ?? undefined,
      onEvent: eventTeller(app),
    };
    if (flags.dryRun) {
      const { planExport } = await import('../plan.js');
      const plan = await planExport(request, context);
      terminal.data(`${flags.json ? planJson(plan) : planText(plan)}\n`);
    } else if (flags.preview !== undefined) {
      await showPreview(app, request, context, flags.preview === true ? PREVIEWED : flags.preview);
    } else if (flags.detach) {
      const { runDetached } = await import('./run-detached.js');
      await runDetached(app, settings, flags, request, context);
    } else {
      warnBeforehand(terminal, request);
      await exportAndTell(app, settings, flags, request, context);
    }
  });
}

async function exportAndTell(
  app: App,
  settings: AppSettings,
  flags: ExportFlags,
  request: ExportRequest,
  context: ExportContext,
): Promise<void> {
  const { host, terminal } = app;
  const metrics = openMetrics(settings, terminal);
  const { format, target = null } = request;
  const run = metrics.begin({ exportId: null, userId: settings.userId?.value ?? null, format, target });
  const report =
    flags.report === undefined
      ? undefined
      : await (await import('./report.js')).openReport(flags.report, host.cwd);
  try {
    const result = await exportConversations(request, { ...context, onReport: report?.add }).catch(
      async (error: unknown) => {
        // A run that was refused for its flaws is the one whose report is wanted most.
        if (error instanceof LoraExportError && (error.code === 'E_DATA' || error.code === 'E_EMPTY'))
          await report?.publish();
        throw error;
      },
    );
    run.completed(result);
    await report?.publish();
    terminal.clearStatus();
    if (!flags.json) {
      if (!metrics.replacesSummary) terminal.line(exportSummary(result));
    }
    // The summary is data, unless standard output already carries the export itself.
    else if (request.output.kind === 'stream') terminal.line(exportJson(result));
    else terminal.data(`${exportJson(result)}\n`);
    refuseLimits(result);
  } catch (error) {
    run.failed(error);
    throw error;
  } finally {
    await report?.close();
  }
}

/** Flags that would be ignored without a word. */
function refuseMisfits(flags: ExportFlags): void {
  const ways = (['cancel', 'detach', 'preview', 'dryRun'] as const).filter(
    (flag) => flags[flag] !== undefined,
  );
  if (ways.length > 1) throw contradiction(ways[0] as string, ways[1] as string);
  if (flags.cancel !== undefined && flags.like !== undefined) throw contradiction('cancel', 'like');
  // Nobody would write it.
  const [way] = ways;
  if (way !== undefined && flags.report !== undefined) throw contradiction(way, 'report');
  if (flags.cancel !== undefined) refuseOthers(flags, 'cancel', GOES_WITH_CANCEL);
  if (flags.like !== undefined) refuseOthers(flags, 'like', GOES_WITH_LIKE);
}

function refuseOthers(flags: ExportFlags, flag: string, fitting: ReadonlySet<keyof ExportFlags>): void {
  // The parser sets what has only a negative form.
  const typed = Object.entries(flags).filter(([name, value]) => !(name === 'bom' && value === true));
  const other = typed.map(([name]) => name).find((name) => !fitting.has(name as keyof ExportFlags));
  if (other !== undefined) throw contradiction(flag, other);
}

function contradiction(one: string, other: string): LoraExportError {
  return new LoraExportError('E_USAGE', `--${kebab(one)} and --${kebab(other)} contradict each other.`, {
    hint: 'Leave one of them out.',
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
  const { previewExport } = await import('../preview.js');
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
