import { LoraExportError } from '../errors.js';
import type { Connection } from './connect.js';
import { identifier } from './identifier.js';

/** What introspection found: which columns the two source tables really have, and how they are tied together. */
export interface Source {
  readonly schema: string;
  /** PostgreSQL type names by column, such as `text`, `numeric(3,1)`, `text[]`. */
  readonly conversations: ReadonlyMap<string, string>;
  readonly turns: ReadonlyMap<string, string>;
  /** The column of `conversations` that `conversation_turns.conversation_id` refers to. */
  readonly parentKey: 'id' | 'conversation_id';
  /** `UTF8` nearly everywhere; text lengths must be measured after conversion elsewhere. */
  readonly serverEncoding: string;
  /** Row level security applies to this role, so some rows may be hidden from it. */
  readonly rowSecurity: boolean;
}

const REQUIRED = {
  conversations: ['id'],
  conversation_turns: ['conversation_id', 'turn_number', 'role', 'content'],
} as const;

const TEXT_TYPES = /^(text|character varying|character|citext)/;
const INTEGER_TYPES = new Set(['smallint', 'integer', 'bigint']);

/**
 * Looks at the source tables; no two deployments have the same columns.
 * @throws LoraExportError `E_SCHEMA` naming everything that is missing or of the wrong type, at once
 */
export async function inspectSource(connection: Connection, schema: string): Promise<Source> {
  const { sql } = connection;
  const columns = await connection.ask(
    () => sql<{ table: string; column: string; type: string }[]>`
      select c.relname as table, a.attname as column, format_type(a.atttypid, a.atttypmod) as type
      from pg_class c
      join pg_namespace n on n.oid = c.relnamespace
      join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
      where n.nspname = ${schema} and c.relname in ('conversations', 'conversation_turns')
        and c.relkind in ('r', 'p', 'v', 'm', 'f')
      order by c.relname, a.attnum`,
  );
  const of = (table: string): Map<string, string> =>
    new Map(columns.filter((row) => row.table === table).map((row) => [row.column, row.type]));
  const conversations = of('conversations');
  const turns = of('conversation_turns');
  refuseUnusable(schema, conversations, turns);
  return {
    schema,
    conversations,
    turns,
    parentKey: await findParentKey(connection, schema, conversations, turns),
    ...(await serverFacts(connection, schema)),
  };
}

function refuseUnusable(
  schema: string,
  conversations: ReadonlyMap<string, string>,
  turns: ReadonlyMap<string, string>,
): void {
  const problems: string[] = [];
  for (const [table, columns] of [
    ['conversations', conversations],
    ['conversation_turns', turns],
  ] as const) {
    if (columns.size === 0)
      problems.push(`table ${schema}.${table} is missing (or this role may not see it)`);
    else {
      for (const column of REQUIRED[table]) {
        if (!columns.has(column)) problems.push(`column ${schema}.${table}.${column} is missing`);
      }
    }
  }
  const number = turns.get('turn_number');
  if (number !== undefined && !INTEGER_TYPES.has(number)) {
    problems.push(`column ${schema}.conversation_turns.turn_number is ${number}, expected integer`);
  }
  const content = turns.get('content');
  if (content !== undefined && !TEXT_TYPES.test(content)) {
    problems.push(`column ${schema}.conversation_turns.content is ${content}, expected text`);
  }
  if (problems.length > 0) {
    throw new LoraExportError('E_SCHEMA', `The source tables cannot be exported: ${problems.join('; ')}.`, {
      hint:
        conversations.size === 0 && turns.size === 0
          ? 'Name the schema that holds them with --schema. In the embedded database, `lora-export init --demo` creates and fills them.'
          : 'Both tables are described in the README, "Source tables". Name another schema with --schema.',
    });
  }
}

/** The foreign key says it; without one the types do; where both keys are of the same type, the data must. */
async function findParentKey(
  connection: Connection,
  schema: string,
  conversations: ReadonlyMap<string, string>,
  turns: ReadonlyMap<string, string>,
): Promise<'id' | 'conversation_id'> {
  const { sql } = connection;
  const business = conversations.get('conversation_id');
  if (business === undefined) return 'id';
  const [declared] = await connection.ask(
    () => sql<{ column: string }[]>`
      select target.attname as column
      from pg_constraint k
      join pg_class child on child.oid = k.conrelid and child.relname = 'conversation_turns'
      join pg_class parent on parent.oid = k.confrelid and parent.relname = 'conversations'
      join pg_namespace n on n.oid = child.relnamespace and n.nspname = ${schema}
      join pg_attribute source on source.attrelid = child.oid and source.attnum = k.conkey[1]
      join pg_attribute target on target.attrelid = parent.oid and target.attnum = k.confkey[1]
      where k.contype = 'f' and source.attname = 'conversation_id'`,
  );
  if (declared?.column === 'id' || declared?.column === 'conversation_id') return declared.column;
  const key = turns.get('conversation_id');
  const fitsId = key === conversations.get('id');
  const fitsBusiness = key === business || (TEXT_TYPES.test(key ?? '') && TEXT_TYPES.test(business));
  if (fitsId !== fitsBusiness) return fitsId ? 'id' : 'conversation_id';
  return probeParentKey(connection, schema);
}

async function probeParentKey(connection: Connection, schema: string): Promise<'id' | 'conversation_id'> {
  const { sql } = connection;
  const conversations = sql`${identifier(sql, schema)}.conversations`;
  const turns = sql`${identifier(sql, schema)}.conversation_turns`;
  const [hit] = await connection.ask(
    () => sql<{ empty: boolean; id: boolean; business: boolean }[]>`
      with sample as (select distinct conversation_id::text as key from ${turns} limit 1000)
      select not exists (select from sample) as empty,
        exists (select from sample join ${conversations} c on c.id::text = sample.key) as id,
        exists (select from sample join ${conversations} c on c.conversation_id::text = sample.key) as business`,
  );
  if (hit === undefined || hit.empty || (hit.id && !hit.business)) return 'id';
  if (hit.business && !hit.id) return 'conversation_id';
  throw new LoraExportError(
    'E_SCHEMA',
    `Nothing tells whether ${schema}.conversation_turns.conversation_id refers to conversations.id or to conversations.conversation_id.`,
    {
      hint: 'Declare the foreign key that the turns follow: alter table conversation_turns add foreign key (conversation_id) references conversations (id).',
    },
  );
}

async function serverFacts(
  connection: Connection,
  schema: string,
): Promise<Pick<Source, 'serverEncoding' | 'rowSecurity'>> {
  const { sql } = connection;
  const [facts] = await connection.ask(
    () => sql<{ encoding: string; rowSecurity: boolean }[]>`
      select current_setting('server_encoding') as encoding,
        row_security_active(format('%I.conversations', ${schema}::text)::regclass)
          or row_security_active(format('%I.conversation_turns', ${schema}::text)::regclass) as "rowSecurity"`,
  );
  const { encoding, rowSecurity } = facts as { encoding: string; rowSecurity: boolean };
  if (encoding === 'SQL_ASCII') {
    throw new LoraExportError(
      'E_SCHEMA',
      'The database has encoding SQL_ASCII: what its text means is unknown.',
      {
        hint: 'Dump it and restore it into a database with encoding UTF8.',
      },
    );
  }
  return { serverEncoding: encoding, rowSecurity };
}
