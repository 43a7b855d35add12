// SPDX-License-Identifier: GPL-2.0-only
/** Schedules that end, that repeat, and that are told apart. */
import { afterEach, describe, expect, test } from 'vitest';
import {
  F_STEP,
  H_HASH,
  OUTCOME_CHECK,
  OUTCOME_THREW,
  TIMEOUTS_ANY,
  TIMEOUTS_IDLE,
} from '../../../dist/src/harness/control.js';
import { Explorer, type ExplorerOptions } from '../../../dist/src/harness/explorer.js';
import type { StrategySpec } from '../../../dist/src/harness/make_strategy.js';
import type { RunResult, RunSettings } from '../../../dist/src/harness/messages.js';

const SETTINGS: RunSettings = {
  strategy: { kind: 'random', seed: 1 },
  executions: 20,
  ms: 60_000,
  steps: 100_000,
  tickNs: 100,
  timeouts: TIMEOUTS_IDLE,
  spinThreshold: 4,
  gateSpins: 300,
  boundFails: true,
  trace: false,
  keepGoing: false,
};
const DFS: StrategySpec = { kind: 'dfs', seed: 1, preemptions: null, reduction: true };

let explorer: Explorer | null = null;

async function open(name: string, options: ExplorerOptions = {}): Promise<Explorer> {
  const url = new URL(`../../fixtures/harness/${name}.mjs`, import.meta.url);
  explorer = await Explorer.open(url, options);
  return explorer;
}

async function run(name: string, settings: Partial<RunSettings> = {}): Promise<RunResult> {
  const opened = await open(name);
  return opened.run({ ...SETTINGS, ...settings });
}

afterEach(async () => {
  await explorer?.close();
  explorer = null;
});

describe('memory of a thread’s own', () => {
  test('has the same addresses in every execution, and no other thread’s', async () => {
    const result = await run('private_memory', { strategy: DFS, tickNs: 0, executions: 1000 });
    expect(result.failure).toBe(null);
    expect(result.strategy).toMatchObject({ complete: true, diverged: false });
  });
});

describe('a deadline', () => {
  test('is reached by who spins and by who sleeps, when nobody helps', async () => {
    const opened = await open('until_deadline');
    for (const timeouts of [TIMEOUTS_IDLE, TIMEOUTS_ANY]) {
      const result = await opened.run({ ...SETTINGS, timeouts, executions: 5 });
      expect(result.failure).toBe(null);
    }
  });
});

describe('what does not come to an end', () => {
  test('check is named', async () => {
    const opened = await open('check_endless', { hangMs: 5000 });
    await expect(opened.run(SETTINGS)).rejects.toThrow(/check did not return for 5 s/);
  });

  test('a thread that ends its worker is named at once', async () => {
    const opened = await open('thread_exits', { hangMs: 60_000 });
    await expect(opened.run(SETTINGS)).rejects.toThrow(/goes ended its worker, with exit code 3/);
  });
});

test('a history that cannot be handed over is no empty history', async () => {
  const { failure } = await run('large_history', { executions: 1 });
  expect(failure?.outcome).toBe(OUTCOME_THREW);
  expect(failure?.name).toBe('ScenarioError');
});

test('who looks often and then changes the word does not spin: exhaustively', async () => {
  const { failure } = await run('looks_then_swaps', { strategy: DFS, tickNs: 0, executions: 1000 });
  expect(failure?.outcome).toBe(OUTCOME_CHECK);
});

test('what chance lets look again goes next, so that the schedule alone replays', async () => {
  const opened = await open('adaptive_waits');
  const { control } = opened;
  for (let seed = 0; seed < 150; seed++) {
    const strategy: StrategySpec = { kind: 'random', seed };
    await opened.run({ ...SETTINGS, strategy, executions: 1 });
    const steps = control.numbers[F_STEP] as number;
    const hash = control.words[H_HASH];
    const schedule = Array.from({ length: steps }, (_, i) => (control.log[i * 5] as number) & 0xff);
    await opened.run({
      ...SETTINGS,
      strategy: { kind: 'replay', schedule, seed },
      executions: 1,
    });
    expect({ seed, hash: control.words[H_HASH] }).toEqual({ seed, hash });
  }
});
