// SPDX-License-Identifier: GPL-2.0-only
/** Groups that come and go at run time: what they are answered, and who keeps them. */
import { describe, expect, it } from 'vitest';
import { ProcessCgroups } from '../../../dist/kthreads/process_cgroups.js';
import { rcuReadLock, rcuReadUnlock } from '../../../dist/shared/rcu.js';
import { cgroupAttach, cgroupMkdir, cgroupRmdir } from '../../../dist/src/mm/cgroup.js';
import { cgroupName, memcgPath } from '../../../dist/src/mm/cgroup_names.js';
import { cgroupReleasePass } from '../../../dist/src/mm/cgroup_release.js';
import { checkEmpty, checkQuiescent } from '../../../dist/src/mm/check.js';
import { drainEverything } from '../../../dist/src/mm/drain.js';
import {
  EBUSY,
  EEXIST,
  EINVAL,
  ENODEV,
  ENOMEM,
  ENOSPC,
  EPERM,
} from '../../../dist/src/mm/errno.js';
import { exitMm } from '../../../dist/src/mm/exit_mm.js';
import { memcgPut, memcgRefs, memcgSerial, memcgTryGet } from '../../../dist/src/mm/memcg_css.js';
import type { Mm } from '../../../dist/src/mm/mm.js';
import {
  LRU_ACTIVE_ANON,
  MEMCG_DYING,
  MEMCG_FREE,
  NR_LRU_LISTS,
} from '../../../dist/src/mm/mm_types.js';
import { procEntries } from '../../../dist/src/mm/proc_files.js';
import { OBJCG_FREE } from '../../../dist/src/mm/slab_types.js';
import { lruAddDrain } from '../../../dist/src/mm/swap.js';
import { UserContext } from '../../../dist/src/mm/user.js';
import { tryToFreePages } from '../../../dist/src/mm/vmscan_direct.js';
import { workingsetEviction, workingsetRefault } from '../../../dist/src/mm/workingset.js';
import { bootFixture, eventOf, fixtureRegions } from '../../helpers/mm_fixture.js';

const WRITE = 1;
/** The fixture's machine has 2 groups of its configuration and 6 free rows. */
const FIRST_FREE = 2;

function touch(user: UserContext, from: number, to: number): void {
  const events = Uint32Array.from({ length: to - from }, (_, i) => eventOf(from + i, WRITE));
  expect(user.run(events, 0, events.length, 1, () => undefined)).toBe(0);
}

function violations(m: Mm): string[] {
  return checkQuiescent(m).violations;
}

function stateOf(m: Mm, memcg: number): number {
  return Atomics.load(m.memcg.state, memcg);
}

