import type { Conversation, ConversationField, Turn } from '../conversation.js';
import { Text } from '../bytes/text.js';
import { LoraExportError } from '../errors.js';
import {
  limitClause,
  matchesIds,
  orderByClause,
  whereClause,
  type Fragment,
  type Selection,
} from './selection.js';
import type { Snapshot } from './snapshot.js';
import { expressionOf } from './source-columns.js';
import type { Source } from './source.js';

/** A batch aims at so many bytes: enough to make round trips cheap, little enough to hold two in memory. */
const BATCH_BYTES = 4 * 1024 * 1024;

export interface ReadOptions {
  /** The members that the format reads; the others come as null. */
  readonly fields: readonly ConversationField[];
  /** Conversations per batch, at most. */
  readonly batchSize: number;
}

/** How many conversations a selection matches in the snapshot. */
export async function countConversations(
  snapshot: Snapshot,
  source: Source,
  selection: Selection,
): Promise<number> {
  const { connection } = snapshot;
  const { sql } = connection;
  const [row] = await connection.ask(
    () => sql<{ count: number }[]>`
      select count(*)::integer as count
      from (
        select from ${sql(source.schema)}.conversations c
        where ${whereClause(sql, source, selection)} ${limitClause(sql, selection)}
      ) matched`,
  );
  return (row as { count: number }).count;
}

/** The ids among `ids` that match no conversation, by either key, in the order given. */
export async function findMissingIds(
  snapshot: Snapshot,
  source: Source,
  ids: readonly string[],
): Promise<string[]> {
  const { connection } = snapshot;
  const { sql } = connection;
  const business = expressionOf(source, 'conversationId') ?? 'c.id::text';
  const rows = await connection.ask(
    () => sql<{ id: string; key: string }[]>`
      select c.id::text as id, ${sql.unsafe(business)} as key
      from ${sql(source.schema)}.conversations c where ${matchesIds(sql, source, ids)}`,
  );
  const found = new Set(rows.flatMap(({ id, key }) => [id, key]));
  // A UUID may be written in upper case; the database prints it in lower case.
  return ids.filter((id) => !found.has(id) && !found.has(id.toLowerCase()));
}

/** The statement that an export runs, with `$n` for its parameters, as the server accepted it. */
export async function describeStatement(
  snapshot: Snapshot,
  source: Source,
  selection: Selection,
  fields: readonly ConversationField[],
): Promise<string> {
  const { connection } = snapshot;
  const statement = selectStatement(snapshot, source, selection, fields);
  const { string } = await connection.ask(() => connection.sql`${statement}`.describe());
  return string;
}

/**
 * Reads the selected conversations, whole and in order, in batches. The next batch is already on its way while one is
 * being worked on.
 *
 * The design follows measurements: a row is one conversation; the turns travel as two aggregates, their lengths and
 * roles, and all their contents run together; nothing is decoded. Handing over objects per turn, or JSON built by the
 * server, costs two to three times as much.
 *
 * @throws LoraExportError when the database fails, or delivers something that cannot be taken apart
 */
export async function* readConversations(
  snapshot: Snapshot,
  source: Source,
  selection: Selection,
  { fields, batchSize }: ReadOptions,
): AsyncGenerator<Conversation[]> {
  const { connection } = snapshot;
  const { sql } = connection;
  const toConversation = rowMapper(fields);
  const fetch = (count: number): Promise<Row[]> =>
    connection.ask(() =>
      sql.unsafe(`fetch forward ${count} from lora_export_source`).raw(),
    ) as unknown as Promise<Row[]>;
  await connection.ask(
    () =>
      sql`declare lora_export_source no scroll cursor for ${selectStatement(snapshot, source, selection, fields)}`,
  );
  let next = fetch(Math.min(batchSize, 10));
  try {
    for (;;) {
      const rows = await next;
      if (rows.length === 0) return;
      const bytes = rows.reduce((sum, row) => sum + (row[row.length - 1]?.length ?? 0), 0);
      next = fetch(clamp(Math.floor((BATCH_BYTES * rows.length) / Math.max(bytes, 1)), 1, batchSize));
      // When the consumer fails meanwhile, nobody awaits this one; its failure is then no news.
      next.catch(() => undefined);
      yield rows.map(toConversation);
    }
  } finally {
    await next.catch(() => undefined);
  }
}

/** Columns as bytes in the order of {@link selectStatement}; NULL is null. */
type Row = readonly (Buffer | null)[];

/**
 * The columns: primary key, business key, one per field, then the turns: `shape` holds `number length roleLength:role`
 * for each (length -1 for NULL), and `contents` everything they say, run together.
 */
