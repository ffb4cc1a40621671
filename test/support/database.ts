import { randomBytes } from 'node:crypto';
import postgres from 'postgres';
import { inject } from 'vitest';

import { refuseCanary } from './canary.js';

export interface TestDatabase {
  /** In the form of libpq (`postgres://user@localhost/name?host=/socket/directory`), for the command and its own parser. */
  url: string;
  name: string;
  /** Connected as superuser, at most 10 connections. */
  sql: postgres.Sql;
  /** Ends `sql`, disconnects everybody else and drops the database; a second call does nothing. */
  drop(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Makes a database of its own for a test: `empty` has nothing in it, `ready` (the default) has the application's
 * tables of fixtures/source-schema.sql and all migrations of sql/.
 */
export async function createDatabase(template: 'empty' | 'ready' = 'ready'): Promise<TestDatabase> {
  const name = `test_${randomBytes(6).toString('hex')}`;
  await maintain(
    (sql) => sql`create database ${sql(name)} template ${sql(template === 'empty' ? 'template0' : 'ready')}`,
  );
  const sql = connect(name, 10);
  let dropped: Promise<void> | undefined;
  const drop = () =>
    (dropped ??= (async () => {
      try {
        await refuseCanaryInLog(sql);
      } finally {
        await sql.end({ timeout: 1 });
      }
      await maintain((maintenance) => maintenance`drop database if exists ${maintenance(name)} with (force)`);
    })());
  return { url: urlOf(name), name, sql, drop, [Symbol.asyncDispose]: drop };
}

/** The sandbox gives every run a password; wherever the audit tables are, it must not be in them. */
async function refuseCanaryInLog(sql: postgres.Sql): Promise<void> {
  const rows = await sql<{ text: string }[]>`
    select concat(l::text, r::text) as text from export_logs l left join export_runs r using (export_id)`.catch(
    () => [],
  );
  for (const { text } of rows) refuseCanary('the audit log', text);
}

/** The superuser's URL of the test server's maintenance database. */
export function serverUrl(): string {
  return urlOf('postgres');
}

function urlOf(name: string): string {
  const { socketDirectory, user } = inject('testServer');
  return `postgres://${user}@localhost/${name}?host=${encodeURIComponent(socketDirectory)}`;
}

async function maintain(statement: (sql: postgres.Sql) => Promise<unknown>): Promise<void> {
  const sql = connect('postgres', 1);
  try {
    await statement(sql);
  } finally {
    await sql.end();
  }
}

function connect(database: string, max: number): postgres.Sql {
  const { socketDirectory, user } = inject('testServer');
  return postgres({ host: socketDirectory, port: 5432, user, database, max, onnotice: () => {} });
}
