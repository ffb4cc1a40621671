import type { Connection } from '../connect.js';

/** Who answers, as whom we are there, and which limits apply. */
export interface SessionFacts {
  /** Such as `18.1`. */
  readonly version: string;
  /** Such as 180001. */
  readonly versionNumber: number;
  /** The process that serves this session at the moment. */
  readonly processId: number;
  readonly role: string;
  readonly isSuperuser: boolean;
  readonly bypassesPolicies: boolean;
}

export async function readSessionFacts({ sql, ask }: Connection): Promise<SessionFacts> {
  const [facts] = await ask(
    () => sql<SessionFacts[]>`
      select split_part(current_setting('server_version'), ' ', 1) as version,
        current_setting('server_version_num')::int as "versionNumber", pg_backend_pid() as "processId",
        current_user as role, rolsuper as "isSuperuser", rolbypassrls as "bypassesPolicies"
      from pg_roles where rolname = current_user`,
  );
  return facts as SessionFacts;
}

/** By the server's clock, in milliseconds since 1970. */
export async function readServerClock({ sql, ask }: Connection): Promise<number> {
  const [row] = await ask(
    () => sql<{ ms: number }[]>`select extract(epoch from clock_timestamp())::double precision * 1000 as ms`,
  );
  return (row as { ms: number }).ms;
}

/** The time limits that sessions of this role begin with, in milliseconds; 0 is none, absent is unknown to this server. */
export async function readTimeLimits({ sql, ask }: Connection): Promise<ReadonlyMap<string, number>> {
  const rows = await ask(
    () => sql<{ name: string; ms: number }[]>`
      select name, reset_val::double precision as ms from pg_settings
      where name in ('statement_timeout', 'idle_session_timeout', 'transaction_timeout')`,
  );
  return new Map(rows.map(({ name, ms }) => [name, ms]));
}
