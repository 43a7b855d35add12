// SPDX-License-Identifier: GPL-2.0-only
/**
 * Taking a swap device away, and bringing it back (mm/swapfile.c, sys_swapoff and try_to_unuse).
 *
 *   stop      no slot of it is allocated any more; its free slots are no free swap
 *   files     every entry of a file that is one of its slots becomes a page
 *   spaces    every page-table entry that is one of its slots maps its page again
 *   cache     folios that only the swap cache still binds to a slot give it up
 *   again     until no slot is in use: reclaim may unmap a page to its old slot meanwhile, and a
 *             fault may be between two steps
 *
 * Pages come back through the paths of faults, so that whoever faults at the same time meets them
 * in the swap cache. An error leaves the device on, with what is still in it.
 */
import { cpuRelax } from '../../shared/cpu_relax.ts';
import { condResched } from '../../shared/sched.ts';
import { EBUSY, EINTR, EINVAL, EIO, ENOMEM } from './errno.ts';
import { fatalSignalPending } from './fatal_signal.ts';
import { folioLock, folioTest, folioUnlock, folioWaitWriteback, pageFolio } from './folio.ts';
import { HOSTFS } from './fs_types.ts';
import { PTRS_PER_TABLE } from './limits.ts';
import { mappingNext, mappingPeek, XA_NONE } from './mapping.ts';
import { memcgSwapPages } from './memcg_swap.ts';
import { memcgLeave, memcgRefresh } from './memcg_task.ts';
import { memcgMargin } from './memcontrol.ts';
import { doSwapPage, FAULT_FLAG_UNUSE, FAULT_OOM, FAULT_SIGBUS } from './memory.ts';
import type { Mm } from './mm.ts';
import { PG_SWAPCACHE, PTE_MIGRATION, PTE_PRESENT, PTE_SHIFT } from './mm_types.ts';
import { mmapReadLock, mmapReadUnlock } from './mmap.ts';
import { shmemGetFolio } from './shmem.ts';
import { totalFree } from './show_mem.ts';
import { folioPut } from './swap.ts';
import { deviceByName, deviceOf, disableDevice, enableDevice, nrSwapPages } from './swap_info.ts';
import { folioFreeSwap, swapCacheGet } from './swap_state.ts';
import { SWAP_LEAVING, SWAP_OFF, SWAP_ON } from './swap_types.ts';
import { findVma } from './vma.ts';

/** What one swapoff works on. */
interface Unuse {
  readonly m: Mm;
  readonly device: number;
  /** Asked between pages: true ends it with EINTR. */
  readonly interrupted: () => boolean;
}

/** Slots in use. */
function usedSlots(m: Mm, device: number): number {
  return (m.swapDevice.pages[device] as number) - Atomics.load(m.swapDevice.free, device);
}

/** Pages that can be had without reclaim. */
function spareMemory(m: Mm): number {
  let reserve = 0;
  for (let zone = 0; zone < m.sizes.nrZones; zone++) reserve += m.zone.wmarkLow[zone] as number;
  return totalFree(m) - reserve;
}

/**
 * May one more page come in, charged to this thread's group? Where nothing can go out to other
 * swap, for want of it or by memory.swap.max, whatever is full stays full: better no swapoff than a
 * victim of the OOM killer.
 * @returns 0, ENOMEM or EINTR
 */
function mayBringIn({ m, interrupted }: Unuse): number {
  if (interrupted() || fatalSignalPending(m)) return EINTR;
  if (nrSwapPages(m) === 0 && spareMemory(m) <= 0) return ENOMEM;
  for (let group = m.task.memcg; ; group = m.memcg.parent[group] as number) {
    if (memcgMargin(m, group) === 0 && memcgSwapPages(m, m.task.memcg) === 0) return ENOMEM;
    if (group === 0) return 0;
  }
}

/** Every slot of a leaf table (unuse_pte_range). @returns 0, or an errno */
function unuseTable(unuse: Unuse, mm: number, table: number, firstVpn: number): number {
  const { m, device } = unuse;
  for (let i = 0; i < PTRS_PER_TABLE; i++) {
    const pte = table * PTRS_PER_TABLE + i;
    const entry = Atomics.load(m.pte, pte);
    if (entry === 0 || (entry & (PTE_PRESENT | PTE_MIGRATION)) !== 0) continue;
    if (deviceOf(m, entry >>> PTE_SHIFT) !== device) continue;
    const error = mayBringIn(unuse);
    if (error !== 0) return error;
    const vma = findVma(m, mm, firstVpn + i);
    if (vma === 0) continue;
    const result = doSwapPage(m, mm, vma, firstVpn + i, pte, entry, FAULT_FLAG_UNUSE);
    if (result === FAULT_SIGBUS) return EIO;
    if (result === FAULT_OOM) return fatalSignalPending(m) ? EINTR : ENOMEM;
  }
  return 0;
}

/** Every slot below a table. @returns 0, or an errno @context mmap_lock held for reading */
function unuseLevel(unuse: Unuse, mm: number, table: number, level: number, vpn: number): number {
  if (level === 0) {
    condResched();
    return unuseTable(unuse, mm, table, vpn);
  }
  const { m } = unuse;
  for (let i = 0; i < PTRS_PER_TABLE; i++) {
    const entry = Atomics.load(m.pte, table * PTRS_PER_TABLE + i);
    if ((entry & PTE_PRESENT) === 0) continue;
    const below = vpn + i * PTRS_PER_TABLE ** level;
    const error = unuseLevel(unuse, mm, entry >>> PTE_SHIFT, level - 1, below);
    if (error !== 0) return error;
  }
  return 0;
}

