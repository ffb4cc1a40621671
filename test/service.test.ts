import { randomUUID } from 'node:crypto';
import postgres from 'postgres';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import {
  createExportService,
  ExportNotFoundError,
  ExportPermissionError,
  LoraExportError,
  requestOfConfig,
  type CreateExportLogInput,
  type ExportRequestInput,
  type ExportService,
} from '../src/index.js';
import { parseRequest } from '../src/request.js';
import { addUser, applyAuthShim, applyMigrations, asUser } from './support/audit.js';
import { createDatabase, type TestDatabase } from './support/database.js';
import { addConversation, runExport } from './support/export.js';

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const ISO = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/;
const CONFIG = { scope: 'approved', format: 'jsonl', includeMetadata: true, includeQualityScores: true };

let database: TestDatabase;
let service: ExportService;

beforeAll(async () => {
  database = await createDatabase('ready');
  service = createExportService(database.sql);
});
afterAll(() => database.drop());
beforeEach(() => database.sql`truncate export_logs cascade`);

function anInput(values: Partial<CreateExportLogInput> = {}): CreateExportLogInput {
  return { user_id: randomUUID(), format: 'jsonl', config: CONFIG, conversation_count: 42, ...values };
}

/** A client of its own, with one connection. */
function clientWith(options: postgres.Options<Record<string, postgres.PostgresType>>): postgres.Sql {
  const { host, user } = database.sql.options;
  const socketDirectory = host[0] ?? '';
  return postgres({
    host: socketDirectory,
    user,
    database: database.name,
    max: 1,
    onnotice: () => {},
    ...options,
  });
}

/** What was thrown, as `Class code: message`. */
async function refusal(attempt: Promise<unknown>): Promise<string> {
  const error: unknown = await attempt.then(
    () => 'nothing',
    (reason: unknown) => reason,
  );
  return error instanceof LoraExportError ? `${error.name} ${error.code}: ${error.message}` : String(error);
}

