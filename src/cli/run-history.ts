import { randomUUID } from 'node:crypto';
import { resolve } from 'node:path';
import type { Access } from '../db/access.js';
import { readRun } from '../db/recorded-runs.js';
import { ExportNotFoundError, LoraExportError } from '../errors.js';
import { listExports, parseHistoryQuery, type HistoryQueryInput } from '../history.js';
import { writeHistoryCsv } from '../history/history-csv.js';
import { prepareDestination } from '../sinks/index.js';
import type { Destination } from '../sinks/sink.js';
import { withAccess, type App } from './app.js';
import { kebab } from './flags.js';
import { pageJson, pageNote, pageTable, runJson, runText } from './render-history.js';
import type { ConnectionFlags } from './settings.js';

/** `history`'s flags as commander hands them over. */
export interface HistoryFlags extends ConnectionFlags {
  readonly format?: string[];
  readonly status?: string[];
  readonly scope?: string[];
  readonly from?: string;
  readonly to?: string;
  readonly sort?: string;
  readonly order?: string;
  readonly page?: number;
  readonly limit?: number;
  readonly csv?: boolean;
  readonly output?: string;
  readonly force?: boolean;
  readonly stats?: boolean;
  readonly since?: string;
  readonly by?: 'hour' | 'day';
  readonly prometheus?: boolean;
  readonly check?: boolean;
  readonly json?: boolean;
  readonly debug?: boolean;
}

const FILTERS = ['format', 'status', 'scope', 'from', 'to'] as const;
const ORDER = ['sort', 'order'] as const;
const PAGE = ['page', 'limit'] as const;
const FILE = ['output', 'force'] as const;
const STATISTICS = ['stats', 'prometheus', 'check'] as const;
const PERIOD = ['since', 'by'] as const;

/** The `history` command: a page, one export, everything as CSV, or statistics. */
export async function runHistory(app: App, id: string | undefined, flags: HistoryFlags): Promise<void> {
  refuseNonsense(id, flags);
  if (STATISTICS.some((flag) => flags[flag])) {
    const { runStatistics } = await import('./run-statistics.js');
    return runStatistics(app, flags);
  }
  if (id !== undefined) return showRun(app, id, flags);
  return flags.csv ? writeCsv(app, flags) : showPage(app, flags);
}

async function showPage(app: App, flags: HistoryFlags): Promise<void> {
  const { terminal } = app;
  const query = queryOf(flags);
  const settings = await app.readSettings(flags);
  const page = await withAccess(app, settings, 'history', (access) => listExports(access, query));
  terminal.clearStatus();
  if (flags.json) {
    terminal.data(`${pageJson(page)}\n`);
    return;
  }
  if (page.exports.length > 0) terminal.data(pageTable(page, { showsUsers: settings.allUsers }));
  terminal.line(pageNote(page, { isFiltered: FILTERS.some((flag) => flags[flag] !== undefined) }));
}

async function showRun(app: App, id: string, flags: HistoryFlags): Promise<void> {
  const settings = await app.readSettings(flags);
  const run = await withAccess(app, settings, 'history', (access) => readRun(access, id));
  app.terminal.clearStatus();
  if (run === null) throw new ExportNotFoundError(id);
  app.terminal.data(flags.json ? `${runJson(run)}\n` : runText(run));
}

async function writeCsv(app: App, flags: HistoryFlags): Promise<void> {
  const { host, terminal } = app;
  const query = queryOf(flags);
  const settings = await app.readSettings(flags);
  const path = flags.output ?? '-';
  const destination = await prepareDestination(
    path === '-' ? { kind: 'stream' } : { kind: 'file', path: resolve(host.cwd, path) },
    { exportId: randomUUID(), force: flags.force === true, stream: host.stdout },
  );
  const { count, location } = await withAccess(app, settings, 'history', (access) =>
    publishCsv(access, query, destination),
  );
  terminal.clearStatus();
  terminal.line(`Wrote ${exports(count)} to ${location}.`);
}

async function publishCsv(
  access: Access,
  query: HistoryQueryInput,
  destination: Destination,
): Promise<{ count: number; location: string }> {
  const sink = await destination.open();
  try {
    const count = await writeHistoryCsv(access, query, (bytes) => sink.write(bytes));
    await sink.seal();
    const { location } = await sink.publish('history.csv');
    return { count, location };
  } finally {
    await sink.abort();
  }
}

/** @throws LoraExportError `E_USAGE` */
function queryOf(flags: HistoryFlags): HistoryQueryInput {
  const { format, status, scope, from, to, sort, order, page, limit, user, allUsers } = flags;
  const query = {
    format: format?.map((name) => (name === 'md' ? 'markdown' : name)),
    status,
    scope,
    from,
    to,
    sort,
    order,
    page,
    limit,
    // Without --all-users, --user says on whose behalf, and nobody else's exports are seen anyway.
    userId: allUsers ? user : undefined,
  } as HistoryQueryInput;
  // Before the database is asked for anything.
  parseHistoryQuery(query);
  return query;
}

/** A flag that means nothing would be ignored without a word. */
function refuseNonsense(id: string | undefined, flags: HistoryFlags): void {
  const typed = (names: readonly (keyof HistoryFlags)[]): string | undefined => {
    const name = names.find((flag) => flags[flag] !== undefined);
    return name === undefined ? undefined : `--${kebab(name)}`;
  };
  const refuse = (flag: string | undefined, other: string): void => {
    if (flag !== undefined) throw new LoraExportError('E_USAGE', `${flag} means nothing with ${other}.`);
  };
  const statistics = typed(STATISTICS);
  if (id !== undefined) {
    refuse(typed([...FILTERS, ...ORDER, ...PAGE, 'csv', ...FILE, ...STATISTICS, ...PERIOD]), 'an export id');
  }
  if (statistics !== undefined) {
    refuse(typed([...FILTERS, ...ORDER, ...PAGE, 'csv', ...FILE]), statistics);
    return;
  }
  const period = typed(PERIOD);
  if (period !== undefined)
    throw new LoraExportError('E_USAGE', `${period} belongs to --stats.`, {
      hint: 'A list is bounded by --from and --to.',
    });
  if (flags.csv) refuse(typed([...PAGE, 'json']), '--csv, which holds everything that matches');
  else refuse(typed(FILE), 'a list; they belong to --csv');
}

/** `1 export`, `2 exports`. */
function exports(count: number): string {
  return `${count} ${count === 1 ? 'export' : 'exports'}`;
}
