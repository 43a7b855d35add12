// SPDX-License-Identifier: GPL-2.0-only
/**
 * The life of a group's row: its state, and who keeps it (struct cgroup_subsys_state).
 *
 *   FREE --mkdir--> ONLINE --rmdir--> DYING --last put, grace period--> FREE, for somebody else
 *
 * References: one while online; one per child, until the child's row is free; one while any page is
 * charged to the group itself, one while any swap slot is; one per stock that caches it; one per
 * thread that charges to it; those of walks. A dying group is found by reclaim as long as any is
 * left. The root is never removed, and nobody counts references to it.
 *
 * A number read from a column (a page's, a slot's, an address space's) may be used while the page,
 * slot or process is known to be there. Otherwise: read it under RCU and take a reference, or be
 * done with it before the section ends; a row is given to another group only after a grace period.
 */
import {
  refcountDecAndTest,
  refcountInc,
  refcountIncNotZero,
  refcountRead,
} from '../../shared/refcount.ts';
import { LINE_WORDS } from '../../shared/types.ts';
import { wakeUp } from '../../shared/wait_queue.ts';
import type { Mm } from './mm.ts';
import { MEMCG_ONLINE } from './mm_types.ts';

/** Words of `m.cgroup`. */
export const CGROUP_MUTEX = 0; // @atomic lock word of cgroup_mutex
export const CGROUP_FREE_ROW = 1; // @guardedBy cgroup_mutex  first free row that was used before
export const CGROUP_ROWS = 2; // @guardedBy cgroup_mutex  rows used so far: those behind are free
export const CGROUP_SERIAL = 3; // @guardedBy cgroup_mutex  last serial number given
export const CGROUP_LIVE = 4; // @guardedBy cgroup_mutex  rows that are not free
export const CGROUP_ATTACHED = 5; // @atomic processes that were moved at run time
export const CGROUP_RELEASE = LINE_WORDS; // @atomic stack of rows that cgroup_destroy is to release

/** Is the group one that may be charged, made a parent and joined? A moment old unless locked. */
export function memcgOnline(m: Mm, memcg: number): boolean {
  return Atomics.load(m.memcg.state, memcg) === MEMCG_ONLINE;
}

/** @returns the number that no other group of this machine ever has: its directory's inode */
export function memcgSerial(m: Mm, memcg: number): number {
  return m.memcg.serial[memcg] as number;
}

/** @returns references to a group; a hint, and 1 for the root */
export function memcgRefs(m: Mm, memcg: number): number {
  return refcountRead(m.memcg.refs, memcg);
}

/**
 * Takes a reference unless the group is being released.
 * @param memcg a row, read under RCU or known to be there
 * @returns false when there is none left to join @context any, typically inside an RCU reader
 */
export function memcgTryGet(m: Mm, memcg: number): boolean {
  return memcg === 0 || refcountIncNotZero(m.memcg.refs, memcg);
}

/** Takes a reference to a group that something of the caller's keeps already. @context any */
export function memcgGet(m: Mm, memcg: number): void {
  if (memcg !== 0) refcountInc(m.memcg.refs, memcg);
}

/**
 * Drops a reference. The last one hands the row to cgroup_destroy.
 * @context any, also under spinlocks and inside an RCU reader; never blocks
 */
export function memcgPut(m: Mm, memcg: number): void {
  if (memcg === 0 || !refcountDecAndTest(m.memcg.refs, memcg)) return;
  // A stack that is only pushed to and taken whole: no row can come back under our eyes.
  for (;;) {
    const head = Atomics.load(m.cgroup, CGROUP_RELEASE);
    Atomics.store(m.memcg.releaseNext, memcg, head);
    if (Atomics.compareExchange(m.cgroup, CGROUP_RELEASE, head, memcg) === head) break;
  }
  wakeUp(m.cgroupWait, 0);
}

/**
 * The nearest group that may be charged, with a reference: the group or its first ancestor that is
 * online. Takes the caller's reference on `memcg` with it.
 * @param memcg a group that the caller holds a reference on
 * @context any
 */
export function memcgToOnline(m: Mm, memcg: number): number {
  let group = memcg;
  while (!memcgOnline(m, group)) {
    const parent = m.memcg.parent[group] as number;
    memcgGet(m, parent);
    memcgPut(m, group);
    group = parent;
  }
  return group;
}
