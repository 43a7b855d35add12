// SPDX-License-Identifier: GPL-2.0-only
/**
 * The test runner. Forks, so that a test that stops a machine or ends a worker cannot take the
 * runner with it; two at a time, because each test boots threads of its own.
 */
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
