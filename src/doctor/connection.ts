import { addressOf } from '../db/connection-failures.js';
import { connect, type Connection } from '../db/connect.js';
import { readSessionFacts, type SessionFacts } from '../db/diagnosis/session-facts.js';
import { isTransactionPooler, type DatabaseTarget } from '../db/target.js';
import { LoraExportError } from '../errors.js';
import type { DoctorContext } from './context.js';
import { failed, failedBy, ok, warning, type Finding } from './finding.js';

/** As for the migrations: older ones lack `gen_random_uuid()`. */
const OLDEST_SERVER = 130_000;
const ROUND_TRIPS = 5;
/** Nothing that is asked here takes long; a silent server is a finding and not something to wait for. */
const STALL_MS = 15_000;

/** Opens the session that everything else is asked through: once, because a repeated try would hide what is wrong. */
export async function openSession(
  target: DatabaseTarget,
  { signal }: DoctorContext,
): Promise<{ readonly login: Connection; readonly openedInMs: number } | LoraExportError> {
  const began = performance.now();
  try {
    const login = await connect(target, {
      purpose: 'doctor',
      singleSession: true,
      connectAttempts: 1,
      stallMs: STALL_MS,
      signal,
    });
    return { login, openedInMs: performance.now() - began };
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof LoraExportError) return error;
    throw error;
  }
}

/** Version, speed, and whether a second session can be had, as exports need one. */
export async function checkConnection(
  target: DatabaseTarget,
  login: Connection,
  openedInMs: number,
  context: DoctorContext,
): Promise<Finding> {
  const facts = await readSessionFacts(login);
  const server = `PostgreSQL ${facts.version} at ${addressOf(target)}`;
  if (facts.versionNumber < OLDEST_SERVER) {
    return failed(
      'E_SCHEMA',
      `${server} is too old.`,
      'PostgreSQL 13 is the oldest version that lora-export works with.',
    );
  }
  const second = await readSecondSession(target, context);
  if (second instanceof LoraExportError) {
    const { message, fix } = failedBy(second);
    return failed(
      second.code,
      `${server} takes one session, but an export needs two: ${message}`,
      fix ?? 'Allow this role at least two connections.',
    );
  }
  // Two sessions at once that one process of the server answers: somebody in between deals it out by the transaction.
  const isPooled = second.processId === facts.processId;
  if (isPooled && !isTransactionPooler(target)) {
    return warning(
      `${server}, behind a pooler in transaction mode on another port than 6543`,
      'Use the session pooler or the direct address: a transaction pooler is recognised by port 6543 only, and elsewhere prepared statements get lost.',
    );
  }
  const pooler = isPooled
    ? ', behind a pooler in transaction mode'
    : isTransactionPooler(target)
      ? ' on the port of transaction poolers, but with sessions of its own'
      : '';
  const roundTrip = await measureRoundTrip(login);
  return ok(
    `${server}${pooler}; connected in ${milliseconds(openedInMs)}, round trip ${milliseconds(roundTrip)}`,
  );
}

async function readSecondSession(
  target: DatabaseTarget,
  context: DoctorContext,
): Promise<SessionFacts | LoraExportError> {
  const second = await openSession(target, context);
  if (second instanceof LoraExportError) return second;
  try {
    return await readSessionFacts(second.login);
  } finally {
    await second.login.close();
  }
}

/** The median, in milliseconds. */
async function measureRoundTrip({ sql, ask }: Connection): Promise<number> {
  const times: number[] = [];
  while (times.length < ROUND_TRIPS) {
    const began = performance.now();
    await ask(() => sql`select 1`);
    times.push(performance.now() - began);
  }
  return times.toSorted((a, b) => a - b)[Math.floor(ROUND_TRIPS / 2)] as number;
}

function milliseconds(duration: number): string {
  return `${duration < 10 ? duration.toFixed(1) : duration.toFixed(0)} ms`;
}
