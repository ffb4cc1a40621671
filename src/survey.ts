import { abortable } from './abortable.js';
import { actingAs } from './db/acting.js';
import { auditProblems } from './db/audit-problems.js';
import { connect, type Connection } from './db/connect.js';
import { countConversations, findMissingIds } from './db/conversations.js';
import {
  FACET_FILTERS,
  readCreatedSpan,
  readFacet,
  readQualitySpan,
  type Facet,
  type FacetName,
  type Span,
} from './db/facets.js';
import {
  findConversations,
  type FoundConversation,
  type FoundPage,
  type SearchPosition,
} from './db/find-conversations.js';
import { identify, requireUser, type Identity } from './db/identity.js';
import { countScopes, type ScopeCount, type ScopeCounts } from './db/scope-counts.js';
import { readServer } from './db/server.js';
import type { Selection } from './db/selection.js';
import { withSnapshot, type Snapshot } from './db/snapshot.js';
import { inspectSource, type Source } from './db/source.js';
import type { DatabaseTarget } from './db/target.js';
import { LoraExportError } from './errors.js';
import { parseRequest, type ExportRequestInput } from './request.js';

export type { Facet, FacetName, FoundConversation, FoundPage, ScopeCount, ScopeCounts, SearchPosition, Span };
export { FACET_FILTERS };

/** Conversations on a page of {@link Survey.search}, unless said otherwise. */
const PAGE = 50;

export interface SurveyOptions {
  /** Schema of the two source tables. Default: public. */
  readonly schema?: string | undefined;
  /** Schema of the audit tables. Default: public. */
  readonly auditSchema?: string | undefined;
  /** On whose behalf, as for an export. */
  readonly userId?: string | undefined;
  /** Default: false. */
  readonly allUsers?: boolean | undefined;
  /** It is the embedded database; told back by {@link Survey.facts}. Default: false. */
  readonly isEmbedded?: boolean | undefined;
  /** Longest silence of the server while a question is open, in milliseconds. Default: 60,000. */
  readonly stallMs?: number | undefined;
  readonly onNotice?: ((text: string) => void) | undefined;
  /** Ends the survey at once. */
  readonly signal?: AbortSignal | undefined;
}

/** The database as somebody meets it who wants to export from it. Names are text from outside: make them visible. */
export interface SurveyFacts {
  /** `user@host:port/database`. */
  readonly database: string;
  readonly isEmbedded: boolean;
  /** Such as `15.4`. */
  readonly serverVersion: string;
  /** The role whose rights count: where the database knows users, the one that users have. */
  readonly role: string;
  readonly userId: string;
  readonly userOrigin: Identity['origin'];
  readonly allUsers: boolean;
  /** Policies apply, so some conversations may be hidden. */
  readonly rowSecurity: boolean;
  /** Those that the user can see; null when they cannot be read. */
  readonly conversations: number | null;
  /** Why they cannot; null when they can. */
  readonly sourceProblem: string | null;
  /** Why the audit tables cannot be used, in words; empty when they can. An export needs them. */
  readonly auditProblems: readonly string[];
  /** There is nothing yet: no source tables, or no conversation in them that the user can see. */
  readonly isEmpty: boolean;
}

/** The values to choose from. A member is absent where the table has no such column. */
export type Facets = Partial<Record<FacetName, Facet>> & {
  readonly qualityScore?: Span<number>;
  /** ISO 8601 in UTC with milliseconds. */
  readonly createdAt?: Span<string>;
};

export interface QuestionOptions {
  /**
   * The answer is no longer wanted: the question rejects at once with the signal's reason. One that waits is then never
   * asked. One that runs is left to end, because a request to cancel may hit the statement after the one it is meant for;
   * the next question waits until it has.
   */
  readonly signal?: AbortSignal | undefined;
}

export interface FacetOptions extends QuestionOptions {
  /** Which to read; each takes a pass over the table. Default: all. */
  readonly only?: readonly (keyof Facets)[] | undefined;
}

