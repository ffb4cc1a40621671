import { randomUUID } from 'node:crypto';
import { countConversations, describeStatement } from './db/conversations.js';
import type { ExportContext } from './export.js';
import { lookAtSource } from './look.js';
import { recipeOf } from './recipe.js';
import { fileName } from './naming.js';
import { parseRequest, type ExportRequest, type ExportRequestInput } from './request.js';
import { prepareDestination } from './sinks/index.js';

/** What an export would do. */
export interface ExportPlan {
  readonly format: ExportRequest['format'];
  readonly scope: ExportRequest['scope'];
  /** Conversations that match now; the checks, which need their content, may skip some. */
  readonly matched: number;
  /** Where it would go; the count in a generated name is the one matched. */
  readonly location: string;
  /** Database and role, without secrets. */
  readonly database: string;
  /** The statement that would read, with `$1` … for its values. */
  readonly statement: string;
}

/**
 * Everything an export does short of reading content: it checks the output, the tables and the ids, and counts.
 * Nothing is written, neither a file nor an audit row.
 * @throws LoraExportError as `exportConversations` would
 */
export async function planExport(input: ExportRequestInput, context: ExportContext): Promise<ExportPlan> {
  const request = parseRequest(input);
  const recipe = await recipeOf(request);
  return lookAtSource(request, context, { purpose: 'plan', needsLog: true }, async ({ snapshot, source }) => {
    const matched = await countConversations(snapshot, source, request);
    const name = fileName({
      tier: request.filters.tier?.length === 1 ? (request.filters.tier[0] ?? null) : null,
      takenAt: snapshot.takenAt,
      count: matched,
      extension: recipe.extension,
      gzip: request.gzip,
    });
    const { format, scope } = request;
    const location = await locate(request, context, name);
    const statement = await describeStatement(snapshot, source, request, recipe.fields);
    return { format, scope, matched, location, database: context.database.label, statement };
  });
}

async function locate(
  { output, force }: ExportRequest,
  { stream }: ExportContext,
  name: string,
): Promise<string> {
  switch (output.kind) {
    case 'stream':
      return 'standard output';
    case 'managed':
      return `${output.directory}/(export id)/${name}`;
    case 'directory':
    case 'file': {
      const { record } = await prepareDestination(output, { exportId: randomUUID(), force, stream });
      return `${record.directory}/${record.name ?? name}`;
    }
  }
}
