import type { CheckResult } from '../../check.js';
import { LoraExportError } from '../../errors.js';
import type { ExportContext } from '../../export.js';
import { parseRequest, type ExportRequest, type ExportRequestInput } from '../../request.js';
import type { Survey } from '../../survey.js';
import type { App, AppSettings, OpenDatabase } from '../app.js';
import type { Preset } from '../presets.js';
import { failureText } from '../render.js';
import { Back, cancelled, type Prompts } from './prompts.js';

/** What is being filled in. What the settings say, such as the schema, is added by {@link inputOf}. */
export type Draft = { -readonly [K in keyof ExportRequestInput]: ExportRequestInput[K] };

/** What a step is handed. Steps change `draft`, and nothing else that lasts. */
export interface Wizard {
  readonly app: App;
  readonly prompts: Prompts;
  readonly settings: AppSettings;
  readonly database: OpenDatabase;
  readonly survey: Survey;
  readonly draft: Draft;
  /** What the settings make of an empty draft. */
  readonly defaults: Draft;
  /** What was exported last, if that is known. */
  readonly lastUsed: Preset | null;
  /** What the last full check of this request found; null before there was one. */
  checked: CheckResult | null;
  /** What an answer leads to next: choosing conversations, choosing filters. */
  next: { selection: boolean; filters: boolean };
}

/** One question, or several that belong together. Leaving one with {@link Back} leads to the step before. */
export interface Step {
  readonly title: string;
  /** False passes over it. Default: always asked. */
  applies?(wizard: Wizard): boolean;
  run(wizard: Wizard): Promise<void>;
}

/**
 * Asks step after step, back and forth, until the last one is answered.
 * @throws LoraExportError `E_SIGINT` when the user goes back from the first, or cancels
 */
export async function walk(wizard: Wizard, steps: readonly Step[]): Promise<void> {
  const visited: number[] = [];
  let index = 0;
  while (index < steps.length) {
    const step = steps[index] as Step;
    if (step.applies?.(wizard) === false) {
      index++;
      continue;
    }
    wizard.prompts.heading(step.title);
    try {
      await step.run(wizard);
      visited.push(index++);
    } catch (error) {
      if (error instanceof Back) {
        const before = visited.pop();
        if (before === undefined) throw cancelled();
        index = before;
      } else {
        const answer = await askWhatNow(wizard, error, visited.length > 0);
        if (answer === 'back') index = visited.pop() ?? index;
      }
    }
  }
}

/** A lost connection or a full disk is no reason to begin again. */
async function askWhatNow(
  { prompts, app }: Wizard,
  error: unknown,
  canGoBack: boolean,
): Promise<'again' | 'back'> {
  app.terminal.clearStatus();
  if (!(error instanceof LoraExportError) || app.host.signal.aborted || error.code === 'E_SIGINT')
    throw error;
  prompts.say(prompts.style.bad(failureText(error, { debug: false })));
  try {
    const choices = [
      { value: 'again' as const, name: 'Try again' },
      { value: 'cancel' as const, name: 'Cancel' },
    ];
    const answer = await prompts.select('What now?', choices, { canGoBack });
    if (answer === 'cancel') throw cancelled();
    return answer;
  } catch (thrown) {
    if (thrown instanceof Back) return 'back';
    throw thrown;
  }
}

/** The request as far as it is filled in. */
export function inputOf({ draft, settings }: Wizard): ExportRequestInput {
  const { schema, auditSchema, userId, allUsers, retentionHours } = settings;
  return {
    ...(retentionHours === undefined ? {} : { retentionHours }),
    ...draft,
    schema,
    auditSchema,
    allUsers,
    ...(userId === null ? {} : { userId: userId.value }),
  };
}

/** The request as it would be run now. */
export function requestOf(wizard: Wizard): ExportRequest {
  return parseRequest(inputOf(wizard));
}

/** What looking at the source takes, as for the command line. */
export function contextOf({ app, database, settings }: Wizard): ExportContext {
  const { jobFrom, maxExportsPerHour } = settings;
  return {
    database: database.target,
    signal: app.host.signal,
    jobFrom,
    maxPerHour: maxExportsPerHour ?? undefined,
  };
}

/** Tells that something takes a while, where it does. */
export async function busy<T>({ app }: Wizard, text: string, work: () => Promise<T>): Promise<T> {
  const timer = setTimeout(() => void app.terminal.status(text), 300);
  try {
    return await work();
  } finally {
    clearTimeout(timer);
    app.terminal.clearStatus();
  }
}
