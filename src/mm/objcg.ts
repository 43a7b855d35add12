// SPDX-License-Identifier: GPL-2.0-only
/**
 * Object groups: whose kernel objects are, and what they weigh (mm/memcontrol.c, obj_cgroup).
 *
 * Objects outlive their group: a dentry stays cached when the group that made it is removed. So an
 * object does not name a group but an objcg, and removing a group moves its objcgs to the parent.
 *
 *   objcg state   online  bytes   css reference                in the list of
 *   free          0       0       none                         the free rows
 *   online        1       >= 0    one on the group if bytes    its own group
 *   reparented    0       > 0     one on the group it is in    a group above
 *   released      0       0       none                         the same; reaped when one is made
 *
 * Bytes are charged as whole pages: a group's counter has ceil(bytes / page) of each objcg that is
 * in it. 0 is nobody's: objects of the root, and all of them without accounting, are not charged.
 */
import { bug } from '../../shared/assert.ts';
import { rcuReadLock, rcuReadUnlock } from '../../shared/rcu.ts';
import { spinLock, spinUnlock } from '../../shared/spinlock.ts';
import { chargeOrReclaim } from './charge.ts';
import { ENOMEM } from './errno.ts';
import { PAGE_SIZE } from './limits.ts';
import { LC_OBJCG } from './lock_order.ts';
import { memcgGet, memcgPut } from './memcg_css.ts';
import { CHARGED, pageCounterTryCharge, pageCounterUncharge } from './memcontrol.ts';
import type { Mm } from './mm.ts';
import { OBJCG_FREE, OBJCG_RELEASED } from './slab_types.ts';

/** Whole pages that so many bytes are charged as. */
export function objcgPages(bytes: number): number {
  return Math.ceil(bytes / PAGE_SIZE);
}

/** Chains the free rows. @context boot */
export function objcgInit(m: Mm): void {
  const { nrObjcgs } = m.sizes.slabs;
  for (let row = 1; row < nrObjcgs; row++) m.objcg.next[row] = row + 1 < nrObjcgs ? row + 1 : 0;
  m.objcgWords[OBJCG_FREE] = 1;
}

function link(m: Mm, objcg: number, memcg: number): void {
  const first = m.objcgFirst[memcg] as number;
  m.objcg.next[objcg] = first;
  m.objcg.prev[objcg] = 0;
  if (first !== 0) m.objcg.prev[first] = objcg;
  m.objcgFirst[memcg] = objcg;
}

function unlink(m: Mm, objcg: number): void {
  const next = m.objcg.next[objcg] as number;
  const prev = m.objcg.prev[objcg] as number;
  if (prev !== 0) m.objcg.next[prev] = next;
  else m.objcgFirst[m.objcg.memcg[objcg] as number] = next;
  if (next !== 0) m.objcg.prev[next] = prev;
}

/** Takes back the rows that nothing is charged to any more. @context cgroup_mutex held */
function reapReleased(m: Mm): void {
  let objcg = Atomics.exchange(m.objcgWords, OBJCG_RELEASED, 0);
  while (objcg !== 0) {
    const after = Atomics.load(m.objcg.released, objcg);
    unlink(m, objcg);
    m.objcg.next[objcg] = m.objcgWords[OBJCG_FREE] as number;
    m.objcgWords[OBJCG_FREE] = objcg;
    objcg = after;
  }
}

/** Nothing is charged to it, and its group is gone: whoever makes the next one takes it back. */
function release(m: Mm, objcg: number): void {
  for (;;) {
    const first = Atomics.load(m.objcgWords, OBJCG_RELEASED);
    Atomics.store(m.objcg.released, objcg, first);
    if (Atomics.compareExchange(m.objcgWords, OBJCG_RELEASED, first, objcg) === first) return;
  }
}

/**
 * Gives a new group its objcg.
 * @returns 0, or ENOMEM when objects of removed groups hold all rows
 * @context cgroup_mutex held, or boot; the group is not online yet
 */
export function objcgAlloc(m: Mm, memcg: number): number {
  if (!m.config.kmem) return 0;
  reapReleased(m);
  const objcg = m.objcgWords[OBJCG_FREE] as number;
  if (objcg === 0) return ENOMEM;
  m.objcgWords[OBJCG_FREE] = m.objcg.next[objcg] as number;
  m.objcg.memcg[objcg] = memcg;
  m.objcg.online[objcg] = 1;
  m.objcg.bytes[objcg] = 0;
  link(m, objcg, memcg);
  Atomics.store(m.memcg.objcg, memcg, objcg);
  return 0;
}

/** The group that an objcg's objects belong to now. @context inside an RCU reader, to use it */
export function objcgMemcg(m: Mm, objcg: number): number {
  return objcg === 0 ? 0 : Atomics.load(m.objcg.memcg, objcg);
}

