import { readOnly } from '../db/diagnosis/read-only.js';
import { readTurnCoverage, type TurnCoverage } from '../db/diagnosis/turn-coverage.js';
import type { Source } from '../db/source.js';
import { LoraExportError } from '../errors.js';
import { parseRequest } from '../request.js';
import type { OpenPatient } from './context.js';
import { ok, warning, type Finding } from './finding.js';

/** So many are looked at where all would take too long. */
const SAMPLE = 1_000;

/** Whether the conversations that an export takes have the turns that training needs. */
export async function checkTurns({ reader, limitMs }: OpenPatient, source: Source): Promise<Finding> {
  const isApproved = source.conversations.has('status');
  const selection = parseRequest({ scope: isApproved ? 'approved' : 'all' });
  const look = (sample: number | null): Promise<TurnCoverage> =>
    readOnly(reader, limitMs, (snapshot) => readTurnCoverage(snapshot, source, selection, sample));
  let isSample = false;
  const coverage = await look(null).catch((error: unknown) => {
    if (!(error instanceof LoraExportError) || error.code !== 'E_STALLED' || reader.lost !== null)
      throw error;
    isSample = true;
    return look(SAMPLE);
  });
  const what = `${isApproved ? 'approved ' : ''}${coverage.looked === 1 ? 'conversation' : 'conversations'}`;
  return judge(coverage, `${isSample ? 'a sample of ' : ''}${coverage.looked} ${what}`, isApproved);
}

function judge(coverage: TurnCoverage, looked: string, isApproved: boolean): Finding {
  if (coverage.looked === 0) {
    return isApproved
      ? warning(
          'no conversation is approved, so the default scope matches nothing',
          'Approve some, load some with `lora-export import`, or export with another --scope.',
        )
      : warning('there are no conversations', 'Load some with `lora-export import`.');
  }
  const { withoutTurns, inFiles, withoutUser, withoutAssistant, otherRoles } = coverage;
  const flaws = [
    { count: withoutTurns, what: `without turns${inFiles > 0 ? ` (${inFiles} name a file instead)` : ''}` },
    { count: withoutUser, what: 'without a turn of a user' },
    { count: withoutAssistant, what: 'without a turn of an assistant' },
    { count: otherRoles, what: 'with roles other than system, user, assistant and tool' },
  ].filter(({ count }) => count > 0);
  if (flaws.length === 0) return ok(`${looked}: all have turns of a user and of an assistant`);
  return warning(
    `${looked}: ${flaws.map(({ count, what }) => `${count} ${what}`).join(', ')}`,
    [
      'Exports leave such conversations out and list them (--report FILE).',
      ...(inFiles > 0
        ? ['Dialogue that is kept in files is not read; load it with `lora-export import`.']
        : []),
      ...(otherRoles > 0
        ? ['Role words are translated with --role-map, such as human=user,gpt=assistant.']
        : []),
    ].join(' '),
  );
}
