import type { Connection } from './connect.js';

/** What a database is, before anything is known of its tables. */
export interface Server {
  /** Such as `15.4`. */
  readonly version: string;
  /** The role whose rights statements have. */
  readonly role: string;
  /** One of the two source tables exists, whatever its shape. */
  readonly hasSource: boolean;
}

/** Looks at the server and for the source tables in the schema. */
export async function readServer({ sql, ask }: Connection, schema: string): Promise<Server> {
  const [row] = await ask(
    () => sql<Server[]>`
      select current_setting('server_version') as version, current_user::text as role, exists (
        select from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where n.nspname = ${schema} and c.relname in ('conversations', 'conversation_turns')
          and c.relkind in ('r', 'p', 'v', 'm', 'f')
      ) as "hasSource"`,
  );
  return row as Server;
}
