import type postgres from 'postgres';
import type { Filters } from '../request.js';
import { identifier } from './identifier.js';
import { whereClause, type Fragment, type Selection } from './selection.js';
import type { Snapshot } from './snapshot.js';
import { expressionOf } from './source-columns.js';
import type { Source } from './source.js';

/** What conversations can be told apart by, each with the filter that picks values of it. */
export const FACET_FILTERS = {
  tier: 'tier',
  status: 'status',
  category: 'categories',
  persona: 'personas',
  emotion: 'emotions',
  topic: 'topics',
} as const satisfies Record<string, keyof Filters>;
export type FacetName = keyof typeof FACET_FILTERS;

/** How many values are listed. */
const MOST_VALUES = 200;

/** A value as the filter takes it: text of the database, so make it visible before showing it. */
export interface FacetValue {
  readonly value: string;
  /** Conversations that have it. One with several categories counts for each of them. */
  readonly count: number;
}

/** The values that conversations have in one column. */
export interface Facet {
  /** The most frequent ones, at most 200, then by name. */
  readonly values: readonly FacetValue[];
  /** How many values there are besides. */
  readonly more: number;
  /** Conversations without any: NULL, or nothing but empty text, which no filter can name. */
  readonly none: number;
}

/** From where to where the values of a column go. */
export interface Span<T> {
  /** Null where no conversation has one. */
  readonly min: T | null;
  readonly max: T | null;
  /** Conversations without one. */
  readonly none: number;
}

/** The values of a facet among the conversations that the other filters leave; null where the table has no such column. */
export async function readFacet(
  { connection }: Snapshot,
  source: Source,
  selection: Selection,
  name: FacetName,
): Promise<Facet | null> {
  const statement = facetStatement(connection.sql, source, selection, name);
  if (statement === null) return null;
  const rows = await connection.ask(
    () => connection.sql<{ value: string | null; count: number; known: number }[]>`${statement}`,
  );
  const values = rows.flatMap(({ value, count }) => (value === null ? [] : [{ value, count }]));
  const listed = values.slice(0, MOST_VALUES);
  return {
    values: listed,
    more: (rows[0]?.known ?? 0) - listed.length,
    none: rows.find(({ value }) => value === null)?.count ?? 0,
  };
}

/** One pass over the table. The row for those without a value comes first, so that the limit cannot cut it off. */
export function facetStatement(
  sql: postgres.Sql,
  source: Source,
  selection: Selection,
  name: FacetName,
): Fragment | null {
  const values = valuesOf(sql, source, name);
  if (values === null) return null;
  return sql`
    with counted as (
      select v.value, count(*)::integer as count
      from ${identifier(sql, source.schema)}.conversations c ${values}
      where ${whereClause(sql, source, without(selection, FACET_FILTERS[name]))}
      group by v.value
    )
    select value, count, (count(value) over ())::integer as known from counted
    order by value is not null, count desc, value collate "C" limit ${MOST_VALUES + 1}`;
}

/** The span of `quality_score`, whatever the filters on it; null where the table has no such column. */
export async function readQualitySpan(
  { connection }: Snapshot,
  source: Source,
  selection: Selection,
): Promise<Span<number> | null> {
  const { sql } = connection;
  if (!/^(numeric|real|double|smallint|integer|bigint)/.test(typeOf(source, 'quality_score'))) return null;
  const rest = without(selection, 'qualityScoreMin', 'qualityScoreMax');
  const [row] = await connection.ask(
    () => sql<Span<string>[]>`
      select min(c.quality_score)::text as min, max(c.quality_score)::text as max,
        (count(*) filter (where c.quality_score is null))::integer as none
      from ${identifier(sql, source.schema)}.conversations c where ${whereClause(sql, source, rest)}`,
  );
  const { min, max, none } = row as Span<string>;
  return { min: toNumber(min), max: toNumber(max), none };
}

/** The span of `created_at` in ISO 8601, UTC, whatever the filters on it; null where the table has no such column. */
export async function readCreatedSpan(
  { connection }: Snapshot,
  source: Source,
  selection: Selection,
): Promise<Span<string> | null> {
  const { sql } = connection;
  if (!/^(timestamp|date)/.test(typeOf(source, 'created_at'))) return null;
  const rest = without(selection, 'dateFrom', 'dateTo');
  // The end is rounded up to the millisecond: as a filter it then takes in the last one too.
  const [row] = await connection.ask(
    () => sql<Span<string>[]>`
      select to_char(min(c.created_at) filter (where ${isWritable(sql)}), ${ISO}) as min,
        to_char(max(c.created_at) filter (where ${isWritable(sql)}) + interval '999 microseconds', ${ISO}) as max,
        (count(*) filter (where c.created_at is null))::integer as none
      from ${identifier(sql, source.schema)}.conversations c where ${whereClause(sql, source, rest)}`,
  );
  return row as Span<string>;
}

const ISO = 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"';

/** Neither infinite nor of a year that ISO 8601 cannot hold. */
function isWritable(sql: postgres.Sql): Fragment {
  return sql`c.created_at >= '0001-01-01' and c.created_at < '10000-01-01'`;
}

/** Joins `v.value`, one row for each value that a conversation has, and one with NULL where it has none. */
function valuesOf(sql: postgres.Sql, source: Source, name: FacetName): Fragment | null {
  if (name === 'category') return categoriesOf(sql, source);
  const expression = expressionOf(source, name);
  return expression === null ? null : single(sql, expression);
}

function single(sql: postgres.Sql, expression: string): Fragment {
  return sql`cross join lateral (select nullif(${sql.unsafe(expression)}, '') as value) v`;
}

/** What the filter on categories looks at: elements of an array, strings and keys of JSON, or the text itself. */
function categoriesOf(sql: postgres.Sql, source: Source): Fragment | null {
  const type = typeOf(source, 'category');
  if (type === '') return null;
  if (type.endsWith('[]')) {
    return sql`left join lateral (
      select distinct u.value from unnest(c.category::text[]) u (value) where u.value <> ''
    ) v on true`;
  }
  if (type !== 'jsonb' && type !== 'json') return single(sql, 'c.category::text');
  return sql`
    cross join lateral (select c.category::jsonb as category, jsonb_typeof(c.category::jsonb) as kind) j
    left join lateral (
      select e.value #>> '{}' as value
      from jsonb_array_elements(case when j.kind = 'array' then j.category else '[]' end) e (value)
      where jsonb_typeof(e.value) = 'string' and e.value <> '""'
      union
      select k.value from jsonb_object_keys(case when j.kind = 'object' then j.category else '{}' end) k (value)
      where k.value <> ''
      union
      select j.category #>> '{}' where j.kind = 'string' and j.category <> '""'
    ) v on true`;
}

function without(selection: Selection, ...names: (keyof Filters)[]): Selection {
  const kept = Object.entries(selection.filters).filter(([name]) => !names.includes(name as keyof Filters));
  return { ...selection, filters: Object.fromEntries(kept) };
}

function typeOf(source: Source, column: string): string {
  return source.conversations.get(column) ?? '';
}

/** NaN and infinity are values to PostgreSQL, but no bounds. */
function toNumber(text: string | null): number | null {
  const number = Number(text ?? Number.NaN);
  return Number.isFinite(number) ? number : null;
}
