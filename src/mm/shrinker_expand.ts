// SPDX-License-Identifier: GPL-2.0-only
/**
 * The life of shrinker infos: made with their group, replaced as ids grow, their put-off work given
 * to the parent when the group is removed, freed with it (mm/shrinker.c: alloc_shrinker_info,
 * expand_shrinker_info, reparent_shrinker_deferred, free_shrinker_info).
 *
 * Infos come from a pool of twice what the groups need, since replaced ones wait for their grace
 * period. All replaced at one time are freed by one callback, as a chain.
 */
import { assert } from '../../shared/assert.ts';
import { rcuAssignPointer } from '../../shared/rcu.ts';
import { callRcu, rcuBarrier } from '../../shared/rcu_callback.ts';
import { POISON_FREE } from '../../shared/rcu_cells.ts';
import { rwsemDownWrite, rwsemUpWrite } from '../../shared/rwsem.ts';
import { spinLock, spinUnlock } from '../../shared/spinlock.ts';
import { ENOMEM } from './errno.ts';
import { LC_SHRINKER, LC_SHRINKER_POOL } from './lock_order.ts';
import type { Mm } from './mm.ts';
import { onGracePeriod, RCU_SHRINKER_INFO } from './rcu_ids.ts';
import { addNrDeferred, infoAt, infoNrMax, infoUnit } from './shrinker_info.ts';
import {
  INFO_NEXT,
  INFO_NR_MAX,
  INFO_UNITS,
  SHRINKER_INFOS,
  SHRINKER_INFOS_USED,
  SHRINKER_NR_MAX,
  SHRINKER_UNIT_BITS,
  UNIT_MAP_WORDS,
} from './shrinker_types.ts';

/** Chains every info into the free list. @context boot */
export function shrinkerInfoInit(m: Mm): void {
  const { nrInfos } = m.sizes.shrinkers;
  for (let info = nrInfos - 1; info > 0; info--) poison(m, info, info + 1 < nrInfos ? info + 1 : 0);
  m.shrinker.words[SHRINKER_INFOS] = nrInfos > 1 ? 1 : 0;
}

/** Makes an info unusable; a reader that still has it finds out. */
function poison(m: Mm, info: number, next: number): void {
  const at = infoAt(m, info);
  m.shrinker.info.fill(POISON_FREE, at, at + m.sizes.shrinkers.infoWords);
  m.shrinker.info[at + INFO_NEXT] = next;
}

/** @returns an info for nobody yet, 0 when the pool is empty */
function takeInfo(m: Mm): number {
  const { words, poolLock } = m.shrinker;
  spinLock(poolLock, 0, LC_SHRINKER_POOL);
  const info = words[SHRINKER_INFOS] as number;
  if (info !== 0) {
    words[SHRINKER_INFOS] = m.shrinker.info[infoAt(m, info) + INFO_NEXT] as number;
    words[SHRINKER_INFOS_USED] = (words[SHRINKER_INFOS_USED] as number) + 1;
  }
  spinUnlock(poolLock, 0, LC_SHRINKER_POOL);
  return info;
}

/** Returns a chain of infos that no reader has any more. */
function freeInfoChain(m: Mm, chain: number): void {
  const { words, poolLock } = m.shrinker;
  spinLock(poolLock, 0, LC_SHRINKER_POOL);
  for (let info = chain; info !== 0; ) {
    const next = m.shrinker.info[infoAt(m, info) + INFO_NEXT] as number;
    poison(m, info, words[SHRINKER_INFOS] as number);
    words[SHRINKER_INFOS] = info;
    words[SHRINKER_INFOS_USED] = (words[SHRINKER_INFOS_USED] as number) - 1;
    info = next;
  }
  spinUnlock(poolLock, 0, LC_SHRINKER_POOL);
}

onGracePeriod(RCU_SHRINKER_INFO, freeInfoChain);

/** An info, waiting for those whose grace period runs when the pool is empty. */
function allocInfo(m: Mm): number {
  const info = takeInfo(m);
  if (info !== 0) return info;
  rcuBarrier();
  return takeInfo(m);
}

