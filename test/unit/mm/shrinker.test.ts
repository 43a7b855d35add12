// SPDX-License-Identifier: GPL-2.0-only
/** Shrinkers on one thread, under every policy: life, bits, the work formula, put-off work. */
import { describe, expect, test } from 'vitest';
import { engineOf } from '../../../dist/kthreads/mm_engine.js';
import { ProcessShrinkers } from '../../../dist/kthreads/process_shrinkers.js';
import { scanLockRegions } from '../../../dist/shared/lock_region.js';
import { rcuBarrier } from '../../../dist/shared/rcu_callback.js';
import { rwsemDownWrite, rwsemLocked, rwsemUpWrite } from '../../../dist/shared/rwsem.js';
import { spinLock, spinUnlock } from '../../../dist/shared/spinlock.js';
import { SRCU_MUTEX } from '../../../dist/shared/srcu.js';
import { cgroupMkdir } from '../../../dist/src/mm/cgroup.js';
import { EINVAL, ENOENT, ENOSPC } from '../../../dist/src/mm/errno.js';
import {
  LC_SHRINKER,
  LC_SHRINKER_POOL,
  LC_SHRINKER_SRCU,
} from '../../../dist/src/mm/lock_order.js';
import { memcgRefs } from '../../../dist/src/mm/memcg_css.js';
import type { Mm } from '../../../dist/src/mm/mm.js';
import { readMachineFile, writeMachineFile } from '../../../dist/src/mm/proc_access.js';
import { shrinkSlab } from '../../../dist/src/mm/shrink_slab.js';
import {
  shrinkerAlloc,
  shrinkerFree,
  shrinkerName,
  shrinkerRegister,
} from '../../../dist/src/mm/shrinker.js';
import {
  freeShrinkerInfo,
  reparentShrinkerDeferred,
} from '../../../dist/src/mm/shrinker_expand.js';
import {
  addNrDeferred,
  homeOfUnit,
  setShrinkerBit,
  testShrinkerBit,
  unitWord,
  xchgNrDeferred,
} from '../../../dist/src/mm/shrinker_info.js';
import {
  GFP_KERNEL,
  registerShrinkerType,
  SHRINK_EMPTY,
  SHRINK_STOP,
  SHRINKER_TYPE_USER,
  type ShrinkControl,
} from '../../../dist/src/mm/shrinker_ops.js';
import {
  SHRINKER_INFOS_USED,
  SHRINKER_MEMCG_AWARE,
  SHRINKER_NONSLAB,
  SHRINKER_NR_MAX,
  SHRINKER_NUMA_AWARE,
} from '../../../dist/src/mm/shrinker_types.js';
import { EV } from '../../../dist/src/mm/vmstat_items.js';
import { bootFixture, type FixtureOptions } from '../../helpers/mm_fixture.js';

const POLICIES = ['rwsem', 'srcu', 'lockless', 'lockless-fixed'] as const;
const AWARE = SHRINKER_MEMCG_AWARE;

/** A cache of `objects` per shrinker row. */
interface Cache {
  readonly m: Mm;
  readonly objects: Map<number, number>;
  readonly scans: number[];
  stop: boolean;
}

function boot(options: FixtureOptions = {}): Cache {
  const m = bootFixture({ shrinkersMax: 200, ...options });
  const cache: Cache = { m, objects: new Map(), scans: [], stop: false };
  const of = (sc: ShrinkControl): number => {
    const objects = cache.objects.get(sc.shrinker) ?? 0;
    if (Number.isNaN(objects)) throw new Error('the cache is broken');
    return objects;
  };
  registerShrinkerType(m, SHRINKER_TYPE_USER, {
    countObjects: (_, sc) => of(sc) || SHRINK_EMPTY,
    scanObjects: (_, sc) => {
      cache.scans.push(sc.nrToScan);
      if (cache.stop) return SHRINK_STOP;
      const freed = Math.min(of(sc), sc.nrToScan);
      cache.objects.set(sc.shrinker, of(sc) - freed);
      return freed;
    },
  });
  // Group 1 is the configuration's.
  expect(cgroupMkdir(m, 1, 'child', -1)).toBe(2);
  return cache;
}