/** Objcg of this thread's group, or of the first one above it that has one; locked. 0 for none. */
function lockCurrent(m: Mm): number {
  rcuReadLock();
  for (let memcg = m.task.memcg; memcg !== 0; ) {
    const objcg = Atomics.load(m.memcg.objcg, memcg);
    if (objcg !== 0) {
      spinLock(m.objcg.lock, objcg, LC_OBJCG);
      // Looked at again: the row may be another group's by now.
      if (Atomics.load(m.memcg.objcg, memcg) === objcg) {
        rcuReadUnlock();
        return objcg;
      }
      spinUnlock(m.objcg.lock, objcg, LC_OBJCG);
    } else memcg = m.memcg.parent[memcg] as number;
  }
  rcuReadUnlock();
  return 0;
}

/** @returns CHARGED, or the group that is full @context objcg_lock held */
function chargeLocked(m: Mm, objcg: number, bytes: number): number {
  const before = m.objcg.bytes[objcg] as number;
  const memcg = m.objcg.memcg[objcg] as number;
  const pages = objcgPages(before + bytes) - objcgPages(before);
  if (pages > 0) {
    const over = pageCounterTryCharge(m, memcg, pages);
    if (over !== CHARGED) return over;
  }
  m.objcg.bytes[objcg] = before + bytes;
  if (before === 0) memcgGet(m, memcg);
  return CHARGED;
}

/**
 * Charges an object to the group of this thread.
 * @param bytes size of the object, 1 .. PAGE_SIZE
 * @returns the objcg, to be named at the uncharge; 0 when nobody pays; ENOMEM when the group is
 *   full and nothing can be reclaimed
 * @context may block and reclaim; no spinlock held
 */
export function objcgCharge(m: Mm, bytes: number): number {
  if (!m.config.kmem || m.task.memcg === 0) return 0;
  let charged = 0;
  const attempt = (): number => {
    charged = lockCurrent(m);
    if (charged === 0) return CHARGED;
    const over = chargeLocked(m, charged, bytes);
    spinUnlock(m.objcg.lock, charged, LC_OBJCG);
    return over;
  };
  return chargeOrReclaim(m, attempt) ? charged : ENOMEM;
}

/** Takes back the charge of a freed object. @param objcg from objcgCharge @context any thread */
export function objcgUncharge(m: Mm, objcg: number, bytes: number): void {
  if (objcg === 0) return;
  spinLock(m.objcg.lock, objcg, LC_OBJCG);
  const before = m.objcg.bytes[objcg] as number;
  if (before < bytes) bug(`objcg ${objcg}: uncharging ${bytes} of ${before} bytes`);
  const after = before - bytes;
  const memcg = m.objcg.memcg[objcg] as number;
  m.objcg.bytes[objcg] = after;
  const pages = objcgPages(before) - objcgPages(after);
  if (pages > 0) pageCounterUncharge(m, memcg, pages);
  const last = after === 0 && m.objcg.online[objcg] === 0;
  spinUnlock(m.objcg.lock, objcg, LC_OBJCG);
  if (after === 0) memcgPut(m, memcg);
  if (last) release(m, objcg);
}

/** Moves one objcg of a group that is removed. @context cgroup_mutex held */
function reparentOne(m: Mm, objcg: number, memcg: number, parent: number): void {
  spinLock(m.objcg.lock, objcg, LC_OBJCG);
  const bytes = m.objcg.bytes[objcg] as number;
  // The counters above have the pages already.
  if (bytes > 0) Atomics.sub(m.memcg.usage, memcg, objcgPages(bytes));
  if (bytes > 0) memcgGet(m, parent);
  const released = m.objcg.online[objcg] === 1 && bytes === 0;
  m.objcg.online[objcg] = 0;
  if (Atomics.load(m.memcg.objcg, memcg) === objcg) Atomics.store(m.memcg.objcg, memcg, 0);
  Atomics.store(m.objcg.memcg, objcg, parent);
  spinUnlock(m.objcg.lock, objcg, LC_OBJCG);
  if (bytes > 0) memcgPut(m, memcg);
  if (released) release(m, objcg);
}

/**
 * Moves what a removed group's objects are charged through to its parent: from here on its objects
 * are the parent's.
 * @context cgroup_mutex held; the group is dying, and its lists are with the parent already
 */
export function memcgReparentObjcg(m: Mm, memcg: number, parent: number): void {
  let objcg = m.objcgFirst[memcg] as number;
  while (objcg !== 0) {
    unlink(m, objcg);
    reparentOne(m, objcg, memcg, parent);
    link(m, objcg, parent);
    objcg = m.objcgFirst[memcg] as number;
  }
}

/** Adds the bytes of live objects to their groups' cells. @context exact at quiescence */
export function addObjectBytes(m: Mm, cells: Float64Array): void {
  for (let objcg = 1; objcg < m.sizes.slabs.nrObjcgs; objcg++) {
    const memcg = objcgMemcg(m, objcg);
    const bytes = m.objcg.bytes[objcg] as number;
    if (bytes > 0) cells[memcg] = (cells[memcg] as number) + bytes;
  }
}
