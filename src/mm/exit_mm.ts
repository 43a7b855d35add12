// SPDX-License-Identifier: GPL-2.0-only
/**
 * The end of an address space (mm/mmap.c exit_mmap, mm/memory.c zap_pte_range): every page, swap
 * slot and page table goes back.
 */
import { condResched } from '../../shared/sched.ts';
import { cgroupExit } from './cgroup.ts';
import { PTRS_PER_TABLE } from './limits.ts';
import { memcgLeave } from './memcg_task.ts';
import type { Mm } from './mm.ts';
import { freeMm } from './mm_rows.ts';
import { MMF_EXITING, PTE_PRESENT, PTE_SHIFT } from './mm_types.ts';
import { mmapWriteLock, mmapWriteUnlock } from './mmap.ts';
import { oomVictimDone } from './oom_kill.ts';
import { freeTable } from './pgtable.ts';
import { switchMm } from './tlb.ts';
import { removeVma } from './vma.ts';
import { zapEntries } from './zap.ts';

/**
 * One user less of an address space: this thread, which leaves it if it runs in it. The last one
 * frees it, and its row if it came at run time.
 * @returns whether it was the last
 * @context a simulated CPU outside a section, no lock held; may block
 */
export function exitMm(m: Mm, mm: number): boolean {
  if (m.task.mm === mm) {
    switchMm(m, 0);
    memcgLeave(m);
  }
  if (Atomics.sub(m.mm.users, mm, 1) !== 1) return false;
  Atomics.or(m.mm.flags, mm, MMF_EXITING);
  exitMmap(m, mm);
  // Victim or not: the OOM killer may be about to choose this one, and must not wait for it then.
  oomVictimDone(m, mm);
  cgroupExit(m, mm);
  freeMm(m, mm);
  return true;
}

/**
 * Frees all that an address space maps: pages, swap slots, VMAs, tables but the top one. Only the
 * part that hides a VMA from the rmap is under its anon_vma's rwsem, as in the kernel.
 * @context no CPU runs in it, or its page tables are not used; takes mmap_lock for writing
 */
export function exitMmap(m: Mm, mm: number): void {
  mmapWriteLock(m, mm);
  zapTables(m, mm, m.mm.pgd[mm] as number, 3);
  // Out of rmap's sight before the tables go: a walk that is under way ends first.
  for (let vma = m.mm.vmaHead[mm] as number; vma !== 0; vma = m.mm.vmaHead[mm] as number) {
    removeVma(m, vma);
  }
  freeTables(m, mm, m.mm.pgd[mm] as number, 3);
  mmapWriteUnlock(m, mm);
}

/**
 * Unmaps every page below a table; the tables stay.
 * @param level of the table: 3 is the top, 0 a leaf
 * @context as zapEntries
 */
export function zapTables(m: Mm, mm: number, table: number, level: number): void {
  if (level === 0) {
    zapEntries(m, mm, table * PTRS_PER_TABLE, PTRS_PER_TABLE);
    condResched();
    return;
  }
  for (let i = 0; i < PTRS_PER_TABLE; i++) {
    const entry = Atomics.load(m.pte, table * PTRS_PER_TABLE + i);
    if ((entry & PTE_PRESENT) !== 0) zapTables(m, mm, entry >>> PTE_SHIFT, level - 1);
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