function make(cache: Cache, objects: number, flags = AWARE): number {
  const s = shrinkerAlloc(cache.m, flags, SHRINKER_TYPE_USER, 7, 'cache');
  expect(s).toBeGreaterThan(0);
  cache.objects.set(s, objects);
  shrinkerRegister(cache.m, s);
  return s;
}

const bitOf = (m: Mm, memcg: number, s: number): boolean =>
  testShrinkerBit(m, memcg, 0, m.shrinker.id[s] as number);

function setBit(m: Mm, memcg: number, s: number): void {
  setShrinkerBit(m, memcg, 0, m.shrinker.id[s] as number);
}

describe.each(POLICIES)('%s', (shrinker) => {
  test('a group runs the shrinkers that have a bit, and the root runs all', () => {
    const cache = boot({ shrinker });
    const { m } = cache;
    const a = make(cache, 1000);
    const b = make(cache, 1000);
    setBit(m, 1, a);
    expect(shrinkSlab(m, GFP_KERNEL, 0, 1, 0)).toBe(1000);
    expect([cache.objects.get(a), cache.objects.get(b)]).toEqual([0, 1000]);
    expect(shrinkSlab(m, GFP_KERNEL, 0, 0, 0)).toBe(1000);
    expect(cache.objects.get(b)).toBe(0);
  });

  test('a walk gives up while a writer is in, where walks are readers', () => {
    const cache = boot({ shrinker });
    const { m } = cache;
    setBit(m, 1, make(cache, 1000));
    const skips = shrinker === 'rwsem';
    rwsemDownWrite(m.shrinker.rwsem, 0, LC_SHRINKER);
    for (const memcg of [1, 0]) {
      const freed = memcg === 1 ? 1000 : 0;
      expect(shrinkSlab(m, GFP_KERNEL, 0, memcg, 0)).toBe(skips ? 0 : freed);
    }
    rwsemUpWrite(m.shrinker.rwsem, 0, LC_SHRINKER);
    expect(m.task.events[EV.kr_shrink_skipped]).toBe(skips ? 2 : 0);
    expect(shrinkSlab(m, GFP_KERNEL, 0, 1, 0)).toBe(skips ? 1000 : 0);
  });

  test('an empty shrinker loses its bit, one with objects keeps it', () => {
    const cache = boot({ shrinker });
    const { m } = cache;
    const a = make(cache, 0);
    const b = make(cache, 4096);
    setBit(m, 1, a);
    setBit(m, 1, b);
    shrinkSlab(m, GFP_KERNEL, 0, 1, 12);
    expect([bitOf(m, 1, a), bitOf(m, 1, b), bitOf(m, 2, b)]).toEqual([false, true, false]);
  });

  test('a freed shrinker runs no more, its row and id come back', () => {
    const cache = boot({ shrinker });
    const { m } = cache;
    const a = make(cache, 500);
    const id = m.shrinker.id[a];
    setBit(m, 1, a);
    shrinkerFree(m, a);
    expect(shrinkSlab(m, GFP_KERNEL, 0, 1, 0)).toBe(0);
    expect(shrinkSlab(m, GFP_KERNEL, 0, 0, 0)).toBe(0);
    expect(m.shrinker.idr[id as number]).toBe(0);
    rcuBarrier();
    const b = make(cache, 1);
    expect([b, m.shrinker.id[b]]).toEqual([a, id]);
  });

  test('a freed shrinker is nobody’s until a grace period has passed', () => {
    const cache = boot({ shrinker });
    const { m } = cache;
    const program = new ProcessShrinkers(m);
    const a = make(cache, 1);
    shrinkerFree(m, a);
    expect(() => shrinkerRegister(m, a)).toThrow(/was not just allocated/);
    expect(() => shrinkerFree(m, a)).toThrow(/not allocated, or freed already/);
    expect([program.register(a), program.free(a)]).toEqual([EINVAL, EINVAL]);
    rcuBarrier();
    expect(() => shrinkerRegister(m, a)).toThrow(/was not just allocated/);
    expect([program.register(a), program.free(a)]).toEqual([EINVAL, EINVAL]);
    const b = make(cache, 500);
    expect(b).toBe(a);
    expect(() => shrinkerRegister(m, b)).toThrow(/was not just allocated/);
    expect(shrinkSlab(m, GFP_KERNEL, 0, 0, 0)).toBe(500);
  });

  test('a bit is set for a group that is there, and for no other', () => {
    const cache = boot({ shrinker });
    const { m } = cache;
    const program = new ProcessShrinkers(m);
    const s = make(cache, 1);
    const refs = memcgRefs(m, 2);
    expect([program.setBit(s, 2, 0), bitOf(m, 2, s), memcgRefs(m, 2)]).toEqual([0, true, refs]);
    expect([program.setBit(s, 0, 0), program.setBit(s, 3, 0)]).toEqual([0, EINVAL]);
    expect([program.setBit(s, 1.5, 0), program.setBit(s, 1, 1)]).toEqual([EINVAL, EINVAL]);
    // Its last reference went: the row waits for its readers, and then belongs to another group.
    Atomics.store(m.memcg.refs, 2, 0);
    Atomics.and(m.shrinker.unitMap, unitWord(homeOfUnit(m, 2, 0), 0), 0);
    expect([program.setBit(s, 2, 0), bitOf(m, 2, s)]).toEqual([EINVAL, false]);
  });

  test('the files of debugfs: nodes, and what a callback that throws leaves behind', () => {
    const cache = boot({ shrinker, nodes: [{ zonePages: [1024] }, { zonePages: [1024] }] });
    const { m } = cache;
    const plain = make(cache, 7);
    const numa = make(cache, 8, AWARE | SHRINKER_NUMA_AWARE);
    const file = (s: number, name: string) => `/sys/kernel/debug/shrinker/cache-${s}/${name}`;
    const groups = [0, 1, 2].map((memcg) => m.memcg.serial[memcg]);
    const text = (counts: string) => groups.map((inode) => `${inode} ${counts}\n`).join('');
    expect(readMachineFile(m, file(plain, 'count'))).toBe(text('7 0'));
    expect(readMachineFile(m, file(numa, 'count'))).toBe(text('8 8'));
    expect(writeMachineFile(m, file(numa, 'scan'), `${groups[2]} 1 3`)).toBe(0);
    expect(readMachineFile(m, file(numa, 'count'))).toBe(text('5 5'));
    expect(writeMachineFile(m, file(numa, 'scan'), 'three')).toBe(EINVAL);
    expect(writeMachineFile(m, '/sys/kernel/debug/shrinker/none-1/scan', 'three')).toBe(ENOENT);
    expect(writeMachineFile(m, `/sys/kernel/debug/shrinker/cache-900/scan`, '0 0 1')).toBe(ENOENT);
    const refs = memcgRefs(m, 2);
    cache.objects.set(plain, NaN);
    expect(() => readMachineFile(m, file(plain, 'count'))).toThrow(/the cache is broken/);
    const write = () => writeMachineFile(m, file(plain, 'scan'), `${groups[2]} 0 3`);
    expect(write).toThrow(/the cache is broken/);
    expect([memcgRefs(m, 2), rwsemLocked(m.shrinker.rwsem, 0)]).toEqual([refs, false]);
    shrinkerFree(m, plain);
    expect(readMachineFile(m, file(plain, 'count'))).toBe(ENOENT);
  });

  test('rows run out and come back after a grace period', () => {
    const cache = boot({ shrinker, shrinkersMax: 64 });
    const { m } = cache;
    const all = Array.from({ length: 63 }, () => make(cache, 0));
    expect(shrinkerAlloc(m, AWARE, SHRINKER_TYPE_USER, 0, 'one more')).toBe(ENOSPC);
    for (const s of all) shrinkerFree(m, s);
    const again = Array.from({ length: 63 }, () => make(cache, 0));
    expect(new Set(again).size).toBe(63);
  });

  test('an unregistered shrinker is left alone, and can be freed', () => {
    const cache = boot({ shrinker });
    const { m } = cache;
    const s = shrinkerAlloc(m, AWARE, SHRINKER_TYPE_USER, 0, 'a name');
    cache.objects.set(s, 100);
    setBit(m, 1, s);
    expect(shrinkSlab(m, GFP_KERNEL, 0, 1, 0)).toBe(0);
    expect(bitOf(m, 1, s)).toBe(shrinker !== 'lockless');
    expect(shrinkerName(m, s)).toBe('a name');
    shrinkerFree(m, s);
    shrinkerFree(m, 0);
    expect(() => shrinkerFree(m, s)).toThrow(/not allocated, or freed already/);
  });

  test('infos grow with ids, and what is replaced is freed', () => {
    const cache = boot({ shrinker });
    const { m } = cache;
    const first = make(cache, 1000);
    setBit(m, 2, first);
    for (let i = 0; i < 130; i++) make(cache, 0);
    expect(m.shrinker.words[SHRINKER_NR_MAX]).toBe(192);
    rcuBarrier();
    const groups = m.sizes.nrMemcgs - 1;
    const live = m.lruvec.shrinkerInfo.slice(1, groups + 1).filter((info) => info !== 0).length;
    expect(m.shrinker.words[SHRINKER_INFOS_USED]).toBe(live);
    expect(bitOf(m, 2, first)).toBe(true);
    expect(shrinkSlab(m, GFP_KERNEL, 0, 2, 0)).toBe(1000);
    freeShrinkerInfo(m, 2);
    expect(m.shrinker.words[SHRINKER_INFOS_USED]).toBe(live - 1);
  });

  test('work is put off when a scan stops, and done later', () => {
    const cache = boot({ shrinker });
    const { m } = cache;
    const s = make(cache, 4096);
    setBit(m, 1, s);
    cache.stop = true;
    shrinkSlab(m, GFP_KERNEL, 0, 1, 4);
    // (4096 >> 4) * 4 / 2
    expect(xchgNrDeferred(m, s, 0, 1)).toBe(512);
    addNrDeferred(m, 512, s, 0, 1);
    cache.stop = false;
    shrinkSlab(m, GFP_KERNEL, 0, 1, 0);
    expect(cache.objects.get(s)).toBe(0);
  });

  test('put-off work of a removed group is its parent’s', () => {
    const cache = boot({ shrinker });
    const { m } = cache;
    const s = make(cache, 100);
    addNrDeferred(m, 30, s, 0, 2);
    m.memcg.state[2] = 2;
    reparentShrinkerDeferred(m, 2);
    const late = shrinker === 'lockless' ? 0 : 5;
    addNrDeferred(m, 5, s, 0, 2);
    expect(xchgNrDeferred(m, s, 0, 1)).toBe(30 + late);
    addNrDeferred(m, 9, s, 0, 0);
    expect(xchgNrDeferred(m, s, 0, 0)).toBe(9);
  });

  test('work is put off per node only by a shrinker that tells nodes apart', () => {
    const cache = boot({ shrinker, nodes: [{ zonePages: [1024] }, { zonePages: [1024] }] });
    const { m } = cache;
    const plain = make(cache, 100);
    const numa = make(cache, 100, AWARE | SHRINKER_NUMA_AWARE);
    for (const memcg of [0, 1]) {
      addNrDeferred(m, 30, plain, 1, memcg);
      addNrDeferred(m, 4, plain, 0, memcg);
      expect(xchgNrDeferred(m, plain, 1, memcg)).toBe(34);
      addNrDeferred(m, 30, numa, 1, memcg);
      addNrDeferred(m, 4, numa, 0, memcg);
      expect(xchgNrDeferred(m, numa, 1, memcg)).toBe(30);
      expect(xchgNrDeferred(m, numa, 0, memcg)).toBe(4);
    }
  });

  test('the next owner of an id inherits nothing', () => {
    const cache = boot({ shrinker });
    const { m } = cache;
    const a = make(cache, 10);
    setBit(m, 1, a);
    addNrDeferred(m, 77, a, 0, 1);
    shrinkerFree(m, a);
    const b = make(cache, 10);
    expect(m.shrinker.id[b]).toBe(m.shrinker.id[a]);
    const inherits = shrinker === 'lockless';
    expect([bitOf(m, 1, b), xchgNrDeferred(m, b, 0, 1)]).toEqual(
      inherits ? [true, 77] : [false, 0],
    );
  });
});

