// SPDX-License-Identifier: GPL-2.0-only
/**
 * Tables of the shrinkers: who they are, and per group and node which of them may have objects
 * (include/linux/shrinker.h, struct shrinker_info).
 *
 *   shrinker id     unit        bit          A memcg-aware shrinker has an id. The ids of one unit
 *   0 .. 63         0           0 .. 63      share a bitmap and a row of deferred counts; a group
 *   64 .. 127       1           0 .. 63      has, on each node, an info: how many ids it is made
 *   ...                                      for, and the row of each unit.
 *
 * An info is replaced by a longer one as ids grow; the old one is freed after a grace period. A
 * unit stays where it is until its group is gone.
 */
import type { ArenaBuilder } from '../../shared/arena.ts';
import { RWSEM_WORDS } from '../../shared/rwsem.ts';
import { declareSrcu } from '../../shared/srcu.ts';
import { type I32, LINE_WORDS } from '../../shared/types.ts';

/** SHRINKER_REGISTERED and its like, with the kernel's values. */
export const SHRINKER_REGISTERED = 1;
export const SHRINKER_ALLOCATED = 2;
export const SHRINKER_NUMA_AWARE = 4;
export const SHRINKER_MEMCG_AWARE = 8;
/** Holds no kernel objects: runs for a group although objects are not accounted. */
export const SHRINKER_NONSLAB = 16;
/** shrinkerFree has begun: nobody may take a reference any more. Not the kernel's. */
export const SHRINKER_DYING = 32;

/** Ids of a unit: BITS_PER_LONG. */
export const SHRINKER_UNIT_BITS = 64;
/** Words of a unit's bitmap. */
export const UNIT_MAP_WORDS = SHRINKER_UNIT_BITS / 32;
export const SHRINKER_NAME_BYTES = 32;

/** Words of an info. */
export const INFO_NR_MAX = 0; // ids that it is made for: units x SHRINKER_UNIT_BITS
export const INFO_NEXT = 1; // the next free one, or the next of a chain that is to be freed
export const INFO_UNITS = 2; // row of each unit

/** Words of `words`. */
export const SHRINKER_NR_MAX = 0; // @guardedBy shrinker_rwsem  ids that infos are made for
export const SHRINKER_FREE = 1; // @guardedBy shrinker_pool  first free row
export const SHRINKER_LIVE = 2; // @atomic shrinkers allocated
export const SHRINKER_INFOS = 3; // @guardedBy shrinker_pool  first free info
export const SHRINKER_INFOS_USED = 4; // @guardedBy shrinker_pool  infos in use or waiting for RCU
export const SHRINKER_GENERATION = 5; // @atomic srcu: bumped to cut walks short

/** One row per shrinker; row 0 heads the list of the registered. */
export const SHRINKER_COLUMNS = {
  flags: 'i32', // @atomic SHRINKER_* bits
  refcount: 'i32', // @atomic who runs its callbacks, and one while registered
  done: 'i32', // @atomic completion: the last reference went
  type: 'i32', // @guardedBy shrinker_rwsem  whose callbacks  @racy constant while referenced
  arg: 'i32', // @guardedBy shrinker_rwsem  its private data  @racy constant while referenced
  id: 'i32', // @guardedBy shrinker_rwsem  -1 when not memcg-aware  @racy constant while referenced
  batch: 'i32', // @guardedBy shrinker_rwsem  objects of one scan; 0 is 128  @racy as type
  seeks: 'i32', // @guardedBy shrinker_rwsem  cost of an object; 0 is none  @racy as type
  next: 'i32', // @guardedBy shrinker_rwsem  list of the registered  @racy walks read it under RCU
  prev: 'i32', // @guardedBy shrinker_rwsem; of a free row shrinker_pool: the next free one
} as const;

export interface ShrinkerSizes {
  readonly nrNodes: number;
  readonly nrLruvecs: number;
  readonly nrShrinkers: number;
  /** Units of the longest info. */
  readonly nrUnits: number;
  /** Words of an info, the longest there can be. */
  readonly infoWords: number;
  readonly nrInfos: number;
}

/** @param nrLruvecs groups x nodes; the root's have no info @param shrinkers rows, 0 not counted */
export function shrinkerSizes(nrNodes: number, nrLruvecs: number, shrinkers: number) {
  const nrUnits = Math.ceil(shrinkers / SHRINKER_UNIT_BITS);
  return {
    nrNodes,
    nrLruvecs,
    nrShrinkers: shrinkers + 1,
    nrUnits,
    infoWords: INFO_UNITS + nrUnits,
    // While every info is replaced, the old ones wait for their grace period.
    nrInfos: 1 + 2 * (nrLruvecs - nrNodes),
  } satisfies ShrinkerSizes;
}

/** Declares the tables. Pure, as the arena asks. */
export function declareShrinkers(builder: ArenaBuilder, s: ShrinkerSizes) {
  const words = (name: string, rows: number, wordsPerRow: number): I32 =>
    builder.columns(name, { words: 'i32' }, rows * wordsPerRow).words;
  return {
    ...builder.columns('shrinker', SHRINKER_COLUMNS, s.nrShrinkers),
    // @guardedBy shrinker_rwsem  zero-terminated
    name: builder.columns('shrinker.name', { bytes: 'u8' }, s.nrShrinkers * SHRINKER_NAME_BYTES)
      .bytes,
    // @atomic per shrinker and node: work put off, of shrinkers without an id and of the root
    nrDeferred: words('shrinker.nr_deferred', s.nrShrinkers, s.nrNodes),
    // @atomic row of the shrinker of an id; written under shrinker_rwsem
    idr: words('shrinker.idr', s.nrUnits, SHRINKER_UNIT_BITS),
    // @atomic words of shrinker_rwsem
    rwsem: words('shrinker.rwsem', 1, LINE_WORDS + RWSEM_WORDS),
    // @atomic lock word of shrinker_pool
    poolLock: words('shrinker.pool_lock', 1, LINE_WORDS),
    // @atomic SHRINKER_* words, each as it is tagged above
    words: words('shrinker.words', 1, LINE_WORDS),
    // @guardedBy shrinker_rwsem  infos, word by word as above  @racy walks read them under RCU
    info: words('shrinker.info', s.nrInfos, s.infoWords),
    // @atomic bitmap of each unit; home of a unit: lruvec x nrUnits + its index
    unitMap: words('shrinker.unit.map', s.nrLruvecs * s.nrUnits, UNIT_MAP_WORDS),
    // @atomic work put off, per id of the unit
    unitDeferred: words('shrinker.unit.nr_deferred', s.nrLruvecs * s.nrUnits, SHRINKER_UNIT_BITS),
    srcu: declareSrcu(builder, 'shrinker.srcu'),
  };
}

export type ShrinkerTables = ReturnType<typeof declareShrinkers>;
