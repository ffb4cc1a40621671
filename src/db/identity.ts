import { createHash } from 'node:crypto';
import { LoraExportError } from '../errors.js';
import type { Connection } from './connect.js';

/** Whom an export is attributed to, and how that came about. */
export interface Identity {
  readonly userId: string;
  /** `given` by the user, or derived from the database `role`. */
  readonly origin: 'given' | 'role';
  readonly role: string;
}

const UUID_NAMESPACE = Buffer.from('6f3c0b1e5d1a4c0f9a51b8f0a2b7c9d4', 'hex');

/**
 * Settles who exports. Where the database keeps users (`auth.users`), one of them must be named. Elsewhere a user id is
 * any UUID, and without one the login role stands in for it: always the same UUID for the same role name.
 *
 * @throws LoraExportError `E_USAGE` when a user must be named, `E_DB_ACCESS` when the one named does not exist
 */
export async function identify(connection: Connection, userId: string | undefined): Promise<Identity> {
  const { sql, ask } = connection;
  const [facts] = await ask(
    () => sql<{ role: string; hasUsers: boolean; mayRead: boolean }[]>`
      select current_user as role,
        users.oid is not null as "hasUsers",
        coalesce(has_schema_privilege(users.relnamespace, 'usage') and has_table_privilege(users.oid, 'select'), false) as "mayRead"
      from (select) one
      left join (
        select c.oid, c.relnamespace from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where n.nspname = 'auth' and c.relname = 'users'
      ) users on true`,
  );
  const { role, hasUsers, mayRead } = facts as { role: string; hasUsers: boolean; mayRead: boolean };
  if (userId === undefined) {
    if (!hasUsers) return { userId: uuidOfRole(role), origin: 'role', role };
    throw new LoraExportError(
      'E_USAGE',
      'This database has users (auth.users): the audit log needs to know which one exports.',
      {
        hint: 'Pass --user UUID, or set LORA_EXPORT_USER_ID.',
      },
    );
  }
  if (mayRead) {
    const known = await ask(() => sql`select from auth.users where id = ${userId}`);
    if (known.length === 0) {
      throw new LoraExportError('E_DB_ACCESS', `User ${userId} does not exist in auth.users.`, {
        hint: 'Pass the id of an existing user with --user.',
      });
    }
  }
  return { userId, origin: 'given', role };
}

/** UUID version 5 (RFC 9562, section 5.5) of the role's name in a namespace of our own. */
function uuidOfRole(role: string): string {
  const hash = createHash('sha1').update(UUID_NAMESPACE).update(role).digest().subarray(0, 16);
  hash[6] = ((hash[6] as number) & 0x0f) | 0x50;
  hash[8] = ((hash[8] as number) & 0x3f) | 0x80;
  return hash.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
