import type { CheckResult } from '../../check.js';
import { LoraExportError } from '../../errors.js';
import type { ExportContext } from '../../export.js';
import { parseRequest, type ExportRequest, type ExportRequestInput, type Filters } from '../../request.js';
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
  /** What the draft began with; null before that was asked. */
  begun: Preset | null;
  /** Answers that another answer put out of use, in case it is changed back. */
  readonly aside: { filters?: Filters; ids?: string[] };
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
 * @returns false when the user goes back from the first
 * @throws LoraExportError `E_SIGINT` when the user cancels
 */
export async function walk(wizard: Wizard, steps: readonly Step[]): Promise<boolean> {
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
      if (error instanceof Back || (await askWhatNow(wizard, error)) === 'back') {
        const before = visited.pop();
        if (before === undefined) return false;
        index = before;
      }
    }
  }
  return true;
}

/** A lost connection or a full disk is no reason to begin again. */
async function askWhatNow({ prompts, app }: Wizard, error: unknown): Promise<'again' | 'back'> {
  app.terminal.clearStatus();
  if (!(error instanceof LoraExportError) || app.host.signal.aborted || error.code === 'E_SIGINT')
    throw error;
  prompts.say(failureText(error, { debug: false }), prompts.style.bad);
  try {
    const answer = await prompts.select('What now?', [
      { value: 'again' as const, name: 'Try again', description: 'Your answers are kept.' },
      { value: 'cancel' as const, name: 'Cancel', description: 'Ends without an export.' },
    ]);
    if (answer === 'cancel') throw cancelled();
    return answer;
  } catch (thrown) {
    if (thrown instanceof Back) return 'back';
    throw thrown;
  }
}

/** The request as far as it is filled in. */
export function inputOf({ draft, settings }: Pick<Wizard, 'draft' | 'settings'>): ExportRequestInput {
  const { schema, auditSchema, userId, allUsers, retentionHours } = settings;
  return {
    ...(retentionHours === undefined ? {} : { retentionHours }),
    ...applicable(draft),
    schema,
    auditSchema,
    allUsers,
    ...(userId === null ? {} : { userId: userId.value }),
  };
}

/** Without the answers to questions that the other answers leave open: going back must not lose them. */
function applicable(draft: Draft): Draft {
  const request = { ...draft };
  const isTraining = draft.target !== undefined || (draft.format ?? 'jsonl') === 'jsonl';
  if (isTraining) {
    if (draft.content !== undefined) request.content = { ...draft.content, includeFullContent: true };
  } else {
    delete request.expand;
    delete request.systemPrompt;
  }
  if (impliesGzip(draft)) request.gzip = true;
  return request;
}

/** The name of the file asks for compression, as it does on the command line. */
export function impliesGzip({ output }: Draft): boolean {
  return output?.kind === 'file' && output.path.endsWith('.gz');
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
