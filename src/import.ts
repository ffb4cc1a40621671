import type { Readable } from 'node:stream';
import type postgres from 'postgres';
import {
  type ImportTables,
  describeImportTables,
  findConversations,
  prepareImport,
} from './db/write-conversations.js';
import { explainRefusal, isRefusal } from './import/explain-refusal.js';
import { contentKey, isUuid, nameUuid } from './import/identity.js';
import { lineError } from './import/line-error.js';
import { never, unlessLost } from './import/lost-connection.js';
import { Notes } from './import/notes.js';
import { parentResolver } from './import/parents.js';
import { type ParsedLine, parseLine } from './import/parse-line.js';
import { type EntryDefaults, planEntry } from './import/plan-entry.js';
import { readLines } from './import/read-lines.js';
import { writeBatch } from './import/write-batch.js';

/** Where conversations go, and what new ones get that their lines lack. */
export interface ImportRequest {
  readonly schema: string;
  /** Default: `pending_review`, so that nothing is exported that nobody has looked at. */
  readonly status?: string;
  /** A user id. Default: none. */
  readonly createdBy?: string | null;
}

/** One JSONL input. */
export interface ImportInput {
  /** For messages. */
  readonly name: string;
  /** The bytes; gzip is recognised by its first two. Called once, the stream is destroyed at the end. */
  open(): Readable;
}

/** What became of one input. `inserted + updated + unchanged` is `lines` less the identical lines that were skipped. */
export interface ImportResult {
  readonly name: string;
  readonly lines: number;
  readonly inserted: number;
  readonly updated: number;
  readonly unchanged: number;
  /** Turns of the lines, written or found equal. */
  readonly turns: number;
  /** What was defaulted, dropped or resolved: how often, by a reason in plain words. */
  readonly notes: Record<string, number>;
  /** Of the input's bytes as stored (compressed, if they are), lower-case hexadecimal. */
  readonly sha256?: string;
}

export interface ImportOptions {
  /** Called after each batch with the number of lines that are in. */
  readonly onProgress?: (lines: number) => void;
  /** Stops the import; the promise then rejects with the signal's reason, and nothing of the input stays. */
  readonly signal?: AbortSignal;
}

const BATCH_LINES = 1000;
const BATCH_BYTES = 4 * 1024 * 1024;

/**
 * Loads one JSONL input into `conversations` and `conversation_turns`, in one transaction: all of it, or nothing.
 *
 * A line is a conversation with `turns`, or `messages` with an optional `metadata` as the JSONL export writes it. Lines
 * are known again by `conversation_id`: equal ones are not written, changed ones are updated with all of their turns, and
 * nothing is deleted. Missing keys leave a stored value alone; the counts of turns always follow the line.
 *
 * @param sql may be limited to one connection
 * @throws LoraExportError `E_DATA` naming file, line and path for what cannot be imported, `E_USAGE` for an unreadable
 *   input, `E_SCHEMA` for missing tables, `E_DB_ACCESS` where rights are missing; other errors of the driver unchanged
 */
export async function importConversations(
  sql: postgres.Sql,
  input: ImportInput,
  request: ImportRequest,
  options: ImportOptions = {},
): Promise<ImportResult> {
  const { signal } = options;
  signal?.throwIfAborted();
  const ended = new AbortController();
  const stop = signal === undefined ? ended.signal : AbortSignal.any([signal, ended.signal]);
  const load = async (tx: postgres.TransactionSql): Promise<ImportResult> => {
    try {
      return await unlessLost(() => loadInput(tx, input, request, stop, options.onProgress));
    } catch (error) {
      // The loss of an idle connection shows only in `begin`, which has rejected by now.
      await new Promise(setImmediate);
      if (ended.signal.aborted) return await never();
      throw error;
    }
  };
  try {
    return await sql.begin(load);
  } catch (error) {
    throw signal?.aborted ? signal.reason : error;
  } finally {
    ended.abort();
  }
}

async function loadInput(
  tx: postgres.TransactionSql,
  input: ImportInput,
  request: ImportRequest,
  stop: AbortSignal,
  onProgress: ImportOptions['onProgress'],
): Promise<ImportResult> {
  const tables = await describeImportTables(tx, request.schema);
  await prepareImport(tx, request.schema, stop);
  const loader = batchLoader(tx, input.name, tables, {
    status: request.status ?? 'pending_review',
    createdBy: request.createdBy ?? null,
  });
  const reader = readLines(input.open(), input.name, stop);
  let batch: ParsedLine[] = [];
  let batchBytes = 0;
  let lines = 0;
  const flush = async (): Promise<void> => {
    stop.throwIfAborted();
    await loader.load(batch);
    batch = [];
    batchBytes = 0;
    onProgress?.(lines);
  };
  for await (const line of reader.lines) {
    // Before it goes in, so that a huge line does not share memory with a batch that is nearly full.
    if (batch.length === BATCH_LINES || (batch.length > 0 && batchBytes + line.bytes.length > BATCH_BYTES))
      await flush();
    batch.push(parseLine(line, input.name));
    batchBytes += line.bytes.length;
    lines += 1;
  }
  if (batch.length > 0) await flush();
  const totals = await loader.finish();
  stop.throwIfAborted();
  return { name: input.name, lines, ...totals, sha256: reader.sha256() };
}

