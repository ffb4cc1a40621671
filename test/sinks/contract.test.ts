import { readFile, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { Writable } from 'node:stream';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';

import type { OutputRequest } from '../../src/request.js';
import { MANAGED_MARKER } from '../../src/sinks/file.js';
import { gzipped } from '../../src/sinks/gzip.js';
import { prepareDestination } from '../../src/sinks/index.js';
import { findPublished, removePartial } from '../../src/sinks/remains.js';
import type { DestinationContext, Sink } from '../../src/sinks/sink.js';
import { aContext, filesIn, sha256, writeReusing } from '../support/sinks.js';
import { temporaryDirectory } from '../support/temporary-directory.js';

const NAME = 'training-data-all-2025-10-29-2.jsonl';
const PIECES = ['{"messages":[1]}\n', '', '{"messages":[2]}\n', 'x'.repeat(300_000)].map((text) =>
  Buffer.from(text),
);
const WHOLE = Buffer.concat(PIECES);

type Kind = OutputRequest['kind'];

const OUTPUTS: Record<Kind, (directory: string) => OutputRequest> = {
  stream: () => ({ kind: 'stream' }),
  file: (directory) => ({ kind: 'file', path: join(directory, 'named.jsonl') }),
  directory: (directory) => ({ kind: 'directory', path: directory }),
  managed: (directory) => ({ kind: 'managed', directory }),
};

async function openSink(
  kind: Kind,
  gzip: boolean,
  directory: string,
  context: Partial<DestinationContext> = {},
) {
  const pieces: Buffer[] = [];
  const stream = new Writable({
    write(piece: Buffer, _encoding, done) {
      pieces.push(Buffer.from(piece));
      done();
    },
  });
  const whole = aContext({ stream, ...context });
  const destination = await prepareDestination(OUTPUTS[kind](directory), whole);
  const opened = await destination.open();
  const sink: Sink = gzip ? gzipped(opened) : opened;
  return { sink, destination, context: whole, streamed: () => Buffer.concat(pieces) };
}

/** What anybody can see: neither the temporary file nor the mark of a managed directory. */
async function visibleIn(directory: string): Promise<string[]> {
  return (await filesIn(directory)).filter(
    (path) =>
      path.endsWith('.jsonl') || !(path.endsWith('.partial') || path === MANAGED_MARKER || isExportId(path)),
  );
}

function isExportId(path: string): boolean {
  return /^[0-9a-f-]{36}$/.test(path);
}

describe.each<[Kind, boolean]>([
  ['stream', false],
  ['stream', true],
  ['file', false],
  ['file', true],
  ['directory', false],
  ['directory', true],
  ['managed', false],
  ['managed', true],
])('the %s sink (compressed: %s)', (kind, gzip) => {
  it('shows everything once published, with the size and checksum that it announced', async () => {
    const directory = await temporaryDirectory();
    const { sink, streamed } = await openSink(kind, gzip, directory);
    await writeReusing(sink, PIECES);
    const { size, sha256: hash } = await sink.seal();
    if (kind !== 'stream') expect(await visibleIn(directory)).toEqual([]);
    const { location } = await sink.publish(NAME);
    const stored = kind === 'stream' ? streamed() : await readFile(location);
    expect([stored.length, sha256(stored)]).toEqual([size, hash]);
    expect(sha256(gzip ? gunzipSync(stored) : stored)).toBe(sha256(WHOLE));
    await sink.abort();
    if (kind !== 'stream') expect(sha256(await readFile(location))).toBe(hash);
  });

  it('shows nothing when aborted at any point, and can be aborted twice', async () => {
    for (const point of ['opened', 'written', 'sealed']) {
      const directory = await temporaryDirectory();
      const { sink } = await openSink(kind, gzip, directory);
      if (point !== 'opened') await writeReusing(sink, PIECES);
      if (point === 'sealed') await sink.seal();
      await sink.abort();
      await sink.abort();
      expect((await filesIn(directory)).filter((path) => path !== MANAGED_MARKER)).toEqual([]);
    }
  });

  it('publishes an export of nothing', async () => {
    const directory = await temporaryDirectory();
    const { sink, streamed } = await openSink(kind, gzip, directory);
    const { size } = await sink.seal();
    const { location } = await sink.publish(NAME);
    const stored = kind === 'stream' ? streamed() : await readFile(location);
    expect(stored).toHaveLength(size);
    expect(gzip ? gunzipSync(stored) : stored).toHaveLength(0);
  });

  it('says whether what it published could be taken back', async () => {
    const directory = await temporaryDirectory();
    const { sink } = await openSink(kind, gzip, directory);
    await writeReusing(sink, PIECES);
    await sink.seal();
    await sink.publish(NAME);
    expect(await sink.retract()).toBe(kind !== 'stream');
    expect(await visibleIn(directory)).toEqual([]);
  });

  it.skipIf(kind === 'stream')('never replaces a file that appears before it publishes', async () => {
    const directory = await temporaryDirectory();
    const { sink, destination } = await openSink(kind, gzip, directory);
    await writeReusing(sink, PIECES);
    await sink.seal();
    const victim = join(destination.record.directory ?? '', destination.record.name ?? NAME);
    await writeFile(victim, 'victim');
    const published = await sink.publish(NAME).catch((error: unknown) => error);
    if (kind === 'file') expect(published).toMatchObject({ code: 'E_OUTPUT_EXISTS' });
    else expect(published).toMatchObject({ location: victim.replace('.jsonl', '-2.jsonl') });
    await sink.abort();
    expect(await readFile(victim, 'utf8')).toBe('victim');
  });

  it.skipIf(kind === 'stream')(
    'leaves remains that recovery finds: a partial to remove, a file to complete',
    async () => {
      const directory = await temporaryDirectory();
      const { sink, destination, context } = await openSink(kind, gzip, directory);
      await writeReusing(sink, PIECES);
      const sealed = await sink.seal();
      const record = { ...destination.record, name: destination.record.name ?? NAME };
      expect(await findPublished(record, context.exportId, sealed)).toBeNull();
      const { url, location } = await sink.publish(NAME);
      expect(await findPublished(record, context.exportId, sealed)).toBe(url);
      expect(
        await findPublished(record, context.exportId, { ...sealed, sha256: sha256(Buffer.from('other')) }),
      ).toBe(null);
      await removePartial(destination.record, context.exportId);
      expect(await filesIn(dirname(location))).toContain(basename(location));

      const dead = await openSink(kind, gzip, await temporaryDirectory());
      await dead.sink.write(WHOLE);
      const { directory: left = '' } = dead.destination.record;
      expect(await filesIn(left)).toHaveLength(1);
      await removePartial(dead.destination.record, dead.context.exportId);
      expect(await filesIn(left).catch(() => [])).toEqual([]);
      await dead.sink.abort();
    },
  );
});
