import type postgres from 'postgres';
import { LoraExportError } from '../errors.js';
import { isWholeDay, type ExportRequest, type Filters } from '../request.js';
import { expressionOf } from './source-columns.js';
import type { Source } from './source.js';

/** A piece of a statement with its parameters. */
export type Fragment = postgres.Fragment;

/** Which conversations, in which order, how many: what of a request the database has to know. */
export type Selection = Pick<ExportRequest, 'scope' | 'ids' | 'filters' | 'excludeStatus' | 'sort' | 'limit'>;

/**
 * The condition on `conversations c`; every value is a parameter.
 * @throws LoraExportError `E_SCHEMA` when a filter needs a column that the table does not have
 */
export function whereClause(sql: postgres.Sql, source: Source, selection: Selection): Fragment {
  const conditions = [
    ...scopeConditions(sql, source, selection),
    ...filterConditions(sql, source, selection.filters),
    ...excludedStatuses(sql, source, selection.excludeStatus),
  ];
  return conditions.reduce((all, condition) => sql`${all} and ${condition}`, sql`true`);
}

/** What an export is sorted by, before the primary key makes the order total: the same data then gives the same bytes. */
export interface SortOrder {
  /** An expression on `conversations c`. */
  readonly key: Fragment;
  readonly direction: Fragment;
}

/** @throws LoraExportError `E_SCHEMA` when the table has no such column */
export function sortOrder(sql: postgres.Sql, source: Source, { sort }: Selection): SortOrder {
  if (!source.conversations.has(sort.key)) {
    if (sort.key === 'created_at') return { key: sql`c.id`, direction: sql`asc` };
    throw missingColumn(source, sort.key, `sorting by ${sort.key}`);
  }
  // Text is compared byte by byte: collations differ between servers and versions.
  const isText = sort.key === 'title' || sort.key === 'status' || sort.key === 'tier';
  return {
    key: isText ? sql.unsafe(`c.${sort.key}::text collate "C"`) : sql.unsafe(`c.${sort.key}`),
    direction: sql`${sql.unsafe(sort.order)} nulls last`,
  };
}

export function limitClause(sql: postgres.Sql, { limit }: Selection): Fragment {
  return limit === undefined ? sql`` : sql`limit ${limit}`;
}

function* scopeConditions(sql: postgres.Sql, source: Source, selection: Selection): Generator<Fragment> {
  switch (selection.scope) {
    case 'all':
      return;
    case 'selected':
      yield matchesIds(sql, source, selection.ids ?? []);
      return;
    case 'filtered':
      yield* notDeleted(sql, source);
      return;
    case 'approved':
      yield sql`${column(sql, source, 'status', 'scope approved')} = 'approved'`;
      yield* notDeleted(sql, source);
  }
}

/** Soft-deleted rows stay in the table with `is_active = false`. */
function* notDeleted(sql: postgres.Sql, source: Source): Generator<Fragment> {
  if (source.conversations.has('is_active')) yield sql`c.is_active is not false`;
}

/** Either kind of id: the primary key, or the business key that people know. */
export function matchesIds(sql: postgres.Sql, source: Source, ids: readonly string[]): Fragment {
  const keys = source.conversations.get('id') === 'uuid' ? ids.filter(isUuid) : ids;
  const primary =
    source.conversations.get('id') === 'uuid'
      ? sql`c.id = any(${keys as string[]}::uuid[])`
      : sql`c.id::text = any(${keys as string[]}::text[])`;
  if (!source.conversations.has('conversation_id')) return primary;
  if (source.conversations.get('conversation_id') === 'uuid') {
    return sql`(${primary} or c.conversation_id = any(${ids.filter(isUuid)}::uuid[]))`;
  }
  return sql`(${primary} or c.conversation_id = any(${ids as string[]}::text[]))`;
}

