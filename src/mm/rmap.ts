// SPDX-License-Identifier: GPL-2.0-only
/**
 * Reverse mapping: from a folio to the page-table entries that map it (mm/rmap.c).
 *
 * A mapped anonymous folio names its anon_vma; the anon_vma lists the VMAs that may map it
 * (anon_vma.ts). Reclaim takes the rwsem of its root for reading by trylock only (since
 * 6d4675e60135): when fork, exit or unmap holds it, the answer is "contended", never a wait. With
 * `rmapTryLock` off it waits, as before that commit.
 */
import { assert } from '../../shared/assert.ts';
import { cpuRelax } from '../../shared/cpu_relax.ts';
import { faultDelay, shouldFail } from '../../shared/fault.ts';
import { RWSEM_WORDS, rwsemDownRead, rwsemTryRead, rwsemUpRead } from '../../shared/rwsem.ts';
import { FAULT_DELAY, FAULT_TRYLOCK } from './faults.ts';
import { folioNid, folioPages, folioSet, folioTest, ownWrites, pageFolio } from './folio.ts';
import { PTRS_PER_TABLE } from './limits.ts';
import { LC_ANON_VMA } from './lock_order.ts';
import { mmWithin } from './memcg_task.ts';
import { mlockFolio } from './mlock_folio.ts';
import type { Mm } from './mm.ts';
import {
  PG_DIRTY,
  PG_MAYSHARE,
  PG_SWAPBACKED,
  PTE_DIRTY,
  PTE_MIGRATION,
  PTE_PRESENT,
  PTE_SHIFT,
  PTE_SPECIAL,
  VM_LOCKED,
  VM_RAND_READ,
  VM_SEQ_READ,
} from './mm_types.ts';
import { PTE_NONE, pteOffset, ptepTestAndClearYoung, ptlLock, ptlUnlock } from './pgtable.ts';
import { noteContended } from './rmap_contended.ts';
import { rmapWalkFile } from './rmap_file.ts';
import { swapDuplicate } from './swapfile.ts';
import { unmapOut } from './unmap_out.ts';
import { pageIndex } from './vma.ts';

/** Bits that say what an entry is. */
const ENTRY_KIND = PTE_PRESENT | PTE_SPECIAL | PTE_MIGRATION;

/** The rmap lock was taken by somebody else. */
export const REFERENCED_CONTENDED = -1;

/** VM_* bits of the VMAs that `folioReferenced` saw. Private to the thread. */
export const referencedOut = { vmFlags: 0 };

/** @returns page-table entries that map the folio, any page of it, at this moment */
export function folioMapcount(m: Mm, pfn: number): number {
  const { order, mapcount, largeMapcount } = m.page;
  return Atomics.load(order[pfn] === 0 ? mapcount : largeMapcount, pfn);
}

/**
 * The folio's anon_vma, with its family's rwsem held for reading: `anonVmaUnlockRead` ends that.
 *
 * Nothing keeps the anon_vma before we have the lock: its row may be freed and serve another family
 * meanwhile. So look again under the lock: what a mapped folio names is alive, as unlink_anon_vmas
 * comes after the last unmap and needs the lock for writing.
 * @returns its row, 0 when the folio is not mapped, REFERENCED_CONTENDED when `tryLock` failed
 * @context takes anon_vma->rwsem; may block without `tryLock`
 */
