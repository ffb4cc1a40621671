import { inspect } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { connect, type Connection } from '../../src/db/connect.js';
import { translateDatabaseError } from '../../src/db/driver-errors.js';
import { parseDatabaseUrl } from '../../src/db/target.js';
import { LoraExportError, type ErrorCode } from '../../src/errors.js';
import { createDatabase, type TestDatabase } from '../support/database.js';

const canary = 'hunter2-canary';
const target = parseDatabaseUrl(`postgres://ann:${canary}@db.example/app`, 'test');
const supabase = parseDatabaseUrl(`postgres://postgres:${canary}@db.abcdef.supabase.co/postgres`, 'test');

describe('an error of a real server', () => {
  let database: TestDatabase;
  let connection: Connection;

  beforeAll(async () => {
    database = await createDatabase('empty');
    connection = await connect(parseDatabaseUrl(database.url, 'test'), { purpose: 'test' });
    await database.sql.unsafe(`
      create table notes (id uuid primary key, body text not null constraint no_shouting check (body = lower(body)), n int);
      insert into notes values ('00000000-0000-4000-8000-000000000001', 'x', 1);
      create role stranger;
      create function raise_as(state text, message text) returns void language plpgsql as
        $$ begin raise exception using errcode = state, message = message, detail = message, hint = message; end $$`);
  });
  afterAll(async () => {
    await connection.close();
    await database.sql`drop role stranger`;
    await database.drop();
  });

  it.each<[name: string, statements: string[], code: ErrorCode, message: RegExp]>([
    [
      'table missing',
      [`select '${canary}' from nowhere`],
      'E_SCHEMA',
      /relation "nowhere" does not exist \(42P01\)/,
    ],
    [
      'column missing',
      [`select nothing from notes where body = '${canary}'`],
      'E_SCHEMA',
      /column "nothing".*\(42703\)/,
    ],
    ['schema missing', [`create table none.t ()`], 'E_SCHEMA', /schema "none" does not exist \(3F000\)/],
    ['function missing', [`select nothing('${canary}')`], 'E_SCHEMA', /\(42883\)/],
    [
      'grant missing',
      ['set role stranger', 'select body from notes'],
      'E_DB_ACCESS',
      /permission denied for table notes \(42501\)/,
    ],
    ['bad uuid', [`select '${canary}'::uuid`], 'E_DATA', /: SQLSTATE 22P02\.$/],
    ['bad number', [`select '${canary}'::int`], 'E_DATA', /: SQLSTATE 22P02\.$/],
    [
      'duplicate key',
      [`insert into notes values ('00000000-0000-4000-8000-000000000001', '${canary}')`],
      'E_DATA',
      /SQLSTATE 23505 \[table public\.notes, constraint notes_pkey\]/,
    ],
    [
      'check violated',
      [`insert into notes values (gen_random_uuid(), upper('${canary}'))`],
      'E_DATA',
      /SQLSTATE 23514 \[table public\.notes, constraint no_shouting\]/,
    ],
    [
      'not null violated',
      [`insert into notes values (gen_random_uuid(), null)`],
      'E_DATA',
      /SQLSTATE 23502 \[table public\.notes, column body\]/,
    ],
    [
      'raised by a trigger or function',
      [`select raise_as('P0001', '${canary}')`],
      'E_DATA',
      /: SQLSTATE P0001\.$/,
    ],
    [
      'raised with the SQLSTATE of something else',
      [`select raise_as('42501', '${canary}')`],
      'E_DB_ACCESS',
      /: SQLSTATE 42501\.$/,
    ],
    [
      'raised as an internal error',
      [`select raise_as('XX000', '${canary}')`],
      'E_DB_UNREACHABLE',
      /server failed: .*SQLSTATE XX000\.$/,
    ],
    [
      'statement timeout',
      ['set local statement_timeout = 20', 'select pg_sleep(5)'],
      'E_STALLED',
      /statement timeout \(57014\)/,
    ],
    [
      'read only',
      ['set transaction read only', `update notes set body = '${canary}'`],
      'E_DB_ACCESS',
      /accepts no writes: .*\(25006\)/,
    ],
    ['division by zero', ['select 1 / 0'], 'E_DATA', /: SQLSTATE 22012\.$/],
  ])('%s', async (_, statements, code, message) => {
    const { sql, ask } = connection;
    await ask(() => sql`begin`);
    try {
      const last = statements.pop() ?? '';
      for (const statement of statements) {
        await ask(() => sql.unsafe(statement));
      }
      const error = await failureOf(ask(() => sql.unsafe(last)));
      expect(error).toMatchObject({ code, retryable: false });
      expect(error.message).toMatch(message);
      expectNoSecret(error, 'HUNTER2-CANARY');
    } finally {
      await ask(() => sql`rollback`);
    }
  });

  it('cannot smuggle text into the stack of the cause', () => {
    const error = Object.assign(new Error(`x\n    at ${canary} (file.ts:1:1)`), {
      code: '22P02',
      severity: 'ERROR',
    });
    expectNoSecret(translateDatabaseError(error, target));
  });

  it('does not carry the parameters of the statement', async () => {
    const { sql, ask } = connection;
    const error = await failureOf(
      ask(() => sql`select body from notes where id = ${canary}::uuid and n = ${1}`),
    );
    expect(error.code).toBe('E_DATA');
    expectNoSecret(error);
  });

  it('names a lock that was not free', async () => {
    const { sql, ask } = connection;
    await database.sql.begin(async (tx) => {
      await tx`lock table notes in access exclusive mode`;
      await ask(() => sql`set lock_timeout = '20ms'`);
      const error = await failureOf(ask(() => sql`select 1 from notes`));
      expect(error).toMatchObject({ code: 'E_STALLED', retryable: false });
      expect(error.message).toMatch(/lock timeout \(55P03\)/);
      await ask(() => sql`reset lock_timeout`);
    });
  });

  it('calls a serialization failure worth another try', async () => {
    const { sql, ask } = connection;
    await ask(() => sql`begin isolation level repeatable read`);
    await ask(() => sql`select * from notes`);
    await database.sql`update notes set n = n + 1`;
    const error = await failureOf(ask(() => sql`update notes set n = 0`));
    expect(error).toMatchObject({ code: 'E_DB_UNREACHABLE', retryable: true });
    await ask(() => sql`rollback`);
  });

  it('keeps code, place and names in its cause for a debug print', async () => {
    const { sql, ask } = connection;
    const error = await failureOf(ask(() => sql`insert into notes values (gen_random_uuid(), null)`));
    expect(error.cause).toMatchObject({
      code: '23502',
      table_name: 'notes',
      column_name: 'body',
      routine: expect.any(String) as string,
    });
    expect((error.cause as Error).stack).toMatch(/^Error: SQLSTATE 23502\n\s+at /);
  });
});

