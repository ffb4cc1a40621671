import { createHash, randomUUID } from 'node:crypto';
import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { DestinationContext, Sink } from '../../src/sinks/sink.js';

/** A context with an export id of its own. */
export function aContext(parts: Partial<DestinationContext> = {}): DestinationContext {
  return { exportId: randomUUID(), force: false, ...parts };
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Every file, directory and link below a directory, as relative paths in order. */
export async function filesIn(directory: string): Promise<string[]> {
  return (await readdir(directory, { recursive: true })).sort();
}

/** The permission bits, such as `600`. */
export async function modeOf(...path: string[]): Promise<string> {
  return ((await lstat(join(...path))).mode & 0o777).toString(8);
}

/** Writes from one reused buffer, as the run does: bytes that a sink still needed after `write` would be spoilt. */
export async function writeReusing(sink: Sink, pieces: readonly Uint8Array[]): Promise<void> {
  const buffer = Buffer.alloc(Math.max(0, ...pieces.map(({ length }) => length)));
  for (const piece of pieces) {
    buffer.set(piece);
    await sink.write(buffer.subarray(0, piece.length));
    buffer.fill('#');
  }
}

/** A stream that takes a turn of the event loop for every piece, and copies only then. */
export function slowStream(): { stream: Writable; received: () => Buffer } {
  const pieces: Buffer[] = [];
  const stream = new Writable({
    highWaterMark: 1,
    async write(piece: Buffer, _encoding, done) {
      await nextTurn();
      pieces.push(Buffer.from(piece));
      done();
    },
  });
  return { stream, received: () => Buffer.concat(pieces) };
}

/** A stream whose reader stopped: it takes one piece and never says so. */
export function stoppedStream(): Writable {
  return new Writable({ write: () => undefined });
}
