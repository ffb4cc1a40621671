import { createHash } from 'node:crypto';
import { LoraExportError } from '../errors.js';
import type { Actor } from './acting.js';
import type { Connection } from './connect.js';

/** Who asks, what the database lets him see, and how that came about. */
export interface Identity {
  /** Whom new rows name. Null only where nobody was named, for commands on everybody's rows. */
  readonly userId: string | null;
  /** `given` by the user, told by the `session` itself (`auth.uid()`), or derived from the database `role`. */
  readonly origin: 'given' | 'session' | 'role';
  /** The role of the login. */
  readonly role: string;
  /** Whose rights statements take; null: those of the login. */
  readonly actor: Actor | null;
  /** Whose exports may be seen and touched; null: everybody's (`--all-users`). */
  readonly owner: string | null;
  /** Policies do not bind the login, and nothing else keeps it from reading everybody's conversations. */
  readonly readsEverything: boolean;
}

export interface IdentityOptions {
  readonly userId: string | undefined;
  /** See and touch everybody's exports. Default: false. */
  readonly allUsers?: boolean | undefined;
}

/** The role that Supabase gives to users of the application. */
const USERS_ROLE = 'authenticated';

const UUID_NAMESPACE = Buffer.from('6f3c0b1e5d1a4c0f9a51b8f0a2b7c9d4', 'hex');

interface Facts {
  readonly role: string;
  readonly bypasses: boolean;
  readonly hasUsers: boolean;
  readonly mayReadUsers: boolean;
  readonly hasUid: boolean;
  readonly mayBecomeUser: boolean;
}

/**
 * Settles who asks. Where the database keeps users (`auth.users`), one of them must be named. Elsewhere a user id is
 * any UUID, and without one the login role stands in for it: always the same UUID for the same role name.
 *
 * @param connection the login's own, not yet acting for anybody
 * @throws LoraExportError `E_USAGE` when a user must be named; `E_DB_ACCESS` when the one named does not exist, or the
 * login may not see everybody's exports
 */
export async function identify(
  connection: Connection,
  { userId, allUsers = false }: IdentityOptions,
): Promise<Identity> {
  const facts = await readFacts(connection);
  const { role, bypasses, hasUid } = facts;
  const named = await nameUser(connection, facts, userId, allUsers);
  if (allUsers && hasUid && !bypasses) {
    throw new LoraExportError(
      'E_DB_ACCESS',
      `--all-users needs a role that row level security does not bind; ${role} is not one.`,
      { hint: 'Connect as the owner of the database or the service role, or leave --all-users out.' },
    );
  }
  const actor =
    allUsers || !hasUid || named.userId === null
      ? null
      : { userId: named.userId, role: facts.mayBecomeUser ? USERS_ROLE : null };
  return {
    ...named,
    role,
    actor,
    owner: allUsers ? null : named.userId,
    readsEverything: hasUid && bypasses && (actor === null || actor.role === null),
  };
}

/**
 * Refuses to read everybody's conversations by mistake, and a new row without a user.
 * @returns the user whom a new row names
 * @throws LoraExportError `E_USAGE` or `E_DB_ACCESS`
 */
export function requireUser({ userId, owner, role, readsEverything }: Identity): string {
  if (userId === null) throw userNeeded();
  if (readsEverything && owner !== null) {
    throw new LoraExportError(
      'E_DB_ACCESS',
      `Role ${role} is not bound by row level security and may not act as ${USERS_ROLE}: it would read everybody's conversations.`,
      { hint: 'Pass --all-users if that is meant; it is recorded.' },
    );
  }
  return userId;
}

async function nameUser(
  connection: Connection,
  { role, hasUsers, mayReadUsers, hasUid }: Facts,
  userId: string | undefined,
  allUsers: boolean,
): Promise<Pick<Identity, 'userId' | 'origin'>> {
  const { sql, ask } = connection;
  if (userId === undefined) {
    if (hasUid) {
      const [session] = await ask(() => sql<{ uid: string | null }[]>`select auth.uid() as uid`);
      if (typeof session?.uid === 'string') return { userId: session.uid, origin: 'session' };
    }
    if (!hasUsers) return { userId: uuidOfRole(role), origin: 'role' };
    if (allUsers) return { userId: null, origin: 'role' };
    throw userNeeded();
  }
  if (mayReadUsers) {
    const known = await ask(() => sql`select from auth.users where id = ${userId}`);
    if (known.length === 0) {
      throw new LoraExportError('E_DB_ACCESS', `User ${userId} does not exist in auth.users.`, {
        hint: 'Pass the id of an existing user with --user.',
      });
    }
  }
  return { userId: userId.toLowerCase(), origin: 'given' };
}

async function readFacts({ sql, ask }: Connection): Promise<Facts> {
  const [facts] = await ask(
    () => sql<Facts[]>`
      select current_user as role,
        (select rolsuper or rolbypassrls from pg_roles where rolname = current_user) as bypasses,
        users.oid is not null as "hasUsers",
        coalesce(has_schema_privilege(users.relnamespace, 'usage') and has_table_privilege(users.oid, 'select'), false)
          as "mayReadUsers",
        coalesce(has_schema_privilege(uid.pronamespace, 'usage') and has_function_privilege(uid.oid, 'execute'), false)
          as "hasUid",
        coalesce(
          -- Since 16 membership and the right to take the role are two things.
          case when current_setting('server_version_num')::int >= 160000
            then pg_has_role(users_role.oid, 'SET') else pg_has_role(users_role.oid, 'MEMBER') end,
          false) as "mayBecomeUser"
      from (select) one
      left join (
        select c.oid, c.relnamespace from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where n.nspname = 'auth' and c.relname = 'users'
      ) users on true
      left join (
        select p.oid, p.pronamespace from pg_proc p join pg_namespace n on n.oid = p.pronamespace
        where n.nspname = 'auth' and p.proname = 'uid' and p.pronargs = 0 and p.prorettype = 'uuid'::regtype
      ) uid on true
      left join pg_roles users_role on users_role.rolname = ${USERS_ROLE}`,
  );
  return facts as Facts;
}

function userNeeded(): LoraExportError {
  return new LoraExportError(
    'E_USAGE',
    'This database has users (auth.users): it has to be said on behalf of which one.',
    { hint: 'Pass --user UUID, or set LORA_EXPORT_USER_ID.' },
  );
}

/** UUID version 5 (RFC 9562, section 5.5) of the role's name in a namespace of our own. */
function uuidOfRole(role: string): string {
  const hash = createHash('sha1').update(UUID_NAMESPACE).update(role).digest().subarray(0, 16);
  hash[6] = ((hash[6] as number) & 0x0f) | 0x50;
  hash[8] = ((hash[8] as number) & 0x3f) | 0x80;
  return hash.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
