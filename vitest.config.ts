import { defineConfig } from 'vitest/config';

// One project per tier; `npm test` runs unit and whole, the others have their own scripts (see CONTRIBUTING.md).
const outside = ['test/whole/**', 'test/clients/**', 'test/faults/**', 'test/trino/**'];
const tier = (name: string, timeout: number, groupOrder: number) => ({
  test: {
    name,
    include: [`test/${name}/**/*.test.ts`],
    globalSetup: ['test/whole/build.ts'],
    testTimeout: timeout,
    hookTimeout: 180_000,
    // Every file has its own ports, homes and servers; more than two at once starve each other.
    maxWorkers: name === 'whole' ? 2 : 1,
    sequence: { groupOrder },
  },
});

export default defineConfig({
  test: {
    projects: [
      { test: { name: 'unit', include: ['test/**/*.test.ts'], exclude: outside, testTimeout: 30_000 } },
      tier('whole', 60_000, 1),
      tier('clients', 120_000, 2),
      tier('faults', 120_000, 3),
      tier('trino', 120_000, 4),
    ],
  },
});
