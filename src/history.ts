import { z } from 'zod';
import type { Access } from './db/access.js';
import { HISTORY_SORTS, readPage } from './db/history.js';
import { STATUSES, type RecordedRun } from './db/recorded-runs.js';
import { formatNames } from './formats/index.js';
import { endOf, invalidRequest, moment, SCOPES, startOf } from './request.js';

function words<T extends string>(names: readonly T[]) {
  return z.enum(names as readonly [T, ...T[]], { error: `must be one of ${names.join(', ')}` });
}

function listOf<T extends string>(names: readonly T[]) {
  return z.array(words(names)).min(1, 'must name at least one value');
}

/** Which recorded exports; the values of a list OR-ed, members AND-ed. */
const filters = {
  format: listOf(formatNames).optional(),
  status: listOf(STATUSES).optional(),
  /** By today's words: what rows without a version call `all` is `approved`. */
  scope: listOf(SCOPES).optional(),
  /** When the export was asked for, inclusive; a day means all of it, in UTC. */
  from: moment.optional(),
  to: moment.optional(),
  /** One user's, among those that may be seen at all. */
  userId: z.guid('must be a UUID').optional(),
};

/** Which exports, in which order, which page of them. The one home of the defaults. */
export const historyQuery = z
  .strictObject({
    ...filters,
    sort: words(HISTORY_SORTS).default('timestamp'),
    order: words(['asc', 'desc']).default('desc'),
    /** From 1. */
    page: z.int('must be a whole number').min(1, 'must be at least 1').max(10_000_000).default(1),
    /** Exports per page. */
    limit: z
      .int('must be a whole number')
      .min(1, 'must be at least 1')
      .max(100, 'must be at most 100')
      .default(25),
  })
  .refine(({ from, to }) => from === undefined || to === undefined || startOf(from) <= endOf(to), {
    path: ['from'],
    error: 'must not be after to',
  });
/** A checked query, every default filled in. */
export type HistoryQuery = z.infer<typeof historyQuery>;
/** A query as a caller writes it. */
export type HistoryQueryInput = z.input<typeof historyQuery>;
/** What of a query decides which exports match. */
export type HistoryFilters = Pick<HistoryQuery, keyof typeof filters>;

/** One page of recorded exports. */
export interface HistoryPage {
  /** Exports that match, on all pages. */
  readonly total: number;
  readonly page: number;
  readonly limit: number;
  readonly exports: readonly RecordedRun[];
}

/**
 * Checks a query and fills in the defaults.
 * @throws LoraExportError `E_USAGE` listing every problem
 */
export function parseHistoryQuery(input: HistoryQueryInput): HistoryQuery {
  const result = historyQuery.safeParse(input);
  if (result.success) return result.data;
  throw invalidRequest(result.error, 'The query');
}

/**
 * Lists recorded exports that may be seen, newest first unless told otherwise.
 * @throws LoraExportError `E_USAGE` for a query that is not valid, or what the database reports
 */
export async function listExports(access: Access, input: HistoryQueryInput = {}): Promise<HistoryPage> {
  const query = parseHistoryQuery(input);
  const { total, runs } = await readPage(access, query);
  return { total, page: query.page, limit: query.limit, exports: runs };
}
