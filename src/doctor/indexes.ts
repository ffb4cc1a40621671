import { planExportStatement } from '../db/diagnosis/plan.js';
import { readOnly } from '../db/diagnosis/read-only.js';
import { holdsAtLeast } from '../db/diagnosis/row-counts.js';
import { readSourceIndexes, type SourceIndex } from '../db/diagnosis/source-indexes.js';
import { readSourceRights } from '../db/diagnosis/source-rights.js';
import { sqlName } from '../db/diagnosis/sql-name.js';
import type { Source } from '../db/source.js';
import { parseRequest } from '../request.js';
import { recipeOf } from '../recipe.js';
import type { OpenPatient } from './context.js';
import { ok, warning, type Finding } from './finding.js';

type SourceTable = 'conversations' | 'conversation_turns';

/**
 * From so many rows a scan is worth a word. Turns are looked up once per conversation, and scanned as often without an
 * index; conversations are scanned and sorted once.
 */
const LARGE: Readonly<Record<SourceTable, number>> = { conversations: 10_000, conversation_turns: 1_000 };

/** Asks the planner how it would read for an export of the default scope, and offers the indexes that it lacks. */
export async function checkIndexes({ reader, limitMs }: OpenPatient, source: Source): Promise<Finding> {
  const { schema } = source;
  const request = parseRequest({ scope: source.conversations.has('status') ? 'approved' : 'all', schema });
  const { fields } = await recipeOf(request);
  return readOnly(reader, limitMs, async (snapshot) => {
    const { connection } = snapshot;
    const plan = await planExportStatement(snapshot, source, request, fields);
    const indexes = await readSourceIndexes(connection, schema);
    const kinds = new Map(
      (await readSourceRights(connection, schema))?.tables.map(({ table, kind }) => [table, kind]),
    );
    const lacking: SourceTable[] = [];
    for (const [table, access] of [
      ['conversations', plan.conversations],
      ['conversation_turns', plan.turns],
    ] as const) {
      const isScanned =
        access.scansAll && (await holdsAtLeast(connection, { schema, table, rows: LARGE[table] }));
      if (isScanned && !isServed(table, source, indexes)) lacking.push(table);
    }
    const how = `conversations by ${described(plan.conversations)}, turns by ${described(plan.turns)}`;
    if (lacking.length === 0) return ok(how);
    const ddl = lacking.flatMap((table) => offer(table, source, kinds.get(table) ?? 'r', indexes));
    return warning(
      `${how}: ${lacking.join(' and ')} ${lacking.length === 1 ? 'lacks' : 'lack'} an index for exports`,
      ddl.length > 0
        ? 'Create it, outside of a transaction; nothing is created unasked:'
        : `Index the tables behind the view: ${lacking.map((table) => `${table} (${wanted(table, source).join(', ')})`).join(', ')}.`,
      ddl,
    );
  });
}

function described({ scansAll, indexes }: { scansAll: boolean; indexes: readonly string[] }): string {
  if (indexes.length === 0) return scansAll ? 'a scan of the table' : 'other means';
  return indexes.join(' and ');
}

/** In the order in which an export filters, sorts and looks up. */
function wanted(table: SourceTable, { conversations }: Source): string[] {
  if (table === 'conversation_turns') return ['conversation_id', 'turn_number'];
  const status = conversations.get('status') ?? '';
  return [
    // Status is compared as text; an index on an enum does not serve that.
    ...(/^(text|character varying)/.test(status) ? ['status'] : []),
    ...(conversations.has('created_at') ? ['created_at'] : []),
    'id',
  ];
}

/** The planner may scan although there is an index, because it reads most of the table anyway. */
function isServed(table: SourceTable, source: Source, indexes: readonly SourceIndex[]): boolean {
  // Primary keys are unique: an index without the last column is as good.
  const leading = wanted(table, source).slice(0, -1);
  return indexes.some(
    (index) =>
      index.table === table &&
      index.isUsable &&
      !index.isPartial &&
      leading.every((column, position) => index.columns[position] === column),
  );
}

function offer(table: SourceTable, source: Source, kind: string, indexes: readonly SourceIndex[]): string[] {
  if (kind !== 'r' && kind !== 'm' && kind !== 'p') return [];
  const schema = sqlName(source.schema);
  // What is left of one that failed while it was being built; another one of its kind is no help.
  const broken = indexes
    .filter((index) => index.table === table && !index.isUsable)
    .map(({ name }) => `drop index concurrently ${schema}.${sqlName(name)};`);
  const how = kind === 'p' ? 'create index' : 'create index concurrently';
  return [...broken, `${how} on ${schema}.${table} (${wanted(table, source).join(', ')});`];
}