export function folioLockAnonVmaRead(m: Mm, pfn: number, tryLock: boolean): number {
  for (;;) {
    if (folioMapcount(m, pfn) === 0) return 0;
    const anonVma = m.page.mapping[pfn] as number;
    assert(anonVma > 0, 'mapped anonymous folio without an anon_vma');
    const root = Atomics.load(m.anonVma.root, anonVma);
    if (root === 0) {
      // Freed since we read it: the folio is not mapped any more, or has another.
      cpuRelax();
      continue;
    }
    const base = root * RWSEM_WORDS;
    if (tryLock) {
      if (shouldFail(FAULT_TRYLOCK) || !rwsemTryRead(m.anonVmaLock, base, LC_ANON_VMA)) {
        noteContended(m, pfn);
        return REFERENCED_CONTENDED;
      }
    } else if (ownWrites.finish === null || !rwsemTryRead(m.anonVmaLock, base, LC_ANON_VMA)) {
      // It may sleep, and others may wait for what this reclaim has begun to write.
      ownWrites.finish?.(m);
      rwsemDownRead(m.anonVmaLock, base, LC_ANON_VMA);
    }
    const same = m.page.mapping[pfn] === anonVma && Atomics.load(m.anonVma.root, anonVma) === root;
    if (same && folioMapcount(m, pfn) > 0) return anonVma;
    rwsemUpRead(m.anonVmaLock, base, LC_ANON_VMA);
  }
}

/** Ends folioLockAnonVmaRead: the root is constant while its lock is held. */
export function anonVmaUnlockRead(m: Mm, anonVma: number): void {
  const root = Atomics.load(m.anonVma.root, anonVma);
  rwsemUpRead(m.anonVmaLock, root * RWSEM_WORDS, LC_ANON_VMA);
}

/**
 * Gets an entry's index, its VMA, the page that it names, and the folio of the walk. On hot paths a
 * function of the module: a closure would be made anew for every folio that reclaim looks at.
 * @returns false to stop
 */
export type VisitEntry = (pte: number, vma: number, page: number, m: Mm, pfn: number) => boolean;

/**
 * Visits every entry that maps the folio, under its ptl.
 * @param kind PTE_PRESENT, or PTE_MIGRATION for those that wait for its migration
 * @param pages of the folio: of one that was split just now, what it had
 * @context anon_vma->rwsem held for reading; takes ptl
 */
export function walkAnon(
  m: Mm,
  pfn: number,
  anonVma: number,
  kind: number,
  visit: VisitEntry,
  pages = folioPages(m, pfn),
): void {
  if (pages > 1) {
    walkAnonLarge(m, pfn, anonVma, kind, visit, pages);
    return;
  }
  const index = m.page.index[pfn] as number;
  const first = m.anonVma.avcHead[anonVma] as number;
  for (let avc = first, more = first !== 0; more; more = avc !== first) {
    const vma = m.avc.vma[avc] as number;
    avc = m.avc.listNext[avc] as number;
    const vpn = (m.vma.start[vma] as number) + (index - (m.vma.pgoff[vma] as number));
    if (vpn < (m.vma.start[vma] as number) || vpn >= (m.vma.end[vma] as number)) continue;
    const pte = pteOffset(m, m.vma.mm[vma] as number, vpn);
    if (pte === PTE_NONE) continue;
    ptlLock(m, pte);
    const entry = Atomics.load(m.pte, pte);
    let goOn = true;
    if ((entry & ENTRY_KIND) === kind && entry >>> PTE_SHIFT === pfn) {
      goOn = visit(pte, vma, pfn, m, pfn);
    }
    ptlUnlock(m, pte);
    if (!goOn) return;
  }
}

/** As walkAnon, for neighbouring pages: leaf table by leaf table of each VMA. */
function walkAnonLarge(
  m: Mm,
  pfn: number,
  anonVma: number,
  kind: number,
  visit: VisitEntry,
  pages: number,
): void {
  const index = m.page.index[pfn] as number;
  const first = m.anonVma.avcHead[anonVma] as number;
  for (let avc = first, more = first !== 0; more; more = avc !== first) {
    const vma = m.avc.vma[avc] as number;
    avc = m.avc.listNext[avc] as number;
    const start = m.vma.start[vma] as number;
    const at = start + (index - (m.vma.pgoff[vma] as number));
    const end = Math.min(at + pages, m.vma.end[vma] as number);
    for (let vpn = Math.max(at, start); vpn < end; ) {
      const to = Math.min(end, vpn - (vpn % PTRS_PER_TABLE) + PTRS_PER_TABLE);
      const pte = pteOffset(m, m.vma.mm[vma] as number, vpn);
      const goOn = pte === PTE_NONE || walkLeaf(m, pte, to - vpn, pfn, vpn - at, kind, vma, visit);
      if (!goOn) return;
      vpn = to;
    }
  }
}

