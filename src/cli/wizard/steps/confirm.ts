import { conversations } from '../../render.js';
import { cancelled } from '../prompts.js';
import { busy, requestOf, type Step } from '../wizard.js';

/** The last question. */
export const confirmStep: Step = {
  title: 'Ready',
  async run(wizard) {
    const { prompts, survey } = wizard;
    const request = requestOf(wizard);
    const { checked } = wizard;
    const matched = checked?.counts.matched ?? (await busy(wizard, 'Counting', () => survey.count(request)));
    const count = checked?.counts.written ?? matched;
    const answer = await prompts.select('Write the file?', [
      {
        value: 'export' as const,
        name: `Export ${count} ${count === 1 ? 'Conversation' : 'Conversations'}`,
        disabled:
          count === 0 ? (matched === 0 ? 'nothing matches any more' : 'all would be skipped') : undefined,
        description: `${request.target === undefined ? request.format : `JSONL for ${request.target}`}, from the ${conversations(matched)} that match.`,
      },
      { value: 'cancel' as const, name: 'Cancel', description: 'Nothing is written.' },
    ]);
    if (answer === 'cancel') throw cancelled();
  },
};