/** Makes the units from..to-1 of an info, each at its home. */
function allocUnits(m: Mm, lruvec: number, info: number, from: number, to: number): void {
  const { unitMap, unitDeferred } = m.shrinker;
  for (let index = from; index < to; index++) {
    const unit = lruvec * m.sizes.shrinkers.nrUnits + index;
    unitMap.fill(0, unit * UNIT_MAP_WORDS, (unit + 1) * UNIT_MAP_WORDS);
    unitDeferred.fill(0, unit * SHRINKER_UNIT_BITS, (unit + 1) * SHRINKER_UNIT_BITS);
    m.shrinker.info[infoAt(m, info) + INFO_UNITS + index] = unit;
  }
}

/** @context shrinker_rwsem held for writing, or boot */
export function allocShrinkerInfoLocked(m: Mm, memcg: number): number {
  const { nrNodes } = m.sizes;
  const nrMax = m.shrinker.words[SHRINKER_NR_MAX] as number;
  for (let nid = 0; nid < nrNodes; nid++) {
    const info = allocInfo(m);
    if (info === 0) {
      for (let undo = 0; undo < nid; undo++) freeInfoOf(m, memcg * nrNodes + undo);
      return ENOMEM;
    }
    const lruvec = memcg * nrNodes + nid;
    m.shrinker.info[infoAt(m, info) + INFO_NR_MAX] = nrMax;
    allocUnits(m, lruvec, info, 0, nrMax / SHRINKER_UNIT_BITS);
    rcuAssignPointer(m.lruvec.shrinkerInfo, lruvec, info);
  }
  return 0;
}

/**
 * Gives a new group its infos.
 * @returns 0, or ENOMEM with nothing allocated
 * @context cgroup_mutex held; takes shrinker_rwsem; the root has none
 */
export function allocShrinkerInfo(m: Mm, memcg: number): number {
  assert(memcg !== 0, 'the root group has no shrinker info');
  rwsemDownWrite(m.shrinker.rwsem, 0, LC_SHRINKER);
  const result = allocShrinkerInfoLocked(m, memcg);
  rwsemUpWrite(m.shrinker.rwsem, 0, LC_SHRINKER);
  return result;
}

function freeInfoOf(m: Mm, lruvec: number): void {
  const info = Atomics.exchange(m.lruvec.shrinkerInfo, lruvec, 0);
  if (info === 0) return;
  const { nrUnits } = m.sizes.shrinkers;
  const { unitMap, unitDeferred } = m.shrinker;
  const first = lruvec * nrUnits;
  const last = first + infoNrMax(m, info) / SHRINKER_UNIT_BITS;
  unitMap.fill(0, first * UNIT_MAP_WORDS, last * UNIT_MAP_WORDS);
  unitDeferred.fill(0, first * SHRINKER_UNIT_BITS, last * SHRINKER_UNIT_BITS);
  m.shrinker.info[infoAt(m, info) + INFO_NEXT] = 0;
  freeInfoChain(m, info);
}

/**
 * Frees a group's infos and units.
 * @context a grace period has passed since anybody could find the group; takes shrinker_rwsem, so
 *   that no expansion is at them
 */
export function freeShrinkerInfo(m: Mm, memcg: number): void {
  rwsemDownWrite(m.shrinker.rwsem, 0, LC_SHRINKER);
  for (let nid = 0; nid < m.sizes.nrNodes; nid++) freeInfoOf(m, memcg * m.sizes.nrNodes + nid);
  rwsemUpWrite(m.shrinker.rwsem, 0, LC_SHRINKER);
}

/** Replaces one group's info by a longer one. @returns the old one, or ENOMEM */
function expandOne(m: Mm, lruvec: number, nrMax: number): number {
  const old = m.lruvec.shrinkerInfo[lruvec] as number;
  const info = allocInfo(m);
  if (info === 0) return ENOMEM;
  const from = infoNrMax(m, old) / SHRINKER_UNIT_BITS;
  const at = infoAt(m, info);
  for (let index = 0; index < from; index++) {
    m.shrinker.info[at + INFO_UNITS + index] = infoUnit(m, old, index);
  }
  m.shrinker.info[at + INFO_NR_MAX] = nrMax;
  allocUnits(m, lruvec, info, from, nrMax / SHRINKER_UNIT_BITS);
  rcuAssignPointer(m.lruvec.shrinkerInfo, lruvec, info);
  return old;
}

