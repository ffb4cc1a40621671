import { spawn } from 'node:child_process';
import { createWriteStream, existsSync } from 'node:fs';
import { createServer, get } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PassThrough, Writable } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';

import type { Sink } from '../../src/sinks/sink.js';
import { prepareStream } from '../../src/sinks/stream.js';
import { aContext, sha256, slowStream, writeReusing } from '../support/sinks.js';

function open(stream: Writable): Promise<Sink> {
  return prepareStream(aContext({ stream })).open();
}

const PIECE = Buffer.alloc(64 * 1024, 'line\n');

/** Writes until it fails; a stream that takes hundreds of megabytes never will. */
async function writeUntilFailure(sink: Sink): Promise<unknown> {
  for (let count = 0; count < 10_000; count++) {
    try {
      await sink.write(PIECE);
    } catch (error) {
      return error;
    }
  }
  return undefined;
}

describe('a stream', () => {
  it('receives every byte in order, however slow it is, and lets the caller reuse the memory', async () => {
    const { stream, received } = slowStream();
    const pieces = Array.from({ length: 50 }, (_, index) => Buffer.from(`piece ${index}\n`.repeat(index)));
    const sink = await open(stream);
    await writeReusing(sink, pieces);
    const whole = Buffer.concat(pieces);
    expect(await sink.seal()).toEqual({ size: whole.length, sha256: sha256(whole) });
    expect(received()).toEqual(whole);
  });

  it('holds a writer back until the reader takes the bytes', async () => {
    const waiting: (() => void)[] = [];
    const stream = new Writable({ write: (_piece, _encoding, done) => void waiting.push(done) });
    const sink = await open(stream);
    let isDone = false;
    const write = sink.write(PIECE).then(() => (isDone = true));
    await nextTurn();
    expect(isDone).toBe(false);
    waiting[0]?.();
    await write;
    expect(isDone).toBe(true);
  });

  it('is published as it is: no URL, nothing to take back, neither ended nor destroyed', async () => {
    const stream = new PassThrough();
    const before = [stream.listenerCount('error'), stream.listenerCount('close')];
    const sink = await open(stream);
    await sink.write(Buffer.from('x'));
    await sink.seal();
    expect(await sink.publish('name.jsonl')).toEqual({ location: 'standard output', url: null });
    expect(await sink.retract()).toBe(false);
    await sink.abort();
    expect([stream.writableEnded, stream.destroyed]).toEqual([false, false]);
    expect(stream.read()).toEqual(Buffer.from('x'));
    expect([stream.listenerCount('error'), stream.listenerCount('close')]).toEqual(before);
  });

  it('is neither ended nor destroyed by an abort', async () => {
    const stream = new PassThrough();
    const sink = await open(stream);
    await sink.abort();
    expect([stream.writableEnded, stream.destroyed]).toEqual([false, false]);
  });

  it('cannot be tried again, and leaves nothing for recovery', () => {
    const { record, restartable } = prepareStream(aContext({ stream: new PassThrough() }));
    expect(record).toEqual({ kind: 'stream' });
    expect(restartable).toBe(false);
  });

  it('must be handed in', () => {
    expect(() => prepareStream(aContext())).toThrow(expect.objectContaining({ code: 'E_USAGE' }));
  });
});

describe('a reader that goes away', () => {
  const closed = { code: 'E_CONSUMER_CLOSED', exitStatus: 141 };

  it('is told as a closed consumer when it is a process', async () => {
    const child = spawn('true', { stdio: ['pipe', 'ignore', 'ignore'] });
    const sink = await open(child.stdin);
    expect(await writeUntilFailure(sink)).toMatchObject(closed);
    await sink.abort();
  });

  it('is told so when it leaves while a write waits for it', async () => {
    const child = spawn('sleep', ['60'], { stdio: ['pipe', 'ignore', 'ignore'] });
    const sink = await open(child.stdin);
    const failure = writeUntilFailure(sink);
    await nextTurn();
    child.kill('SIGKILL');
    expect(await failure).toMatchObject(closed);
  });

  it('is told so when it is the client of an HTTP response', async () => {
    const failure = new Promise((resolve, reject) => {
      const server = createServer((_request, response) => {
        open(response)
          .then(writeUntilFailure)
          .then(resolve, reject)
          .finally(() => server.close());
      });
      server.listen(0, '127.0.0.1', () => {
        const request = get(
          { port: (server.address() as AddressInfo).port, host: '127.0.0.1' },
          (response) => {
            response.once('data', () => request.destroy());
          },
        );
        request.on('error', () => undefined);
      });
    });
    expect(await failure).toMatchObject(closed);
  });

  it.each<[string, (stream: Writable) => unknown]>([
    ['destroyed', (stream) => stream.destroy()],
    ['ended', (stream) => stream.end()],
    ['broken between two writes', (stream) => stream.destroy(Object.assign(new Error(), { code: 'EPIPE' }))],
  ])('is told so when the stream was %s', async (_what, close) => {
    const stream = new PassThrough();
    stream.resume();
    const sink = await open(stream);
    await sink.write(Buffer.from('x'));
    close(stream);
    await nextTurn();
    await expect(sink.write(Buffer.from('y'))).rejects.toMatchObject(closed);
    await expect(sink.write(Buffer.from('z'))).rejects.toMatchObject(closed);
    await sink.abort();
  });

  it('is told so when the stream was destroyed before the first write', async () => {
    const stream = new PassThrough();
    stream.destroy();
    await expect((await open(stream)).write(PIECE)).rejects.toMatchObject(closed);
  });

  it('may still report its failure after an abort', async () => {
    const stream = new PassThrough();
    const sink = await open(stream);
    await sink.abort();
    const closing = new Promise((resolve) => stream.once('close', resolve));
    stream.destroy(Object.assign(new Error('late'), { code: 'EPIPE' }));
    await closing;
  });
});

describe('a stream that fails', () => {
  it.skipIf(!existsSync('/dev/full'))('on a full device is a failure of the output', async () => {
    const sink = await open(createWriteStream('/dev/full'));
    await expect(sink.write(PIECE)).rejects.toMatchObject({
      code: 'E_OUTPUT',
      message: 'Cannot write standard output: there is no space left on the device.',
    });
    await sink.abort();
  });

  it('for a reason that nobody knows says which', async () => {
    const stream = new Writable({
      write: (_piece, _encoding, done) => done(Object.assign(new Error('odd'), { code: 'EODD' })),
    });
    await expect((await open(stream)).write(PIECE)).rejects.toMatchObject({
      code: 'E_OUTPUT',
      message: 'Cannot write standard output: the system reported EODD.',
    });
  });
});
