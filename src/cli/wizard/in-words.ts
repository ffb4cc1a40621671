import { parseRequest, type ExportRequestInput, type Filters, type Scope } from '../../request.js';
import { targets } from '../../targets/all.js';

/** The four scopes by the names that questions and answers use. */
export const SCOPE_NAMES: Readonly<Record<Scope, string>> = {
  approved: 'All approved',
  filtered: 'Current filters',
  selected: 'Selected',
  all: 'All data',
};

/** Which conversations a request is about, for people: `All approved; at most 10`. Some of it may be database text. */
export function conversationsInWords(input: ExportRequestInput): string {
  const { scope = 'approved', ids, filters = {}, excludeStatus, sort, limit } = input;
  return [
    scope === 'selected' && ids !== undefined
      ? `${SCOPE_NAMES.selected} (${ids.length})`
      : SCOPE_NAMES[scope],
    ...filtersInWords(filters),
    ...(excludeStatus === undefined ? [] : [`not ${excludeStatus.join(', ')}`]),
    ...(limit === undefined ? [] : [`at most ${limit}`]),
    ...(sort === undefined ? [] : [`by ${sort.key}, ${sort.order === 'asc' ? 'ascending' : 'descending'}`]),
  ].join('; ');
}

/** Every filter that is set, a phrase each. */
export function filtersInWords(filters: Filters): string[] {
  const { qualityScoreMin, qualityScoreMax, dateFrom, dateTo, searchQuery, parentId, createdBy } = filters;
  const lists = [
    ['tier', filters.tier],
    ['status', filters.status],
    ['category', filters.categories],
    ['persona', filters.personas],
    ['emotion', filters.emotions],
    ['topic', filters.topics],
  ] as const;
  return [
    ...lists.flatMap(([name, values]) => (values === undefined ? [] : [`${name} ${values.join(', ')}`])),
    ...spanInWords('quality', qualityScoreMin, qualityScoreMax),
    ...spanInWords('created', dateFrom, dateTo),
    ...(searchQuery === undefined ? [] : [`text "${searchQuery}"`]),
    ...(parentId === undefined ? [] : [`made from ${parentId}`]),
    ...(createdBy === undefined ? [] : [`created by ${createdBy}`]),
  ];
}

function spanInWords(name: string, from?: string | number, to?: string | number): string[] {
  if (from === undefined && to === undefined) return [];
  if (to === undefined) return [`${name} from ${from}`];
  return [from === undefined ? `${name} to ${to}` : `${name} ${from} to ${to}`];
}

const FORMAT_NAMES = { jsonl: 'JSONL', json: 'JSON', csv: 'CSV', markdown: 'Markdown' } as const;

/** What is written, for people: `JSONL for openai, one row per answer, compressed`. */
export function fileInWords(input: ExportRequestInput): string {
  const request = parseRequest({ ...input, scope: 'all', ids: undefined });
  const { target, shape, format, expand, systemPrompt, gzip, strict } = request;
  const hasShapes = target !== undefined && shape !== undefined;
  return [
    target === undefined ? FORMAT_NAMES[format] : `JSONL for ${target}${hasShapes ? ` (${shape})` : ''}`,
    ...(expand === undefined ? [] : ['one row per answer']),
    ...(systemPrompt === undefined ? [] : ['with a system prompt']),
    ...(gzip ? ['compressed'] : []),
    ...(strict ? ['imperfect conversations not allowed'] : []),
  ].join(', ');
}

/** What a target asks of a file as a whole; empty where it asks nothing. */
export function limitsInWords(name: keyof typeof targets): string {
  const {
    minRows,
    maxRows,
    maxBytes,
  }: (typeof targets)[typeof name]['limits'] & {
    readonly minRows?: number;
    readonly maxRows?: number;
    readonly maxBytes?: number;
  } = targets[name].limits;
  const parts = [
    ...(minRows === undefined ? [] : [`at least ${minRows} rows`]),
    ...(maxRows === undefined ? [] : [`at most ${maxRows.toLocaleString('en-US')} rows`]),
    ...(maxBytes === undefined ? [] : [`at most ${Math.ceil(maxBytes / 1_048_576)} MiB`]),
  ];
  return parts.length === 0 ? '' : `It takes ${parts.join(', ')}.`;
}
