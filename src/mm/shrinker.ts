// SPDX-License-Identifier: GPL-2.0-only
/**
 * Shrinkers: made, shown to reclaim, taken away (mm/shrinker.c).
 *
 *   row       flags                   refcount
 *   free      0                       0
 *   alloc     ALLOCATED               0          has its id; reclaim finds it and leaves it alone
 *   register  ALLOCATED, REGISTERED   1          visible from the store of the count on
 *   run       "                       1 + n      n reclaimers run its callbacks (lockless only)
 *   free      .. DYING                n, then 0  the last one out completes `done`
 *   gone      ALLOCATED, DYING        0          the row waits for a grace period
 *
 * Any thread may ask to register or to free; each happens once. REGISTERED is set under the write
 * side of shrinker_rwsem, and never once DYING is there; DYING is set by compare-and-swap, so that
 * of two that free one succeeds, and it learns whether there is an initial reference to drop.
 *
 * When shrinkerFree returns, no callback of the shrinker runs or will run. How it knows:
 *
 *   rwsem     reclaim runs callbacks under the read side of shrinker_rwsem; it takes the write side
 *   srcu      reclaim runs them in an SRCU section; it waits for an SRCU grace period
 *   lockless  reclaim takes a reference under RCU; it waits until all have been put
 */
import { bug } from '../../shared/assert.ts';
import { completeAll, completionReinit, completionWait } from '../../shared/completion.ts';
import { callRcu, rcuBarrier } from '../../shared/rcu_callback.ts';
import { refcountDecAndTest, refcountIncNotZero } from '../../shared/refcount.ts';
import { rwsemDownWrite, rwsemUpWrite } from '../../shared/rwsem.ts';
import { spinLock, spinUnlock } from '../../shared/spinlock.ts';
import { ENOSPC } from './errno.ts';
import { LC_SHRINKER, LC_SHRINKER_POOL } from './lock_order.ts';
import type { Mm } from './mm.ts';
import { onGracePeriod, RCU_SHRINKER } from './rcu_ids.ts';
import { expandShrinkerInfo, scrubShrinkerId, shrinkerInfoInit } from './shrinker_expand.ts';
import { shrinkerMapAcquire, shrinkerMapRelease } from './shrinker_map.ts';
import { DEFAULT_SEEKS } from './shrinker_ops.ts';
import { shrinkerSrcu } from './shrinker_srcu.ts';
import {
  SHRINKER_ALLOCATED,
  SHRINKER_DYING,
  SHRINKER_FREE,
  SHRINKER_GENERATION,
  SHRINKER_LIVE,
  SHRINKER_MEMCG_AWARE,
  SHRINKER_NAME_BYTES,
  SHRINKER_NONSLAB,
  SHRINKER_REGISTERED,
} from './shrinker_types.ts';

/** Chains the free rows. @context boot */
export function shrinkerInit(m: Mm): void {
  const { nrShrinkers } = m.sizes.shrinkers;
  for (let s = 1; s < nrShrinkers; s++) m.shrinker.prev[s] = s + 1 < nrShrinkers ? s + 1 : 0;
  m.shrinker.words[SHRINKER_FREE] = 1;
  shrinkerInfoInit(m);
}

/** @returns a row for nobody yet, 0 when there is none */
function takeRow(m: Mm): number {
  const { words, prev, poolLock } = m.shrinker;
  spinLock(poolLock, 0, LC_SHRINKER_POOL);
  const s = words[SHRINKER_FREE] as number;
  if (s !== 0) words[SHRINKER_FREE] = prev[s] as number;
  spinUnlock(poolLock, 0, LC_SHRINKER_POOL);
  return s;
}

/** Returns a row that no reader has any more. */
function freeRow(m: Mm, s: number): void {
  const { words, prev, poolLock } = m.shrinker;
  Atomics.store(m.shrinker.flags, s, 0);
  spinLock(poolLock, 0, LC_SHRINKER_POOL);
  prev[s] = words[SHRINKER_FREE] as number;
  words[SHRINKER_FREE] = s;
  spinUnlock(poolLock, 0, LC_SHRINKER_POOL);
}

onGracePeriod(RCU_SHRINKER, freeRow);

function setName(m: Mm, s: number, name: string): void {
  const at = s * SHRINKER_NAME_BYTES;
  m.shrinker.name.fill(0, at, at + SHRINKER_NAME_BYTES);
  for (let i = 0; i < Math.min(name.length, SHRINKER_NAME_BYTES - 1); i++) {
    m.shrinker.name[at + i] = name.charCodeAt(i) & 127;
  }
}

/** The name that a shrinker was given. */
export function shrinkerName(m: Mm, s: number): string {
  const at = s * SHRINKER_NAME_BYTES;
  const bytes = m.shrinker.name.slice(at, at + SHRINKER_NAME_BYTES);
  return String.fromCharCode(...bytes.subarray(0, Math.max(bytes.indexOf(0), 0)));
}