describe('an SQLSTATE', () => {
  it.each<[state: string, code: ErrorCode, retryable: boolean, hint?: RegExp]>([
    ['28P01', 'E_DB_ACCESS', false, /percent-encoded/],
    ['28000', 'E_DB_ACCESS', false, /pg_hba\.conf/],
    ['3D000', 'E_DB_ACCESS', false],
    ['57P01', 'E_DB_UNREACHABLE', true],
    ['57P02', 'E_DB_UNREACHABLE', true],
    ['57P03', 'E_DB_UNREACHABLE', true, /try again soon/],
    ['57P04', 'E_DB_UNREACHABLE', false],
    ['57P05', 'E_DB_UNREACHABLE', true, /idle_session_timeout/],
    ['25P03', 'E_DB_UNREACHABLE', true, /idle_in_transaction_session_timeout/],
    ['25P04', 'E_STALLED', false, /transaction_timeout/],
    ['53300', 'E_DB_UNREACHABLE', true],
    ['53100', 'E_DB_UNREACHABLE', false],
    ['53200', 'E_DB_UNREACHABLE', false],
    ['58030', 'E_DB_UNREACHABLE', false],
    ['08000', 'E_DB_UNREACHABLE', true],
    ['08006', 'E_DB_UNREACHABLE', true],
    ['08P01', 'E_DB_UNREACHABLE', true],
    ['40001', 'E_DB_UNREACHABLE', true, /max_standby_streaming_delay/],
    ['40P01', 'E_DB_UNREACHABLE', true],
    ['26000', 'E_SCHEMA', false, /session pooler/],
    ['42P05', 'E_SCHEMA', false, /session pooler/],
    ['42601', 'E_SCHEMA', false],
    ['0A000', 'E_SCHEMA', false],
    ['2D000', 'E_INTERNAL', false],
  ])('%s becomes %s', (state, code, retryable, hint) => {
    const error = translateDatabaseError(serverError(state, 'said the server'), target);
    expect(error).toMatchObject({ code, retryable });
    expect(error.message).toContain('db.example:5432');
    expect(error.hint ?? '').toMatch(hint ?? /^/);
    expectNoSecret(error);
  });

  it('in words that move the cursor is shown, not obeyed, and is cut to a line', () => {
    const error = translateDatabaseError(
      serverError('42P01', `no "a\u001b]52;c;x\u0007\nb" \u202e${'x'.repeat(400)}`),
      target,
    );
    expect(error.message).toContain('no "a\\u{1b}]52;c;x\\u{7} b" \\u{202e}xxx');
    expect(error.message).not.toMatch(/[\p{Cc}\p{Cf}]/u);
    expect(error.message.length).toBeLessThan(450);
  });
});

