import { readConversations, type ReadOptions } from '../db/conversations.js';
import type { Selection } from '../db/selection.js';
import type { Snapshot } from '../db/snapshot.js';
import type { Source } from '../db/source.js';
import type { DocumentWriter } from '../recipe.js';
import type { ExportRequest } from '../request.js';

/**
 * Reads the rejected side of preference pairs, in the snapshot of the export, where the target wants pairs. The filters
 * of the request choose the approved side: a rejected answer of the same family counts whatever its score or date.
 */
export async function readCounterparts(
  snapshot: Snapshot,
  source: Source,
  { sort }: ExportRequest,
  options: ReadOptions,
  { counterparts }: DocumentWriter,
): Promise<void> {
  if (counterparts === null) return;
  const rejected: Selection = { scope: 'filtered', filters: { status: ['rejected'] }, sort };
  for await (const batch of readConversations(snapshot, source, rejected, options)) {
    for (const conversation of batch) counterparts(conversation);
  }
}
