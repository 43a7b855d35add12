// SPDX-License-Identifier: GPL-2.0-only
/** A seed is a schedule: the same hash over all steps, every time, in workers old and new. */
import { describe, expect, it } from 'vitest';
import {
  resolveOptions,
  runSettings,
  strategySpec,
} from '../../../dist/src/harness/explore_options.js';
import { Explorer } from '../../../dist/src/harness/explorer.js';
import { exploreReport } from '../../../dist/src/harness/index.js';

const RINGBUF = new URL('../../fixtures/explore/ringbuf.mjs', import.meta.url);

it('gives threads the same number in every run', async () => {
  const scenario = new URL('../../fixtures/explore/thread_ids.mjs', import.meta.url);
  for (let i = 0; i < 2; i++) {
    const { failure } = await exploreReport(scenario, { iterations: 1, replayDir: false });
    expect(failure).toBeNull();
  }
});

describe('ringbuf.js, unmodified, in two workers', () => {
  it.each(['random', 'pct', 'mix'] as const)('%s: one hash in 100 runs', async (strategy) => {
    const options = resolveOptions({ strategy, seed: 7, iterations: 5 }, {});
    const explorer = await Explorer.open(RINGBUF);
    const hashes = new Map<number, number>();
    try {
      for (let i = 0; i < 100; i++) {
        const settings = { ...runSettings(options), strategy: strategySpec(options) };
        const { hash, failure } = await explorer.run(settings);
        expect(failure).toBeNull();
        hashes.set(hash, (hashes.get(hash) ?? 0) + 1);
      }
    } finally {
      await explorer.close();
    }
    expect([...hashes.values()]).toEqual([100]);
    const fresh = await exploreReport(RINGBUF, { strategy, seed: 7, iterations: 5 });
    expect([...hashes.keys()]).toEqual([fresh.hash]);
    const other = await exploreReport(RINGBUF, { strategy, seed: 8, iterations: 5 });
    expect(other.hash).not.toBe(fresh.hash);
  });
});
