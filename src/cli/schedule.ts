import { setTimeout as delay } from 'node:timers/promises';
import { schedule, setLogger, validateDetailed } from 'node-cron';
import { LoraExportError } from '../errors.js';

/** A checked schedule. */
export interface Schedule {
  readonly expression: string;
  /** A name of the time zone database, such as `Europe/Berlin`. */
  readonly timezone: string;
}

/** One moment of a schedule. */
export interface Slot {
  readonly at: Date;
  readonly next: Date | null;
}

export interface ScheduleOptions {
  /** Ends the waiting. */
  readonly signal: AbortSignal;
  /** Does the work of one slot; what it throws is a bug, not a failed run. */
  readonly run: (slot: Slot) => Promise<void>;
  /** Told of slots that passed without a run: the last one was still going, or the process was held up. */
  readonly onMissed: (slot: Date, why: string) => void;
}

/** Clocks of machines that share a database may differ by so much, in milliseconds. */
const MOST_DRIFT_MS = 60_000;

/**
 * Checks a cron expression of five fields, or six with seconds in front, before anything is started.
 * @throws LoraExportError `E_USAGE`
 */
export function parseSchedule(expression: string, timezone: string): Schedule {
  const { valid, errors } = validateDetailed(expression);
  if (!valid) {
    const what = errors.map(({ field, message }) => `${field}: ${message}`).join('; ');
    throw new LoraExportError('E_USAGE', `--schedule is not a cron expression (${what}).`, {
      hint: 'Five fields: minute, hour, day of month, month, day of week; "0 2 * * *" is every night at two.',
    });
  }
  try {
    Intl.DateTimeFormat('en', { timeZone: timezone });
  } catch (cause) {
    throw new LoraExportError('E_USAGE', `--timezone does not know "${timezone}".`, {
      hint: 'Name one such as UTC or Europe/Berlin.',
      cause,
    });
  }
  return { expression, timezone };
}

/**
 * Runs something at the times of a schedule, never twice at once, until the signal aborts.
 * @throws the reason of the signal, once the run that was going has ended
 */
export async function followSchedule(
  { expression, timezone }: Schedule,
  { signal, run, onMissed }: ScheduleOptions,
): Promise<never> {
  const ending = new AbortController();
  let running = Promise.resolve();
  // Its own logger writes coloured text past our terminal.
  const silent = (): void => undefined;
  setLogger({ info: silent, warn: silent, error: silent, debug: silent });
  const task = schedule(
    expression,
    async ({ date }) => {
      // What is thrown here would otherwise end in the scheduler.
      running = run({ at: date, next: task.getNextRun() }).catch((error: unknown) => ending.abort(error));
      await running;
    },
    { timezone, noOverlap: true, name: 'cleanup' },
  );
  task.on('execution:overlap', ({ date }) => onMissed(date, 'the run before it is still going'));
  task.on('execution:missed', ({ date }) => onMissed(date, 'this process was held up'));
  try {
    return await aborted(AbortSignal.any([signal, ending.signal]));
  } finally {
    await task.destroy();
    await running;
  }
}

/** Waits until no other machine can still be about to begin the same slot, its clock being late. */
export async function outlastDrift({ at, next }: Slot, signal: AbortSignal): Promise<void> {
  const intervalMs = next === null ? MOST_DRIFT_MS : next.getTime() - at.getTime();
  const untilMs = at.getTime() + Math.min(MOST_DRIFT_MS, 0.75 * intervalMs);
  await delay(Math.max(0, untilMs - Date.now()), undefined, { signal }).catch(() => undefined);
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const end = (): void => reject(signal.reason as Error);
    if (signal.aborted) end();
    else signal.addEventListener('abort', end, { once: true });
  });
}
