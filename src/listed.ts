import { withoutPasswords } from './visible.js';

/** So many problems of one thing are worth a message; who mends them sees the others next. */
const MOST_PROBLEMS = 6;

/** A problem may quote what it complains about, and that may be anything. */
const MOST_CHARACTERS = 600;

/** Problems in one sentence, without its full stop. */
export function listed(problems: readonly string[]): string {
  const shown = problems
    .slice(0, MOST_PROBLEMS)
    .map((problem) => shortened(withoutPasswords(problem), MOST_CHARACTERS));
  const more = problems.length - shown.length;
  return `${shown.join('; ')}${more > 0 ? `; and ${more} more` : ''}`;
}

/** Text of at most so many characters, cut in the middle, since its end may say what was expected. */
export function shortened(text: string, most: number): string {
  const characters = Array.from(text);
  if (characters.length <= most) return text;
  const half = Math.floor((most - 1) / 2);
  return `${characters.slice(0, half).join('')}…${characters.slice(-half).join('')}`;
}
