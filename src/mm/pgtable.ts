// SPDX-License-Identifier: GPL-2.0-only
/**
 * Page tables: four levels of 512 entries, allocated as needed, freed with their address space.
 *
 * Leaf entries are changed by the CPU that runs (young and dirty bits, by compare-and-swap: an
 * entry that reclaim has just cleared must not get them) and by whoever holds the table's lock
 * (ptl). Non-leaf entries carry a young bit too, set with the leaf's.
 */
import { bug } from '../../shared/assert.ts';
import { shouldFail } from '../../shared/fault.ts';
import { spinLock, spinUnlock } from '../../shared/spinlock.ts';
import { LINE_WORDS } from '../../shared/types.ts';
import { FAULT_PAGE_ALLOC } from './faults.ts';
import { PTRS_PER_TABLE } from './limits.ts';
import { LC_PAGE_TABLE, LC_PTL } from './lock_order.ts';
import type { Mm } from './mm.ts';
import { PTE_PRESENT, PTE_SHIFT, PTE_YOUNG } from './mm_types.ts';
import { POOL_TABLES, poolPut, poolTake } from './row_pool.ts';

/** No table on the way: the page was never touched. */
export const PTE_NONE = -1;

/** Entry index at one level: 3 is the top. The quotients stay exact: vpn is below 2^36. */
function levelIndex(vpn: number, level: number): number {
  return Math.floor(vpn / 512 ** level) % 512;
}

/**
 * @returns index of the leaf entry of `vpn`, or PTE_NONE @context lock-free: tables live as long as
 *   the mm
 */
export function pteOffset(m: Mm, mm: number, vpn: number): number {
  let table = m.mm.pgd[mm] as number;
  for (let level = 3; level > 0; level--) {
    const entry = Atomics.load(m.pte, table * PTRS_PER_TABLE + levelIndex(vpn, level));
    if ((entry & PTE_PRESENT) === 0) return PTE_NONE;
    table = entry >>> PTE_SHIFT;
  }
  return table * PTRS_PER_TABLE + (vpn % 512);
}

/**
 * Where to look next when `vpn` has no leaf table: the end of the hole that the first missing table
 * on the way down leaves.
 * @returns a vpn above `vpn`, of the start of a leaf table @context as pteOffset
 */
export function pteHoleEnd(m: Mm, mm: number, vpn: number): number {
  let table = m.mm.pgd[mm] as number;
  let level = 3;
  for (; level > 1; level--) {
    const entry = Atomics.load(m.pte, table * PTRS_PER_TABLE + levelIndex(vpn, level));
    if ((entry & PTE_PRESENT) === 0) break;
    table = entry >>> PTE_SHIFT;
  }
  const pages = 512 ** level;
  return (Math.floor(vpn / pages) + 1) * pages;
}

/**
 * Like pteOffset, making the tables that are missing.
 * @returns PTE_NONE only where a fault was injected
 * @context takes page_table_lock when one is missing; mmap_lock held for read at least
 */
export function pteAlloc(m: Mm, mm: number, vpn: number): number {
  const found = pteOffset(m, mm, vpn);
  if (found !== PTE_NONE) return found;
  if (shouldFail(FAULT_PAGE_ALLOC)) return PTE_NONE;
  const pte = pteAllocTables(m, mm, vpn);
  if (pte === PTE_NONE) bug(`out of page tables: booted with ${m.config.pageTables}`);
  return pte;
}

/**
 * Like pteAlloc, for those who can do without.
 * @returns PTE_NONE when the machine is out of page tables
 * @context as pteAlloc
 */
export function pteAllocTables(m: Mm, mm: number, vpn: number): number {
  const lock = mm * LINE_WORDS;
  spinLock(m.pageTableLock, lock, LC_PAGE_TABLE);
  let table = m.mm.pgd[mm] as number;
  for (let level = 3; level > 0 && table !== 0; level--) {
    const index = table * PTRS_PER_TABLE + levelIndex(vpn, level);
    const entry = Atomics.load(m.pte, index);
    if ((entry & PTE_PRESENT) !== 0) {
      table = entry >>> PTE_SHIFT;
      continue;
    }
    table = allocTable(m, mm, index);
    if (table !== 0) Atomics.store(m.pte, index, (table << PTE_SHIFT) | PTE_PRESENT);
  }
  spinUnlock(m.pageTableLock, lock, LC_PAGE_TABLE);
  return table === 0 ? PTE_NONE : table * PTRS_PER_TABLE + (vpn % 512);
}

/**
 * Takes a zeroed table from the pool, and makes `parent` its entry above.
 * @returns its row, or 0 when all are in use
 * @context takes table_pool; under page_table_lock, or while nobody knows the address space
 */
export function allocTable(m: Mm, mm: number, parent: number): number {
  const table = poolTake(m, POOL_TABLES, m.table.freeNext, m.sizes.nrTables - 1);
  if (table === 0) return 0;
  m.table.parent[table] = parent;
  Atomics.add(m.mm.nrTables, mm, 1);
  return table;
}

/**
 * Gives a table whose entries are all zero back to the pool.
 * @context takes table_pool; nobody can reach the table
 */
export function freeTable(m: Mm, mm: number, table: number): void {
  poolPut(m, POOL_TABLES, m.table.freeNext, table);
  Atomics.sub(m.mm.nrTables, mm, 1);
}

/**
 * @param pte index of a leaf entry: its table's lock is taken
 * @context takes ptl; nothing may sleep under it
 */
export function ptlLock(m: Mm, pte: number): void {
  spinLock(m.ptl, Math.floor(pte / PTRS_PER_TABLE), LC_PTL);
}

/** Releases the lock of the entry's table. @context the holder */
export function ptlUnlock(m: Mm, pte: number): void {
  spinUnlock(m.ptl, Math.floor(pte / PTRS_PER_TABLE), LC_PTL);
}

/**
 * Sets the young bit in the entry above a leaf table, as a table walk of the hardware does.
 * @context the CPU that runs
 */
export function markNonLeafYoung(m: Mm, pte: number): void {
  const parent = m.table.parent[Math.floor(pte / PTRS_PER_TABLE)] as number;
  if ((Atomics.load(m.pte, parent) & PTE_YOUNG) === 0) Atomics.or(m.pte, parent, PTE_YOUNG);
}

/**
 * Clears the young bit of a leaf entry without flushing any TLB, as x86 does.
 * @returns whether it was set @context ptl held
 */
export function ptepTestAndClearYoung(m: Mm, pte: number): boolean {
  let entry = Atomics.load(m.pte, pte);
  while ((entry & (PTE_PRESENT | PTE_YOUNG)) === (PTE_PRESENT | PTE_YOUNG)) {
    const was = Atomics.compareExchange(m.pte, pte, entry, entry & ~PTE_YOUNG);
    if (was === entry) return true;
    entry = was;
  }
  return false;
}
