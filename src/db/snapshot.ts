import type { Connection } from './connect.js';

/** One consistent view of the database: everything asked through it sees the same instant. */
export interface Snapshot {
  /** The session inside the transaction. */
  readonly connection: Connection;
  /** Server time at which the snapshot was taken, ISO 8601 in UTC. */
  readonly takenAt: string;
  /** `pg_current_snapshot()`: which transactions the snapshot sees. */
  readonly identity: string;
}

/**
 * Runs `use` inside one read-only transaction and returns its result only after COMMIT was confirmed: the commit is the
 * proof that the session lived through every batch. Publish nothing before this has resolved.
 *
 * The transaction settings are what pg_dump sets, for the same reason: a slow reader must not be cut off by limits
 * that were meant for interactive work. A statement timeout of the role stays in force per batch.
 *
 * @param connection a connection of one session; it is used by nothing else meanwhile
 */
export async function withSnapshot<T>(
  connection: Connection,
  use: (snapshot: Snapshot) => Promise<T>,
): Promise<T> {
  return connection.transaction('begin isolation level repeatable read read only', async (inside) => {
    const { sql, ask } = inside;
    // Constants only; `set local` cannot leak into another client of a transaction pooler.
    await ask(() =>
      sql.unsafe(`set local idle_in_transaction_session_timeout = 0;
        set local lock_timeout = '5s';
        set local timezone = 'UTC';
        set local datestyle = 'ISO, MDY';
        set local extra_float_digits = 3;
        set local jit = off`),
    );
    const [facts] = await ask(
      () => sql<{ takenAt: string; identity: string }[]>`
        select to_char(now(), 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as "takenAt", pg_current_snapshot()::text as identity`,
    );
    const { takenAt, identity } = facts as { takenAt: string; identity: string };
    return use({ connection: inside, takenAt, identity });
  });
}
