import { FACET_FILTERS, type FacetName } from '../../../survey.js';
import type { Filters } from '../../../request.js';
import { conversations } from '../../render.js';
import { changeFilter, FILTER_TITLES, type FilterName } from '../filter-questions.js';
import { filtersInWords } from '../in-words.js';
import { Back, type Choice } from '../prompts.js';
import { busy, inputOf, type Step } from '../wizard.js';

type Answer = 'done' | 'clear' | FilterName;

const TITLE = 'Filters';

/** Filters, each with what the data has; the number matching is counted again after every change. */
export const filtersStep: Step = {
  title: TITLE,
  applies: ({ next }) => next.filters,
  async run(wizard) {
    const { draft, prompts } = wizard;
    let last: Answer | undefined;
    for (;;) {
      const { filters = {} } = draft;
      const hasFilters = Object.keys(filters).length > 0;
      const matching = await busy(wizard, 'Counting', () => wizard.survey.count(inputOf(wizard)));
      if (last === undefined) prompts.say('Set as many as you like: a conversation must pass all of them.');
      last = await prompts.select(`${conversations(matching)} match`, choicesOf(filters, matching), {
        initial: last ?? (hasFilters ? 'done' : 'tier'),
        clears: true,
      });
      if (last === 'done') {
        prompts.say(`${conversations(matching)}: ${filtersInWords(filters).join('; ')}`);
        return;
      }
      try {
        draft.filters = last === 'clear' ? {} : await changeFilter(wizard, last);
      } catch (error) {
        // Going back from one filter leads to their list, not out of it.
        if (!(error instanceof Back)) throw error;
      }
      prompts.heading(TITLE);
    }
  },
};

function choicesOf(filters: Filters, matching: number): Choice<Answer>[] {
  const isSet = Object.keys(filters).length > 0;
  const { qualityScoreMin: min, qualityScoreMax: max, dateFrom, dateTo, searchQuery } = filters;
  const choice = (name: FilterName, value = 'any'): Choice<Answer> => ({
    value: name,
    name: `${FILTER_TITLES[name]}: ${value}`,
  });
  const facet = (name: FacetName): Choice<Answer> => choice(name, filters[FACET_FILTERS[name]]?.join(', '));
  return [
    {
      value: 'done',
      name: 'Go on with these',
      disabled: isSet ? (matching === 0 ? 'nothing matches' : undefined) : 'set one first',
    },
    facet('tier'),
    facet('status'),
    choice('quality', spanOf(min, max)),
    choice('dates', spanOf(dateFrom, dateTo)),
    facet('category'),
    facet('persona'),
    facet('emotion'),
    facet('topic'),
    choice('search', searchQuery === undefined ? undefined : `contains "${searchQuery}"`),
    ...(isSet ? [{ value: 'clear' as const, name: 'Remove all filters' }] : []),
  ];
}

function spanOf(from: string | number | undefined, to: string | number | undefined): string | undefined {
  if (from === undefined && to === undefined) return undefined;
  if (to === undefined) return `from ${from}`;
  return from === undefined ? `to ${to}` : `${from} to ${to}`;
}
