import type postgres from 'postgres';

/** A row of the audit log with its companion. */
export interface LoggedRun {
  readonly export_id: string;
  readonly status: string;
  readonly error_message: string | null;
  readonly file_url: string | null;
  readonly file_size: string | null;
  readonly conversation_count: number;
  readonly config: { readonly result?: { readonly exported: number } };
  readonly phase: string;
  readonly sha256: string | null;
  readonly written_count: number;
}

/** Adds approved conversations with two turns of `turnBytes` bytes each, `c_000001` first. */
export async function seed(sql: postgres.Sql, count: number, turnBytes = 64): Promise<void> {
  await sql`
    insert into conversations (conversation_id, title, status, tier, quality_score, created_at)
    select 'c_' || lpad(n::text, 6, '0'), 'Title ' || n, 'approved', 'template', 8.5,
      timestamptz '2025-01-01' + n * interval '1 minute'
    from generate_series(1, ${count}::integer) as n`;
  await sql`
    insert into conversation_turns (conversation_id, turn_number, role, content)
    select c.id, n, case n when 1 then 'user' else 'assistant' end,
      left(repeat(md5(c.conversation_id || n), ${Math.ceil(turnBytes / 32)}), ${turnBytes})
    from conversations c, generate_series(1, 2) as n`;
}

/** What the audit log says, in the order in which the runs began. */
export async function loggedRuns(sql: postgres.Sql): Promise<LoggedRun[]> {
  return sql<LoggedRun[]>`
    select l.export_id, status, error_message, file_url, file_size::text, conversation_count, config,
      phase, sha256, written_count
    from export_logs l join export_runs r using (export_id) order by l.created_at, l.export_id`;
}

/** The one run of a fresh database. */
export async function onlyRun(sql: postgres.Sql): Promise<LoggedRun> {
  const runs = await loggedRuns(sql);
  if (runs.length !== 1) throw new Error(`There are ${runs.length} rows in export_logs instead of one.`);
  return runs[0] as LoggedRun;
}

/**
 * Makes an export wait for a second whenever it is about to write `phase`: `publishing` is announced between the
 * phases `sealed` and `publishing`, `completed` after `published`, `failed` on the way out.
 */
export async function slowDown(
  sql: postgres.Sql,
  phase: 'publishing' | 'completed' | 'failed',
  seconds = 1,
): Promise<void> {
  const [table, condition] =
    phase === 'publishing'
      ? ['export_runs', `new.phase = 'publishing'`]
      : ['export_logs', `new.status = '${phase}'`];
  await sql
    .unsafe(
      `create or replace function slow_${phase}() returns trigger language plpgsql as
         $$ begin if ${condition} then perform pg_sleep(${seconds}); end if; return new; end $$;
       create or replace trigger slow_${phase} before update on ${table}
         for each row execute function slow_${phase}();`,
    )
    .simple();
}

/** Undoes {@link slowDown}. */
export async function hurryUp(sql: postgres.Sql): Promise<void> {
  for (const [phase, table] of [
    ['publishing', 'export_runs'],
    ['completed', 'export_logs'],
    ['failed', 'export_logs'],
  ] as const) {
    await sql.unsafe(`drop trigger if exists slow_${phase} on ${table}`);
  }
}

/** Ends every session that a killed run left behind on the server, so that nothing it was doing is committed later. */
export async function endSessions(sql: postgres.Sql): Promise<void> {
  for (;;) {
    const found = await sql`
      select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and application_name like 'lora-export%'`;
    if (found.length === 0) return;
  }
}

/** Lets every open run look as if it had died an hour ago. */
export async function ageHeartbeats(sql: postgres.Sql): Promise<void> {
  await sql`update export_runs set heartbeat_at = now() - interval '1 hour' where phase <> 'done'`;
}

/** Locks a table against everybody, the export's reader included, until the function that it returns is called. */
export async function lockTable(
  sql: postgres.Sql,
  table: 'conversations' | 'conversation_turns',
): Promise<() => Promise<void>> {
  const session = await sql.reserve();
  await session`begin`;
  await session`lock table ${session(table)} in access exclusive mode`;
  return async () => {
    await session`rollback`;
    session.release();
  };
}
