// SPDX-License-Identifier: GPL-2.0-only
/**
 * One shrinker of a walk, the same for every policy: is it to run here, and what becomes of its bit
 * (the inner part of shrink_slab_memcg of mm/shrinker.c).
 */
import type { Mm } from './mm.ts';
import { clearShrinkerBit, setShrinkerBit } from './shrinker_info.ts';
import { SHRINK_EMPTY, type ShrinkControl, shrinkControl } from './shrinker_ops.ts';
import { doShrinkSlab } from './shrinker_scan.ts';
import { SHRINKER_DYING, SHRINKER_NONSLAB } from './shrinker_types.ts';

/** The thread's record; callbacks of callbacks (there are none) would share it. */
const control: ShrinkControl = shrinkControl();

/** Objects are not accounted, and this shrinker frees such: it has nothing in a group. */
export function idleWithoutKmem(m: Mm, s: number): boolean {
  return !m.config.kmem && ((m.shrinker.flags[s] as number) & SHRINKER_NONSLAB) === 0;
}

/**
 * Runs a shrinker for a group; its bit goes when it turns out to be empty.
 * @returns objects freed
 * @context the shrinker cannot go meanwhile; the group is referenced; may block
 */
export function shrinkOne(
  m: Mm,
  gfp: number,
  nid: number,
  memcg: number,
  s: number,
  id: number,
  unit: number,
  priority: number,
): number {
  control.gfp = gfp;
  control.nid = nid;
  control.memcg = memcg;
  control.shrinker = s;
  const freed = doShrinkSlab(m, control, priority);
  if (freed !== SHRINK_EMPTY) return freed;
  clearShrinkerBit(m, unit, id);
  const again = doShrinkSlab(m, control, priority);
  if (again === SHRINK_EMPTY) return 0;
  setShrinkerBit(m, memcg, nid, id);
  return again;
}

/** Runs a shrinker for the root. @returns objects freed @context as shrinkOne */
export function shrinkOwn(m: Mm, gfp: number, nid: number, s: number, priority: number): number {
  control.gfp = gfp;
  control.nid = nid;
  control.memcg = 0;
  control.shrinker = s;
  const freed = doShrinkSlab(m, control, priority);
  return freed === SHRINK_EMPTY ? 0 : freed;
}

/**
 * Clears the bit of an id that has no owner, or one that is going, as it was seen a moment ago. If
 * the id has found a new owner meanwhile, who may have set the bit for objects of its own, the bit
 * is set again: a bit too many costs one count.
 * @param seen row that the id led to, 0 for none @context inside an RCU reader or an SRCU section
 */
export function clearStaleBit(m: Mm, unit: number, id: number, seen: number): void {
  clearShrinkerBit(m, unit, id);
  if (m.shrinkerFlaws.has('stale-clear')) return;
  // PAIRS(shrinker-id): the owner is looked at after the bit is clear.
  const now = Atomics.load(m.shrinker.idr, id);
  if (now === 0) return;
  if (now === seen && (Atomics.load(m.shrinker.flags, now) & SHRINKER_DYING) !== 0) return;
  const at = (unit << 1) | ((id & 63) >> 5);
  Atomics.or(m.shrinker.unitMap, at, 1 << (id & 31));
}