describe('createExportLog', () => {
  it('adds a row with an id of its own and the time of the server, and returns it', async () => {
    const input = anInput();
    const log = await service.createExportLog(input);

    expect(log).toEqual({
      id: expect.stringMatching(UUID) as string,
      export_id: expect.stringMatching(UUID) as string,
      user_id: input.user_id,
      timestamp: expect.stringMatching(ISO) as string,
      format: 'jsonl',
      config: CONFIG,
      conversation_count: 42,
      file_size: null,
      status: 'queued',
      file_url: null,
      expires_at: null,
      error_message: null,
      created_at: log.timestamp,
      updated_at: log.timestamp,
    });
    expect(log.id).not.toBe(log.export_id);
    const [row] = await database.sql`
      select *, jsonb_typeof(config) as kind, now() - timestamp < interval '1 minute' as is_recent from export_logs`;
    expect(row).toMatchObject({
      export_id: log.export_id,
      config: CONFIG,
      kind: 'object',
      is_recent: true,
      status: 'queued',
    });
  });

  it('stores a configuration so that the run can be repeated', async () => {
    const request: ExportRequestInput = {
      format: 'csv',
      scope: 'filtered',
      filters: { tier: ['template'], searchQuery: '"50 %" \\ \u2028 \u{1f469}' },
      sort: { key: 'title', order: 'desc' },
      limit: 7,
    };
    const { export_id: id } = await service.createExportLog(anInput({ config: { version: 1, ...request } }));
    const log = await service.getExportLog(id);

    expect(log?.config).toEqual({ version: 1, ...request });
    expect(requestOfConfig(log?.config, 'It')).toEqual(parseRequest(request));
  });

  it.each([
    ['a user that is no UUID', { user_id: 'test-user-id' }, 'user_id: must be a UUID'],
    ['another format', { format: 'xml' as never }, 'format: must be one of'],
    ['another status', { status: 'cancelled' as never }, 'status: must be one of'],
    ['a negative count', { conversation_count: -1 }, 'conversation_count: must be at least 0'],
    ['half a conversation', { conversation_count: 0.5 }, 'conversation_count: must be a whole number'],
    ['a list for a configuration', { config: [] as never }, 'config: must be an object'],
    ['what JSON cannot hold', { config: { size: 1n } }, 'config: cannot be written as JSON'],
    ['an unknown column', { file_name: 'x' } as never, 'file_name'],
    ['two problems', { user_id: '', format: '' as never }, 'format: must be one of'],
  ])('refuses %s before it asks the database', async (_, values, message) => {
    const nowhere = createExportService(postgres({ host: '/nowhere', max: 1 }));
    const told = await refusal(nowhere.createExportLog(anInput(values)));
    expect(told).toContain('LoraExportError E_USAGE: Failed to create export log: ');
    expect(told).toContain(message);
  });

  it('says in its own words what the database refuses, and quotes no value', async () => {
    const told = await refusal(service.createExportLog(anInput({ config: { secret: 'hidden\0text' } })));
    expect(told).toBe(
      'LoraExportError E_AUDIT: Failed to create export log: the database refused it (SQLSTATE 22P05).',
    );
  });

  it('works within a transaction of the caller, and goes with it', async () => {
    const ids: string[] = [];
    await database.sql
      .begin(async (tx) => {
        const within = createExportService(tx);
        const { export_id: id } = await within.createExportLog(anInput());
        ids.push(id);
        expect(await within.getExportLog(id)).not.toBeNull();
        throw new Error('changed my mind');
      })
      .catch((error: unknown) => expect(error).toEqual(new Error('changed my mind')));
    expect(await service.getExportLog(ids[0] as string)).toBeNull();
  });

  it('works with a client that renames columns and reads times and big integers in its own way', async () => {
    const odd = clientWith({
      transform: { ...postgres.toCamel, ...postgres.camel, undefined: null },
      types: {
        bigint: postgres.BigInt,
        time: { to: 1184, from: [1184, 25], serialize: String, parse: (text: string) => text },
      },
      prepare: false,
    });
    try {
      const own = createExportService(odd);
      const { export_id: id, user_id: userId } = await own.createExportLog(
        anInput({ config: { some_key: 1 } }),
      );
      await own.updateExportLog(id, { file_size: 5, expires_at: '2025-10-29T12:00:00+02:00' });
      const log = await service.getExportLog(id);
      expect(log).toMatchObject({
        config: { some_key: 1 },
        file_size: 5,
        expires_at: '2025-10-29T10:00:00.000Z',
      });
      expect(await own.getExportLog(id)).toEqual(log);
      expect(await own.listExportLogs(userId)).toEqual({ logs: [log], total: 1 });
    } finally {
      await odd.end();
    }
  });
});

