// SPDX-License-Identifier: GPL-2.0-only
/**
 * Migration entries: what page tables hold while a page is on its way from one frame to another
 * (mm/rmap.c, try_to_migrate; mm/migrate.c, remove_migration_ptes, migration_entry_wait).
 *
 * An entry names the old frame, whose folio lock is held until no entry is left. It keeps its
 * write, young and dirty bits, and its place in rss, but no reference and no part of the mapcount.
 * Under ptl anybody may take one away (zap), forbid stores in it (mprotect) or copy it (fork: the
 * child is behind its parent in the ring of the rmap, so the walk that ends the migration finds
 * it).
 */

import { bitWaitHeld } from '../../shared/bit_lock.ts';
import { faultDelay } from '../../shared/fault.ts';
import { RWSEM_WORDS, rwsemDownRead } from '../../shared/rwsem.ts';
import { anonVmaRoot } from './anon_vma.ts';
import { FAULT_DELAY } from './faults.ts';
import { folioNid, folioPages, pageFolio } from './folio.ts';
import { LC_ANON_VMA } from './lock_order.ts';
import { mlockFolio, munlockFolio } from './mlock_folio.ts';
import type { Mm } from './mm.ts';
import {
  PG_LOCKED,
  PTE_DIRTY,
  PTE_MIGRATION,
  PTE_PRESENT,
  PTE_SHIFT,
  PTE_WRITE,
  PTE_YOUNG,
  VM_LOCKED,
} from './mm_types.ts';
import { ptlLock, ptlUnlock } from './pgtable.ts';
import {
  anonVmaUnlockRead,
  folioLockAnonVmaRead,
  folioMapcount,
  folioRemoveRmap,
  walkAnon,
} from './rmap.ts';

/** Bits that an entry has before, during and after. */
const KEPT = PTE_WRITE | PTE_YOUNG | PTE_DIRTY;

/** CPUs whose sections must end before the bytes stand still: gathered by `tryToMigrate`. */
export const migrateOut = { cpuMask: 0 };

/**
 * Puts a migration entry in the place of every entry that maps the folio (try_to_migrate).
 * @returns the folio's anon_vma with a reference of the caller's, or 0 when nothing maps it
 * @context folio locked, anonymous, held by the caller; takes anon_vma->rwsem, ptl; may
 *   block. The bytes may still be written until `tlbFlush(migrateOut.cpuMask)`
 */
export function tryToMigrate(m: Mm, pfn: number): number {
  migrateOut.cpuMask = 0;
  const anonVma = folioLockAnonVmaRead(m, pfn, false);
  if (anonVma === 0) return 0;
  // Without a mapping nothing else keeps it: its last VMA may go before the walk back.
  Atomics.add(m.anonVma.refcount, anonVma, 1);
  setMigrationEntries(m, pfn, anonVma);
  anonVmaUnlockRead(m, anonVma);
  return anonVma;
}

/** The walk of tryToMigrate. @context as that, and anon_vma->rwsem held */
export function setMigrationEntries(m: Mm, pfn: number, anonVma: number): void {
  walkAnon(m, pfn, anonVma, PTE_PRESENT, (pte, vma, page) => {
    migrateEntry(m, page, pte, PTE_MIGRATION);
    // The walk back locks it again, unless the VMA is locked no more by then.
    if (((m.vma.flags[vma] as number) & VM_LOCKED) !== 0) munlockFolio(m, pfn);
    migrateOut.cpuMask |= Atomics.load(m.mm.cpuMask, m.vma.mm[vma] as number);
    folioRemoveRmap(m, page);
    // The mapping's reference; the caller holds another.
    Atomics.sub(m.page.refcount, pfn, 1);
    return folioMapcount(m, pfn) > 0;
  });
}

/**
 * Makes an entry wait.
 * @param kind PTE_MIGRATION, and PTE_FILE for a page of a file
 * @returns what it was
 * @context ptl held
 */
export function migrateEntry(m: Mm, pfn: number, pte: number, kind: number): number {
  for (;;) {
    const entry = Atomics.load(m.pte, pte);
    faultDelay(FAULT_DELAY);
    // The CPU may mark it just now: then look again.
    const waiting = (pfn << PTE_SHIFT) | kind | (entry & KEPT);
    if (Atomics.compareExchange(m.pte, pte, entry, waiting) === entry) return entry;
  }
}

/** Ends the wait of an entry: it maps `to`, with the bits that it kept. @context ptl held */
export function mapMigrated(m: Mm, to: number, pte: number, vma: number): void {
  if (((m.vma.flags[vma] as number) & VM_LOCKED) !== 0) mlockFolio(m, pageFolio(m, to));
  const entry = Atomics.load(m.pte, pte);
  Atomics.store(m.pte, pte, (to << PTE_SHIFT) | PTE_PRESENT | (entry & KEPT));
}

/**
 * Maps a page where migration entries wait for the old frame (remove_migration_ptes).
 * @param anonVma what tryToMigrate returned, not 0 @param to the new frame, or the old one again
 * @context both frames locked and held; takes anon_vma->rwsem, ptl; may block
 */
export function removeMigrationEntries(m: Mm, anonVma: number, pfn: number, to: number): void {
  rwsemDownRead(m.anonVmaLock, anonVmaRoot(m, anonVma) * RWSEM_WORDS, LC_ANON_VMA);
  mapMigrationEntries(m, anonVma, pfn, to, folioPages(m, pfn));
  anonVmaUnlockRead(m, anonVma);
}

/**
 * The walk of removeMigrationEntries.
 * @param pages that a folio has, or had before it was split, each to be mapped as what it is now
 * @context as that, and anon_vma->rwsem held
 */
export function mapMigrationEntries(
  m: Mm,
  anonVma: number,
  pfn: number,
  to: number,
  pages: number,
): void {
  const visit = (pte: number, vma: number, old: number): boolean => {
    const page = old - pfn + to;
    const folio = pageFolio(m, page);
    // Their order does not matter: who finds the page locks it, or holds our ptl.
    Atomics.add(m.page.refcount, folio, 1);
    if (folioPages(m, folio) > 1) Atomics.add(m.page.largeMapcount, folio, 1);
    if (Atomics.add(m.page.mapcount, page, 1) === 0) {
      Atomics.add(m.node.anonMapped, folioNid(m, page), 1);
    }
    mapMigrated(m, page, pte, vma);
    return true;
  };
  walkAnon(m, pfn, anonVma, PTE_MIGRATION, visit, pages);
}

/**
 * Waits for the migration of an entry's page, if it still is on its way (migration_entry_wait).
 * Takes no reference: that would make the migration fail.
 * @context no spinlock held; may block
 */
export function migrationEntryWait(m: Mm, pte: number): void {
  ptlLock(m, pte);
  const entry = Atomics.load(m.pte, pte);
  ptlUnlock(m, pte);
  if ((entry & (PTE_PRESENT | PTE_MIGRATION)) !== PTE_MIGRATION) return;
  // A folio that is being split: its head is locked, and so is the page once it is on its own.
  bitWaitHeld(m.page.flags, pageFolio(m, entry >>> PTE_SHIFT), PG_LOCKED, m.folioWait);
}
