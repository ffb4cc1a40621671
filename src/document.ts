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
  const { writer, spoolDirectory, tally, signal, verify } = parts;
  const sink: Pick<Sink, 'write'> = {
    write(bytes) {
      verify?.(bytes);
      return parts.sink.write(bytes);
    },
  };
  const out = new ByteWriter(2 * FLUSH_BYTES);
  const flushTo = (target: Pick<Sink, 'write'>) => async (): Promise<void> => {
    if (out.length === 0) return;
    await abortable(target.write(out.view()), signal).catch((error: unknown) => {
      throw closedEarly(error, tally);
    });
    out.clear();
  };
  const flush = flushTo(sink);

  if (spoolDirectory === null) {
    writer.start(out, null);
    await encodeBatches(parts, out, flush);
  } else {
    const spool = await openSpool(spoolDirectory);
    try {
      const spoolOut = flushTo(spool);
      await encodeBatches(parts, out, spoolOut);
      await spoolOut();
      writer.start(out, tally.rows);
      await flush();
      for await (const chunk of spool.read()) await abortable(sink.write(chunk), signal);
    } finally {
      await spool.close();
    }
  }
  writer.finish(out);
  await flush();
  return writer.notes();
}

async function encodeBatches(
  { batches, writer, tally, signal, onReport, onBatch }: DocumentParts,
  out: ByteWriter,
  flush: () => Promise<void>,
): Promise<void> {
  let bytes = 0;
  for await (const batch of batches) {
    for (const original of batch) {
      const judgement = writer.judge(original);
      tally.admit(original, judgement, onReport);
      const { conversation } = judgement;
      if (conversation === null) continue;
      writer.tokens?.add(conversation);
      tally.rows += writer.rows(conversation, out);
      if (out.length < FLUSH_BYTES) continue;
      bytes += out.length;
      await flush();
    }
    signal.throwIfAborted();
    onBatch(bytes + out.length);
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
