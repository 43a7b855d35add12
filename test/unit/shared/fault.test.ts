// SPDX-License-Identifier: GPL-2.0-only
/** Fault injection alone: rates, intervals, limits, streams. */
import { afterEach, describe, expect, it } from 'vitest';
import { createArena } from '../../../dist/shared/arena.js';
import {
  declareFaults,
  enterFaults,
  type FaultAttr,
  faultDelay,
  faultsInjected,
  initFaults,
  leaveFaults,
  shouldFail,
} from '../../../dist/shared/fault.js';

const always: FaultAttr = { oneIn: 1, interval: 1, times: null };

function arm(attrs: (FaultAttr | null)[], seed = 1, thread = 1) {
  const { tables } = createArena((builder) => declareFaults(builder, attrs.length));
  initFaults(tables, attrs);
  enterFaults(tables, attrs, seed, thread);
  return tables;
}

/** Which of `calls` calls of a kind fail. */
function draw(kind: number, calls: number): number[] {
  return Array.from({ length: calls }, (_, call) => call).filter(() => shouldFail(kind));
}

afterEach(leaveFaults);

describe('fault injection', () => {
  it('never fails while it is off', () => {
    expect(draw(0, 1000)).toEqual([]);
    arm([null, always]);
    expect(draw(0, 1000)).toEqual([]);
    leaveFaults();
    expect(draw(1, 1000)).toEqual([]);
  });

  it('fails one call in N by chance, and counts', () => {
    const table = arm([{ ...always, oneIn: 10 }, always]);
    const failed = draw(0, 10_000);
    expect(failed.length).toBeGreaterThan(900);
    expect(failed.length).toBeLessThan(1100);
    expect(draw(1, 7)).toHaveLength(7);
    expect(faultsInjected(table)).toEqual([failed.length, 7]);
  });

  it('looks only at every interval-th call', () => {
    arm([{ ...always, interval: 4 }]);
    expect(draw(0, 12)).toEqual([3, 7, 11]);
  });

  it('stops after so many, over all threads', () => {
    const attrs = [{ ...always, times: 3 }];
    const table = arm(attrs);
    expect(draw(0, 2)).toHaveLength(2);
    enterFaults(table, attrs, 1, 2);
    expect(draw(0, 10)).toEqual([0]);
    expect(faultsInjected(table)).toEqual([3]);
  });

  it('draws the same for the same seed and thread, whatever other kinds do', () => {
    const attrs = [
      { ...always, oneIn: 5 },
      { ...always, oneIn: 3 },
    ];
    arm(attrs, 7, 3);
    const first = draw(0, 200);
    arm(attrs, 7, 3);
    draw(1, 55);
    expect(draw(0, 200)).toEqual(first);
    arm(attrs, 7, 4);
    expect(draw(0, 200)).not.toEqual(first);
    arm(attrs, 8, 3);
    expect(draw(0, 200)).not.toEqual(first);
  });

  it('sleeps when a delay strikes', () => {
    const table = arm([{ ...always, times: 2 }]);
    for (let i = 0; i < 5; i++) faultDelay(0);
    expect(faultsInjected(table)).toEqual([2]);
  });
});
