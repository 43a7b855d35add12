// SPDX-License-Identifier: GPL-2.0-only
/**
 * The shrinker of a mount: its unused dentries and inodes, in proportion (fs/super.c,
 * super_cache_count and super_cache_scan).
 */
import { shouldFail } from '../../shared/fault.ts';
import { rwsemTryRead, rwsemUpRead } from '../../shared/rwsem.ts';
import { LINE_WORDS } from '../../shared/types.ts';
import { pruneDcache } from './dcache.ts';
import { FAULT_TRYLOCK } from './faults.ts';
import { SB_BORN } from './fs_types.ts';
import { pruneIcache } from './inode.ts';
import { listLruCount } from './list_lru.ts';
import { LC_S_UMOUNT } from './lock_order.ts';
import type { Mm } from './mm.ts';
import {
  GFP_FS,
  SHRINK_EMPTY,
  SHRINK_STOP,
  type ShrinkControl,
  type ShrinkerType,
} from './shrinker_ops.ts';

function unusedDentries(m: Mm, sc: ShrinkControl): number {
  return listLruCount(m, m.fs.super.dentryLru[sc.arg] as number, sc.nid, sc.memcg);
}

function unusedInodes(m: Mm, sc: ShrinkControl): number {
  return listLruCount(m, m.fs.super.inodeLru[sc.arg] as number, sc.nid, sc.memcg);
}

/** @context any: takes no lock, as umount waits for it under s_umount */
function countObjects(m: Mm, sc: ShrinkControl): number {
  if (Atomics.load(m.fs.super.state, sc.arg) !== SB_BORN) return 0;
  const total = unusedDentries(m, sc) + unusedInodes(m, sc);
  if (total === 0) return SHRINK_EMPTY;
  return Math.floor((total * m.config.vfsCachePressure) / 100);
}

/** A mount that comes or goes is left alone: whoever holds s_umount may wait for this callback. */
function scanObjects(m: Mm, sc: ShrinkControl): number {
  const sb = sc.arg;
  if ((sc.gfp & GFP_FS) === 0) return SHRINK_STOP;
  const lock = sb * LINE_WORDS;
  if (shouldFail(FAULT_TRYLOCK) || !rwsemTryRead(m.fs.umountLock, lock, LC_S_UMOUNT)) {
    return SHRINK_STOP;
  }
  if (Atomics.load(m.fs.super.state, sb) !== SB_BORN) {
    rwsemUpRead(m.fs.umountLock, lock, LC_S_UMOUNT);
    return SHRINK_STOP;
  }
  const dentries = unusedDentries(m, sc);
  const inodes = unusedInodes(m, sc);
  const total = Math.max(dentries + inodes, 1);
  // Dentries hold inodes, so they go first. One of each at least, that small caches empty too.
  const share = (objects: number): number => Math.floor((sc.nrToScan * objects) / total) + 1;
  const freed = pruneDcache(m, sb, sc, share(dentries)) + pruneIcache(m, sb, sc, share(inodes));
  rwsemUpRead(m.fs.umountLock, lock, LC_S_UMOUNT);
  return freed;
}

/** Shrinker type SHRINKER_TYPE_SUPER: `arg` is the mount. */
export const superShrinkerType: ShrinkerType = { countObjects, scanObjects };
