/** The four meanings of "what to export". Apart from the request, whose schema a help text does not need. */
export const SCOPES = ['selected', 'filtered', 'approved', 'all'] as const;
export type Scope = (typeof SCOPES)[number];

export const SORT_KEYS = ['created_at', 'updated_at', 'quality_score', 'title', 'status', 'tier'] as const;
export type SortKey = (typeof SORT_KEYS)[number];
