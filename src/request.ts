import { z } from 'zod';
import { LoraExportError } from './errors.js';
import { formatNames } from './formats/index.js';
import { listed } from './listed.js';
import { ACTIONS, allowedActions, ruleNames, type Action, type Rule } from './judging/rules.js';
import { SCOPES, SORT_KEYS } from './scopes.js';
import { targetNames } from './targets/index.js';

export { SCOPES, SORT_KEYS, type Scope, type SortKey } from './scopes.js';

/** No user means more ids than this in one go; beyond it a filter is the right tool. */
const MAX_IDS = 1_000_000;

const text = z
  .string()
  .min(1, 'must not be empty')
  .refine((value) => !value.includes('\0'), 'must not hold a NUL character')
  // It would be searched for as a replacement character.
  .refine((value) => !/\p{Cs}/u.test(value), 'must not hold half a character');
const list = z.array(text).min(1, 'must name at least one value');
const score = z.number().min(0, 'must be between 0 and 10').max(10, 'must be between 0 and 10');

/** The message for keys that are no rules; every other problem keeps its own. */
function unknownRules({ keys }: { readonly keys?: readonly string[] }): string | undefined {
  return keys === undefined
    ? undefined
    : `there is no rule ${keys.join(', ')}; the rules are ${ruleNames.join(', ')}`;
}

/** A row has one system prompt, at its start, and tool turns only where they fit: the rest would be lost in silence. */
const NO_PLACE: readonly Rule[] = ['late-system', 'several-system', 'tool-turn'];

const MOMENT = 'must be a date such as 2025-10-29, or a time with its zone such as 2025-10-29T10:00:00Z';

/** `2025-10-29` (that whole day, UTC) or a full timestamp with its zone. */
export const moment = z
  .union([z.iso.date(), z.iso.datetime({ offset: true })], { error: MOMENT })
  // PostgreSQL knows no year 0.
  .refine((value) => !value.startsWith('0000'), MOMENT);

/**
 * The filters of the application (FilterConfig): every member optional, the values of a list OR-ed, members AND-ed.
 * The newer spelling of the same idea is accepted too and normalised to this one, see {@link parseFilters}.
 */
export const filters = z
  .strictObject({
    tier: list.optional(),
    status: list.optional(),
    qualityScoreMin: score.optional(),
    qualityScoreMax: score.optional(),
    dateFrom: moment.optional(),
    dateTo: moment.optional(),
    categories: list.optional(),
    personas: list.optional(),
    emotions: list.optional(),
    topics: list.optional(),
    searchQuery: text.optional(),
    parentId: text.optional(),
    createdBy: text.optional(),
  })
  .refine(
    ({ qualityScoreMin: min, qualityScoreMax: max }) => min === undefined || max === undefined || min <= max,
    {
      path: ['qualityScoreMin'],
      error: 'must not be greater than qualityScoreMax',
    },
  )
  .refine(
    ({ dateFrom: from, dateTo: to }) => from === undefined || to === undefined || startOf(from) <= endOf(to),
    {
      path: ['dateFrom'],
      error: 'must not be after dateTo',
    },
  );
export type Filters = z.infer<typeof filters>;

const newerFilters = z.strictObject({
  tierTypes: list.optional(),
  statuses: list.optional(),
  qualityRange: z.strictObject({ min: score.optional(), max: score.optional() }).optional(),
  dateRange: z.strictObject({ from: moment.optional(), to: moment.optional() }).optional(),
  categories: list.optional(),
  personas: list.optional(),
  emotions: list.optional(),
  searchQuery: text.optional(),
  parentId: text.optional(),
  createdBy: text.optional(),
});

/** Which of the six parts of a conversation the file shows; the defaults are those of the application. */
export const content = z.strictObject({
  includeMetadata: z.boolean().default(true),
  includeQualityScores: z.boolean().default(true),
  includeTimestamps: z.boolean().default(true),
  includeApprovalHistory: z.boolean().default(false),
  includeParentReferences: z.boolean().default(false),
  includeFullContent: z.boolean().default(true),
});

/** How the file is laid out; each format knows some of these. */
export const layout = z.strictObject({
  /** JSON on one line. */
  compact: z.boolean().default(false),
  /** CSV starts with a byte order mark. */
  bom: z.boolean().default(true),
  /** CSV cells are not guarded against being run as formulas. */
  rawCells: z.boolean().default(false),
});

