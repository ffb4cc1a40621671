import type { Access } from './db/access.js';
import { actingAs } from './db/acting.js';
import type { Connection } from './db/connect.js';
import type { DatabaseTarget } from './db/target.js';
import { checkAuditAccess } from './doctor/audit-access.js';
import { checkAuditTables } from './doctor/audit-tables.js';
import { checkClock } from './doctor/clock.js';
import { checkConnection, openSession } from './doctor/connection.js';
import type { DoctorContext, OpenPatient } from './doctor/context.js';
import { checkDirectory } from './doctor/directory.js';
import { checkDisk } from './doctor/disk.js';
import {
  failed,
  failedBy,
  skipped,
  warning,
  type Examined,
  type Finding,
  type FindingStatus,
} from './doctor/finding.js';
import { checkIndexes } from './doctor/indexes.js';
import { checkLimits } from './doctor/limits.js';
import { checkRole } from './doctor/role.js';
import { checkRowSecurity } from './doctor/row-security.js';
import { checkRuns } from './doctor/runs.js';
import { checkSettings } from './doctor/settings.js';
import { checkSource } from './doctor/source.js';
import { checkTls } from './doctor/tls.js';
import { checkTurns } from './doctor/turns.js';
import { LoraExportError, type ErrorCode } from './errors.js';

/** Every check, in the order of the report. */
export const CHECKS = [
  'settings',
  'connection',
  'tls',
  'role',
  'source',
  'row-security',
  'turns',
  'indexes',
  'audit-tables',
  'audit-access',
  'runs',
  'directory',
  'disk',
  'clock',
  'limits',
] as const;
export type CheckName = (typeof CHECKS)[number];

/** One line of the report. */
export interface Check extends Finding {
  readonly name: CheckName;
}

export interface Diagnosis {
  /** Nothing failed; there may be warnings. */
  readonly ok: boolean;
  readonly checks: readonly Check[];
}

const DEFAULT_LIMIT_MS = 5_000;

/**
 * Looks at everything that an export needs, and says of each what is wrong and what mends it. A check that fails does
 * not keep the others from running, unless they build on it. Nothing is changed: statements run in read-only
 * transactions with a time limit, and of the trial in the export directory nothing is left.
 *
 * @throws what the signal was aborted with; failures of the checks are in the result
 */
export async function diagnose(context: DoctorContext): Promise<Diagnosis> {
  const report = new Report(context);
  report.add('settings', checkSettings(context));
  const { database } = context;
  const lastSize =
    database instanceof LoraExportError
      ? report.addWithoutSession(database, context.isEmbedded)
      : await examineDatabase(report, database, context);
  await report.examine('directory', () => checkDirectory(context));
  await report.examine('disk', () => checkDisk(context, lastSize));
  return report.diagnosis();
}

/** The report where the settings themselves cannot be read. */
export function undiagnosable(error: LoraExportError): Diagnosis {
  const checks = CHECKS.map((name) =>
    Object.assign(name === 'settings' ? failedBy(error) : skipped('needs the settings'), { name }),
  );
  return { ok: false, checks };
}

/** What the first check that failed stands for; null when none did. */
export function failureOf({
  checks,
}: Diagnosis): { readonly name: CheckName; readonly code: ErrorCode } | null {
  const first = checks.find(({ status }) => status === 'failed');
  return first === undefined ? null : { name: first.name, code: first.code ?? 'E_INTERNAL' };
}

/** @returns the size of the latest export, where it is known */
async function examineDatabase(
  report: Report,
  target: DatabaseTarget,
  context: DoctorContext,
): Promise<number | null> {
  report.begin('connection');
  const opened = await openSession(target, context);
  if (opened instanceof LoraExportError) {
    // Whoever could not be reached has no TLS to look at, and waiting twice tells nothing new.
    const isReached = opened.code !== 'E_DB_UNREACHABLE' && opened.code !== 'E_STALLED';
    const tls = isReached ? await checkTls(target, context).catch(failedBy) : null;
    const isByTls = tls?.status === 'failed';
    report.add('connection', isByTls ? failed(opened.code, 'No session: see tls.', null) : failedBy(opened));
    report.add('tls', tls ?? skipped('needs the connection'));
    report.skipRest('needs the connection');
    return null;
  }
  const { login, openedInMs } = opened;
  report.watch(login);
  try {
    await report.examine('connection', () => checkConnection(target, login, openedInMs, context));
    await report.examine('tls', () => checkTls(target, context));
    return await examineSession(report, login, context);
  } finally {
    await login.close();
  }
}

