import type postgres from 'postgres';
import { identifier } from './identifier.js';
import { isUuid, matchesIds, whereClause, type Fragment, type Selection } from './selection.js';
import type { Snapshot } from './snapshot.js';
import { expressionOf } from './source-columns.js';
import type { Source } from './source.js';

/** A conversation in a list to choose from; texts are as stored, so make them visible before showing them. */
export interface FoundConversation {
  /** Primary key. */
  readonly id: string;
  /** Business key; the primary key where the table has none. */
  readonly conversationId: string;
  readonly title: string | null;
  readonly status: string | null;
  readonly tier: string | null;
  /** As stored, which may be stale; null where it is not. */
  readonly turns: number | null;
}

/** Where a list goes on: behind the last conversation shown. */
export interface SearchPosition {
  /** As PostgreSQL prints it; null among those without one. */
  readonly createdAt: string | null;
  readonly id: string;
  /** The text was found to be a key, and is looked for nowhere else. */
  readonly isKey: boolean;
}

export interface FoundPage {
  readonly found: readonly FoundConversation[];
  /** For the next page; null after the last one. */
  readonly next: SearchPosition | null;
}

export interface SearchOptions {
  /** Looked for in title, business key and primary key, in upper or lower case. Empty: everything. */
  readonly text: string;
  readonly limit: number;
  readonly after?: SearchPosition | undefined;
}

interface FoundRow extends FoundConversation {
  readonly createdAt: string | null;
}

/**
 * Conversations of the selection that hold the text, newest first, those without a date last.
 *
 * A UUID, or the beginning of one where both keys are of that type, is looked up through the indexes of the keys, and
 * anywhere else only when that finds nothing. Any other text takes one pass over the table at most, and an empty one
 * reads no more than the page where there is an index on `created_at`.
 */
export async function findConversations(
  snapshot: Snapshot,
  source: Source,
  selection: Selection,
  { text, limit, after }: SearchOptions,
): Promise<FoundPage> {
  const { sql } = snapshot.connection;
  // PostgreSQL has no such character, so nothing can hold it.
  if (text.includes('\0')) return { found: [], next: null };
  const key = after?.isKey === false ? null : matchesKey(sql, source, text);
  if (key !== null) {
    const page = await readPage(snapshot, source, selection, { match: key, isKey: true, limit, after });
    if (page.found.length > 0 || after !== undefined) return page;
  }
  const match = holdsText(sql, source, text);
  return readPage(snapshot, source, selection, { match, isKey: false, limit, after });
}

interface PageOptions {
  readonly match: Fragment;
  readonly isKey: boolean;
  readonly limit: number;
  readonly after: SearchPosition | undefined;
}

/**
 * Two statements, because an index of `created_at` is in the order "newest first, NULL last" neither forwards nor
 * backwards.
 */
async function readPage(
  { connection }: Snapshot,
  source: Source,
  selection: Selection,
  { match, isKey, limit, after }: PageOptions,
): Promise<FoundPage> {
  const rows: FoundRow[] = [];
  for (const part of ['dated', 'undated'] as const) {
    if (part === 'dated' && (!hasDates(source) || after?.createdAt === null)) continue;
    // One more than is shown tells whether there are any.
    const missing = limit + 1 - rows.length;
    if (missing === 0) break;
    const behind = part === 'dated' || after?.createdAt === null ? after : undefined;
    const statement = pageStatement(connection.sql, source, selection, part, match, behind, missing);
    rows.push(...(await connection.ask(() => connection.sql<FoundRow[]>`${statement}`)));
  }
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  const next =
    rows.length > limit && last !== undefined ? { createdAt: last.createdAt, id: last.id, isKey } : null;
  return { found: shown.map(toFound), next };
}

function toFound({ id, conversationId, title, status, tier, turns }: FoundRow): FoundConversation {
  return { id, conversationId, title, status, tier, turns };
}

