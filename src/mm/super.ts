// SPDX-License-Identifier: GPL-2.0-only
/**
 * Mounts (fs/super.c).
 *
 *   SB_FREE -> SB_NEW          a row is claimed
 *   SB_NEW -> SB_BORN          shrinker, lists, root: calls may begin
 *   SB_BORN -> SB_DYING        nobody uses it: the shrinker goes, then the objects, then the lists
 *   SB_DYING -> SB_FREE
 *
 * Calls under way and open files are counted in `users`; the count is closed before s_umount is
 * taken, so that nothing begins while a mount goes.
 */
import { rwsemDownWrite, rwsemUpWrite } from '../../shared/rwsem.ts';
import { LINE_WORDS } from '../../shared/types.ts';
import { dAlloc, shrinkDcacheForUmount } from './dcache.ts';
import { EBUSY, EINVAL, ENODEV, ENOMEM, ENOSPC } from './errno.ts';
import {
  DISKFS,
  HOSTFS,
  INODES_OF_MOUNTS,
  SB_BORN,
  SB_DYING,
  SB_FREE,
  SB_NEW,
  SB_NO_USERS,
  TMPFS,
} from './fs_types.ts';
import { releaseHostDir } from './host_names.ts';
import { claimInodes, evictInodes, iput, newInode } from './inode.ts';
import { listLruDestroy, listLruInit } from './list_lru.ts';
import { LC_S_UMOUNT } from './lock_order.ts';
import { memcgRefresh } from './memcg_task.ts';
import type { Mm } from './mm.ts';
import { shrinkerAlloc, shrinkerFree, shrinkerRegister } from './shrinker.ts';
import { SHRINKER_TYPE_SUPER } from './shrinker_ops.ts';
import { SHRINKER_MEMCG_AWARE, SHRINKER_NUMA_AWARE } from './shrinker_types.ts';

/** Objects of one scan of a mount, from the kernel: each takes s_umount. */
const SUPER_BATCH = 1024;
const AWARE = SHRINKER_MEMCG_AWARE | SHRINKER_NUMA_AWARE;

/** Names of the types in those of shrinkers. */
const FS_NAMES: Readonly<Record<number, string>> = {
  [TMPFS]: 'tmpfs',
  [DISKFS]: 'diskfs',
  [HOSTFS]: 'hostfs',
};

/** A free row, claimed. @returns 0 when there is none */
function claim(m: Mm): number {
  const rows = m.sizes.fs.nrSupers - 1;
  const { state } = m.fs.super;
  const start = Atomics.add(m.fs.superHint, 0, 1) >>> 0;
  for (let i = 0; i < rows; i++) {
    const sb = 1 + ((start + i) % rows);
    if (Atomics.load(state, sb) !== SB_FREE) continue;
    if (Atomics.compareExchange(state, sb, SB_FREE, SB_NEW) === SB_FREE) return sb;
  }
  return 0;
}

/** Shrinker, lists, root. @returns 0 or -errno; what was made is in the row @context s_umount */
function fill(m: Mm, sb: number, type: number, name: string): number {
  const s = m.fs.super;
  s.type[sb] = type;
  s.shrinker[sb] = 0;
  s.dentryLru[sb] = 0;
  s.inodeLru[sb] = 0;
  s.root[sb] = 0;
  s.dentries[sb] = 0;
  s.inodes[sb] = 0;
  Atomics.store(s.nextIno, sb, 1);
  const label = `sb-${FS_NAMES[type] as string}:${name}`;
  const shrinker = shrinkerAlloc(m, AWARE, SHRINKER_TYPE_SUPER, sb, label);
  if (shrinker < 0) return shrinker;
  m.shrinker.batch[shrinker] = SUPER_BATCH;
  s.shrinker[sb] = shrinker;
  const dentryLru = listLruInit(m, true, shrinker);
  if (dentryLru < 0) return dentryLru;
  s.dentryLru[sb] = dentryLru;
  const inodeLru = listLruInit(m, true, shrinker);
  if (inodeLru < 0) return inodeLru;
  s.inodeLru[sb] = inodeLru;
  const inode = newInode(m, sb, 0);
  if (inode === 0) return ENOMEM;
  const root = dAlloc(m, sb, 0, inode);
  if (root === 0) {
    iput(m, inode);
    return ENOMEM;
  }
  s.root[sb] = root;
  return 0;
}