export interface SearchQuery extends QuestionOptions {
  /** Default: 50, at most 500. */
  readonly limit?: number | undefined;
  /** Only among those that the filters leave. Default: all that the user can see. */
  readonly filters?: ExportRequestInput['filters'];
  /** `next` of the page before. */
  readonly after?: SearchPosition | undefined;
}

/**
 * Questions about a database on behalf of a user, for filling in a request: what is counted is what an export with the
 * same request would match. Each question is a short snapshot of its own, and they are asked one after the other; while
 * nobody asks, no transaction is open. A connection that was lost is opened again by the next question.
 *
 * A request in the making is no mistake: scope `selected` without ids has none, `filtered` without filters all that are
 * not deleted. All questions reject with a LoraExportError: `E_USAGE` for a request that is wrong otherwise, `E_SCHEMA`
 * when it needs a column that the table does not have.
 */
export interface Survey {
  /** Looks at everything anew, such as after tables were created. */
  facts(options?: QuestionOptions): Promise<SurveyFacts>;
  /** How many conversations the request matches, its limit included. */
  count(request: ExportRequestInput, options?: QuestionOptions): Promise<number>;
  /** The ids that match no conversation, by either key. */
  missing(ids: readonly string[], options?: QuestionOptions): Promise<string[]>;
  /** What each scope would export, of one instant: the filters of the request are those of scope `filtered` alone. */
  scopes(request: ExportRequestInput, options?: QuestionOptions): Promise<ScopeCounts>;
  /** The values that the conversations of the request have, of one instant; each facet ignores the filter on itself. */
  facets(request: ExportRequestInput, options?: FacetOptions): Promise<Facets>;
  /** Conversations by title or either key, newest first. */
  search(text: string, query?: SearchQuery): Promise<FoundPage>;
  /** Ends the connection; open questions reject. */
  close(): Promise<void>;
}

/**
 * Connects to a database and settles who asks, as an export would.
 * @throws LoraExportError as `connect` and `identify` do, and `E_DB_ACCESS` where an export would be refused to the login
 */
export async function openSurvey(target: DatabaseTarget, options: SurveyOptions = {}): Promise<Survey> {
  const { schema = 'public', userId, allUsers, stallMs, onNotice, signal } = options;
  const login = await connect(target, { purpose: 'wizard', stallMs, onNotice, signal });
  try {
    const identity = await identify(login, { userId, allUsers });
    const user = requireUser(identity);
    return surveyOf(target, login, identity, user, { ...options, schema });
  } catch (error) {
    await login.close();
    throw error;
  }
}

