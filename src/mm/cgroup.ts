// SPDX-License-Identifier: GPL-2.0-only
/**
 * Groups come and go at run time, and processes move between them (kernel/cgroup/cgroup.c, as far
 * as the memory controller sees it).
 *
 * cgroup_mutex makes changes of the tree one at a time. Removing a group takes it from those who
 * name it; its row stays, dying, as long as anything refers to it (memcg_css.ts), and
 * cgroup_destroy gives the row back (cgroup_release.ts).
 */
import { mutexLock, mutexUnlock } from '../../shared/atomics_mutex.ts';
import { cgroupOffline, cgroupOnline } from './cgroup_hooks.ts';
import { cgroupLookup, cgroupNameValid, hashCgroup, unhashCgroup } from './cgroup_names.ts';
import { freeMemcgRow, linkMemcg, takeMemcgRow } from './cgroup_rows.ts';
import { EBUSY, EEXIST, EINVAL, ENODEV, ENOSPC, EPERM } from './errno.ts';
import { LC_CGROUP } from './lock_order.ts';
import {
  CGROUP_ATTACHED,
  CGROUP_MUTEX,
  CGROUP_SERIAL,
  memcgGet,
  memcgOnline,
  memcgPut,
} from './memcg_css.ts';
import type { Mm } from './mm.ts';
import { MEMCG_DYING, MEMCG_ONLINE, MMF_EXITING } from './mm_types.ts';

/** Most pages that a limit can say. */
const MAX_PAGES = 0x7fffffff;

/** @context may block; see docs/locking.md for what is taken inside */
export function cgroupLock(m: Mm): void {
  mutexLock(m.cgroup, CGROUP_MUTEX, LC_CGROUP);
}

/** @context the holder */
export function cgroupUnlock(m: Mm): void {
  mutexUnlock(m.cgroup, CGROUP_MUTEX, LC_CGROUP);
}

/**
 * Are the machine's groups those of its configuration for ever? Then it has no cgroup_destroy, and
 * no group can be made or removed.
 */
export function cgroupsFixed(m: Mm): boolean {
  return m.config.memcgsMax === m.config.memcgs.length;
}

function isRow(m: Mm, memcg: number): boolean {
  return Number.isInteger(memcg) && memcg >= 0 && memcg < m.sizes.nrMemcgs;
}

/**
 * Makes a group.
 * @returns as cgroupMkdir
 * @context cgroup_mutex held, or boot
 */
export function createCgroup(m: Mm, parent: number, name: string, maxPages: number): number {
  if (!memcgOnline(m, parent)) return ENODEV;
  if (cgroupLookup(m, parent, name) !== 0) return EEXIST;
  const memcg = takeMemcgRow(m);
  if (memcg === 0) return ENOSPC;
  const serial = (m.cgroup[CGROUP_SERIAL] as number) + 1;
  m.cgroup[CGROUP_SERIAL] = serial;
  m.memcg.serial[memcg] = serial;
  m.memcg.parent[memcg] = parent;
  Atomics.store(m.memcg.max, memcg, maxPages);
  const error = cgroupOnline(m, memcg);
  if (error < 0) {
    freeMemcgRow(m, memcg);
    return error;
  }
  memcgGet(m, parent);
  m.memcg.onlineChildren[parent] = (m.memcg.onlineChildren[parent] as number) + 1;
  hashCgroup(m, memcg, parent, name);
  // Whoever still has the row's number from its last life may take a reference from here on: not
  // before nothing can fail any more, or the row would be freed from under it.
  Atomics.store(m.memcg.refs, memcg, 1);
  Atomics.store(m.memcg.state, memcg, MEMCG_ONLINE);
  linkMemcg(m, memcg, parent);
  return memcg;
}

/**
 * Makes a group below `parent`.
 * @param name 1 to 31 printable ASCII characters, no slash, unique among the parent's children
 * @param maxPages limit of the group and all below it, in pages; -1 for none
 * @returns its number, valid until it is removed; ENODEV when the parent is gone, EEXIST, EINVAL,
 *   ENOSPC when all rows are in use (removed groups keep theirs until they are released), or what
 *   an allocation failed with
 * @context may block; takes cgroup_mutex
 */
