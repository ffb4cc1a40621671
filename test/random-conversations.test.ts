import { test } from 'vitest';

import { expectRoundTrip } from './support/random-conversations.js';

/** The same seed in every run; test/faults/random-conversations.test.ts takes others, and more conversations. */
test('500 random conversations come back from every format as they were put into the database', () =>
  expectRoundTrip(500, 20_251_029));
