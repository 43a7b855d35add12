// SPDX-License-Identifier: GPL-2.0-only
/**
 * Copying an address space (kernel/fork.c, dup_mmap; mm/memory.c, copy_page_range).
 *
 * Anonymous pages are shared: both sides map them read-only, and a write makes a copy
 * (memory_cow.ts). The parent's entries lose their write bit under its mmap_lock; its other CPUs
 * may be writing through what they loaded before, so that one shootdown, after the last table, ends
 * that before the child can run. Entries of files are not copied: the child faults them in.
 */
import { faultDelay } from '../../shared/fault.ts';
import { condResched } from '../../shared/sched.ts';
import { anonVmaFork } from './anon_vma.ts';
import { cgroupFork } from './cgroup.ts';
import { ENOMEM } from './errno.ts';
import { exitMmap } from './exit_mm.ts';
import { FAULT_DELAY } from './faults.ts';
import { folioOrder, folioSet, pageFolio } from './folio.ts';
import type { Mm } from './mm.ts';
import {
  MMF_UNSTABLE,
  PG_MAYSHARE,
  PTE_FILE,
  PTE_MIGRATION,
  PTE_PRESENT,
  PTE_SHIFT,
  PTE_SPECIAL,
  PTE_WRITE,
  PTE_YOUNG,
  VM_LOCKED,
} from './mm_types.ts';
import { mmapWriteLock, mmapWriteUnlock } from './mmap.ts';
import { PTE_NONE, pteAllocTables, ptlLock, ptlUnlock } from './pgtable.ts';
import { folioDupAnonRmap } from './rmap.ts';
import { swapDuplicate } from './swapfile.ts';
import { tlbFlush } from './tlb.ts';
import { dupVma, freeVma, insertVma } from './vma.ts';
import { vmaEndWriteAll, vmaStartWrite } from './vma_lock.ts';
import { forEachLeaf } from './zap.ts';

/** What one table gave the child. Private to the thread. */
const copied = { pages: 0, slots: 0, full: false };

/**
 * Makes `childMm` a copy of `parentMm`: same VMAs, same pages, both sides write-protected. The
 * child joins the parent's group, and its pages are filled as the parent's.
 * @param parentMm the address space that this thread runs in, or one that cannot end meanwhile
 * @param childMm fresh from allocMm: nobody runs in it yet
 * @returns 0; -ENOMEM when rows, page tables or references of swap slots have run out: the child is
 *   empty then, and the caller ends it with exitMm
 * @context outside a section, no lock held; takes cgroup_mutex, then mmap_lock of the parent for
 *   writing; may block
 */
export function dupMm(m: Mm, parentMm: number, childMm: number): number {
  cgroupFork(m, parentMm, childMm);
  m.mm.fillId[childMm] = m.mm.fillId[parentMm] as number;
  mmapWriteLock(m, parentMm);
  // What the OOM reaper has taken pages from is not worth a copy.
  let error = (Atomics.load(m.mm.flags, parentMm) & MMF_UNSTABLE) !== 0 ? ENOMEM : 0;
  for (let vma = m.mm.vmaHead[parentMm] as number; vma !== 0 && error === 0; ) {
    error = copyVma(m, parentMm, childMm, vma);
    vma = m.vma.next[vma] as number;
  }
  faultDelay(FAULT_DELAY);
  // Also when it failed: entries of the parent are write-protected already.
  tlbFlush(m, Atomics.load(m.mm.cpuMask, parentMm));
  mmapWriteUnlock(m, parentMm);
  vmaEndWriteAll(m, childMm);
  if (error < 0) exitMmap(m, childMm);
  return error;
}

/** @returns 0 or -ENOMEM @context mmap_lock of the parent held for writing */
function copyVma(m: Mm, parentMm: number, childMm: number, vma: number): number {
  // No fault may put a page into the parent's that the child should have, or make one writable.
  vmaStartWrite(m, vma);
  const copy = dupVma(m, vma);
  if (copy === 0) return ENOMEM;
  m.vma.mm[copy] = childMm;
  // Memory locks are not inherited.
  m.vma.flags[copy] = (m.vma.flags[copy] as number) & ~VM_LOCKED;
  if (anonVmaFork(m, copy, vma) < 0) {
    freeVma(m, copy);
    return ENOMEM;
  }
  insertVma(m, childMm, copy);
  // Without an anon_vma it has no page of its own.
  if (Atomics.load(m.vma.anonVma, vma) === 0) return 0;
  const start = m.vma.start[vma] as number;
  const end = m.vma.end[vma] as number;
  let error = 0;
  forEachLeaf(m, parentMm, start, end, (first, count, vpn) => {
    if (error === 0) error = copyLeaf(m, childMm, first, count, vpn);
    condResched();
  });
  return error;
}

/** Copies a part of one leaf table. @returns 0 or -ENOMEM */
function copyLeaf(m: Mm, childMm: number, first: number, count: number, vpn: number): number {
  const to = pteAllocTables(m, childMm, vpn);
  if (to === PTE_NONE) return ENOMEM;
  copied.pages = 0;
  copied.slots = 0;
  copied.full = false;
  ptlLock(m, first);
  for (let i = 0; i < count && !copied.full; i++) copyEntry(m, first + i, to + i);
  ptlUnlock(m, first);
  Atomics.add(m.mm.rssAnon, childMm, copied.pages);
  Atomics.add(m.mm.swapEnts, childMm, copied.slots);
  return copied.full ? ENOMEM : 0;
}

/** A page that is on its way will be mapped twice: if it is a part of a large folio, that knows. */
function noteShared(m: Mm, page: number): void {
  const pfn = pageFolio(m, page);
  if (folioOrder(m, pfn) > 0) folioSet(m, pfn, PG_MAYSHARE);
}

/**
 * Copies one entry. The child's table is in the rmap's sight at once, but nobody else writes to an
 * empty entry of it: a store needs no lock.
 * @context the parent's ptl held
 */
function copyEntry(m: Mm, from: number, to: number): void {
  let entry = Atomics.load(m.pte, from);
  if (entry === 0) return;
  const target = entry >>> PTE_SHIFT;
  if ((entry & (PTE_PRESENT | PTE_MIGRATION)) === PTE_MIGRATION) {
    if ((entry & PTE_FILE) !== 0) return;
    // The walk that ends the migration sees the child after the parent: it finds both.
    entry = Atomics.and(m.pte, from, ~PTE_WRITE) & ~(PTE_WRITE | PTE_YOUNG);
    noteShared(m, target);
    copied.pages++;
  } else if ((entry & PTE_PRESENT) === 0) {
    copied.full = !swapDuplicate(m, target);
    if (copied.full) return;
    copied.slots++;
  } else if ((entry & PTE_SPECIAL) === 0) {
    // A file's page: the child finds it in the file.
    if ((m.page.mapping[target] as number) < 0) return;
    // The CPU marks entries meanwhile; reclaim cannot, for want of ptl.
    entry = Atomics.and(m.pte, from, ~PTE_WRITE) & ~(PTE_WRITE | PTE_YOUNG);
    Atomics.add(m.page.refcount, pageFolio(m, target), 1);
    folioDupAnonRmap(m, target);
    copied.pages++;
  }
  Atomics.store(m.pte, to, entry);
}
