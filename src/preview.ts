import { ByteWriter } from './bytes/byte-writer.js';
import { readConversations } from './db/conversations.js';
import type { ExportContext } from './export.js';
import { lookAtSource } from './look.js';
import { readCounterparts } from './preferences/read-counterparts.js';
import { recipeOf } from './recipe.js';
import { parseRequest, type ExportRequestInput } from './request.js';

/** The beginning of a file that an export would write. */
export interface Preview {
  /** Exactly the bytes of an export of these conversations. */
  readonly bytes: Buffer;
  readonly conversations: number;
  /** Conversations that were passed over on the way, because an export would skip them. */
  readonly skipped: number;
}

/**
 * The first conversations of an export through its own checks and encoders. Nothing is written, neither a file nor an
 * audit row; so only as much is read as is shown.
 * @param count how many conversations
 * @throws LoraExportError as `exportConversations` would
 */
export async function previewExport(
  input: ExportRequestInput,
  context: ExportContext,
  count: number,
): Promise<Preview> {
  const request = parseRequest(input);
  const recipe = await recipeOf(request);
  return lookAtSource(request, context, { purpose: 'preview' }, async ({ snapshot, source }) => {
    const options = { fields: recipe.fields, batchSize: Math.min(count, request.batchSize) };
    const writer = recipe.begin(snapshot.takenAt);
    await readCounterparts(snapshot, source, request, options, writer);
    const body = new ByteWriter();
    let conversations = 0;
    let skipped = 0;
    let rows = 0;
    for await (const batch of readConversations(snapshot, source, request, options)) {
      for (const original of batch) {
        if (conversations === count) break;
        const { conversation } = writer.judge(original);
        if (conversation === null) {
          skipped++;
        } else {
          rows += writer.rows(conversation, body);
          conversations++;
        }
      }
      if (conversations === count) break;
    }
    const out = new ByteWriter();
    writer.start(out, recipe.needsCount ? rows : null);
    out.bytes(body.view());
    writer.finish(out);
    return { bytes: out.view(), conversations, skipped };
  });
}