describe('getExportLog', () => {
  it('returns null for what does not exist, be it a UUID or not', async () => {
    for (const id of [randomUUID(), 'non-existent-id', '', '{}', "' or true --", 'x\0']) {
      expect(await service.getExportLog(id)).toBeNull();
    }
  });

  it('finds a row whatever the case of its id', async () => {
    const { export_id: id } = await service.createExportLog(anInput());
    expect((await service.getExportLog(id.toUpperCase()))?.export_id).toBe(id);
  });

  it('shows every column as the table holds it', async () => {
    const values = {
      id: randomUUID(),
      export_id: randomUUID(),
      user_id: randomUUID(),
      format: 'markdown',
      conversation_count: 2_147_483_647,
      status: 'failed',
      file_url: 'file:///tmp/a%20b',
      error_message: 'line one\n"two" \\ \u001b[31m',
    };
    await database.sql`
      insert into export_logs ${database.sql({ ...values, config: database.sql.json({ a: [1, null] }) } as never)}`;
    await database.sql`
      update export_logs set file_size = 9007199254740991, timestamp = '2025-10-29 10:00:00.123999+00',
        expires_at = '2025-12-31 23:59:59.9999-05', updated_at = '0001-01-01 00:00:00+00'`;
    const [created] = await database.sql<{ at: Date }[]>`select created_at as at from export_logs`;

    expect(await service.getExportLog(values.export_id)).toEqual({
      ...values,
      config: { a: [1, null] },
      file_size: 9_007_199_254_740_991,
      timestamp: '2025-10-29T10:00:00.123Z',
      expires_at: '2026-01-01T04:59:59.999Z',
      created_at: created?.at.toISOString(),
      updated_at: '0001-01-01T00:00:00.000Z',
    });
  });

  it('shows times without ISO form as PostgreSQL prints them', async () => {
    const { export_id: id } = await service.createExportLog(anInput());
    await database.sql`
      update export_logs set timestamp = '-infinity', expires_at = 'infinity', updated_at = '12345-06-07 UTC'`;
    expect(await service.getExportLog(id)).toMatchObject({
      timestamp: '-infinity',
      expires_at: 'infinity',
      updated_at: expect.stringContaining('12345') as string,
    });
  });

  it('refuses a size that a number cannot hold, rather than showing another', async () => {
    const { export_id: id } = await service.createExportLog(anInput());
    await database.sql`update export_logs set file_size = 9007199254740993`;
    expect(await refusal(service.getExportLog(id))).toBe(
      `LoraExportError E_DATA: The file_size of export ${id} is too large to be true.`,
    );
  });

  it('reads the rows of exports, whose configuration repeats them', async () => {
    await addConversation(database.sql, { conversation_id: 'a' });
    const { result } = await runExport(database, { format: 'json', scope: 'selected', ids: ['a'] });
    const log = await service.getExportLog(result.exportId);

    expect(log).toMatchObject({
      user_id: result.userId,
      format: 'json',
      status: 'completed',
      conversation_count: 1,
      file_size: result.size,
      config: { ids: ['a'], result: expect.anything() as unknown },
    });
    const again = await runExport(database, requestOfConfig(log?.config, 'It'));
    expect(again.result).toMatchObject({ format: 'json', scope: 'selected' });
    expect(again.bytes.length).toBe(result.size);
  });

  it('shows an empty configuration where another program stored no object', async () => {
    const { export_id: id } = await service.createExportLog(anInput());
    for (const config of ['null', '3', '"text"', '[1]']) {
      await database.sql`update export_logs set config = ${config}::text::jsonb`;
      expect((await service.getExportLog(id))?.config).toEqual({});
      expect(await refusal(service.updateExportLog(id, { config: { result: {} } }))).toMatch(
        /^LoraExportError E_AUDIT: Failed to update export log: .*SQLSTATE/,
      );
    }
  });
});

