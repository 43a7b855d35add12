// SPDX-License-Identifier: GPL-2.0-only
/** The torture of our own primitives: groups, broken variants, and what a failure looks like. */
import { describe, expect, test } from 'vitest';
import { runReclaim } from '../../../../dist/src/torture/reclaim.js';
import { typeLines } from '../../../../dist/src/torture/report.js';
import { type GroupReport, runTypes } from '../../../../dist/src/torture/run.js';

const group = (name: string) => new URL(`../../../../dist/src/torture/${name}.js`, import.meta.url);
const FIXTURE = new URL('../../../fixtures/torture/types.mjs', import.meta.url);

/** Times that a broken variant is given, in ms: the last is for a machine that is busy. */
const BUSTED_MS = [200, 600, 1500, 4000, 20_000];

const run = (name: string, only: string[], seconds = 0.4): Promise<GroupReport> =>
  runTypes(name, group(name), { seconds, threads: 3, seed: 3, only, bustedMs: BUSTED_MS });

/** Every type held, and its broken variant was seen. */
function expectHeld(report: GroupReport, types: string[]): void {
  expect(report.types.flatMap(({ failures }) => failures)).toEqual([]);
  expect(report.types.map(({ name }) => name)).toEqual(types);
  for (const type of report.types) {
    expect(type).toMatchObject({ result: 'SUCCESS', busted: { caught: true } });
  }
  expect(report.passed).toBe(true);
}

describe('torture groups', () => {
  test.each([
    ['locks', ['mutex', 'rwsem_downgrade']],
    ['locks', ['seqlock', 'completion']],
    ['rcu', ['rcu', 'rcu_barrier']],
    ['rcu', ['srcu', 'call_rcu']],
    ['rings', ['kfifo_mpsc', 'trace_ring']],
    ['rings', ['list', 'bitmap']],
    ['shrinker', ['shrinker_rwsem', 'shrinker_srcu']],
    ['shrinker', ['shrinker_lockless', 'shrinker_fixed']],
    ['shrinker', ['mounts_rwsem', 'mounts_srcu']],
    ['shrinker', ['mounts_lockless', 'mounts_fixed']],
    ['shrinker', ['shrinker_leak', 'shrinker_early_clear']],
    ['shrinker', ['shrinker_stale_state', 'shrinker_lost_work']],
  ])('%s: %s hold, and their broken variants are caught', async (name, types) => {
    expectHeld(await run(name, types), types);
  });

  test('reclaim: a machine with little swap holds, and damage to it is seen', async () => {
    const options = { seconds: 0.1, threads: 2, seed: 2, only: ['swap_full'] };
    expectHeld(await runReclaim(options), ['swap_full']);
  });

  test('statistics are locktorture’s and rcutorture’s lines', async () => {
    const { types } = await run('locks', ['spinlock']);
    expect(types[0]?.lines[0]).toMatch(
      /^Writes: Total: \d+ Max\/Min: \d+\/\d+( \?\?\?)? {1}Fail: 0$/,
    );
    const rcu = await run('rcu', ['rcu']);
    const [counters, pipe, batch, circulation] = rcu.types[0]?.lines ?? [];
    expect(counters).toMatch(/^ver: \d+ rta: \d+ rtaf: \d+ rtf: \d+ rtmbe: 0 reads: \d+$/);
    expect(pipe).toMatch(/^Reader Pipe: \d+ \d+ 0 0 0 0 0 0 0 0 0$/);
    expect(batch).toMatch(/^Reader Batch: \d+ \d+ 0 0 0 0 0 0 0 0 0$/);
    expect(circulation).toMatch(/^Free-Block Circulation: /);
  });
});

describe('what the tool does with a type', () => {
  const one = async (only: string, hangMs = 20_000) => {
    const options = { seconds: 0.2, threads: 2, seed: 1, only: [only], hangMs, bustedMs: [50] };
    return runTypes('test', FIXTURE, options);
  };

  test('as it should be', async () => {
    const report = await one('good');
    expectHeld(report, ['good']);
    expect(report.types[0]?.busted?.how).toMatch(/^writer\d: seen$/);
  });

  test('a broken variant that nobody sees is a failure of the tool', async () => {
    const { passed, types } = await one('blind');
    expect(passed).toBe(false);
    expect(types[0]).toMatchObject({ result: 'FAILURE', busted: { caught: false } });
    expect(types[0]?.failures).toEqual(['the broken variant (something) was not caught']);
    expect(typeLines('test', types[0] as (typeof types)[0]).at(-1)).toMatch(/NOT CAUGHT .* !!!$/);
  });

  test('a check that fails, and a body that throws, are failures with their message', async () => {
    const wrong = await one('wrong');
    expect(wrong.types[0]?.failures).toEqual(['writer1: two and two is five']);
    const throws = await one('throws');
    expect(throws.types[0]?.failures).toEqual(['writer2: TypeError: no such thing']);
    expect([wrong.passed, throws.passed]).toEqual([false, false]);
  });

  test('threads that hang are named with their stacks', async () => {
    const { types } = await one('hangs', 3000);
    const [first, ...stacks] = types[0]?.failures ?? [];
    expect(first).toMatch(/^hang: no thread made a turn for \d+ ms$/);
    expect(stacks).toHaveLength(2);
    expect(stacks[0]).toMatch(/^thread 1:\n {4}at sleepForEver \(.*types\.mjs/);
  });

  test('a type that was never recounted at rest says so', () => {
    const type = {
      name: 'a',
      result: 'SUCCESS',
      threads: 6,
      ms: 100,
      lines: [],
      failures: [],
    } as const;
    const first = (barriers: number) =>
      typeLines('test', { ...type, counts: { barriers }, busted: null })[0];
    expect(first(0)).toBe('test a: SUCCESS (never at rest) (0.1 s, 6 threads)');
    expect(first(3)).toBe('test a: SUCCESS (0.1 s, 6 threads)');
  });

  test('a type whose turn did not come says so', async () => {
    const signal = AbortSignal.abort();
    const options = { seconds: 1, threads: 2, seed: 1, signal };
    const { types, passed } = await runTypes('test', FIXTURE, options);
    expect(types.every(({ result }) => result === null)).toBe(true);
    expect(passed).toBe(null);
    expect(typeLines('test', types[0] as (typeof types)[0])).toEqual(['test good: not run']);
  });
});
