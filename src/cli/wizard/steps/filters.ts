import { FACET_FILTERS, type FacetName, type Facets } from '../../../survey.js';
import type { Filters } from '../../../request.js';
import { conversations } from '../../render.js';
import { fit } from '../fit.js';
import { Back, type Choice, type Prompts } from '../prompts.js';
import { busy, inputOf, type Step, type Wizard } from '../wizard.js';

type Answer = 'done' | 'clear' | 'quality' | 'dates' | 'search' | FacetName;

const FACET_TITLES: Readonly<Record<FacetName, string>> = {
  tier: 'Tier',
  status: 'Status',
  category: 'Categories',
  persona: 'Persona',
  emotion: 'Emotion',
  topic: 'Topic',
};

/** Filters, each with what the data has; the number matching is counted again after every change. */
export const filtersStep: Step = {
  title: 'Filters',
  applies: ({ next }) => next.filters,
  async run(wizard) {
    const { draft, prompts } = wizard;
    let last: Answer | undefined;
    for (;;) {
      const matching = await busy(wizard, 'Counting', () => wizard.survey.count(inputOf(wizard)));
      const hasFilters = Object.keys(draft.filters ?? {}).length > 0;
      last = await prompts.select(
        `${conversations(matching)} match`,
        choicesOf(draft.filters ?? {}, matching),
        {
          initial: last ?? (hasFilters ? 'done' : 'tier'),
        },
      );
      if (last === 'done') return;
      try {
        draft.filters = await change(wizard, last);
      } catch (error) {
        // Going back from one filter leads to their list, not out of it.
        if (!(error instanceof Back)) throw error;
      }
    }
  },
};

function choicesOf(filters: Filters, matching: number): Choice<Answer>[] {
  const isSet = Object.keys(filters).length > 0;
  const { qualityScoreMin: min, qualityScoreMax: max, dateFrom, dateTo, searchQuery } = filters;
  const facet = (name: FacetName): Choice<Answer> => {
    const values = filters[FACET_FILTERS[name]];
    return { value: name, name: `${FACET_TITLES[name]}: ${values?.join(', ') ?? 'any'}` };
  };
  return [
    {
      value: 'done',
      name: 'Go on with these',
      disabled: isSet ? (matching === 0 ? 'nothing matches' : undefined) : 'set one first',
    },
    facet('tier'),
    facet('status'),
    { value: 'quality', name: `Quality score: ${spanOf(min, max)}` },
    { value: 'dates', name: `Created: ${spanOf(dateFrom, dateTo)}` },
    facet('category'),
    facet('persona'),
    facet('emotion'),
    facet('topic'),
    { value: 'search', name: `Text: ${searchQuery === undefined ? 'any' : `contains "${searchQuery}"`}` },
    ...(isSet ? [{ value: 'clear' as const, name: 'Remove all filters' }] : []),
  ];
}

function spanOf(from: string | number | undefined, to: string | number | undefined): string {
  if (from === undefined && to === undefined) return 'any';
  if (to === undefined) return `from ${from}`;
  return from === undefined ? `to ${to}` : `${from} to ${to}`;
}

async function change(wizard: Wizard, what: Exclude<Answer, 'done'>): Promise<Filters> {
  const { draft, prompts, survey } = wizard;
  const { filters = {} } = draft;
  if (what === 'clear') return {};
  if (what === 'search') {
    const searchQuery = await prompts.input('Title, persona, emotion or topic contains (nothing: any)', {
      ...(filters.searchQuery === undefined ? {} : { initial: filters.searchQuery }),
    });
    return withOut(filters, ['searchQuery'], searchQuery === '' ? {} : { searchQuery });
  }
  const only = what === 'quality' ? 'qualityScore' : what === 'dates' ? 'createdAt' : what;
  const facets = await busy(wizard, 'Looking', () =>
    survey.facets({ ...inputOf(wizard), filters }, { only: [only] }),
  );
  if (facets[only] === undefined) {
    prompts.say('This database has no such column.');
    return filters;
  }
  if (what === 'quality') return changeQuality(prompts, filters, facets);
  if (what === 'dates') return changeDates(prompts, filters, facets);
  return changeFacet(prompts, filters, facets, what);
}

