import { visible } from '../visible.js';

/** Longest key or role of a stranger's file that a message repeats, in characters. */
const LONGEST = 60;

/** `messages[2].content`; a key that is not a plain word is quoted, so that nothing in it can mislead. */
export function below(parent: string, step: string | number): string {
  if (typeof step === 'number') return `${parent}[${step}]`;
  if (!/^\w{1,60}$/.test(step)) return `${parent}[${shown(step)}]`;
  return parent === '' ? step : `${parent}.${step}`;
}

/** A word of the row as a message may repeat it: quoted, control characters visible, cut at 60 characters. */
export function shown(word: string): string {
  const safe = visible(word.slice(0, LONGEST));
  return JSON.stringify(word.length > LONGEST ? `${safe}…` : safe);
}
