import { connect, type ConnectOptions } from './connect.js';
import type { DatabaseTarget } from './target.js';

/** Which of several processes on one database does something. */
export interface Turn {
  /** What is done: never twice at once, whenever it began. */
  readonly work: string;
  /** The moment it was due: done once, whoever comes while the turn lasts. */
  readonly slot: Date;
}

/** Why it was not our turn. */
export type Refusal =
  /** Another process has this slot. */
  | 'taken'
  /** Another process is still busy with an earlier one. */
  | 'busy';

/**
 * Runs `use` if no other process on this database has the turn. The turn lasts as long as `use`, and ends when this
 * process dies: its locks belong to an open transaction, so that they work behind a transaction pooler and leave
 * nothing behind.
 *
 * @returns why not, or null when `use` has run
 */
export async function takeTurn(
  target: DatabaseTarget,
  options: Omit<ConnectOptions, 'singleSession'>,
  { work, slot }: Turn,
  use: () => Promise<void>,
): Promise<Refusal | null> {
  const connection = await connect(target, { ...options, singleSession: true });
  try {
    return await connection.transaction('begin', async ({ sql, ask }) => {
      await ask(() => sql`set local idle_in_transaction_session_timeout = 0`);
      const lock = (name: string) => sql`pg_try_advisory_xact_lock(hashtextextended(${name}, 0))`;
      const [got] = await ask(
        () => sql<{ refusal: Refusal | null }[]>`
          select case when not ${lock(`${work} at ${slot.toISOString()}`)} then 'taken'
            when not ${lock(work)} then 'busy' end as refusal`,
      );
      const refusal = got?.refusal ?? null;
      if (refusal === null) await use();
      return refusal;
    });
  } finally {
    await connection.close();
  }
}
