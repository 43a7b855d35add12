// SPDX-License-Identifier: MIT
/**
 * Where the locks of a machine are, so that a report can say who holds what.
 *
 * A region is a row of lock words at a fixed stride whose low OWNER_BITS hold the owner's thread id
 * (spinlock, mutex). The machine lists its regions as data; nothing is written when a lock is
 * taken, so this costs nothing until a report scans them. Locks without an owner in their word
 * (read sides, bit locks) are in the held stacks of held_locks.ts instead.
 */
import { OWNER_MASK } from './limits.ts';
import type { I32 } from './types.ts';

export interface LockRegion {
  /** Lock class id, for the name. */
  readonly cls: number;
  readonly words: I32;
  /** Index of the first lock word. */
  readonly base: number;
  /** Words from one lock to the next, at least 1. */
  readonly stride: number;
  /** Number of locks. */
  readonly count: number;
}

/** One lock that a scan found held. */
export interface RegionLock {
  readonly cls: number;
  /** Row within its region. */
  readonly row: number;
  /** Byte offset of its word in the arena. */
  readonly address: number;
  readonly owner: number;
}

/**
 * Scans regions for held locks.
 * @param owner thread id to look for, or 0 for any
 * @param cls lock class to look for, or -1 for any
 * @param max stops after so many
 * @returns what was held at the moment of each load: a picture of a live machine may be torn
 * @context reports only; touches every lock word
 */
export function scanLockRegions(
  regions: readonly LockRegion[],
  owner: number,
  cls: number,
  max: number,
): RegionLock[] {
  const found: RegionLock[] = [];
  for (const region of regions) {
    if (cls !== -1 && region.cls !== cls) continue;
    for (let row = 0; row < region.count && found.length < max; row++) {
      const index = region.base + row * region.stride;
      const holder = Atomics.load(region.words, index) & OWNER_MASK;
      if (holder === 0 || (owner !== 0 && holder !== owner)) continue;
      const address = (region.words.byteOffset + index * 4) | 0;
      found.push({ cls: region.cls, row, address, owner: holder });
    }
  }
  return found;
}
