import { LoraExportError } from '../errors.js';
import { openSurvey, type Survey } from '../survey.js';
import type { App, AppSettings, OpenDatabase } from './app.js';
import { failureText } from './render.js';
import { leaveDatabase } from './wizard/database-questions.js';
import { readLastUsed } from './wizard/last-used.js';
import { Prompts } from './wizard/prompts.js';
import { settleDatabase } from './wizard/settle-database.js';
import { steps } from './wizard/steps/index.js';
import { styleFor } from './wizard/style.js';
import { walk, type Draft, type Wizard } from './wizard/wizard.js';

/** `lora-export` on a terminal: from question to file, and the command that does the same. */
export async function runWizard(app: App): Promise<void> {
  const prompts = new Prompts(app.host, styleFor(app.host));
  prompts.say('lora-export', prompts.style.bold);
  prompts.say('Writes training files from conversations. Esc goes back, Ctrl-C leaves without a trace.');
  let settings: AppSettings | null = await app.readSettings({});
  while (settings !== null) settings = await visit(app, prompts, settings);
}

/** Another database to go on with, or null when the export is done. */
async function visit(app: App, prompts: Prompts, settings: AppSettings): Promise<AppSettings | null> {
  try {
    return await app.withDatabase(settings, (database) => work(app, prompts, settings, database));
  } catch (error) {
    // Whoever typed a wrong address or has no user yet wants to type it again.
    if (!(error instanceof LoraExportError) || !CORRECTABLE.has(error.code) || app.host.signal.aborted)
      throw error;
    app.terminal.clearStatus();
    prompts.heading('Database');
    prompts.say(failureText(error, { debug: false }), prompts.style.bad);
    return leaveDatabase(prompts, settings, error);
  }
}

const CORRECTABLE: ReadonlySet<string> = new Set(['E_DB_UNREACHABLE', 'E_DB_ACCESS', 'E_USAGE', 'E_STALLED']);

async function work(
  app: App,
  prompts: Prompts,
  settings: AppSettings,
  database: OpenDatabase,
): Promise<AppSettings | null> {
  const { schema, auditSchema, userId, allUsers } = settings;
  const survey = await openSurvey(database.target, {
    schema,
    auditSchema,
    userId: userId?.value,
    allUsers,
    isEmbedded: database.isEmbedded,
    signal: app.host.signal,
    onNotice: (text) => prompts.say(`note: ${text}`),
  });
  try {
    const wizard = begin(app, prompts, settings, database, survey);
    for (;;) {
      const other = await settleDatabase(wizard);
      if (other !== null) return other;
      if (await walk(wizard, steps)) return null;
    }
  } finally {
    await survey.close();
  }
}

function begin(
  app: App,
  prompts: Prompts,
  settings: AppSettings,
  database: OpenDatabase,
  survey: Survey,
): Wizard {
  const { stateDirectory, exportDirectory, format, scope, target } = settings;
  const defaults: Draft = {
    scope: scope ?? 'approved',
    ...(target === null ? { format: format ?? 'jsonl' } : { target }),
    output: { kind: 'managed', directory: exportDirectory },
  };
  const lastUsed = readLastUsed({
    stateDirectory,
    uid: app.host.uid,
    note: (text) => prompts.say(`note: ${text}`),
  });
  return {
    app,
    prompts,
    settings,
    database,
    survey,
    defaults,
    lastUsed,
    draft: { ...defaults },
    begun: null,
    aside: {},
    checked: null,
    next: { selection: false, filters: false },
  };
}
