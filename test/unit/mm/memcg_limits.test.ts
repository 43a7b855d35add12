// SPDX-License-Identifier: GPL-2.0-only
/** What a group is promised, denied and told: min, low, high, swap.max, reclaim, events, stat. */
import { describe, expect, it } from 'vitest';
import { ProcessCgroups } from '../../../dist/kthreads/process_cgroups.js';
import { cgroupReleasePass } from '../../../dist/src/mm/cgroup_release.js';
import { checkEmpty, checkQuiescent } from '../../../dist/src/mm/check.js';
import { drainEverything } from '../../../dist/src/mm/drain.js';
import { EAGAIN, EINVAL, EPERM } from '../../../dist/src/mm/errno.js';
import { exitMm } from '../../../dist/src/mm/exit_mm.js';
import { highDelayMs } from '../../../dist/src/mm/memcg_high.js';
import { effectiveProtection } from '../../../dist/src/mm/memcg_protection.js';
import { memcgSwapPages } from '../../../dist/src/mm/memcg_swap.js';
import { drainOwnStock, pageCounterTryCharge } from '../../../dist/src/mm/memcontrol.js';
import type { Mm } from '../../../dist/src/mm/mm.js';
import { outOfMemory } from '../../../dist/src/mm/oom_kill.js';
import { readMachineFile, writeMachineFile } from '../../../dist/src/mm/proc_access.js';
import { lruAddDrain } from '../../../dist/src/mm/swap.js';
import { UserContext } from '../../../dist/src/mm/user.js';
import { tryToFreePages } from '../../../dist/src/mm/vmscan_direct.js';
import {
  bootFixture,
  eventOf,
  type FixtureOptions,
  fixtureRegions,
} from '../../helpers/mm_fixture.js';

const WRITE = 1;
const never = (): boolean => false;

/** A machine with groups a, a/b and c, and their process. */
function boot(options: FixtureOptions = {}) {
  const m = bootFixture({ pages: 4096, ...options });
  const cgroups = new ProcessCgroups(m, 1);
  const user = new UserContext(m, 1, fixtureRegions());
  const a = cgroups.mkdir(0, 'a');
  const b = cgroups.mkdir(a, 'b');
  const c = cgroups.mkdir(0, 'c');
  const write = (path: string, text: string): number =>
    writeMachineFile(m, `/sys/fs/cgroup/${path}`, text);
  const read = (path: string): string => readMachineFile(m, `/sys/fs/cgroup/${path}`) as string;
  /** Writes to pages while in a group. */
  const touch = (group: number, from: number, to: number): void => {
    cgroups.attach(group);
    const events = Uint32Array.from({ length: to - from }, (_, i) => eventOf(from + i, WRITE));
    expect(user.run(events, 0, events.length, 1, () => undefined)).toBe(0);
    lruAddDrain(m);
  };
  return { m, cgroups, user, a, b, c, write, read, touch };
}

const own = (m: Mm, memcg: number): number => Atomics.load(m.memcg.own, memcg);
const violations = (m: Mm): string[] => checkQuiescent(m).violations;

/** A line of a keyed file. */
function keyed(text: string, key: string): number {
  const line = text.split('\n').find((one) => one.startsWith(`${key} `));
  expect(line, `${key} in the file`).toBeDefined();
  return Number(line?.split(' ')[1]);
}

describe('effective protection', () => {
  it.each([
    [
      'its own setting, when the parent can',
      [100, 200, 50, 80, 50],
      50 + Math.floor((30 * 50) / 150),
    ],
    ['no more than it uses', [30, 200, 50, 50, 50], 30],
    ['its share of what the parent has, when all want more', [100, 200, 100, 50, 200], 25],
    ['a part of what nobody claims', [100, 200, 0, 60, 0], 30],
    ['nothing, below a parent that has none', [100, 200, 0, 0, 0], 0],
  ] as const)('is %s', (_, args, pages) => {
    expect(effectiveProtection(...(args as [number, number, number, number, number]))).toBe(pages);
  });
});

