import { createHash } from 'node:crypto';
import type { Identity } from './db/identity.js';
import type { DatabaseTarget } from './db/target.js';
import type { ExportRequest } from './request.js';
import { version } from './version.js';

/** More ids than this are stored as their count and checksum. */
const MOST_IDS = 10_000;

/**
 * What `export_logs.config` says about a run: all that decides its output, so that it can be repeated, and where it
 * read from. The six include flags and the scope stand at the top, as readers of the original table expect; a row with
 * a `version` uses the four-value scope.
 */
export function runConfig(request: ExportRequest, database: DatabaseTarget, identity: Identity): object {
  const { format, scope, ids, ignoreMissing, filters, excludeStatus, sort, limit, content, output } = request;
  return {
    version: 1,
    scope,
    format,
    ...content,
    filters,
    ...(ids === undefined ? {} : idsRecord(ids)),
    ignoreMissing,
    ...(excludeStatus === undefined ? {} : { excludeStatus }),
    sort,
    layout: request.layout,
    ...(limit === undefined ? {} : { limit }),
    ...given({
      target: request.target,
      shape: request.shape,
      rules: request.rules,
      roleMap: request.roleMap,
      systemPrompt: request.systemPrompt,
      expand: request.expand,
      maxSkipped: request.maxSkipped,
    }),
    gzip: request.gzip,
    strict: request.strict,
    output: { ...output, ...(output.kind === 'managed' ? { retentionHours: request.retentionHours } : {}) },
    source: { database: database.label, schema: request.schema, role: identity.role },
    user: identity.origin,
    tool: `lora-export ${version}`,
  };
}

/** Without what was not asked for. */
function given(members: object): object {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined));
}

function idsRecord(ids: readonly string[]): object {
  if (ids.length <= MOST_IDS) return { ids };
  const sha256 = createHash('sha256').update(ids.join('\n')).digest('hex');
  return { ids_count: ids.length, ids_sha256: sha256 };
}
