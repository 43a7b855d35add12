// SPDX-License-Identifier: GPL-2.0-only
/**
 * Which shrinkers may have objects in a group, and what work they have put off there
 * (mm/shrinker.c: shrinker_info, shrinker_info_unit).
 *
 * The bit of (group, node, id)
 *
 *   who adds an object                     who shrinks
 *   object on its list                     count says SHRINK_EMPTY
 *   set the bit                            clear the bit
 *                                          count again: if objects, set the bit again
 *
 * Both sides are sequentially consistent, so at least one sees the other: objects without a bit
 * cannot stay. A bit without objects costs one count.
 *
 * An info is read under RCU and replaced under shrinker_rwsem; the old one is freed after a grace
 * period, and poisoned. Units are freed with their group, by who waited for its readers.
 */
import { bug } from '../../shared/assert.ts';
import { rcuDereference, rcuReadLock, rcuReadUnlock } from '../../shared/rcu.ts';
import { POISON_FREE } from '../../shared/rcu_cells.ts';
import type { Mm } from './mm.ts';
import { MEMCG_ONLINE } from './mm_types.ts';
import {
  INFO_NR_MAX,
  INFO_UNITS,
  SHRINKER_MEMCG_AWARE,
  SHRINKER_NUMA_AWARE,
  SHRINKER_UNIT_BITS,
  UNIT_MAP_WORDS,
} from './shrinker_types.ts';

/** log2 of SHRINKER_UNIT_BITS. */
const UNIT_SHIFT = 6;
const OFFSET_MASK = SHRINKER_UNIT_BITS - 1;

/** First word of an info. */
export function infoAt(m: Mm, info: number): number {
  return info * m.sizes.shrinkers.infoWords;
}

/**
 * The info of a group on a node, with a look at whether it has been freed.
 * @returns its row, 0 for none: the root, or a group that is being made
 * @context inside an RCU reader, or shrinker_rwsem held
 */
export function derefInfo(m: Mm, lruvec: number): number {
  const info = rcuDereference(m.lruvec.shrinkerInfo, lruvec);
  if (info !== 0) infoNrMax(m, info);
  return info;
}

/** Ids that an info is made for. @throws BugError when it has been freed @context as derefInfo */
export function infoNrMax(m: Mm, info: number): number {
  const nrMax = m.shrinker.info[infoAt(m, info) + INFO_NR_MAX] as number;
  if (nrMax === POISON_FREE) bug(`shrinker info ${info} is used after its grace period`);
  return nrMax;
}

/** Row of a unit of an info. @param index below infoNrMax / 64 @context as derefInfo */
export function infoUnit(m: Mm, info: number, index: number): number {
  return m.shrinker.info[infoAt(m, info) + INFO_UNITS + index] as number;
}

/** Row of the unit of an id of a group on a node: the same in every info that has it. */
export function homeOfUnit(m: Mm, lruvec: number, id: number): number {
  return lruvec * m.sizes.shrinkers.nrUnits + (id >> UNIT_SHIFT);
}

/**
 * Row of the unit of an id, 0 for none... which is no unit: the root has no info.
 * @context any thread that holds a reference on the group
 */
function unitOf(m: Mm, memcg: number, nid: number, id: number): number {
  rcuReadLock();
  const info = derefInfo(m, memcg * m.sizes.nrNodes + nid);
  const unit = info !== 0 && id < infoNrMax(m, info) ? infoUnit(m, info, id >> UNIT_SHIFT) : 0;
  rcuReadUnlock();
  return unit;
}

/** Word of a unit's bitmap that has an id's bit. */
export function unitWord(unit: number, id: number): number {
  return unit * UNIT_MAP_WORDS + ((id & OFFSET_MASK) >> 5);
}

/**
 * Says that a shrinker may have objects of a group. A no-op for the root, which has no bits.
 * @param id of the shrinker, negative for none
 * @context after the object is on its list; a reference on the group is held; never blocks
 */