describe('listExportLogs', () => {
  const userId = randomUUID();

  const dayOf = (index: number) => `2025-10-${String(index + 1).padStart(2, '0')}T12:00:00Z`;

  async function addRows(
    count: number,
    values: { format?: string; status?: string; timestamp?: string } = {},
  ): Promise<void> {
    for (let index = 0; index < count; index++) {
      const { format = 'jsonl', status = 'completed', timestamp = dayOf(index) } = values;
      // As text: the driver would cut the microseconds off.
      await database.sql`
        insert into export_logs (user_id, format, config, conversation_count, status, timestamp)
        values (${userId}, ${format}, '{}', ${index}, ${status}, ${timestamp}::text::timestamptz)`;
    }
  }

  it('shows the newest first, 25 to a page, with the total of all', async () => {
    await addRows(30);
    await service.createExportLog(anInput());
    const first = await service.listExportLogs(userId);
    const second = await service.listExportLogs(userId, {}, { page: 2 });
    const beyond = await service.listExportLogs(userId, {}, { page: 3 });

    expect(first.logs.map((log) => log.conversation_count)).toEqual(
      Array.from({ length: 25 }, (_, index) => 29 - index),
    );
    expect(second.logs.map((log) => log.conversation_count)).toEqual([4, 3, 2, 1, 0]);
    expect(beyond).toEqual({ logs: [], total: 30 });
    expect([first.total, second.total]).toEqual([30, 30]);
    expect(first.logs[0]).toEqual(await service.getExportLog(first.logs[0]?.export_id as string));
  });

  it('gives rows of the same time an order of their own, so that pages neither repeat nor omit any', async () => {
    await addRows(20, { timestamp: '2025-10-01T00:00:00Z' });
    const session = await database.sql.reserve();
    // The index has that order anyway.
    await session`select set_config('enable_indexscan', 'off', false), set_config('enable_bitmapscan', 'off', false)`;
    const ids: string[] = [];
    for (const page of [1, 2, 3, 4, 5]) {
      const { logs } = await createExportService(session).listExportLogs(userId, {}, { page, limit: 4 });
      ids.push(...logs.map((log) => log.export_id));
    }
    await session`reset all`;
    session.release();
    expect(new Set(ids).size).toBe(20);
    expect(ids).toEqual(ids.toSorted().toReversed());
  });

  it('filters by format and by status', async () => {
    await addRows(2);
    await addRows(1, { format: 'csv' });
    await addRows(1, { format: 'csv', status: 'failed' });
    const total = async (filters: object) => (await service.listExportLogs(userId, filters)).total;
    expect(await total({})).toBe(4);
    expect(await total({ format: 'csv' })).toBe(2);
    expect(await total({ status: 'completed' })).toBe(3);
    expect(await total({ format: 'csv', status: 'failed' })).toBe(1);
    expect(await total({ format: 'markdown' })).toBe(0);
  });

  it('includes both ends of a range, a date as its whole day in UTC, whatever the zone of the session', async () => {
    const times = [
      '2025-10-28T23:59:59.999999Z',
      '2025-10-29T00:00:00Z',
      '2025-10-29T12:00:00.123456Z',
      '2025-10-29T23:59:59.999999Z',
      '2025-10-30T00:00:00Z',
    ];
    for (const timestamp of times) await addRows(1, { timestamp });
    await database.sql.reserve().then(async (session) => {
      await session`set time zone 'Asia/Tokyo'`;
      await session`set datestyle = 'SQL, DMY'`;
      const found = async (dateFrom?: string, dateTo?: string) => {
        const filters = { ...(dateFrom && { dateFrom }), ...(dateTo && { dateTo }) };
        const { logs } = await createExportService(session).listExportLogs(userId, filters);
        return logs.map((log) => log.timestamp.slice(8, 23));
      };
      expect(await found('2025-10-29', '2025-10-29')).toEqual([
        '29T23:59:59.999',
        '29T12:00:00.123',
        '29T00:00:00.000',
      ]);
      expect(await found('2025-10-29T12:00:00.123Z', '2025-10-29T12:00:00.123Z')).toEqual([
        '29T12:00:00.123',
      ]);
      expect(await found('2025-10-29T12:00:00.123456Z', '2025-10-29T12:00:00.123456Z')).toHaveLength(1);
      expect(await found(undefined, '2025-10-29T12:00:00.123455Z')).toHaveLength(2);
      expect(await found('2025-10-29T12:00:00.123457Z')).toHaveLength(2);
      expect(await found('2025-10-30T09:00:00+09:00')).toEqual(['30T00:00:00.000']);
      expect(await found(undefined, '2025-10-28')).toHaveLength(1);
      await session`reset all`;
      session.release();
    });
  });

  it.each([
    [{}, { page: 0 }, 'page: must be at least 1'],
    [{}, { limit: 101 }, 'limit: must be at most 100'],
    [{}, { limit: 0 }, 'limit: must be at least 1'],
    [{ format: 'md' }, {}, 'format: must be one of'],
    [{ dateFrom: '2025-02-30' }, {}, 'dateFrom: must be a date'],
    [{ dateTo: '2025-10-29T10:00:00' }, {}, 'dateTo: must be a date'],
    [{ dateFrom: '2025-10-30', dateTo: '2025-10-29' }, {}, 'dateFrom: must not be after dateTo'],
    [{ user: 'x' }, {}, 'user'],
  ])('refuses %j with %j', async (filters, pagination, message) => {
    const told = await refusal(service.listExportLogs(userId, filters as never, pagination));
    expect(told).toContain('LoraExportError E_USAGE: Failed to list export logs: ');
    expect(told).toContain(message);
  });

  it('takes the largest page, and finds nobody under what is no UUID', async () => {
    await addRows(1);
    expect(await service.listExportLogs('test-user-id')).toEqual({ logs: [], total: 0 });
    const last = await service.listExportLogs(userId, {}, { page: 2_147_483_647, limit: 100 });
    expect(last).toEqual({ logs: [], total: 1 });
  });
});

