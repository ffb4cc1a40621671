import type { Writable } from 'node:stream';
import { LoraExportError } from '../errors.js';
import { Digest } from './digest.js';
import { outputError } from './output-errors.js';
import type { Destination, DestinationContext, Sink } from './sink.js';

/**
 * A stream of the caller's: standard output, an HTTP response. It is never ended or destroyed here, since it is not ours.
 * @throws LoraExportError `E_USAGE` when no stream was handed in
 */
export function prepareStream(context: DestinationContext): Destination {
  const { stream } = context;
  if (stream === undefined) {
    throw new LoraExportError('E_USAGE', 'The output is a stream, but none was given.', {
      hint: 'Pass `stream` in the context, or name a file.',
    });
  }
  return { record: { kind: 'stream' }, restartable: false, open: () => Promise.resolve(openStream(stream)) };
}

function openStream(stream: Writable): Sink {
  const digest = new Digest();
  let failure: unknown;
  // Without a listener an EPIPE that arrives between two writes would end the process from outside every promise.
  const onError = (error: unknown): void => void (failure ??= error);
  stream.on('error', onError);
  const write = (bytes: Uint8Array): Promise<void> =>
    new Promise((resolve, reject) => {
      const fail = (error: unknown): void => reject(outputError(error, 'standard output'));
      const onClose = (): void => fail(failure ?? Object.assign(new Error('closed'), { code: 'EPIPE' }));
      if (failure !== undefined || stream.destroyed) {
        onClose();
        return;
      }
      // An HTTP response whose client left forgets the callbacks of what it still holds.
      stream.once('close', onClose);
      stream.write(bytes, (error) => {
        stream.off('close', onClose);
        if (error) fail(error);
        else resolve();
      });
    });
  return {
    async write(bytes) {
      await write(bytes);
      digest.update(bytes);
    },
    seal: () => Promise.resolve(digest.seal()),
    publish() {
      stream.off('error', onError);
      return Promise.resolve({ location: 'standard output', url: null });
    },
    retract: () => Promise.resolve(false),
    // The listener stays: the stream may still report the failure that brought us here.
    abort: () => Promise.resolve(),
  };
}
