import type postgres from 'postgres';
import { LoraExportError } from '../errors.js';
import { identifier } from './identifier.js';

/** A column as the catalogue describes it. */
export interface Column {
  /** As PostgreSQL prints it, such as `numeric(3,1)` or `text[]`. */
  readonly type: string;
  readonly isRequired: boolean;
  readonly hasDefault: boolean;
  /** Digits after the point that a `numeric` column keeps; null for other types. */
  readonly scale: number | null;
}

/** The two tables that an import writes. */
export interface ImportTables {
  readonly schema: string;
  readonly conversations: ReadonlyMap<string, Column>;
  readonly turns: ReadonlyMap<string, Column>;
  /** True when the database checks that a `parent_id` is the primary key of a conversation. */
  readonly checksParents: boolean;
  /** The column of `conversations` that `conversation_turns.conversation_id` refers to. */
  readonly turnTarget: 'id' | 'conversation_id';
}

/**
 * What the statements below read of one line, as JSON text: `id` (primary key), `doc` (the line itself, untouched),
 * `row` (what takes precedence over it), `turns_of`, `turn_ids`, `turns_at` (time of the turns or null), `take` (only so
 * many turns).
 */
export type LinesJson = string;

export type TableName = 'conversations' | 'conversation_turns';

/** @throws LoraExportError `E_SCHEMA` when a table, or a column nothing can be imported without, is missing */
export async function describeImportTables(sql: postgres.ISql, schema: string): Promise<ImportTables> {
  const conversations = await columnsOf(sql, schema, 'conversations', ['id']);
  const turns = await columnsOf(sql, schema, 'conversation_turns', [
    'conversation_id',
    'turn_number',
    'role',
    'content',
  ]);
  const keys = await sql<{ table: string; column: string; target: string; target_column: string }[]>`
    select r.relname as "table", a.attname as "column", f.relname as target, fa.attname as target_column
    from pg_constraint c
    join pg_class r on r.oid = c.conrelid
    join pg_namespace n on n.oid = r.relnamespace
    join pg_class f on f.oid = c.confrelid
    join pg_attribute a on a.attrelid = c.conrelid and a.attnum = c.conkey[1]
    join pg_attribute fa on fa.attrelid = c.confrelid and fa.attnum = c.confkey[1]
    where c.contype = 'f' and n.nspname = ${schema} and r.relname in ('conversations', 'conversation_turns')`;
  const reference = keys.find(
    (key) => key.table === 'conversation_turns' && key.column === 'conversation_id',
  );
  const sameType = turns.get('conversation_id')?.type === conversations.get('id')?.type;
  const target = reference?.target_column ?? (sameType ? 'id' : 'conversation_id');
  return {
    schema,
    conversations,
    turns,
    checksParents: keys.some(
      (key) => key.table === 'conversations' && key.column === 'parent_id' && key.target === 'conversations',
    ),
    turnTarget: target === 'conversation_id' ? 'conversation_id' : 'id',
  };
}

async function columnsOf(
  sql: postgres.ISql,
  schema: string,
  table: TableName,
  needed: readonly string[],
): Promise<Map<string, Column>> {
  const rows = await sql<({ name: string } & Column)[]>`
    select a.attname as name, format_type(a.atttypid, a.atttypmod) as type, a.attnotnull as "isRequired",
      (a.atthasdef or a.attidentity <> '') as "hasDefault",
      case when a.atttypid = 'numeric'::regtype and a.atttypmod >= 0 then (a.atttypmod - 4) & 65535 end as scale
    from pg_attribute a
    join pg_class c on c.oid = a.attrelid
    join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = ${schema} and c.relname = ${table} and c.relkind in ('r', 'p', 'v')
      and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''`;
  if (rows.length === 0) {
    throw new LoraExportError('E_SCHEMA', `There is no table ${schema}.${table} to import into`, {
      hint: 'Name another schema, or create the tables with `lora-export init`.',
    });
  }
  const columns = new Map(rows.map(({ name, ...column }) => [name, column]));
  const missing = needed.filter((name) => !columns.has(name));
  if (missing.length > 0) {
    throw new LoraExportError(
      'E_SCHEMA',
      `${schema}.${table} lacks ${missing.join(', ')}, which an import needs`,
    );
  }
  return columns;
}

/**
 * Sets the transaction up: one import at a time in each schema, as two files may hold the same conversation.
 * An abort ends the waiting for the other import.
 */