/** Where the bytes go. A managed file expires and is cleaned up; a path of the user's never is. */
const output = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('stream') }),
  z.strictObject({ kind: z.literal('managed'), directory: text }),
  z.strictObject({ kind: z.literal('directory'), path: text }),
  z.strictObject({ kind: z.literal('file'), path: text }),
]);
export type OutputRequest = z.infer<typeof output>;

/** Everything that decides what an export writes and where. The one home of its defaults. */
export const exportRequest = z
  .strictObject({
    format: z.enum(formatNames, { error: `must be one of ${formatNames.join(', ')}` }).default('jsonl'),
    scope: z.enum(SCOPES, { error: `must be one of ${SCOPES.join(', ')}` }).default('approved'),
    /** Primary or business keys, for scope `selected`. */
    ids: z
      .array(text)
      .min(1, 'must name at least one conversation')
      .max(MAX_IDS, `must name at most ${MAX_IDS} conversations`)
      .optional(),
    /** Export what was found although some ids match nothing. */
    ignoreMissing: z.boolean().default(false),
    filters: filters.default({}),
    /** Statuses to leave out on top of any scope. */
    excludeStatus: list.optional(),
    sort: z
      .strictObject({
        key: z.enum(SORT_KEYS, { error: `must be one of ${SORT_KEYS.join(', ')}` }),
        order: z.enum(['asc', 'desc']),
      })
      .default({ key: 'created_at', order: 'asc' }),
    /** At most so many conversations, in the order of `sort`. */
    limit: z
      .int('must be a whole number')
      .min(1, 'must be at least 1')
      .max(2_147_483_647, 'must be at most 2147483647')
      .optional(),
    content: content.prefault({}),
    layout: layout.prefault({}),
    output: output.default({ kind: 'stream' }),
    /** The service or trainer that reads the file next: its rows, its rules. Format jsonl only. */
    target: z.enum(targetNames, { error: `must be one of ${targetNames.join(', ')}` }).optional(),
    /** Which of the target's row shapes; default: its first. */
    shape: text.optional(),
    /** What to do about a rule, where that differs from the default. */
    rules: z
      .partialRecord(z.enum(ruleNames), z.enum(ACTIONS, { error: `must be one of ${ACTIONS.join(', ')}` }), {
        error: (issue) => unknownRules(issue as { readonly keys?: readonly string[] }),
      })
      .optional(),
    /** Role words of the database and what they mean: `{ human: 'user' }`. */
    roleMap: z.record(text, z.enum(['system', 'user', 'assistant', 'tool_call', 'tool'])).optional(),
    /** The system prompt of conversations that store none: a text, or where it stands below `parameters`. */
    systemPrompt: z.union([z.strictObject({ text }), z.strictObject({ parameter: text })]).optional(),
    /** `pairs`: one row per assistant turn, with its history. */
    expand: z.enum(['pairs']).optional(),
    /** Check the bytes written as `validate` would; default: when there is a target. */
    verify: z.boolean().optional(),
    /** Count tokens. */
    tokens: z.boolean().default(false),
    /** More skipped conversations fail the run. */
    maxSkipped: z
      .union([
        z.strictObject({ count: z.int().min(0) }),
        z.strictObject({ percent: z.number().min(0).max(100) }),
      ])
      .optional(),
    gzip: z.boolean().default(false),
    /** Replace an existing file. */
    force: z.boolean().default(false),
    /** Any skip or warning fails the run, and nothing is published. */
    strict: z.boolean().default(false),
    allowEmpty: z.boolean().default(false),
    /** Conversations per round trip at most; large conversations make smaller batches. */
    batchSize: z
      .int('must be a whole number')
      .min(1, 'must be at least 1')
      .max(10_000, 'must be at most 10000')
      .default(100),
    /** Connections that read at a time, at most. Default: by the cores of this machine and the size of the export. */
    jobs: z
      .int('must be a whole number')
      .min(1, 'must be at least 1')
      .max(16, 'must be at most 16')
      .optional(),
    /** Hours until a managed file expires. */
    retentionHours: z
      .number()
      .positive('must be greater than 0')
      .max(24 * 3660, 'must be at most ten years')
      .default(24),
    /** Schema of the two source tables. */
    schema: text.default('public'),
    /** Schema of `export_logs` and `export_runs`. */
    auditSchema: text.default('public'),
    /** Whom the audit row names. Without it, and only where the database has no `auth.users`, the database role. */
    userId: z.guid('must be a UUID').optional(),
    /** Read with the rights of the login, past what the user may see. */
    allUsers: z.boolean().default(false),
    /** Fail when row level security may hide conversations. */
    requireAll: z.boolean().default(false),
  })
  .superRefine((request, context) => {
    const problem = (path: string, message: string): void =>
      context.addIssue({ code: 'custom', path: [path], message });
    if (request.scope === 'selected' && request.ids === undefined) {
      problem('ids', 'scope selected needs the ids of the conversations');
    }
    if (request.scope !== 'selected' && request.ids !== undefined)
      problem('ids', 'ids go with scope selected only');
    if (
      request.scope === 'filtered' &&
      Object.values(request.filters).every((value) => value === undefined)
    ) {
      problem('filters', 'scope filtered needs at least one filter; scope all exports everything');
    }
    if (request.target !== undefined && request.format !== 'jsonl') {
      problem('target', `a target is written as jsonl, not as ${request.format}; leave format out`);
    }
    if (request.shape !== undefined && request.target === undefined)
      problem('shape', 'shapes belong to a target');
    for (const [rule, action] of Object.entries(request.rules ?? {}) as [Rule, Action][]) {
      const allowed = allowedActions(rule);
      if (!allowed.includes(action)) {
        problem('rules', `${rule} can be ${allowed.join(', ')}, but not ${action}`);
      } else if (request.target !== undefined && NO_PLACE.includes(rule) && /keep|ignore/.test(action)) {
        problem('rules', `a target's rows have no place for what ${rule} finds: it cannot be ${action}`);
      }
    }
    if (request.format === 'jsonl' && !request.content.includeFullContent) {
      problem('content', 'jsonl without the turns teaches nothing: leave includeFullContent on');
    }
  });
