import type { ScopeCount } from '../../../survey.js';
import type { Choice } from '../prompts.js';
import { busy, inputOf, type Step } from '../wizard.js';

type Answer = 'approved' | 'filtered' | 'set filters' | 'selected' | 'pick' | 'all';

/** Which conversations: the four scopes with the numbers of this moment. */
export const scopeStep: Step = {
  title: 'Which conversations?',
  async run(wizard) {
    const { draft, prompts } = wizard;
    const counts = await busy(wizard, 'Counting', () => wizard.survey.scopes(inputOf(wizard)));
    const hasFilters = Object.keys(draft.filters ?? {}).length > 0;
    const { ids = [] } = draft;
    const nothing = counts.all.count === 0 ? 'there are no conversations' : undefined;
    const choices: Choice<Answer>[] = [
      {
        value: 'approved',
        name: `All approved (${counts.approved.count} approved)`,
        description: 'What was approved and not deleted since: the usual training set.',
        disabled: whyNot(counts.approved, 'none is approved'),
      },
      {
        value: 'filtered',
        name: `Current filters (${hasFilters ? counts.filtered.count : 0} matching)`,
        description: 'What the filters say, whatever its status.',
        disabled: hasFilters ? whyNot(counts.filtered, 'nothing matches') : 'none is set',
      },
      {
        value: 'set filters',
        name: hasFilters ? 'Change the filters' : 'Set filters: tier, quality, dates, topic and more',
        description: 'By what the conversations are like. The number matching is shown on the way.',
        disabled: nothing,
      },
      {
        value: 'selected',
        name: `Selected (${ids.length} selected)`,
        description: 'Exactly the conversations that you picked.',
        disabled: ids.length === 0 ? 'none is picked' : whyNot(counts.selected, 'they are gone'),
      },
      {
        value: 'pick',
        name: ids.length > 0 ? 'Change the selection' : 'Pick conversations one by one',
        description: 'Search by title or id.',
        disabled: nothing,
      },
      {
        value: 'all',
        name: `All data (${counts.all.count} in total)`,
        description: 'Everything that you can see: drafts, rejected and archived ones too.',
        disabled: whyNot(counts.all, 'there are no conversations'),
      },
    ];
    const open = choices.find(({ disabled }) => disabled === undefined)?.value;
    const usual = draft.scope ?? 'approved';
    const isOpen = choices.some(({ value, disabled }) => value === usual && disabled === undefined);
    const answer = await prompts.select('Export', choices, {
      initial: isOpen ? usual : (open ?? 'approved'),
    });
    draft.scope = answer === 'set filters' ? 'filtered' : answer === 'pick' ? 'selected' : answer;
    wizard.next = { selection: answer === 'pick', filters: answer === 'set filters' };
  },
};

function whyNot({ count, problem }: ScopeCount, zero: string): string | undefined {
  return problem ?? (count === 0 ? zero : undefined);
}
