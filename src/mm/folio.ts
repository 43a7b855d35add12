// SPDX-License-Identifier: GPL-2.0-only
/**
 * Folios: flag tests, references, the folio lock.
 *
 * References: one per page-table entry that maps the page, one for the swap cache, one for whoever
 * isolated it, one per LRU batch slot, and transient ones. A folio whose count reaches 0 belongs to
 * whoever took it there. Freezing takes the count from exactly what is expected to 0, so that any
 * other holder makes it fail (mm/vmscan.c `__remove_mapping`).
 *
 * A large folio is named by its head, whose flags and references are the folio's; `page` in a name
 * or a parameter means any page of one, found by `pageFolio` (docs/adr/0013-large-folios.md).
 */
import { assert, bug } from '../../shared/assert.ts';
import { bitClearWake, bitLock, bitTryLock, bitUnlock, bitWait } from '../../shared/bit_lock.ts';
import { LC_FOLIO } from './lock_order.ts';
import type { Mm } from './mm.ts';
import {
  LRU_ACTIVE_ANON,
  LRU_ACTIVE_FILE,
  LRU_INACTIVE_ANON,
  LRU_INACTIVE_FILE,
  LRU_UNEVICTABLE,
  PG_ACTIVE,
  PG_LOCKED,
  PG_SWAPBACKED,
  PG_UNEVICTABLE,
  PG_WRITEBACK,
} from './mm_types.ts';

/** @returns whether any of `bit` is set at this moment */
export function folioTest(m: Mm, pfn: number, bit: number): boolean {
  return (Atomics.load(m.page.flags, pfn) & bit) !== 0;
}

/** Sets PG_* bits, leaving the others. */
export function folioSet(m: Mm, pfn: number, bits: number): void {
  Atomics.or(m.page.flags, pfn, bits);
}

/** Clears PG_* bits, leaving the others. */
export function folioClear(m: Mm, pfn: number, bits: number): void {
  Atomics.and(m.page.flags, pfn, ~bits);
}

/** @returns whether `bit` was set before; exactly one of several callers sees true */
export function folioTestClear(m: Mm, pfn: number, bit: number): boolean {
  return (Atomics.and(m.page.flags, pfn, ~bit) & bit) !== 0;
}

/** Takes a reference unless the folio is free or frozen. */
export function folioTryGet(m: Mm, pfn: number): boolean {
  const { refcount } = m.page;
  let seen = Atomics.load(refcount, pfn);
  while (seen > 0) {
    const was = Atomics.compareExchange(refcount, pfn, seen, seen + 1);
    if (was === seen) return true;
    seen = was;
  }
  return false;
}

/** Drops a reference. @returns true when it was the last: the caller must free the folio */
export function folioPutTestZero(m: Mm, pfn: number): boolean {
  const before = Atomics.sub(m.page.refcount, pfn, 1);
  if (before <= 0) bug(`folioPut: pfn ${pfn} had ${before} references`);
  return before === 1;
}

/** Freezes the count from exactly `expected` to 0. @returns false when anybody else holds one */
export function folioRefFreeze(m: Mm, pfn: number, expected: number): boolean {
  return Atomics.compareExchange(m.page.refcount, pfn, expected, 0) === expected;
}

/** Undoes a freeze. */
export function folioRefUnfreeze(m: Mm, pfn: number, count: number): void {
  assert(Atomics.load(m.page.refcount, pfn) === 0, 'unfreezing a folio that is not frozen');
  Atomics.store(m.page.refcount, pfn, count);
}

/**
 * The folio that a page is of.
 * @returns the pfn of its head, which is the page itself unless the folio is large
 * @context a reference on the folio, the ptl of an entry that maps the page, or swap_cluster of the
 *   slot that names it: else a moment old
 */
export function pageFolio(m: Mm, page: number): number {
  return (m.page.head[page] as number) || page;
}

/** @returns log2 of the folio's pages @param pfn its head @context as pageFolio */
export function folioOrder(m: Mm, pfn: number): number {
  return m.page.order[pfn] as number;
}

/** @returns pages of the folio @param pfn its head @context as pageFolio */
export function folioPages(m: Mm, pfn: number): number {
  return 1 << (m.page.order[pfn] as number);
}

/** @context may block; outside every spinlock; taken under mmap_lock, above anon_vma->rwsem */
export function folioLock(m: Mm, pfn: number): void {
  bitLock(m.page.flags, pfn, PG_LOCKED, m.folioWait, LC_FOLIO);
}

/** @returns false when somebody holds the lock @context any, under spinlocks too */
export function folioTryLock(m: Mm, pfn: number): boolean {
  return bitTryLock(m.page.flags, pfn, PG_LOCKED, LC_FOLIO);
}

/** Gives the folio lock up and wakes who waits for it. @context the holder */
export function folioUnlock(m: Mm, pfn: number): void {
  bitUnlock(m.page.flags, pfn, PG_LOCKED, m.folioWait, LC_FOLIO);
}

/** Clears PG_WRITEBACK and wakes who waits for it. */
export function folioEndWriteback(m: Mm, pfn: number): void {
  assert(folioTest(m, pfn, PG_WRITEBACK), 'ending writeback that was not begun');
  Atomics.sub(m.node.writeback, folioNid(m, pfn), folioPages(m, pfn));
  bitClearWake(m.page.flags, pfn, PG_WRITEBACK, m.folioWait);
}

/** Ends the writes that this thread has under way itself; null while it has none (swap_plug.ts). */
export const ownWrites: { finish: ((m: Mm) => void) | null } = { finish: null };

/** Waits until a page is not being written. @context a reference; may hold the folio lock */
export function folioWaitWriteback(m: Mm, pfn: number): void {
  if (!folioTest(m, pfn, PG_WRITEBACK)) return;
  // One of them may be this page.
  ownWrites.finish?.(m);
  bitWait(m.page.flags, pfn, PG_WRITEBACK, m.folioWait, 0);
}

/** @returns the node that the folio is on */
export function folioNid(m: Mm, pfn: number): number {
  return m.zone.nid[m.page.zone[pfn] as number] as number;
}

/** The list that a folio's flags name. */
export function folioLruList(flags: number): number {
  if ((flags & PG_UNEVICTABLE) !== 0) return LRU_UNEVICTABLE;
  if ((flags & PG_SWAPBACKED) !== 0) {
    return (flags & PG_ACTIVE) !== 0 ? LRU_ACTIVE_ANON : LRU_INACTIVE_ANON;
  }
  return (flags & PG_ACTIVE) !== 0 ? LRU_ACTIVE_FILE : LRU_INACTIVE_FILE;
}

/** @returns whether the list is one of the two of file pages */
export function isFileLru(lru: number): boolean {
  return lru === LRU_INACTIVE_FILE || lru === LRU_ACTIVE_FILE;
}

/** Row of the lruvec that a folio belongs to: its memcg on its node. */
export function folioLruvec(m: Mm, pfn: number): number {
  return (m.page.memcg[pfn] as number) * m.sizes.nrNodes + folioNid(m, pfn);
}