export async function prepareImport(
  tx: postgres.TransactionSql,
  schema: string,
  signal: AbortSignal,
): Promise<void> {
  // A plan made while the tables were empty would be kept while they grow, and read them whole for each batch.
  await tx`set local plan_cache_mode = force_custom_plan`;
  const waiting = tx`select pg_advisory_xact_lock(hashtext('lora-export import'), hashtext(${schema}))`;
  const cancel = (): void => waiting.cancel();
  signal.addEventListener('abort', cancel, { once: true });
  try {
    await waiting;
  } finally {
    signal.removeEventListener('abort', cancel);
  }
}

/**
 * Primary keys by the value of `column`, for those values that occur; both are text.
 * The caller leaves out what the column's type cannot hold.
 */
export async function findConversations(
  tx: postgres.ISql,
  tables: ImportTables,
  column: 'id' | 'conversation_id',
  values: readonly string[],
): Promise<Map<string, string>> {
  if (values.length === 0) return new Map();
  const cast = tables.conversations.get(column)?.type === 'uuid' ? tx`::uuid` : tx``;
  const rows = await tx<{ key: string; id: string }[]>`
    select ${tx(column)}::text as key, id::text as id
    from ${tableOf(tx, tables, 'conversations')}
    where ${tx(column)} in (select v${cast} from jsonb_array_elements_text(${JSON.stringify(values)}::text::jsonb) as g(v))`;
  return new Map(rows.map(({ key, id }) => [key, id]));
}

/** Lines of which the same columns are written. */
export interface LineGroup {
  readonly columns: readonly string[];
  readonly lines: LinesJson;
}

/**
 * Writes the named columns of new conversations. It is one statement for all groups, because a foreign key on
 * `parent_id` is checked at its end, and parents may be in another group. @returns how many rows went in
 */
export async function insertConversations(
  tx: postgres.ISql,
  tables: ImportTables,
  groups: readonly LineGroup[],
): Promise<number> {
  const inserts = groups.map(
    ({ columns, lines }, index) => tx`${tx(`i${index}`)} as (
      insert into ${tableOf(tx, tables, 'conversations')} (${list(tx, columns)})
      select ${list(tx, columns, 'r.')} from ${givenConversations(tx, tables, tx`${lines}::text::jsonb`)}
      returning 1)`,
  );
  const counts = groups.map((_, index) => tx`select count(*) as n from ${tx(`i${index}`)} union all`);
  const [row] = await tx<{ n: number }[]>`
    with ${separated(tx, inserts)} select sum(n)::int as n from (${counts} select 0) as counts`;
  return row?.n ?? 0;
}

/**
 * Writes the named columns of those conversations that differ from them, and of those listed in `changed` (ids), whose
 * turns differ. A time of change in the file counts only when it is later than the stored one, because triggers
 * commonly put the present there; where the file has none, it is now.
 * @returns the ids of the rows written
 */
export async function updateConversations(
  tx: postgres.ISql,
  tables: ImportTables,
  columns: readonly string[],
  lines: LinesJson,
  changed: readonly string[],
): Promise<string[]> {
  const fromFile = columns.includes('updated_at');
  const compared = columns.filter((column) => column !== 'updated_at');
  const assignments = columns.map((column) => tx`${tx(column)} = ${tx(`r.${column}`)}`);
  if (!fromFile && tables.conversations.has('updated_at')) assignments.push(tx`updated_at = now()`);
  if (assignments.length === 0) return [];
  // As text, because jsonb calls 1.0 and 1.00 equal and json has no equality at all.
  const asText = (prefix: string): postgres.PendingQuery<postgres.Row[]>[] =>
    separated(
      tx,
      compared.map((column) => tx`${tx(prefix + column)}::text`),
    );
  const differs =
    compared.length === 0 ? tx`false` : tx`row(${asText('t.')}) is distinct from row(${asText('r.')})`;
  const rows = await tx<{ id: string }[]>`
    update ${tableOf(tx, tables, 'conversations')} as t set ${separated(tx, assignments)}
    from ${givenConversations(tx, tables, tx`${lines}::text::jsonb`)}
    where t.id = r.id and (
      ${differs}
      or t.id::text in (select v from jsonb_array_elements_text(${JSON.stringify(changed)}::text::jsonb) as g(v))
      ${fromFile ? tx`or r.updated_at > t.updated_at` : tx``})
    returning t.id::text as id`;
  return rows.map(({ id }) => id);
}

