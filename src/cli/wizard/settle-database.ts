import { migrate } from '../../db/migrate.js';
import { loadDemo } from '../../demo.js';
import { LoraExportError } from '../../errors.js';
import type { SurveyFacts } from '../../survey.js';
import { withConnection, type AppSettings } from '../app.js';
import { conversations, failureText } from '../render.js';
import { askOther, leaveOnBack, otherDatabases } from './database-questions.js';
import { Back, cancelled, type Choice } from './prompts.js';
import { busy, type Wizard } from './wizard.js';

type Answer = 'use' | 'demo' | 'tables' | 'other' | 'embedded' | 'cancel';

/**
 * Asks until the database can be exported from, or another is chosen.
 * @returns settings with another database; null to go on with this one
 */
export async function settleDatabase(wizard: Wizard): Promise<AppSettings | null> {
  const { app, prompts, settings, survey } = wizard;
  for (;;) {
    const facts = await busy(wizard, 'Looking', () => survey.facts());
    prompts.heading('Database');
    for (const line of inWords(facts, settings)) prompts.say(line);
    const answer = await prompts
      .select('Go on with', choicesOf(facts, settings), { canGoBack: false })
      .catch(leaveOnBack);
    if (answer === 'use') return null;
    if (answer === 'cancel') throw cancelled();
    try {
      if (answer === 'other' || answer === 'embedded') return await askOther(prompts, settings, answer);
      await create(wizard, answer);
    } catch (error) {
      if (error instanceof Back) continue;
      if (!(error instanceof LoraExportError) || app.host.signal.aborted || error.code === 'E_SIGINT')
        throw error;
      app.terminal.clearStatus();
      prompts.say(failureText(error, { debug: false }), prompts.style.bad);
    }
  }
}

async function create(wizard: Wizard, what: 'demo' | 'tables'): Promise<void> {
  const { app, prompts, settings, database } = wizard;
  const { schema, auditSchema } = settings;
  await withConnection(app, database, 'init', async (sql) => {
    await busy(wizard, 'Creating tables', () =>
      migrate(sql, { schema: auditSchema, ...(what === 'demo' ? { sourceSchema: schema } : {}) }),
    );
    if (what === 'tables') return;
    const loaded = await busy(wizard, 'Loading the demo', () => loadDemo(sql, schema, app.host.signal));
    prompts.say(`Loaded ${conversations(loaded)}.`);
  });
}

function inWords(facts: SurveyFacts, { databaseUrl }: AppSettings): string[] {
  const { database, isEmbedded, isEmpty, serverVersion, role, userId, userOrigin, rowSecurity } = facts;
  return [
    ...(isEmbedded
      ? [`The embedded database on this machine (PostgreSQL ${serverVersion}).`]
      : [database, `PostgreSQL ${serverVersion}, from ${databaseUrl?.origin}.`]),
    isEmbedded && isEmpty
      ? 'It is empty: there are no conversations yet.'
      : facts.conversations === null
        ? `Its conversations cannot be read: ${facts.sourceProblem}`
        : `It holds ${conversations(facts.conversations)}${rowSecurity ? `, as far as role ${role} may see` : ''}.`,
    ...(userOrigin === 'role' ? [] : [`On behalf of user ${userId}.`]),
    ...(isEmpty || facts.sourceProblem !== null ? [] : auditInWords(facts.auditProblems)),
  ];
}

function auditInWords(problems: readonly string[]): string[] {
  if (problems.length === 0) return [];
  return [
    'Every export is recorded, and the tables for that are not ready:',
    ...problems.map((one) => `  ${one}`),
  ];
}

function choicesOf(
  { isEmbedded, isEmpty, auditProblems, sourceProblem }: SurveyFacts,
  settings: AppSettings,
): Choice<Answer>[] {
  const needsTables = auditProblems.length > 0;
  const isReadable = !isEmpty && sourceProblem === null;
  return [
    ...(isReadable && !needsTables
      ? [
          {
            value: 'use' as const,
            name: 'Export from this one',
            description: 'Its conversations are only read.',
          },
        ]
      : []),
    ...(isEmbedded && isEmpty
      ? [
          {
            value: 'demo' as const,
            name: 'Load the demo conversations',
            description: 'Made-up conversations to try things out. The same as lora-export init --demo.',
          },
        ]
      : []),
    ...(isReadable && needsTables
      ? [
          {
            value: 'tables' as const,
            name: 'Create the tables for the record',
            description:
              'export_logs and export_runs; nothing else is touched. The same as lora-export init.',
          },
        ]
      : []),
    ...otherDatabases(settings),
    { value: 'cancel', name: 'Leave' },
  ];
}
