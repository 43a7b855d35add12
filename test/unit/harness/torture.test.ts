// SPDX-License-Identifier: GPL-2.0-only
/** Scenarios on real threads: what is found, and what a report says of it. */
import { describe, expect, test } from 'vitest';
import {
  formatTorture,
  ScenarioError,
  TortureError,
  torture,
  tortureReport,
} from '../../../dist/src/harness/index.js';

const fixture = (name: string) => new URL(`../../fixtures/torture/${name}.mjs`, import.meta.url);

describe('torture: a sound scenario', () => {
  test('holds, with memory put back before every round', async () => {
    const result = await torture(fixture('sound'), { rounds: 200, stutter: 20, seed: 5 });
    expect(result).toMatchObject({ rounds: 200, failure: null, seed: 5, interrupted: false });
    expect(formatTorture(result)).toMatch(/^held: 200 rounds, 2 threads, .* seed 5\n$/);
  });

  test('without delays the functions of Atomics are the engine’s own', async () => {
    const { failure } = await tortureReport(fixture('pristine'), { rounds: 3, delays: false });
    expect(failure).toBeNull();
    const patched = await tortureReport(fixture('pristine'), { rounds: 3 });
    expect(patched.failure).toMatchObject({ kind: 'thrown', message: 'Atomics is patched' });
  });

  test('ends when it is told to, and says so', async () => {
    const result = await torture(fixture('sound'), {
      seconds: 60,
      signal: AbortSignal.timeout(300),
    });
    expect(result.interrupted).toBe(true);
    expect(result.seconds).toBeLessThan(50);
  });

  test('ends after the seconds that it was given', async () => {
    const { seconds } = await torture(fixture('sound'), { seconds: 0.1, stutter: 0 });
    expect(seconds).toBeGreaterThanOrEqual(0.1);
  });
});

describe('torture: a broken scenario', () => {
  test('a lost update is found, and the promise rejects with the report', async () => {
    const error = await torture(fixture('counter'), { seconds: 20 }).catch((reason) => reason);
    expect(error).toBeInstanceOf(TortureError);
    const { failure, rounds } = (error as TortureError).result;
    expect(failure).toMatchObject({ kind: 'check', thread: null, round: rounds - 1 });
    expect(failure?.message).toMatch(/^40 increments made \d+$/);
    expect(error.message).toMatch(/^FAILED \(check\) in round \d+: 40 increments made/);
    expect(error.message).toContain('counter.mjs');
  });

  test('a thread that throws is named, and so is the one that waits for it', async () => {
    const { failure } = await tortureReport(fixture('throws'), { rounds: 5, hangMs: 20_000 });
    expect(failure).toMatchObject({ kind: 'thrown', round: 0, thread: 0 });
    expect(failure?.message).toBe('RangeError: out of luck');
    const [thrower, waiter] = failure?.threads ?? [];
    expect(thrower).toMatchObject({ name: 'thrower', doing: 'threw' });
    expect(thrower?.stack).toContain('throws.mjs');
    expect(waiter?.doing).toBe('runs: Atomics.wait at index 0');
    expect(waiter?.stack).toMatch(/at waiter \(.*throws\.mjs:8/);
  });

  test('a lost wake-up is reported as a hang, with the stack of the sleeper', async () => {
    const result = await tortureReport(fixture('lost_wakeup'), { seconds: 60, hangMs: 3000 });
    expect(result.failure).toMatchObject({ kind: 'hang', thread: null });
    expect(result.failure?.message).toMatch(/^round \d+ did not end within 3000 ms$/);
    const [sleeper, waker] = result.failure?.threads ?? [];
    expect(sleeper?.stack).toMatch(/at waitForWord .*\n.*at sleeper /);
    expect(waker?.doing).toBe('returned');
    expect(formatTorture(result)).toContain('thread 0 sleeper: runs: Atomics.wait at index 0\n');
  });

  test('a thread that computes without end is reported with its place', async () => {
    const { failure } = await tortureReport(fixture('endless'), { rounds: 1, hangMs: 3000 });
    expect(failure?.kind).toBe('hang');
    expect(failure?.threads.find(({ name }) => name === 'worker')?.stack).toMatch(
      /at worker \(.*endless\.mjs:4/,
    );
  });
});

describe('torture: bad input', () => {
  test('files that are no scenario, and options that will not do, are one line', async () => {
    const said = async (run: Promise<unknown>): Promise<string> => {
      const error = await run.then(
        () => null,
        (reason: Error) => reason,
      );
      expect(error).toBeInstanceOf(ScenarioError);
      expect(error?.message).not.toContain('\n');
      return error?.message ?? '';
    };
    expect(await said(torture(fixture('empty')))).toMatch(/empty\.mjs: exports no thread function/);
    expect(await said(torture(fixture('absent')))).toMatch(/absent\.mjs: no such file/);
    expect(await said(torture(fixture('sound'), { threads: 1 }))).toMatch(/^threads: 1; give/);
    expect(await said(torture(fixture('sound'), { seconds: -1 }))).toMatch(/^seconds: -1; give/);
  });
});
