// SPDX-License-Identifier: GPL-2.0-only
/**
 * The test runner. Forks, so that a test that stops a machine or ends a worker cannot take the
 * runner with it; two at a time, because each test boots threads of its own.
 */
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Folders of tests that take longest: begun last, one of them would run alone at the end. */
const FIRST = ['/test/explore/', '/test/scenario/'];

function rank({ moduleId }: TestSpecification): number {
  const at = FIRST.findIndex((folder) => moduleId.includes(folder));
  return at < 0 ? FIRST.length : at;
}

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    return sorted.sort((a, b) => rank(a) - rank(b));
  }
}

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    setupFiles: ['test/helpers/own_flags.ts'],
    pool: 'forks',
    maxWorkers: 2,
    sequence: { sequencer: LongestFirst },
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
