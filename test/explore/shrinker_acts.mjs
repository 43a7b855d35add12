// SPDX-License-Identifier: GPL-2.0-only
/**
 * What the threads of shrinker scenarios do: caches that come, go and get objects, passes of
 * reclaim, groups that come and go. On the machine of shrinker_machine.mjs.
 */
import { expect } from './subject.mjs';

export const CACHES = 4;
/** A gentle pass over so many objects, or up to three more, scans none, and puts off PUT_OFF. */
export const OBJECTS_PUT_OFF = 16;
export const PUT_OFF = 8;
/** Priority of a gentle pass. */
export const GENTLE = 2;
/** The caches' type. */
export const TYPE = 2;

const ALIVE = 1;
const GONE = -1;

/** @param core modules of shrinker_machine.mjs @returns the caches' callbacks */
export function cacheCallbacks({ types, ops, rcu }) {
  /** @throws when the cache may not be used, or its row is another's */
  function use(m, sc) {
    const { alive } = m.caches;
    expect(Atomics.load(alive, sc.arg) === ALIVE, `a callback of cache ${sc.arg}, which is gone`);
    const { arg, id, idr, flags } = m.shrinker;
    const s = sc.shrinker;
    expect(arg[s] === sc.arg, `row ${s} is cache ${arg[s]}'s, not ${sc.arg}'s`);
    const seen = Atomics.load(flags, s);
    expect((seen & types.SHRINKER_ALLOCATED) !== 0, `a callback of row ${s}, which is free`);
    const aware = (seen & types.SHRINKER_MEMCG_AWARE) !== 0;
    expect(aware || sc.memcg === 0, `a callback of row ${s} for a group, which it does not know`);
    if (id[s] < 0) return;
    const owner = Atomics.load(idr, id[s]);
    expect(owner === s, `a callback of row ${s}, whose id leads to row ${owner}`);
  }

  return {
    countObjects(m, sc) {
      use(m, sc);
      rcu.rcuQuiescent();
      const left = Atomics.load(m.caches.objects, sc.memcg * CACHES + sc.arg);
      const putsOff = m.task.gentle && left >= OBJECTS_PUT_OFF;
      if (putsOff) Atomics.add(m.caches.counted, sc.arg, 1);
      return left || ops.SHRINK_EMPTY;
    },
    scanObjects(m, sc) {
      const at = sc.memcg * CACHES + sc.arg;
      let freed = 0;
      use(m, sc);
      for (let seen = Atomics.load(m.caches.objects, at); seen > 0 && freed < sc.nrToScan; ) {
        const was = Atomics.compareExchange(m.caches.objects, at, seen, seen - 1);
        freed += Number(was === seen);
        seen = was === seen ? seen - 1 : was;
      }
      rcu.rcuQuiescent();
      use(m, sc);
      return freed;
    },
  };
}

