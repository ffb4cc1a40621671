import { LoraExportError } from '../errors.js';
import type { DoctorContext } from './context.js';
import { failedBy, ok, type Finding } from './finding.js';

/** Which database, and who said so. */
export function checkSettings(context: DoctorContext): Finding {
  const { database, isEmbedded, origin, schema, auditSchema, userId, userOrigin } = context;
  if (database instanceof LoraExportError && !isEmbedded) return failedBy(database);
  const where = isEmbedded
    ? 'no database is named, so the embedded one is used'
    : `${database instanceof LoraExportError ? '' : database.label} from ${origin}`;
  const user = userId === undefined ? 'no user' : `user ${userId} from ${userOrigin ?? 'the caller'}`;
  return ok(`${where}; source tables in schema ${schema}, audit log in schema ${auditSchema}; ${user}`);
}
