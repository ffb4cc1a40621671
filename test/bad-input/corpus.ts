import type { BadInput } from './case.js';
import { environment } from './environment.js';
import { files } from './files.js';
import { words } from './words.js';

/** Everything that has to be refused with status 2 before any work. */
export const CORPUS: readonly BadInput[] = [...words, ...environment, ...files];
