import { unlink } from 'node:fs/promises';
import { LoraExportError } from '../errors.js';
import { runWorker, type WorkerEvent } from '../jobs/worker.js';
import { withAccess, type App } from './app.js';
import { milliseconds } from './flags.js';
import { exportJson, exportSummary, failureJson, failureText } from './render.js';
import { openMetrics, type Metrics, type RunMetrics } from './metrics-log.js';
import type { ConnectionFlags } from './settings.js';
import { eventTeller } from './tell-events.js';

export interface WorkerFlags extends ConnectionFlags {
  readonly drain?: boolean;
  readonly job?: string;
  readonly poll?: number;
  readonly stallTimeout?: number;
  readonly timeout?: number;
  readonly log?: string;
  readonly metricsFile?: string;
  readonly logFormat?: string;
  readonly json?: boolean;
}

/** The `worker` command. */
export async function runWorkerCommand(app: App, flags: WorkerFlags): Promise<void> {
  if (flags.job !== undefined && flags.drain) {
    throw new LoraExportError('E_USAGE', '--job and --drain contradict each other.', {
      hint: 'Leave one of them out.',
    });
  }
  const { host } = app;
  const settings = await app.readSettings(flags);
  await withAccess(app, settings, 'worker', async (access, { target }) => {
    const tally = await runWorker({
      access,
      database: target,
      exportDirectory: settings.exportDirectory,
      exportId: flags.job,
      drain: flags.drain,
      pollMs: milliseconds(flags.poll),
      stallMs: milliseconds(flags.stallTimeout),
      timeoutMs: milliseconds(flags.timeout),
      signal: host.signal,
      onEvent: eventTeller(app),
      onWorkerEvent: workerTeller(app, flags, openMetrics(settings, app.terminal)),
    });
    if (flags.job !== undefined && tally.failed > 0) throw tally.lastError;
  });
  if (flags.log !== undefined) await unlink(flags.log);
}

function workerTeller(
  { terminal }: App,
  { json, job, debug }: WorkerFlags,
  metrics: Metrics,
): (event: WorkerEvent) => void {
  let run: RunMetrics | undefined;
  return (event) => {
    switch (event.kind) {
      case 'claimed':
        terminal.line(`Export ${event.exportId}, attempt ${event.attempt}.`);
        run = metrics.begin({
          exportId: event.exportId,
          userId: event.userId,
          format: event.format,
          target: null,
        });
        return;
      case 'completed':
        terminal.clearStatus();
        run?.completed(event.result);
        if (json) terminal.data(`${exportJson(event.result)}\n`);
        else if (!metrics.replacesSummary) terminal.line(exportSummary(event.result));
        return;
      case 'failed':
        terminal.clearStatus();
        run?.failed(event.error);
        // The one job of a command is told by its end.
        if (job !== undefined) return;
        terminal.line(json ? failureJson(event.error) : failureText(event.error, { debug: debug === true }));
        return;
      case 'waiting':
        terminal.line(`${event.error.message} Trying again in ${(event.pauseMs / 1000).toFixed(0)} s.`);
    }
  };
}
