import { availableParallelism } from 'node:os';
import type { Conversation } from '../conversation.js';
import type { Connection } from './connect.js';
import { takeRows, type RawRow } from './row-tap.js';
import type { Fragment } from './selection.js';
import { joinSnapshot, type Snapshot } from './snapshot.js';
import type { Source } from './source.js';
import type { OpenTap } from './session.js';
import { isTransactionPooler, type DatabaseTarget } from './target.js';

/** Unasked, fewer conversations than this are read over one connection: they are there before others are open. */
const WORTH_IT_FROM = 20_000;
/** Unasked, no more connections than this: one thread encodes what they all deliver. */
const MOST_UNASKED = 3;
/** Ids per round trip, some 400 kB. */
const IDS_PER_FETCH = 10_000;
/** Batches that a connection owes at a time: its server process works on one while the last one travels. */
const BATCHES_PER_LANE = 2;
/** Types of ids that are the same after a way to text and back. */
const ID_TYPES = /^(uuid|smallint|integer|bigint|text|character varying(\(\d+\))?)$/;

/** Further connections that a read may spread over. */
export interface Lanes {
  /** How many are to read at a time, two at least. */
  readonly jobs: number;
  /** Opens one of a single session, with the rights of the reader's own. */
  readonly open: () => Promise<Connection>;
  /** Told when fewer are used than were wanted, and why. */
  readonly onNotice: (text: string) => void;
}

/** One connection inside the shared snapshot. Its transaction is open until `leave` or `abandon`. */
export interface Lane {
  readonly read: (statement: () => PromiseLike<{ readonly count: number }>) => Promise<RawRow[]>;
  /** Batches that were asked for and have not come yet. */
  readonly owed: number;
  readonly sql: Connection['sql'];
  /** Confirms the COMMIT: the session lived as long as the read. */
  readonly leave: () => Promise<void>;
  /** Gives up what is under way, at once. */
  readonly abandon: (reason: Error) => void;
}

/** What is read over several connections. */
export interface ParallelRead {
  /** Selects the ids as text, in order. */
  readonly ids: Fragment;
  /** Selects the conversations that have these ids, in the same order. */
  readonly byIds: (sql: Connection['sql'], ids: readonly string[]) => Fragment;
  readonly toConversation: (row: RawRow) => Conversation;
  readonly firstSize: number;
  /** Conversations for the next batch, after these. */
  readonly nextSize: (rows: readonly RawRow[]) => number;
}

/**
 * How many connections an export reads over. Behind a transaction pooler no snapshot can be shared; otherwise what was
 * asked for holds. Unasked it is one for each core beside that of the encoder: a server on the same machine needs the
 * others. (On two cores two connections gained nothing; docs/performance.md has the numbers.)
 */
export function jobsFor(
  asked: number | undefined,
  target: DatabaseTarget,
  onNotice: (text: string) => void,
): number {
  if (!isTransactionPooler(target)) {
    return asked ?? Math.max(1, Math.min(MOST_UNASKED, availableParallelism() - 1));
  }
  if (asked !== undefined && asked > 1) {
    onNotice(
      `One connection reads instead of ${asked}: a snapshot cannot be shared behind a transaction pooler (port 6543).`,
    );
  }
  return 1;
}

/** Whether so many conversations repay opening more connections than the reader's own. */
export function isWorthLanes(asked: number | undefined, matched: number): boolean {
  return matched >= (asked === undefined ? WORTH_IT_FROM : 1);
}

/**
 * Opens the connections and takes them into the snapshot.
 * @returns none when fewer than two are to be had, or when conversations cannot be asked for by id; the reason is told
 */
export async function openLanes(
  { connection, sharedAs }: Snapshot,
  source: Source,
  { jobs, open, onNotice }: Lanes,
): Promise<readonly Lane[]> {
  const fewer = (count: string, why: string): void =>
    onNotice(`${count} instead of ${jobs}: ${why.replace(/\.?$/, '.')}`);
  if (sharedAs === null) return [];
  if (!(await hasUniqueIds(connection, source))) {
    fewer('One connection reads', 'conversations.id has no unique index');
    return [];
  }
  const outcomes = await Promise.allSettled(
    Array.from({ length: jobs }, async () => enter(await open(), sharedAs)),
  );
  const lanes = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
  const { lost } = connection;
  if (lost !== null) {
    for (const lane of lanes) lane.abandon(lost);
    throw lost;
  }
  const refused = outcomes.find((outcome) => outcome.status === 'rejected');
  if (refused === undefined) return lanes;
  const why = refused.reason instanceof Error ? refused.reason.message : String(refused.reason);
  if (lanes.length > 1) {
    fewer(`${lanes.length} connections read`, why);
    return lanes;
  }
  fewer('One connection reads', why);
  await Promise.allSettled(lanes.map((lane) => lane.leave()));
  return [];
}

