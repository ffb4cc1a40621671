import { cleanUpFiles, type FileOutcome } from '../cleanup.js';
import type { Access } from '../db/access.js';
import { takeTurn } from '../db/turn.js';
import { LoraExportError } from '../errors.js';
import { cleanUpLogs } from '../cleanup/log-archive.js';
import type { Recovery } from '../recovery.js';
import { openManagedDirectory, type ManagedDirectory } from '../sinks/managed-directory.js';
import { withAccess, type App, type AppSettings, type OpenDatabase } from './app.js';
import { planCleanup, type CleanupFlags, type CleanupPlan } from './cleanup-plan.js';
import { fileLine, filesJson, filesSummary, logsJson, logsSummary } from './render-cleanup.js';
import type { Schedule, Slot } from './schedule.js';
import { recoveryLines } from './tell-events.js';

/** What one run needs. */
interface Job {
  readonly app: App;
  readonly settings: AppSettings;
  readonly plan: CleanupPlan;
  readonly json: boolean;
}

/** The `cleanup` command: once, or again and again. */
export async function runCleanup(app: App, flags: CleanupFlags): Promise<void> {
  const settings = await app.readSettings(flags);
  const plan = planCleanup(flags, settings, app.host.cwd);
  const job: Job = { app, settings, plan, json: flags.json === true };
  if (flags.schedule === undefined) {
    await cleanUp(job, null);
    return;
  }
  const { parseSchedule } = await import('./schedule.js');
  await keepCleaning(job, parseSchedule(flags.schedule, flags.timezone ?? 'UTC'));
}

/** Prints what each part did as soon as it is done; a later part may fail. */
async function cleanUp(job: Job, slot: Slot | null): Promise<void> {
  const { app, settings, plan } = job;
  // Before anything is asked of the database: a wrong directory must not cost a row its status.
  const directory = plan.files === null ? null : await openManagedDirectory(settings.exportDirectory);
  await withAccess(app, settings, 'cleanup', async (access, database) => {
    const left = directory === null ? null : await cleanFiles(job, access, directory, slot);
    await cleanLogs(job, access, database, slot);
    if (left !== null) throw left;
  });
}

/** Returns what to end with when something is left that should not be. */
async function cleanFiles(
  { app, plan, json }: Job,
  access: Access,
  directory: ManagedDirectory,
  slot: Slot | null,
): Promise<LoraExportError | null> {
  const { terminal, host } = app;
  const { dryRun } = plan;
  const deleteOrphans = plan.files?.deleteOrphans === true;
  const told: FileOutcome[] = [];
  const showPhases = host.env['LORA_EXPORT_TEST_PHASES'] === '1';
  const result = await cleanUpFiles(access, {
    directory,
    dryRun,
    deleteOrphans,
    onFile(file) {
      if (json && (dryRun || file.outcome === 'failed')) told.push(file);
      if (!json && dryRun && file.outcome === 'deleted')
        terminal.data(`${file.exportId}  ${file.bytes} bytes\n`);
      const line = fileLine(file);
      if (line !== null) terminal.line(line);
    },
    // For tests that stop a run at a certain point.
    onPhase: showPhases ? (phase) => terminal.line(`phase=${phase}`) : undefined,
  });
  tellRecovery(app, result.recovery);
  if (json) terminal.data(`${filesJson(result, told, slot?.at ?? null)}\n`);
  else terminal.line(timed(slot, filesSummary(result)));
  const failed = result.failed + (result.orphans?.failed ?? 0);
  if (failed > 0) {
    return new LoraExportError(
      'E_OUTPUT',
      `${failed} ${failed === 1 ? 'file' : 'files'} could not be removed.`,
      {
        hint: 'The next cleanup tries again.',
        retryable: true,
      },
    );
  }
  if (deleteOrphans && result.orphans === null) {
    return new LoraExportError(
      'E_DB_ACCESS',
      '--delete-orphans was not followed: some exports may be hidden from this role.',
      { hint: 'Pass --all-users, with a role that row level security does not bind.' },
    );
  }
  return null;
}

async function cleanLogs(
  { app, plan, json }: Job,
  access: Access,
  { target }: OpenDatabase,
  slot: Slot | null,
): Promise<void> {
  if (plan.logs === null) return;
  const { terminal, host } = app;
  const showPhases = host.env['LORA_EXPORT_TEST_PHASES'] === '1';
  const result = await cleanUpLogs(access, {
    ...plan.logs,
    database: target.label,
    dryRun: plan.dryRun,
    onPhase: showPhases ? (phase) => terminal.line(`phase=${phase}`) : undefined,
  });
  tellRecovery(app, result.recovery);
  if (json) terminal.data(`${logsJson(result, slot?.at ?? null)}\n`);
  else terminal.line(timed(slot, logsSummary(result)));
}

function tellRecovery({ terminal }: App, recovery: Recovery | null): void {
  if (recovery === null) return;
  for (const line of recoveryLines(recovery)) terminal.line(line);
}

function timed(slot: Slot | null, text: string): string {
  return slot === null ? text : `${slot.at.toISOString()} ${text}`;
}

/** The foreground daemon. A run that fails is told and does not end it; a signal does. */
async function keepCleaning(job: Job, schedule: Schedule): Promise<never> {
  const { app, settings, plan, json } = job;
  const { terminal, host } = app;
  const { followSchedule, outlastDrift } = await import('./schedule.js');
  if (plan.files !== null) {
    // Nothing may have been stored yet; whoever mistyped the directory wants to know before the night.
    await openManagedDirectory(settings.exportDirectory).catch((error: unknown) => {
      if (!(error instanceof LoraExportError)) throw error;
      terminal.line(`warning: ${error.message}`);
    });
  }
  terminal.line(`Cleaning up at "${schedule.expression}" (${schedule.timezone}) until stopped.`);
  const run = async (slot: Slot): Promise<void> => {
    const onNotice = (text: string): void => terminal.line(`note: ${text}`);
    const options = { purpose: 'cleanup turn', signal: host.signal, onNotice };
    const time = slot.at.toISOString();
    try {
      await app.withDatabase(settings, async ({ target }) => {
        const turn = { work: workOf(job), slot: slot.at };
        const refusal = await takeTurn(target, options, turn, async () => {
          await tellFailure(job, slot, () => cleanUp(job, slot));
          await outlastDrift(slot, host.signal);
        });
        if (refusal === 'taken') terminal.line(`${time} Left to another process.`);
        if (refusal === 'busy') terminal.line(`${time} Left out: another process is still busy.`);
      });
    } catch (error) {
      if (host.signal.aborted) return;
      terminal.line(`${time} This run failed.`);
      terminal.failure(error, { json, debug: app.argv.includes('--debug') });
    }
  };
  return followSchedule(schedule, {
    signal: host.signal,
    run,
    onMissed: (slot, why) => terminal.line(`${slot.toISOString()} Left out: ${why}.`),
  });
}

async function tellFailure({ app, json }: Job, slot: Slot, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (app.host.signal.aborted) throw error;
    app.terminal.line(`${slot.at.toISOString()} This run failed.`);
    app.terminal.failure(error, { json, debug: app.argv.includes('--debug') });
  }
}

/** Processes with the same work on the same rows take turns. */
function workOf({ settings, plan }: Job): string {
  const { auditSchema, allUsers, userId } = settings;
  const what = [plan.files === null ? '' : 'files', plan.logs === null ? '' : 'logs'].join('+');
  return `lora-export cleanup ${what} of ${auditSchema} for ${allUsers ? 'all' : (userId?.value ?? 'self')}`;
}
