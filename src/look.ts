import { requireAuditTables } from './db/audit-problems.js';
import { actingAs } from './db/acting.js';
import { connect } from './db/connect.js';
import { identify, requireUser } from './db/identity.js';
import { withSnapshot, type Snapshot } from './db/snapshot.js';
import { inspectSource, type Source } from './db/source.js';
import type { ExportContext } from './export.js';
import { refusePartial } from './judging/refusals.js';
import type { ExportRequest } from './request.js';
import { requireIds } from './selected-ids.js';

/** What an export would read, seen by the one who would export it. */
export interface Look {
  readonly snapshot: Snapshot;
  readonly source: Source;
}

export interface LookOptions {
  /** Shown in `pg_stat_activity` as `lora-export <purpose>`. */
  readonly purpose: string;
  /** An export would need the audit tables: refuse when they are missing. Default: false. */
  readonly needsLog?: boolean;
}

/**
 * Looks at the conversations of a request in one snapshot, with the rights of the user who asks, and without a trace in
 * the log: for counting, planning, previewing and checking.
 * @throws LoraExportError as `exportConversations` would before it reads content
 */
export async function lookAtSource<T>(
  request: ExportRequest,
  { database, signal, stallMs, onEvent }: ExportContext,
  { purpose, needsLog = false }: LookOptions,
  use: (look: Look) => Promise<T>,
): Promise<T> {
  const session = await connect(database, { purpose, singleSession: true, stallMs, signal });
  try {
    if (needsLog) await requireAuditTables(session, request.auditSchema);
    const identity = await identify(session, { userId: request.userId, allUsers: request.allUsers });
    requireUser(identity);
    return await withSnapshot(actingAs(session, identity.actor), async (snapshot) => {
      const source = await inspectSource(snapshot.connection, request.schema);
      refusePartial(source, identity, request);
      await requireIds(snapshot, source, request, (text) => onEvent?.({ kind: 'notice', text }));
      return use({ snapshot, source });
    });
  } finally {
    await session.close();
  }
}
