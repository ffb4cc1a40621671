import { migrate } from '../db/migrate.js';
import { parseDatabaseUrl } from '../db/target.js';
import { loadDemo } from '../demo.js';
import { LoraExportError } from '../errors.js';
import { exportConversations, type ExportResult } from '../export.js';
import { commandLineOf, shellWords } from '../command-line.js';
import { openSurvey, type Survey, type SurveyFacts } from '../survey.js';
import { withConnection, type App, type AppSettings, type OpenDatabase } from './app.js';
import { PRESET_NAME } from './flags.js';
import { presetOf } from './presets.js';
import { conversations, exportSummary, failureText } from './render.js';
import { savePreset } from './save-preset.js';
import { eventTeller } from './tell-events.js';
import { readLastUsed, writeLastUsed } from './wizard/last-used.js';
import { Back, cancelled, Prompts, type Choice } from './wizard/prompts.js';
import { steps } from './wizard/steps/index.js';
import { styleFor } from './wizard/style.js';
import { contextOf, inputOf, requestOf, walk, type Draft, type Wizard } from './wizard/wizard.js';

/** `lora-export` on a terminal: from question to file, and the command that does the same. */
export async function runWizard(app: App): Promise<void> {
  const prompts = new Prompts(app.host, styleFor(app.host));
  let settings = await app.readSettings({});
  prompts.say(prompts.style.bold('lora-export'));
  prompts.say('Exports conversations into training files. Esc goes back, Ctrl-C leaves without a trace.');
  for (;;) {
    const other: AppSettings | null = await visit(app, prompts, settings);
    if (other === null) return;
    settings = other;
  }
}

/** Another database to go on with, or null when the export is done. */
async function visit(app: App, prompts: Prompts, settings: AppSettings): Promise<AppSettings | null> {
  try {
    return await app.withDatabase(settings, (database) => work(app, prompts, settings, database));
  } catch (error) {
    // Whoever typed a wrong address or user wants to type it again.
    if (!(error instanceof LoraExportError) || !CORRECTABLE.has(error.code) || app.host.signal.aborted)
      throw error;
    app.terminal.clearStatus();
    prompts.say(prompts.style.bad(failureText(error, { debug: false })));
    return askOther(prompts, settings, error.code === 'E_USAGE' || error.code === 'E_DB_ACCESS');
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
    const other = await settleDatabase(app, prompts, settings, database, survey);
    if (other !== null) return other;
    const wizard = begin(app, prompts, settings, database, survey);
    await walk(wizard, steps);
    await exportAndTell(wizard);
    return null;
  } finally {
    await survey.close();
  }
}

type DatabaseAnswer = 'use' | 'demo' | 'tables' | 'other' | 'cancel';

/** Until the database can be exported from, or another is chosen. */
async function settleDatabase(
  app: App,
  prompts: Prompts,
  settings: AppSettings,
  database: OpenDatabase,
  survey: Survey,
): Promise<AppSettings | null> {
  for (;;) {
    const facts = await survey.facts();
    prompts.heading('Database');
    for (const line of describe(facts, settings)) prompts.say(line);
    const answer = await prompts
      .select('Database', databaseChoices(facts), { canGoBack: false })
      .catch((error: unknown) => {
        throw error instanceof Back ? cancelled() : error;
      });
    if (answer === 'use') return null;
    if (answer === 'cancel') throw cancelled();
    if (answer === 'other') {
      try {
        return await askOther(prompts, settings, false);
      } catch (error) {
        if (error instanceof Back) continue;
        throw error;
      }
    }
    await withConnection(app, database, 'init', async (sql) => {
      await migrate(sql, {
        schema: settings.auditSchema,
        ...(answer === 'demo' ? { sourceSchema: settings.schema } : {}),
      });
      if (answer === 'demo') {
        const loaded = await loadDemo(sql, settings.schema, app.host.signal);
        prompts.say(`Loaded ${conversations(loaded)}.`);
      }
    });
  }
}

function describe(facts: SurveyFacts, { databaseUrl }: AppSettings): string[] {
  const { database, isEmbedded, serverVersion, role, userId, userOrigin, rowSecurity } = facts;
  return [
    isEmbedded
      ? `The embedded database (PostgreSQL ${serverVersion}) on this machine.`
      : `${database} (PostgreSQL ${serverVersion}), from ${databaseUrl?.origin}.`,
    facts.conversations === null
      ? `Its conversations cannot be read: ${facts.sourceProblem}`
      : `It holds ${conversations(facts.conversations)}${rowSecurity ? `, as far as role ${role} may see` : ''}.`,
    ...(userOrigin === 'role' ? [] : [`On behalf of user ${userId}.`]),
    ...facts.auditProblems.map((problem) => `The audit log is not ready: ${problem}.`),
  ];
}

