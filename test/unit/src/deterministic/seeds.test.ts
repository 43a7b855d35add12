// SPDX-License-Identifier: GPL-2.0-only
/** Ranges of seeds over a pool that is not theirs. */
import { expect, it } from 'vitest';
import type { SeedPool } from '../../../../dist/src/deterministic/seed_pool.js';
import type { SeedResult } from '../../../../dist/src/deterministic/seed_result.js';
import { runSeeds } from '../../../../dist/src/deterministic/seeds.js';

const input = { config: {}, traces: null, scenario: 'churn', events: null };

/** A pool of two whose seeds end when they are told to. */
class Told {
  readonly jobs = 2;
  readonly asked: number[] = [];
  readonly #ends = new Map<number, (reason: Error | null) => void>();

  run(seed: number): Promise<SeedResult> {
    this.asked.push(seed);
    return new Promise((resolve, reject) => {
      this.#ends.set(seed, (reason) => {
        if (reason !== null) reject(reason);
        else resolve({ seed, reason: null, faults: {}, events: {} } as unknown as SeedResult);
      });
    });
  }

  async end(seed: number, reason: Error | null = null): Promise<void> {
    this.#ends.get(seed)?.(reason);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

it('a seed that throws ends the range, once those under way have ended', async () => {
  const pool = new Told();
  let ended = false;
  const range = runSeeds({ from: 1, to: 9, jobs: pool as unknown as SeedPool, input });
  const outcome = range
    .catch((error: Error) => error.message)
    .finally(() => {
      ended = true;
    });
  await pool.end(1);
  expect(pool.asked).toEqual([1, 2, 3]);
  await pool.end(3, new Error('no such machine'));
  expect(ended).toBe(false);
  await pool.end(2);
  expect(await outcome).toBe('no such machine');
  expect(pool.asked).toEqual([1, 2, 3]);
});
