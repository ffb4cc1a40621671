import { diagnose, failureOf, undiagnosable, type Diagnosis } from '../doctor.js';
import type { DoctorContext } from '../doctor/context.js';
import { LoraExportError } from '../errors.js';
import type { App, AppSettings } from './app.js';
import { isUtf8 } from './locale.js';
import { doctorJson, doctorText } from './render-doctor.js';
import type { ConnectionFlags } from './settings.js';

export interface DoctorFlags extends ConnectionFlags {
  readonly json?: boolean;
}

/**
 * The `doctor` command. The report is its result, so it goes to standard output.
 * @throws LoraExportError of the kind of the first check that failed
 */
export async function runDoctor(app: App, flags: DoctorFlags): Promise<void> {
  const { host, terminal } = app;
  const settings = await app.readSettings(flags).catch(expected);
  const diagnosis =
    settings instanceof LoraExportError ? undiagnosable(settings) : await examine(app, settings);
  terminal.clearStatus();
  if (flags.json) terminal.data(`${doctorJson(diagnosis)}\n`);
  else {
    const { Chalk } = await import('chalk');
    const colours = terminal.showsData && (host.env['NO_COLOR'] ?? '') === '';
    terminal.data(
      doctorText(diagnosis, { chalk: new Chalk({ level: colours ? 1 : 0 }), utf8: isUtf8(host) }),
    );
  }
  const failure = failureOf(diagnosis);
  if (failure === null) return;
  const failures = diagnosis.checks.filter(({ status }) => status === 'failed');
  throw new LoraExportError(
    failure.code,
    `${failures.length} of ${diagnosis.checks.length} checks failed: ${failures.map(({ name }) => name).join(', ')}.`,
    { hint: 'The report says what mends them; docs/troubleshooting.md says more.' },
  );
}

async function examine(app: App, settings: AppSettings): Promise<Diagnosis> {
  const { host, terminal } = app;
  const { databaseUrl, schema, auditSchema, userId, allUsers, exportDirectory } = settings;
  const context = (database: DoctorContext['database']): DoctorContext => ({
    database,
    isEmbedded: databaseUrl === null,
    origin: databaseUrl?.origin ?? 'nowhere',
    schema,
    auditSchema,
    userId: userId?.value,
    userOrigin: userId?.origin,
    allUsers,
    directory: exportDirectory,
    uid: host.uid,
    signal: host.signal,
    onBegin: (name) => void terminal.status(`Checking ${name}`),
  });
  let isOpen = false;
  try {
    return await app.withDatabase(settings, ({ target }) => {
      isOpen = true;
      return diagnose(context(target));
    });
  } catch (error) {
    // There is no database to look at, but there is more than the database to look at.
    if (isOpen || host.signal.aborted) throw error;
    return diagnose(context(expected(error)));
  }
}

/** Bugs pass. */
function expected(error: unknown): LoraExportError {
  if (error instanceof LoraExportError) return error;
  throw error;
}