async function changeFacet(
  prompts: Prompts,
  filters: Filters,
  facets: Facets,
  name: FacetName,
): Promise<Filters> {
  const key = FACET_FILTERS[name];
  const facet = facets[name];
  if (facet === undefined || facet.values.length === 0) {
    prompts.say(`No conversation has a ${name}.`);
    return filters;
  }
  const before: readonly string[] = filters[key] ?? [];
  // What was chosen before stays there to be unchosen, although nothing has it any more.
  const gone = before.filter((value) => !facet.values.some((known) => known.value === value));
  const columns = prompts.columns - 24;
  const choices = [...facet.values, ...gone.map((value) => ({ value, count: 0 }))].map(
    ({ value, count }) => ({
      value,
      name: `${fit(value, columns, prompts.style.ellipsis)} (${count})`,
      checked: before.includes(value),
    }),
  );
  if (facet.none > 0) prompts.say(`${conversations(facet.none)} without one.`);
  if (facet.more > 0)
    prompts.say(`The ${facet.values.length} most frequent of ${facet.values.length + facet.more}.`);
  const values = await prompts.checkbox(`${FACET_TITLES[name]} (none chosen: any)`, choices);
  return withOut(filters, [key], values.length === 0 ? {} : { [key]: values });
}

async function changeQuality(prompts: Prompts, filters: Filters, { qualityScore }: Facets): Promise<Filters> {
  if (qualityScore?.min != null) {
    prompts.say(`Scores go from ${qualityScore.min} to ${qualityScore.max}; ${qualityScore.none} have none.`);
  }
  const validate = (value: string): true | string =>
    value === '' ||
    (/^\d{1,2}(\.\d{1,3})?$/.test(value) && Number(value) <= 10) ||
    'A number from 0 to 10, or nothing.';
  const ask = async (message: string, before: number | undefined): Promise<number | undefined> => {
    const text = await prompts.input(message, {
      validate,
      ...(before === undefined ? {} : { initial: String(before) }),
    });
    return text === '' ? undefined : Number(text);
  };
  const min = await ask('At least (0 to 10, nothing: any)', filters.qualityScoreMin);
  const max = await ask('At most (0 to 10, nothing: any)', filters.qualityScoreMax);
  if (min !== undefined && max !== undefined && min > max) {
    prompts.say('The least is greater than the most: nothing was changed.');
    return filters;
  }
  return withOut(filters, ['qualityScoreMin', 'qualityScoreMax'], {
    ...(min === undefined ? {} : { qualityScoreMin: min }),
    ...(max === undefined ? {} : { qualityScoreMax: max }),
  });
}

async function changeDates(prompts: Prompts, filters: Filters, { createdAt }: Facets): Promise<Filters> {
  if (createdAt?.min != null) {
    prompts.say(`Created from ${createdAt.min.slice(0, 10)} to ${createdAt.max?.slice(0, 10)}, in UTC.`);
  }
  const validate = (value: string): true | string =>
    value === '' || isDay(value) || 'A date such as 2025-10-29, or nothing.';
  const ask = (message: string, before: string | undefined): Promise<string> =>
    prompts.input(message, {
      validate,
      ...(before === undefined ? {} : { initial: before.slice(0, 10) }),
    });
  const from = await ask('On or after (2025-10-29, nothing: any)', filters.dateFrom);
  const to = await ask('On or before (that whole day, nothing: any)', filters.dateTo);
  if (from !== '' && to !== '' && from > to) {
    prompts.say('The first day is after the last: nothing was changed.');
    return filters;
  }
  return withOut(filters, ['dateFrom', 'dateTo'], {
    ...(from === '' ? {} : { dateFrom: from }),
    ...(to === '' ? {} : { dateTo: to }),
  });
}

function isDay(text: string): boolean {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(text)) return false;
  const milliseconds = Date.parse(text);
  return !Number.isNaN(milliseconds) && new Date(milliseconds).toISOString().startsWith(text);
}

function withOut(filters: Filters, keys: readonly (keyof Filters)[], more: Partial<Filters>): Filters {
  const kept = Object.entries(filters).filter(([key]) => !keys.includes(key as keyof Filters));
  return { ...Object.fromEntries(kept), ...more };
}
