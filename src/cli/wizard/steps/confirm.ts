import { conversations } from '../../render.js';
import { refusalIn } from '../findings.js';
import { conversationsInWords, fileInWords } from '../in-words.js';
import { cancelled } from '../prompts.js';
import { busy, inputOf, requestOf, type Step, type Wizard } from '../wizard.js';

/** The last question. */
export const confirmStep: Step = {
  title: 'Ready',
  async run(wizard) {
    const { prompts, survey, checked } = wizard;
    const request = requestOf(wizard);
    const matched = checked?.counts.matched ?? (await busy(wizard, 'Counting', () => survey.count(request)));
    const count = checked?.counts.written ?? matched;
    for (const line of summaryOf(wizard)) prompts.say(line);
    const answer = await prompts.select('Write the file?', [
      {
        value: 'export' as const,
        name: `Export ${count} ${count === 1 ? 'Conversation' : 'Conversations'}`,
        disabled: whyNot(wizard, count, matched),
        description:
          checked === null
            ? `${conversations(matched)} match; those that cannot be used are left out, counted and listed.`
            : `${matched - count === 0 ? 'None' : matched - count} of the ${conversations(matched)} left out.`,
      },
      { value: 'cancel' as const, name: 'Cancel', description: 'Ends here. Nothing is written.' },
    ]);
    if (answer === 'cancel') throw cancelled();
  },
};

function summaryOf(wizard: Wizard): string[] {
  const input = inputOf(wizard);
  const { output } = requestOf(wizard);
  const place =
    output.kind === 'managed' ? output.directory : output.kind === 'stream' ? 'standard output' : output.path;
  return [
    `  Conversations  ${conversationsInWords(input)}`,
    `  Written as     ${fileInWords(input)}`,
    `  To             ${place}${output.kind === 'file' ? '' : '/'}${input.force === true ? ' (replaces the file there)' : ''}`,
  ];
}

function whyNot(wizard: Wizard, count: number, matched: number): string | undefined {
  const { checked } = wizard;
  if (matched === 0) return 'nothing matches any more';
  if (count === 0) return 'all would be left out';
  const refusal = checked === null ? null : refusalIn(checked, requestOf(wizard));
  return refusal === null ? undefined : 'it would fail, see the checks';
}
