import type { Scope } from '../../../request.js';
import type { ScopeCount } from '../../../survey.js';
import { conversations } from '../../render.js';
import { conversationsInWords } from '../in-words.js';
import type { Choice } from '../prompts.js';
import { busy, inputOf, type Draft, type Step, type Wizard } from '../wizard.js';

type Answer = Scope | 'set filters' | 'pick' | 'as begun';

/** Which conversations: the four scopes with the numbers of this moment. */
export const scopeStep: Step = {
  title: 'Which conversations?',
  async run(wizard) {
    const { draft, prompts } = wizard;
    const choices = await busy(wizard, 'Counting', () => choicesOf(wizard));
    const isOpen = (answer: Answer): boolean =>
      choices.some(({ value, disabled }) => value === answer && disabled === undefined);
    const usual: Answer = isNarrowed(draft) ? 'as begun' : (draft.scope ?? 'approved');
    const initial = ([usual, 'approved', 'set filters'] as const).find(isOpen);
    const answer = await prompts.select<Answer>('Export', choices, { initial });
    wizard.next = { selection: answer === 'pick', filters: answer === 'set filters' };
    if (answer !== 'as begun') settle(wizard, answer);
  },
};

async function choicesOf(wizard: Wizard): Promise<Choice<Answer>[]> {
  const { draft, aside, survey } = wizard;
  const { filters = aside.filters ?? {}, ids = aside.ids ?? [] } = draft;
  const hasFilters = Object.keys(filters).length > 0;
  const input = inputOf(wizard);
  const counts = await survey.scopes({ ...input, filters, ids });
  const asBegun = isNarrowed(draft) ? await survey.count(input) : null;
  const nothing = counts.all.count === 0 ? 'there are no conversations' : undefined;
  return [
    ...(asBegun === null
      ? []
      : [
          {
            value: 'as begun' as const,
            name: `As before (${asBegun} matching)`,
            description: `${conversationsInWords(draft)}.`,
            disabled: asBegun === 0 ? 'nothing matches' : undefined,
          },
        ]),
    {
      value: 'approved',
      name: `All approved (${counts.approved.count} approved)`,
      description: 'Everything that was approved and not deleted since: the usual training set.',
      disabled: whyNot(counts.approved, 'none is approved'),
    },
    {
      value: 'filtered',
      name: `Current filters (${hasFilters ? counts.filtered.count : 0} matching)`,
      description: 'What the filters below leave, whatever its status.',
      disabled: hasFilters ? whyNot(counts.filtered, 'nothing matches') : 'no filter is set',
    },
    {
      value: 'set filters',
      name: hasFilters ? 'Change the filters' : 'Set filters: tier, quality, dates, topic and more',
      description: 'Choose by what the conversations are like; the number matching is shown on the way.',
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
      description: 'Search by title or id and tick what you want.',
      disabled: nothing,
    },
    {
      value: 'all',
      name: `All data (${counts.all.count} in total)`,
      description: `All ${conversations(counts.all.count)} that you can see: drafts, rejected and archived ones too.`,
      disabled: whyNot(counts.all, 'there are none'),
    },
  ];
}

/** A preset can narrow any scope; the scopes offered here are whole, and only one goes with filters. */
function isNarrowed({ scope, filters = {} }: Draft): boolean {
  return scope !== 'filtered' && Object.keys(filters).length > 0;
}

function settle({ draft, aside }: Wizard, answer: Exclude<Answer, 'as begun'>): void {
  const scope = answer === 'set filters' ? 'filtered' : answer === 'pick' ? 'selected' : answer;
  const filters = draft.filters ?? aside.filters;
  const ids = draft.ids ?? aside.ids;
  Object.assign(aside, filters === undefined ? {} : { filters }, ids === undefined ? {} : { ids });
  draft.scope = scope;
  delete draft.filters;
  delete draft.ids;
  if (scope === 'filtered' && filters !== undefined) draft.filters = filters;
  if (scope === 'selected' && ids !== undefined) draft.ids = ids;
}

function whyNot({ count, problem }: ScopeCount, zero: string): string | undefined {
  return problem ?? (count === 0 ? zero : undefined);
}
