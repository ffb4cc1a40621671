import type postgres from 'postgres';
import type { Connection } from './connect.js';

/** Whose rights statements have, where the database tells its users apart by `auth.uid()`. */
export interface Actor {
  readonly userId: string;
  /** The role that users of the application have, or null when the login may not take it: then only its own policies bind. */
  readonly role: string | null;
}

/**
 * The same connection on behalf of a user: each statement runs in a transaction that begins by taking the user's claims
 * and role, as Supabase's API does. Everything is local to that transaction, so a pooler can hand nothing of it to the
 * next client, and a later statement of ours cannot forget to give it back.
 *
 * @param actor null leaves the connection as it is
 */
export function actingAs(connection: Connection, actor: Actor | null): Connection {
  if (actor === null) return connection;
  const { sql, destroy, close, tapRows } = connection;
  return {
    sql,
    ask: (statement) => connection.ask(() => alone(sql, actor, statement)),
    transaction: (begin, use) =>
      connection.transaction(begin, async (inside) => {
        await inside.ask(() => become(inside.sql, actor));
        return use(inside);
      }),
    get lost() {
      return connection.lost;
    },
    destroy,
    close,
    tapRows,
  };
}

function become(sql: postgres.Sql, { userId, role }: Actor): PromiseLike<unknown> {
  const claims = JSON.stringify({ sub: userId, role: role ?? 'authenticated' });
  // Older versions of auth.uid() read one variable per claim. `set_config('role', …, true)` is `set local role`.
  return sql`
    select set_config('request.jwt.claims', ${claims}, true), set_config('request.jwt.claim.sub', ${userId}, true),
      case when ${role}::text is not null then set_config('role', ${role}, true) end`;
}

/**
 * One statement in a transaction of its own. All parts are handed to the driver at once: they travel together, and no
 * other statement on this connection can come between them.
 */
async function alone<T>(sql: postgres.Sql, actor: Actor, statement: () => PromiseLike<T>): Promise<T> {
  const answers = await Promise.allSettled([
    sql`begin`,
    become(sql, actor),
    statement(),
    sql`commit`,
  ] as const);
  // The first failure is the cause of those behind it; a COMMIT after it only ends the transaction.
  const failure = answers.find((answer) => answer.status === 'rejected');
  if (failure !== undefined) throw failure.reason;
  return (answers[2] as PromiseFulfilledResult<T>).value;
}
