// SPDX-License-Identifier: GPL-2.0-only
/**
 * The group that a thread charges to: that of the process it runs (mm/memcontrol.c,
 * get_mem_cgroup_from_mm), kept with a reference, so that a fault pays one load for it.
 */
import { cpuRelax } from '../../shared/cpu_relax.ts';
import { rcuReadLock, rcuReadUnlock } from '../../shared/rcu.ts';
import { LINE_WORDS } from '../../shared/types.ts';
import { memcgWithin } from './lruvec.ts';
import { memcgPut, memcgToOnline, memcgTryGet } from './memcg_css.ts';
import { STOCK_TASK } from './memcontrol.ts';
import type { Mm } from './mm.ts';
import { psiProductive } from './psi.ts';

function setTaskMemcg(m: Mm, memcg: number): void {
  const before = m.task.memcg;
  const { productive } = m.task;
  psiProductive(m, false);
  m.task.memcg = memcg;
  psiProductive(m, productive);
  m.stock[m.task.id * LINE_WORDS + STOCK_TASK] = memcg;
  memcgPut(m, before);
}

/** The group of an address space, with a reference. */
function getFromMm(m: Mm, mm: number): number {
  for (;;) {
    rcuReadLock();
    const memcg = Atomics.load(m.mm.memcg, mm);
    const got = memcgTryGet(m, memcg);
    rcuReadUnlock();
    if (got) return memcg;
    // It was moved elsewhere and its old group is gone: the next look finds the new one.
    cpuRelax();
  }
}

/**
 * Makes `m.task.memcg` the group that an address space is in now. The number alone says so: our
 * reference keeps the row from being another group's.
 * @context the top of a fault or of a file operation; no RCU reader
 */
export function memcgRefresh(m: Mm, mm: number): void {
  if (Atomics.load(m.mm.memcg, mm) !== m.task.memcg) setTaskMemcg(m, getFromMm(m, mm));
}

/** The thread charges nothing any more. @context a thread that leaves its address space */
export function memcgLeave(m: Mm): void {
  setTaskMemcg(m, 0);
}

/** Is an address space in a group or below it now? @context any; no reference is needed */
export function mmWithin(m: Mm, mm: number, memcg: number): boolean {
  // The process keeps its group while it is in it, RCU what we saw until we are done.
  rcuReadLock();
  const within = memcgWithin(m, Atomics.load(m.mm.memcg, mm), memcg);
  rcuReadUnlock();
  return within;
}

/**
 * The group to charge for a slot that is read ahead: the slot's, or its first ancestor that is
 * online; this thread's own if the slot was given up meanwhile.
 * @returns a group with a reference, to be put by the caller
 * @context a fault; takes no lock
 */
export function memcgGetFromSlot(m: Mm, slot: number): number {
  rcuReadLock();
  let memcg = m.slot.memcg[slot] as number;
  if (!memcgTryGet(m, memcg)) {
    memcg = m.task.memcg;
    memcgTryGet(m, memcg);
  }
  rcuReadUnlock();
  return memcgToOnline(m, memcg);
}
