import { readAuditRights } from '../db/diagnosis/audit-rights.js';
import { readOnly } from '../db/diagnosis/read-only.js';
import { sqlName } from '../db/diagnosis/sql-name.js';
import type { DoctorContext, OpenPatient } from './context.js';
import { failed, ok, type Finding } from './finding.js';

/** Whether the audit log could be written: without that nothing is exported. Nothing is written to find out. */
export async function checkAuditAccess(
  { reader, role, limitMs }: OpenPatient,
  { auditSchema }: DoctorContext,
): Promise<Finding> {
  const rights = await readOnly(reader, limitMs, (snapshot) =>
    readAuditRights(snapshot.connection, auditSchema),
  );
  if (rights.isReplica) {
    return failed(
      'E_AUDIT',
      'This server is a replica; the audit log needs one that accepts writes.',
      'Connect to the primary.',
    );
  }
  if (rights.isReadOnly) {
    return failed(
      'E_AUDIT',
      'default_transaction_read_only is on for this session; the audit log has to be written.',
      'Turn it off for this role.',
      [`alter role ${sqlName(role)} set default_transaction_read_only = off;`],
    );
  }
  const place = sqlName(auditSchema);
  const lacking = [...(rights.mayUseSchema ? [] : [`usage on schema ${auditSchema}`]), ...rights.missing];
  if (lacking.length === 0) return ok(`${role} may read, add and change rows`);
  return failed(
    'E_AUDIT',
    `Role ${role} lacks ${lacking.join(', ')}.`,
    'Grant it what is missing; deleting is not needed.',
    [
      ...(rights.mayUseSchema ? [] : [`grant usage on schema ${place} to ${sqlName(role)};`]),
      `grant select, insert, update on ${place}.export_logs, ${place}.export_runs to ${sqlName(role)};`,
    ],
  );
}
