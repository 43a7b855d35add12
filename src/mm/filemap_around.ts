// SPDX-License-Identifier: GPL-2.0-only
/**
 * Fault-around (mm/memory.c, do_fault_around; mm/filemap.c, filemap_map_pages): a read fault maps
 * its neighbours too, as far as they are cached, up to date and free to be locked. They are young,
 * as on x86.
 */
import { folioTest, folioTryGet, folioTryLock, folioUnlock } from './folio.ts';
import { folioInMapping, mappingPeek } from './mapping.ts';
import type { Mm } from './mm.ts';
import { PG_READAHEAD, PG_UPTODATE, PTE_PRESENT, PTE_SHIFT, PTE_YOUNG } from './mm_types.ts';
import { ptlLock, ptlUnlock } from './pgtable.ts';
import { filePageCount } from './readahead.ts';
import { folioAddFileRmap } from './rmap_file.ts';
import { folioPut } from './swap.ts';

/** fault_around_bytes, in pages: 64 KiB. */
const AROUND_PAGES = 16;

/** Pages that one fault maps: locked, referenced, by their place from the first. Reused. */
const found = new Int32Array(AROUND_PAGES);

/** @returns a cached page, locked and referenced, or 0 @context no folio lock is waited for */
function takeCached(m: Mm, inode: number, index: number): number {
  const pfn = mappingPeek(m, inode, index);
  if (pfn <= 0 || !folioTryGet(m, pfn)) return 0;
  if (!folioTest(m, pfn, PG_READAHEAD) && folioTryLock(m, pfn)) {
    if (folioInMapping(m, pfn, inode, index) && folioTest(m, pfn, PG_UPTODATE)) return pfn;
    folioUnlock(m, pfn);
  }
  folioPut(m, pfn);
  return 0;
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
  let any = false;
  for (let i = 0; i < count; i++) {
    const empty = Atomics.load(m.pte, pte - vpn + first + i) === 0;
    found[i] = empty ? takeCached(m, inode, first + i + toIndex) : 0;
    if (found[i] !== 0) any = true;
  }
  if (!any) return Atomics.load(m.pte, pte) !== 0;
  let mapped = 0;
  ptlLock(m, pte);
  for (let i = 0; i < count; i++) {
    const pfn = found[i] as number;
    const at = pte - vpn + first + i;
    if (pfn === 0 || Atomics.load(m.pte, at) !== 0) continue;
    folioAddFileRmap(m, pfn);
    Atomics.store(m.pte, at, (pfn << PTE_SHIFT) | PTE_PRESENT | PTE_YOUNG);
    // The reference that was taken is the mapping's.
    found[i] = -pfn;
    mapped++;
  }
  ptlUnlock(m, pte);
  Atomics.add(m.mm.rssFile, mm, mapped);
  Atomics.sub(m.fileRa.mmapMiss, vma, Math.min(mapped, Atomics.load(m.fileRa.mmapMiss, vma)));
  for (let i = 0; i < count; i++) {
    const pfn = found[i] as number;
    if (pfn !== 0) folioUnlock(m, Math.abs(pfn));
    if (pfn > 0) folioPut(m, pfn);
  }
  return Atomics.load(m.pte, pte) !== 0;
}
