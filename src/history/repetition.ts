import { commandLineOf } from '../command-line.js';
import type { RecordedRun } from '../db/recorded-runs.js';
import { LoraExportError } from '../errors.js';
import { requestOfConfig } from '../run-config.js';

/** How to ask for the same export again, on the data of that day. */
export interface Repetition {
  /** The command line that takes the stored configuration; null when that does not hold all that it takes. */
  readonly like: readonly string[] | null;
  /** The same in flags, output included; null when flags cannot say it. */
  readonly flags: readonly string[] | null;
  /** Why it cannot be repeated, for people. */
  readonly problem: string | null;
}

/** How to repeat a recorded export; it never throws, whatever program wrote the row. */
export function repetitionOf({ exportId, config }: RecordedRun): Repetition {
  try {
    const flags = commandLineOf(requestOfConfig(config, `Export ${exportId}`));
    return { like: ['lora-export', 'export', '--like', exportId], flags, problem: null };
  } catch (error) {
    if (!(error instanceof LoraExportError)) throw error;
    return { like: null, flags: null, problem: error.message };
  }
}
