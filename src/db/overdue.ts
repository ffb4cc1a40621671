import { LoraExportError } from '../errors.js';
import { isVisible, logsTable, type Access } from './access.js';
import type { RecordedRun } from './recorded-runs.js';

/**
 * Marks an export expired whose time is over by the server's clock, and exactly that one; any other is returned as it
 * is. Its file stays for cleanup to remove.
 *
 * @returns the export as it stands now, also where the database takes no changes from this role: there cleanup marks it
 */
export async function expireOverdue(access: Access, run: RecordedRun): Promise<RecordedRun> {
  if (run.status !== 'completed' || !run.isOverdue) return run;
  const { sql, ask } = access.connection;
  try {
    await ask(
      () => sql`
        update ${logsTable(access)} l set status = 'expired', updated_at = now()
        where ${isVisible(access)} and l.export_id = ${run.exportId}
          and l.status = 'completed' and l.expires_at <= now()`,
    );
  } catch (error) {
    if (!(error instanceof LoraExportError && error.code === 'E_DB_ACCESS')) throw error;
  }
  return { ...run, status: 'expired' };
}
