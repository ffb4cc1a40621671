import type { Connection } from './connect.js';

/** One consistent view of the database: everything asked through it sees the same instant. */
export interface Snapshot {
  /** The session inside the transaction. */
  readonly connection: Connection;
  /** Server time at which the snapshot was taken, ISO 8601 in UTC. */
  readonly takenAt: string;
  /** `pg_current_snapshot()`: which transactions the snapshot sees. */
  readonly identity: string;
  /** What another session joins it by, or null when that was not asked for, or refused. */
  readonly sharedAs: string | null;
}

const BEGIN = 'begin isolation level repeatable read read only';

/** Constants only; `set local` cannot leak into another client of a transaction pooler. */
const SETTINGS = `set local idle_in_transaction_session_timeout = 0;
  set local lock_timeout = '5s';
  set local timezone = 'UTC';
  set local datestyle = 'ISO, MDY';
  set local extra_float_digits = 3;
  set local jit = off`;

/** A transaction that cannot share its snapshot is over; another one can do without. */
class SharingRefused extends Error {}

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
  return takeSnapshot(connection, use, false);
}

/**
 * The same for a snapshot that other sessions may join while `use` runs.
 *
 * @param onUnshared told when the server does not let it be shared; it is had all the same
 */
export async function withSharedSnapshot<T>(
  connection: Connection,
  onUnshared: (reason: Error) => void,
  use: (snapshot: Snapshot) => Promise<T>,
): Promise<T> {
  return takeSnapshot(connection, use, true).catch((error: unknown) => {
    if (!(error instanceof SharingRefused)) throw error;
    onUnshared(error.cause as Error);
    return takeSnapshot(connection, use, false);
  });
}

/**
 * Runs `use` inside a transaction that sees what another one sees, which is still open and shares its snapshot.
 *
 * @param connection a connection of one session, of the same database
 */
export async function joinSnapshot<T>(
  connection: Connection,
  sharedAs: string,
  use: (inside: Connection) => Promise<T>,
): Promise<T> {
  // The server's own words: digits of hexadecimal numbers and hyphens. They must come before any query.
  const id = sharedAs.replace(/[^0-9A-Za-z-]/g, '');
  return connection.transaction(`${BEGIN}; set transaction snapshot '${id}'`, async (inside) => {
    await inside.ask(() => inside.sql.unsafe(SETTINGS));
    return use(inside);
  });
}

async function takeSnapshot<T>(
  connection: Connection,
  use: (snapshot: Snapshot) => Promise<T>,
  isShared: boolean,
): Promise<T> {
  return connection.transaction(BEGIN, async (inside) => {
    await inside.ask(() => inside.sql.unsafe(SETTINGS));
    const facts = await readFacts(inside, isShared).catch((cause: unknown) => {
      throw isShared && inside.lost === null ? new SharingRefused('', { cause }) : cause;
    });
    return use({ connection: inside, ...facts });
  });
}

type Facts = Pick<Snapshot, 'takenAt' | 'identity' | 'sharedAs'>;

async function readFacts({ sql, ask }: Connection, isShared: boolean): Promise<Facts> {
  const [facts] = await ask(
    () => sql<Facts[]>`
      select to_char(now(), 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as "takenAt", pg_current_snapshot()::text as identity,
        ${isShared ? sql`pg_export_snapshot()` : sql`null`} as "sharedAs"`,
  );
  return facts as Facts;
}
