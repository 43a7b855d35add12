// SPDX-License-Identifier: GPL-2.0-only
/**
 * Migration entries of pages of files (mm/rmap.c, try_to_migrate; mm/migrate.c,
 * remove_migration_ptes): as migrate_entry.ts, with the VMAs that map the file instead of an
 * anon_vma. A large folio was split before.
 *
 * What an entry knew to be dirty is the page's to know before the entry waits: a VMA may go
 * meanwhile, and takes its entries along. Nobody writes the page out before it has moved, for want
 * of its lock.
 */
import { assert } from '../../shared/assert.ts';
import { RWSEM_WORDS, rwsemDownRead, rwsemUpRead } from '../../shared/rwsem.ts';
import { fileDirty } from './file_dirty.ts';
import { folioOrder } from './folio.ts';
import { LC_I_MMAP } from './lock_order.ts';
import { mapMigrated, migrateEntry, migrateOut } from './migrate_entry.ts';
import type { Mm } from './mm.ts';
import { PTE_DIRTY, PTE_FILE, PTE_MIGRATION, PTE_SHIFT } from './mm_types.ts';
import { folioMapcount, folioRemoveRmap } from './rmap.ts';
import { folioAddFileRmap, rmapWalkFile, walkFile } from './rmap_file.ts';

/**
 * Puts a migration entry in the place of every entry that maps a page of a file.
 * @returns whether there was one
 * @context folio locked, in a file of the host, held by the caller; takes i_mmap_rwsem, ptl,
 *   i_pages; may block. The bytes may still be written until `tlbFlush(migrateOut.cpuMask)`
 */
export function fileTryToMigrate(m: Mm, pfn: number): boolean {
  migrateOut.cpuMask = 0;
  if (folioMapcount(m, pfn) === 0) return false;
  let any = false;
  rmapWalkFile(m, pfn, false, (pte, vma) => {
    any = true;
    const old = migrateEntry(m, pfn, pte, PTE_MIGRATION | PTE_FILE);
    if ((old & PTE_DIRTY) !== 0) fileDirty(m, pfn);
    migrateOut.cpuMask |= Atomics.load(m.mm.cpuMask, m.vma.mm[vma] as number);
    folioRemoveRmap(m, pfn);
    // The mapping's reference; the file and the caller hold others.
    Atomics.sub(m.page.refcount, pfn, 1);
    return folioMapcount(m, pfn) > 0;
  });
  return any;
}

/**
 * Maps a page of a file where migration entries wait for the old frame.
 * @param to the new frame, or the old one again: what the file has
 * @context both frames locked and held; takes i_mmap_rwsem, ptl; may block
 */
export function fileRemoveMigrationEntries(m: Mm, pfn: number, to: number): void {
  const inode = -(m.page.mapping[to] as number);
  const index = m.page.index[to] as number;
  assert(folioOrder(m, pfn) === 0 && folioOrder(m, to) === 0, 'a large folio moves page by page');
  const base = inode * RWSEM_WORDS;
  rwsemDownRead(m.iMmapLock, base, LC_I_MMAP);
  walkFile(m, inode, index, (pfn << PTE_SHIFT) | PTE_MIGRATION, (pte, vma) => {
    Atomics.add(m.page.refcount, to, 1);
    folioAddFileRmap(m, to);
    mapMigrated(m, to, pte, vma);
    return true;
  });
  rwsemUpRead(m.iMmapLock, base, LC_I_MMAP);
}
