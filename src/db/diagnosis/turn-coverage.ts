import { identifier } from '../identifier.js';
import { whereClause, type Fragment, type Selection } from '../selection.js';
import type { Snapshot } from '../snapshot.js';
import type { Source } from '../source.js';

/** How many of the conversations looked at lack something that training needs. */
export interface TurnCoverage {
  readonly looked: number;
  readonly withoutTurns: number;
  /** Of those, how many name a file that may hold the dialogue. */
  readonly inFiles: number;
  /** Turns, but none of a user. */
  readonly withoutUser: number;
  /** Turns, but none of an assistant. */
  readonly withoutAssistant: number;
  /** Some turn has a role that is none of system, user, assistant, tool and tool_call. */
  readonly otherRoles: number;
}

/** Columns in which deployments that write no turns keep the path of the dialogue. */
const FILE_COLUMNS = ['file_path', 'enriched_file_path'];

/**
 * Counts what is wrong with the turns of the selected conversations.
 * @param sample looks at so many only, by primary key, through the index of the turns; null: at all, reading each table once
 */
export async function readTurnCoverage(
  { connection: { sql, ask } }: Snapshot,
  source: Source,
  selection: Selection,
  sample: number | null,
): Promise<TurnCoverage> {
  const schema = identifier(sql, source.schema);
  const files = FILE_COLUMNS.filter((column) => source.conversations.has(column)).map(
    (column) => `c.${column} is not null`,
  );
  const selected = sql`
    select ${sql.unsafe(`c.${source.parentKey}`)} as key, ${sql.unsafe(files.join(' or ') || 'false')} as in_file
    from ${schema}.conversations c where ${whereClause(sql, source, selection)}
    ${sample === null ? sql`` : sql`order by c.id limit ${sample}`}`;
  const aggregates = sql`count(*) as total,
    count(*) filter (where t.role::text = 'user') as users,
    count(*) filter (where t.role::text = 'assistant') as assistants,
    count(*) filter (where t.role::text not in ('system', 'user', 'assistant', 'tool', 'tool_call')) as others`;
  const turns: Fragment =
    sample === null
      ? sql`left join (
          select t.conversation_id, ${aggregates} from ${schema}.conversation_turns t group by t.conversation_id
        ) turns on turns.conversation_id = c.key`
      : sql`cross join lateral (
          select ${aggregates} from ${schema}.conversation_turns t where t.conversation_id = c.key
        ) turns`;
  const [coverage] = await ask(
    () => sql<TurnCoverage[]>`
      select count(*)::int as looked,
        (count(*) filter (where coalesce(total, 0) = 0))::int as "withoutTurns",
        (count(*) filter (where coalesce(total, 0) = 0 and in_file))::int as "inFiles",
        (count(*) filter (where total > 0 and users = 0))::int as "withoutUser",
        (count(*) filter (where total > 0 and assistants = 0))::int as "withoutAssistant",
        (count(*) filter (where others > 0))::int as "otherRoles"
      from (${selected}) c ${turns}`,
  );
  return coverage as TurnCoverage;
}