describe('memory.min and memory.low', () => {
  it('keep a group whole while others have memory', () => {
    const { m, b, c, write, touch } = boot();
    expect([write('a/memory.low', '2M'), write('a/b/memory.low', '2M')]).toEqual([0, 0]);
    touch(b, 0, 400);
    touch(c, 400, 900);
    expect(violations(m)).toEqual([]);
    for (let i = 0; i < 8; i++) tryToFreePages(m, 0, 0, never);
    expect(own(m, b)).toBe(400);
    expect(own(m, c)).toBeLessThan(300);
    expect(violations(m)).toEqual([]);
  });

  it('low gives way when nothing else is left, and says so; min does not', () => {
    const { m, b, c, write, read, touch } = boot();
    expect([write('a/memory.low', '2M'), write('a/b/memory.low', '2M')]).toEqual([0, 0]);
    expect([write('c/memory.min', '1M')]).toEqual([0]);
    touch(b, 0, 300);
    touch(c, 400, 600);
    for (let i = 0; i < 400 && own(m, b) > 0; i++) tryToFreePages(m, 0, 0, never);
    expect(own(m, b)).toBe(0);
    expect(own(m, c)).toBe(200);
    expect(keyed(read('a/b/memory.events'), 'low')).toBeGreaterThan(0);
    // Its own walks beside those of the group below it.
    expect(keyed(read('a/memory.events'), 'low')).toBeGreaterThan(
      keyed(read('a/b/memory.events'), 'low'),
    );
    expect(keyed(read('c/memory.events'), 'low')).toBe(0);
    expect(tryToFreePages(m, 0, 0, never)).toBe(0);
    expect(violations(m)).toEqual([]);
  });

  it('are told nothing of a charge that was refused above', () => {
    const { m, a, b, write } = boot();
    write('a/memory.max', '40K');
    write('a/b/memory.low', '1M');
    expect(pageCounterTryCharge(m, b, 20)).toBe(a);
    expect(Atomics.load(m.memcg.usage, b)).toBe(0);
    expect(Atomics.load(m.memcg.childrenLow, a)).toBe(0);
    expect(violations(m)).toEqual([]);
  });

  it('go with their group', () => {
    const { m, cgroups, a, b, touch, write } = boot();
    write('a/memory.min', 'max');
    write('a/b/memory.low', '1M');
    touch(b, 0, 100);
    expect(Atomics.load(m.memcg.childrenMin, 0)).toBeGreaterThan(0);
    cgroups.attach(1);
    expect([cgroups.rmdir(b), cgroups.rmdir(a)]).toEqual([0, 0]);
    exitMm(m, 1);
    expect([cgroupReleasePass(m), cgroupReleasePass(m)]).toEqual([1, 1]);
    drainEverything(m);
    expect(Atomics.load(m.memcg.childrenMin, 0)).toBe(0);
    expect(checkEmpty(m).violations).toEqual([]);
  });
});

describe('memory.high', () => {
  it('is reclaimed down to at the end of a fault', () => {
    const { m, b, write, read, touch } = boot();
    expect(write('a/memory.high', '400K')).toBe(0);
    touch(b, 0, 500);
    drainOwnStock(m);
    expect(own(m, b)).toBeLessThan(200);
    expect(keyed(read('a/memory.events'), 'high')).toBeGreaterThan(5);
    expect(keyed(read('a/memory.events'), 'max')).toBe(0);
    expect(m.task.overHigh).toBe(0);
    expect(violations(m)).toEqual([]);
  });

  it('brings a group down when it is set', () => {
    const { m, b, write, touch } = boot();
    touch(b, 0, 500);
    expect(write('a/memory.high', '400K')).toBe(0);
    expect(Atomics.load(m.memcg.usage, 2)).toBeLessThanOrEqual(100);
    expect(violations(m)).toEqual([]);
  });

  it('sleeps by the square of how far a group is above', () => {
    const { m, a, b } = boot();
    Atomics.store(m.memcg.high, a, 100);
    Atomics.store(m.memcg.usage, a, 110);
    const near = highDelayMs(m, b, 64);
    expect(near).toBeCloseTo(640);
    expect(highDelayMs(m, b, 32)).toBeCloseTo(320);
    Atomics.store(m.memcg.usage, a, 105);
    expect(highDelayMs(m, b, 64)).toBeCloseTo(160);
    Atomics.store(m.memcg.usage, a, 200);
    expect(highDelayMs(m, b, 64)).toBe(2000);
    Atomics.store(m.memcg.usage, a, 0);
  });
});

