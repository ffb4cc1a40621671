import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join, resolve } from 'node:path';
import { Readable } from 'node:stream';
import type { Access } from './db/access.js';
import { expireOverdue } from './db/overdue.js';
import { readRun, type RecordedRun, type RunDetails } from './db/recorded-runs.js';
import { ExportNotFoundError, LoraExportError } from './errors.js';
import { formats, type FormatName } from './formats/index.js';
import { isUuid } from './import/identity.js';
import { Digest } from './sinks/digest.js';
import { openManagedDirectory, type ManagedFile } from './sinks/managed-directory.js';
import type { Sealed } from './sinks/sink.js';
import { progressOf } from './status.js';

/** How much is read at a time, in bytes. */
const CHUNK = 256 * 1024;

export interface DownloadOptions {
  /** The managed directory. */
  readonly directory: string;
  /** Name of this machine: it tells when a file is to be found on another. Default: its host name. */
  readonly host?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** The stored file of an export, found to be the one that was written. */
export interface Download {
  readonly exportId: string;
  /** For Content-Disposition: `[a-z0-9._-]` only. */
  readonly fileName: string;
  /** For Content-Type. A compressed file is served as it is, `application/gzip`. */
  readonly mediaType: string;
  /** In bytes. */
  readonly size: number;
  /** SHA-256 of the bytes, lower-case hexadecimal. */
  readonly sha256: string;
  /**
   * The bytes, from a file that stays open even when cleanup takes its name away. It fails at its end when somebody
   * changed the file meanwhile. Destroy it when it is not read to its end.
   */
  readonly stream: Readable;
}

/**
 * Opens the stored file of a completed export for sending it to its owner: the very bytes that were written, whose
 * size and SHA-256 are compared with the log before this returns. Where the file lies is derived from the export id;
 * no path of the database is followed.
 *
 * @throws ExportNotFoundError when there is no such export to see
 * @throws LoraExportError `E_GONE` when it has no file to give: expired, removed, not managed, stored elsewhere, or the
 * export is not completed; `E_DATA` when the file is not the one that was written; `E_OUTPUT` when it cannot be read
 * @example
 * const { stream, mediaType, fileName, size } = await openDownload(access, exportId, { directory });
 * response.writeHead(200, {
 *   'content-type': mediaType,
 *   'content-length': size,
 *   'content-disposition': `attachment; filename="${fileName}"`,
 * });
 * await pipeline(stream, response);
 */
export async function openDownload(
  access: Access,
  exportId: string,
  { directory, host = hostname(), signal }: DownloadOptions,
): Promise<Download> {
  const found = isUuid(exportId) ? await readRun(access, exportId) : null;
  if (found === null) throw new ExportNotFoundError(exportId);
  const run = await expireOverdue(access, found);
  const details = requireStored(run);
  const file = await findStored(run, details, { directory, host });
  const expected = { size: run.fileSize, sha256: details.sha256 };
  const handle = await openStored(run, file);
  try {
    const sealed = await verify(run, handle, expected, signal);
    return {
      exportId: run.exportId,
      fileName: file.name,
      mediaType: file.name.endsWith('.gz') ? 'application/gzip' : formats[run.format as FormatName].mediaType,
      ...sealed,
      stream: streamOf(run, handle, sealed),
    };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** @throws LoraExportError `E_GONE` with the reason why there is no file, as far as the log knows */
function requireStored(run: RecordedRun): RunDetails {
  const { exportId, status, run: details } = run;
  const repeat = `\`lora-export export --like ${exportId}\` repeats it on today's data.`;
  switch (status) {
    case 'queued':
      throw gone(run, 'has not begun: it is still queued', `Wait with \`${watchCommand(run)}\`.`);
    case 'processing':
      throw gone(
        run,
        `is not finished: it is at ${progressOf(run)} %`,
        `Wait with \`${watchCommand(run)}\`.`,
      );
    case 'failed':
      throw gone(run, `failed and has no file: ${reasonOf(run)}`, repeat);
    case 'expired':
      throw gone(run, run.expiresAt === null ? 'has expired' : `expired at ${run.expiresAt}`, repeat);
    case 'completed':
  }
  if (details === null || details.storageKey === null) {
    throw gone(
      run,
      `was ${whereWritten(details)}, and only files in the export directory are kept for download`,
      'Exports without --output that are made on a terminal are kept, and detached ones.',
    );
  }
  if (details.fileDeletedAt !== null) {
    throw gone(run, `has no file any more: it was removed at ${details.fileDeletedAt}`, repeat);
  }
  return details;
}

function watchCommand({ exportId }: RecordedRun): string {
  return `lora-export status ${exportId} --watch`;
}

function reasonOf({ errorMessage }: RecordedRun): string {
  return errorMessage?.replace(/\.$/, '') ?? 'no reason was recorded';
}

/** What the row says about a place is told, never followed. */
function whereWritten(details: RunDetails | null): string {
  const { kind, directory, name } = outputOf(details);
  if (kind === 'stream') return 'written to standard output';
  if (kind === 'file' && typeof directory === 'string' && typeof name === 'string')
    return `written to ${join(directory, name)}`;
  return 'not written to the export directory';
}

function outputOf(details: RunDetails | null): Record<string, unknown> {
  const output = details?.output;
  return typeof output === 'object' && output !== null ? (output as Record<string, unknown>) : {};
}

async function findStored(
  run: RecordedRun,
  details: RunDetails,
  { directory, host }: { directory: string; host: string },
): Promise<ManagedFile> {
  const { exportId } = run;
  const isElsewhere = details.workerHost !== host;
  const recorded = outputOf(details)['directory'];
  const isOtherRoot = typeof recorded === 'string' && recorded !== join(resolve(directory), exportId);
  const file = await openManagedDirectory(directory)
    .then((managed) => managed.find(exportId))
    .catch((error: unknown) => {
      // Where nothing was ever stored there need not be such a directory.
      if (isElsewhere || isOtherRoot) return null;
      throw error;
    });
  if (file !== null) return file;
  if (isElsewhere) {
    throw gone(
      run,
      `is not stored here but on ${details.workerHost ?? 'another machine'}`,
      'Download it there, or set LORA_EXPORT_DIR to a directory that both machines see.',
    );
  }
  if (isOtherRoot) {
    throw gone(
      run,
      `was stored in ${recorded}, which is not below the export directory in force`,
      'Set LORA_EXPORT_DIR to the export directory that it was made with.',
    );
  }
  throw vanished(run);
}

async function openStored(run: RecordedRun, { path }: ManagedFile): Promise<FileHandle> {
  // Whatever is put in the place of the file meanwhile is neither followed nor waited for.
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
  try {
    return await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  } catch (error) {
    throw (error as NodeJS.ErrnoException).code === 'ENOENT' ? vanished(run) : unreadable(run, error);
  }
}

/**
 * Reads the whole file before anybody is given a byte of it. The message does not say what was found: the log belongs
 * to a user, and with the checksum of a file that is not his own he could make the log fit.
 */
async function verify(
  run: RecordedRun,
  handle: FileHandle,
  { size, sha256 }: { size: number | null; sha256: string | null },
  signal: AbortSignal | undefined,
): Promise<Sealed> {
  const found = await handle.stat();
  if (size === null || !found.isFile() || found.size !== size)
    throw tampered(run, 'its size differs from the log');
  const digest = new Digest();
  for await (const chunk of read(run, handle, size)) {
    signal?.throwIfAborted();
    digest.update(chunk);
  }
  const sealed = digest.seal();
  if (sealed.size !== size || sealed.sha256 !== sha256)
    throw tampered(run, 'its checksum differs from the log');
  return sealed;
}

function streamOf(run: RecordedRun, handle: FileHandle, sealed: Sealed): Readable {
  const stream = Readable.from(readAgain(run, handle, sealed), { objectMode: false });
  // Not in the generator: one that was never started runs no `finally`.
  stream.once('close', () => void handle.close().catch(() => undefined));
  return stream;
}

async function* readAgain(run: RecordedRun, handle: FileHandle, sealed: Sealed): AsyncGenerator<Buffer> {
  const digest = new Digest();
  for await (const chunk of read(run, handle, sealed.size)) {
    digest.update(chunk);
    yield chunk;
  }
  if (digest.seal().sha256 !== sealed.sha256) throw tampered(run, 'it was changed while it was read');
}

async function* read(run: RecordedRun, handle: FileHandle, size: number): AsyncGenerator<Buffer> {
  for (let position = 0; position < size;) {
    // Never reused: whoever receives a chunk may keep it.
    const buffer = Buffer.allocUnsafe(Math.min(CHUNK, size - position));
    const { bytesRead } = await handle
      .read(buffer, 0, buffer.length, position)
      .catch((error: unknown) => Promise.reject(unreadable(run, error)));
    if (bytesRead === 0) return;
    position += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}

function vanished(run: RecordedRun): LoraExportError {
  return gone(
    run,
    'has no file any more: somebody removed it from the export directory',
    `\`lora-export export --like ${run.exportId}\` repeats it on today's data.`,
  );
}

function gone({ exportId }: RecordedRun, why: string, hint: string): LoraExportError {
  return about(exportId, new LoraExportError('E_GONE', `Export ${exportId} ${why}.`, { hint }));
}

function tampered({ exportId }: RecordedRun, why: string): LoraExportError {
  return about(
    exportId,
    new LoraExportError(
      'E_DATA',
      `The stored file of export ${exportId} is not the one that was written: ${why}.`,
      {
        hint: `Do not use the file. \`lora-export export --like ${exportId}\` repeats the export on today's data.`,
      },
    ),
  );
}

function unreadable({ exportId }: RecordedRun, cause: unknown): LoraExportError {
  const code = (cause as NodeJS.ErrnoException).code ?? 'an unknown error';
  return about(
    exportId,
    new LoraExportError(
      'E_OUTPUT',
      `Cannot read the stored file of export ${exportId}: the system reported ${code}.`,
      {
        hint: 'Check its permissions and the disk.',
        cause,
      },
    ),
  );
}

function about(exportId: string, error: LoraExportError): LoraExportError {
  error.exportId = exportId;
  return error;
}
