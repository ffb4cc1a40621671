import { defineConfig } from 'vitest/config';

/** The encoders against plain ones at length: `npm run test:bytes`. Continuous integration runs a seeded selection. */
export default defineConfig({
  test: {
    include: ['test/formats/plain-equality.test.ts'],
    env: { RANDOM_CONVERSATIONS: '100000' },
    testTimeout: 600_000,
  },
});
