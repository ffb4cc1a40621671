import type { Connection } from '../db/connect.js';
import { readTimeLimits } from '../db/diagnosis/session-facts.js';
import { sqlName } from '../db/diagnosis/sql-name.js';
import { ok, warning, type Finding } from './finding.js';

interface Limit {
  readonly name: string;
  /** Shorter ones may hurt. */
  readonly enoughMs: number;
  readonly hurts: string;
  readonly advice: string;
}

const LIMITS: readonly Limit[] = [
  {
    name: 'statement_timeout',
    enoughMs: 60_000,
    hurts: 'ends an export when one batch takes longer',
    advice: '10min',
  },
  {
    name: 'idle_session_timeout',
    enoughMs: 60_000,
    hurts: 'may end the session of the audit log between two signs of life',
    advice: '5min',
  },
  {
    name: 'transaction_timeout',
    enoughMs: 3_600_000,
    hurts: 'ends an export that takes longer as a whole',
    advice: '0',
  },
];

/** Limits of the server or the role that an export may run into. (It sets aside the idle limit of transactions itself.) */
export async function checkLimits(login: Connection, role: string): Promise<Finding> {
  const limits = await readTimeLimits(login);
  const tight = LIMITS.filter(({ name, enoughMs }) => {
    const ms = limits.get(name) ?? 0;
    return ms > 0 && ms < enoughMs;
  });
  if (tight.length === 0) return ok('no time limit of this role is short enough to end an export');
  return warning(
    tight.map(({ name, hurts }) => `${name} = ${(limits.get(name) ?? 0) / 1000} s ${hurts}`).join('; '),
    'Raise it for this role, or make batches smaller with --batch-size.',
    tight.map(({ name, advice }) => `alter role ${sqlName(role)} set ${name} = '${advice}';`),
  );
}