/**
 * Makes every info long enough for an id.
 * @returns 0, or ENOMEM: some infos are longer than the others then, which is harmless
 * @context shrinker_rwsem held for writing, or boot before there are groups
 */
export function expandShrinkerInfo(m: Mm, id: number): number {
  const { words } = m.shrinker;
  if (id < (words[SHRINKER_NR_MAX] as number)) return 0;
  const nrMax = (Math.floor(id / SHRINKER_UNIT_BITS) + 1) * SHRINKER_UNIT_BITS;
  let chain = 0;
  let result = 0;
  for (let lruvec = m.sizes.nrNodes; lruvec < m.sizes.nrLruvecs && result === 0; lruvec++) {
    const info = m.lruvec.shrinkerInfo[lruvec] as number;
    if (info === 0 || infoNrMax(m, info) >= nrMax) continue;
    const old = expandOne(m, lruvec, nrMax);
    if (old < 0) {
      result = old;
      break;
    }
    m.shrinker.info[infoAt(m, old) + INFO_NEXT] = chain;
    chain = old;
  }
  if (chain !== 0) callRcu(RCU_SHRINKER_INFO, chain);
  if (result === 0) words[SHRINKER_NR_MAX] = nrMax;
  return result;
}

/**
 * Gives a removed group's put-off work to its parent.
 * @context cgroup_mutex held; the group is MEMCG_DYING already; takes shrinker_rwsem
 */
export function reparentShrinkerDeferred(m: Mm, memcg: number): void {
  rwsemDownWrite(m.shrinker.rwsem, 0, LC_SHRINKER);
  for (let nid = 0; nid < m.sizes.nrNodes; nid++) {
    const info = m.lruvec.shrinkerInfo[memcg * m.sizes.nrNodes + nid] as number;
    if (info === 0) continue;
    for (let index = 0; index < infoNrMax(m, info) / SHRINKER_UNIT_BITS; index++) {
      reparentUnit(m, memcg, nid, infoUnit(m, info, index), index * SHRINKER_UNIT_BITS);
    }
  }
  rwsemUpWrite(m.shrinker.rwsem, 0, LC_SHRINKER);
}

function reparentUnit(m: Mm, memcg: number, nid: number, unit: number, firstId: number): void {
  const { unitDeferred, idr } = m.shrinker;
  for (let offset = 0; offset < SHRINKER_UNIT_BITS; offset++) {
    const at = unit * SHRINKER_UNIT_BITS + offset;
    // PAIRS(shrinker-offline): the group is dying before its work is looked at.
    const nr = m.shrinkerFlaws.has('lost-work')
      ? Atomics.load(unitDeferred, at)
      : Atomics.load(unitDeferred, at) && Atomics.exchange(unitDeferred, at, 0);
    const s = Atomics.load(idr, firstId + offset);
    if (nr !== 0 && s !== 0) addNrDeferred(m, nr, s, nid, m.memcg.parent[memcg] as number);
  }
}

/**
 * Wipes what an id has left in every group, so that its next owner inherits nothing.
 * @context shrinker_rwsem held for writing; nobody runs the callbacks of the id any more
 */
export function scrubShrinkerId(m: Mm, id: number): void {
  const { unitMap, unitDeferred, info } = m.shrinker;
  const { nrNodes, nrLruvecs } = m.sizes;
  const { nrUnits, infoWords } = m.sizes.shrinkers;
  const index = id >> 6;
  const bit = 1 << (id & 31);
  for (let lruvec = nrNodes; lruvec < nrLruvecs; lruvec++) {
    const row = m.lruvec.shrinkerInfo[lruvec] as number;
    if (row === 0 || (info[row * infoWords + INFO_NR_MAX] as number) <= id) continue;
    const unit = lruvec * nrUnits + index;
    const word = unit * UNIT_MAP_WORDS + ((id & 63) >> 5);
    const at = unit * SHRINKER_UNIT_BITS + (id & 63);
    // kreclaim-racy: other bits change, this one does not any more
    if (((unitMap[word] as number) & bit) !== 0) Atomics.and(unitMap, word, ~bit);
    if (unitDeferred[at] !== 0) Atomics.store(unitDeferred, at, 0);
  }
}
