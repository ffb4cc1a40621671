import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { parseDatabaseUrl } from '../../src/db/target.js';
import { demoInputs } from '../../src/demo.js';
import { exportConversations, type ExportResult } from '../../src/export.js';
import { formatNames } from '../../src/formats/index.js';
import { importConversations } from '../../src/import.js';
import type { ExportRequestInput } from '../../src/request.js';
import { validateOutput } from '../../src/validate-output.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { collector } from '../support/export.js';
import { asHeldBy, READERS } from './readers.js';

let database: TestDatabase;
let directory: string;

beforeAll(async () => {
  database = await createDatabase('ready');
  directory = await mkdtemp(join(tmpdir(), 'lora-formats-'));
  for (const input of await demoInputs())
    await importConversations(database.sql, input, { schema: 'public' });
  await database.sql`update conversation_turns set token_count = char_length(content) where role = 'assistant'`;
});
afterAll(async () => {
  await database.drop();
  await rm(directory, { recursive: true });
});

async function run(request: ExportRequestInput): Promise<{ result: ExportResult; text: string }> {
  const { stream, bytes } = collector();
  const result = await exportConversations(request, {
    database: parseDatabaseUrl(database.url, 'the test'),
    host: 'test-host',
    stream,
  });
  const text = request.output?.kind === 'file' ? await readFile(result.location) : bytes();
  return { result, text: text.toString('utf8') };
}

describe.each(formatNames)('an export from a database as %s', (format) => {
  it('says what the others say, in small batches as in large ones, to a file as to a stream', async () => {
    const jsonl = await run({ format: 'jsonl', scope: 'all' });
    const path = join(directory, `export.${format}`);
    const file = await run({ format, scope: 'all', batchSize: 3, output: { kind: 'file', path } });
    const { result, text } = await run({ format, scope: 'all' });

    const withoutTime = (document: string): string => document.replace(/"export_date": ".*"/, '');
    expect(withoutTime(file.text)).toBe(withoutTime(text));
    expect(validateOutput(format, text)).toBe(true);
    expect(READERS[format](text)).toEqual(
      READERS.jsonl(jsonl.text).map((turns) => turns.map((content) => asHeldBy(format, content))),
    );
    expect(result.counts).toEqual(jsonl.result.counts);
    expect(result.counts.written).toBeGreaterThan(20);
    await rm(path);
    expect(await readdir(directory)).toEqual([]);
  });

  it('is a valid empty document when nothing matches and that is allowed', async () => {
    const { text, result } = await run({
      format,
      scope: 'filtered',
      filters: { searchQuery: 'no conversation says this' },
      allowEmpty: true,
    });
    expect(result.counts.written).toBe(0);
    expect(READERS[format](text)).toEqual([]);
  });
});

it('tells JSON how many tokens the turns have that were measured', async () => {
  const { text } = await run({ format: 'json', scope: 'all' });
  const { conversations, summary } = JSON.parse(text) as {
    conversations: { turns: { role: string; content: string; token_count?: number }[] }[];
    summary: { total_turns: number };
  };
  const turns = conversations.flatMap(({ turns }) => turns);
  expect(summary.total_turns).toBe(turns.length);
  for (const { role, content, token_count: count } of turns) {
    expect(count).toBe(role === 'assistant' ? Array.from(content).length : undefined);
  }
});