/** generic_shutdown_super. @context s_umount held for writing; no call under way */
function shutdown(m: Mm, sb: number): void {
  const s = m.fs.super;
  shrinkerFree(m, s.shrinker[sb] as number);
  s.shrinker[sb] = 0;
  shrinkDcacheForUmount(m, sb);
  evictInodes(m, sb);
  listLruDestroy(m, s.dentryLru[sb] as number);
  listLruDestroy(m, s.inodeLru[sb] as number);
  if (s.type[sb] === HOSTFS) releaseHostDir(m, sb);
}

/**
 * Makes a mount.
 * @param fsType TMPFS, DISKFS or, by hostMount alone, HOSTFS @param name for the shrinker's name
 * @returns the mount, ENOSPC when there are too many, ENOMEM, EINVAL, EBUSY when programs of this
 *   machine use rows of inodes by number
 * @context may block and reclaim; no spinlock held. Its objects are charged to this thread's group
 */
export function mount(m: Mm, fsType: number, name: string): number {
  if (fsType !== TMPFS && fsType !== DISKFS && fsType !== HOSTFS) return EINVAL;
  if (!claimInodes(m, INODES_OF_MOUNTS)) return EBUSY;
  if (m.task.mm !== 0) memcgRefresh(m, m.task.mm);
  const sb = claim(m);
  if (sb === 0) return ENOSPC;
  rwsemDownWrite(m.fs.umountLock, sb * LINE_WORDS, LC_S_UMOUNT);
  const error = fill(m, sb, fsType, name);
  if (error < 0) {
    Atomics.store(m.fs.super.state, sb, SB_DYING);
    shutdown(m, sb);
  } else {
    Atomics.store(m.fs.super.users, sb, 0);
    Atomics.store(m.fs.super.state, sb, SB_BORN);
    shrinkerRegister(m, m.fs.super.shrinker[sb] as number);
  }
  rwsemUpWrite(m.fs.umountLock, sb * LINE_WORDS, LC_S_UMOUNT);
  if (error < 0) Atomics.store(m.fs.super.state, sb, SB_FREE);
  return error < 0 ? error : sb;
}

/**
 * Takes a mount away, with all it has.
 * @returns 0, EBUSY with open files or calls under way, ENODEV when it is not mounted
 * @context may block, for its shrinker's scans too; no lock held that a scan waits for
 */
export function umount(m: Mm, sb: number): number {
  if (!(sb > 0 && sb < m.sizes.fs.nrSupers)) return ENODEV;
  const { state, users } = m.fs.super;
  if (Atomics.load(state, sb) !== SB_BORN) return ENODEV;
  const seen = Atomics.compareExchange(users, sb, 0, SB_NO_USERS);
  if (seen !== 0) return seen > 0 ? EBUSY : ENODEV;
  rwsemDownWrite(m.fs.umountLock, sb * LINE_WORDS, LC_S_UMOUNT);
  Atomics.store(state, sb, SB_DYING);
  shutdown(m, sb);
  rwsemUpWrite(m.fs.umountLock, sb * LINE_WORDS, LC_S_UMOUNT);
  Atomics.store(state, sb, SB_FREE);
  return 0;
}

/** Unmounts all that nobody uses: the machine ends. @returns mounts that are left */
export function umountAll(m: Mm): number {
  let left = 0;
  for (let sb = 1; sb < m.sizes.fs.nrSupers; sb++) {
    if (Atomics.load(m.fs.super.state, sb) !== SB_FREE && umount(m, sb) === EBUSY) left++;
  }
  return left;
}

/** A call begins, or a file is opened. @returns false when there is no such mount @context any */
export function superGet(m: Mm, sb: number): boolean {
  if (!(sb > 0 && sb < m.sizes.fs.nrSupers)) return false;
  const { state, users } = m.fs.super;
  if (Atomics.load(state, sb) !== SB_BORN) return false;
  for (let seen = Atomics.load(users, sb); seen >= 0; ) {
    const was = Atomics.compareExchange(users, sb, seen, seen + 1);
    if (was === seen) return true;
    seen = was;
  }
  return false;
}

/** It ends, or is closed. @context whoever got it */
export function superPut(m: Mm, sb: number): void {
  Atomics.sub(m.fs.super.users, sb, 1);
}
