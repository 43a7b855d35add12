// SPDX-License-Identifier: GPL-2.0-only
/**
 * The end of an address space (mm/mmap.c exit_mmap, mm/memory.c zap_pte_range): every page, swap
 * slot and page table goes back.
 */
import { faultDelay } from '../../shared/fault.ts';
import { condResched } from '../../shared/sched.ts';
import { cgroupExit } from './cgroup.ts';
import { FAULT_DELAY } from './faults.ts';
import { folioLock, folioUnlock } from './folio.ts';
import { PTRS_PER_TABLE } from './limits.ts';
import { memcgLeave } from './memcg_task.ts';
import type { Mm } from './mm.ts';
import { MMF_EXITING, PTE_DIRTY, PTE_PRESENT, PTE_SHIFT, PTE_SPECIAL } from './mm_types.ts';
import { mmapWriteLock, mmapWriteUnlock, unlinkAnonVma } from './mmap.ts';
import { oomVictimDone } from './oom_kill.ts';
import { freeTable, ptlLock, ptlUnlock } from './pgtable.ts';
import { folioRemoveRmap } from './rmap.ts';
import { fileDirty, folioOfHost } from './file_dirty.ts';
import { vmaUnlinkFile } from './vma_file.ts';
import { folioPut } from './swap.ts';
import { folioFreeSwap, swapCacheGet } from './swap_state.ts';
import { swapFree } from './swapfile.ts';

/**
 * A thread leaves its address space; the last one frees it.
 * @returns whether it was the last
 * @context a simulated CPU outside a section, no lock held; may block
 */
export function exitMm(m: Mm, mm: number): boolean {
  Atomics.and(m.mm.cpuMask, mm, ~(1 << m.task.cpu));
  m.task.mm = 0;
  memcgLeave(m);
  if (Atomics.sub(m.mm.users, mm, 1) !== 1) return false;
  Atomics.or(m.mm.flags, mm, MMF_EXITING);
  mmapWriteLock(m, mm);
  zapRange(m, mm, m.mm.pgd[mm] as number, 3);
  // Out of rmap's sight before the tables go: a walk that is under way ends first.
  for (let vma = m.mm.vmaHead[mm] as number; vma !== 0; vma = m.vma.next[vma] as number) {
    if (m.vma.anonVma[vma] !== 0) unlinkAnonVma(m, vma);
    vmaUnlinkFile(m, vma);
    m.vma.file[vma] = 0;
    m.vma.mm[vma] = 0;
  }
  m.mm.vmaHead[mm] = 0;
  freeTables(m, mm, m.mm.pgd[mm] as number, 3);
  mmapWriteUnlock(m, mm);
  // Victim or not: the OOM killer may be about to choose this one, and must not wait for it then.
  oomVictimDone(m, mm);
  cgroupExit(m, mm);
  return true;
}

/** Unmaps every page below a table; the tables stay. */
function zapRange(m: Mm, mm: number, table: number, level: number): void {
  if (level === 0) {
    zapTable(m, mm, table);
    condResched();
    return;
  }
  for (let i = 0; i < PTRS_PER_TABLE; i++) {
    const entry = Atomics.load(m.pte, table * PTRS_PER_TABLE + i);
    if ((entry & PTE_PRESENT) !== 0) zapRange(m, mm, entry >>> PTE_SHIFT, level - 1);
  }
}

/**
 * Frees every table below one, which is empty afterwards. @context nobody can find the tables any
 * more
 */
function freeTables(m: Mm, mm: number, table: number, level: number): void {
  if (level === 0) return;
  for (let i = 0; i < PTRS_PER_TABLE; i++) {
    const index = table * PTRS_PER_TABLE + i;
    const entry = Atomics.load(m.pte, index);
    if ((entry & PTE_PRESENT) === 0) continue;
    freeTables(m, mm, entry >>> PTE_SHIFT, level - 1);
    Atomics.store(m.pte, index, 0);
    freeTable(m, mm, entry >>> PTE_SHIFT);
  }
}

/** Unmaps every page of a leaf table. Nobody runs this mm, so no shootdown is needed. */
function zapTable(m: Mm, mm: number, table: number): void {
  const first = table * PTRS_PER_TABLE;
  const pages: number[] = [];
  const slots: number[] = [];
  let ofFiles = 0;
  ptlLock(m, first);
  for (let i = 0; i < PTRS_PER_TABLE; i++) {
    const entry = Atomics.load(m.pte, first + i);
    if (entry === 0) continue;
    Atomics.store(m.pte, first + i, 0);
    if ((entry & PTE_PRESENT) === 0) slots.push(entry >>> PTE_SHIFT);
    else if ((entry & PTE_SPECIAL) === 0) {
      const pfn = entry >>> PTE_SHIFT;
      pages.push(pfn);
      if (folioOfHost(m, pfn)) {
        // While it is mapped it stays the file's.
        if ((entry & PTE_DIRTY) !== 0) fileDirty(m, pfn);
        ofFiles++;
      }
      folioRemoveRmap(m, pfn);
    }
  }
  ptlUnlock(m, first);
  Atomics.sub(m.mm.rssAnon, mm, pages.length - ofFiles);
  Atomics.sub(m.mm.rssFile, mm, ofFiles);
  Atomics.sub(m.mm.swapEnts, mm, slots.length);
  for (const pfn of pages) {
    freeSwapCache(m, pfn);
    folioPut(m, pfn);
  }
  for (const slot of slots) freeSwapAndCache(m, slot);
}

/**
 * Drops the swap cache's hold on a folio. Waits for a reclaimer that has it locked: that one sees
 * our reference, gives the folio up, and leaves it in the cache for us.
 * @context the caller holds a reference and mmap_lock; takes folio_lock
 */
function freeSwapCache(m: Mm, pfn: number): void {
  folioLock(m, pfn);
  folioFreeSwap(m, pfn);
  folioUnlock(m, pfn);
}

/**
 * Drops an entry's reference to a slot, and a folio that only the cache still holds.
 * @context the entry is gone; takes folio_lock
 */
export function freeSwapAndCache(m: Mm, slot: number): void {
  const pfn = swapCacheGet(m, slot);
  faultDelay(FAULT_DELAY);
  swapFree(m, slot);
  if (pfn === 0) return;
  freeSwapCache(m, pfn);
  folioPut(m, pfn);
}
