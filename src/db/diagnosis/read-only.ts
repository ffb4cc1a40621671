import type { Connection } from '../connect.js';
import { withSnapshot, type Snapshot } from '../snapshot.js';

/** Looks at the database without being able to change it, and for at most `limitMs` milliseconds per statement. */
export function readOnly<T>(
  connection: Connection,
  limitMs: number,
  use: (snapshot: Snapshot) => Promise<T>,
): Promise<T> {
  return withSnapshot(connection, async (snapshot) => {
    const { sql, ask } = snapshot.connection;
    await ask(() => sql`select set_config('statement_timeout', ${String(limitMs)}, true)`);
    return use(snapshot);
  });
}
