import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { Identity } from './db/identity.js';
import type { DatabaseTarget } from './db/target.js';
import { LoraExportError } from './errors.js';
import { parseFilters, parseRequest, type ExportRequest, type ExportRequestInput } from './request.js';
import { version } from './version.js';

/** More ids than this are stored as their count and checksum. */
export const MOST_IDS = 100_000;

/** Members of a request that a stored configuration holds under their own names, where they were given. */
const OPTIONAL = [
  'excludeStatus',
  'limit',
  'target',
  'shape',
  'rules',
  'roleMap',
  'systemPrompt',
  'expand',
  'maxSkipped',
  'verify',
  'jobs',
] as const satisfies readonly (keyof ExportRequest)[];

/** And those that always have a value. */
const ALWAYS = [
  'ignoreMissing',
  'sort',
  'layout',
  'gzip',
  'strict',
  'tokens',
  'allowEmpty',
  'force',
  'batchSize',
  'allUsers',
  'requireAll',
] as const satisfies readonly (keyof ExportRequest)[];

const INCLUDES = [
  'includeMetadata',
  'includeQualityScores',
  'includeTimestamps',
  'includeApprovalHistory',
  'includeParentReferences',
  'includeFullContent',
] as const satisfies readonly (keyof ExportRequest['content'])[];

/**
 * What `export_logs.config` says about a run: all that decides its output, so that it can be repeated, and where it
 * read from. The six include flags and the scope stand at the top, as readers of the original table expect; a row with
 * a `version` uses the four-value scope.
 */
export function runConfig(request: ExportRequest, database: DatabaseTarget, identity: Identity): object {
  const { format, scope, ids, filters, content, output } = request;
  return {
    version: 1,
    scope,
    format,
    ...content,
    filters,
    ...(ids === undefined ? {} : idsRecord(ids)),
    ...pick(request, ALWAYS),
    ...given(pick(request, OPTIONAL)),
    output: { ...output, ...(output.kind === 'managed' ? { retentionHours: request.retentionHours } : {}) },
    source: { database: database.label, schema: request.schema, role: identity.role },
    user: identity.origin,
    tool: `lora-export ${version}`,
  };
}

/** A stored configuration, as far as a request is made from it; rows of other programs may hold more, or less. */
const storedConfig = z.looseObject({
  version: z.number().optional(),
  scope: z.string().optional(),
  format: z.string().optional(),
  filters: z.unknown().optional(),
  ids: z.array(z.string()).optional(),
  ids_count: z.number().optional(),
  output: z.looseObject({ retentionHours: z.number().optional() }).optional(),
  source: z.looseObject({ schema: z.string().optional() }).optional(),
});

/**
 * The request that a stored configuration came from, without `userId` and `auditSchema`, which say where it was stored.
 * @param whose how messages name it, such as `Export 6f3c…`
 * @throws LoraExportError `E_DATA` when the configuration does not hold all that it takes to repeat the run
 */
export function requestOfConfig(config: unknown, whose: string): ExportRequestInput {
  const cannot = (why: string): LoraExportError =>
    new LoraExportError('E_DATA', `${whose} cannot be repeated: ${why}.`, {
      hint: 'Type what is wanted instead; `lora-export history ID` shows what was asked.',
    });
  const parsed = storedConfig.safeParse(config);
  if (!parsed.success) throw cannot('its stored configuration has another shape than ours');
  const stored = parsed.data;
  if (stored.ids_count !== undefined) {
    throw cannot(`it named ${stored.ids_count} ids, too many to be stored`);
  }
  // Before rows had a version, `all` was the word for all that is approved.
  const scope = stored.version === undefined && stored.scope === 'all' ? 'approved' : stored.scope;
  const { retentionHours, ...output } = stored.output ?? {};
  const request = {
    ...given({
      format: stored.format,
      scope,
      ids: stored.ids,
      retentionHours,
      schema: stored.source?.schema,
    }),
    content: given(pick(stored, INCLUDES)),
    ...given(pick(stored, [...ALWAYS, ...OPTIONAL])),
    ...(Object.keys(output).length === 0 ? {} : { output }),
  };
  try {
    const filters = parseFilters(stored.filters ?? {});
    return parseRequest({ ...request, filters } as ExportRequestInput);
  } catch (error) {
    throw cannot(
      `its stored configuration is not valid (${error instanceof Error ? error.message : String(error)})`,
    );
  }
}

function pick(object: object, keys: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(keys.map((key) => [key, (object as Record<string, unknown>)[key]]));
}

/** Without what was not asked for. */
function given(members: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined));
}

function idsRecord(ids: readonly string[]): object {
  if (ids.length <= MOST_IDS) return { ids };
  const sha256 = createHash('sha256').update(ids.join('\n')).digest('hex');
  return { ids_count: ids.length, ids_sha256: sha256 };
}