test('reports know who holds the locks of shrinkers', () => {
  const { m } = boot();
  const holds = (words: Mm['oom'], base: number, cls: number) => {
    spinLock(words, base, cls);
    const held = scanLockRegions(engineOf(m).lockRegions, 1, cls, 9).map((lock) => lock.owner);
    spinUnlock(words, base, cls);
    return held;
  };
  expect(holds(m.shrinker.poolLock, 0, LC_SHRINKER_POOL)).toEqual([1]);
  expect(holds(m.shrinker.srcu.words, SRCU_MUTEX, LC_SHRINKER_SRCU)).toEqual([1]);
});

test('without object accounting a slab shrinker is plain, and one as posted is never put', () => {
  const cache = boot({ shrinker: 'lockless-fixed', kmem: false });
  const plain = make(cache, 10);
  expect(cache.m.shrinker.id[plain]).toBe(-1);
  const nonslab = make(cache, 10, AWARE | SHRINKER_NONSLAB);
  setBit(cache.m, 1, nonslab);
  expect(shrinkSlab(cache.m, GFP_KERNEL, 0, 1, 0)).toBe(10);
  const posted = boot({ shrinker: 'lockless', kmem: false });
  const s = make(posted, 10);
  setBit(posted.m, 1, s);
  expect(shrinkSlab(posted.m, GFP_KERNEL, 0, 1, 0)).toBe(0);
  expect(posted.m.shrinker.refcount[s]).toBe(2);
});