/** @param core modules of shrinker_machine.mjs @returns what is done to caches */
export function cacheActs(core) {
  const { shrinkers, types, ops, info, shrinkSlab, refs, completion } = core;
  const { refcountDecAndTest, refcountIncNotZero } = refs;

  /** Allocates the shrinker of a cache, and says that it may be used. */
  function alloc(m, cache, flags = types.SHRINKER_MEMCG_AWARE) {
    const s = shrinkers.shrinkerAlloc(m, flags, TYPE, cache, `cache${cache}`);
    expect(s > 0, `no shrinker: ${s}`);
    Atomics.store(m.caches.alive, cache, ALIVE);
    return s;
  }

  function register(m, cache, s) {
    shrinkers.shrinkerRegister(m, s);
    Atomics.store(m.caches.row, cache, s);
  }

  /** Adds an object to a group, unless that is gone, and says so. @param s row of the shrinker */
  function add(m, memcg, cache, s) {
    if (!refcountIncNotZero(m.memcg.refs, memcg)) return;
    Atomics.add(m.caches.objects, memcg * CACHES + cache, 1);
    info.setShrinkerBit(m, memcg, 0, m.shrinker.id[s]);
    put(m, memcg);
  }

  /** Takes a cache away; from then on nothing of it may be touched. */
  function free(m, cache, s) {
    Atomics.store(m.caches.row, cache, 0);
    shrinkers.shrinkerFree(m, s);
    Atomics.store(m.caches.alive, cache, GONE);
    for (let g = 0; g < m.groups; g++) m.caches.objects[g * CACHES + cache] = 0;
  }

  /** As `free`, beside others that do. */
  function tryFree(m, cache, s) {
    if (!shrinkers.shrinkerTryFree(m, s)) return;
    Atomics.store(m.caches.alive, cache, GONE);
    Atomics.store(m.caches.row, cache, 0);
    Atomics.add(m.caches.freed, cache, 1);
  }

  /** As `register`, beside others that do, or that free. */
  function tryRegister(m, cache, s) {
    if (!shrinkers.shrinkerTryRegister(m, s)) return;
    if (Atomics.load(m.caches.alive, cache) === ALIVE) Atomics.store(m.caches.row, cache, s);
    if (Atomics.load(m.caches.alive, cache) === GONE) Atomics.store(m.caches.row, cache, 0);
  }

  /** A pass over a group, if it can be had. @param priority 0: everything */
  function shrink(m, memcg, priority = 0) {
    if (memcg !== 0 && !refcountIncNotZero(m.memcg.refs, memcg)) return 0;
    m.task.gentle = priority === GENTLE;
    const freed = shrinkSlab(m, ops.GFP_KERNEL, 0, memcg, priority);
    put(m, memcg);
    return freed;
  }

  /** Scans a cache by its file in debugfs. @returns 0 or -errno */
  function debugScan(m, memcg, cache, s) {
    return core.shrinkerDebugScan(m, `cache${cache}-${s}`, `${m.memcg.serial[memcg]} 0 1`);
  }

  function put(m, memcg) {
    if (memcg === 0 || !refcountDecAndTest(m.memcg.refs, memcg)) return;
    completion.completeAll(m.memcg.done, memcg);
  }

  /** Takes the work that was put off in a group. */
  function take(m, memcg, cache) {
    if (!refcountIncNotZero(m.memcg.refs, memcg)) return;
    Atomics.add(m.caches.taken, cache, info.xchgNrDeferred(m, m.caches.row[cache], 0, memcg));
    put(m, memcg);
  }

  return { alloc, register, add, free, tryFree, tryRegister, shrink, debugScan, put, take };
}

/**
 * @param core modules of shrinker_machine.mjs
 * @param put of cacheActs
 * @param plant chosen
 * @returns what is done to groups
 */
export function groupActs({ infos, rcu, refs, completion, mmTypes }, put, plant) {
  const { MEMCG_DYING, MEMCG_FREE, MEMCG_ONLINE } = mmTypes;

  /** Makes a group, which holds a reference on its parent. */
  function online(m, memcg, parent) {
    expect(infos.allocShrinkerInfo(m, memcg) === 0, 'no info for a group');
    m.memcg.parent[memcg] = parent;
    if (parent !== 0)
      expect(refs.refcountIncNotZero(m.memcg.refs, parent), 'a parent that is gone');
    Atomics.store(m.memcg.state, memcg, MEMCG_ONLINE);
    Atomics.store(m.memcg.refs, memcg, 1);
  }

  /** What cgroup_rmdir does: objects and put-off work go to the parent. */
  function kill(m, memcg) {
    if (plant !== 'late_dying') Atomics.store(m.memcg.state, memcg, MEMCG_DYING);
    infos.reparentShrinkerDeferred(m, memcg);
    if (plant === 'late_dying') Atomics.store(m.memcg.state, memcg, MEMCG_DYING);
    put(m, memcg);
  }

  /** What cgroup_destroy does, when nobody has a reference any more. */
  function destroy(m, memcg) {
    completion.completionWait(m.memcg.done, memcg);
    rcu.synchronizeRcu();
    infos.freeShrinkerInfo(m, memcg);
    Atomics.store(m.memcg.state, memcg, MEMCG_FREE);
    put(m, m.memcg.parent[memcg]);
  }

  return { online, kill, destroy };
}