describe('a failure of the network or the driver', () => {
  it.each<[code: string, becomes: ErrorCode, retryable: boolean, message: RegExp]>([
    ['ECONNREFUSED', 'E_DB_UNREACHABLE', true, /^Nothing listens at db\.example:5432\.$/],
    ['ENOTFOUND', 'E_DB_UNREACHABLE', false, /name db\.example:5432 is not known/],
    ['EAI_AGAIN', 'E_DB_UNREACHABLE', true, /could not be looked up/],
    ['ENETUNREACH', 'E_DB_UNREACHABLE', true, /no network path/],
    ['EHOSTUNREACH', 'E_DB_UNREACHABLE', true, /no network path/],
    ['ETIMEDOUT', 'E_DB_UNREACHABLE', true, /does not answer/],
    ['CONNECT_TIMEOUT', 'E_DB_UNREACHABLE', true, /does not answer/],
    ['ECONNRESET', 'E_DB_UNREACHABLE', true, /ann@db\.example:5432\/app was lost/],
    ['EPIPE', 'E_DB_UNREACHABLE', true, /was lost/],
    ['CONNECTION_CLOSED', 'E_DB_UNREACHABLE', true, /was lost/],
    ['CONNECTION_ENDED', 'E_DB_UNREACHABLE', true, /was lost/],
    ['CONNECTION_DESTROYED', 'E_DB_UNREACHABLE', true, /was lost/],
    ['EACCES', 'E_DB_ACCESS', false, /may not connect/],
    ['SASL_SIGNATURE_MISMATCH', 'E_DB_ACCESS', false, /could not prove/],
    ['UNDEFINED_VALUE', 'E_INTERNAL', false, /Unexpected failure/],
  ])('%s becomes %s', (code, becomes, retryable, message) => {
    const cause = Object.assign(new Error(`write ${code} db.example:5432`), { code });
    const error = translateDatabaseError(cause, target);
    expect(error).toMatchObject({ code: becomes, retryable });
    expect(error.message).toMatch(message);
    expectNoSecret(error);
  });

  it('of several addresses is told once', () => {
    const refused = Object.assign(new Error('connect ECONNREFUSED ::1:5432'), { code: 'ECONNREFUSED' });
    expect(translateDatabaseError(new AggregateError([refused, refused]), target).message).toBe(
      'Nothing listens at db.example:5432.',
    );
  });

  it('to a direct Supabase host without IPv6 points to the session pooler', () => {
    for (const code of ['ENOTFOUND', 'ENETUNREACH', 'EHOSTUNREACH', 'ETIMEDOUT']) {
      const error = translateDatabaseError(Object.assign(new Error(code), { code }), supabase);
      expect(error.hint).toMatch(/session pooler/);
    }
  });

  it('that is ours already passes unchanged', () => {
    const ours = new LoraExportError('E_AUDIT', 'x');
    expect(translateDatabaseError(ours, target)).toBe(ours);
  });

  it('that is nobody knows what is a bug of ours, with its cause', () => {
    const bug = new TypeError('x is not a function');
    expect(translateDatabaseError(bug, target)).toMatchObject({ code: 'E_INTERNAL', cause: bug });
    for (const thrown of [undefined, null, 'text', 5, {}]) {
      expect(translateDatabaseError(thrown, target)).toMatchObject({ code: 'E_INTERNAL' });
    }
  });
});

describe('a pooler', () => {
  it.each(['Tenant or user not found', '(ENOTFOUND) tenant/user postgres.abc not found'])(
    'that says %s',
    (text) => {
      const error = translateDatabaseError(serverError('XX000', text), supabase);
      expect(error).toMatchObject({ code: 'E_DB_ACCESS', retryable: false });
      expect(error.hint).toMatch(/paused project/);
    },
  );

  it.each(['MaxClientsInSessionMode: max clients reached', 'no more connections allowed (max_client_conn)'])(
    'that says %s may be tried again',
    (text) => {
      expect(translateDatabaseError(serverError('08P01', text), target)).toMatchObject({
        code: 'E_DB_UNREACHABLE',
        retryable: true,
      });
    },
  );
});

describe('a refused password', () => {
  it('at Supabase is not to be mixed up with an API key', () => {
    expect(translateDatabaseError(serverError('28P01', 'x'), supabase).hint).toMatch(/not an API key/);
  });

  it('that was never given asks for one', () => {
    expect(translateDatabaseError(serverError('28P01', 'x'), { ...target, password: null }).hint).toMatch(
      /PGPASSWORD/,
    );
  });
});

function serverError(code: string, message: string): Error {
  return Object.assign(new Error(message), {
    name: 'PostgresError',
    code,
    severity: 'FATAL',
    detail: canary,
    where: canary,
    internal_query: canary,
  });
}

async function failureOf(promise: PromiseLike<unknown>): Promise<LoraExportError> {
  try {
    await promise;
  } catch (error) {
    expect(error).toBeInstanceOf(LoraExportError);
    return error as LoraExportError;
  }
  throw new Error('Nothing was rejected');
}

/** In no form in which an error can be shown. */
function expectNoSecret(error: LoraExportError, ...more: string[]): void {
  const shown = [
    error.message,
    error.hint,
    error.stack,
    JSON.stringify(error),
    inspect(error, { depth: 9, showHidden: true }),
  ];
  for (const secret of [canary, ...more]) {
    expect(shown.join('\n')).not.toContain(secret);
  }
}

it('reads errors of a pooler, which names their severity as older servers do', () => {
  const error = Object.assign(new Error('no such database: nowhere'), {
    code: '3D000',
    severity_local: 'FATAL',
  });
  const told = translateDatabaseError(
    error,
    parseDatabaseUrl('postgresql://me@pool:6432/nowhere', 'the test'),
  );
  expect(told).toMatchObject({ code: 'E_DB_ACCESS' });
});
