import { createGzip } from 'node:zlib';
import type { Sink } from './sink.js';

/** The same sink behind a gzip compressor (level 6, no time stamp: same data, same bytes), off the main thread. */
export function gzipped(sink: Sink): Sink {
  const gzip = createGzip({ chunkSize: 256 * 1024 });
  const drained = (async () => {
    for await (const chunk of gzip) await sink.write(chunk as Buffer);
  })();
  // A failure is told to whoever writes or seals next.
  drained.catch(() => undefined);
  // The compressor forgets the callback of a write that it had not finished when it was destroyed.
  const failed = new Promise<never>((_resolve, reject) => void drained.catch(reject));
  failed.catch(() => undefined);
  const compress = (bytes: Uint8Array): Promise<void> =>
    new Promise((resolve, reject) => {
      gzip.write(bytes, (error) => {
        if (error) reject(error);
        else resolve();
      });
    });
  return {
    async write(bytes) {
      // When the sink fails, the compressor is destroyed and would report that; the sink's own error says why.
      await Promise.race([compress(bytes), failed]).catch(async (error: unknown) => {
        await drained;
        throw error;
      });
    },
    async seal() {
      gzip.end();
      await drained;
      return sink.seal();
    },
    publish: (fileName) => sink.publish(fileName),
    retract: () => sink.retract(),
    async abort() {
      // Not waiting for `drained`: it may be held up by a reader that stopped, and the sink copes with a write under way.
      gzip.destroy();
      await sink.abort();
    },
  };
}
