import { readOnly } from '../db/diagnosis/read-only.js';
import { readSourceRights, type SourceRights } from '../db/diagnosis/source-rights.js';
import { sqlName } from '../db/diagnosis/sql-name.js';
import { inspectSource, type Source } from '../db/source.js';
import { expressionOf } from '../db/source-columns.js';
import type { DoctorContext, OpenPatient } from './context.js';
import { failed, ok, warning, type Examined, type Finding } from './finding.js';

/** What is lost without a member that most deployments have. Absent members of other names are no news. */
const COSTS = [
  ['status', 'status: scope approved, the default, and filter status cannot be used'],
  ['createdAt', 'created_at: files are in order of the primary key, and date filters cannot be used'],
  ['conversationId', 'conversation_id: the primary key stands in for the business key'],
  ['title', 'title: written as null'],
  ['tier', 'tier: written as null, and filter tier cannot be used'],
  ['qualityScore', 'quality_score: written as null, and quality filters cannot be used'],
  ['category', 'category: written as null, and filter categories cannot be used'],
  ['persona', 'persona: written as null, and filter personas cannot be used'],
  ['emotion', 'emotion: written as null, and filter emotions cannot be used'],
  ['topic', 'topic: written as null, and filter topics cannot be used'],
] as const;

/** Whether the two source tables can be read, and what they lack. */
export async function checkSource(
  { reader, role, limitMs }: OpenPatient,
  { schema }: DoctorContext,
): Promise<Examined<Source>> {
  return readOnly(reader, limitMs, async ({ connection }) => {
    const rights = await readSourceRights(connection, schema);
    const refusal = rights === null ? null : refusalOf(rights, schema, role);
    if (refusal !== null) return { finding: refusal, value: null };
    const source = await inspectSource(connection, schema);
    return { finding: describe(source), value: source };
  });
}

/** A missing grant would otherwise look like a missing table. */
function refusalOf({ mayUseSchema, tables }: SourceRights, schema: string, role: string): Finding | null {
  const place = sqlName(schema);
  const refused = tables.filter(({ unreadable }) => unreadable.length > 0);
  if (mayUseSchema && refused.length === 0) return null;
  const what = [
    ...(mayUseSchema ? [] : [`use schema ${schema}`]),
    ...refused.map(({ table, unreadable, columns }) =>
      unreadable.length === columns ? `read ${table}` : `read ${unreadable.join(', ')} of ${table}`,
    ),
  ];
  return failed('E_DB_ACCESS', `Role ${role} may not ${what.join(' or ')}.`, 'Grant it what is missing.', [
    ...(mayUseSchema ? [] : [`grant usage on schema ${place} to ${sqlName(role)};`]),
    ...refused.map(({ table }) => `grant select on ${place}.${table} to ${sqlName(role)};`),
  ]);
}

function describe(source: Source): Finding {
  const { schema, conversations, turns, parentKey, serverEncoding } = source;
  const encoding = serverEncoding === 'UTF8' ? '' : `; encoding ${serverEncoding}`;
  const shape = `${schema}.conversations has ${conversations.size} columns, conversation_turns ${turns.size}; turns refer to ${parentKey}${encoding}`;
  const costs = COSTS.filter(([member]) => isMissing(source, member)).map(([, cost]) => cost);
  return costs.length === 0
    ? ok(shape)
    : warning(
        `${shape}. Without ${costs.join('; without ')}`,
        'Nothing has to be done where these are not wanted; a view with these columns, in a schema of its own named with --schema, adds them.',
      );
}

function isMissing(source: Source, member: (typeof COSTS)[number][0]): boolean {
  return member === 'conversationId'
    ? !source.conversations.has('conversation_id')
    : expressionOf(source, member) === null;
}
