import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { basename } from 'node:path';
import { createGunzip } from 'node:zlib';
import type { Fingerprint, OldLog } from '../db/old-logs.js';
import { LoraExportError } from '../errors.js';
import { prepareFile, prepareInDirectory } from '../sinks/file.js';
import { gzipped } from '../sinks/gzip.js';
import { outputError } from '../sinks/output-errors.js';
import type { Sink } from '../sinks/sink.js';
import { createLineSplitter } from '../validate/line-splitter.js';
import { visible } from '../visible.js';

/** A written archive, safe on the disk under its name. */
export interface Archive {
  /** Absolute. */
  readonly path: string;
  /** In bytes, compressed. */
  readonly size: number;
  /** Of the compressed bytes; `<path>.sha256` says the same, for `sha256sum --check`. */
  readonly sha256: string;
  /** What is in it, in order. */
  readonly logs: readonly Fingerprint[];
}

/** No row of the log comes near it; a line without an end must not fill the memory. */
const MOST_LINE_BYTES = 256 * 1_048_576;

/**
 * Writes rows to `export-logs-<time>-<count>.jsonl.gz` and its checksum beside it: temporary file, fsync, final name,
 * fsync of the directory. The directory is made when missing, for this user alone.
 *
 * @param takenAt when the rows were read, ISO 8601
 * @returns null when there were no rows, and then nothing was written
 * @throws LoraExportError `E_OUTPUT`; nothing is left behind then
 */
export async function writeArchive(
  directory: string,
  takenAt: string,
  rows: AsyncIterable<OldLog>,
): Promise<Archive | null> {
  const logs: Fingerprint[] = [];
  let sink: Sink | undefined;
  try {
    for await (const { line, ...log } of rows) {
      sink ??= await openArchive(directory);
      await sink.write(Buffer.from(`${line}\n`));
      logs.push(log);
    }
    if (sink === undefined) return null;
    const sealed = await sink.seal();
    const time = takenAt.replace(/[-:.]/g, '');
    const { location } = await sink.publish(`export-logs-${time}-${logs.length}.jsonl.gz`);
    await writeChecksum(location, sealed.sha256);
    return { path: location, ...sealed, logs };
  } catch (error) {
    // Without its checksum an archive is none.
    await sink?.retract();
    await sink?.abort();
    throw error;
  }
}

async function openArchive(directory: string): Promise<Sink> {
  await mkdir(directory, { recursive: true, mode: 0o700 }).catch((error: unknown) => {
    throw outputError(error, directory);
  });
  const destination = await prepareInDirectory(directory, { exportId: randomUUID(), force: false });
  return gzipped(await destination.open());
}

async function writeChecksum(path: string, sha256: string): Promise<void> {
  const destination = await prepareFile(`${path}.sha256`, { exportId: randomUUID(), force: false });
  const sink = await destination.open();
  try {
    await sink.write(Buffer.from(`${sha256}  ${basename(path)}\n`));
    await sink.seal();
    await sink.publish(basename(path));
  } catch (error) {
    await sink.abort();
    throw error;
  }
}

/**
 * Reads an archive back from the disk: its bytes must have the checksum, and each line must be the row that the server
 * described, in the same order, with nothing missing and nothing more.
 *
 * @throws LoraExportError `E_OUTPUT`
 */
export async function verifyArchive({ path, sha256, logs }: Archive): Promise<void> {
  const hash = createHash('sha256');
  const wrong = (what: string): LoraExportError =>
    new LoraExportError('E_OUTPUT', `The archive ${visible(path)} ${what}; nothing was deleted.`, {
      hint: 'Check the disk, or choose another directory with --archive-dir.',
    });
  let failure: LoraExportError | undefined;
  let lines = 0;
  const splitter = createLineSplitter(MOST_LINE_BYTES, ({ bytes, isEnded }) => {
    const expected = logs[lines++];
    if (bytes === null || !isEnded || expected === undefined || !isLineOf(expected, bytes)) {
      failure ??= wrong(`holds another line ${lines} than was written`);
    }
  });
  try {
    const gunzip = createGunzip();
    const file = createReadStream(path);
    file.on('data', (chunk) => hash.update(chunk));
    file.on('error', (error) => gunzip.destroy(error));
    for await (const chunk of file.pipe(gunzip)) splitter.write(chunk as Buffer);
    splitter.end();
  } catch {
    throw wrong('cannot be read back');
  }
  if (failure !== undefined) throw failure;
  if (lines !== logs.length) throw wrong(`holds ${lines} rows instead of ${logs.length}`);
  if (hash.digest('hex') !== sha256) throw wrong('has another checksum than was written');
}

function isLineOf({ exportId, fingerprint }: Fingerprint, bytes: Buffer): boolean {
  if (createHash('sha256').update(bytes).digest('hex') !== fingerprint) return false;
  const { export_logs: log } = JSON.parse(bytes.toString()) as { export_logs: { export_id: string } };
  return log.export_id === exportId;
}
