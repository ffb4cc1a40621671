import type { Filters } from '../../request.js';
import { FACET_FILTERS, type FacetName, type Facets } from '../../survey.js';
import { conversations } from '../render.js';
import { fit } from './fit.js';
import type { Prompts } from './prompts.js';
import { busy, inputOf, type Wizard } from './wizard.js';

/** What conversations can be chosen by. */
export type FilterName = 'quality' | 'dates' | 'search' | FacetName;

/** Their names for people. */
export const FILTER_TITLES: Readonly<Record<FilterName, string>> = {
  tier: 'Tier',
  status: 'Status',
  quality: 'Quality score',
  dates: 'Created',
  category: 'Categories',
  persona: 'Persona',
  emotion: 'Emotion',
  topic: 'Topic',
  search: 'Text',
};

/** Columns of a box to tick, a count, and the word that says that it is ticked. */
const BOX_COLUMNS = 36;

/**
 * Asks for one filter and returns all of them, changed.
 * @throws Back
 */
export async function changeFilter(wizard: Wizard, name: FilterName): Promise<Filters> {
  const { draft, prompts, survey } = wizard;
  const { filters = {} } = draft;
  prompts.heading(`Filter: ${FILTER_TITLES[name].toLowerCase()}`);
  if (name === 'search') return changeSearch(prompts, filters);
  const only = name === 'quality' ? 'qualityScore' : name === 'dates' ? 'createdAt' : name;
  const facets = await busy(wizard, 'Looking', () => survey.facets(inputOf(wizard), { only: [only] }));
  if (facets[only] === undefined) {
    prompts.say('This database has no such column.');
    return filters;
  }
  if (name === 'quality') return changeQuality(prompts, filters, facets);
  if (name === 'dates') return changeDates(prompts, filters, facets);
  return changeFacet(prompts, filters, facets, name);
}

async function changeSearch(prompts: Prompts, filters: Filters): Promise<Filters> {
  prompts.say('Looked for in titles, personas, emotions and topics. Nothing typed means any text.');
  const searchQuery = await prompts.input('Contains', { initial: filters.searchQuery, clears: true });
  return without(filters, ['searchQuery'], searchQuery === '' ? {} : { searchQuery });
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
  const choices = [...facet.values, ...gone.map((value) => ({ value, count: 0 }))].map(
    ({ value, count }) => ({
      value,
      name: `${fit(value, prompts.columns - BOX_COLUMNS, prompts.style)} (${count})`,
      checked: before.includes(value),
    }),
  );
  prompts.say('One of those chosen is enough. None chosen means any.');
  if (facet.none > 0) prompts.say(`${conversations(facet.none)} without one.`);
  if (facet.more > 0)
    prompts.say(`The ${facet.values.length} most frequent of ${facet.values.length + facet.more}.`);
  const values = await prompts.checkbox(FILTER_TITLES[name], choices);
  return without(filters, [key], values.length === 0 ? {} : { [key]: values });
}

async function changeQuality(prompts: Prompts, filters: Filters, { qualityScore }: Facets): Promise<Filters> {
  prompts.say('Numbers from 0 to 10. Nothing typed means any.');
  if (qualityScore !== undefined && qualityScore.min !== null) {
    prompts.say(`Scores go from ${qualityScore.min} to ${qualityScore.max}; ${qualityScore.none} have none.`);
  }
  const validate = (value: string): true | string =>
    value === '' ||
    (/^\d{1,2}(\.\d{1,3})?$/.test(value) && Number(value) <= 10) ||
    'A number from 0 to 10, or nothing.';
  const ask = async (message: string, before: number | undefined): Promise<number | undefined> => {
    const text = await prompts.input(message, { validate, initial: before?.toString() });
    return text === '' ? undefined : Number(text);
  };
  const min = await ask('At least', filters.qualityScoreMin);
  const max = await ask('At most', filters.qualityScoreMax);
  if (min !== undefined && max !== undefined && min > max) {
    prompts.say('The least is greater than the most, so nothing was changed.');
    return filters;
  }
  return without(filters, ['qualityScoreMin', 'qualityScoreMax'], {
    ...(min === undefined ? {} : { qualityScoreMin: min }),
    ...(max === undefined ? {} : { qualityScoreMax: max }),
  });
}

async function changeDates(prompts: Prompts, filters: Filters, { createdAt }: Facets): Promise<Filters> {
  prompts.say('Days such as 2025-10-29 (UTC), both included. Nothing typed means any.');
  if (createdAt !== undefined && createdAt.min !== null) {
    prompts.say(
      `Conversations were created from ${createdAt.min.slice(0, 10)} to ${createdAt.max?.slice(0, 10)}.`,
    );
  }
  const validate = (value: string): true | string =>
    value === '' || isDay(value) || 'A day such as 2025-10-29, or nothing.';
  const ask = (message: string, before: string | undefined): Promise<string> =>
    prompts.input(message, { validate, initial: before?.slice(0, 10) });
  const from = await ask('First day', filters.dateFrom);
  const to = await ask('Last day', filters.dateTo);
  if (from !== '' && to !== '' && from > to) {
    prompts.say('The first day is after the last, so nothing was changed.');
    return filters;
  }
  return without(filters, ['dateFrom', 'dateTo'], {
    ...(from === '' ? {} : { dateFrom: from }),
    ...(to === '' ? {} : { dateTo: to }),
  });
}

function isDay(text: string): boolean {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(text)) return false;
  const milliseconds = Date.parse(text);
  return !Number.isNaN(milliseconds) && new Date(milliseconds).toISOString().startsWith(text);
}

function without(filters: Filters, keys: readonly (keyof Filters)[], more: Partial<Filters>): Filters {
  const kept = Object.entries(filters).filter(([key]) => !keys.includes(key as keyof Filters));
  return { ...Object.fromEntries(kept), ...more };
}