export function setShrinkerBit(m: Mm, memcg: number, nid: number, id: number): void {
  if (id < 0 || memcg === 0) return;
  const unit = unitOf(m, memcg, nid, id);
  if (unit === 0) return;
  const at = unitWord(unit, id);
  // PAIRS(shrinker-bit): after the object was added. Looked at first: mostly it is set already.
  if ((Atomics.load(m.shrinker.unitMap, at) & (1 << (id & 31))) !== 0) return;
  Atomics.or(m.shrinker.unitMap, at, 1 << (id & 31));
}

/** Clears a bit. @context the shrinker counted SHRINK_EMPTY, and is counted again after this */
export function clearShrinkerBit(m: Mm, unit: number, id: number): void {
  // PAIRS(shrinker-bit): before the objects are counted again.
  Atomics.and(m.shrinker.unitMap, unitWord(unit, id), ~(1 << (id & 31)));
}

/** @returns whether the bit is set; a hint @context any: a unit's home is its own for ever */
export function testShrinkerBit(m: Mm, memcg: number, nid: number, id: number): boolean {
  if (memcg === 0) return false;
  const unit = homeOfUnit(m, memcg * m.sizes.nrNodes + nid, id);
  return (Atomics.load(m.shrinker.unitMap, unitWord(unit, id)) & (1 << (id & 31))) !== 0;
}

/** Node that put-off work is kept for: that of a shrinker which tells none apart is the first's. */
function deferredNode(m: Mm, s: number, nid: number): number {
  // kreclaim-racy: other bits change, this one does not
  return ((m.shrinker.flags[s] as number) & SHRINKER_NUMA_AWARE) === 0 ? 0 : nid;
}

function inUnit(m: Mm, s: number, memcg: number): boolean {
  // kreclaim-racy: other bits change, this one does not
  return memcg !== 0 && ((m.shrinker.flags[s] as number) & SHRINKER_MEMCG_AWARE) !== 0;
}

/** Takes all the work that was put off. @returns objects @context a reference on both is held */
export function xchgNrDeferred(m: Mm, s: number, nid: number, memcg: number): number {
  const node = deferredNode(m, s, nid);
  if (!inUnit(m, s, memcg)) {
    return Atomics.exchange(m.shrinker.nrDeferred, s * m.sizes.nrNodes + node, 0);
  }
  const id = m.shrinker.id[s] as number;
  const unit = unitOf(m, memcg, node, id);
  if (unit === 0) return 0;
  const at = unit * SHRINKER_UNIT_BITS + (id & OFFSET_MASK);
  // Mostly nothing was: a look costs less than an exchange.
  if (Atomics.load(m.shrinker.unitDeferred, at) === 0) return 0;
  return Atomics.exchange(m.shrinker.unitDeferred, at, 0);
}

/**
 * Puts work off. That of a group which is removed meanwhile goes to its parent.
 * @param nr objects, at least 0
 * @context a reference on both is held
 */
export function addNrDeferred(m: Mm, nr: number, s: number, nid: number, memcg: number): void {
  if (nr === 0) return;
  const node = deferredNode(m, s, nid);
  if (!inUnit(m, s, memcg)) {
    Atomics.add(m.shrinker.nrDeferred, s * m.sizes.nrNodes + node, nr);
    return;
  }
  const id = m.shrinker.id[s] as number;
  const unit = unitOf(m, memcg, node, id);
  if (unit === 0) return;
  Atomics.add(m.shrinker.unitDeferred, unit * SHRINKER_UNIT_BITS + (id & OFFSET_MASK), nr);
  // PAIRS(shrinker-offline): the work is there before the state is looked at.
  if (Atomics.load(m.memcg.state, memcg) === MEMCG_ONLINE) return;
  if (m.shrinkerFlaws.has('lost-work')) return;
  const moved = xchgNrDeferred(m, s, node, memcg);
  addNrDeferred(m, moved, s, node, m.memcg.parent[memcg] as number);
}