describe('updateExportLog', () => {
  it('changes what is given and nothing else, and the time of the change', async () => {
    const before = await service.createExportLog(anInput({ status: 'processing' }));
    const after = await service.updateExportLog(before.export_id, {
      status: 'completed',
      file_size: 5_000_000_000,
      file_url: 'file:///exports/a.jsonl',
      expires_at: '2030-01-01T00:00:00.000Z',
      conversation_count: 40,
      config: { result: { exported: 40, skipped: 2 } },
    });

    expect(after).toEqual({
      ...before,
      status: 'completed',
      file_size: 5_000_000_000,
      file_url: 'file:///exports/a.jsonl',
      expires_at: '2030-01-01T00:00:00.000Z',
      conversation_count: 40,
      config: { ...CONFIG, result: { exported: 40, skipped: 2 } },
      updated_at: expect.stringMatching(ISO) as string,
    });
    expect(await service.getExportLog(before.export_id)).toEqual(after);
  });

  it('sets the time of the change even when nothing else is given', async () => {
    const { export_id: id } = await service.createExportLog(anInput());
    await database.sql`update export_logs set updated_at = '2020-01-01', error_message = 'kept'`;
    const log = await service.updateExportLog(id, { status: undefined });
    expect(log.updated_at > '2025').toBe(true);
    expect(log.error_message).toBe('kept');
  });

  it('empties a column that is given as null', async () => {
    const { export_id: id } = await service.createExportLog(anInput());
    const full = { file_size: 1, file_url: 'x', expires_at: '2030-01-01T00:00:00.000Z', error_message: 'y' };
    expect(await service.updateExportLog(id, full)).toMatchObject(full);
    const empty = { file_size: null, file_url: null, expires_at: null, error_message: null };
    expect(await service.updateExportLog(id, empty)).toMatchObject(empty);
  });

  it('changes exactly one row', async () => {
    const [one, other] = [await service.createExportLog(anInput()), await service.createExportLog(anInput())];
    await service.updateExportLog(one.export_id, { error_message: 'only here' });
    expect(await service.getExportLog(other.export_id)).toEqual(other);
  });

  it('finds no export under an id that does not exist, be it a UUID or not', async () => {
    for (const id of [randomUUID(), 'non-existent-id', '']) {
      const told = await refusal(service.updateExportLog(id, { status: 'failed' }));
      expect(told).toBe(`ExportNotFoundError E_NOT_FOUND: Export not found: ${id}`);
    }
  });

  it('refuses to lead a status backwards', async () => {
    const { export_id: id } = await service.createExportLog(anInput({ status: 'completed' }));
    const attempt = service.updateExportLog(id, { status: 'queued' });
    expect(await refusal(attempt)).toBe(
      'LoraExportError E_AUDIT: Failed to update export log: this status is not allowed here.',
    );
    await expect(attempt).rejects.toMatchObject({ hint: expect.stringContaining('forward only') as string });
  });

  it.each([
    [{ user_id: randomUUID() }, 'user_id'],
    [{ file_size: -1 }, 'file_size: must be at least 0'],
    [{ file_size: 2 ** 53 }, 'file_size'],
    [{ error_message: 'a\0b' }, 'error_message: must be text without NUL'],
    [{ file_url: '\ud800' }, 'file_url: must be text without NUL'],
    [{ expires_at: 'tomorrow' }, 'expires_at: must be a time with its zone'],
    [{ config: { scope: 'all' } }, 'config'],
  ])('refuses %j', async (updates, message) => {
    const told = await refusal(service.updateExportLog(randomUUID(), updates as never));
    expect(told).toContain('LoraExportError E_USAGE: Failed to update export log: ');
    expect(told).toContain(message);
  });
});

describe('deleteExportLog', () => {
  it('removes exactly one row, with its companion', async () => {
    const [one, other] = [await service.createExportLog(anInput()), await service.createExportLog(anInput())];
    await database.sql`insert into export_runs (export_id) values (${one.export_id}), (${other.export_id})`;
    await service.deleteExportLog(one.export_id);

    const rows = await database.sql`
      select export_id from export_logs union all select export_id from export_runs`;
    expect(rows.map((row) => row['export_id'] as string)).toEqual([other.export_id, other.export_id]);
    expect(await refusal(service.deleteExportLog(one.export_id))).toBe(
      `ExportNotFoundError E_NOT_FOUND: Export not found: ${one.export_id}`,
    );
  });

  it('finds no export under an id that does not exist, be it a UUID or not', async () => {
    for (const id of [randomUUID(), 'non-existent-id', '']) {
      const told = await refusal(service.deleteExportLog(id));
      expect(told).toBe(`ExportNotFoundError E_NOT_FOUND: Export not found: ${id}`);
    }
  });

  it('keeps a row as long as it owns a managed file', async () => {
    const { export_id: id } = await service.createExportLog(anInput());
    await database.sql`insert into export_runs (export_id, storage_key) values (${id}, ${`${id}/a.jsonl`})`;
    expect(await refusal(service.deleteExportLog(id))).toBe(
      'LoraExportError E_AUDIT: Failed to delete export log: its file still exists.',
    );
    expect(await service.getExportLog(id)).not.toBeNull();

    await database.sql`update export_runs set file_deleted_at = now()`;
    await service.deleteExportLog(id);
    expect(await service.getExportLog(id)).toBeNull();
  });
});

