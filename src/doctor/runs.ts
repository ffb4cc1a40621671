import type { Access } from '../db/access.js';
import { readOnly } from '../db/diagnosis/read-only.js';
import { countWaitingRuns, type RunCounts } from '../db/diagnosis/run-counts.js';
import { HEARTBEAT_LIMIT_SECONDS } from '../recovery.js';
import { ok, warning, type Examined } from './finding.js';

/** Whether runs wait for somebody who does not come. */
export async function checkRuns(access: Access, limitMs: number): Promise<Examined<RunCounts>> {
  const counts = await readOnly(access.connection, limitMs, ({ connection }) =>
    countWaitingRuns(access, connection, HEARTBEAT_LIMIT_SECONDS),
  );
  const { dead, abandoned, overdue } = counts;
  const found = [
    {
      count: dead,
      what: `without a sign of life for ${HEARTBEAT_LIMIT_SECONDS} s`,
      fix: 'The next export, or `lora-export cleanup`, closes what died.',
    },
    {
      count: abandoned,
      what: 'queued without a worker',
      fix: '`lora-export worker` takes queued exports.',
    },
    {
      count: overdue,
      what: 'expired with their file still stored',
      fix: '`lora-export cleanup` removes expired files.',
    },
  ].filter(({ count }) => count > 0);
  if (found.length === 0) return { finding: ok('no export waits for anything'), value: counts };
  const message = `exports ${found.map(({ count, what }) => `${what}: ${count}`).join(', ')}`;
  return { finding: warning(message, found.map(({ fix }) => fix).join(' ')), value: counts };
}
