import { closeSync, openSync, readSync } from 'node:fs';
import { LoraExportError } from '../errors.js';

const MEBIBYTE = 1024 * 1024;

/** Far more than a prompt, a filter or a million ids take; a device without an end is refused instead of read. */
export const MOST_TEXT_BYTES = 64 * MEBIBYTE;

/**
 * A text file that a flag names; a byte order mark at its start is not part of it.
 * @param mostBytes whole mebibytes
 * @throws LoraExportError `E_USAGE` when it cannot be read, is too large, or is not UTF-8
 */
export function readTextFile(path: string, flag: string, mostBytes = MOST_TEXT_BYTES): string {
  const what = `${path} (${flag})`;
  let bytes: Buffer;
  try {
    bytes = readAtMost(path, mostBytes + 1);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const why =
      code === 'ENOENT'
        ? 'there is no such file'
        : code === 'EISDIR'
          ? 'it is a directory'
          : `the system reported ${code}`;
    throw new LoraExportError('E_USAGE', `Cannot read ${what}: ${why}.`, { cause: error });
  }
  if (bytes.length > mostBytes) throw tooLarge(what, mostBytes);
  return decodeText(bytes, what);
}

/** The error for an input of more bytes than anybody means. */
export function tooLarge(what: string, mostBytes: number): LoraExportError {
  return new LoraExportError(
    'E_USAGE',
    `Cannot read ${what}: it is too large, more than ${mostBytes / MEBIBYTE} MiB.`,
  );
}

/**
 * Text without its byte order mark. Bytes that are no UTF-8 would become replacement characters without a word.
 * @throws LoraExportError `E_USAGE`
 */
export function decodeText(bytes: Uint8Array, what: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new LoraExportError('E_USAGE', `Cannot read ${what}: it is not UTF-8.`, {
      hint: 'Save it as UTF-8.',
    });
  }
}

/** A file may grow, and a device or pipe does not say how long it is, so sizes are counted and not asked for. */
function readAtMost(path: string, most: number): Buffer {
  const file = openSync(path, 'r');
  try {
    const chunks: Buffer[] = [];
    let length = 0;
    while (length < most) {
      const chunk = Buffer.allocUnsafe(Math.min(MEBIBYTE, most - length));
      const read = readSync(file, chunk);
      if (read === 0) break;
      chunks.push(chunk.subarray(0, read));
      length += read;
    }
    return Buffer.concat(chunks);
  } finally {
    closeSync(file);
  }
}