type Totals = Pick<ImportResult, 'inserted' | 'updated' | 'unchanged' | 'turns' | 'notes'>;

interface BatchLoader {
  load(lines: readonly ParsedLine[]): Promise<void>;
  /** Resolves the parents that stand after their children. */
  finish(): Promise<Totals>;
}

function batchLoader(
  tx: postgres.TransactionSql,
  file: string,
  tables: ImportTables,
  defaults: EntryDefaults,
): BatchLoader {
  const notes = new Notes();
  const keyColumn = tables.conversations.has('conversation_id') ? 'conversation_id' : 'id';
  const keysAreUuids = tables.conversations.get(keyColumn)?.type === 'uuid';
  const keyOf = (text: string): string => (keysAreUuids && isUuid(text) ? text.toLowerCase() : text);
  const seen = new Map<string, { readonly id: string; readonly line: number }>();
  const parents = parentResolver(tables, (key) => seen.get(key)?.id, keyOf, notes);
  const unchangedChildren = new Set<string>();
  const totals = { inserted: 0, updated: 0, unchanged: 0, turns: 0 };

  const withKeys = (lines: readonly ParsedLine[]): Map<string, ParsedLine> => {
    const keyed = new Map<string, ParsedLine>();
    for (const line of lines) {
      const given = line.fields.conversation_id ?? line.fields.id ?? undefined;
      const key = given === undefined ? contentKey(line.json, keysAreUuids) : keyOf(given);
      const earlier = seen.get(key)?.line ?? keyed.get(key)?.number;
      if (earlier === undefined) {
        keyed.set(key, line);
        if (given === undefined) notes.add('conversation_id missing: made from the text of the line');
        else if (!line.fields.conversation_id) notes.add('conversation_id missing: the id used');
      } else if (given === undefined) {
        notes.add('identical line already in the file: skipped');
      } else {
        throw lineError({ file, line: line.number }, `has the same conversation_id as line ${earlier}`);
      }
    }
    return keyed;
  };

  const identify = async (keyed: ReadonlyMap<string, ParsedLine>) => {
    const idFor = (key: string, line: ParsedLine): string =>
      line.fields.id?.toLowerCase() ?? (keyColumn === 'id' && isUuid(key) ? key : nameUuid(key));
    const wanted = new Map(
      [...keyed].map(([key, line]) => [key, keyColumn === 'id' ? idFor(key, line) : key]),
    );
    const searchable = [...wanted.values()].filter((value) => !keysAreUuids || isUuid(value));
    const stored = await findConversations(tx, tables, keyColumn, searchable);
    return [...keyed].map(([key, line]) => {
      const storedId = stored.get(wanted.get(key) ?? key);
      const id = storedId ?? idFor(key, line);
      if (line.fields.id && line.fields.id.toLowerCase() !== id)
        notes.add('id: the conversation exists and keeps its own');
      seen.set(key, { id, line: line.number });
      return { key, line, id, isNew: storedId === undefined };
    });
  };

  return {
    async load(lines) {
      const identified = await identify(withKeys(lines));
      const hasParents = tables.conversations.has('parent_id');
      const references = identified.flatMap(({ line }) => (hasParents ? (line.fields.parent_id ?? []) : []));
      const parentOf = await parents.lookUp(tx, references);
      const openChildren: string[] = [];
      const entries = identified.map(({ key, line, id, isNew }) => {
        const reference = hasParents ? (line.fields.parent_id ?? null) : null;
        const parent = reference === null ? { id: null, isOpen: false } : parentOf(reference, isNew);
        if (reference !== null && parent.isOpen) {
          parents.keepOpen(id, reference);
          openChildren.push(id);
        }
        return planEntry(line, { key, id, isNew, parentId: parent.id }, tables, defaults, notes);
      });
      const changed = await tx
        .savepoint((savepoint) => unlessLost(() => writeBatch(savepoint, tables, entries)))
        .catch(async (error: unknown) => {
          throw isRefusal(error) ? await explainRefusal(tx, tables, entries, file, error) : error;
        });
      const known = new Set(entries.filter((entry) => !entry.isNew).map((entry) => entry.id));
      totals.inserted += entries.length - known.size;
      totals.updated += changed.size;
      totals.unchanged += known.size - changed.size;
      totals.turns += entries.reduce((sum, entry) => sum + entry.line.turns.length, 0);
      for (const id of openChildren) if (known.has(id) && !changed.has(id)) unchangedChildren.add(id);
    },
    async finish() {
      const changed = await parents.close(tx);
      const late = changed.filter((id) => unchangedChildren.has(id)).length;
      totals.unchanged -= late;
      totals.updated += late;
      return { ...totals, notes: notes.toRecord() };
    },
  };
}
