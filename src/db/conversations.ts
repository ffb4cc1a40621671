import type { Conversation, ConversationField } from '../conversation.js';
import { rowMapper } from './conversation-rows.js';
import type { Connection } from './connect.js';
import { identifier } from './identifier.js';
import { openLanes, readOverLanes, type Lanes } from './parallel-read.js';
import { takeRows, type RawRow } from './row-tap.js';
import {
  isUuid,
  limitClause,
  matchesIds,
  sortOrder,
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
/** The size of conversations is not known yet: the first batches are small. */
const FIRST_BATCH = 10;

export interface ReadOptions {
  /** The members that the format reads; the others come as null. */
  readonly fields: readonly ConversationField[];
  /** Conversations per batch, at most. */
  readonly batchSize: number;
  /** Further connections to read over. Default: none. */
  readonly lanes?: Lanes | undefined;
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
        select from ${identifier(sql, source.schema)}.conversations c
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
      from ${identifier(sql, source.schema)}.conversations c where ${matchesIds(sql, source, ids)}`,
  );
  const found = new Set(rows.flatMap(({ id, key }) => [id, key]));
  // A UUID may be written in upper case; the database prints it in lower case. Other keys are compared as they are.
  return ids.filter((id) => !found.has(id) && !(isUuid(id) && found.has(id.toLowerCase())));
}

/** The statement that an export runs, with `$n` for its parameters, as the server accepted it. */
export async function describeStatement(
  snapshot: Snapshot,
  source: Source,
  selection: Selection,
  fields: readonly ConversationField[],
): Promise<string> {
  const { connection } = snapshot;
  const statement = selectStatement(snapshot.connection.sql, source, selection, fields);
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
  options: ReadOptions,
): AsyncGenerator<Conversation[]> {
  const lanes = options.lanes === undefined ? [] : await openLanes(snapshot, source, options.lanes);
  if (lanes.length === 0) {
    yield* readOverOne(snapshot, source, selection, options);
    return;
  }
  const { connection } = snapshot;
  const { fields, batchSize } = options;
  yield* readOverLanes(connection, lanes, {
    ids: idsStatement(connection.sql, source, selection),
    byIds: (sql, ids) => selectStatement(sql, source, selection, fields, ids),
    toConversation: rowMapper(fields),
    firstSize: Math.min(batchSize, FIRST_BATCH),
    nextSize: (rows) => nextSize(rows, batchSize),
  });
}

async function* readOverOne(
  { connection }: Snapshot,
  source: Source,
  selection: Selection,
  { fields, batchSize }: ReadOptions,
): AsyncGenerator<Conversation[]> {
  const { sql } = connection;
  const toConversation = rowMapper(fields);
  await connection.ask(
    () =>
      sql`declare lora_export_source no scroll cursor for ${selectStatement(sql, source, selection, fields)}`,
  );
  const tap = connection.tapRows();
  const requested: Promise<{ count: number }>[] = [];
  const request = (count: number): void => {
    const answer = connection.ask(() => sql.unsafe(`fetch forward ${count} from lora_export_source`));
    // When the consumer fails meanwhile, nobody awaits this one; its failure is then no news.
    answer.catch(() => undefined);
    requested.push(answer);
  };
  while (requested.length < BATCHES_AHEAD) request(Math.min(batchSize, FIRST_BATCH));
  try {
    for (;;) {
      const { count } = await (requested.shift() as Promise<{ count: number }>);
      const rows = takeRows(tap, count);
      if (count === 0) return;
      request(nextSize(rows, batchSize));
      yield rows.map(toConversation);
    }
  } finally {
    await Promise.allSettled(requested);
    tap.end();
    // The transaction may read once more; after a failure it is over, and so is the cursor.
    await connection.ask(() => sql`close lora_export_source`).catch(() => undefined);
  }
}

/**
 * The columns: primary key, business key, one per field, then of the turns their numbers, lengths in bytes and roles as
 * arrays, and everything they say, run together.
 *
 * The conversations are put in order before their turns are joined to them: otherwise the planner sorts the joined rows,
 * all contents included, for sort keys without an index. Turns are sorted below the aggregates, at most a conversation's
 * at a time; two turns of one number have no order, but then the checks skip the conversation.
 *
 * @param ids those of conversations that are selected, as text: only they are read. Default: all that are selected
 */
function selectStatement(
  sql: Connection['sql'],
  source: Source,
  selection: Selection,
  fields: readonly ConversationField[],
  ids?: readonly string[],
): Fragment {
  const tokens = fields.includes('turnTokens') ? expressionOf(source, 'turnTokens') : null;
  const columns = [
    'c.id::text',
    expressionOf(source, 'conversationId') ?? 'c.id::text',
    ...fields.map((field) => (field === 'turnTokens' ? null : expressionOf(source, field)) ?? 'null'),
  ].map((expression, index) => `${expression} as column_${index}`);
  const shown = columns.map((_, index) =>
    tokens !== null && fields[index - 2] === 'turnTokens' ? tokens : `c.column_${index}`,
  );
  // octet_length counts in the server's encoding, but what arrives is UTF-8. (`content::text` below drops the blanks that
  // fill a `char(n)`: string_agg would drop them too, but only after they were counted.)
  const length = (text: string): string =>
    source.serverEncoding === 'UTF8' ? `octet_length(${text})` : `octet_length(convert_to(${text}, 'UTF8'))`;
  const turns = `array_agg(t.turn_number) as numbers, array_agg(${length('t.content')}) as lengths,
    array_agg(t.role::text) as roles, string_agg(t.content, '') as contents
    ${tokens === null ? '' : ', json_agg(t.token_count)::text as tokens'}`;
  const { key, direction } = sortOrder(sql, source, selection);
  return sql`
    select ${sql.unsafe(shown.join(', '))},
      turns.numbers, turns.lengths, turns.roles, turns.contents
    from (
      select ${sql.unsafe(columns.join(', '))}, ${sql.unsafe(`c.${source.parentKey}`)} as turns_key, c.id, ${key} as sort_key
      from ${identifier(sql, source.schema)}.conversations c
      where ${ids === undefined ? whereClause(sql, source, selection) : hasId(sql, source, ids)}
      order by sort_key ${direction}, c.id ${ids === undefined ? limitClause(sql, selection) : sql``}
    ) c
    cross join lateral (
      select ${sql.unsafe(turns)}
      from (
        select t.turn_number, t.role, t.content::text as content ${sql.unsafe(tokens === null ? '' : ', t.token_count')}
        from ${identifier(sql, source.schema)}.conversation_turns t
        where t.conversation_id = c.turns_key
        order by t.turn_number
      ) t
    ) turns
    order by c.sort_key ${direction}, c.id`;
}

/** The ids of what is selected, in the same order. */
function idsStatement(sql: Connection['sql'], source: Source, selection: Selection): Fragment {
  const { key, direction } = sortOrder(sql, source, selection);
  return sql`
    select c.id::text as id
    from ${identifier(sql, source.schema)}.conversations c
    where ${whereClause(sql, source, selection)}
    order by ${key} ${direction}, c.id ${limitClause(sql, selection)}`;
}

function hasId(sql: Connection['sql'], source: Source, ids: readonly string[]): Fragment {
  return sql`c.id = any(${ids as string[]}::text[]::${sql.unsafe(source.conversations.get('id') ?? 'text')}[])`;
}

function nextSize(rows: readonly RawRow[], batchSize: number): number {
  const bytes = rows.reduce((sum, { start, end }) => sum + end - start, 0);
  return clamp(Math.floor((BATCH_BYTES * rows.length) / bytes), 1, batchSize);
}

function clamp(value: number, minimum: number, maximum: number): number {
  return Math.min(Math.max(value, minimum), maximum);
}
