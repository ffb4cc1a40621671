import type { Writable } from 'node:stream';
import type { Access } from '../db/access.js';
import { LoraExportError } from '../errors.js';
import { prepareStream } from '../sinks/stream.js';
import { hasEnded, readStatus, watchStatus, type ExportStatus } from '../status.js';
import { withAccess, type App } from './app.js';
import { charsetOf } from './progress-bar.js';
import { liveLine, statusJson, statusLine, statusText } from './render-status.js';
import type { ConnectionFlags } from './settings.js';

export interface StatusFlags extends ConnectionFlags {
  readonly watch?: boolean;
  readonly interval?: number;
  readonly exitStatus?: boolean;
  readonly json?: boolean;
}

/** The `status` command: how one export stands, once or until it has ended. */
export async function runStatus(app: App, exportId: string | null, flags: StatusFlags): Promise<void> {
  const { host, terminal } = app;
  if (flags.interval !== undefined && flags.watch !== true)
    throw new LoraExportError('E_USAGE', '--interval is for --watch.', { hint: 'Add --watch.' });
  const settings = await app.readSettings(flags);
  const status = await withAccess(app, settings, 'status', async (access) => {
    if (flags.watch === true) return watch(app, access, exportId, flags);
    const found = await readStatus(access, exportId);
    const charset = terminal.showsData ? charsetOf(host.env, host.platform) : null;
    terminal.data(flags.json ? `${statusJson(found)}\n` : statusText(found, charset));
    return found;
  });
  if (flags.exitStatus === true && status.status === 'failed') throw failed(status);
}

/** A moving line where somebody watches, a line per change where a program or a file does. */
async function watch(
  app: App,
  access: Access,
  exportId: string | null,
  flags: StatusFlags,
): Promise<ExportStatus> {
  const { host, terminal } = app;
  const isLive = terminal.isInteractive && terminal.showsData && flags.json !== true;
  const charset = charsetOf(host.env, host.platform);
  const changes = watchStatus(access, exportId, {
    intervalMs: flags.interval === undefined ? undefined : flags.interval * 1000,
    signal: host.signal,
    onTrouble: (error) => terminal.line(`${error.message} Still watching.`),
  });
  let last: ExportStatus | undefined;
  for await (const status of changes) {
    last = status;
    if (!isLive)
      await write(host.stdout, status, `${flags.json ? statusJson(status) : statusLine(status)}\n`);
    else if (!hasEnded(status)) await terminal.status(liveLine(status, host.stderr.columns ?? 80, charset));
  }
  // The first look at an export is always told.
  const end = last as ExportStatus;
  terminal.clearStatus();
  if (isLive) terminal.data(statusText(end, charset));
  return end;
}

/** A reader that has gone away ends the watch; otherwise nobody would notice until the export has ended. */
async function write(stream: Writable, { exportId }: ExportStatus, text: string): Promise<void> {
  const sink = await prepareStream({ exportId, force: false, stream }).open();
  await sink.write(Buffer.from(text));
  await sink.publish('');
}

function failed({ exportId, errorMessage }: ExportStatus): LoraExportError {
  const error = new LoraExportError(
    'E_ALERT',
    `Export ${exportId} failed: ${errorMessage ?? 'no reason was recorded'}`,
  );
  error.exportId = exportId;
  return error;
}
