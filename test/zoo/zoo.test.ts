// SPDX-License-Identifier: GPL-2.0-only
/**
 * The harness finds every bug of the zoo, and raises no alarm over the same code put right. A
 * harness that finds nothing would pass every other test there is.
 */
import { describe, expect, test } from 'vitest';
import { pinThread } from '../../dist/src/deterministic/pin.js';
import { bugs, guard, hunt, summarise } from './keeper.mjs';

/** Wall time for one strategy on one bug, at most. */
const SECONDS = 10;
/** Exhaustive search comes to nothing within it where there are many threads and steps. */
const DFS_SECONDS = 2;
/** Over all fixed versions. */
const GUARD_SECONDS = 60;

// As test/explore does, on another CPU.
pinThread(2);

describe('zoo: planted bugs', () => {
  const rows: Record<string, unknown>[] = [];

  test.each(bugs as string[])('%s is found', async (name) => {
    const pct = await hunt(name, 'pct', SECONDS);
    const random = await hunt(name, 'random', SECONDS);
    const dfs = await hunt(name, 'dfs', DFS_SECONDS);
    rows.push({ name, pct, random, dfs });
    expect(pct.found || random.found, `neither strategy found ${name}`).toBe(true);
    expect(dfs.exhausted && !dfs.found, 'an exhaustive search found nothing').toBeFalsy();
    for (const { found, reproducible } of [pct, random, dfs]) {
      if (found) expect(reproducible, 'the schedule found fails again').toBe(true);
    }
  });

  test('all of 36 or more; each strategy finds 95 %; half shrink to 15 switches or fewer', () => {
    const summary = summarise(rows);
    expect(summary.bugs).toBeGreaterThanOrEqual(36);
    expect(summary.missed).toEqual([]);
    expect(summary.pct).toBeGreaterThanOrEqual(0.95);
    expect(summary.random).toBeGreaterThanOrEqual(0.95);
    expect(summary.medianSwitches).toBeLessThanOrEqual(15);
  });
});

describe('zoo: the same, put right', () => {
  const seconds = GUARD_SECONDS / bugs.length;

  test.each(bugs as string[])('%s raises no alarm', async (name) => {
    const { executions, alarm } = await guard(name, seconds);
    expect(alarm).toBe(null);
    expect(executions).toBeGreaterThan(0);
  });
});
