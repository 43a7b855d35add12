// SPDX-License-Identifier: GPL-2.0-only
/** Dropping caches on request (fs/drop_caches.c; mm/vmscan.c, drop_slab). */
import { kthreadShouldStop } from '../../shared/sched.ts';
import { EINVAL } from './errno.ts';
import { fatalSignalPending } from './fatal_signal.ts';
import { invalidateFile } from './file_room.ts';
import { forEachHostInode } from './host_inodes.ts';
import { FULL_WALK, memcgIter, memcgIterBreak } from './memcg_iter.ts';
import type { Mm } from './mm.ts';
import { shrinkSlab } from './shrink_slab.ts';
import { GFP_KERNEL } from './shrinker_ops.ts';
import { lruAddDrainAll } from './swap.ts';
import { EV } from './vmstat_items.ts';

/** Bits of what is written to drop_caches. */
const DROP_PAGECACHE = 1;
const DROP_SLAB = 2;
/** Passes over a node: each is to free twice the last one's least. */
const PASSES_MAX = 31;

function interrupted(m: Mm): boolean {
  return fatalSignalPending(m) || kthreadShouldStop();
}

/** Drops what the host has too, of every file. @context no lock held */
function dropPagecache(m: Mm): void {
  lruAddDrainAll(m, false);
  const cached = (inode: number): boolean => (m.mapping.nrPages[inode] as number) > 0;
  forEachHostInode(m, cached, (inode) => invalidateFile(m, inode));
}

/** One pass over all groups of a node. @returns objects freed, -1 when it was interrupted */
function dropSlabPass(m: Mm, nid: number): number {
  let freed = 0;
  for (let memcg = memcgIter(m, 0, -1, FULL_WALK); memcg >= 0; ) {
    if (interrupted(m)) {
      memcgIterBreak(m, 0, memcg);
      return -1;
    }
    freed += shrinkSlab(m, GFP_KERNEL, nid, memcg, 0);
    memcg = memcgIter(m, 0, memcg, FULL_WALK);
  }
  return freed;
}

/**
 * Frees every kernel object that can be: all groups of all nodes, until a pass frees little.
 * @returns objects freed
 * @context no lock held; may block in callbacks
 */
export function dropSlab(m: Mm): number {
  let total = 0;
  for (let nid = 0; nid < m.sizes.nrNodes; nid++) {
    for (let shift = 0; shift < PASSES_MAX; shift++) {
      const freed = dropSlabPass(m, nid);
      if (freed < 0) return total;
      total += freed;
      if (Math.floor(freed / 2 ** shift) <= 1) break;
    }
  }
  return total;
}

/**
 * What a write to /proc/sys/vm/drop_caches does. Of the page cache, clean and unmapped pages of the
 * host's files go; pages of tmpfs files have no other copy.
 * @param what 1 page cache, 2 slab, 3 both @returns 0, or EINVAL @context as dropSlab
 */
export function dropCaches(m: Mm, what: number): number {
  if (!Number.isInteger(what) || what < 1 || what > 3) return EINVAL;
  const { events } = m.task;
  if ((what & DROP_PAGECACHE) !== 0) {
    dropPagecache(m);
    events[EV.drop_pagecache] = (events[EV.drop_pagecache] as number) + 1;
  }
  if ((what & DROP_SLAB) !== 0) {
    dropSlab(m);
    events[EV.drop_slab] = (events[EV.drop_slab] as number) + 1;
  }
  return 0;
}
