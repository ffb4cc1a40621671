import { createWriteStream, existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { gunzipSync } from 'node:zlib';
import { execa } from 'execa';
import { describe, expect, it } from 'vitest';

import { prepareFile } from '../../src/sinks/file.js';
import { gzipped } from '../../src/sinks/gzip.js';
import type { Sink } from '../../src/sinks/sink.js';
import { prepareStream } from '../../src/sinks/stream.js';
import { aContext, filesIn, sha256, slowStream, stoppedStream, writeReusing } from '../support/sinks.js';
import { temporaryDirectory } from '../support/temporary-directory.js';

const PIECES = Array.from({ length: 40 }, (_, index) =>
  Buffer.from(`${'{"messages":[]}'.repeat(index * 50)}${Math.sin(index)}\n`),
);
const WHOLE = Buffer.concat(PIECES);
const MEGABYTE = 1024 * 1024;

const IDLE_SINK: Sink = {
  write: () => Promise.resolve(),
  seal: () => Promise.resolve({ size: 0, sha256: '' }),
  publish: () => Promise.resolve({ location: '', url: null }),
  retract: () => Promise.resolve(false),
  abort: () => Promise.resolve(),
};

async function fileSink(directory: string): Promise<Sink> {
  return gzipped(await (await prepareFile(join(directory, 'out.gz'), aContext())).open());
}

async function compressedFile(): Promise<Buffer> {
  const directory = await temporaryDirectory();
  const sink = await fileSink(directory);
  await writeReusing(sink, PIECES);
  const sealed = await sink.seal();
  await sink.publish('');
  const bytes = await readFile(join(directory, 'out.gz'));
  expect(sealed).toEqual({ size: bytes.length, sha256: sha256(bytes) });
  return bytes;
}

/** Bytes that do not compress. */
function noise(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let index = 0, state = 1; index < length; index++) {
    state = (state * 1_103_515_245 + 12_345) & 0x7fffffff;
    bytes[index] = state >> 16;
  }
  return bytes;
}

describe('a compressed sink', () => {
  it('holds what was written, and its size and checksum are those of the compressed bytes', async () => {
    expect(gunzipSync(await compressedFile()).equals(WHOLE)).toBe(true);
  });

  it('gives the same bytes for the same data, without a time or a name in them', async () => {
    const bytes = await compressedFile();
    expect((await compressedFile()).equals(bytes)).toBe(true);
    // RFC 1952: flags in byte 3, modification time in bytes 4 to 7.
    expect([...bytes.subarray(3, 8)]).toEqual([0, 0, 0, 0, 0]);
  });

  it('gives the same bytes however the data is cut, in order, to every reader', async () => {
    const text = Buffer.concat(Array.from({ length: 60 }, () => WHOLE));
    expect(text.length).toBeGreaterThan(5 * MEGABYTE);
    const archives: Buffer[] = [];
    for (const size of [100_001, MEGABYTE, text.length]) {
      const directory = await temporaryDirectory();
      const sink = await fileSink(directory);
      const pieces = Array.from({ length: Math.ceil(text.length / size) }, (_, index) =>
        text.subarray(index * size, (index + 1) * size),
      );
      await writeReusing(sink, pieces);
      await sink.seal();
      await sink.publish('');
      archives.push(await readFile(join(directory, 'out.gz')));
      if (size !== MEGABYTE) continue;
      // The program knows nothing of ours.
      const { stdout } = await execa('gzip', ['-dc', join(directory, 'out.gz')], {
        encoding: 'buffer',
        maxBuffer: 2 * text.length,
        stripFinalNewline: false,
      });
      expect(text.equals(stdout)).toBe(true);
    }
    const [first] = archives as [Buffer];
    expect(gunzipSync(first).equals(text)).toBe(true);
    expect(archives.every((archive) => archive.equals(first))).toBe(true);
  });

  it('takes only some members ahead of a sink that takes none', async () => {
    const never = new Promise<void>(() => undefined);
    const sink = gzipped({ ...IDLE_SINK, write: () => never });
    const piece = noise(MEGABYTE);
    let taken = 0;
    void (async () => {
      for (; taken < 100; taken++) await sink.write(piece);
    })();
    // Whatever is taken without waiting for the sink is taken by then.
    await new Promise((resolve) => setImmediate(resolve));
    expect(taken).toBeGreaterThan(0);
    expect(taken).toBeLessThanOrEqual(5);
    await sink.abort();
  });

  it('is a valid empty archive when nothing was written', async () => {
    const directory = await temporaryDirectory();
    const sink = await fileSink(directory);
    await sink.seal();
    await sink.publish('');
    expect(gunzipSync(await readFile(join(directory, 'out.gz')))).toEqual(Buffer.alloc(0));
  });

  it('passes megabytes that do not compress through a slow stream', async () => {
    const { stream, received } = slowStream();
    const sink = gzipped(await prepareStream(aContext({ stream })).open());
    const bytes = noise(3 * 1024 * 1024);
    await writeReusing(sink, [bytes, bytes]);
    const { size } = await sink.seal();
    expect(received()).toHaveLength(size);
    expect(gunzipSync(received()).equals(Buffer.concat([bytes, bytes]))).toBe(true);
  });

  it('leaves nothing behind when aborted, before and after sealing', async () => {
    const directory = await temporaryDirectory();
    for (const seals of [false, true]) {
      const sink = await fileSink(directory);
      await sink.write(WHOLE);
      if (seals) await sink.seal();
      await sink.abort();
      expect(await filesIn(directory)).toEqual([]);
    }
  });

  it('can be aborted while a write is under way', async () => {
    const directory = await temporaryDirectory();
    const sink = await fileSink(directory);
    const writing = sink.write(noise(8 * 1024 * 1024)).catch(() => undefined);
    await sink.abort();
    await writing;
    expect(await filesIn(directory)).toEqual([]);
  });

  it('can be aborted although its reader stopped, as Ctrl-C needs it', async () => {
    const sink = gzipped(await prepareStream(aContext({ stream: stoppedStream() })).open());
    const piece = noise(1024 * 1024);
    // The compressor holds some; a write that waits for the reader is what the run gives up on.
    void sink.write(piece).catch(() => undefined);
    void sink.write(piece).catch(() => undefined);
    await new Promise((resolve) => setTimeout(resolve, 50));
    await sink.abort();
  }, 5_000);
});

describe('a failure below the compressor', () => {
  it.skipIf(!existsSync('/dev/full'))('is told in its own words by a write or by the sealing', async () => {
    const full = { code: 'E_OUTPUT', message: expect.stringContaining('no space left') as string };
    for (const [count, size] of [
      [1, 10],
      [100, 1024 * 1024],
    ] as const) {
      const sink = gzipped(await prepareStream(aContext({ stream: createWriteStream('/dev/full') })).open());
      await expect(
        (async () => {
          const piece = noise(size);
          for (let index = 0; index < count; index++) await sink.write(piece);
          await sink.seal();
        })(),
      ).rejects.toMatchObject(full);
      await sink.abort();
    }
  });

  it('is told as a closed consumer when the reader goes away', async () => {
    const stream = new PassThrough();
    const sink = gzipped(await prepareStream(aContext({ stream })).open());
    stream.once('data', () => stream.destroy());
    const piece = noise(1024 * 1024);
    await expect(
      (async () => {
        for (let index = 0; index < 100; index++) await sink.write(piece);
        await sink.seal();
      })(),
    ).rejects.toMatchObject({ code: 'E_CONSUMER_CLOSED' });
    await sink.abort();
  });
});
