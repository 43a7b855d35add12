// SPDX-License-Identifier: GPL-2.0-only
/** Scenarios under the scheduler, with real workers: what the patched functions promise. */
import { afterEach, describe, expect, test } from 'vitest';
import {
  F_SWITCHES,
  OUTCOME_CHECK,
  OUTCOME_DEADLOCK,
  OUTCOME_DIVERGED,
  OUTCOME_INVARIANT,
  OUTCOME_STEPS,
  OUTCOME_THREW,
  STATE_BLOCKED,
} from '../../../dist/src/harness/control.js';
import { Explorer } from '../../../dist/src/harness/explorer.js';
import type { StrategySpec } from '../../../dist/src/harness/make_strategy.js';
import type { RunResult, RunSettings } from '../../../dist/src/harness/messages.js';

const SETTINGS: RunSettings = {
  strategy: { kind: 'random', seed: 1 },
  executions: 20,
  ms: 60_000,
  steps: 100_000,
  tickNs: 100,
  timeouts: 0,
  spinThreshold: 4,
  gateSpins: 300,
  boundFails: true,
  trace: false,
  keepGoing: false,
};

let explorer: Explorer | null = null;

async function run(
  name: string,
  strategy: StrategySpec,
  settings: Partial<RunSettings> = {},
): Promise<RunResult> {
  const url = new URL(`../../fixtures/harness/${name}.mjs`, import.meta.url);
  explorer ??= await Explorer.open(url);
  return explorer.run({ ...SETTINGS, strategy, ...settings });
}

afterEach(async () => {
  await explorer?.close();
  explorer = null;
});

const STRATEGIES: StrategySpec[] = [
  { kind: 'random', seed: 7 },
  { kind: 'random', seed: 7, switchChance: 0.1 },
  { kind: 'pct', seed: 7, depth: 3 },
  { kind: 'round-robin' },
];

describe('under the scheduler', () => {
  test('every operation does what the native one does', async () => {
    for (const strategy of STRATEGIES) {
      const { failure } = await run('atomics_twin', strategy);
      expect(failure?.stack ?? null).toBe(null);
    }
  });

  test('wait and notify keep their promises, whoever goes first', async () => {
    for (const strategy of STRATEGIES) {
      const { failure, executions } = await run('waits', strategy, { executions: 200 });
      expect(failure?.message ?? null).toBe(null);
      expect(executions).toBeGreaterThan(0);
    }
  });

  test('time is virtual, and chance is seeded', async () => {
    const texts: string[] = [];
    for (const seed of [5, 5, 6]) {
      const { failure } = await run('clocks', { kind: 'random', seed });
      expect(failure?.outcome).toBe(OUTCOME_CHECK);
      expect(failure?.message).toMatch(/^[\d.]+ \d+ \| [\d.]+ \d+$/);
      texts.push(failure?.message ?? '');
    }
    expect(texts[1]).toBe(texts[0]);
    expect(texts[2]).not.toBe(texts[0]);
  });

  test('spinners wait for the word, under a policy that would follow them for ever', async () => {
    const schedule: number[] = [0, 1, 2, 3, 0, 1, 1, 1];
    const spec: StrategySpec = { kind: 'replay', schedule, seed: 0 };
    const { failure, steps } = await run('spins', spec);
    expect(failure).toBe(null);
    expect(steps).toBeLessThan(80);
    const walk = await run('spins', { kind: 'pct', seed: 1, depth: 3 }, { executions: 500 });
    expect(walk.failure).toBe(null);
  });

  test('a seed is a schedule', async () => {
    const hashes = new Set<number>();
    for (let i = 0; i < 10; i++) {
      hashes.add((await run('spins', { kind: 'random', seed: 3 }, { executions: 10 })).hash);
    }
    expect(hashes.size).toBe(1);
    const other = await run('spins', { kind: 'random', seed: 30 }, { executions: 10 });
    expect(hashes.has(other.hash)).toBe(false);
  });

  test('a failure unwinds every thread, and the next execution is clean', async () => {
    for (let seed = 0; seed < 5; seed++) {
      const { failure } = await run('unwinds', { kind: 'random', seed });
      expect(failure?.outcome).toBe(OUTCOME_THREW);
      expect(failure?.threads[failure.culprit]?.name).toBe('thrower');
      expect(failure?.message).toBe('the first of them');
      expect(failure?.threads[0]?.mail.error?.stack).toMatch(/stubborn/);
    }
  });

  test('a lost wake-up is a deadlock, and replays', async () => {
    const { failure } = await run(
      'blocked',
      { kind: 'pct', seed: 1, depth: 2 },
      { executions: 99 },
    );
    expect(failure?.outcome).toBe(OUTCOME_DEADLOCK);
    expect(failure?.threads[0]).toMatchObject({ state: STATE_BLOCKED, expected: 0, holds: 0 });
    const { schedule, hash } = failure as NonNullable<typeof failure>;
    const again = await run('blocked', { kind: 'replay', schedule, seed: 0, times: 3 });
    expect(again.failure).toMatchObject({ outcome: OUTCOME_DEADLOCK, hash });
  });

  test('a schedule that cannot be followed is told apart', async () => {
    const { failure } = await run('blocked', { kind: 'replay', schedule: [0, 0, 0, 0], seed: 0 });
    expect(failure).toMatchObject({ outcome: OUTCOME_DIVERGED, culprit: 0 });
  });

  test('an invariant is looked at between any two operations', async () => {
    const { failure } = await run('invariant', { kind: 'round-robin' });
    expect(failure).toMatchObject({ outcome: OUTCOME_INVARIANT, message: '1 beside 0' });
  });

  test('an execution has a bound', async () => {
    const bounded = await run('unwinds', { kind: 'round-robin' }, { steps: 12 });
    expect(bounded.failure).toMatchObject({ outcome: OUTCOME_STEPS, step: 12 });
    const cut = await run('unwinds', { kind: 'round-robin' }, { steps: 12, boundFails: false });
    expect(cut).toMatchObject({ failure: null, bounded: 1 });
    expect(explorer?.control.numbers[F_SWITCHES]).toBeGreaterThan(3);
  });
});
