import { statSync } from 'node:fs';
import { join } from 'node:path';
import { LoraExportError } from '../../errors.js';
import { createStateDirectory } from '../../embedded/default-state-directory.js';
import { exportRequest, type ExportRequestInput } from '../../request.js';
import { MOST_BYTES } from '../config-file.js';
import { readJsonFile } from '../json-file.js';
import { presetOf, presetSchema, type Preset } from '../presets.js';
import { replaceFile } from '../save-preset.js';

/** Ids beyond these are a selection for one export, not a habit. */
const MOST_IDS = 1_000;

export interface LastUsedPlace {
  /** `AppSettings.stateDirectory`. */
  readonly stateDirectory: string;
  /** User id of the process; null where there is no such thing. */
  readonly uid: number | null;
  /** Told why nothing was read or written. What was used last is a convenience: it never fails a command. */
  readonly note: (text: string) => void;
}

/**
 * What was exported last, or null. Scope `selected` may come without ids: there were too many to keep.
 */
export function readLastUsed({ stateDirectory, note }: LastUsedPlace): Preset | null {
  const path = pathIn(stateDirectory);
  const ignored = (why: string): null => {
    note(`What was used last is ignored: ${why}.`);
    return null;
  };
  try {
    const stats = statSync(path, { throwIfNoEntry: false });
    if (stats === undefined) return null;
    if (!stats.isFile() || stats.size > MOST_BYTES) return ignored(`${path} is not a file of ours`);
    const value = readJsonFile(path, 'what was used last');
    if (!presetSchema.safeParse(value).success) {
      return ignored(`${path} holds something that this version does not know`);
    }
    const preset = value as Preset;
    const isUsable = exportRequest.safeParse(
      isUnfinished(preset) ? { ...preset, scope: 'all' } : preset,
    ).success;
    return isUsable ? preset : ignored(`what ${path} holds does not go together`);
  } catch (error) {
    return ignored(whyNot(error).replace(/\.$/, ''));
  }
}

/**
 * Keeps what a request asks for, without where and for whom: no database, no user, no destination. The file can be read
 * by its owner alone, and is replaced whole.
 */
export async function writeLastUsed(
  request: ExportRequestInput,
  { stateDirectory, uid, note }: LastUsedPlace,
): Promise<void> {
  const path = pathIn(stateDirectory);
  try {
    const { ids, ...preset } = presetOf(request);
    const kept: Preset = ids === undefined || ids.length > MOST_IDS ? preset : { ...preset, ids };
    await createStateDirectory(stateDirectory, uid ?? -1);
    await replaceFile(path, `${JSON.stringify(kept, null, 2)}\n`);
  } catch (error) {
    note(`What was used now was not kept in ${path}: ${whyNot(error).replace(/\.$/, '')}.`);
  }
}

function whyNot(error: unknown): string {
  if (error instanceof LoraExportError) return error.message;
  return `the system reported ${(error as NodeJS.ErrnoException).code ?? 'an error'}`;
}

function isUnfinished({ scope, ids }: Preset): boolean {
  return scope === 'selected' && ids === undefined;
}

function pathIn(stateDirectory: string): string {
  return join(stateDirectory, 'last-used.json');
}
