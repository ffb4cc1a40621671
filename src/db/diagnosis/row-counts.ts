import type { Connection } from '../connect.js';
import { identifier } from '../identifier.js';

/** How many conversations the role of the connection sees. */
export async function countVisible({ sql, ask }: Connection, schema: string): Promise<number> {
  const [row] = await ask(
    () =>
      sql<
        { count: number }[]
      >`select count(*)::double precision as count from ${identifier(sql, schema)}.conversations`,
  );
  return (row as { count: number }).count;
}

/** True when the role of the connection sees so many rows, of which no more are read. */
export async function holdsAtLeast(
  { sql, ask }: Connection,
  { schema, table, rows }: { schema: string; table: 'conversations' | 'conversation_turns'; rows: number },
): Promise<boolean> {
  const found = await ask(
    () => sql`select from ${identifier(sql, schema)}.${identifier(sql, table)} offset ${rows - 1} limit 1`,
  );
  return found.length > 0;
}
