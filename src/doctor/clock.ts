import type { Connection } from '../db/connect.js';
import { readServerClock } from '../db/diagnosis/session-facts.js';
import { ok, warning, type Finding } from './finding.js';

const TOLERATED_MS = 5_000;

/** How far the clocks of this machine and of the server are apart. */
export async function checkClock(login: Connection, now: () => number = Date.now): Promise<Finding> {
  const before = now();
  const server = await readServerClock(login);
  const after = now();
  // The server looked at its clock somewhere between; the middle is the best guess.
  const differenceMs = server - (before + after) / 2;
  const seconds = (Math.abs(differenceMs) / 1000).toFixed(1);
  if (Math.abs(differenceMs) <= TOLERATED_MS) return ok(`${seconds} s apart from the clock of the server`);
  return warning(
    `this machine is ${seconds} s ${differenceMs > 0 ? 'behind' : 'ahead of'} the server`,
    'Set both by a time server. Expiry and leases go by the clock of the database server; certificates and file times by this one.',
  );
}
