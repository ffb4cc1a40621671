import { abortable } from './abortable.js';
import { ByteWriter } from './bytes/byte-writer.js';
import type { Conversation } from './conversation.js';
import { LoraExportError } from './errors.js';
import type { DocumentWriter } from './recipe.js';
import type { Sink } from './sinks/sink.js';
import { openSpool } from './sinks/spool.js';
import type { ReportLine, Tally } from './judging/tally.js';

/** The encoder's bytes go to the sink whenever this many have gathered. */
const FLUSH_BYTES = 1024 * 1024;
/** Beyond this the encoder waits until they are written. */
const MOST_IN_FLIGHT = 4 * FLUSH_BYTES;

export interface DocumentParts {
  readonly batches: AsyncIterable<readonly Conversation[]>;
  readonly writer: DocumentWriter;
  /** Set for a format that needs the number of its conversations first: where the rest may wait meanwhile. */
  readonly spoolDirectory: string | null;
  readonly tally: Tally;
  readonly sink: Pick<Sink, 'write'>;
  readonly signal: AbortSignal;
  readonly onReport?: ((line: ReportLine) => void) | undefined;
  /** Sees the very bytes that are written, in order; it must not keep them. */
  readonly verify?: ((bytes: Uint8Array) => void) | undefined;
  /** After each batch: bytes encoded so far. */
  readonly onBatch: (bytes: number) => void;
}

/**
 * Batch by batch: check, encode, write. Memory holds a few batches and one flush, whatever the size of the export.
 * @returns what the encoder did to the data on the way, by plain-words reason: how often
 * @throws LoraExportError of the sink; the signal's reason when aborted
 */
export async function writeDocument(parts: DocumentParts): Promise<Readonly<Record<string, number>>> {
  const { writer, spoolDirectory, tally, sink, signal, verify } = parts;
  const write = async (bytes: Uint8Array): Promise<void> => {
    const written = sink.write(bytes);
    // The disk is busy meanwhile. A failure is told by what is awaited below.
    written.catch(() => undefined);
    verify?.(bytes);
    await abortable(written, signal).catch((error: unknown) => {
      throw closedEarly(error, tally);
    });
  };
  const output = createOutput(write);
  try {
    if (spoolDirectory === null) {
      writer.start(output.current(), null);
      await encodeBatches(parts, output);
    } else {
      const spool = await openSpool(spoolDirectory);
      const spooled = createOutput((bytes) => abortable(spool.write(bytes), signal));
      try {
        await encodeBatches(parts, spooled);
        await spooled.drain();
        writer.start(output.current(), tally.rows);
        await output.drain();
        for await (const chunk of spool.read()) await write(chunk);
      } finally {
        await spooled.settle();
        await spool.close();
      }
    }
    writer.finish(output.current());
    await output.drain();
  } finally {
    await output.settle();
  }
  return writer.notes();
}

/** Where encoders write, one buffer at a time. */
interface Output {
  /** The buffer to write into; after `flush` it is another one. */
  current(): ByteWriter;
  /** Hands over what has gathered. It resolves when there is room again, which may be before all of it is written. */
  flush(): Promise<void>;
  /** Resolves when everything is written. */
  drain(): Promise<void>;
  /** Resolves, also after a failure, when nothing is being written any more. */
  settle(): Promise<void>;
}

/** Two buffers in turn: while one is written, the encoder fills the other. */
function createOutput(write: (bytes: Uint8Array) => Promise<void>): Output {
  let filling = new ByteWriter(2 * FLUSH_BYTES);
  let other = new ByteWriter(2 * FLUSH_BYTES);
  let underway = Promise.resolve();
  const flush = async (): Promise<void> => {
    await underway;
    if (filling.length === 0) return;
    underway = write(filling.view());
    // It is awaited before the next one; until then it is nobody's.
    underway.catch(() => undefined);
    if (filling.length > MOST_IN_FLIGHT) {
      // Of a conversation of extraordinary size there is one copy, not two.
      await underway;
      filling.clear();
      return;
    }
    [filling, other] = [other, filling];
    filling.clear();
  };
  return {
    current: () => filling,
    flush,
    async drain() {
      await flush();
      await underway;
    },
    settle: () => underway.catch(() => undefined),
  };
}

async function encodeBatches(
  { batches, writer, tally, signal, onReport, onBatch }: DocumentParts,
  output: Output,
): Promise<void> {
  let bytes = 0;
  for await (const batch of batches) {
    for (const original of batch) {
      const judgement = writer.judge(original);
      tally.admit(original, judgement, onReport);
      const { conversation } = judgement;
      if (conversation === null) continue;
      writer.tokens?.add(conversation);
      const out = output.current();
      tally.rows += writer.rows(conversation, out);
      if (out.length < FLUSH_BYTES) continue;
      bytes += out.length;
      await output.flush();
    }
    signal.throwIfAborted();
    onBatch(bytes + output.current().length);
  }
}

/** The log should say how much the reader saw, at most. */
function closedEarly(error: unknown, { written, matched }: Tally): unknown {
  if (!(error instanceof LoraExportError) || error.code !== 'E_CONSUMER_CLOSED') return error;
  return new LoraExportError(
    'E_CONSUMER_CLOSED',
    `The reader closed the output after ${written} of ${matched} conversations.`,
    { cause: error },
  );
}