/**
 * Entries of one leaf table that name a run of a folio's pages, from page `at` of it on.
 * @returns false when the visit ends
 */
function walkLeaf(
  m: Mm,
  pte: number,
  count: number,
  pfn: number,
  at: number,
  kind: number,
  vma: number,
  visit: VisitEntry,
): boolean {
  let goOn = true;
  const page = pfn + at;
  ptlLock(m, pte);
  for (let i = 0; i < count && goOn; i++) {
    const entry = Atomics.load(m.pte, pte + i);
    if ((entry & ENTRY_KIND) !== kind || entry >>> PTE_SHIFT !== page + i) continue;
    goOn = visit(pte + i, vma, page + i, m, pfn);
  }
  ptlUnlock(m, pte);
  return goOn;
}

/** What `folioReferenced` asks and counts on its way. Private to the thread. */
const look = { memcg: 0, left: 0, vma: 0, referenced: 0 };

/** Makes an entry old, and counts its VMA if that is the first young one. @context ptl held */
function visitReferenced(pte: number, vma: number, _page: number, m: Mm, pfn: number): boolean {
  const flags = m.vma.flags[vma] as number;
  if (look.memcg !== 0 && !mmWithin(m, m.vma.mm[vma] as number, look.memcg)) return true;
  if ((flags & VM_LOCKED) !== 0) {
    // Locked after the page was looked for, or let go for another VMA: make good for it.
    mlockFolio(m, pfn);
    referencedOut.vmFlags |= VM_LOCKED;
    return false;
  }
  const recency = (flags & (VM_SEQ_READ | VM_RAND_READ)) === 0;
  // A walk goes VMA by VMA.
  if (ptepTestAndClearYoung(m, pte) && recency && vma !== look.vma) {
    look.vma = vma;
    look.referenced++;
    referencedOut.vmFlags |= flags;
  }
  return --look.left > 0;
}

/**
 * How many VMAs have an entry whose young bit was set; clears them all (folio_referenced).
 * @param memcg only VMAs of processes in this group's subtree count; 0 for global reclaim
 * @param rwTryLock false waits for the rmap lock: `rmapTryLock` off, and kshrinkd
 * @returns the count, or REFERENCED_CONTENDED; VM flags in `referencedOut`
 * @context folio isolated, and locked if it is a page of a file of the host; takes
 *   anon_vma->rwsem or i_mmap_rwsem, then ptl
 */
export function folioReferenced(m: Mm, pfn: number, memcg: number, rwTryLock: boolean): number {
  referencedOut.vmFlags = 0;
  const mapcount = folioMapcount(m, pfn);
  if (mapcount === 0) return 0;
  look.memcg = memcg;
  look.left = mapcount;
  look.vma = 0;
  look.referenced = 0;
  if ((m.page.mapping[pfn] as number) < 0) {
    if (rmapWalkFile(m, pfn, rwTryLock, visitReferenced)) return look.referenced;
    noteContended(m, pfn);
    return REFERENCED_CONTENDED;
  }
  const anonVma = folioLockAnonVmaRead(m, pfn, rwTryLock);
  if (anonVma <= 0) return anonVma;
  walkAnon(m, pfn, anonVma, PTE_PRESENT, visitReferenced);
  anonVmaUnlockRead(m, anonVma);
  return look.referenced;
}

/**
 * A new anonymous mapping: the caller's reference becomes the mapping's.
 * @param exclusive no other entry, swap entries included, can lead to the folio: then it belongs to
 *   the VMA's own anon_vma; else to the family's oldest, which all who share it are linked to
 * @context ptl held, folio locked or new; anonVmaPrepare was called for the VMA
 */
