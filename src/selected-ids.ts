import { findMissingIds } from './db/conversations.js';
import type { Snapshot } from './db/snapshot.js';
import type { Source } from './db/source.js';
import { LoraExportError } from './errors.js';
import type { ExportRequest } from './request.js';

/** How many missing ids a message lists. */
const LISTED = 10;

/**
 * Compares the ids asked for with those that exist, in the snapshot of the export.
 * @throws LoraExportError `E_DATA` when some match nothing, unless the request says to ignore that
 */
export async function requireIds(
  snapshot: Snapshot,
  source: Source,
  request: ExportRequest,
  onNotice: (text: string) => void,
): Promise<void> {
  if (request.ids === undefined) return;
  const unique = new Set(request.ids);
  if (unique.size < request.ids.length)
    onNotice(`${request.ids.length - unique.size} ids were given more than once.`);
  const missing = await findMissingIds(snapshot, source, [...unique]);
  if (missing.length === 0) return;
  const listed = missing.slice(0, LISTED).join(', ');
  const more = missing.length > LISTED ? ` and ${missing.length - LISTED} more` : '';
  const message = `${missing.length} of ${unique.size} ids match no conversation that this role can see: ${listed}${more}.`;
  if (!request.ignoreMissing) {
    throw new LoraExportError('E_DATA', message, {
      hint: 'Either key works, conversations.id or conversations.conversation_id. Pass --ignore-missing to export the others.',
    });
  }
  onNotice(message);
}
