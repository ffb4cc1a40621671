import { checkExport, type CheckResult } from '../../../check.js';
import type { RuleCounts } from '../../../judging/tally.js';
import { conversations, size, tokenLines } from '../../render.js';
import { busy, contextOf, requestOf, type Step, type Wizard } from '../wizard.js';

/** Beyond so many, a full check is asked for first: it reads everything. */
const AT_ONCE = 20_000;

/** What would be skipped or repaired, and why; tokens when asked for. */
export const checksStep: Step = {
  title: 'Checks',
  async run(wizard) {
    const { prompts, survey } = wizard;
    const request = requestOf(wizard);
    const matched = await busy(wizard, 'Counting', () => survey.count(request));
    let tokens = false;
    let checked = matched <= AT_ONCE;
    wizard.checked = null;
    if (checked) tell(wizard, await check(wizard, tokens));
    for (;;) {
      const answer: 'go on' | 'check' | 'tokens' = await prompts.select<'go on' | 'check' | 'tokens'>(
        'Next',
        [
          { value: 'go on', name: 'Go on' },
          ...(checked
            ? []
            : [
                {
                  value: 'check' as const,
                  name: `Check all ${matched} conversations first`,
                  description: 'Reads everything as the export would, and writes nothing.',
                },
              ]),
          ...(tokens
            ? []
            : [
                {
                  value: 'tokens' as const,
                  name: 'Count tokens',
                  description: 'Per conversation and role, as OpenAI counts them.',
                },
              ]),
        ],
      );
      if (answer === 'go on') return;
      tokens ||= answer === 'tokens';
      checked = true;
      tell(wizard, await check(wizard, tokens));
    }
  },
};

function check(wizard: Wizard, tokens: boolean): Promise<CheckResult> {
  const { terminal } = wizard.app;
  return busy(wizard, 'Checking', () =>
    checkExport(
      { ...requestOf(wizard), tokens },
      {
        ...contextOf(wizard),
        onEvent(event) {
          if (event.kind === 'progress') void terminal.status(`Checking ${event.read} of ${event.total}`);
        },
      },
    ),
  );
}

function tell(wizard: Wizard, result: CheckResult): void {
  wizard.checked = result;
  const { prompts } = wizard;
  const { counts, notes, tokens, brokenLimits, size: bytes } = result;
  const { matched, written, skipped } = counts;
  prompts.say(
    `${conversations(written)} of ${matched} would be written, ${size(bytes)}; ${skipped === 0 ? 'none' : skipped} skipped.`,
  );
  for (const line of [
    ...rules('skip', counts.skips),
    ...rules('repair', counts.repairs),
    ...rules('note', counts.warnings),
    ...rules('refuse', counts.failures),
    ...Object.entries(notes).map(([note, count]) => `  ${note}: ${count}`),
    ...brokenLimits.map(({ message, fix }) => `  warning: ${message}. ${fix}`),
    ...tokenLines(tokens),
  ]) {
    prompts.say(line);
  }
}

function rules(verb: string, counts: RuleCounts): string[] {
  return Object.entries(counts).map(
    ([rule, { count, ids }]) =>
      `  ${verb} ${rule}: ${count} (${ids.slice(0, 3).join(', ')}${count > 3 ? ', ...' : ''})`,
  );
}