function surveyOf(
  target: DatabaseTarget,
  login: Connection,
  identity: Identity,
  userId: string,
  { schema, auditSchema = 'public', isEmbedded = false }: SurveyOptions & { readonly schema: string },
): Survey {
  const reader = actingAs(login, identity.actor);
  const inTurn = queue();
  let known: Source | null = null;

  async function look<T>(use: (snapshot: Snapshot, source: Source) => Promise<T>): Promise<T> {
    try {
      return await withSnapshot(reader, async (snapshot) => {
        known ??= await inspectSource(snapshot.connection, schema);
        return use(snapshot, known);
      });
    } catch (error) {
      // It may have failed because the tables are no longer what they were.
      known = null;
      throw error;
    }
  }

  const ask = <T>(
    use: (snapshot: Snapshot, source: Source) => Promise<T>,
    { signal }: QuestionOptions,
  ): Promise<T> => inTurn(() => onceMoreIfLost(login, () => look(use)), signal);

  async function readFacts(): Promise<SurveyFacts> {
    known = null;
    const server = await withSnapshot(reader, ({ connection }) => readServer(connection, schema));
    const everything = parseRequest({ scope: 'all' });
    const { conversations, sourceProblem, rowSecurity } = await look(async (snapshot, source) => ({
      conversations: await countConversations(snapshot, source, everything),
      sourceProblem: null,
      rowSecurity: source.rowSecurity,
    })).catch((error: unknown) => {
      const isTold = error instanceof LoraExportError && ['E_SCHEMA', 'E_DB_ACCESS'].includes(error.code);
      if (!isTold || login.lost !== null) throw error;
      return { conversations: null, sourceProblem: error.message, rowSecurity: false };
    });
    const problems = await login.ask(() => auditProblems(login.sql, { schema: auditSchema }));
    return {
      database: target.label,
      isEmbedded,
      serverVersion: server.version,
      role: server.role,
      userId,
      userOrigin: identity.origin,
      allUsers: identity.owner === null,
      rowSecurity,
      conversations,
      sourceProblem,
      auditProblems: problems ?? [`there is no table ${auditSchema}.export_logs`],
      isEmpty: !server.hasSource || conversations === 0,
    };
  }

  return {
    facts: ({ signal } = {}) => inTurn(() => onceMoreIfLost(login, readFacts), signal),
    async count(request, options = {}) {
      const selection = selectionOf(request);
      return ask((snapshot, source) => countConversations(snapshot, source, selection), options);
    },
    missing: (ids, options = {}) => ask((snapshot, source) => findMissingIds(snapshot, source, ids), options),
    async scopes(request, options = {}) {
      const selection = selectionOf(request);
      return ask((snapshot, source) => countScopes(snapshot, source, selection), options);
    },
    async facets(request, { only = FACETS, ...options } = {}) {
      const selection = selectionOf(request);
      return ask((snapshot, source) => readFacets(snapshot, source, selection, only), options);
    },
    async search(text, { limit = PAGE, filters, after, ...options } = {}) {
      const selection = selectionOf({ scope: 'all', ...(filters && { filters }), limit });
      const query = { text, limit: Math.min(limit, 500), after };
      return ask((snapshot, source) => findConversations(snapshot, source, selection, query), options);
    },
    close: () => login.close(),
  };
}

const FACETS = [
  'tier',
  'status',
  'category',
  'persona',
  'emotion',
  'topic',
  'qualityScore',
  'createdAt',
] as const satisfies readonly (keyof Facets)[];

async function readFacets(
  snapshot: Snapshot,
  source: Source,
  selection: Selection,
  only: readonly (keyof Facets)[],
): Promise<Facets> {
  const read = (name: keyof Facets): Promise<Facet | Span<number> | Span<string> | null> => {
    if (name === 'qualityScore') return readQualitySpan(snapshot, source, selection);
    if (name === 'createdAt') return readCreatedSpan(snapshot, source, selection);
    return readFacet(snapshot, source, selection, name);
  };
  const found: [keyof Facets, unknown][] = [];
  for (const name of only) {
    const facet = await read(name);
    if (facet !== null) found.push([name, facet]);
  }
  return Object.fromEntries(found);
}

/** What of a request in the making says which conversations. */
function selectionOf({
  scope = 'approved',
  ids = [],
  filters,
  excludeStatus,
  limit,
}: ExportRequestInput): Selection {
  const parsed = parseRequest({
    ...(ids.length === 0 ? { scope: 'all' } : { scope: 'selected', ids }),
    ...(filters && { filters }),
    ...(excludeStatus && { excludeStatus }),
    ...(limit !== undefined && { limit }),
  });
  return { ...parsed, scope };
}

/**
 * Runs one piece of work after the other: a connection has room for one transaction. Work that nobody waits for any more
 * when its turn comes is left out.
 */
function queue(): <T>(work: () => Promise<T>, signal: AbortSignal | undefined) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (work, signal) => {
    const turn = last.then(() => {
      signal?.throwIfAborted();
      return work();
    });
    last = turn.catch(() => undefined);
    return signal === undefined ? turn : abortable(turn, signal);
  };
}

/** Questions change nothing, so one whose connection was lost on the way is asked again, on a new connection. */
async function onceMoreIfLost<T>(login: Connection, work: () => Promise<T>): Promise<T> {
  const wasAlive = login.lost === null;
  try {
    return await work();
  } catch (error) {
    const isLost = login.lost !== null && error instanceof LoraExportError && error.retryable;
    if (!wasAlive || !isLost) throw error;
    return work();
  }
}