export function folioAddAnonRmap(
  m: Mm,
  pfn: number,
  vma: number,
  vpn: number,
  exclusive: boolean,
): void {
  if (m.page.head[pfn] !== 0) {
    addLargeRmap(m, pfn, vma, vpn, exclusive);
    return;
  }
  if (Atomics.load(m.page.mapcount, pfn) === 0) {
    // Before the count: a walker that sees the folio mapped finds where.
    const own = Atomics.load(m.vma.anonVma, vma);
    assert(own !== 0, 'mapping a page in a VMA without an anon_vma');
    m.page.index[pfn] = pageIndex(m, vma, vpn);
    m.page.mapping[pfn] = exclusive ? own : Atomics.load(m.anonVma.root, own);
  }
  // Another process may drop its mapping just now, without the folio lock: only the count decides.
  if (Atomics.add(m.page.mapcount, pfn, 1) === 0) {
    Atomics.add(m.node.anonMapped, folioNid(m, pfn), 1);
  }
}

/** A page of a large folio that was in the swap cache, and perhaps mapped nowhere. */
function addLargeRmap(m: Mm, page: number, vma: number, vpn: number, exclusive: boolean): void {
  const pfn = pageFolio(m, page);
  assert(m.page.index[page] === pageIndex(m, vma, vpn), 'a page of a large folio has moved');
  if (!exclusive) folioSet(m, pfn, PG_MAYSHARE);
  if (folioMapcount(m, pfn) === 0) {
    // Other pages of it may be anybody's in the family.
    const root = Atomics.load(m.anonVma.root, Atomics.load(m.vma.anonVma, vma));
    m.page.mapping.fill(root, pfn, pfn + folioPages(m, pfn));
  }
  Atomics.add(m.page.largeMapcount, pfn, 1);
  if (Atomics.add(m.page.mapcount, page, 1) === 0) {
    Atomics.add(m.node.anonMapped, folioNid(m, pfn), 1);
  }
}

/**
 * All pages of a new large folio are mapped, by one entry each.
 * @param pfn the head @param vpn of its first page
 * @context ptl held, nobody else knows the folio; anonVmaPrepare was called for the VMA
 */
export function folioAddNewLargeRmap(m: Mm, pfn: number, vma: number, vpn: number): void {
  const pages = folioPages(m, pfn);
  const index = pageIndex(m, vma, vpn);
  m.page.mapping.fill(Atomics.load(m.vma.anonVma, vma), pfn, pfn + pages);
  for (let i = 0; i < pages; i++) {
    m.page.index[pfn + i] = index + i;
    Atomics.store(m.page.mapcount, pfn + i, 1);
  }
  Atomics.store(m.page.largeMapcount, pfn, pages);
  Atomics.add(m.node.anonMapped, folioNid(m, pfn), pages);
}

/** A second entry for a mapped page, which keeps its anon_vma: fork. @context the first's ptl */
export function folioDupAnonRmap(m: Mm, page: number): void {
  const pfn = pageFolio(m, page);
  if (folioPages(m, pfn) > 1) {
    // Before there are two: whoever finds it may not write.
    folioSet(m, pfn, PG_MAYSHARE);
    Atomics.add(m.page.largeMapcount, pfn, 1);
  }
  const before = Atomics.add(m.page.mapcount, page, 1);
  assert(before > 0, 'duplicating a mapping that is not there');
}

/** The folio's one mapping has it for itself: it belongs to that VMA. @context folio locked, ptl */
export function folioMoveAnonRmap(m: Mm, pfn: number, vma: number): void {
  m.page.mapping[pfn] = Atomics.load(m.vma.anonVma, vma);
}

/**
 * A mapping is gone; its reference is the caller's to drop.
 * @returns whether an anonymous page lost its last one, and others of its folio may have some
 * @context ptl held
 */