describe('markExpiredExports', () => {
  /** Completed rows that expire so many seconds from now, by the clock of the server. */
  async function addCompleted(count: number, seconds: number | null): Promise<void> {
    await database.sql`
      insert into export_logs (user_id, format, config, conversation_count, status, expires_at)
      select gen_random_uuid(), 'jsonl', '{}', 1, 'completed', now() + ${seconds}::int * interval '1 second'
      from generate_series(1, ${count}::int)`;
  }

  it('marks completed exports whose time is over, once, and no other', async () => {
    await addCompleted(3, -1);
    await addCompleted(2, 3600);
    await addCompleted(1, null);
    await database.sql`
      insert into export_logs (user_id, format, config, conversation_count, status, expires_at)
      select gen_random_uuid(), 'jsonl', '{}', 1, status, now() - interval '1 day'
      from unnest(array['queued', 'processing', 'failed', 'expired']) status`;
    await database.sql`update export_logs set updated_at = '2020-01-01'`;

    expect(await service.markExpiredExports()).toBe(3);
    expect(await service.markExpiredExports()).toBe(0);
    const rows = await database.sql`
      select status, count(*)::int as n from export_logs group by status order by status`;
    expect(rows.map(({ status, n }) => `${String(status)} ${String(n)}`)).toEqual([
      'completed 3',
      'expired 4',
      'failed 1',
      'processing 1',
      'queued 1',
    ]);
    const [changed] = await database.sql`
      select count(*)::int as n from export_logs where updated_at > '2020-01-01'`;
    expect(changed?.['n']).toBe(3);
  });

  it('counts each row once when several mark at the same time', async () => {
    await addCompleted(200, -1);
    const counts = await Promise.all(Array.from({ length: 8 }, () => service.markExpiredExports()));
    expect(counts.reduce((sum, count) => sum + count)).toBe(200);
  });
});

describe('failures that are not about the log', () => {
  it('come back as the driver reports them when the network fails', async () => {
    const nowhere = postgres({ host: '127.0.0.1', port: 1, max: 1, connect_timeout: 5 });
    await expect(createExportService(nowhere).getExportLog(randomUUID())).rejects.toMatchObject({
      code: 'ECONNREFUSED',
    });
  });

  it('come back as they are when the login is refused', async () => {
    const client = clientWith({ database: 'there_is_no_such_database' });
    const error: unknown = await createExportService(client)
      .markExpiredExports()
      .catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(postgres.PostgresError);
    expect(error).toMatchObject({ code: '3D000' });
    await client.end({ timeout: 1 });
  });

  it('come back as they are when the server ends the session', async () => {
    const client = clientWith({});
    const [session] = await client<{ pid: number }[]>`select pg_backend_pid() as pid`;
    await database.sql.begin(async (tx) => {
      await tx`lock table export_logs in access exclusive mode`;
      const attempt = expect(createExportService(client).markExpiredExports()).rejects.not.toBeInstanceOf(
        LoraExportError,
      );
      // It waits for the lock before it is ended: an idle session would be replaced in silence.
      for (let waits = false; !waits;) {
        const rows = await tx`select from pg_locks where pid = ${session?.pid ?? 0} and not granted`;
        waits = rows.length > 0;
      }
      await tx`select pg_terminate_backend(${session?.pid ?? 0})`;
      await attempt;
    });
    await client.end({ timeout: 1 });
  });

  it('say so when the tables are missing', async () => {
    const elsewhere = createExportService(database.sql, { schema: 'no.such "schema"' });
    expect(await refusal(elsewhere.getExportLog(randomUUID()))).toBe(
      'LoraExportError E_SCHEMA: Failed to get export log: the audit tables are missing, or have another shape.',
    );
  });

  it('work on tables in another schema', async () => {
    await database.sql.unsafe('create schema "a.b"');
    await applyMigrations(database.sql, 'a.b');
    const elsewhere = createExportService(database.sql, { schema: 'a.b' });
    const { export_id: id } = await elsewhere.createExportLog(anInput());
    expect(await service.getExportLog(id)).toBeNull();
    expect(await elsewhere.updateExportLog(id, { error_message: 'x' })).toMatchObject({ export_id: id });
    await elsewhere.deleteExportLog(id);
    expect(await elsewhere.getExportLog(id)).toBeNull();
  });
});

