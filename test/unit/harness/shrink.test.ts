// SPDX-License-Identifier: GPL-2.0-only
/** A failing schedule gets small, quickly, and stays a failure of the same kind. */
import { describe, expect, it } from 'vitest';
import { exploreReport } from '../../../dist/src/harness/index.js';
import {
  extendRounds,
  findRounds,
  joinRuns,
  type Runs,
  stepsOf,
  toRuns,
  toSteps,
} from '../../../dist/src/harness/schedule.js';
import { messageClass } from '../../../dist/src/harness/shrink.js';

const fixture = (name: string) => new URL(`../../fixtures/explore/${name}.mjs`, import.meta.url);

describe('runs', () => {
  it('are a sequence of steps, and back', () => {
    const runs: Runs = [
      [0, 3],
      [1, 2],
      [0, 1],
    ];
    expect(toRuns([0, 0, 0, 1, 1, 0])).toEqual(runs);
    expect(toSteps(runs)).toEqual([0, 0, 0, 1, 1, 0]);
    expect(stepsOf(runs)).toBe(6);
    expect(toRuns([])).toEqual([]);
    expect(toRuns([1, 1, 0], 2)).toEqual([[1, 2]]);
  });

  it('join where neighbours are of one thread, and drop what is empty', () => {
    const runs: Runs = [
      [0, 1],
      [1, 0],
      [0, 2],
      [2, 1],
    ];
    expect(joinRuns(runs)).toEqual([
      [0, 3],
      [2, 1],
    ]);
  });
});

describe('rounds', () => {
  it('are found where a schedule goes on in them to its end', () => {
    const schedule = [2, 2, 0, 1, 1, 0, 1, 1, 0, 1, 1, 0, 1];
    const rounds = findRounds(schedule);
    expect(rounds).toEqual({ from: 2, steps: 3 });
    expect(findRounds([0, 1, 1, 0, 1, 0, 0, 0, 1, 1])).toBeNull();
    const longer = extendRounds(schedule, rounds ?? { from: 0, steps: 1 }, 17);
    expect(longer).toEqual([...schedule, 1, 0, 1, 1]);
  });
});

describe('messages of one kind', () => {
  it('differ in numbers alone, but not in places', () => {
    expect(messageClass('lost update: 1 of 2')).toBe(messageClass('lost update: 17 of 20'));
    expect(messageClass('is -1')).toBe(messageClass('is 3.5'));
    expect(messageClass('race at a.mjs:3')).not.toBe(messageClass('race at a.mjs:4'));
    expect(messageClass('lost')).not.toBe(messageClass('found'));
  });
});

describe('shrinking', () => {
  it('brings thousands of switches down to the few that matter', async () => {
    const { failure } = await exploreReport(fixture('long_run'), { replayDir: false });
    expect(failure?.found.switches).toBeGreaterThan(1000);
    expect(failure?.switches).toBeLessThanOrEqual(4);
    expect(failure?.shrink?.executions).toBeLessThan(200);
    expect(failure?.message).toMatch(/^lost update: \d of 3$/);
    expect(failure?.reproducible).toBe(true);
  });

  it('finds the round that an execution without end goes in', async () => {
    const polite = new URL('../../zoo/bugs/polite_livelock.mjs', import.meta.url);
    const options = { strategy: 'random', maxSteps: 20_000, replayDir: false } as const;
    const { failure } = await exploreReport(polite, options);
    expect(failure).toMatchObject({ kind: 'step bound', reproducible: true });
    expect(failure?.title).toBe('no end: 20000 steps and threads are still at it');
    expect(failure?.found.switches).toBeGreaterThan(1000);
    expect(failure?.switches).toBeLessThanOrEqual(6);
  });

  it('can be left out', async () => {
    const options = { replayDir: false, shrink: false } as const;
    const { failure } = await exploreReport(fixture('long_run'), options);
    expect(failure?.shrink).toBeNull();
    expect(failure?.switches).toBe(failure?.found.switches);
  });

  it('does not count steps that change nothing any more', async () => {
    const { failure } = await exploreReport(fixture('abba'), { replayDir: false });
    expect(failure).toMatchObject({ switches: 1, steps: 4, kind: 'deadlock' });
  });
});