describe('memory.swap.max', () => {
  it('keeps what does not fit in memory', () => {
    const { m, b, write, read, touch } = boot();
    expect(write('a/memory.swap.max', '200K')).toBe(0);
    touch(b, 0, 400);
    expect(memcgSwapPages(m, b)).toBe(50);
    for (let i = 0; i < 100; i++) tryToFreePages(m, 0, 0, never);
    expect(Atomics.load(m.memcg.swap, b)).toBe(50);
    expect(own(m, b)).toBe(350);
    expect(memcgSwapPages(m, b)).toBe(0);
    expect(read('a/memory.swap.current')).toBe(`${50 * 4096}\n`);
    expect(violations(m)).toEqual([]);
  });
});

describe('memory.reclaim', () => {
  it('takes what is asked for, or says that it could not', () => {
    const { m, b, c, write, read, touch } = boot();
    touch(b, 0, 400);
    touch(c, 400, 500);
    expect(write('a/memory.reclaim', '400K swappiness=200')).toBe(0);
    expect(own(m, b)).toBeLessThanOrEqual(300);
    expect(own(m, c)).toBe(100);
    expect(write('a/memory.reclaim', '1G')).toBe(EAGAIN);
    expect(own(m, b)).toBe(0);
    for (const text of ['', 'x', '1M swappiness=201', '1M swappiness', '1M 2']) {
      expect(write('a/memory.reclaim', text), text).toBe(EINVAL);
    }
    const stat = read('a/memory.stat');
    expect(keyed(stat, 'pgsteal_proactive')).toBe(400);
    expect(keyed(stat, 'pgsteal')).toBe(400);
    expect(keyed(read('c/memory.stat'), 'pgsteal')).toBe(0);
    expect(violations(m)).toEqual([]);
  });
});

describe('memory.oom.group', () => {
  it('kills all of the group that holds the victim', () => {
    const common = { comm: 'p', memcg: 1, cpus: [0], args: null, vmas: [] };
    const process = { ...common, generator: false, file: null };
    const program = { module: '', export: '' };
    const processes = [1, 2, 3].map(() => ({ ...process, program }));
    const { m, cgroups, b, c, write, read } = boot({ processes });
    // The second is with the victim, the third elsewhere.
    new ProcessCgroups(m, 2).attach(b);
    new ProcessCgroups(m, 3).attach(c);
    cgroups.attach(b);
    Atomics.store(m.mm.rssAnon, 1, 10);
    expect([write('a/memory.oom.group', '1'), write('a/memory.oom.group', '2')]).toEqual([
      0,
      EINVAL,
    ]);
    outOfMemory(m, 0);
    Atomics.store(m.mm.rssAnon, 1, 0);
    expect([1, 2, 3].map((mm) => Atomics.load(m.mm.flags, mm) & 1)).toEqual([1, 1, 0]);
    expect(keyed(read('a/memory.events'), 'oom_kill')).toBe(2);
    expect(keyed(read('a/memory.events'), 'oom_group_kill')).toBe(1);
    expect(keyed(read('c/memory.events'), 'oom_kill')).toBe(0);
  });
});

describe('memory.stat', () => {
  it('counts events of the subtree, also those of groups that are gone', () => {
    const { m, cgroups, a, b, read, touch } = boot();
    touch(b, 0, 120);
    touch(a, 120, 150);
    expect(keyed(read('a/b/memory.stat'), 'pgfault')).toBe(120);
    expect(keyed(read('a/memory.stat'), 'pgfault')).toBe(150);
    expect(keyed(read('memory.stat'), 'pgfault')).toBe(150);
    while (own(m, b) > 0) tryToFreePages(m, 0, 0, never);
    touch(a, 0, 150);
    expect(keyed(read('a/b/memory.stat'), 'pgsteal_direct')).toBe(120);
    expect(keyed(read('a/memory.stat'), 'pgmajfault')).toBeGreaterThanOrEqual(120);
    const faults = keyed(read('a/memory.stat'), 'pgfault');
    cgroups.rmdir(b);
    expect(cgroupReleasePass(m)).toBe(1);
    expect(keyed(read('a/memory.stat'), 'pgfault')).toBe(faults);
    expect(keyed(read('a/memory.stat'), 'pgsteal_direct')).toBeGreaterThanOrEqual(120);
  });
});

it('files that only answer, and texts that they do not take, are refused', () => {
  const { write } = boot();
  expect(write('a/memory.current', '1')).toBe(EPERM);
  expect(write('memory.max', '1M')).toBe(EPERM);
  for (const file of ['min', 'low', 'high', 'max', 'swap.max']) {
    expect(write(`a/memory.${file}`, '-1'), file).toBe(EINVAL);
    expect(write(`a/memory.${file}`, 'max'), file).toBe(0);
  }
});