export function cgroupMkdir(m: Mm, parent: number, name: string, maxPages: number): number {
  const limitOk = Number.isInteger(maxPages) && maxPages >= -1 && maxPages <= MAX_PAGES;
  if (!isRow(m, parent) || !cgroupNameValid(name) || !limitOk) return EINVAL;
  cgroupLock(m);
  try {
    return createCgroup(m, parent, name, maxPages);
  } finally {
    cgroupUnlock(m);
  }
}

/**
 * Removes a group. What is charged to it stays charged until it is reclaimed or freed.
 * @returns 0; EBUSY with processes or children, ENODEV when it is gone already, EINVAL for the root
 *   or no row, EPERM when the machine's groups are fixed
 * @context may block; takes cgroup_mutex
 */
export function cgroupRmdir(m: Mm, memcg: number): number {
  if (!isRow(m, memcg) || memcg === 0) return EINVAL;
  if (cgroupsFixed(m)) return EPERM;
  cgroupLock(m);
  try {
    if (!memcgOnline(m, memcg)) return ENODEV;
    if (Atomics.load(m.memcg.procs, memcg) > 0) return EBUSY;
    if ((m.memcg.onlineChildren[memcg] as number) > 0) return EBUSY;
    const parent = m.memcg.parent[memcg] as number;
    Atomics.store(m.memcg.state, memcg, MEMCG_DYING);
    unhashCgroup(m, memcg);
    m.memcg.onlineChildren[parent] = (m.memcg.onlineChildren[parent] as number) - 1;
    cgroupOffline(m, memcg, parent);
  } finally {
    cgroupUnlock(m);
  }
  memcgPut(m, memcg);
  return 0;
}

/** Where a process counts. @context cgroup_mutex held, or boot */
function moveProcess(m: Mm, mm: number, memcg: number): void {
  Atomics.add(m.memcg.procs, memcg, 1);
  const before = Atomics.exchange(m.mm.memcg, mm, memcg);
  Atomics.sub(m.memcg.procs, before, 1);
}

/**
 * Moves a process to a group: what it charges from its next fault on goes there; what it has
 * charged stays where it is.
 * @param mm address space of the process
 * @returns 0; ENODEV when the group is gone, EINVAL for no row or a process that has ended
 * @context may block; takes cgroup_mutex
 */
export function cgroupAttach(m: Mm, mm: number, memcg: number): number {
  const known = Number.isInteger(mm) && mm > 0 && mm < m.sizes.nrMms;
  if (!known || !isRow(m, memcg)) return EINVAL;
  cgroupLock(m);
  try {
    if (!memcgOnline(m, memcg)) return ENODEV;
    if ((Atomics.load(m.mm.flags, mm) & MMF_EXITING) !== 0) return EINVAL;
    moveProcess(m, mm, memcg);
    Atomics.add(m.cgroup, CGROUP_ATTACHED, 1);
    return 0;
  } finally {
    cgroupUnlock(m);
  }
}

/**
 * A new process is in its parent's group, wherever that is now (cgroup_post_fork).
 * @context may block; takes cgroup_mutex; the parent does not end meanwhile
 */
export function cgroupFork(m: Mm, parentMm: number, childMm: number): void {
  cgroupLock(m);
  const memcg = Atomics.load(m.mm.memcg, parentMm);
  Atomics.add(m.memcg.procs, memcg, 1);
  const before = Atomics.exchange(m.mm.memcg, childMm, memcg);
  Atomics.sub(m.memcg.procs, before, 1);
  cgroupUnlock(m);
}

/** A process has ended: it is in no group, which its row says as root. @context as cgroupAttach */
export function cgroupExit(m: Mm, mm: number): void {
  cgroupLock(m);
  const before = Atomics.exchange(m.mm.memcg, mm, 0);
  Atomics.sub(m.memcg.procs, before, 1);
  cgroupUnlock(m);
}