/** Gives a memcg-aware shrinker the lowest free id. @context shrinker_rwsem held for writing */
function allocId(m: Mm, s: number): number {
  const { idr } = m.shrinker;
  const id = idr.indexOf(0);
  if (id < 0) return ENOSPC;
  const grown = expandShrinkerInfo(m, id);
  if (grown < 0) return grown;
  m.shrinker.id[s] = id;
  // PAIRS(shrinker-id): there before any bit of the id is set.
  Atomics.store(idr, id, s);
  return id;
}

/** Is kernel-object accounting off, so that a slab shrinker has nothing to tell groups apart by? */
function plainWithoutKmem(m: Mm, flags: number): boolean {
  if (m.config.kmem || (flags & SHRINKER_NONSLAB) !== 0) return false;
  return !m.shrinkerFlaws.has('leak');
}

/**
 * Makes a shrinker that reclaim does not see yet. `m.shrinker.batch` and `.seeks` may be set before
 * it is registered.
 * @param flags SHRINKER_MEMCG_AWARE | SHRINKER_NUMA_AWARE | SHRINKER_NONSLAB
 * @param type SHRINKER_TYPE_*: whose callbacks @param arg private data, any i32
 * @param name for /sys/kernel/debug/shrinker, at most 31 ASCII characters
 * @returns its row, ENOSPC when there are too many, ENOMEM when groups' infos cannot grow
 * @context may block (shrinker_rwsem, a grace period); no spinlock held, not inside a callback
 */
export function shrinkerAlloc(
  m: Mm,
  flags: number,
  type: number,
  arg: number,
  name: string,
): number {
  let s = takeRow(m);
  if (s === 0) {
    rcuBarrier();
    s = takeRow(m);
  }
  if (s === 0) return ENOSPC;
  const aware = (flags & SHRINKER_MEMCG_AWARE) !== 0 && !plainWithoutKmem(m, flags);
  const { shrinker } = m;
  const { nrNodes } = m.sizes;
  const given = aware ? flags : flags & ~SHRINKER_MEMCG_AWARE;
  Atomics.store(shrinker.flags, s, given | SHRINKER_ALLOCATED);
  Atomics.store(shrinker.refcount, s, 0);
  completionReinit(shrinker.done, s);
  shrinker.type[s] = type;
  shrinker.arg[s] = arg;
  shrinker.id[s] = -1;
  shrinker.batch[s] = 0;
  shrinker.seeks[s] = DEFAULT_SEEKS;
  shrinker.nrDeferred.fill(0, s * nrNodes, (s + 1) * nrNodes);
  setName(m, s, name);
  if (aware) {
    rwsemDownWrite(shrinker.rwsem, 0, LC_SHRINKER);
    const id = allocId(m, s);
    rwsemUpWrite(shrinker.rwsem, 0, LC_SHRINKER);
    if (id < 0) {
      freeRow(m, s);
      return id;
    }
  }
  Atomics.add(shrinker.words, SHRINKER_LIVE, 1);
  return s;
}

/** Appends to the list of the registered. @context shrinker_rwsem held for writing */
function link(m: Mm, s: number): void {
  const { next, prev } = m.shrinker;
  const last = prev[0] as number;
  next[s] = 0;
  prev[s] = last;
  prev[0] = s;
  Atomics.store(next, last, s);
}

/** Takes off the list; whoever stands on the row can still go on. @context as link */
function unlink(m: Mm, s: number): void {
  const { next, prev } = m.shrinker;
  const after = next[s] as number;
  prev[after] = prev[s] as number;
  Atomics.store(next, prev[s] as number, after);
}

/**
 * Sets a flag of a shrinker that is allocated, and has none of those that forbid it.
 * @returns the flags before, 0 when it was not to be
 */
function claim(m: Mm, s: number, flag: number, forbidden: number): number {
  const { flags } = m.shrinker;
  for (let seen = Atomics.load(flags, s); ; ) {
    if ((seen & (SHRINKER_ALLOCATED | forbidden)) !== SHRINKER_ALLOCATED) return 0;
    const was = Atomics.compareExchange(flags, s, seen, seen | flag);
    if (was === seen) return seen;
    seen = was;
  }
}

/**
 * Shows a shrinker to reclaim: from here on its callbacks run.
 * @throws BugError for one that is not allocated, registered already, or freed
 * @context may block (shrinker_rwsem)
 */
export function shrinkerRegister(m: Mm, s: number): void {
  if (!shrinkerTryRegister(m, s)) bug(`shrinker ${s} is registered, and was not just allocated`);
}

/**
 * As shrinkerRegister, of a row that need not be a shrinker's.
 * @returns false where that throws
 * @context may block (shrinker_rwsem)
 */
export function shrinkerTryRegister(m: Mm, s: number): boolean {
  const { refcount, rwsem } = m.shrinker;
  rwsemDownWrite(rwsem, 0, LC_SHRINKER);
  const claimed = claim(m, s, SHRINKER_REGISTERED, SHRINKER_REGISTERED | SHRINKER_DYING) !== 0;
  if (claimed) {
    link(m, s);
    // Last: whoever can take a reference sees all that was stored before.
    Atomics.store(refcount, s, 1);
  }
  rwsemUpWrite(rwsem, 0, LC_SHRINKER);
  return claimed;
}

