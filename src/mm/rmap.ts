// SPDX-License-Identifier: GPL-2.0-only
/**
 * Reverse mapping: from a folio to the page-table entries that map it (mm/rmap.c).
 *
 * A mapped anonymous folio names its anon_vma; the anon_vma lists the VMAs that may map it. Reclaim
 * takes the anon_vma's rwsem for reading by trylock only (since 6d4675e60135): when fork, exit or
 * unmap holds it, the answer is "contended", never a wait.
 */
import { assert } from '../../shared/assert.ts';
import { faultDelay, shouldFail } from '../../shared/fault.ts';
import { RWSEM_WORDS, rwsemDownRead, rwsemTryRead, rwsemUpRead } from '../../shared/rwsem.ts';
import { FAULT_DELAY, FAULT_TRYLOCK } from './faults.ts';
import { folioNid, folioSet } from './folio.ts';
import { LC_ANON_VMA } from './lock_order.ts';
import { mmWithin } from './memcg_task.ts';
import type { Mm } from './mm.ts';
import {
  PG_DIRTY,
  PTE_DIRTY,
  PTE_PRESENT,
  PTE_SHIFT,
  PTE_SPECIAL,
  VM_LOCKED,
  VM_RAND_READ,
  VM_SEQ_READ,
} from './mm_types.ts';
import { PTE_NONE, pteOffset, ptepTestAndClearYoung, ptlLock, ptlUnlock } from './pgtable.ts';
import { rmapWalkFile } from './rmap_file.ts';
import { swapDuplicate } from './swapfile.ts';
import { unmapOut } from './unmap_out.ts';

/** The rmap lock was taken by somebody else. */
export const REFERENCED_CONTENDED = -1;

/** VM_* bits of the VMAs that `folioReferenced` saw. Private to the thread. */
export const referencedOut = { vmFlags: 0 };

/** @returns page-table entries that map the folio at this moment */
export function folioMapcount(m: Mm, pfn: number): number {
  return Atomics.load(m.page.mapcount, pfn);
}

/**
 * The folio's anon_vma, locked for reading.
 * @returns its row, 0 when the folio is not mapped, REFERENCED_CONTENDED when `tryLock` failed
 */
function folioLockAnonVmaRead(m: Mm, pfn: number, tryLock: boolean): number {
  for (;;) {
    if (folioMapcount(m, pfn) === 0) return 0;
    const anonVma = m.page.mapping[pfn] as number;
    assert(anonVma !== 0, 'mapped folio without an anon_vma');
    const base = anonVma * RWSEM_WORDS;
    if (tryLock) {
      if (shouldFail(FAULT_TRYLOCK)) return REFERENCED_CONTENDED;
      if (!rwsemTryRead(m.anonVmaLock, base, LC_ANON_VMA)) return REFERENCED_CONTENDED;
    } else {
      rwsemDownRead(m.anonVmaLock, base, LC_ANON_VMA);
    }
    if (m.page.mapping[pfn] === anonVma && folioMapcount(m, pfn) > 0) return anonVma;
    rwsemUpRead(m.anonVmaLock, base, LC_ANON_VMA);
  }
}

/**
 * Visits every entry that maps the folio, under its ptl.
 * @param visit gets the entry's index and the VMA; returns false to stop
 */
function walkAnon(
  m: Mm,
  pfn: number,
  anonVma: number,
  visit: (pte: number, vma: number) => boolean,
): void {
  const index = m.page.index[pfn] as number;
  let vma = m.anonVma.vmaHead[anonVma] as number;
  for (; vma !== 0; vma = m.vma.anonNext[vma] as number) {
    if (index < (m.vma.start[vma] as number) || index >= (m.vma.end[vma] as number)) continue;
    const pte = pteOffset(m, m.vma.mm[vma] as number, index);
    if (pte === PTE_NONE) continue;
    ptlLock(m, pte);
    const entry = Atomics.load(m.pte, pte);
    let more = true;
    if ((entry & (PTE_PRESENT | PTE_SPECIAL)) === PTE_PRESENT && entry >>> PTE_SHIFT === pfn) {
      more = visit(pte, vma);
    }
    ptlUnlock(m, pte);
    if (!more) return;
  }
}

/**
 * How many entries had their young bit set; clears them all (folio_referenced).
 * @param memcg only VMAs of processes in this group's subtree count; 0 for global reclaim
 * @param rwTryLock false blocks on the rmap lock (kshrinkd)
 * @returns the count, or REFERENCED_CONTENDED; VM flags in `referencedOut`
 * @context folio isolated, and locked if it is a page of a file of the host; takes
 *   anon_vma->rwsem or i_mmap_rwsem, then ptl
 */
