import { readFile } from 'node:fs/promises';
import { Writable } from 'node:stream';
import { gunzipSync } from 'node:zlib';
import type postgres from 'postgres';
import { expect } from 'vitest';

import type { Conversation, ConversationField } from '../../src/conversation.js';
import { connect } from '../../src/db/connect.js';
import { readConversations } from '../../src/db/conversations.js';
import { withSnapshot, type Snapshot } from '../../src/db/snapshot.js';
import { inspectSource, type Source } from '../../src/db/source.js';
import { parseDatabaseUrl } from '../../src/db/target.js';
import { LoraExportError, type ErrorCode } from '../../src/errors.js';
import {
  exportConversations,
  type ExportContext,
  type ExportEvent,
  type ExportResult,
} from '../../src/export.js';
import { parseRequest, type ExportRequestInput } from '../../src/request.js';
import type { ReportLine } from '../../src/judging/tally.js';
import type { TestDatabase } from './database.js';

/** One line of a JSONL export. */
export interface ExportedLine {
  readonly messages: readonly { readonly role: string; readonly content: string }[];
  readonly metadata?: Readonly<Record<string, unknown>>;
}

/** A finished export with all that it said and wrote. */
export interface Exported {
  readonly result: ExportResult;
  /** As stored: compressed, if they are. */
  readonly bytes: Buffer;
  /** Uncompressed. */
  readonly text: string;
  /** None when the format is not JSONL. */
  readonly lines: readonly ExportedLine[];
  /** `metadata.conversation_id` of the lines, in order. */
  readonly ids: readonly unknown[];
  readonly reports: readonly ReportLine[];
  readonly events: readonly ExportEvent[];
  readonly notices: readonly string[];
}

/** Keeps what it is given; each write is acknowledged after `gate`, which makes a slow reader and must not reject. */
export function collector(gate: () => Promise<unknown> = () => Promise.resolve()) {
  const chunks: Buffer[] = [];
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      // The run reuses its memory as soon as the write is acknowledged.
      chunks.push(Buffer.from(chunk));
      void (async () => {
        await gate();
        done();
      })();
    },
  });
  return { stream, bytes: () => Buffer.concat(chunks) };
}

/** The name of the machine on which the tests pretend to run. */
export const HOST = 'test-host';

/** Runs an export in this process, by default into memory, and reads back what it wrote. */
export async function runExport(
  database: Pick<TestDatabase, 'url'>,
  request: ExportRequestInput = {},
  context: Partial<ExportContext> = {},
): Promise<Exported> {
  const sink = collector();
  const reports: ReportLine[] = [];
  const events: ExportEvent[] = [];
  const result = await exportConversations(request, {
    database: parseDatabaseUrl(database.url, 'the test'),
    host: HOST,
    stream: sink.stream,
    onReport: (line) => reports.push(line),
    ...context,
    onEvent(event) {
      events.push(event);
      context.onEvent?.(event);
    },
  });
  const isStream = result.location === 'standard output';
  const bytes = isStream ? sink.bytes() : await readFile(result.location);
  const text = (request.gzip ? gunzipSync(bytes) : bytes).toString('utf8');
  const isJsonl = (request.format ?? 'jsonl') === 'jsonl';
  const lines = isJsonl ? parseLines(text.replace(/^\u{feff}/u, '')) : [];
  return {
    result,
    bytes,
    text,
    lines,
    ids: lines.map(({ metadata }) => metadata?.['conversation_id']),
    reports,
    events,
    notices: events.flatMap((event) => (event.kind === 'notice' ? [event.text] : [])),
  };
}

/** Every line of a JSONL text, which must end with its newline. */
export function parseLines(text: string): ExportedLine[] {
  if (text === '') return [];
  expect(text.endsWith('\n')).toBe(true);
  return text
    .slice(0, -1)
    .split('\n')
    .map((line) => JSON.parse(line) as ExportedLine);
}

/** Awaits a failure of ours with this code and returns it. */
export async function failureOf(promise: Promise<unknown>, code: ErrorCode): Promise<LoraExportError> {
  const outcome = await promise.then(
    () => new Error(`no failure, expected ${code}`),
    (error: unknown) => error,
  );
  if (!(outcome instanceof LoraExportError)) throw outcome;
  expect(`${outcome.code}: ${outcome.message}`).toMatch(new RegExp(`^${code}: `));
  return outcome;
}

/** Both audit rows of an export as the driver returns them, or undefined. */
export async function auditRows(
  sql: postgres.ISql,
  exportId: string | undefined,
): Promise<{ log: Record<string, unknown>; run: Record<string, unknown> } | undefined> {
  const [log] = await sql`select * from export_logs where export_id = ${exportId ?? null}`;
  const [run] = await sql`select * from export_runs where export_id = ${exportId ?? null}`;
  return log === undefined || run === undefined ? undefined : { log, run };
}

/** Adds a conversation with its turns, numbered from 1, to the application's own tables. Returns its primary key. */
export async function addConversation(
  sql: postgres.ISql,
  values: Record<string, unknown> & { conversation_id: string },
  turns: readonly (readonly [role: string, content: string | null])[] = [
    ['user', 'question'],
    ['assistant', 'answer'],
  ],
): Promise<string> {
  const [row] = await sql<{ id: string }[]>`
    insert into conversations ${sql({ status: 'approved', ...values } as Record<string, string>)} returning id`;
  const id = row?.id ?? '';
  if (turns.length > 0) {
    await sql`
      insert into conversation_turns ${sql(turns.map(([role, content], index) => ({ conversation_id: id, turn_number: index + 1, role, content })))}`;
  }
  return id;
}

/** Does some work inside a snapshot of the product's own kind. */
export async function inSnapshot<T>(
  database: Pick<TestDatabase, 'url'>,
  schema: string,
  use: (snapshot: Snapshot, source: Source) => Promise<T>,
): Promise<T> {
  const connection = await connect(parseDatabaseUrl(database.url, 'the test'), {
    purpose: 'test',
    singleSession: true,
  });
  try {
    return await withSnapshot(connection, async (snapshot) =>
      use(snapshot, await inspectSource(connection, schema)),
    );
  } finally {
    await connection.close();
  }
}

/** Reads conversations as the formats would see them, with members that no format shows yet. */
export async function readMembers(
  database: Pick<TestDatabase, 'url'>,
  schema: string,
  fields: readonly ConversationField[],
): Promise<Conversation[]> {
  return inSnapshot(database, schema, async (snapshot, source) => {
    const selection = parseRequest({ scope: 'all', schema });
    const all: Conversation[] = [];
    for await (const batch of readConversations(snapshot, source, selection, { fields, batchSize: 100 })) {
      all.push(...batch);
    }
    return all;
  });
}
