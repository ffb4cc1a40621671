import type { Conversation, ConversationField, Turn } from '../conversation.js';
import { Text } from '../bytes/text.js';
import { parseArrayText } from './array-text.js';
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

/** A batch aims at so many bytes: enough to make round trips cheap, little enough to hold several in memory. */
const BATCH_BYTES = 4 * 1024 * 1024;
/** Batches requested before the last one has been worked on: the server then never waits for us to ask. */
const BATCHES_AHEAD = 2;

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
 * Reads the selected conversations, whole and in order, in batches. The next batches are already on their way while
 * one is being worked on.
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
  const fetch = (count: number): Promise<readonly Row[]> =>
    connection.ask(() => sql.unsafe(`fetch forward ${count} from lora_export_source`).raw());
  await connection.ask(
    () =>
      sql`declare lora_export_source no scroll cursor for ${selectStatement(snapshot, source, selection, fields)}`,
  );
  const request = (count: number): void => {
    const answer = fetch(count);
    // When the consumer fails meanwhile, nobody awaits this one; its failure is then no news.
    answer.catch(() => undefined);
    requested.push(answer);
  };
  // The size of conversations is not known yet: the first batches are small.
  const requested: Promise<readonly Row[]>[] = [];
  while (requested.length < BATCHES_AHEAD) request(Math.min(batchSize, 10));
  try {
    for (;;) {
      const rows = await (requested.shift() as Promise<readonly Row[]>);
      if (rows.length === 0) return;
      const bytes = rows.reduce((sum, row) => sum + (row.at(-1)?.length ?? 0), 0);
      request(clamp(Math.floor((BATCH_BYTES * rows.length) / Math.max(bytes, 1)), 1, batchSize));
      yield rows.map(toConversation);
    }
  } finally {
    await Promise.allSettled(requested);
  }
}

/** Columns as bytes in the order of {@link selectStatement}; NULL is null. */
type Row = readonly (Buffer | null)[];

/**
 * The columns: primary key, business key, one per field, then of the turns their numbers, lengths in bytes and roles as
 * arrays, and everything they say, run together. The turns are sorted once, below the aggregates, and not at all where
 * the index on (conversation_id, turn_number) exists; two turns of one number have no order, but then the checks skip
 * the conversation.
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
  const turns = `array_agg(t.turn_number) as numbers, array_agg(${length('t.content')}) as lengths,
    array_agg(t.role::text) as roles, string_agg(t.content, '') as contents`;
  return sql`
    select ${sql.unsafe(columns.join(', '))}, turns.numbers, turns.lengths, turns.roles, turns.contents
    from ${sql(source.schema)}.conversations c
    cross join lateral (
      select ${sql.unsafe(turns)}
      from (
        select t.turn_number, t.role, t.content
        from ${sql(source.schema)}.conversation_turns t
        where t.conversation_id = ${sql.unsafe(`c.${source.parentKey}`)}
        order by t.turn_number
      ) t
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
  const turnsPlace = fields.length + 2;
  const parseTurns = turnsParser();
  // A field that was not asked for has place 1, the business key's: never shown.
  const textAt = (row: Row, index: number): Text | null => {
    const bytes = index < 2 ? null : row[index];
    return bytes === null || bytes === undefined ? null : new Text(bytes);
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
    turns: parseTurns(row, turnsPlace),
  });
}

const EMPTY = Buffer.alloc(0);

/** Distinct texts of the arrays of numbers and roles that are kept parsed: most conversations share a few dozen. */
const MOST_KNOWN = 1_000;

/** Takes the four columns of the turns apart. */
function turnsParser(): (row: Row, place: number) => Turn[] {
  const known = new Map<string, readonly (string | null)[]>();
  const parse = (array: Buffer): readonly (string | null)[] => {
    const printed = array.toString('utf8');
    let elements = known.get(printed);
    if (elements === undefined) {
      elements = parseArrayText(printed);
      if (known.size < MOST_KNOWN) known.set(printed, elements);
    }
    return elements;
  };
  return (row, place) => {
    const [numbers, lengths, roles, contents] = row.slice(place);
    // Aggregates over no rows are NULL.
    if (!numbers || !lengths || !roles) return [];
    const text = contents ?? EMPTY;
    const turnNumbers = parse(numbers);
    const turnRoles = parse(roles);
    const turns: Turn[] = [];
    let start = 0;
    for (const [index, length] of parseArrayText(lengths.toString('latin1')).entries()) {
      const end = start + Number(length ?? 0);
      turns.push({
        number: Number(turnNumbers[index]),
        role: turnRoles[index] ?? '',
        content: length === null ? null : new Text(text, start, end),
      });
      start = end;
    }
    if (start !== text.length) {
      throw new LoraExportError(
        'E_INTERNAL',
        `The turns of conversation ${String(row[0])} do not add up: ${start} bytes announced, ${text.length} delivered.`,
      );
    }
    return turns;
  };
}

function clamp(value: number, minimum: number, maximum: number): number {
  return Math.min(Math.max(value, minimum), maximum);
}
