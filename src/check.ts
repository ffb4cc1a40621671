import { tmpdir } from 'node:os';
import { countConversations, readConversations } from './db/conversations.js';
import { writeDocument } from './document.js';
import type { ExportContext } from './export.js';
import { Tally, type Counts } from './judging/tally.js';
import type { TokenStatistics } from './judging/tokens.js';
import { lookAtSource } from './look.js';
import { readCounterparts } from './preferences/read-counterparts.js';
import { recipeOf } from './recipe.js';
import { parseRequest, type ExportRequestInput } from './request.js';
import type { Problem } from './targets/target.js';

/** What an export would make of the conversations. */
export interface CheckResult {
  readonly counts: Counts;
  /** What the encoder would do to the data on the way, by plain-words reason: how often. */
  readonly notes: Readonly<Record<string, number>>;
  /** Token counts, when they were asked for. */
  readonly tokens: TokenStatistics | null;
  /** Rules about the file as a whole that it would break. */
  readonly brokenLimits: readonly Problem[];
  /** Bytes of the file, before compression. */
  readonly size: number;
}

/**
 * Does all of an export but keep its bytes: reads, judges, encodes and validates every conversation. Nothing is written,
 * neither a file nor an audit row.
 * @throws LoraExportError as `exportConversations` would, but for what its limits on flaws refuse
 */
export async function checkExport(input: ExportRequestInput, context: ExportContext): Promise<CheckResult> {
  const request = parseRequest(input);
  const recipe = await recipeOf(request);
  return lookAtSource(request, context, { purpose: 'check' }, async ({ snapshot, source }) => {
    const tally = new Tally(await countConversations(snapshot, source, request));
    const { fields } = recipe;
    const { batchSize } = request;
    const writer = recipe.begin(snapshot.takenAt);
    const validator = recipe.validator();
    let size = 0;
    await readCounterparts(snapshot, source, request, { fields, batchSize }, writer);
    await writeDocument({
      batches: readConversations(snapshot, source, request, { fields, batchSize }),
      writer,
      spoolDirectory: recipe.needsCount ? tmpdir() : null,
      tally,
      sink: { write: (bytes) => Promise.resolve(void (size += bytes.length)) },
      verify: validator === null ? undefined : (bytes) => validator.write(bytes),
      signal: context.signal ?? new AbortController().signal,
      onReport: context.onReport,
      onBatch: (bytes) =>
        context.onEvent?.({ kind: 'progress', read: tally.read, total: tally.matched, bytes }),
    });
    return {
      counts: tally.close(),
      notes: writer.notes(),
      tokens: writer.tokens?.statistics() ?? null,
      brokenLimits: validator?.end()?.limits ?? [],
      size,
    };
  });
}
