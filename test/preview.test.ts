import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { parseDatabaseUrl } from '../src/db/target.js';
import { formatNames } from '../src/formats/index.js';
import { previewExport, type Preview } from '../src/preview.js';
import type { ExportRequestInput } from '../src/request.js';
import { targetNames } from '../src/targets/index.js';
import { HOSTILE_TEXTS } from './support/conversations.js';
import { createDatabase, type TestDatabase } from './support/database.js';
import { addConversation, failureOf, runExport } from './support/export.js';

let database: TestDatabase;
const hostile = HOSTILE_TEXTS.filter((text) => !text.includes('\0')).join(' ');

beforeAll(async () => {
  database = await createDatabase();
  const { sql } = database;
  const at = (minute: number) => ({ created_at: `2025-01-01T00:0${minute}:00Z` });
  await addConversation(sql, { conversation_id: 'empty', ...at(0) }, []);
  await addConversation(sql, { conversation_id: 'first', title: hostile, tier: 'template', ...at(1) }, [
    ['system', 'Be kind.'],
    ['user', hostile],
    ['assistant', 'answer one'],
    ['user', 'and then?'],
    ['assistant', 'answer two'],
  ]);
  await addConversation(sql, { conversation_id: 'second', tier: 'scenario', ...at(2) }, [
    ['user', 'one'],
    ['user', 'two'],
    ['assistant', '=1+1'],
    ['user', 'left over'],
  ]);
  await addConversation(sql, { conversation_id: 'third', ...at(3) });
});
afterAll(() => database.drop());

function preview(request: ExportRequestInput, count: number): Promise<Preview> {
  const context = { database: parseDatabaseUrl(database.url, 'the test') };
  return previewExport(request, context, count);
}

/** The only thing in a document that another moment changes. */
const withoutTime = (bytes: Buffer): string =>
  bytes
    .toString('utf8')
    .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, (time) => (time.startsWith('2025-01-01') ? time : '(now)'));

/** The ids that make an export write what a preview of so many conversations shows. */
const FIRST = ['first', 'second', 'third'];

const requests: [string, ExportRequestInput][] = [
  ...formatNames.map((format): [string, ExportRequestInput] => [format, { format }]),
  ['compact json', { format: 'json', layout: { compact: true } }],
  ['csv without byte order mark', { format: 'csv', layout: { bom: false, rawCells: true } }],
  ['expanded json', { format: 'json', expand: 'pairs' }],
  ['jsonl with a system prompt', { systemPrompt: { text: 'Be brief.' } }],
  ...targetNames
    .filter((target) => target !== 'openai-dpo')
    .map((target): [string, ExportRequestInput] => [`target ${target}`, { target }]),
  ['expanded target openai', { target: 'openai', expand: 'pairs' }],
];

describe.each(requests)('a preview as %s', (_name, request) => {
  it.each([1, 2, 3])('of %i shows the very bytes of an export of these conversations', async (count) => {
    const ids = FIRST.slice(0, count);
    const { bytes, conversations } = await preview(request, count);
    const exported = await runExport(database, { ...request, scope: 'selected', ids });
    expect(withoutTime(bytes)).toBe(withoutTime(exported.bytes));
    expect(conversations).toBe(exported.result.counts.written);
    expect(bytes.length).toBeGreaterThan(100);
  });
});

describe('a preview', () => {
  it('passes over what an export would skip, and says so', async () => {
    expect(await preview({}, 1)).toMatchObject({ conversations: 1, skipped: 1 });
    expect(await preview({ sort: { key: 'created_at', order: 'desc' } }, 3)).toMatchObject({
      conversations: 3,
      skipped: 0,
    });
    expect(await preview({}, 10)).toMatchObject({ conversations: 3, skipped: 1 });
  });

  it('shows the beginning of the whole export, line by line', async () => {
    const { text } = await runExport(database, { target: 'openai' });
    for (const count of [1, 2, 3]) {
      const { bytes } = await preview({ target: 'openai' }, count);
      expect(text.startsWith(bytes.toString('utf8'))).toBe(true);
      expect(bytes.toString('utf8').split('\n')).toHaveLength(count + 1);
    }
  });

  it('is the empty document when nothing is left', async () => {
    const { bytes, conversations, skipped } = await preview({ scope: 'selected', ids: ['empty'] }, 3);
    expect([bytes.length, conversations, skipped]).toEqual([0, 0, 1]);
    const none = await preview({ scope: 'filtered', filters: { tier: ['nothing'] }, format: 'json' }, 3);
    expect(JSON.parse(none.bytes.toString('utf8'))).toMatchObject({
      conversation_count: 0,
      conversations: [],
    });
  });

  it('leaves no row in the audit log, and needs none of its tables', async () => {
    await using bare = await createDatabase();
    await addConversation(bare.sql, { conversation_id: 'a' });
    const context = { database: parseDatabaseUrl(bare.url, 'the test') };
    await previewExport({ target: 'trl' }, context, 3);
    expect(await bare.sql`select 1 from export_logs`).toHaveLength(0);
    expect(await bare.sql`select 1 from export_runs`).toHaveLength(0);
    await bare.sql`drop table export_runs, export_logs`;
    expect((await previewExport({}, context, 3)).conversations).toBe(1);
  });

  it('fails as an export would on a request that cannot be', async () => {
    await failureOf(preview({ target: 'openai', format: 'csv' }, 3), 'E_USAGE');
    await failureOf(preview({ target: 'openai', shape: 'round' }, 3), 'E_USAGE');
    await failureOf(preview({ scope: 'selected', ids: ['nobody'] }, 3), 'E_DATA');
  });

  it('reads no further than it shows', async () => {
    const { bytes } = await preview({ batchSize: 1 }, 1);
    expect(bytes.toString('utf8').split('\n')).toHaveLength(2);
  });
});
