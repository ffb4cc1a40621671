import { randomUUID } from 'node:crypto';
import { open, unlink, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { outputError } from './output-errors.js';

/** How much is read back at a time, in bytes. */
const CHUNK = 1024 * 1024;

/** Bytes that wait on disk until what comes before them is known. Nobody else can see them: the file has no name. */
export interface Spool {
  write(bytes: Uint8Array): Promise<void>;
  /** Everything written, in order; each chunk is valid until the next is asked for. */
  read(): AsyncGenerator<Uint8Array>;
  close(): Promise<void>;
}

/**
 * Opens a spool in a directory and takes its name away at once, so that even a killed process leaves nothing.
 * @throws LoraExportError `E_OUTPUT`
 */
export async function openSpool(directory: string): Promise<Spool> {
  const path = join(directory, `.lora-export-${randomUUID()}.spool`);
  let handle: FileHandle;
  try {
    handle = await open(path, 'wx+', 0o600);
    await unlink(path);
  } catch (error) {
    throw outputError(error, directory);
  }
  let size = 0;
  return {
    async write(bytes) {
      try {
        for (let offset = 0; offset < bytes.length;) {
          const { bytesWritten } = await handle.write(bytes, offset, bytes.length - offset, size + offset);
          offset += bytesWritten;
        }
      } catch (error) {
        throw outputError(error, directory);
      }
      size += bytes.length;
    },
    async *read() {
      const buffer = Buffer.allocUnsafeSlow(CHUNK);
      for (let position = 0; position < size;) {
        const { bytesRead } = await handle.read(buffer, 0, CHUNK, position);
        if (bytesRead === 0) throw outputError(Object.assign(new Error('short'), { code: 'EIO' }), directory);
        position += bytesRead;
        yield buffer.subarray(0, bytesRead);
      }
    },
    close: () => handle.close().catch(() => undefined),
  };
}