/** A view has no index, and in other tables a batch by ids could be more rows, or fewer, than there are ids. */
async function hasUniqueIds({ sql, ask }: Connection, source: Source): Promise<boolean> {
  if (!ID_TYPES.test(source.conversations.get('id') ?? '')) return false;
  const [row] = await ask(
    () => sql<{ found: boolean }[]>`
      select exists (
        select from pg_index i
        join pg_class c on c.oid = i.indrelid and c.relname = 'conversations'
        join pg_namespace n on n.oid = c.relnamespace and n.nspname = ${source.schema}
        join pg_attribute a on a.attrelid = c.oid and a.attname = 'id' and a.attnotnull
        where i.indisunique and i.indisvalid and i.indpred is null
          and i.indnkeyatts = 1 and i.indkey[0] = a.attnum
      ) as found`,
  );
  return row?.found === true;
}

/** Resolves inside the snapshot, where the connection stays until the lane is left. */
function enter(session: Connection, snapshotId: string): Promise<Lane> {
  return new Promise((resolve, reject) => {
    const over = stay(session, snapshotId, (inside, tap, leave) => {
      let owed = 0;
      resolve({
        sql: inside.sql,
        get owed() {
          return owed;
        },
        async read(statement) {
          owed++;
          try {
            const { count } = await inside.ask(statement);
            return takeRows(tap, count);
          } finally {
            owed--;
          }
        },
        leave() {
          leave();
          return over;
        },
        abandon(reason) {
          session.destroy(reason);
          leave();
        },
      });
    });
    over.catch(reject);
  });
}

/** From BEGIN to a confirmed COMMIT, which comes when `leave` was called. */
async function stay(
  session: Connection,
  snapshotId: string,
  onEntered: (inside: Connection, tap: OpenTap, leave: () => void) => void,
): Promise<void> {
  try {
    await joinSnapshot(session, snapshotId, async (inside) => {
      const tap = inside.tapRows();
      await new Promise<void>((leave) => onEntered(inside, tap, leave));
      tap.end();
    });
  } finally {
    await session.close();
  }
}

/**
 * Reads over several connections, in order. The reader's own connection walks through the ids; each batch of them goes
 * to the connection that owes least, and what comes is handed on in the order of the ids. At most two batches per
 * connection are asked for or held. The loss of any connection, the reader's included, rejects the whole read; when the
 * last batch was handed on, every connection has confirmed its COMMIT.
 *
 * Ids, and not ranges of the sort key: without an index on that key, each range would be a scan of the whole table.
 */
export async function* readOverLanes(
  reader: Connection,
  lanes: readonly Lane[],
  { ids, byIds, toConversation, firstSize, nextSize }: ParallelRead,
): AsyncGenerator<Conversation[]> {
  const asked: Promise<RawRow[]>[] = [];
  let size = firstSize;
  let isComplete = false;
  const askAhead = async (nextIds: NextIds): Promise<void> => {
    while (asked.length < lanes.length * BATCHES_PER_LANE) {
      const batch = await nextIds(size);
      if (batch.length === 0) return;
      const lane = lanes.reduce((least, other) => (other.owed < least.owed ? other : least));
      const rows = lane.read(() => lane.sql`${byIds(lane.sql, batch)}`);
      // Awaited in its turn, if all before it came.
      rows.catch(() => undefined);
      asked.push(rows);
    }
  };
  try {
    const nextIds = await openIds(reader, ids);
    for (;;) {
      await askAhead(nextIds);
      const rows = await asked.shift();
      if (rows === undefined) break;
      if (reader.lost !== null) throw reader.lost;
      if (rows.length > 0) size = nextSize(rows);
      await askAhead(nextIds);
      yield rows.map(toConversation);
    }
    await Promise.all(lanes.map((lane) => lane.leave()));
    isComplete = true;
  } finally {
    if (!isComplete) {
      const reason = reader.lost ?? new Error('The read was given up.');
      for (const lane of lanes) lane.abandon(reason);
    }
    await Promise.allSettled([...asked, ...lanes.map((lane) => lane.leave())]);
    // The transaction may read once more; after a failure it is over, and so is the cursor.
    await reader.ask(() => reader.sql`close lora_export_ids`).catch(() => undefined);
  }
}

/** So many ids as one asks for, fewer at the end. */
type NextIds = (count: number) => Promise<string[]>;

/** The next ids are always on their way. */
async function openIds({ sql, ask }: Connection, ids: Fragment): Promise<NextIds> {
  // All of them are fetched, but a cursor is planned for its first rows: by an index in the order of the file. A third of
  // a million scattered rows took 6.6 s that way, and 2.1 s scanned and sorted.
  await ask(() => sql`set local cursor_tuple_fraction = 1`);
  await ask(() => sql`declare lora_export_ids no scroll cursor for ${ids}`);
  const fetch = (): Promise<{ readonly id: string }[]> => {
    const answer = ask(() =>
      sql.unsafe<{ id: string }[]>(`fetch forward ${IDS_PER_FETCH} from lora_export_ids`),
    );
    answer.catch(() => undefined);
    return answer;
  };
  let coming = fetch();
  let held: string[] = [];
  let isEnd = false;
  return async (count) => {
    while (held.length < count && !isEnd) {
      const rows = await coming;
      isEnd = rows.length < IDS_PER_FETCH;
      if (!isEnd) coming = fetch();
      held = held.concat(rows.map(({ id }) => id));
    }
    return held.splice(0, count);
  };
}