function selectStatement(
  { connection: { sql } }: Snapshot,
  source: Source,
  selection: Selection,
  fields: readonly ConversationField[],
): Fragment {
  const columns = [
    'c.id::text',
    expressionOf(source, 'conversationId') ?? 'c.id::text',
    ...fields.map((field) => expressionOf(source, field) ?? 'null'),
  ].map((expression, index) => `${expression} as column_${index}`);
  // octet_length counts in the server's encoding, but what arrives is UTF-8.
  const length = (text: string): string =>
    source.serverEncoding === 'UTF8' ? `octet_length(${text})` : `octet_length(convert_to(${text}, 'UTF8'))`;
  const shape = `t.turn_number || ' ' || coalesce(${length('t.content')}, -1) || ' ' || ${length('t.role::text')} || ':' || t.role`;
  const tieBreak = source.turns.has('id') ? ', t.id' : '';
  return sql`
    select ${sql.unsafe(columns.join(', '))}, turns.shape, turns.contents
    from ${sql(source.schema)}.conversations c
    cross join lateral (
      select ${sql.unsafe(`string_agg(${shape}, '' order by t.turn_number${tieBreak}) as shape,
        string_agg(t.content, '' order by t.turn_number${tieBreak}) as contents`)}
      from ${sql(source.schema)}.conversation_turns t
      where t.conversation_id = ${sql.unsafe(`c.${source.parentKey}`)}
    ) turns
    where ${whereClause(sql, source, selection)}
    order by ${orderByClause(sql, source, selection)} ${limitClause(sql, selection)}`;
}

function rowMapper(fields: readonly ConversationField[]): (row: Row) => Conversation {
  const place = (field: ConversationField): number => fields.indexOf(field) + 2;
  const places = {
    title: place('title'),
    status: place('status'),
    tier: place('tier'),
    persona: place('persona'),
    emotion: place('emotion'),
    topic: place('topic'),
    qualityScore: place('qualityScore'),
    totalTurns: place('totalTurns'),
    totalTokens: place('totalTokens'),
    parentId: place('parentId'),
    parentType: place('parentType'),
    createdAt: place('createdAt'),
    updatedAt: place('updatedAt'),
    category: place('category'),
    parameters: place('parameters'),
    reviewHistory: place('reviewHistory'),
  };
  const shapePlace = fields.length + 2;
  // A field that was not asked for has place 1, the business key's: never shown.
  const textAt = (row: Row, index: number): Text | null => {
    const bytes = index < 2 ? null : row[index];
    return bytes == null ? null : new Text(bytes);
  };
  return (row) => ({
    id: String(row[0]),
    conversationId: new Text(row[1] ?? (row[0] as Buffer)),
    title: textAt(row, places.title),
    status: textAt(row, places.status),
    tier: textAt(row, places.tier),
    persona: textAt(row, places.persona),
    emotion: textAt(row, places.emotion),
    topic: textAt(row, places.topic),
    qualityScore: textAt(row, places.qualityScore),
    totalTurns: textAt(row, places.totalTurns),
    totalTokens: textAt(row, places.totalTokens),
    parentId: textAt(row, places.parentId),
    parentType: textAt(row, places.parentType),
    createdAt: textAt(row, places.createdAt),
    updatedAt: textAt(row, places.updatedAt),
    category: textAt(row, places.category),
    parameters: textAt(row, places.parameters),
    reviewHistory: textAt(row, places.reviewHistory),
    turns: parseTurns(row[shapePlace] ?? null, row[shapePlace + 1] ?? null),
  });
}

const EMPTY = Buffer.alloc(0);
const COMMON_ROLES = ['user', 'assistant', 'system'].map((role) => ({ role, bytes: Buffer.from(role) }));

/** Takes the two aggregates apart. */
function parseTurns(shape: Buffer | null, contents: Buffer | null): Turn[] {
  if (shape === null) return [];
  const turns: Turn[] = [];
  const text = contents ?? EMPTY;
  let offset = 0;
  for (let index = 0; index < shape.length;) {
    const number = readInteger(shape, index);
    const length = readInteger(shape, number.next);
    const roleLength = readInteger(shape, length.next);
    const roleEnd = roleLength.next + roleLength.value;
    const start = offset;
    offset += Math.max(length.value, 0);
    turns.push({
      number: number.value,
      role: readRole(shape, roleLength.next, roleEnd),
      content: length.value < 0 ? null : new Text(text, start, offset),
    });
    index = roleEnd;
  }
  if (offset !== text.length) {
    throw new LoraExportError(
      'E_INTERNAL',
      `The turns of a conversation do not add up: ${offset} bytes expected, ${text.length} delivered.`,
    );
  }
  return turns;
}

/** A decimal integer at `index` and where the next thing starts, behind the one byte that ends it. */
function readInteger(bytes: Buffer, index: number): { value: number; next: number } {
  const negative = bytes[index] === 0x2d;
  let next = negative ? index + 1 : index;
  let value = 0;
  for (let digit = (bytes[next] ?? 0) - 0x30; digit >= 0 && digit <= 9; digit = (bytes[next] ?? 0) - 0x30) {
    value = value * 10 + digit;
    next++;
  }
  return { value: negative ? -value : value, next: next + 1 };
}

/** Roles are a handful of words: comparing bytes is cheaper than decoding one per turn. */
function readRole(bytes: Buffer, start: number, end: number): string {
  const common = COMMON_ROLES.find(
    (candidate) =>
      candidate.bytes.length === end - start &&
      candidate.bytes[0] === bytes[start] &&
      candidate.bytes.equals(bytes.subarray(start, end)),
  );
  return common?.role ?? bytes.toString('utf8', start, end);
}

function clamp(value: number, minimum: number, maximum: number): number {
  return Math.min(Math.max(value, minimum), maximum);
}
