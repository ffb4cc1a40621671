import { readFileSync } from 'node:fs';
import { LoraExportError } from '../errors.js';

/**
 * A small text file that a flag names; a byte order mark at its start is not part of it.
 * @throws LoraExportError `E_USAGE` when it cannot be read
 */
export function readTextFile(path: string, flag: string): string {
  try {
    return readFileSync(path, 'utf8').replace(/^\u{feff}/u, '');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const why =
      code === 'ENOENT'
        ? 'there is no such file'
        : code === 'EISDIR'
          ? 'it is a directory'
          : `the system reported ${code}`;
    throw new LoraExportError('E_USAGE', `Cannot read ${path} (${flag}): ${why}.`, { cause: error });
  }
}