/** Every slot of an address space (unuse_mm), whose group pays. @returns 0, or an errno */
function unuseMm(unuse: Unuse, mm: number): number {
  const { m } = unuse;
  if (Atomics.load(m.mm.users, mm) === 0 || Atomics.load(m.mm.swapEnts, mm) === 0) return 0;
  memcgRefresh(m, mm);
  // Whoever leaves it last waits until we have gone, and finds its pages mapped.
  mmapReadLock(m, mm);
  const error = unuseLevel(unuse, mm, m.mm.pgd[mm] as number, 3, 0);
  mmapReadUnlock(m, mm);
  return error;
}

/** Every slot of a file (shmem_unuse_inode). @returns 0, or an errno */
function unuseFile(unuse: Unuse, inode: number): number {
  const { m, device } = unuse;
  for (let at = mappingNext(m, inode, 0); at !== XA_NONE; at = mappingNext(m, inode, at + 1)) {
    const entry = mappingPeek(m, inode, at);
    if (entry >= 0 || deviceOf(m, -entry) !== device) continue;
    const error = mayBringIn(unuse);
    if (error !== 0) return error;
    const pfn = shmemGetFolio(m, inode, at, false);
    if (pfn === ENOMEM || pfn === EIO) return fatalSignalPending(m) ? EINTR : pfn;
    if (pfn < 0) continue;
    folioUnlock(m, pfn);
    folioPut(m, pfn);
    condResched();
  }
  return 0;
}

/** Slots that nothing but the swap cache refers to are given up. */
function unuseCache({ m, device }: Unuse): void {
  const base = m.swapDevice.base[device] as number;
  const last = base + (m.swapDevice.pages[device] as number);
  for (let slot = base + 1; slot <= last; slot++) {
    if (m.slot.cache[slot] === 0) continue; // @racy: the next round looks again
    const page = swapCacheGet(m, slot);
    if (page === 0) continue;
    const pfn = pageFolio(m, page);
    folioLock(m, pfn);
    folioWaitWriteback(m, pfn);
    if (folioTest(m, pfn, PG_SWAPCACHE) && m.page.private[page] === slot) folioFreeSwap(m, pfn);
    folioUnlock(m, pfn);
    folioPut(m, pfn);
  }
}

/** May a file have slots? What is negative in a file of the host is none. @context any; a hint */
function maySwap(m: Mm, inode: number): boolean {
  if (m.mapping.nrSwapped[inode] === 0) return false; // @racy: the next round looks again
  return m.fs.super.type[m.fs.inode.sb[inode] as number] !== HOSTFS;
}

/** One round over all who may refer to the device. @returns 0, or an errno */
function unuseRound(unuse: Unuse): number {
  const { m } = unuse;
  for (let inode = 1; inode < m.sizes.fs.nrInodes; inode++) {
    if (!maySwap(m, inode)) continue;
    const error = unuseFile(unuse, inode);
    if (error !== 0) return error;
  }
  for (let mm = 1; mm < m.sizes.nrMms; mm++) {
    const error = unuseMm(unuse, mm);
    if (error !== 0) return error;
  }
  unuseCache(unuse);
  return unuse.interrupted() || fatalSignalPending(m) ? EINTR : 0;
}

function tryToUnuse(unuse: Unuse): number {
  const { m, device } = unuse;
  if (usedSlots(m, device) > nrSwapPages(m) + Math.max(spareMemory(m), 0)) return ENOMEM;
  while (usedSlots(m, device) > 0) {
    const error = unuseRound(unuse);
    if (error !== 0) return error;
    condResched();
    cpuRelax();
  }
  return 0;
}

/**
 * Swaps a device off: brings back every page that it has.
 * @param name as in /proc/swaps @param interrupted asked between pages: true ends it
 * @returns 0; EINVAL when there is no such device or it is off, EBUSY when another thread is at it;
 *   ENOMEM when memory and other devices cannot take its pages, EINTR when the process is killed or
 *   interrupted, EIO when a page cannot be read: then the device is on as before
 * @context a thread registered with RCU, outside a section, no lock held; may block and reclaim
 */
export function swapoff(m: Mm, name: string, interrupted: () => boolean): number {
  const device = deviceByName(m, name);
  if (device < 0) return EINVAL;
  const was = Atomics.compareExchange(m.swapDevice.state, device, SWAP_ON, SWAP_LEAVING);
  if (was !== SWAP_ON) return was === SWAP_OFF ? EINVAL : EBUSY;
  disableDevice(m, device);
  const error = tryToUnuse({ m, device, interrupted });
  if (m.task.mm === 0) memcgLeave(m);
  else memcgRefresh(m, m.task.mm);
  if (error !== 0) enableDevice(m, device);
  else Atomics.store(m.swapDevice.state, device, SWAP_OFF);
  return error;
}

/**
 * Swaps a device on that is off.
 * @param name as in /proc/swaps while it was on
 * @returns 0; EINVAL when there is no such device, EBUSY when it is on, or on its way out
 * @context any thread; takes swap_cluster
 */
export function swapon(m: Mm, name: string): number {
  const device = deviceByName(m, name);
  if (device < 0) return EINVAL;
  const was = Atomics.compareExchange(m.swapDevice.state, device, SWAP_OFF, SWAP_LEAVING);
  if (was !== SWAP_OFF) return EBUSY;
  enableDevice(m, device);
  return 0;
}
