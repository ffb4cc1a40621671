import { parseDatabaseUrl } from '../../db/target.js';
import { LoraExportError } from '../../errors.js';
import type { AppSettings } from '../app.js';
import { Back, cancelled, type Choice, type Prompts } from './prompts.js';

/** The origin of a setting that was typed into the wizard. */
export const TYPED = 'the answer';

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

type Answer = 'again' | 'user' | 'other' | 'embedded' | 'cancel';

/**
 * What to do about a database that cannot be used so: settings to go on with.
 * @throws LoraExportError `E_SIGINT` when the answer is to leave
 */
export async function leaveDatabase(
  prompts: Prompts,
  settings: AppSettings,
  { code }: LoraExportError,
): Promise<AppSettings> {
  const isExternal = settings.databaseUrl !== null;
  const asksUser = isExternal && (code === 'E_USAGE' || code === 'E_DB_ACCESS');
  const choices: Choice<Answer>[] = [
    ...(asksUser
      ? [
          {
            value: 'user' as const,
            name: 'Say on behalf of which user',
            description: 'The id of the user who asks for the export, as the database knows it.',
          },
        ]
      : []),
    { value: 'again', name: 'Try again', description: 'With the same database.' },
    ...otherDatabases(settings),
    { value: 'cancel', name: 'Leave' },
  ];
  for (;;) {
    const answer = await prompts.select('What now?', choices, { canGoBack: false }).catch(leaveOnBack);
    if (answer === 'cancel') throw cancelled();
    if (answer === 'again') return settings;
    try {
      return answer === 'user' ? await askUser(prompts, settings) : await askOther(prompts, settings, answer);
    } catch (error) {
      if (!(error instanceof Back)) throw error;
    }
  }
}

/** Ways to another database than that of the settings. */
export function otherDatabases({ databaseUrl }: AppSettings): Choice<'other' | 'embedded'>[] {
  return [
    {
      value: 'other',
      name: 'Use another database',
      description: 'You type its address, for instance that of your Supabase project.',
    },
    ...(databaseUrl === null
      ? []
      : [
          {
            value: 'embedded' as const,
            name: 'Use the embedded database on this machine',
            description: 'A small one of its own, with demo conversations to try things out.',
          },
        ]),
  ];
}

/** @throws Back */
export async function askOther(
  prompts: Prompts,
  settings: AppSettings,
  answer: 'other' | 'embedded',
): Promise<AppSettings> {
  if (answer === 'embedded') return { ...settings, databaseUrl: null };
  prompts.say('It looks like postgresql://user@host:5432/database. Stars stand for what you type.');
  const url = await prompts.secret('Address', (value) => {
    try {
      parseDatabaseUrl(value, TYPED, settings.env);
      return true;
    } catch (error) {
      if (error instanceof LoraExportError) return error.message;
      throw error;
    }
  });
  return { ...settings, databaseUrl: { value: url, origin: TYPED } };
}

/** @throws Back */
async function askUser(prompts: Prompts, settings: AppSettings): Promise<AppSettings> {
  const user = await prompts.input('User id', {
    initial: settings.userId?.value,
    validate: (text) => UUID.test(text.trim()) || 'A UUID such as 6f3c0b1e-5d1a-4c0f-9a51-b8f0a2b7c9d4.',
  });
  return { ...settings, userId: { value: user.trim().toLowerCase(), origin: TYPED } };
}

/** Before the first question there is only the way out. */
export function leaveOnBack(error: unknown): never {
  throw error instanceof Back ? cancelled() : error;
}