/** A checked request, every default filled in. */
export type ExportRequest = z.infer<typeof exportRequest>;
/** A request as a caller writes it: whatever has a default may be left out. */
export type ExportRequestInput = z.input<typeof exportRequest>;

/**
 * Filters from JSON, in either spelling in circulation, as {@link Filters}.
 * @throws z.ZodError naming every problem
 */
export function parseFilters(value: unknown): Filters {
  if (!isNewerSpelling(value)) return filters.parse(value);
  const { tierTypes, statuses, qualityRange, dateRange, ...rest } = newerFilters.parse(value);
  return filters.parse(
    withoutUndefined({
      tier: tierTypes,
      status: statuses,
      qualityScoreMin: qualityRange?.min,
      qualityScoreMax: qualityRange?.max,
      dateFrom: dateRange?.from,
      dateTo: dateRange?.to,
      ...rest,
    }),
  );
}

function isNewerSpelling(value: unknown): boolean {
  return (
    typeof value === 'object' &&
    value !== null &&
    ['tierTypes', 'statuses', 'qualityRange', 'dateRange'].some((key) => Object.hasOwn(value, key))
  );
}

function withoutUndefined(object: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined));
}

/** The first millisecond that a date filter means, since 1970. */
export function startOf(moment: string): number {
  return Date.parse(moment);
}

/** The last one. */
export function endOf(moment: string): number {
  return isWholeDay(moment) ? Date.parse(moment) + 86_400_000 - 1 : Date.parse(moment);
}

/** Whether a date filter names a day and not a point in time. */
export function isWholeDay(moment: string): boolean {
  return !moment.includes('T');
}

/**
 * Checks a request and fills in the defaults.
 * @throws LoraExportError `E_USAGE` listing every problem
 */
export function parseRequest(input: ExportRequestInput): ExportRequest {
  const result = exportRequest.safeParse(input);
  if (result.success) return result.data;
  throw invalidRequest(result.error);
}

/** The problems that a schema found, as one error. */
export function invalidRequest(error: z.ZodError, where = 'The request'): LoraExportError {
  const problems = error.issues.map(({ path, message }) =>
    path.length === 0 ? message : `${path.join('.')}: ${message}`,
  );
  return new LoraExportError('E_USAGE', `${where} is not valid: ${listed(problems)}.`);
}
