import { type Readable, addAbortSignal } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { LoraExportError } from './errors.js';

/**
 * The bytes of an input, unpacked when they are gzip.
 * @throws LoraExportError in the loop: `E_USAGE` when the input cannot be read, `E_DATA` for damaged gzip; the signal's
 *   reason when aborted
 */
export async function* readBytes(
  source: Readable,
  file: string,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  try {
    addAbortSignal(signal, source);
    yield* unpacked(buffers(source), signal);
  } catch (error) {
    throw signal.aborted ? signal.reason : (inputError(error, file, 0) ?? error);
  } finally {
    source.destroy();
  }
}

async function* buffers(source: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  for await (const chunk of source) yield Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
}

/** Unpacks what starts with the mark of gzip, and passes on everything else. */
export async function* unpacked(source: AsyncGenerator<Buffer>, signal: AbortSignal): AsyncGenerator<Buffer> {
  let start: Buffer = Buffer.alloc(0);
  while (start.length < 2) {
    const { value, done } = await source.next();
    if (done) break;
    start = Buffer.concat([start, value]);
  }
  async function* whole(): AsyncGenerator<Buffer> {
    yield start;
    yield* source;
  }
  if (start[0] !== 0x1f || start[1] !== 0x8b) {
    yield* whole();
    return;
  }
  const gunzip = createGunzip({ chunkSize: 256 * 1024 });
  const piped = pipeline(whole, gunzip, { signal });
  // The same failure arrives through the loop below; this one must not count as unhandled meanwhile.
  piped.catch(() => undefined);
  yield* gunzip as AsyncIterable<Buffer>;
  await piped;
}

/**
 * What went wrong with reading or unpacking, in the user's terms; undefined for anything else.
 * @param line the last line that was read whole; 0 when that is unknown
 */
export function inputError(error: unknown, file: string, line: number): LoraExportError | undefined {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (code.startsWith('Z_')) {
    const fault = code === 'Z_BUF_ERROR' ? 'is cut short' : 'is damaged';
    // What was unpacked and not yet split is lost with the error, so the exact place is unknown.
    const where = line === 0 ? '' : `, somewhere after line ${line}`;
    return new LoraExportError('E_DATA', `${file}: the gzip data ${fault}${where}`, { cause: error });
  }
  if (!/^E[A-Z0-9]+$/.test(code)) return undefined;
  const reasons: Record<string, string> = {
    ENOENT: 'there is no such file',
    EACCES: 'permission denied',
    EPERM: 'permission denied',
    EISDIR: 'it is a directory',
  };
  return new LoraExportError('E_USAGE', `Cannot read ${file}: ${reasons[code] ?? code}`, { cause: error });
}
