import { checkExport, type CheckResult } from '../../../check.js';
import { conversations, size, tokenLines } from '../../render.js';
import { findingLines, refusalIn } from '../findings.js';
import { fit } from '../fit.js';
import type { Choice } from '../prompts.js';
import { busy, contextOf, requestOf, type Step, type Wizard } from '../wizard.js';

/** Beyond so many, a full check is asked for first: it reads everything. */
const AT_ONCE = 20_000;
/** Rows that the question below the findings takes. */
const QUESTION_ROWS = 12;

type Answer = 'go on' | 'check' | 'tokens' | 'all';

/** What would be left out or put right, and why; tokens when asked for. */
export const checksStep: Step = {
  title: 'Checks',
  async run(wizard) {
    const { prompts, survey } = wizard;
    const matched = await busy(wizard, 'Counting', () => survey.count(requestOf(wizard)));
    let tokens = false;
    wizard.checked = matched <= AT_ONCE ? await check(wizard, tokens) : null;
    for (;;) {
      const { checked } = wizard;
      const isCut = checked !== null && tell(wizard, checked);
      const message = checked === null ? `${conversations(matched)}, not checked yet` : inWords(checked);
      const answer: Answer = await prompts.select(message, choicesOf(checked, { matched, tokens, isCut }), {
        clears: true,
      });
      if (answer === 'go on') {
        prompts.say(message);
        return;
      }
      prompts.heading(checksStep.title);
      if (answer === 'all' && checked !== null) {
        await prompts.page('What the checks found', (columns) =>
          linesOf(checked).map((line) => fit(line, columns, prompts.style)),
        );
        prompts.heading(checksStep.title);
      } else {
        tokens ||= answer === 'tokens';
        wizard.checked = await check(wizard, tokens);
      }
    }
  },
};

function choicesOf(
  checked: CheckResult | null,
  { matched, tokens, isCut }: { matched: number; tokens: boolean; isCut: boolean },
): Choice<Answer>[] {
  return [
    { value: 'go on', name: 'Go on', description: 'Nothing is written yet.' },
    ...(isCut
      ? [{ value: 'all' as const, name: 'Show everything found', description: 'Every reason, line by line.' }]
      : []),
    ...(checked === null
      ? [
          {
            value: 'check' as const,
            name: `Check all ${matched} conversations first`,
            description: 'Reads everything as the export would, and writes nothing.',
          },
        ]
      : []),
    ...(tokens
      ? []
      : [
          {
            value: 'tokens' as const,
            name: 'Count tokens',
            description: 'How long the conversations are for a model, as OpenAI counts.',
          },
        ]),
  ];
}

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

function inWords({ counts, size: bytes }: CheckResult): string {
  const { matched, written, skipped } = counts;
  return `${written} of ${matched} would be written (${size(bytes)}), ${skipped === 0 ? 'none' : skipped} left out`;
}

/** True when not everything fits the screen. */
function tell(wizard: Wizard, checked: CheckResult): boolean {
  const { prompts } = wizard;
  const { style, columns } = prompts;
  const refusal = refusalIn(checked, requestOf(wizard));
  if (refusal !== null) {
    prompts.say(`As it is, the export would fail. ${refusal}`, style.bad);
    prompts.say('Go back to Options or to the conversations to change that.');
  }
  const lines = linesOf(checked);
  const room = Math.max(1, prompts.rowsLeft - QUESTION_ROWS);
  const shown = lines.length <= room ? lines : lines.slice(0, room - 1);
  for (const line of shown) prompts.say(fit(line, columns - 1, style));
  const more = lines.length - shown.length;
  if (more > 0) prompts.say(`  ... and ${more} more`);
  return more > 0 || lines.some((line) => line.length > columns - 1);
}

function linesOf({ counts, notes, tokens, brokenLimits }: CheckResult): string[] {
  return [
    ...tokenLines(tokens),
    ...brokenLimits.map(({ message, fix }) => `  not what the target takes: ${message}. ${fix}`),
    ...findingLines(counts),
    ...Object.entries(notes).map(([note, count]) => `  ${count} times: ${note}`),
  ];
}