export function folioReferenced(m: Mm, pfn: number, memcg: number, rwTryLock: boolean): number {
  referencedOut.vmFlags = 0;
  if (folioMapcount(m, pfn) === 0) return 0;
  let referenced = 0;
  let left = folioMapcount(m, pfn);
  const visit = (pte: number, vma: number): boolean => {
    const flags = m.vma.flags[vma] as number;
    if (memcg !== 0 && !mmWithin(m, m.vma.mm[vma] as number, memcg)) return true;
    if ((flags & VM_LOCKED) !== 0) {
      referencedOut.vmFlags |= VM_LOCKED;
      return false;
    }
    const recency = (flags & (VM_SEQ_READ | VM_RAND_READ)) === 0;
    if (ptepTestAndClearYoung(m, pte) && recency) {
      referenced++;
      referencedOut.vmFlags |= flags;
    }
    return --left > 0;
  };
  if ((m.page.mapping[pfn] as number) < 0) {
    return rmapWalkFile(m, pfn, rwTryLock, visit) ? referenced : REFERENCED_CONTENDED;
  }
  const anonVma = folioLockAnonVmaRead(m, pfn, rwTryLock);
  if (anonVma <= 0) return anonVma;
  walkAnon(m, pfn, anonVma, visit);
  rwsemUpRead(m.anonVmaLock, anonVma * RWSEM_WORDS, LC_ANON_VMA);
  return referenced;
}

/**
 * A new anonymous mapping: the caller's reference becomes the mapping's. @context ptl held, folio
 * locked or new
 */
export function folioAddAnonRmap(m: Mm, pfn: number, vma: number, vpn: number): void {
  if (folioMapcount(m, pfn) === 0) {
    // Before the count: a walker that sees the folio mapped finds where.
    m.page.index[pfn] = vpn;
    m.page.mapping[pfn] = m.vma.anonVma[vma] as number;
    Atomics.add(m.node.anonMapped, folioNid(m, pfn), 1);
  }
  Atomics.add(m.page.mapcount, pfn, 1);
}

/** A mapping is gone; its reference is the caller's to drop. @context ptl held */
export function folioRemoveRmap(m: Mm, pfn: number): void {
  const before = Atomics.sub(m.page.mapcount, pfn, 1);
  assert(before > 0, 'removing a mapping that is not there');
  if (before !== 1) return;
  const mapped = (m.page.mapping[pfn] as number) < 0 ? m.node.fileMapped : m.node.anonMapped;
  Atomics.sub(mapped, folioNid(m, pfn), 1);
}

/**
 * Replaces every entry that maps the folio by its swap entry (try_to_unmap with batched flush).
 * The bytes may still be written until `tlbFlush(unmapOut.cpuMask)`; the mask accumulates.
 * @param slot the folio's slot in the swap cache
 * @returns false when the folio is still mapped
 * @context folio locked, in the swap cache; takes anon_vma->rwsem by trylock, ptl, swap_cluster
 */
export function tryToUnmap(m: Mm, pfn: number, slot: number): boolean {
  const anonVma = folioLockAnonVmaRead(m, pfn, true);
  if (anonVma < 0) return false;
  if (anonVma > 0) {
    walkAnon(m, pfn, anonVma, (pte, vma) => {
      const mm = m.vma.mm[vma] as number;
      // The slot's reference exists before the entry that carries it.
      if (!swapDuplicate(m, slot)) return true;
      faultDelay(FAULT_DELAY);
      const old = Atomics.exchange(m.pte, pte, slot << PTE_SHIFT);
      if ((old & PTE_DIRTY) !== 0) folioSet(m, pfn, PG_DIRTY);
      unmapOut.cpuMask |= Atomics.load(m.mm.cpuMask, mm);
      Atomics.sub(m.mm.rssAnon, mm, 1);
      Atomics.add(m.mm.swapEnts, mm, 1);
      folioRemoveRmap(m, pfn);
      // The mapping's reference; isolation and the swap cache hold others.
      Atomics.sub(m.page.refcount, pfn, 1);
      return folioMapcount(m, pfn) > 0;
    });
    rwsemUpRead(m.anonVmaLock, anonVma * RWSEM_WORDS, LC_ANON_VMA);
  }
  return folioMapcount(m, pfn) === 0;
}
