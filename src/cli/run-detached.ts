import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, open } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { LoraExportError } from '../errors.js';
import type { ExportContext } from '../export.js';
import { queueExport } from '../jobs/queue.js';
import type { ExportRequest } from '../request.js';
import type { App, AppSettings } from './app.js';
import type { ExportFlags } from './export-request.js';
import { conversations } from './render.js';
import { visibleJson } from '../visible.js';

const PROGRAM = fileURLToPath(new URL('../../bin/lora-export.js', import.meta.url));

/** `export --detach`: the row is queued, a process of its own does it, and the command ends with the export's id. */
export async function runDetached(
  app: App,
  settings: AppSettings,
  flags: ExportFlags,
  request: ExportRequest,
  context: ExportContext,
): Promise<void> {
  const { exportId, matched } = await queueExport(request, context);
  const log = await startWorker(app, settings, flags, exportId).catch((cause: unknown) => {
    const error = new LoraExportError(
      'E_INTERNAL',
      `Export ${exportId} is queued, but no worker could be started for it.`,
      {
        hint: 'Run `lora-export worker`, or cancel it with `lora-export export --cancel ID`.',
        cause,
      },
    );
    error.exportId = exportId;
    throw error;
  });
  app.terminal.clearStatus();
  app.terminal.line(
    `Export of ${conversations(matched)} goes on in the background: lora-export status ${exportId} --watch. If it fails: ${log}`,
  );
  app.terminal.data(
    flags.json
      ? `${visibleJson({ export_id: exportId, status: 'queued', matched_count: matched })}\n`
      : `${exportId}\n`,
  );
}

/** Returns where the worker says what happens; the file goes away when all went well. */
async function startWorker(
  { host }: App,
  settings: AppSettings,
  flags: ExportFlags,
  exportId: string,
): Promise<string> {
  const directory = join(settings.stateDirectory, 'jobs');
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const log = join(directory, `${exportId}.log`);
  const file = await open(log, 'wx', 0o600);
  try {
    const words = ['worker', '--job', exportId, '--log', log, '--schema', settings.schema];
    if (settings.allUsers) words.push('--all-users');
    if (flags.stallTimeout !== undefined) words.push('--stall-timeout', String(flags.stallTimeout));
    if (flags.timeout !== undefined) words.push('--timeout', String(flags.timeout));
    // In a session of its own the worker outlives the terminal. Settings travel in the environment: a password in the
    // words of a command can be read by everybody.
    const worker = spawn(process.execPath, [PROGRAM, ...words], {
      cwd: host.cwd,
      env: {
        ...settings.env,
        ...environmentOf(settings),
        ...(flags.config === undefined ? {} : { LORA_EXPORT_CONFIG: resolve(host.cwd, flags.config) }),
      },
      detached: true,
      stdio: ['ignore', file.fd, file.fd],
    });
    await once(worker, 'spawn');
    worker.unref();
  } finally {
    await file.close();
  }
  return log;
}

function environmentOf(settings: AppSettings): Record<string, string> {
  const { databaseUrl, userId, auditSchema, exportDirectory, stateDirectory } = settings;
  return {
    LORA_EXPORT_HOME: stateDirectory,
    LORA_EXPORT_DIR: exportDirectory,
    LORA_EXPORT_AUDIT_SCHEMA: auditSchema,
    ...(databaseUrl === null ? {} : { LORA_EXPORT_DATABASE_URL: databaseUrl.value }),
    ...(userId === null ? {} : { LORA_EXPORT_USER_ID: userId.value }),
  };
}