/** Sets `parent_id` (null empties it) where it differs. @returns the ids of the rows written */
export async function setParents(
  tx: postgres.ISql,
  tables: ImportTables,
  children: readonly { id: string; parent_id: string | null }[],
): Promise<string[]> {
  const rows = await tx<{ id: string }[]>`
    update ${tableOf(tx, tables, 'conversations')} as t set parent_id = r.parent_id
    from jsonb_array_elements(${JSON.stringify(children)}::text::jsonb) as l(line)
    cross join lateral jsonb_populate_record(null::${tableOf(tx, tables, 'conversations')}, l.line) as r
    where t.id = r.id and t.parent_id is distinct from r.parent_id
    returning t.id::text as id`;
  return rows.map(({ id }) => id);
}

/** Writes the named columns of the turns of the lines. */
export async function insertTurns(
  tx: postgres.ISql,
  tables: ImportTables,
  columns: readonly string[],
  lines: LinesJson,
): Promise<void> {
  await tx`
    insert into ${tableOf(tx, tables, 'conversation_turns')} (${list(tx, columns)})
    select ${list(tx, columns, 'r.')} from ${givenTurns(tx, tables, tx`${lines}::text::jsonb`)}`;
}

/** The ids of those conversations whose stored turns are not exactly those of the lines. */
export async function findChangedTurns(
  tx: postgres.ISql,
  tables: ImportTables,
  lines: LinesJson,
): Promise<string[]> {
  const table = tableOf(tx, tables, 'conversation_turns');
  const sameTokens = tables.turns.has('token_count')
    ? tx`(not g.turn ? 'token_count' or t.token_count is not distinct from g.token_count)`
    : tx`true`;
  const rows = await tx<{ id: string }[]>`
    with whole as materialized (
      select ${lines}::text::jsonb as lines
    ), given as materialized (
      select l.line->>'id' as of, r.*, x.turn from ${givenTurns(tx, tables, tx`(select lines from whole)`)}
    ), same as (
      select g.of, count(*) as n
      from given g
      join ${table} t on t.conversation_id = g.conversation_id and t.turn_number = g.turn_number
        and t.role::text = g.role::text and t.content is not distinct from g.content and ${sameTokens}
      group by 1
    ), stored as (
      select o.of, count(*) as n
      from (select l.line->>'id' as of, r.conversation_id
        from jsonb_array_elements((select lines from whole)) as l(line)
        cross join lateral jsonb_populate_record(null::${table}, jsonb_build_object('conversation_id', l.line->'turns_of')) as r) o
      join ${table} t on t.conversation_id = o.conversation_id
      group by 1
    ), wanted as (
      select l.line->>'id' as of, jsonb_array_length(coalesce(l.line->'doc'->'turns', l.line->'doc'->'messages')) as n
      from jsonb_array_elements((select lines from whole)) as l(line)
    )
    select w.of as id
    from wanted w left join same using (of) left join stored using (of)
    where w.n <> coalesce(same.n, 0) or w.n <> coalesce(stored.n, 0)`;
  return rows.map(({ id }) => id);
}

/**
 * Deletes the turns of conversations, named by what their turns refer to.
 * @throws LoraExportError `E_DB_ACCESS` when row level security kept some, which it does without an error of its own
 */
export async function deleteTurns(
  tx: postgres.ISql,
  tables: ImportTables,
  conversations: readonly string[],
): Promise<void> {
  const table = tableOf(tx, tables, 'conversation_turns');
  const chosen = tx`t.conversation_id in (
    select r.conversation_id from jsonb_array_elements(${JSON.stringify(conversations)}::text::jsonb) as g(v)
    cross join lateral jsonb_populate_record(null::${table}, jsonb_build_object('conversation_id', g.v)) as r)`;
  await tx`delete from ${table} as t where ${chosen}`;
  const [left] = await tx`select from ${table} as t where ${chosen} limit 1`;
  if (left === undefined) return;
  throw new LoraExportError(
    'E_DB_ACCESS',
    'The database does not let this role delete turns, so they cannot be replaced',
    {
      hint: 'Import as the owner of the table, or as a role with a DELETE policy on conversation_turns.',
    },
  );
}

