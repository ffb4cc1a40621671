import { defineConfig } from 'vitest/config';

/** The long fault runs: `npm run test:faults`. Continuous integration runs a short, seeded selection of them. */
export default defineConfig({
  test: {
    include: ['test/faults/**/*.test.ts'],
    globalSetup: ['test/support/global-setup.ts'],
    pool: 'forks',
    fileParallelism: false,
    testTimeout: 600_000,
    hookTimeout: 120_000,
  },
});