/** @param part the conversations with or without a date; a table without the column has only undated ones */
export function pageStatement(
  sql: postgres.Sql,
  source: Source,
  selection: Selection,
  part: 'dated' | 'undated',
  match: Fragment,
  after: SearchPosition | undefined,
  limit: number,
): Fragment {
  const isUuidKey = source.conversations.get('id') === 'uuid';
  const key = isUuidKey ? sql`c.id` : sql`c.id::text collate "C"`;
  const conditions = [whereClause(sql, source, selection), match];
  if (hasDates(source)) {
    conditions.push(part === 'dated' ? sql`c.created_at is not null` : sql`c.created_at is null`);
  }
  if (after !== undefined) {
    const id = isUuidKey ? sql`${after.id}::text::uuid` : sql`${after.id}::text`;
    conditions.push(
      part === 'dated'
        ? sql`(c.created_at, ${key}) < (${after.createdAt}::text::timestamptz, ${id})`
        : sql`${key} < ${id}`,
    );
  }
  const member = (field: 'title' | 'status' | 'tier'): Fragment =>
    sql.unsafe(expressionOf(source, field) ?? 'null::text');
  const turns = hasNumberOfTurns(source) ? expressionOf(source, 'totalTurns') : null;
  return sql`
    select c.id::text as id, coalesce(${sql.unsafe(businessKey(source))}, c.id::text) as "conversationId", ${member('title')} as title,
      ${member('status')} as status, ${member('tier')} as tier,
      ${sql.unsafe(turns ?? 'null')}::double precision as turns,
      ${part === 'dated' ? sql`c.created_at::text` : sql`null::text`} as "createdAt"
    from ${identifier(sql, source.schema)}.conversations c
    where ${conditions.reduce((all, condition) => sql`${all} and ${condition}`)}
    order by ${part === 'dated' ? sql`c.created_at desc,` : sql``} ${key} desc
    limit ${limit}`;
}

/** Null when the text is no key, nor the beginning of one that an index finds. */
export function matchesKey(sql: postgres.Sql, source: Source, text: string): Fragment | null {
  if (source.conversations.get('id') !== 'uuid') return null;
  // A business key of type text is compared as it is, in whichever case it was stored.
  if (isUuid(text)) return matchesIds(sql, source, [text, text.toLowerCase(), text.toUpperCase()]);
  const business = source.conversations.get('conversation_id') ?? 'uuid';
  if (business !== 'uuid' || !/^[0-9a-f]{8}-/i.test(text)) return null;
  const lowest = text + LOWEST.slice(text.length);
  const highest = text + LOWEST.replaceAll('0', 'f').slice(text.length);
  if (!isUuid(lowest)) return null;
  const range = sql`between ${lowest}::uuid and ${highest}::uuid`;
  return source.conversations.has('conversation_id')
    ? sql`(c.id ${range} or c.conversation_id ${range})`
    : sql`c.id ${range}`;
}

const LOWEST = '00000000-0000-0000-0000-000000000000';

/** `%`, `_` and `\` stand for themselves. */
export function holdsText(sql: postgres.Sql, source: Source, text: string): Fragment {
  if (text === '') return sql`true`;
  const pattern = `%${text.replace(/[\\%_]/g, String.raw`\$&`)}%`;
  // To print a UUID costs more than to compare a title; most texts cannot be part of one.
  const isHexadecimal = /^[0-9a-f-]+$/i.test(text);
  const expressions = [
    expressionOf(source, 'title'),
    source.conversations.get('conversation_id') === 'uuid' && !isHexadecimal ? null : businessKey(source),
    source.conversations.get('id') === 'uuid' && !isHexadecimal ? null : 'c.id::text',
  ].filter((expression) => expression !== null);
  return sql`(${expressions.reduce((any, expression) => sql`${any} or ${sql.unsafe(expression)} ilike ${pattern}`, sql`false`)})`;
}

function businessKey(source: Source): string {
  return expressionOf(source, 'conversationId') ?? 'c.id::text';
}

function hasNumberOfTurns({ conversations }: Source): boolean {
  const type = conversations.get('turn_count') ?? conversations.get('total_turns') ?? '';
  return /^(smallint|integer|bigint)$/.test(type);
}

function hasDates({ conversations }: Source): boolean {
  return /^(timestamp|date)/.test(conversations.get('created_at') ?? '');
}
