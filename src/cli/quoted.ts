import { shortened } from '../listed.js';
import { visible } from '../visible.js';

/** A word longer than this is shown by its start and end. */
const MOST_CHARACTERS = 80;

/** A word that was not understood, as a message may show it: in one line, not too long, and without a database URL. */
export function quoted(word: string): string {
  return shortened(visible(withoutUrl(word)), MOST_CHARACTERS);
}

/** What was not understood may hold a database URL, and that a password: `--databse-url=postgres://…`. */
function withoutUrl(text: string): string {
  return text.replace(/[a-z][a-z0-9+.-]*:\/\/.*/is, '(a URL)');
}