function databaseChoices({
  isEmbedded,
  isEmpty,
  auditProblems,
  sourceProblem,
}: SurveyFacts): Choice<DatabaseAnswer>[] {
  const needsTables = auditProblems.length > 0;
  const usable = !isEmpty && sourceProblem === null && !needsTables;
  return [
    ...(usable ? [{ value: 'use' as const, name: 'Export from this one' }] : []),
    ...(isEmbedded && isEmpty
      ? [
          {
            value: 'demo' as const,
            name: 'Load the demo conversations',
            description: 'About 130 made-up conversations, to try things out. As `lora-export init --demo`.',
          },
        ]
      : []),
    ...(needsTables && !isEmpty && sourceProblem === null
      ? [
          {
            value: 'tables' as const,
            name: 'Create the audit tables',
            description:
              'export_logs and export_runs record every export. Nothing else is touched. As `lora-export init`.',
          },
        ]
      : []),
    { value: 'other', name: 'Use another database', description: 'You type its address.' },
    { value: 'cancel', name: 'Leave' },
  ];
}

async function askOther(prompts: Prompts, settings: AppSettings, asksUser: boolean): Promise<AppSettings> {
  if (asksUser && settings.databaseUrl !== null) {
    const user = await prompts.input('On behalf of which user (UUID, nothing: another database)', {
      validate: (value) =>
        value === '' || UUID.test(value) || 'A UUID such as 6f3c0b1e-5d1a-4c0f-9a51-b8f0a2b7c9d4.',
    });
    if (user !== '') return { ...settings, userId: { value: user.toLowerCase(), origin: 'the answer' } };
  }
  prompts.say('postgresql://user@host:5432/database; what you type is not shown, as it may hold a password.');
  const url = await prompts.secret('Address', (value) => {
    try {
      parseDatabaseUrl(value, 'the answer', settings.env);
      return true;
    } catch (error) {
      if (error instanceof LoraExportError) return error.message;
      throw error;
    }
  });
  return { ...settings, databaseUrl: { value: url, origin: 'the answer' } };
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

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
    checked: null,
    next: { selection: false, filters: false },
  };
}

async function exportAndTell(wizard: Wizard): Promise<void> {
  const { app, prompts, settings } = wizard;
  const { stateDirectory } = settings;
  const request = requestOf(wizard);
  const result = await exportConversations(request, { ...contextOf(wizard), onEvent: eventTeller(app) });
  app.terminal.clearStatus();
  prompts.say();
  prompts.say(exportSummary(result));
  warnOfLimits(prompts, result);
  const words = commandLineOf(inputOf(wizard));
  if (words !== null) prompts.say(`\nThe same again:\n  ${shellWords(words)}`);
  else prompts.say(`\nThe same again:\n  lora-export export --like ${result.exportId}`);
  await writeLastUsed(inputOf(wizard), {
    stateDirectory,
    uid: app.host.uid,
    note: (text) => prompts.say(`note: ${text}`),
  });
  await offerPreset(wizard);
}

function warnOfLimits(prompts: Prompts, { brokenLimits, target }: ExportResult): void {
  for (const { message, fix } of brokenLimits) {
    prompts.say(prompts.style.bad(`The file is complete, but not what ${target} takes: ${message}. ${fix}`));
  }
}

/** The file is written: leaving here is no cancelling. */
async function offerPreset(wizard: Wizard): Promise<void> {
  const { prompts, settings } = wizard;
  try {
    const answer = await prompts.input('Save as a preset under the name (nothing: do not)', {
      validate: (name) =>
        name === '' || PRESET_NAME.test(name) || 'Letters, digits, dot, dash and underscore, at most 64.',
    });
    if (answer === '') return;
    const path = settings.presetFile();
    const preset = presetOf(inputOf(wizard));
    const saved = await savePreset(answer, preset, { path, force: false }).catch(async (error: unknown) => {
      if (!(error instanceof LoraExportError) || error.code !== 'E_USAGE') throw error;
      prompts.say(error.message);
      const replaces = await prompts.confirm('Replace it?', false);
      return replaces ? savePreset(answer, preset, { path, force: true }) : null;
    });
    if (saved !== null) {
      prompts.say(`Preset ${answer} is in ${path}: lora-export export --preset ${answer}`);
    }
  } catch (error) {
    const isLeft = error instanceof Back || (error instanceof LoraExportError && error.code === 'E_SIGINT');
    if (!isLeft) throw error;
  }
}