/** Takes a reference unless the shrinker is not registered, or dying. @context inside RCU */
export function shrinkerTryGet(m: Mm, s: number): boolean {
  return refcountIncNotZero(m.shrinker.refcount, s);
}

/** Drops a reference; the last one lets shrinkerFree go on. @context any */
export function shrinkerPut(m: Mm, s: number): void {
  if (refcountDecAndTest(m.shrinker.refcount, s)) completeAll(m.shrinker.done, s);
}

/**
 * Takes a shrinker away: when this returns, its callbacks do not run and never will, and what they
 * use may be freed. 0 is accepted, and one that was never registered.
 * @throws BugError for one that is not allocated, or freed already
 * @context may block for as long as the longest scan of the shrinker; the caller holds no lock that
 *   its callbacks wait for, and is not one of them
 */
export function shrinkerFree(m: Mm, s: number): void {
  if (s !== 0 && !shrinkerTryFree(m, s)) {
    bug(`shrinker ${s} is freed: it is not allocated, or freed already`);
  }
}

/**
 * As shrinkerFree, of a row that need not be a shrinker's.
 * @returns false where that throws: of several that free, one returns true, when it is done
 * @context as shrinkerFree
 */
export function shrinkerTryFree(m: Mm, s: number): boolean {
  const seen = claim(m, s, SHRINKER_DYING, SHRINKER_DYING);
  if (seen === 0) return false;
  if (m.config.shrinker === 'rwsem') freeRwsem(m, s);
  else if (m.config.shrinker === 'srcu') freeSrcu(m, s);
  else freeLockless(m, s, (seen & SHRINKER_REGISTERED) !== 0);
  Atomics.sub(m.shrinker.words, SHRINKER_LIVE, 1);
  callRcu(RCU_SHRINKER, s);
  return true;
}

/** Waits until whoever has the write side of shrinker_rwsem is done. */
function waitForWriter(m: Mm): void {
  rwsemDownWrite(m.shrinker.rwsem, 0, LC_SHRINKER);
  rwsemUpWrite(m.shrinker.rwsem, 0, LC_SHRINKER);
}

/** Off the list, and invisible. @context shrinker_rwsem held for writing */
function hide(m: Mm, s: number): void {
  const { flags } = m.shrinker;
  if ((Atomics.load(flags, s) & SHRINKER_REGISTERED) !== 0) unlink(m, s);
  Atomics.and(flags, s, ~SHRINKER_REGISTERED);
}

/** Gives the id back. @context shrinker_rwsem held for writing; no callback runs any more */
function dropId(m: Mm, s: number): void {
  const id = m.shrinker.id[s] as number;
  if (id < 0) return;
  if (!m.shrinkerFlaws.has('stale-state')) scrubShrinkerId(m, id);
  Atomics.store(m.shrinker.idr, id, 0);
}

/** The write side waits for every walk, whatever it runs. */
function freeRwsem(m: Mm, s: number): void {
  const { rwsem, refcount } = m.shrinker;
  rwsemDownWrite(rwsem, 0, LC_SHRINKER);
  hide(m, s);
  Atomics.store(refcount, s, 0);
  dropId(m, s);
  rwsemUpWrite(rwsem, 0, LC_SHRINKER);
}

/** Hidden first; walks are cut short by the generation; then an SRCU grace period. */
function freeSrcu(m: Mm, s: number): void {
  const { flags, rwsem, refcount, words } = m.shrinker;
  rwsemDownWrite(rwsem, 0, LC_SHRINKER);
  const registered = (Atomics.load(flags, s) & SHRINKER_REGISTERED) !== 0;
  hide(m, s);
  Atomics.store(refcount, s, 0);
  rwsemUpWrite(rwsem, 0, LC_SHRINKER);
  if (registered) {
    Atomics.add(words, SHRINKER_GENERATION, 1);
    shrinkerMapAcquire(m, s);
    shrinkerMapRelease(m, s);
    shrinkerSrcu(m).synchronize();
  }
  rwsemDownWrite(rwsem, 0, LC_SHRINKER);
  dropId(m, s);
  rwsemUpWrite(rwsem, 0, LC_SHRINKER);
}

/**
 * The initial reference goes; whoever still holds one is waited for.
 * @param registered as it was when DYING was set: from then on it does not change
 */
function freeLockless(m: Mm, s: number, registered: boolean): void {
  const { refcount, rwsem, done } = m.shrinker;
  if (registered) {
    // Registered and without the initial reference: who registers it is about to store it.
    if (Atomics.load(refcount, s) === 0) waitForWriter(m);
    shrinkerMapAcquire(m, s);
    shrinkerMapRelease(m, s);
    shrinkerPut(m, s);
    completionWait(done, s);
  }
  rwsemDownWrite(rwsem, 0, LC_SHRINKER);
  hide(m, s);
  dropId(m, s);
  rwsemUpWrite(rwsem, 0, LC_SHRINKER);
}
