import { createHash } from 'node:crypto';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { planExport } from '../src/plan.js';
import { parseDatabaseUrl } from '../src/db/target.js';
import type { ExportRequestInput, SortKey } from '../src/request.js';
import { createDatabase, type TestDatabase } from './support/database.js';
import {
  addConversation,
  auditRows,
  collector,
  failureOf,
  HOST,
  parseLines,
  runExport,
} from './support/export.js';

const COUNT = 240;

/** Conversations of every status, tier and activity, with NULLs, ties and text that sorts differently by locale. */
const FILL = `
  insert into conversations (
    id, conversation_id, title, conversation_name, persona, emotion, topic, tier, status, category, quality_score,
    parent_id, parent_type, review_history, is_active, created_at, updated_at, created_by
  )
  select md5('c' || i)::uuid, 'conv_' || i,
    case when i % 13 = 0 then null else (array['Zebra', 'apple', 'Äpfel', 'zebra', '100%_sure', 'a\\b'])[i % 6 + 1] || i / 12 end,
    case when i % 26 = 0 then 'Named ' || i end,
    case when i % 5 > 0 then 'persona ' || i % 5 end,
    (array['calm', 'ANGRY', null])[i % 3 + 1],
    (array['debt', 'taxes', 'x_y', null])[i % 4 + 1],
    (array['template', 'scenario', 'edge_case'])[i % 3 + 1],
    (array['draft', 'generated', 'pending_review', 'approved', 'rejected', 'needs_revision', 'none', 'failed',
      'archived', 'approved', 'approved'])[i % 11 + 1],
    case i % 5 when 0 then '{a}' when 1 then '{a,"b, c"}' when 2 then '{"\\"q\\""}' when 3 then '{}' end::text[],
    case when i % 10 > 0 then (i * 37 % 101) / 10.0 end,
    case when i % 4 = 0 then md5('parent' || i % 8)::uuid end,
    case when i % 4 = 0 then 'template' end,
    '[{"action":"approved"}]',
    case i % 7 when 0 then false when 1 then null else true end,
    case when i % 40 > 0 then timestamptz '2025-10-25 00:00:00Z' + i / 3 * interval '1 hour 37 min 12.345678 s' end,
    case when i % 30 > 0 then timestamptz '2025-12-01 00:00:00Z' - i / 2 * interval '1 hour' end,
    case when i % 6 > 0 then md5('owner' || i % 3)::uuid end
  from generate_series(1, ${COUNT}) i;
  insert into conversation_turns (conversation_id, turn_number, role, content)
  select md5('c' || i)::uuid, t, case when t % 2 = 1 then 'user' else 'assistant' end, 'turn ' || t || ' of ' || i
  from generate_series(1, ${COUNT}) i, generate_series(1, 2 + i % 3 * 2) t`;

const NOT_DELETED = 'is_active is not false';

