/** Where a period begins: so many seconds ago by the clock of the database, or at a moment, ISO 8601 in UTC. */
export type Since = { readonly seconds: number } | { readonly at: string };

const SECONDS = { m: 60, h: 3600, d: 86_400, w: 604_800 } as const;

/** The longest span: a hundred years of 365 days. */
const MOST_SECONDS = 36_500 * SECONDS.d;

/** Reads a span such as `30m`, `24h`, `7d` or `4w`; null for anything else, and for more than a hundred years. */
export function readSpan(text: string): number | null {
  const [, number, unit] = /^(\d{1,9})([mhdw])$/.exec(text) ?? [];
  const seconds = Number(number) * SECONDS[(unit ?? 'm') as keyof typeof SECONDS];
  return seconds > 0 && seconds <= MOST_SECONDS ? seconds : null;
}

/** Reads a span, or a day or moment that was checked before; a day begins at midnight in UTC. */
export function readSince(text: string): Since {
  const seconds = readSpan(text);
  return seconds === null ? { at: new Date(text).toISOString() } : { seconds };
}
