import { tmpdir } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';

import type { Conversation } from '../src/conversation.js';
import { writeDocument, type DocumentParts } from '../src/document.js';
import { formatNames } from '../src/formats/index.js';
import { Tally } from '../src/judging/tally.js';
import { recipeOf } from '../src/recipe.js';
import { parseRequest, type ExportRequestInput } from '../src/request.js';
import type { Sink } from '../src/sinks/sink.js';
import { targets } from '../src/targets/all.js';
import { targetNames } from '../src/targets/index.js';
import { aConversation } from './support/conversations.js';

const requests: [string, ExportRequestInput][] = [
  ...formatNames.map((format): [string, ExportRequestInput] => [format, { format }]),
  ...targetNames
    .filter((target) => Object.keys(targets[target].shapes).length > 0)
    .map((target): [string, ExportRequestInput] => [`target ${target}`, { target }]),
];

/** A sink of which only writing matters. */
function sinkOf(write: (bytes: Uint8Array) => Promise<void>): Sink {
  const unused = (): never => {
    throw new Error('the document does not seal or publish');
  };
  return { write, seal: unused, publish: unused, retract: unused, abort: unused };
}

/** Conversations of about 300 KB each, so that four of them make a flush. */
const large = (): Conversation =>
  aConversation({ turns: ['user: hi', `assistant: ${'word '.repeat(60_000)}`] });

async function partsOf(
  request: ExportRequestInput,
  count: number,
): Promise<Omit<DocumentParts, 'batches' | 'sink'>> {
  const recipe = await recipeOf(parseRequest(request));
  return {
    writer: recipe.begin('2025-10-29T10:00:00.000Z'),
    spoolDirectory: recipe.needsCount ? tmpdir() : null,
    tally: new Tally(count),
    signal: new AbortController().signal,
    onBatch: () => undefined,
  };
}

describe.each(requests)('a document as %s', (_name, request) => {
  it('lets the source run a flush ahead of a slow consumer, and no further', async () => {
    const parts = await partsOf(request, 12);
    let produced = 0;
    let ahead = 0;
    async function* batches(): AsyncGenerator<Conversation[]> {
      for (; produced < 12; produced++) yield [large()];
    }
    const sink = sinkOf(async () => {
      const before = produced;
      await sleep(5);
      ahead = Math.max(ahead, produced - before);
    });
    await writeDocument({ ...parts, batches: batches(), sink });
    expect(parts.tally.written).toBe(12);
    expect(ahead).toBeLessThanOrEqual(4);
  });

  it('ends with the failure of its source', async () => {
    const parts = await partsOf(request, 3);
    async function* batches(): AsyncGenerator<Conversation[]> {
      yield [large()];
      await sleep(1);
      throw new Error('the source broke');
    }
    const written = writeDocument({ ...parts, batches: batches(), sink: sinkOf(() => Promise.resolve()) });
    await expect(written).rejects.toThrow('the source broke');
  });

  it('is not being written any more when it has failed', async () => {
    const parts = await partsOf(request, 8);
    let isWriting = false;
    async function* batches(): AsyncGenerator<Conversation[]> {
      for (let index = 0; index < 5; index++) yield [large()];
      throw new Error('the source broke');
    }
    const sink = sinkOf(async () => {
      isWriting = true;
      await sleep(20);
      isWriting = false;
    });
    await expect(writeDocument({ ...parts, batches: batches(), sink })).rejects.toThrow('the source broke');
    expect(isWriting).toBe(false);
  });

  it('ends with the failure of its sink, and asks for nothing more', async () => {
    const parts = await partsOf(request, 100);
    let produced = 0;
    let writes = 0;
    async function* batches(): AsyncGenerator<Conversation[]> {
      for (; produced < 100; produced++) yield [large()];
    }
    const sink = sinkOf(async () => {
      await sleep(1);
      if (++writes === 2) throw new Error('the disk is full');
    });
    // A document that needs its count first is whole before the sink hears of it.
    const most = parts.spoolDirectory === null ? 20 : 100;
    await expect(writeDocument({ ...parts, batches: batches(), sink })).rejects.toThrow('the disk is full');
    expect(writes).toBe(2);
    expect(produced).toBeLessThanOrEqual(most);
  });

  it('holds the same bytes whatever is still being written', async () => {
    const conversations = Array.from({ length: 9 }, (_, index) =>
      aConversation({ turns: ['user: hi', `assistant: ${`${index} word `.repeat(50_000)}`] }),
    );
    const bytesOf = async (pause: () => Promise<unknown>): Promise<Buffer> => {
      const parts = await partsOf(request, conversations.length);
      async function* batches(): AsyncGenerator<Conversation[]> {
        for (const conversation of conversations) yield [conversation];
      }
      const pieces: Buffer[] = [];
      const sink = sinkOf(async (bytes) => {
        await pause();
        pieces.push(Buffer.from(bytes));
      });
      await writeDocument({ ...parts, batches: batches(), sink });
      return Buffer.concat(pieces);
    };
    const slow = await bytesOf(() => sleep(3));
    expect(slow.equals(await bytesOf(() => Promise.resolve()))).toBe(true);
  });

  it('stops when it is told to, and closes its source', async () => {
    const controller = new AbortController();
    const parts = { ...(await partsOf(request, 1_000)), signal: controller.signal };
    let isClosed = false;
    async function* batches(): AsyncGenerator<Conversation[]> {
      try {
        for (let index = 0; index < 1_000; index++) {
          if (index === 3) controller.abort(new Error('stopped by the user'));
          yield [large()];
        }
      } finally {
        isClosed = true;
      }
    }
    const written = writeDocument({ ...parts, batches: batches(), sink: sinkOf(() => Promise.resolve()) });
    await expect(written).rejects.toThrow('stopped by the user');
    expect(isClosed).toBe(true);
    expect(parts.tally.read).toBeLessThan(10);
  });
});
