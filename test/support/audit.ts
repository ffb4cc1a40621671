import { randomUUID } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';

import type postgres from 'postgres';

/** Gives a database what Supabase adds to PostgreSQL: `auth.users`, `auth.uid()` and the three API roles. */
export async function applyAuthShim(sql: postgres.Sql): Promise<void> {
  const shim = await readFile(new URL('../../fixtures/auth-shim.sql', import.meta.url), 'utf8');
  await sql.begin((tx) => tx.unsafe(shim).simple());
}

/** Every migration, in order, each in a transaction of its own, as psql would run them. */
export async function applyMigrations(sql: postgres.Sql, schema = 'public'): Promise<void> {
  const directory = new URL('../../sql/', import.meta.url);
  const names = (await readdir(directory)).filter((name) => name.endsWith('.sql')).sort();
  for (const name of names) {
    const text = await readFile(new URL(name, directory), 'utf8');
    const path = `"${schema.replaceAll('"', '""')}"`;
    await sql.begin((tx) => tx.unsafe(`set local search_path = ${path}; ${text}`).simple());
  }
}

/** Adds a user to the shim's `auth.users`. */
export async function addUser(sql: postgres.ISql): Promise<string> {
  const id = randomUUID();
  await sql`insert into auth.users (id, email) values (${id}, ${`${id}@example.org`})`;
  return id;
}

/** Adds a row to `export_logs` with as little as it needs, and returns its export_id. */
export async function addLog(
  sql: postgres.ISql,
  values: { readonly userId?: string; readonly status?: string } = {},
): Promise<string> {
  const exportId = randomUUID();
  await sql`
    insert into export_logs (export_id, user_id, format, config, conversation_count, status)
    values (${exportId}, ${values.userId ?? randomUUID()}, 'jsonl', '{}', 0, ${values.status ?? 'processing'})`;
  return exportId;
}

/** Does some work as one user of the application, the way Supabase's API does. */
export async function asUser<T>(
  sql: postgres.Sql,
  userId: string,
  work: (tx: postgres.TransactionSql) => Promise<T>,
) {
  return sql.begin(async (tx) => {
    const claims = JSON.stringify({ sub: userId, role: 'authenticated' });
    await tx`select set_config('request.jwt.claims', ${claims}, true)`;
    await tx`set local role authenticated`;
    return work(tx);
  });
}
