// SPDX-License-Identifier: GPL-2.0-only
/**
 * Fault-around (mm/memory.c, do_fault_around; mm/filemap.c, filemap_map_pages): a read fault maps
 * its neighbours too, as far as they are cached, up to date and free to be locked. They are young,
 * as on x86.
 */
import { mmUnstable } from './fatal_signal.ts';
import { fileHasPage, filePageCount } from './file_pages.ts';
import {
  folioOrder,
  folioTest,
  folioTryGet,
  folioTryLock,
  folioUnlock,
  pageFolio,
} from './folio.ts';
import { mappingPeek } from './mapping.ts';
import type { Mm } from './mm.ts';
import { PG_READAHEAD, PG_UPTODATE, PTE_PRESENT, PTE_SHIFT, PTE_YOUNG } from './mm_types.ts';
import { ptlLock, ptlUnlock } from './pgtable.ts';
import { folioAddFileRmap } from './rmap_file.ts';
import { folioPut } from './swap.ts';

/** fault_around_bytes, in pages: 64 KiB. */
const AROUND_PAGES = 16;

/** Pages that one fault maps, referenced, their folios locked: by their place. Reused. */
const found = new Int32Array(AROUND_PAGES);

/**
 * @param last large folio that this fault has locked already, or 0
 * @returns a cached page, its folio locked and a reference taken, or 0
 * @context no folio lock is waited for
 */
function takeCached(m: Mm, inode: number, index: number, last: number): number {
  const page = mappingPeek(m, inode, index);
  if (page <= 0) return 0;
  const pfn = pageFolio(m, page);
  if (pfn === last) return takeNext(m, page, inode, index);
  if (!folioTryGet(m, pfn)) return 0;
  // Still that: else the frame may be somebody's new one, which nobody else may lock.
  const same = mappingPeek(m, inode, index) === page && pageFolio(m, page) === pfn;
  if (same && !folioTest(m, pfn, PG_READAHEAD) && folioTryLock(m, pfn)) {
    if (fileHasPage(m, page, inode, index) && folioTest(m, pfn, PG_UPTODATE)) return page;
    folioUnlock(m, pfn);
  }
  folioPut(m, pfn);
  return 0;
}

/** Another page of the folio that is locked already. @returns it, referenced, or 0 */
function takeNext(m: Mm, page: number, inode: number, index: number): number {
  if (!fileHasPage(m, page, inode, index)) return 0;
  Atomics.add(m.page.refcount, pageFolio(m, page), 1);
  return page;
}

/** Unlocks the folios of what was found, each once, and drops the references that are left. */
function letGo(m: Mm, count: number): void {
  let large = 0;
  for (let i = 0; i < count; i++) {
    const page = found[i] as number;
    if (page === 0) continue;
    const pfn = pageFolio(m, Math.abs(page));
    if (large !== 0 && pfn !== large) folioUnlock(m, large);
    large = folioOrder(m, pfn) > 0 ? pfn : 0;
    if (large === 0) folioUnlock(m, pfn);
    if (page > 0) folioPut(m, pfn);
  }
  if (large !== 0) folioUnlock(m, large);
}

/**
 * Maps what is cached around a page.
 * @param pte entry of `vpn`, which is empty
 * @returns whether the page itself is mapped now
 * @context mmap_lock held for reading; takes folio locks by trylock, ptl
 */
export function faultAround(m: Mm, mm: number, vma: number, vpn: number, pte: number): boolean {
  const inode = m.vma.file[vma] as number;
  const first = Math.max(vpn - (vpn % AROUND_PAGES), m.vma.start[vma] as number);
  const last = Math.min(vpn - (vpn % AROUND_PAGES) + AROUND_PAGES, m.vma.end[vma] as number);
  const toIndex = (m.vma.pgoff[vma] as number) - (m.vma.start[vma] as number);
  const count = Math.min(
    last - first,
    filePageCount(m.hostFile.size[inode] as number) - first - toIndex,
  );
  let locked = 0;
  for (let i = 0; i < count; i++) {
    const empty = Atomics.load(m.pte, pte - vpn + first + i) === 0;
    const page = empty ? takeCached(m, inode, first + i + toIndex, locked) : 0;
    found[i] = page;
    if (page !== 0) locked = pageFolio(m, page);
  }
  if (locked === 0) return Atomics.load(m.pte, pte) !== 0;
  let mapped = 0;
  ptlLock(m, pte);
  const stable = !mmUnstable(m, mm);
  for (let i = 0; i < count && stable; i++) {
    const page = found[i] as number;
    const at = pte - vpn + first + i;
    if (page === 0 || Atomics.load(m.pte, at) !== 0) continue;
    folioAddFileRmap(m, page);
    Atomics.store(m.pte, at, (page << PTE_SHIFT) | PTE_PRESENT | PTE_YOUNG);
    // The reference that was taken is the mapping's.
    found[i] = -page;
    mapped++;
  }
  ptlUnlock(m, pte);
  Atomics.add(m.mm.rssFile, mm, mapped);
  Atomics.sub(m.fileRa.mmapMiss, vma, Math.min(mapped, Atomics.load(m.fileRa.mmapMiss, vma)));
  letGo(m, count);
  return Atomics.load(m.pte, pte) !== 0;
}
