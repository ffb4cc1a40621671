import { createReadStream } from 'node:fs';
import { access, constants, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Readable } from 'node:stream';
import { LoraExportError } from '../errors.js';
import type { Host } from './host.js';
import { quoted } from './quoted.js';

/** A file, or standard input, that a command reads. */
export interface InputFile {
  /** As the user named it. */
  readonly name: string;
  /** Null for standard input. */
  readonly path: string | null;
  open(): Readable;
}

/**
 * The files of a command line, looked at before any work: the third of three must not be found missing after two were
 * loaded.
 * @param files paths; `-` for standard input
 * @throws LoraExportError `E_USAGE`
 */
export function inputFiles(
  files: readonly string[],
  { cwd, stdin }: Pick<Host, 'cwd' | 'stdin'>,
): Promise<InputFile[]> {
  if (files.filter((file) => file === '-').length > 1) {
    throw new LoraExportError('E_USAGE', 'Standard input (-) can be read only once.');
  }
  return Promise.all(
    files.map(async (file) => {
      if (file === '-') return { name: 'standard input', path: null, open: () => stdin };
      const path = resolve(cwd, file);
      const why = file === '' ? 'its name is empty' : await obstacle(path);
      if (why !== null) {
        throw new LoraExportError('E_USAGE', `Cannot read "${quoted(file)}": ${why}.`, {
          hint: 'Name an existing file, or - for standard input.',
        });
      }
      return { name: file, path, open: () => createReadStream(path) };
    }),
  );
}

/** Why a file cannot be read; null when it seems that it can. */
async function obstacle(path: string): Promise<string | null> {
  try {
    if ((await stat(path)).isDirectory()) return 'it is a directory';
    await access(path, constants.R_OK);
    return null;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === 'ENOENT' ? 'there is no such file' : `the system reported ${code}`;
  }
}