async function examineSession(
  report: Report,
  login: Connection,
  context: DoctorContext,
): Promise<number | null> {
  const { auditSchema, limitMs = DEFAULT_LIMIT_MS } = context;
  const facts = await report.examine('role', () => checkRole(login, context, limitMs));
  if (facts === null) {
    report.skipRest('needs the role');
    return null;
  }
  const { loginRole, identity } = facts;
  const reader = actingAs(login, identity?.actor ?? null);
  const role = identity?.actor?.role ?? loginRole;
  const patient: OpenPatient = { login, reader, identity, role, limitMs };

  const source = await report.examine('source', () => checkSource(patient, context));
  if (source === null) report.skip(['row-security', 'turns', 'indexes'], 'needs the source tables');
  else {
    await report.examine('row-security', () => checkRowSecurity(patient, context));
    await report.examine('turns', () => checkTurns(patient, source));
    await report.examine('indexes', () => checkIndexes(patient, source));
  }

  await report.examine('audit-tables', () => checkAuditTables(login, auditSchema));
  const isUsable = report.has('audit-tables', 'ok', 'warning');
  if (isUsable) await report.examine('audit-access', () => checkAuditAccess(patient, context));
  else report.skip(['audit-access'], 'needs the audit tables');
  let lastSize: number | null = null;
  if (identity === null) report.skip(['runs'], 'needs the user');
  else if (!isUsable || !report.has('audit-access', 'ok')) report.skip(['runs'], 'needs the audit log');
  else {
    const access: Access = { connection: reader, login, auditSchema, identity };
    lastSize = (await report.examine('runs', () => checkRuns(access, limitMs)))?.lastSize ?? null;
  }

  await report.examine('clock', () => checkClock(login, context.now));
  await report.examine('limits', () => checkLimits(login, loginRole));
  return lastSize;
}

/** Collects what the checks find, in whatever order they run. */
class Report {
  readonly #context: DoctorContext;
  readonly #findings = new Map<CheckName, Finding>();
  #session: Connection | undefined;

  constructor(context: DoctorContext) {
    this.#context = context;
  }

  /** From now on checks are skipped once this session is lost. */
  watch(session: Connection): void {
    this.#session = session;
  }

  begin(name: CheckName): void {
    this.#context.signal?.throwIfAborted();
    this.#context.onBegin?.(name);
  }

  add(name: CheckName, finding: Finding): void {
    this.#findings.set(name, finding);
  }

  has(name: CheckName, ...statuses: readonly FindingStatus[]): boolean {
    const finding = this.#findings.get(name);
    return finding !== undefined && statuses.includes(finding.status);
  }

  skip(names: readonly CheckName[], reason: string): void {
    for (const name of names) this.add(name, skipped(reason));
  }

  /** Everything about the database that has no finding yet. */
  skipRest(reason: string): void {
    const local: readonly CheckName[] = ['directory', 'disk'];
    this.skip(
      CHECKS.filter((name) => !this.#findings.has(name) && !local.includes(name)),
      reason,
    );
  }

  /** For a database that cannot even be named, or an embedded one that does not start. */
  addWithoutSession(error: LoraExportError, isEmbedded: boolean): null {
    if (isEmbedded) this.add('connection', failedBy(error));
    this.skipRest(isEmbedded ? 'needs the connection' : 'needs the settings');
    return null;
  }

  /** Runs a check; how it fails is its finding. */
  async examine<T>(name: CheckName, check: () => Promise<Examined<T> | Finding>): Promise<T | null> {
    this.begin(name);
    const isLocal = name === 'directory' || name === 'disk';
    if (!isLocal && this.#session !== undefined && this.#session.lost !== null) {
      this.add(name, skipped('the connection was lost'));
      return null;
    }
    try {
      const result = await check();
      const examined = 'finding' in result ? result : { finding: result, value: null };
      this.add(name, examined.finding);
      return examined.value;
    } catch (error) {
      this.#context.signal?.throwIfAborted();
      this.add(name, this.#findingOf(error));
      return null;
    }
  }

  #findingOf(error: unknown): Finding {
    const isOurLimit =
      error instanceof LoraExportError && error.code === 'E_STALLED' && this.#session?.lost === null;
    if (!isOurLimit) return failedBy(error);
    const seconds = (this.#context.limitMs ?? DEFAULT_LIMIT_MS) / 1000;
    return warning(
      `could not be told within ${seconds} s`,
      'The table is very large, or another session keeps it locked (see pg_locks).',
    );
  }

  diagnosis(): Diagnosis {
    const checks = CHECKS.map((name) =>
      Object.assign({ name }, this.#findings.get(name) ?? skipped('not reached')),
    );
    return { ok: checks.every(({ status }) => status !== 'failed'), checks };
  }
}
