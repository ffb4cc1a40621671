import { randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type postgres from 'postgres';
import { record } from './recorded.js';
import { MANAGED_MARKER } from '../../src/sinks/file.js';

/** A name as exports generate it. */
export const STORED_NAME = 'training-data-template-2025-10-29-1.jsonl';

export const STORED_BYTES = '{"messages":[]}\n';

/** An empty managed directory, in a directory of its own. */
export async function makeManagedRoot(): Promise<{ parent: string; root: string }> {
  const parent = await mkdtemp(join(tmpdir(), 'lora-managed-'));
  const root = join(parent, 'exports');
  await mkdir(root, { mode: 0o700 });
  await writeFile(join(root, MANAGED_MARKER), '');
  return { parent, root };
}

export interface StoredOptions {
  readonly exportId?: string;
  readonly userId?: string;
  readonly status?: 'processing' | 'completed' | 'expired' | 'failed';
  /** Hours from now until the file expires; null: never. Default: −1. */
  readonly expiresIn?: number | null;
  /** Days since the row was created. Default: 0. */
  readonly age?: number;
  readonly host?: string;
  readonly output?: unknown;
  readonly fileUrl?: string;
  readonly storageKey?: string | null;
  readonly fileDeletedAt?: Date;
  /** Null: no file is made. */
  readonly file?: string | null;
}

/** The rows of a finished export, and its file in the managed directory. */
export async function addStored(
  sql: postgres.ISql,
  root: string,
  options: StoredOptions = {},
): Promise<string> {
  const { exportId = randomUUID(), userId = randomUUID(), status = 'completed', expiresIn = -1 } = options;
  const { age = 0, host = hostname(), file = STORED_BYTES } = options;
  const directory = join(root, exportId);
  const {
    output = { kind: 'file', directory, managed: true, partial: 'p', name: STORED_NAME },
    fileUrl = pathToFileURL(join(directory, STORED_NAME)).href,
    storageKey = `${exportId}/${STORED_NAME}`,
    fileDeletedAt = null,
  } = options;
  await record(sql, {
    exportId,
    userId,
    status,
    expiresIn,
    age: age * 24,
    silent: 3_600 + age * 86_400,
    config: { note: 'zwei\u2028Zeilen "ä"\n' },
    size: file?.length ?? 0,
    fileUrl,
    run: {
      worker_host: host,
      output,
      storage_key: storageKey,
      file_deleted_at: fileDeletedAt,
      progress: 100,
    },
  });
  if (file !== null) {
    await mkdir(directory, { mode: 0o700 });
    await writeFile(join(directory, STORED_NAME), file);
  }
  return exportId;
}
