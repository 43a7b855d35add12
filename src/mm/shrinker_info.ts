// SPDX-License-Identifier: GPL-2.0-only
/** Which shrinkers may have objects in a group (mm/shrinker.c, shrinker_info). */
import { bug } from '../../shared/assert.ts';
import { rcuDereference, rcuReadLock, rcuReadUnlock } from '../../shared/rcu.ts';
import type { Mm } from './mm.ts';
import { INFO_NR_MAX, INFO_UNITS, SHRINKER_UNIT_BITS, UNIT_MAP_WORDS } from './shrinker_types.ts';

/** Word of the bit of (group, node, id) in `unitMap`, -1 where its info has no room. */
export function shrinkerBitWord(m: Mm, memcg: number, nid: number, id: number): number {
  const info = rcuDereference(m.lruvec.shrinkerInfo, memcg * m.sizes.nrNodes + nid);
  if (info === 0) return -1;
  const at = info * m.sizes.shrinkers.infoWords;
  if (id >= (m.shrinker.info[at + INFO_NR_MAX] as number)) return -1;
  const index = Math.floor(id / SHRINKER_UNIT_BITS);
  const unit = m.shrinker.info[at + INFO_UNITS + index] as number;
  return unit * UNIT_MAP_WORDS + ((id % SHRINKER_UNIT_BITS) >>> 5);
}

/**
 * Says that a shrinker has objects in a group.
 * @context after the object is on its list; any, under spinlocks too
 */
export function setShrinkerBit(m: Mm, memcg: number, nid: number, id: number): void {
  if (memcg === 0) return;
  rcuReadLock();
  const word = shrinkerBitWord(m, memcg, nid, id);
  if (word < 0) bug(`group ${memcg} has no bit for shrinker ${id}`);
  // PAIRS(shrinker-bit): after the object is on its list.
  Atomics.or(m.shrinker.unitMap, word, 1 << (id & 31));
  rcuReadUnlock();
}
