import { test } from 'vitest';

import { expectRoundTrip } from '../support/random-conversations.js';

/** Repeat a failure with the seed that the failed run printed. */
const SEED = Number(process.env['FAULT_SEED'] ?? Date.now() % 1_000_000);

test('10,000 random conversations come back from every format as they were put into the database', async () => {
  process.stderr.write(`random conversations: FAULT_SEED=${SEED}\n`);
  for (let part = 0; part < 5; part++) await expectRoundTrip(2_000, SEED + part);
});