describe('what is selected', () => {
  let database: TestDatabase;

  beforeAll(async () => {
    database = await createDatabase('ready');
    await database.sql.unsafe(FILL);
  });
  afterAll(() => database.drop());

  const cases: readonly [name: string, request: ExportRequestInput, where: string][] = [
    ['approved, without soft-deleted ones', {}, `status = 'approved' and ${NOT_DELETED}`],
    ['all, soft-deleted and archived ones too', { scope: 'all' }, 'true'],
    [
      'one tier',
      { scope: 'filtered', filters: { tier: ['scenario'] } },
      `tier = 'scenario' and ${NOT_DELETED}`,
    ],
    [
      'several tiers, one of them unknown',
      { scope: 'all', filters: { tier: ['scenario', 'edge_case', 'nonsense'] } },
      `tier in ('scenario', 'edge_case')`,
    ],
    [
      'several statuses',
      { scope: 'filtered', filters: { status: ['draft', 'archived'] } },
      `status in ('draft', 'archived') and ${NOT_DELETED}`,
    ],
    ['a least score', { scope: 'all', filters: { qualityScoreMin: 8 } }, 'quality_score >= 8'],
    ['a greatest score', { scope: 'all', filters: { qualityScoreMax: 2.5 } }, 'quality_score <= 2.5'],
    [
      'a range of scores with its ends',
      { scope: 'all', filters: { qualityScoreMin: 3.7, qualityScoreMax: 7.4 } },
      'quality_score between 3.7 and 7.4',
    ],
    [
      'a first day',
      { scope: 'all', filters: { dateFrom: '2025-10-28' } },
      `created_at >= '2025-10-28 00:00:00Z'`,
    ],
    [
      'a last day, to its end',
      { scope: 'all', filters: { dateTo: '2025-10-28' } },
      `created_at < '2025-10-29 00:00:00Z'`,
    ],
    [
      'one whole day',
      { scope: 'all', filters: { dateFrom: '2025-10-28', dateTo: '2025-10-28' } },
      `created_at >= '2025-10-28 00:00:00Z' and created_at < '2025-10-29 00:00:00Z'`,
    ],
    [
      'points in time with a zone',
      {
        scope: 'all',
        filters: { dateFrom: '2025-10-26T02:00:00+02:00', dateTo: '2025-10-27T12:00:00.5-05:00' },
      },
      `created_at >= '2025-10-26 00:00:00Z' and created_at <= '2025-10-27 17:00:00.5Z'`,
    ],
    ['a category', { scope: 'all', filters: { categories: ['a'] } }, `'a' = any(category)`],
    [
      'categories with quotes and commas',
      { scope: 'all', filters: { categories: ['b, c', '"q"'] } },
      `'b, c' = any(category) or '"q"' = any(category)`,
    ],
    [
      'personas',
      { scope: 'all', filters: { personas: ['persona 1', 'persona 3'] } },
      `persona in ('persona 1', 'persona 3')`,
    ],
    ['emotions', { scope: 'all', filters: { emotions: ['ANGRY'] } }, `emotion = 'ANGRY'`],
    ['topics', { scope: 'all', filters: { topics: ['x_y', 'debt'] } }, `topic in ('x_y', 'debt')`],
    [
      'words of any case in the title, the persona, the emotion or the topic',
      { scope: 'all', filters: { searchQuery: 'AngrY' } },
      `emotion = 'ANGRY'`,
    ],
    [
      'a word of the name that stands for a missing title',
      { scope: 'all', filters: { searchQuery: 'named ' } },
      'title is null and conversation_name is not null',
    ],
    ['a percent sign', { scope: 'all', filters: { searchQuery: '%' } }, `title like '100%'`],
    ['an underscore', { scope: 'all', filters: { searchQuery: '_' } }, `title like '100%' or topic = 'x_y'`],
    ['a backslash', { scope: 'all', filters: { searchQuery: '\\' } }, `strpos(title, chr(92)) > 0`],
    ['a quote that is no SQL', { scope: 'all', filters: { searchQuery: "' or true --" } }, 'false'],
    ['a parent', { scope: 'all', filters: { parentId: '1d665b9b-1467-944c-128a-5575119d1cfd' } }, 'false'],
    [
      'an excluded status',
      { scope: 'all', excludeStatus: ['archived', 'rejected'] },
      `status not in ('archived', 'rejected')`,
    ],
    ['approved less approved', { excludeStatus: ['approved'] }, 'false'],
    [
      'several filters at once, with a scope',
      { filters: { tier: ['template'], qualityScoreMin: 1, categories: ['a'], dateTo: '2025-10-27' } },
      `status = 'approved' and ${NOT_DELETED} and tier = 'template' and quality_score >= 1 and 'a' = any(category)
        and created_at < '2025-10-28 00:00:00Z'`,
    ],
  ];

  it.each(cases)('takes %s', async (_name, request, where) => {
    const expected = await database.sql.unsafe<{ conversation_id: string }[]>(
      `select conversation_id from conversations where ${where} order by created_at nulls last, id`,
    );
    const { ids, result } = await runExport(database, { ...request, allowEmpty: true });

    expect(ids).toEqual(expected.map((row) => row.conversation_id));
    expect(result.counts).toMatchObject({ matched: expected.length, written: expected.length, skipped: 0 });
  });

  it('proves something with nearly every case', async () => {
    const empty = [];
    for (const [name, , where] of cases) {
      const [row] = await database.sql.unsafe(`select count(*)::int as n from conversations where ${where}`);
      if (row?.['n'] === 0) empty.push(name);
    }
    expect(empty).toEqual(['a quote that is no SQL', 'a parent', 'approved less approved']);
  });

  it('takes the children of a parent and the conversations of an owner', async () => {
    for (const [column, key] of [
      ['parent_id', 'parentId'],
      ['created_by', 'createdBy'],
    ] as const) {
      const rows = await database.sql<{ conversation_id: string; value: string }[]>`
        select conversation_id, ${database.sql(column)}::text as value from conversations
        where ${database.sql(column)} is not null order by created_at nulls last, id`;
      const value = rows[0]?.value ?? '';
      const { ids } = await runExport(database, { scope: 'all', filters: { [key]: value } });
      expect(ids).toEqual(rows.filter((row) => row.value === value).map((row) => row.conversation_id));
    }
  });

  it('compares times to the microsecond', async () => {
    const [row] = await database.sql<{ at: string; n: number }[]>`
      select to_char(created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as at, count(*)::int as n
      from conversations where to_char(created_at, 'US') like '___678' group by created_at order by 1 limit 1`;
    const { at, n } = row as { at: string; n: number };

    const exact = await runExport(database, { scope: 'all', filters: { dateFrom: at, dateTo: at } });
    expect(exact.ids).toHaveLength(n);

    const later = at.replace('678Z', '679Z');
    const none = await runExport(database, {
      scope: 'all',
      filters: { dateFrom: later, dateTo: later },
      allowEmpty: true,
    });
    expect(none.ids).toEqual([]);
  });

  it('refuses a filtered export without a filter, and a JSONL export without turns', async () => {
    await failureOf(runExport(database, { scope: 'filtered' }), 'E_USAGE');
    await failureOf(runExport(database, { content: { includeFullContent: false } }), 'E_USAGE');
  });

  describe('by id', () => {
    let keys: readonly { id: string; key: string }[];

    beforeAll(async () => {
      keys = await database.sql<{ id: string; key: string }[]>`
        select id::text, conversation_id as key from conversations order by created_at nulls last, id limit 20`;
    });

    it('takes primary and business keys, in upper case and more than once, each conversation once', async () => {
      const some = keys.slice(0, 8);
      const ids = [
        ...some.map(({ id, key }, index) => (index % 2 === 0 ? id.toUpperCase() : key)),
        some[0]?.id ?? '',
        some[1]?.key ?? '',
        some[1]?.key ?? '',
      ].toReversed();
      const exported = await runExport(database, { scope: 'selected', ids });

      expect(exported.ids).toEqual(some.map(({ key }) => key));
      expect(exported.notices).toEqual([expect.stringMatching(/^2 ids .*more than once/)]);
    });

    it('takes soft-deleted and archived conversations when they are named', async () => {
      const [row] = await database.sql`
        select conversation_id from conversations where not is_active and status = 'archived' limit 1`;
      const { ids } = await runExport(database, {
        scope: 'selected',
        ids: [row?.['conversation_id'] as string],
      });
      expect(ids).toEqual([row?.['conversation_id']]);
    });

    it('refuses ids that match nothing and lists them', async () => {
      const ids = [keys[0]?.key ?? '', 'nobody', '00000000-0000-0000-0000-000000000000', 'CONV_1'];
      const error = await failureOf(runExport(database, { scope: 'selected', ids }), 'E_DATA');

      expect(error.message).toContain('3 of 4 ids');
      expect(error.message).toContain('nobody, 00000000-0000-0000-0000-000000000000, CONV_1');
      expect(await auditRows(database.sql, error.exportId)).toBeUndefined();
    });

    it('does not take a business key in another case for one that exists', async () => {
      const error = await failureOf(
        runExport(database, { scope: 'selected', ids: ['conv_1', 'CONV_1'] }),
        'E_DATA',
      );
      expect(error.message).toContain('1 of 2 ids');
    });

    it('shortens a long list of missing ids', async () => {
      const ids = Array.from({ length: 1_000 }, (_, index) => `missing_${index}`);
      const { message } = await failureOf(runExport(database, { scope: 'selected', ids }), 'E_DATA');
      expect(message).toContain('missing_9 and 990 more');
    });

    it('exports the others with ignoreMissing, and says which are missing', async () => {
      const exported = await runExport(database, {
        scope: 'selected',
        ids: ['nobody', keys[3]?.id ?? ''],
        ignoreMissing: true,
      });
      expect(exported.ids).toEqual([keys[3]?.key]);
      expect(exported.notices).toEqual([expect.stringContaining('nobody')]);
    });

    it('composes with filters', async () => {
      const rows = await database.sql<{ key: string; tier: string }[]>`
        select conversation_id as key, tier from conversations order by created_at nulls last, id limit 20`;
      const { ids } = await runExport(database, {
        scope: 'selected',
        ids: rows.map(({ key }) => key),
        filters: { tier: ['template'] },
      });
      expect(ids).toEqual(rows.filter(({ tier }) => tier === 'template').map(({ key }) => key));
    });
  });

  it.each(
    (['created_at', 'updated_at', 'quality_score', 'title', 'status', 'tier'] as const).flatMap((key) => [
      [key, 'asc'] as const,
      [key, 'desc'] as const,
    ]),
  )('sorts by %s %s, NULL last, equals by primary key', async (key: SortKey, order) => {
    const rows = await database.sql<{ id: string; key: string; value: string | null }[]>`
      select id::text, conversation_id as key,
        ${key.endsWith('_at') ? database.sql`to_char(${database.sql(key)} at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')` : database.sql`${database.sql(key)}::text`} as value
      from conversations`;
    const compare = (a: string, b: string): number =>
      key === 'quality_score' ? Number(a) - Number(b) : Buffer.compare(Buffer.from(a), Buffer.from(b));
    const expected = rows.toSorted((a, b) => {
      if (a.value !== b.value) {
        if (a.value === null) return 1;
        if (b.value === null) return -1;
        const difference = compare(a.value, b.value);
        if (difference !== 0) return order === 'asc' ? difference : -difference;
      }
      return a.id < b.id ? -1 : 1;
    });

    const { ids } = await runExport(database, { scope: 'all', sort: { key, order } });
    expect(ids).toEqual(expected.map((row) => row.key));

    const first = await runExport(database, { scope: 'all', sort: { key, order }, limit: 17 });
    expect(first.ids).toEqual(expected.slice(0, 17).map((row) => row.key));
    expect(first.result.counts.matched).toBe(17);
  });

  it('takes what there is when the limit is larger', async () => {
    expect((await runExport(database, { scope: 'all', limit: 2_147_483_647 })).ids).toHaveLength(COUNT);
  });

  it('writes the turns of each conversation in their order', async () => {
    const turns = await database.sql<{ key: string; role: string; content: string }[]>`
      select c.conversation_id as key, t.role, t.content from conversations c
      join conversation_turns t on t.conversation_id = c.id order by c.conversation_id, t.turn_number`;
    const { lines, result } = await runExport(database, { scope: 'all' });

    expect(result.counts.turns).toBe(turns.length);
    for (const { messages, metadata } of lines) {
      const expected = turns.filter(({ key }) => key === metadata?.['conversation_id']);
      expect(messages).toEqual(expected.map(({ role, content }) => ({ role, content })));
    }
  });

  it('gives the same bytes every time, whatever the batch size', async () => {
    const { bytes } = await runExport(database, { scope: 'all' });
    for (const batchSize of [1, 7, 100, COUNT / 2, COUNT, COUNT + 1, 10_000, 100]) {
      const again = await runExport(database, { scope: 'all', batchSize });
      expect(again.bytes.equals(bytes), `batch size ${batchSize}`).toBe(true);
      expect(again.result.sha256).toBe(createHash('sha256').update(bytes).digest('hex'));
    }
  });

  it('compresses the same bytes with gzip', async () => {
    const plain = await runExport(database, { scope: 'all' });
    const compressed = await runExport(database, { scope: 'all', gzip: true });

    expect(compressed.text).toBe(plain.text);
    expect(compressed.result.size).toBe(compressed.bytes.length);
    expect(compressed.result.size).toBeLessThan(plain.result.size);
    expect(compressed.result.sha256).toBe(createHash('sha256').update(compressed.bytes).digest('hex'));
    expect((await runExport(database, { scope: 'all', gzip: true })).bytes.equals(compressed.bytes)).toBe(
      true,
    );
  });

  const base = ['conversation_id', 'title', 'tier'];
  const labels = ['persona', 'emotion', 'topic'];
  it.each([
    [{}, [...base, 'quality_score', 'created_at', 'updated_at', ...labels]],
    [{ includeQualityScores: false }, [...base, 'created_at', 'updated_at', ...labels]],
    [{ includeTimestamps: false }, [...base, 'quality_score', ...labels]],
    [
      { includeApprovalHistory: true },
      [...base, 'quality_score', 'created_at', 'updated_at', 'review_history', ...labels],
    ],
    [
      { includeParentReferences: true },
      [...base, 'quality_score', 'created_at', 'updated_at', 'parent_id', 'parent_type', ...labels],
    ],
    [{ includeMetadata: false, includeApprovalHistory: true }, null],
  ] as const)('shows with %j the metadata %j on every line', async (content, keys) => {
    const { lines } = await runExport(database, { scope: 'all', content });
    expect(lines).toHaveLength(COUNT);
    for (const line of lines) {
      expect(Object.keys(line)).toEqual(keys === null ? ['messages'] : ['messages', 'metadata']);
      if (keys !== null) expect(Object.keys(line.metadata ?? {})).toEqual(keys);
    }
  });

  it('writes the values of the metadata as they are stored', async () => {
    const rows = await database.sql`
      select json_build_object('conversation_id', conversation_id, 'title', coalesce(title, conversation_name),
        'tier', tier, 'quality_score', quality_score,
        'created_at', to_char(created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
        'updated_at', to_char(updated_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
        'review_history', review_history, 'parent_id', parent_id, 'parent_type', parent_type,
        'persona', persona, 'emotion', emotion, 'topic', topic) as metadata
      from conversations order by created_at nulls last, id`;
    const { lines } = await runExport(database, {
      scope: 'all',
      content: { includeApprovalHistory: true, includeParentReferences: true },
    });
    expect(lines.map(({ metadata }) => metadata)).toEqual(rows.map((row) => row['metadata'] as unknown));
  });

  it('counts in the plan what the export matches, and writes nothing for it', async () => {
    const [before] = await database.sql`select count(*)::int as n from export_logs`;
    const plan = await planExport(
      { filters: { tier: ['template'] } },
      { database: parseDatabaseUrl(database.url, 'the test'), host: HOST, stream: collector().stream },
    );
    const [after] = await database.sql`select count(*)::int as n from export_logs`;

    expect(after).toEqual(before);
    const { result } = await runExport(database, { filters: { tier: ['template'] } });
    expect(plan.matched).toBe(result.counts.matched);
  });
});

describe('what is recorded', () => {
  let database: TestDatabase;
  let directory: string;

  beforeEach(async () => {
    database = await createDatabase('ready');
    directory = await mkdtemp(join(tmpdir(), 'lora-export-'));
  });
  afterEach(async () => {
    await database.drop();
    await rm(directory, { recursive: true });
  });

  it('fills the fourteen columns of the log for a managed file, which expires by the clock of the server', async () => {
    await addConversation(database.sql, { conversation_id: 'a', tier: 'scenario' });
    await addConversation(database.sql, { conversation_id: 'no turns', tier: 'scenario' }, []);
    const userId = 'a1b2c3d4-0000-4000-8000-000000000001';
    const { result, bytes } = await runExport(database, {
      output: { kind: 'managed', directory },
      retentionHours: 2,
      userId,
    });
    const { log, run } = (await auditRows(database.sql, result.exportId)) ?? { log: {}, run: {} };

    expect(Object.keys(log)).toEqual([
      'id',
      'export_id',
      'user_id',
      'timestamp',
      'format',
      'config',
      'conversation_count',
      'file_size',
      'status',
      'file_url',
      'expires_at',
      'error_message',
      'created_at',
      'updated_at',
    ]);
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    expect(log).toMatchObject({
      export_id: result.exportId,
      user_id: userId,
      format: 'jsonl',
      conversation_count: 1,
      file_size: String(bytes.length),
      status: 'completed',
      file_url: pathToFileURL(result.location).href,
      error_message: null,
    });
    const day = result.takenAt.slice(0, 10);
    expect(result.location).toBe(join(directory, result.exportId, `training-data-scenario-${day}-1.jsonl`));
    const [clock] = await database.sql`
      select expires_at - updated_at = interval '2 hours' as "inTwoHours", updated_at >= timestamp as ordered,
        to_char(expires_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as "expiresAt"
      from export_logs where export_id = ${result.exportId}`;
    expect(clock).toEqual({ inTwoHours: true, ordered: true, expiresAt: result.expiresAt });

    expect(log['config']).toEqual({
      version: 1,
      scope: 'approved',
      format: 'jsonl',
      includeMetadata: true,
      includeQualityScores: true,
      includeTimestamps: true,
      includeApprovalHistory: false,
      includeParentReferences: false,
      includeFullContent: true,
      filters: {},
      ignoreMissing: false,
      sort: { key: 'created_at', order: 'asc' },
      layout: { compact: false, bom: true, rawCells: false },
      gzip: false,
      strict: false,
      tokens: false,
      allowEmpty: false,
      force: false,
      batchSize: 100,
      allUsers: false,
      requireAll: false,
      output: { kind: 'managed', directory, retentionHours: 2 },
      source: expect.objectContaining({ schema: 'public', role: 'postgres' }) as unknown,
      user: 'given',
      tool: expect.stringMatching(/^lora-export \d/) as unknown,
      result: {
        matched: 2,
        exported: 1,
        skipped: 1,
        turns: 2,
        rows: 1,
        notes: {},
        tokens: null,
        size: bytes.length,
        sha256,
        taken_at: result.takenAt,
        row_security: false,
      },
    });
    expect(run).toMatchObject({
      phase: 'done',
      attempt: 1,
      worker_host: HOST,
      matched_count: 2,
      read_count: 2,
      written_count: 1,
      skipped_count: 1,
      skips: { 'no-turns': { count: 1, ids: ['no turns'] } },
      repairs: {},
      warnings: {},
      sha256,
      storage_key: `${result.exportId}/training-data-scenario-${day}-1.jsonl`,
      file_deleted_at: null,
    });
    expect(run['duration_ms']).toBe(String(result.durationMs));
  });

  it('never lets a file of the user, or a stream, expire', async () => {
    await addConversation(database.sql, { conversation_id: 'a' });
    for (const output of [
      { kind: 'file', path: join(directory, 'mine.jsonl') },
      { kind: 'directory', path: directory },
      { kind: 'stream' },
    ] as const) {
      const { result } = await runExport(database, { output });
      const audit = await auditRows(database.sql, result.exportId);
      expect(audit?.log).toMatchObject({
        status: 'completed',
        expires_at: null,
        file_url: output.kind === 'stream' ? null : pathToFileURL(result.location).href,
      });
      expect(audit?.run).toMatchObject({ storage_key: null });
      expect(result.expiresAt).toBeNull();
    }
    expect(await readdir(directory)).toHaveLength(2);
  });

  it('stores everything that decides the output', async () => {
    await addConversation(database.sql, { conversation_id: 'a' });
    const { result } = await runExport(database, {
      scope: 'selected',
      ids: ['a', 'b', 'a'],
      ignoreMissing: true,
      filters: { tier: ['template', "o'brien"] },
      excludeStatus: ['rejected'],
      sort: { key: 'title', order: 'desc' },
      limit: 5,
      gzip: true,
      content: { includeTimestamps: false },
      allowEmpty: true,
    });
    const audit = await auditRows(database.sql, result.exportId);
    expect(audit?.log['config']).toMatchObject({
      scope: 'selected',
      ids: ['a', 'b', 'a'],
      ignoreMissing: true,
      filters: { tier: ['template', "o'brien"] },
      excludeStatus: ['rejected'],
      sort: { key: 'title', order: 'desc' },
      limit: 5,
      gzip: true,
      includeTimestamps: false,
    });
  });

  it('stores the number and checksum of ids when there are very many', async () => {
    await addConversation(database.sql, { conversation_id: 'id_0' });
    const ids = Array.from({ length: 100_001 }, (_, index) => `id_${index}`);
    const { result } = await runExport(database, { scope: 'selected', ids, ignoreMissing: true });
    const audit = await auditRows(database.sql, result.exportId);
    expect(audit?.log['config']).toMatchObject({
      ids_count: 100_001,
      ids_sha256: createHash('sha256').update(ids.join('\n')).digest('hex'),
    });
    expect(audit?.log['config']).not.toHaveProperty('ids');
  });

  it('accounts for every conversation: written, skipped by rule, and reported', async () => {
    const { sql } = database;
    await sql`alter table conversation_turns alter content drop not null`;
    const wrong: Record<string, readonly (readonly [string, string | null])[]> = {
      'no-turns': [],
      'no-assistant': [['user', 'x']],
      'no-user': [
        ['system', 'x'],
        ['system', 'y'],
      ],
      'unknown-role': [
        ['user', 'x'],
        ['tool "é", \\', 'y'],
        ['assistant', 'z'],
      ],
      'null-content': [
        ['user', 'x'],
        ['assistant', null],
        ['user', ''],
        ['assistant', 'NULL'],
      ],
      'blank-answer': [
        ['user', 'x'],
        ['assistant', ' \t\u00a0\u2028\n'],
      ],
      'blank-content': [
        ['user', ' \t\u00a0\u2028\n'],
        ['assistant', 'y'],
      ],
      'starts-with-assistant': [
        ['assistant', 'x'],
        ['user', 'y'],
        ['assistant', 'z'],
      ],
      'late-system': [
        ['user', 'x'],
        ['system', 'y'],
        ['assistant', 'z'],
      ],
    };
    for (const [rule, turns] of Object.entries(wrong))
      await addConversation(sql, { conversation_id: rule }, turns);
    await addConversation(sql, { conversation_id: 'ends-with-user' }, [
      ['user', 'x'],
      ['assistant', 'y'],
      ['user', 'z'],
    ]);
    await addConversation(sql, { conversation_id: 'sound' });
    const { result, ids, reports } = await runExport(database, { sort: { key: 'created_at', order: 'asc' } });

    expect(ids).toEqual(['ends-with-user', 'sound']);
    // Both system turns and nobody who answers: the weightiest reason counts.
    const expected = Object.fromEntries(Object.keys(wrong).map((rule) => [rule, { count: 1, ids: [rule] }]));
    expected['no-assistant'] = { count: 2, ids: ['no-assistant', 'no-user'] };
    delete expected['no-user'];
    expect(result.counts).toEqual({
      matched: 11,
      written: 2,
      skipped: 9,
      turns: 5,
      rows: 2,
      skips: expected,
      repairs: {},
      warnings: { 'ends-with-user': { count: 1, ids: ['ends-with-user'] } },
      failures: {},
    });
    expect(reports.map(({ conversation_id, action, rule }) => [conversation_id, action, rule])).toEqual([
      ...Object.keys(wrong).map((rule) => [rule, 'skipped', rule === 'no-user' ? 'no-assistant' : rule]),
      ['ends-with-user', 'warned', 'ends-with-user'],
    ]);
    expect(reports.find(({ rule }) => rule === 'null-content')).toMatchObject({ turn: 2 });
    const audit = await auditRows(sql, result.exportId);
    expect(audit?.run).toMatchObject({ skips: expected, warnings: result.counts.warnings });
  });

  it.each([
    ['a skip', [['user', ' ']]],
    [
      'a warning',
      [
        ['user', 'x'],
        ['assistant', 'y'],
        ['user', 'z'],
      ],
    ],
  ] as const)('publishes nothing in strict mode after %s', async (_name, turns) => {
    await addConversation(database.sql, { conversation_id: 'sound' });
    await addConversation(database.sql, { conversation_id: 'flawed' }, turns);
    const error = await failureOf(
      runExport(database, { strict: true, output: { kind: 'directory', path: directory } }),
      'E_DATA',
    );
    expect(error.message).toContain('flawed');
    expect(await readdir(directory)).toEqual([]);
    expect((await auditRows(database.sql, error.exportId))?.log).toMatchObject({
      status: 'failed',
      file_url: null,
      error_message: error.message,
    });
  });

  it('fails when nothing matches, and leaves no file', async () => {
    await addConversation(database.sql, { conversation_id: 'a', status: 'draft' });
    const error = await failureOf(
      runExport(database, { output: { kind: 'directory', path: directory } }),
      'E_EMPTY',
    );

    expect(await readdir(directory)).toEqual([]);
    expect((await auditRows(database.sql, error.exportId))?.log).toMatchObject({
      status: 'failed',
      conversation_count: 0,
      error_message: 'No conversations matched.',
    });
  });

  it('fails when everything that matches is skipped, and leaves no file', async () => {
    for (const conversation_id of ['a', 'b']) await addConversation(database.sql, { conversation_id }, []);
    const error = await failureOf(runExport(database, { output: { kind: 'managed', directory } }), 'E_EMPTY');

    expect(error.message).toContain('no-turns in 2 (a, b)');
    expect(await readdir(directory)).toEqual(['.lora-export-directory']);
    expect((await auditRows(database.sql, error.exportId))?.log['status']).toBe('failed');
  });

  it.each([
    ['matches', []],
    ['is left', [['skipped', []]]],
  ] as const)('writes an empty file with allowEmpty when nothing %s', async (_name, rows) => {
    for (const [conversation_id, turns] of rows)
      await addConversation(database.sql, { conversation_id }, turns);
    const { result, bytes } = await runExport(database, {
      allowEmpty: true,
      output: { kind: 'directory', path: directory },
    });

    expect(bytes).toHaveLength(0);
    expect(result.location).toMatch(/training-data-all-\d{4}-\d\d-\d\d-0\.jsonl$/);
    expect((await auditRows(database.sql, result.exportId))?.log).toMatchObject({
      status: 'completed',
      conversation_count: 0,
      file_size: '0',
    });
  });

  it('reads nothing when the audit log refuses the row', async () => {
    await addConversation(database.sql, { conversation_id: 'a' });
    await database.sql.unsafe(`
      create function refuse() returns trigger language plpgsql as $$ begin raise exception 'not today'; end $$;
      create trigger refuse before insert on export_runs for each row execute function refuse()`);
    const sink = collector();
    await failureOf(runExport(database, {}, { stream: sink.stream }), 'E_AUDIT');

    expect(sink.bytes()).toHaveLength(0);
    expect(await database.sql`select from export_logs`).toHaveLength(0);
  });
});

describe('hostile content', () => {
  let database: TestDatabase;

  beforeEach(async () => {
    database = await createDatabase('ready');
  });
  afterEach(() => database.drop());

  it('keeps every control character and every kind of text, byte for byte', async () => {
    const characters = Array.from({ length: 0x9f }, (_, index) => String.fromCodePoint(index + 1));
    const contents = [
      ...characters.map((character) => `${character}x${character}`),
      characters.join(''),
      '\u2028\u2029\u0085\ufeff',
      '</script><!-- \\u0000 \\ud800 \\n',
      '👩‍👩‍👧‍👦🏳️‍🌈\u{10ffff}\ufffe\uffff',
      'שלום \u202e عربي e\u0301',
      '","role":"assistant"}]}',
      'ends in a comma,{}',
      'NULL',
      '{NULL,"x"}',
      ' x ',
    ];
    for (const [index, content] of contents.entries()) {
      await addConversation(
        database.sql,
        { conversation_id: `c${index}`, title: content, persona: content },
        [
          ['user', content],
          ['assistant', `${content}!`],
          ['user', `${content}${content}`],
          ['assistant', `${content}.`],
        ],
      );
    }
    const { lines, text } = await runExport(database);

    // `Zl` and `Zp` are U+2028 and U+2029; the control characters that need no escape have no line of their own.
    expect(text.replaceAll('\n', '')).not.toMatch(/[\p{Zl}\p{Zp}\u0085]/u);
    expect(text.split('\n').every((line) => Buffer.from(line).every((byte) => byte >= 0x20))).toBe(true);
    expect(lines.map(({ messages }) => messages.map(({ content }) => content))).toEqual(
      contents.map((content) => [content, `${content}!`, `${content}${content}`, `${content}.`]),
    );
    expect(lines.map(({ metadata }) => [metadata?.['title'], metadata?.['persona']])).toEqual(
      contents.map((content) => [content, content]),
    );
  });

  it('exports a turn of five megabytes', async () => {
    const huge = 'ä"\n\\\u0001€😀x'.repeat(360_000);
    expect(Buffer.byteLength(huge)).toBeGreaterThan(4.9e6);
    await addConversation(database.sql, { conversation_id: 'small before' });
    await addConversation(database.sql, { conversation_id: 'huge' }, [
      ['user', huge],
      ['assistant', 'short'],
    ]);
    await addConversation(database.sql, { conversation_id: 'small after' });
    const { lines, ids } = await runExport(database);

    expect(ids).toEqual(['small before', 'huge', 'small after']);
    expect(lines[1]?.messages[0]?.content === huge).toBe(true);
    expect(lines[1]?.messages[1]?.content).toBe('short');
  });

  it('exports a conversation of twenty thousand turns, in order', async () => {
    const id = await addConversation(database.sql, { conversation_id: 'long' }, []);
    await database.sql`
      insert into conversation_turns (conversation_id, turn_number, role, content)
      select ${id}, t, case t % 2 when 1 then 'user' else 'assistant' end, 'turn ' || t
      from generate_series(20000, 1, -1) t`;
    const { lines, result } = await runExport(database);

    expect(result.counts).toMatchObject({ written: 1, turns: 20_000, warnings: {} });
    expect(lines[0]?.messages.every(({ content }, index) => content === `turn ${index + 1}`)).toBe(true);
  });

  it('takes a missing, an empty and a literal NULL text apart', async () => {
    await database.sql`alter table conversation_turns alter content drop not null`;
    await addConversation(database.sql, { conversation_id: 'null' }, [
      ['user', null],
      ['assistant', 'a'],
    ]);
    await addConversation(database.sql, { conversation_id: 'empty' }, [
      ['user', ''],
      ['assistant', 'a'],
    ]);
    await addConversation(database.sql, { conversation_id: 'all null' }, [
      ['user', null],
      ['assistant', null],
    ]);
    await addConversation(database.sql, { conversation_id: 'word' }, [
      ['user', 'NULL'],
      ['assistant', ''],
    ]);
    await addConversation(database.sql, { conversation_id: 'fine' }, [
      ['user', 'NULL'],
      ['assistant', '""'],
    ]);
    const { reports, ids } = await runExport(database);

    expect(ids).toEqual(['fine']);
    expect(reports.map(({ conversation_id, rule }) => [conversation_id, rule])).toEqual([
      ['null', 'null-content'],
      ['empty', 'blank-content'],
      ['all null', 'null-content'],
      ['word', 'blank-answer'],
    ]);
  });
});

describe('while others write', () => {
  const CONVERSATIONS = 40;
  const FILLER = 'x'.repeat(20_000);
  let database: TestDatabase;

  beforeEach(async () => {
    database = await createDatabase('ready');
    for (let index = 0; index < CONVERSATIONS; index++) {
      await addConversation(database.sql, { conversation_id: `c${index}`, title: '0' }, turnsOf(0));
    }
  });
  afterEach(() => database.drop());

  /** As many turns as the version says, each of which tells the version. */
  function turnsOf(version: number): (readonly [string, string])[] {
    return Array.from({ length: 2 + (version % 3) * 2 }, (_, index) => [
      index % 2 === 0 ? 'user' : 'assistant',
      `${version} ${FILLER}`,
    ]);
  }

  /** One transaction: one conversation gets a new text, another is replaced by a new one. */
  async function disturb(version: number): Promise<void> {
    await database.sql.begin(async (tx) => {
      const [changed, removed] = await tx<{ id: string }[]>`
        select id from conversations order by md5(id::text || ${version}::text) limit 2`;
      await tx`delete from conversation_turns where conversation_id = ${changed?.id ?? ''}`;
      await tx`update conversations set title = ${String(version)} where id = ${changed?.id ?? ''}`;
      await tx`
        insert into conversation_turns ${tx(turnsOf(version).map(([role, content], index) => ({ conversation_id: changed?.id ?? '', turn_number: index + 1, role, content })))}`;
      await tx`delete from conversations where id = ${removed?.id ?? ''}`;
      await addConversation(
        tx,
        { conversation_id: `new${version}`, title: String(version) },
        turnsOf(version),
      );
    });
  }

  it('writes exactly what was there when the snapshot was taken, however slow the reader', async () => {
    let version = 0;
    for (let run = 0; run < 3; run++) {
      const expected = await database.sql<{ key: string; title: string; turns: string[] }[]>`
        select c.conversation_id as key, c.title, array_agg(t.role || t.content order by t.turn_number) as turns
        from conversations c join conversation_turns t on t.conversation_id = c.id
        group by c.id order by c.created_at, c.id`;
      const sink = collector(async () => {
        for (let count = 0; count < 5; count++) await disturb(++version);
      });
      await runExport(database, { batchSize: 3 }, { stream: sink.stream });

      expect(version, 'the writer ran during the export').toBeGreaterThanOrEqual((run + 1) * 5);
      const lines = parseLines(sink.bytes().toString());
      expect(
        lines.map(({ messages, metadata }) => ({
          key: metadata?.['conversation_id'],
          title: metadata?.['title'],
          turns: messages.map(({ role, content }) => role + content),
        })),
      ).toEqual([...expected]);
    }
  });

  it('reads what it has counted, although something else is committed in between', async () => {
    // The row of the log is committed after counting and before reading.
    await database.sql.unsafe(`
      create function disturb() returns trigger language plpgsql as $$
        begin
          update conversations set title = 'too late';
          delete from conversations where conversation_id = 'c0';
          insert into conversations (conversation_id, status) values ('too late', 'approved');
          return null;
        end $$;
      create trigger disturb after insert on export_runs for each row execute function disturb()`);
    const { lines, ids } = await runExport(database);

    expect(ids.map(String).toSorted()).toEqual(
      Array.from({ length: CONVERSATIONS }, (_, index) => `c${index}`).toSorted(),
    );
    expect(lines.every(({ metadata }) => metadata?.['title'] === '0')).toBe(true);
  });

  it('never mixes two states in ten exports under a busy writer', async () => {
    const over = new AbortController();
    const progress = { version: 0 };
    const writer = (async () => {
      while (!over.signal.aborted) await disturb(++progress.version);
    })();
    try {
      for (let run = 0; run < 10; run++) {
        const goal = progress.version + 3;
        const sink = collector(async () => {
          while (progress.version < goal) await nextTurn();
        });
        await runExport(database, { batchSize: 5 }, { stream: sink.stream });
        const lines = parseLines(sink.bytes().toString());

        expect(lines).toHaveLength(CONVERSATIONS);
        expect(new Set(lines.map(({ metadata }) => metadata?.['conversation_id'])).size).toBe(CONVERSATIONS);
        for (const { messages, metadata } of lines) {
          const told = Number(metadata?.['title']);
          expect(messages.map(({ content }) => content.split(' ')[0])).toEqual(
            turnsOf(told).map(() => String(told)),
          );
        }
      }
    } finally {
      over.abort();
      await writer;
    }
    expect(progress.version).toBeGreaterThan(20);
  });
});