describe('on a database with users and row level security', () => {
  let shimmed: TestDatabase;
  let anna: string;
  let bert: string;
  /** One export of each; Anna asks. */
  let own: string;
  let others: string;
  const absent = randomUUID();

  beforeAll(async () => {
    shimmed = await createDatabase('ready');
    await applyAuthShim(shimmed.sql);
    await applyMigrations(shimmed.sql);
  });
  afterAll(() => shimmed.drop());
  beforeEach(async () => {
    await shimmed.sql`truncate auth.users cascade`;
    [anna, bert] = [await addUser(shimmed.sql), await addUser(shimmed.sql)];
    own = await asAnna(async (annas) => (await annas.createExportLog(anInput({ user_id: anna }))).export_id);
    others = await asUser(shimmed.sql, bert, async (tx) => {
      return (await createExportService(tx).createExportLog(anInput({ user_id: bert }))).export_id;
    });
  });

  async function asAnna<T>(work: (service: ExportService) => Promise<T>): Promise<T> {
    return (await asUser(shimmed.sql, anna, (tx) => work(createExportService(tx)))) as T;
  }

  async function rowOf(id: string): Promise<unknown> {
    const [row] = await shimmed.sql`select * from export_logs where export_id = ${id}`;
    return row;
  }

  it('shows own rows; those of others are as absent as those that do not exist', async () => {
    await asAnna(async (annas) => {
      expect((await annas.getExportLog(own))?.user_id).toBe(anna);
      expect(await annas.getExportLog(others)).toBeNull();
      expect(await annas.getExportLog(absent)).toBeNull();
      expect((await annas.listExportLogs(anna)).logs.map((log) => log.export_id)).toEqual([own]);
      expect(await annas.listExportLogs(bert)).toEqual({ logs: [], total: 0 });
      expect(await annas.listExportLogs(absent)).toEqual({ logs: [], total: 0 });
    });
  });

  it('changes own rows only, and gives the same answer for those of others and those that do not exist', async () => {
    const before = await rowOf(others);
    await asAnna(async (annas) => {
      expect(await annas.updateExportLog(own, { status: 'failed', error_message: 'x' })).toMatchObject({
        status: 'failed',
        error_message: 'x',
      });
      for (const id of [others, absent]) {
        expect(await refusal(annas.updateExportLog(id, { status: 'failed' }))).toBe(
          `ExportNotFoundError E_NOT_FOUND: Export not found: ${id}`,
        );
      }
    });
    expect(await rowOf(others)).toEqual(before);
  });

  it('deletes nothing for a user: own rows are refused, those of others do not exist', async () => {
    await asAnna(async (annas) => {
      expect(await refusal(annas.deleteExportLog(own))).toBe(
        `ExportPermissionError E_DB_ACCESS: Permission denied for export: ${own}`,
      );
      for (const id of [others, absent]) {
        expect(await refusal(annas.deleteExportLog(id))).toBe(
          `ExportNotFoundError E_NOT_FOUND: Export not found: ${id}`,
        );
      }
    });
    expect([await rowOf(own), await rowOf(others)]).not.toContain(undefined);
  });

  it('creates no row in the name of another user, nor a finished one', async () => {
    // Not in a transaction, where the driver would report its own error beside ours.
    const session = await shimmed.sql.reserve();
    await session`select set_config('request.jwt.claims', ${JSON.stringify({ sub: anna })}, false)`;
    await session`set role authenticated`;
    const annas = createExportService(session);
    expect(await refusal(annas.createExportLog(anInput({ user_id: bert })))).toMatch(
      /^ExportPermissionError E_DB_ACCESS: Permission denied for export: [0-9a-f-]{36}$/,
    );
    expect(await refusal(annas.createExportLog(anInput({ user_id: anna, status: 'completed' })))).toBe(
      'LoraExportError E_AUDIT: Failed to create export log: this status is not allowed here.',
    );
    await session`reset all`;
    await session`reset role`;
    session.release();
    const rows = await shimmed.sql`select count(*)::int as n from export_logs`;
    expect(rows[0]?.['n']).toBe(2);
  });

  it('marks own exports as expired only', async () => {
    await shimmed.sql`update export_logs set status = 'processing'`;
    await shimmed.sql`
      update export_logs set status = 'completed', expires_at = now() - interval '1 hour'`;
    expect(await asAnna((annas) => annas.markExpiredExports())).toBe(1);
    expect(await rowOf(own)).toMatchObject({ status: 'expired' });
    expect(await rowOf(others)).toMatchObject({ status: 'completed' });
  });

  it('shows nothing to a session that names no user', async () => {
    await shimmed.sql.begin(async (tx) => {
      await tx`set local role authenticated`;
      const nobody = createExportService(tx);
      expect(await nobody.getExportLog(own)).toBeNull();
      expect(await nobody.listExportLogs(anna)).toEqual({ logs: [], total: 0 });
      expect(await refusal(nobody.updateExportLog(own, {}))).toContain('ExportNotFoundError');
      expect(await nobody.markExpiredExports()).toBe(0);
    });
  });

  it('does all of it for a role that policies do not bind', async () => {
    await shimmed.sql.begin(async (tx) => {
      await tx`set local role service_role`;
      const admin = createExportService(tx);
      expect((await admin.getExportLog(others))?.user_id).toBe(bert);
      expect(await admin.updateExportLog(others, { error_message: 'x' })).toMatchObject({ user_id: bert });
      await admin.deleteExportLog(others);
      expect(await admin.getExportLog(others)).toBeNull();
      expect(await admin.getExportLog(own)).not.toBeNull();
    });
  });

  it('says that permission is denied where the role lacks a grant, for every method', async () => {
    const role = `${shimmed.name}_reader`;
    await shimmed.sql.unsafe(`create role ${role}; grant usage on schema public to ${role}`);
    try {
      const denied = 'ExportPermissionError E_DB_ACCESS: Permission denied for export: ';
      const attempts: [string, (service: ExportService) => Promise<unknown>][] = [
        ['', (it) => it.createExportLog(anInput({ user_id: anna }))],
        [own, (it) => it.getExportLog(own)],
        ['*', (it) => it.listExportLogs(anna)],
        [own, (it) => it.updateExportLog(own, {})],
        [own, (it) => it.deleteExportLog(own)],
        ['*', (it) => it.markExpiredExports()],
      ];
      for (const [id, attempt] of attempts) {
        const session = await shimmed.sql.reserve();
        await session.unsafe(`set role ${role}`);
        expect(await refusal(attempt(createExportService(session)))).toContain(denied + id);
        await session`reset role`;
        session.release();
      }
    } finally {
      await shimmed.sql.unsafe(`drop owned by ${role}; drop role ${role}`);
    }
  });

  it('refuses a user whom the database does not know', async () => {
    const attempt = createExportService(shimmed.sql).createExportLog(anInput());
    expect(await refusal(attempt)).toBe(
      'LoraExportError E_AUDIT: Failed to create export log: the database does not know this user.',
    );
  });

  it('tells a refusal apart from an absence for a row that may be seen but not changed', async () => {
    await shimmed.sql.unsafe(`create policy everybody on export_logs for select using (true)`);
    try {
      await asAnna(async (annas) => {
        expect(await refusal(annas.updateExportLog(others, { error_message: 'x' }))).toBe(
          `ExportPermissionError E_DB_ACCESS: Permission denied for export: ${others}`,
        );
      });
    } finally {
      await shimmed.sql.unsafe(`drop policy everybody on export_logs`);
    }
  });
});

it('gives its errors the classes and names that callers look for', async () => {
  const error: unknown = await service.updateExportLog(randomUUID(), {}).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(ExportNotFoundError);
  expect(error).toBeInstanceOf(LoraExportError);
  expect(error).not.toBeInstanceOf(ExportPermissionError);
});