export function folioRemoveRmap(m: Mm, page: number): boolean {
  const head = m.page.head[page] as number;
  const before = Atomics.sub(m.page.mapcount, page, 1);
  assert(before > 0, 'removing a mapping that is not there');
  const left = head === 0 ? 0 : Atomics.sub(m.page.largeMapcount, head, 1) - 1;
  if (before !== 1) return false;
  const ofFile = (m.page.mapping[page] as number) < 0;
  Atomics.sub(ofFile ? m.node.fileMapped : m.node.anonMapped, folioNid(m, page), 1);
  // Of a file's folio the file has the rest.
  return left > 0 && !ofFile;
}

/** Takes an entry away, with the mapping's reference. @context as tryToUnmap; ptl held */
function visitUnmap(pte: number, vma: number, page: number, m: Mm, pfn: number): boolean {
  if (((m.vma.flags[vma] as number) & VM_LOCKED) !== 0) {
    mlockFolio(m, pfn);
    return false;
  }
  const lazy = !folioTest(m, pfn, PG_SWAPBACKED);
  const done = lazy ? discardEntry(m, pfn, pte) : swapEntry(m, page, pte, vma);
  if (!done) return !lazy;
  const mm = m.vma.mm[vma] as number;
  unmapOut.cpuMask |= Atomics.load(m.mm.cpuMask, mm);
  Atomics.sub(m.mm.rssAnon, mm, 1);
  folioRemoveRmap(m, page);
  // The mapping's reference; isolation and the swap cache hold others.
  Atomics.sub(m.page.refcount, pfn, 1);
  return folioMapcount(m, pfn) > 0;
}

/**
 * Takes every entry that maps the folio away (try_to_unmap with batched flush): its swap entry
 * comes instead, or nothing for a lazily freed one that nobody has written to.
 * The bytes may still be written until `tlbFlush(unmapOut.cpuMask)`; the mask accumulates.
 * @returns false when the folio is still mapped: its lock is taken, a VMA has it locked in memory,
 *   a slot has no room for another reference, or a lazily freed one is in use again
 * @context folio locked, in the swap cache or lazily freed; takes anon_vma->rwsem, by trylock
 *   with `tryLock`, then ptl, swap_cluster
 */
export function tryToUnmap(m: Mm, pfn: number, tryLock: boolean): boolean {
  const anonVma = folioLockAnonVmaRead(m, pfn, tryLock);
  if (anonVma < 0) return false;
  if (anonVma > 0) {
    walkAnon(m, pfn, anonVma, PTE_PRESENT, visitUnmap);
    anonVmaUnlockRead(m, anonVma);
  }
  return folioMapcount(m, pfn) === 0;
}

/** @returns false when the slot's count is at its largest @context ptl held */
function swapEntry(m: Mm, page: number, pte: number, vma: number): boolean {
  const slot = m.page.private[page] as number;
  // The slot's reference exists before the entry that carries it.
  if (!swapDuplicate(m, slot)) return false;
  faultDelay(FAULT_DELAY);
  const old = Atomics.exchange(m.pte, pte, slot << PTE_SHIFT);
  if ((old & PTE_DIRTY) !== 0) folioSet(m, pageFolio(m, page), PG_DIRTY);
  Atomics.add(m.mm.swapEnts, m.vma.mm[vma] as number, 1);
  return true;
}

/**
 * Takes the entry of a lazily freed folio away, unless it was written to since, or somebody holds
 * the folio who may write: then it is an ordinary one again.
 * @returns false when the entry stays
 * @context ptl held
 */
function discardEntry(m: Mm, pfn: number, pte: number): boolean {
  for (;;) {
    const entry = Atomics.load(m.pte, pte);
    if ((entry & PTE_DIRTY) !== 0 || folioTest(m, pfn, PG_DIRTY)) {
      folioSet(m, pfn, PG_SWAPBACKED | PG_DIRTY);
      return false;
    }
    // Isolation is one. References are taken from an entry under ptl: none can come meanwhile.
    if (Atomics.load(m.page.refcount, pfn) !== folioMapcount(m, pfn) + 1) return false;
    faultDelay(FAULT_DELAY);
    // The CPU may mark it dirty just now: then look again.
    if (Atomics.compareExchange(m.pte, pte, entry, 0) === entry) return true;
  }
}