describe('cgroup', () => {
  it('makes groups below groups, and names their files', () => {
    const m = bootFixture();
    const a = cgroupMkdir(m, 0, 'a', -1);
    const b = cgroupMkdir(m, a, 'b', 100);
    expect([a, b]).toEqual([FIRST_FREE, FIRST_FREE + 1]);
    expect(memcgPath(m, b)).toBe('/sys/fs/cgroup/a/b');
    expect(cgroupName(m, b)).toBe('b');
    expect(procEntries(m).get('/sys/fs/cgroup/a/b/memory.max')?.()).toBe('409600\n');
    expect(violations(m)).toEqual([]);
  });

  it('answers what cannot be with the errno of Linux', () => {
    const m = bootFixture();
    const a = cgroupMkdir(m, 0, 'a', -1);
    expect(cgroupMkdir(m, 0, 'a', -1)).toBe(EEXIST);
    for (const name of ['', '.', '..', 'a/b', 'a b', 'x'.repeat(32)]) {
      expect(cgroupMkdir(m, 0, name, -1)).toBe(EINVAL);
    }
    expect(cgroupMkdir(m, 0, 'x'.repeat(31), -2)).toBe(EINVAL);
    expect(cgroupMkdir(m, 99, 'x', -1)).toBe(EINVAL);
    expect(cgroupMkdir(m, 7, 'x', -1)).toBe(ENODEV);
    const b = cgroupMkdir(m, a, 'b', -1);
    expect(cgroupRmdir(m, a)).toBe(EBUSY);
    expect(cgroupRmdir(m, 1)).toBe(EBUSY);
    expect(cgroupRmdir(m, 0)).toBe(EINVAL);
    expect(cgroupRmdir(m, b)).toBe(0);
    expect(cgroupRmdir(m, b)).toBe(ENODEV);
    expect(cgroupMkdir(m, b, 'c', -1)).toBe(ENODEV);
    expect(cgroupAttach(m, 1, b)).toBe(ENODEV);
    expect(cgroupAttach(m, 5, a)).toBe(EINVAL);
    expect(cgroupRmdir(m, a)).toBe(0);
    expect(violations(m)).toEqual([]);
  });

  it('has no group to give or take when its groups are fixed', () => {
    const m = bootFixture({ memcgsMax: 2 });
    expect(cgroupMkdir(m, 0, 'a', -1)).toBe(ENOSPC);
    expect(cgroupRmdir(m, 1)).toBe(EPERM);
  });

  it('gives rows and names again, with another serial', () => {
    const m = bootFixture();
    const serials = new Set<number>();
    for (let round = 0; round < 20; round++) {
      const rows = ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => cgroupMkdir(m, 0, name, -1));
      expect(new Set(rows)).toEqual(new Set([2, 3, 4, 5, 6, 7]));
      expect(cgroupMkdir(m, 0, 'g', -1)).toBe(ENOSPC);
      for (const row of rows) {
        serials.add(memcgSerial(m, row));
        expect(cgroupRmdir(m, row)).toBe(0);
      }
      expect(cgroupMkdir(m, 0, 'a', -1)).toBe(ENOSPC);
      expect(violations(m)).toEqual([]);
      expect(cgroupReleasePass(m)).toBe(6);
      expect(violations(m)).toEqual([]);
    }
    expect(serials.size).toBe(120);
  });

  it('has no reference to give before nothing can fail any more', () => {
    const m = bootFixture();
    const { objcgWords } = m;
    const first = objcgWords[OBJCG_FREE] as number;
    const got: boolean[] = [];
    // Whoever knows the row from its last life tries in the middle of making it.
    Object.defineProperty(m, 'objcgWords', {
      get: () => {
        got.push(memcgTryGet(m, FIRST_FREE));
        return objcgWords;
      },
    });
    objcgWords[OBJCG_FREE] = 0;
    expect(cgroupMkdir(m, 0, 'a', -1)).toBe(ENOMEM);
    objcgWords[OBJCG_FREE] = first;
    expect(got.length).toBeGreaterThan(0);
    expect(got).not.toContain(true);
    expect(cgroupMkdir(m, 0, 'a', -1)).toBe(FIRST_FREE);
    expect(memcgTryGet(m, FIRST_FREE)).toBe(true);
    memcgPut(m, FIRST_FREE);
    expect(violations(m)).toEqual([]);
  });

  it('releases a parent after its children, however deep', () => {
    const m = bootFixture();
    const rows: number[] = [];
    for (let i = 0; i < 6; i++) rows.push(cgroupMkdir(m, rows.at(-1) ?? 0, 'x', -1));
    for (const row of rows.toReversed()) expect(cgroupRmdir(m, row)).toBe(0);
    let passes = 0;
    while (cgroupReleasePass(m) > 0) passes++;
    expect(passes).toBe(6);
    expect(rows.every((row) => stateOf(m, row) === MEMCG_FREE)).toBe(true);
    expect(violations(m)).toEqual([]);
  });

  it('keeps a removed group while pages, then swap, are charged to it', () => {
    const m = bootFixture({ pages: 4096 });
    const cgroups = new ProcessCgroups(m, 1);
    const user = new UserContext(m, 1, fixtureRegions());
    const a = cgroups.mkdir(0, 'a', 100);
    expect(cgroups.attach(a)).toBe(0);
    expect(cgroups.rmdir(a)).toBe(EBUSY);
    touch(user, 0, 300);
    lruAddDrain(m);
    expect(violations(m)).toEqual([]);
    expect(Atomics.load(m.memcg.own, 1)).toBe(0);
    expect(Atomics.load(m.memcg.own, a)).toBeGreaterThan(50);
    expect(Atomics.load(m.memcg.swap, a)).toBeGreaterThan(150);
    expect(cgroups.attach(1)).toBe(0);
    expect(cgroups.rmdir(a)).toBe(0);
    expect(cgroupReleasePass(m)).toBe(0);
    expect([stateOf(m, a), memcgRefs(m, a)]).toEqual([MEMCG_DYING, 2]);
    expect(cgroups.mkdir(0, 'a')).toBeGreaterThan(0);
    expect(violations(m)).toEqual([]);
    // Reading them back charges the group that the process is in now.
    touch(user, 0, 300);
    lruAddDrain(m);
    expect(violations(m)).toEqual([]);
    expect([Atomics.load(m.memcg.swap, a), memcgRefs(m, a)]).toEqual([0, 1]);
    exitMm(m, 1);
    expect(memcgRefs(m, a)).toBe(0);
    expect(cgroupReleasePass(m)).toBe(1);
    expect(stateOf(m, a)).toBe(MEMCG_FREE);
    drainEverything(m);
    expect([m.task.memcg, memcgRefs(m, 1)]).toEqual([0, 1]);
    expect(checkEmpty(m).violations).toEqual([]);
  });

  it('finds the pages of a removed group when it reclaims', () => {
    const m = bootFixture({ pages: 4096 });
    const cgroups = new ProcessCgroups(m, 1);
    const user = new UserContext(m, 1, fixtureRegions());
    const a = cgroups.mkdir(0, 'a');
    const b = cgroups.mkdir(a, 'b');
    cgroups.attach(b);
    touch(user, 0, 200);
    lruAddDrain(m);
    expect(Atomics.load(m.memcg.own, b)).toBe(200);
    expect(violations(m)).toEqual([]);
    cgroups.attach(1);
    expect([cgroups.rmdir(b), cgroups.rmdir(a)]).toEqual([0, 0]);
    for (let i = 0; i < 200 && Atomics.load(m.memcg.own, b) > 0; i++) {
      tryToFreePages(m, 0, 0, () => false);
    }
    expect([Atomics.load(m.memcg.own, b), Atomics.load(m.memcg.swap, b)]).toEqual([0, 200]);
    expect(violations(m)).toEqual([]);
    exitMm(m, 1);
    expect([cgroupReleasePass(m), cgroupReleasePass(m)]).toEqual([1, 1]);
    drainEverything(m);
    expect(checkEmpty(m).violations).toEqual([]);
  });

  it('charges what is read ahead to an online group above the one that was removed', () => {
    const m = bootFixture({ pages: 4096, swapSynchronous: false });
    const cgroups = new ProcessCgroups(m, 1);
    const user = new UserContext(m, 1, fixtureRegions());
    const a = cgroups.mkdir(0, 'a');
    const b = cgroups.mkdir(a, 'b');
    cgroups.attach(b);
    touch(user, 0, 200);
    lruAddDrain(m);
    cgroups.attach(1);
    cgroups.rmdir(b);
    for (let i = 0; i < 200 && Atomics.load(m.memcg.own, b) > 0; i++) {
      tryToFreePages(m, 0, 0, () => false);
    }
    const before = Atomics.load(m.memcg.own, 1);
    touch(user, 0, 20);
    lruAddDrain(m);
    expect(Atomics.load(m.memcg.own, 1)).toBeGreaterThan(before);
    expect(Atomics.load(m.memcg.own, a)).toBeGreaterThan(0);
    expect(Atomics.load(m.memcg.own, b)).toBe(0);
    expect(violations(m)).toEqual([]);
  });

  it('waits for readers before it gives a row again', () => {
    const m = bootFixture({ lockdep: false });
    const a = cgroupMkdir(m, 0, 'a', -1);
    cgroupRmdir(m, a);
    rcuReadLock();
    expect(() => cgroupReleasePass(m)).toThrow('inside an RCU reader');
    rcuReadUnlock();
    expect([stateOf(m, a), cgroupName(m, a)]).toEqual([MEMCG_DYING, 'a']);
  });

  it('forgets the age of a shadow whose group is gone', () => {
    const m = bootFixture({ pages: 4096 });
    const user = new UserContext(m, 1, fixtureRegions());
    touch(user, 0, 1);
    lruAddDrain(m);
    const pfn = m.link.next.findIndex((_, at) => at > 0 && Atomics.load(m.page.mapcount, at) > 0);
    const a = cgroupMkdir(m, 0, 'a', -1);
    // A long active list in `memcg`: whatever comes back to it belongs to the working set.
    const activated = (tag: number, memcg: number): boolean => {
      const cell = memcg * NR_LRU_LISTS + LRU_ACTIVE_ANON;
      const before = Atomics.load(m.lruvec.activateAnon, 1);
      Atomics.store(m.lruSize, cell, 1000);
      workingsetRefault(m, pfn, tag, 0, false);
      Atomics.store(m.lruSize, cell, 0);
      return Atomics.load(m.lruvec.activateAnon, 1) > before;
    };
    const tag = workingsetEviction(m, pfn, a);
    expect(activated(tag, a)).toBe(true);
    cgroupRmdir(m, a);
    expect(activated(tag, a)).toBe(true);
    expect(cgroupReleasePass(m)).toBe(1);
    expect(activated(tag, a)).toBe(false);
    expect(cgroupMkdir(m, 0, 'b', -1)).toBe(a);
    expect(activated(tag, a)).toBe(false);
    expect(activated(workingsetEviction(m, pfn, a), a)).toBe(true);
  });

  const broken: [string, (m: Mm, memcg: number) => void, string][] = [
    ['a reference', (m, memcg) => Atomics.add(m.memcg.refs, memcg, 1), 'references'],
    ['a process', (m, memcg) => Atomics.add(m.memcg.procs, memcg, 1), 'processes'],
    ['a size below', (m, memcg) => Atomics.add(m.lruBelow, memcg * 5, 1), 'below'],
    ['a child', (m, memcg) => m.memcg.onlineChildren.fill(9, memcg, memcg + 1), 'online children'],
    ['a free row', (m) => Atomics.add(m.memcg.eventsMax, 7, 1), 'free memcg 7: eventsMax'],
    ['a link', (m, memcg) => m.memcg.prevSibling.fill(5, memcg + 1, memcg + 2), 'link back'],
  ];
  it.each(broken)('is found out: %s that is wrong', (_name, spoil, says) => {
    const m = bootFixture();
    const a = cgroupMkdir(m, 0, 'a', -1);
    cgroupMkdir(m, 0, 'b', -1);
    expect(violations(m)).toEqual([]);
    spoil(m, a);
    expect(violations(m).join('\n')).toContain(says);
  });
});