function* filterConditions(sql: postgres.Sql, source: Source, filters: Filters): Generator<Fragment> {
  const { tier, status, qualityScoreMin, qualityScoreMax, dateFrom, dateTo, categories, searchQuery } =
    filters;
  if (tier) yield sql`${column(sql, source, 'tier', 'filter tier')} = any(${tier}::text[])`;
  if (status) yield sql`${column(sql, source, 'status', 'filter status')} = any(${status}::text[])`;
  if (qualityScoreMin !== undefined || qualityScoreMax !== undefined) {
    requireColumn(source, 'quality_score', 'a quality filter');
    if (qualityScoreMin !== undefined) yield sql`c.quality_score >= ${qualityScoreMin}::numeric`;
    if (qualityScoreMax !== undefined) yield sql`c.quality_score <= ${qualityScoreMax}::numeric`;
  }
  if (dateFrom !== undefined || dateTo !== undefined) requireColumn(source, 'created_at', 'a date filter');
  // As text: the driver would turn a parameter of a date type into milliseconds.
  if (dateFrom !== undefined) yield sql`c.created_at >= ${dateFrom}::text::timestamptz`;
  if (dateTo !== undefined) {
    yield isWholeDay(dateTo)
      ? sql`c.created_at < (${dateTo}::text::date + 1)::timestamptz`
      : sql`c.created_at <= ${dateTo}::text::timestamptz`;
  }
  if (categories) yield categoryCondition(sql, source, categories);
  for (const [field, values] of [
    ['persona', filters.personas],
    ['emotion', filters.emotions],
    ['topic', filters.topics],
  ] as const) {
    if (values) yield sql`${label(sql, source, field)} = any(${values}::text[])`;
  }
  if (searchQuery !== undefined) yield searchCondition(sql, source, searchQuery);
  if (filters.parentId !== undefined) {
    yield hasReference(sql, source, 'parent_id', 'filter parentId', filters.parentId);
  }
  if (filters.createdBy !== undefined) {
    const owner = source.conversations.has('user_id') ? 'user_id' : 'created_by';
    yield hasReference(sql, source, owner, 'filter createdBy', filters.createdBy);
  }
}

function categoryCondition(sql: postgres.Sql, source: Source, categories: string[]): Fragment {
  requireColumn(source, 'category', 'filter categories');
  const type = source.conversations.get('category') ?? '';
  if (type.endsWith('[]')) return sql`c.category::text[] && ${categories}::text[]`;
  if (type === 'jsonb' || type === 'json') return sql`c.category::jsonb ?| ${categories}::text[]`;
  return sql`c.category::text = any(${categories}::text[])`;
}

/** Case-insensitive substring in title, persona, emotion or topic, the widest set that any screen searches. */
function searchCondition(sql: postgres.Sql, source: Source, query: string): Fragment {
  const pattern = `%${query.replace(/[\\%_]/g, String.raw`\$&`)}%`;
  const expressions = (['title', 'persona', 'emotion', 'topic'] as const)
    .map((field) => expressionOf(source, field))
    .filter((expression) => expression !== null);
  return sql`(${expressions.reduce((any, expression) => sql`${any} or ${sql.unsafe(expression)} ilike ${pattern}`, sql`false`)})`;
}

function* excludedStatuses(
  sql: postgres.Sql,
  source: Source,
  statuses: string[] | undefined,
): Generator<Fragment> {
  if (statuses === undefined) return;
  const status = column(sql, source, 'status', '--exclude-status');
  yield sql`(${status} is null or ${status} <> all(${statuses}::text[]))`;
}

/** A column compared as text, so that a value unknown to an enum matches nothing instead of failing. */
function column(sql: postgres.Sql, source: Source, name: string, purpose: string): Fragment {
  requireColumn(source, name, purpose);
  return sql`${sql(`c.${name}`)}::text`;
}

/** A UUID is compared as one: as text its index would be of no use. */
function hasReference(
  sql: postgres.Sql,
  source: Source,
  name: string,
  purpose: string,
  value: string,
): Fragment {
  const text = column(sql, source, name, purpose);
  if (source.conversations.get(name) !== 'uuid') return sql`${text} = ${value}`;
  return isUuid(value) ? sql`${sql(`c.${name}`)} = ${value}::uuid` : sql`false`;
}

function label(sql: postgres.Sql, source: Source, field: 'persona' | 'emotion' | 'topic'): Fragment {
  const expression = expressionOf(source, field);
  if (expression === null) throw missingColumn(source, field, `filter ${field}s`);
  return sql.unsafe(expression);
}

function requireColumn(source: Source, name: string, purpose: string): void {
  if (!source.conversations.has(name)) throw missingColumn(source, name, purpose);
}

function missingColumn(source: Source, name: string, purpose: string): LoraExportError {
  return new LoraExportError(
    'E_SCHEMA',
    `Table ${source.schema}.conversations has no column ${name}, which ${purpose} needs.`,
    {
      hint: `Columns found: ${[...source.conversations.keys()].join(', ')}.`,
    },
  );
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** Whether PostgreSQL's `uuid` takes it, in the usual spelling with hyphens. */
export function isUuid(value: string): boolean {
  return UUID.test(value);
}