test.each([
  [12, 2, 1 << 20, (1 << 8) * 2],
  [0, 2, 1000, 2000],
  [6, 0, 1000, 500],
  [12, 2, 100, 0],
])('the share at priority %i, seeks %i, of %i objects', (priority, seeks, objects, total) => {
  const cache = boot();
  const { m } = cache;
  const s = shrinkerAlloc(m, 0, SHRINKER_TYPE_USER, 0, 'formula');
  m.shrinker.seeks[s] = seeks;
  cache.objects.set(s, objects);
  cache.stop = true;
  shrinkerRegister(m, s);
  const before = m.task.events[EV.slabs_scanned] as number;
  shrinkSlab(m, GFP_KERNEL, 0, 0, priority);
  expect(xchgNrDeferred(m, s, 0, 0)).toBe(Math.min(total, 2 * objects));
  expect(m.task.events[EV.slabs_scanned]).toBe(before);
  cache.stop = false;
  cache.scans.length = 0;
  shrinkSlab(m, GFP_KERNEL, 0, 0, 0);
  expect(Math.max(...cache.scans)).toBeLessThanOrEqual(128);
});

test('batches are as large as the shrinker says', () => {
  const cache = boot();
  const { m } = cache;
  const s = shrinkerAlloc(m, 0, SHRINKER_TYPE_USER, 0, 'batch');
  m.shrinker.batch[s] = 10;
  cache.objects.set(s, 95);
  shrinkerRegister(m, s);
  expect(shrinkSlab(m, GFP_KERNEL, 0, 0, 0)).toBe(95);
  expect(new Set(cache.scans.slice(0, 9))).toEqual(new Set([10]));
});
