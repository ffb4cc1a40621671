import type postgres from 'postgres';
import { requireAuditTables } from './audit-problems.js';
import { actingAs } from './acting.js';
import { connect, type Connection, type ConnectOptions } from './connect.js';
import { identifier } from './identifier.js';
import { identify, type Identity, type IdentityOptions } from './identity.js';
import type { DatabaseTarget } from './target.js';

/** The audit tables, as far as somebody may see them. */
export interface Access {
  /** Acts as the user where the database knows users. */
  readonly connection: Connection;
  /** Acts as the login itself; for what is about nobody's rows. */
  readonly login: Connection;
  readonly auditSchema: string;
  readonly identity: Identity;
}

export interface AccessOptions extends ConnectOptions, IdentityOptions {
  readonly auditSchema: string;
}

/**
 * Connects to the audit tables, checks their shape, and settles whose rows may be touched. Close `login` when done.
 * @throws LoraExportError as `connect`, `requireAuditTables` and `identify` do
 */
export async function openAccess(target: DatabaseTarget, options: AccessOptions): Promise<Access> {
  const login = await connect(target, options);
  try {
    await requireAuditTables(login, options.auditSchema);
    const identity = await identify(login, options);
    return {
      connection: actingAs(login, identity.actor),
      login,
      auditSchema: options.auditSchema,
      identity,
    };
  } catch (error) {
    await login.close();
    throw error;
  }
}

/**
 * Condition on a row `l` of `export_logs`: it may be seen and touched. Stated although policies may say the same: they
 * do not bind every role.
 */
export function isVisible({ connection: { sql }, identity: { owner } }: Access): postgres.Fragment {
  return owner === null ? sql`true` : sql`l.user_id = ${owner}::uuid`;
}

/** `"schema".export_logs`, quoted. */
export function logsTable({ connection: { sql }, auditSchema }: Access): postgres.Fragment {
  return sql`${identifier(sql, auditSchema)}.export_logs`;
}

/** `"schema".export_runs`, quoted. */
export function runsTable({ connection: { sql }, auditSchema }: Access): postgres.Fragment {
  return sql`${identifier(sql, auditSchema)}.export_runs`;
}
