// SPDX-License-Identifier: GPL-2.0-only
/** Pressure: who waits for memory, and for how long. The clock is the test's. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ProcessCgroups } from '../../../dist/kthreads/process_cgroups.js';
import { checkQuiescent } from '../../../dist/src/mm/check.js';
import { attachMm, type Mm } from '../../../dist/src/mm/mm.js';
import { readMachineFile } from '../../../dist/src/mm/proc_access.js';
import { psiMemstallEnter, psiMemstallLeave, psiProductive } from '../../../dist/src/mm/psi.js';
import { UserContext } from '../../../dist/src/mm/user.js';
import { tryToFreePages } from '../../../dist/src/mm/vmscan_direct.js';
import { bootFixture, eventOf, fixtureRegions } from '../../helpers/mm_fixture.js';

let nowMs = 0;
beforeEach(() => {
  nowMs = 1000;
  vi.spyOn(performance, 'now').mockImplementation(() => nowMs);
});
afterEach(() => vi.restoreAllMocks());

/** A machine, its only process in group a, and another thread of it. */
function boot() {
  const m = bootFixture();
  const cgroups = new ProcessCgroups(m, 1);
  const a = cgroups.mkdir(0, 'a');
  cgroups.attach(a);
  psiProductive(m, true);
  const other = attachMm(m.buffers, m.config, 2, -1);
  return { m, other, cgroups, a };
}

function lines(m: Mm, path = '/proc/pressure/memory'): Record<string, Record<string, number>> {
  const text = readMachineFile(m, path) as string;
  const parse = (line: string): [string, Record<string, number>] => {
    const [kind = '', ...pairs] = line.split(' ');
    const values = pairs.map((pair) => pair.split('=')).map(([key, value]) => [key, Number(value)]);
    return [kind, Object.fromEntries(values)];
  };
  return Object.fromEntries(text.trim().split('\n').map(parse));
}

const totals = (m: Mm, path?: string): number[] => {
  const { some, full } = lines(m, path);
  return [some?.total as number, full?.total as number];
};

describe('pressure', () => {
  it('is some while one waits, and full while nobody else works', () => {
    const { m, other } = boot();
    psiMemstallEnter(other);
    nowMs += 5;
    psiMemstallEnter(m);
    psiMemstallEnter(m);
    nowMs += 3;
    psiMemstallLeave(m);
    nowMs += 1;
    psiMemstallLeave(m);
    nowMs += 7;
    psiMemstallLeave(other);
    nowMs += 100;
    expect(totals(m)).toEqual([16_000, 4_000]);
    // The other is a daemon of the root's: the group waited with its process alone.
    expect(totals(m, '/sys/fs/cgroup/a/memory.pressure')).toEqual([4_000, 4_000]);
    expect(checkQuiescent(m).violations).toEqual([]);
  });

  it('follows a process into another group', () => {
    const { m, cgroups } = boot();
    const b = cgroups.mkdir(0, 'b');
    cgroups.attach(b);
    psiMemstallEnter(m);
    nowMs += 4;
    psiMemstallLeave(m);
    expect(totals(m, '/sys/fs/cgroup/b/memory.pressure')).toEqual([4_000, 4_000]);
    expect(totals(m, '/sys/fs/cgroup/a/memory.pressure')).toEqual([0, 0]);
    psiProductive(m, false);
    expect([...m.psi.productive].every((threads) => threads === 0)).toBe(true);
  });

  it('averages over 10, 60 and 300 s, and forgets', () => {
    const { m } = boot();
    lines(m);
    for (let i = 0; i < 30; i++) {
      psiMemstallEnter(m);
      nowMs += 1000;
      psiMemstallLeave(m);
      nowMs += 1000;
    }
    const { some } = lines(m);
    expect(some?.avg10).toBeGreaterThan(45);
    expect(some?.avg10).toBeLessThan(50.1);
    expect(some?.avg60).toBeCloseTo(50 * (1 - Math.exp(-1)), 0);
    expect(some?.avg300).toBeCloseTo(50 * (1 - Math.exp(-0.2)), 0);
    nowMs += 60_000;
    expect(lines(m).some?.avg10).toBeLessThan(0.2);
    expect(lines(m).some?.total).toBe(30_000_000);
  });

  it('has a long stall in all the periods that it spans', () => {
    const { m } = boot();
    lines(m);
    psiMemstallEnter(m);
    nowMs += 20_000;
    expect(lines(m).some?.avg10).toBeCloseTo(100 * (1 - Math.exp(-2)), 0);
    nowMs += 20_000;
    psiMemstallLeave(m);
    nowMs += 10_000;
    expect(lines(m).full?.avg10).toBeCloseTo(100 * (1 - Math.exp(-4)) * Math.exp(-1), 0);
    expect(totals(m)).toEqual([40_000_000, 40_000_000]);
  });

  it('has direct reclaim in it', () => {
    const { m } = boot();
    const user = new UserContext(m, 1, fixtureRegions());
    const events = Uint32Array.from({ length: 100 }, (_, i) => eventOf(i, 1));
    expect(user.run(events, 0, 100, 1, () => undefined)).toBe(0);
    vi.spyOn(performance, 'now').mockImplementation(() => {
      nowMs += 0.25;
      return nowMs;
    });
    tryToFreePages(m, 0, 0, () => false);
    expect(totals(m)[0]).toBeGreaterThan(0);
    expect(m.task.memstall).toBe(0);
  });
});