/** Converts one value to the type of a column and stores nothing; rejects as the insert would. */
export async function tryValue(
  tx: postgres.ISql,
  tables: ImportTables,
  table: TableName,
  column: string,
  value: unknown,
): Promise<void> {
  await tx`
    select r::text from jsonb_populate_record(null::${tableOf(tx, tables, table)},
      jsonb_build_object(${column}::text, ${JSON.stringify(value)}::text::jsonb)) as r`;
}

/** What a constraint demands, as PostgreSQL prints it, and the columns it is about; empty when there is no such one. */
export async function describeConstraint(
  tx: postgres.ISql,
  tables: ImportTables,
  table: TableName,
  constraint: string,
): Promise<{ definition: string; column: string | null }[]> {
  return await tx<{ definition: string; column: string | null }[]>`
    select pg_get_constraintdef(c.oid) as definition, a.attname as "column"
    from pg_constraint c
    join pg_class r on r.oid = c.conrelid
    join pg_namespace n on n.oid = r.relnamespace
    left join pg_attribute a on a.attrelid = c.conrelid and a.attnum = any (c.conkey)
    where n.nspname = ${tables.schema} and r.relname = ${table} and c.conname = ${constraint}`;
}

/** The values of an enum column in their order; empty for every other type. */
export async function enumValues(
  tx: postgres.ISql,
  tables: ImportTables,
  table: TableName,
  column: string,
): Promise<string[]> {
  const rows = await tx<{ label: string }[]>`
    select e.enumlabel as label
    from pg_enum e
    join pg_attribute a on a.atttypid = e.enumtypid
    join pg_class r on r.oid = a.attrelid
    join pg_namespace n on n.oid = r.relnamespace
    where n.nspname = ${tables.schema} and r.relname = ${table} and a.attname = ${column}
    order by e.enumsortorder`;
  return rows.map(({ label }) => label);
}

type Fragment = postgres.PendingQuery<postgres.Row[]>;

function tableOf(tx: postgres.ISql, tables: ImportTables, table: TableName): Fragment {
  return tx`${identifier(tx, tables.schema)}.${tx(table)}`;
}

function separated(tx: postgres.ISql, fragments: readonly Fragment[]): Fragment[] {
  return fragments.map((fragment, index) => (index === 0 ? fragment : tx`, ${fragment}`));
}

function list(tx: postgres.ISql, columns: readonly string[], prefix = ''): Fragment[] {
  return separated(
    tx,
    columns.map((column) => tx`${tx(prefix + column)}`),
  );
}

/** `r`: the lines as rows of the table, converted by the types of its columns; `l.line`: the line. */
function givenConversations(tx: postgres.ISql, tables: ImportTables, lines: Fragment): Fragment {
  return tx`
    jsonb_array_elements(${lines}) as l(line)
    cross join lateral (
      select (l.line->'doc') - '{turns,messages,metadata}'::text[]
        || case jsonb_typeof(l.line->'doc'->'metadata') when 'object' then l.line->'doc'->'metadata' else '{}'::jsonb end as doc
    ) as f
    cross join lateral (
      select case when jsonb_typeof(f.doc->'review_history') = 'array' then jsonb_build_object('review_history', (
        select coalesce(jsonb_agg(
          case when a ? 'performed_by' and not a ? 'performedBy'
            then (a - 'performed_by'::text) || jsonb_build_object('performedBy', a->'performed_by') else a end
          order by n), '[]'::jsonb)
        from jsonb_array_elements(f.doc->'review_history') with ordinality as e(a, n))) else '{}'::jsonb end as reviews
    ) as h
    cross join lateral jsonb_populate_record(
      null::${tableOf(tx, tables, 'conversations')}, f.doc || h.reviews || (l.line->'row')) as r`;
}

/** `r`: the turns as rows of the table; `x.turn`: the turn; `l.line`: its line. */
function givenTurns(tx: postgres.ISql, tables: ImportTables, lines: Fragment): Fragment {
  return tx`
    jsonb_array_elements(${lines}) as l(line)
    cross join lateral jsonb_array_elements(coalesce(l.line->'doc'->'turns', l.line->'doc'->'messages'))
      with ordinality as x(turn, n)
    cross join lateral jsonb_populate_record(
      null::${tableOf(tx, tables, 'conversation_turns')},
      jsonb_build_object('turn_number', x.n, 'created_at', l.line->'turns_at') || x.turn
        || jsonb_build_object('id', l.line->'turn_ids'->(x.n::int - 1), 'conversation_id', l.line->'turns_of')) as r
    where l.line->'take' is null or x.n <= (l.line->>'take')::int`;
}
