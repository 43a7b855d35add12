// SPDX-License-Identifier: GPL-2.0-only
/**
 * Large folios in the page table of a file of the host (mm/filemap.c, __filemap_add_folio): an
 * entry for each page, which names the page itself and holds a reference on the folio. All come
 * under one hold of i_pages, and so do they go.
 */
import { EBUSY, EEXIST, ENOSPC } from './errno.ts';
import { folioNid, folioPages } from './folio.ts';
import { addCounts, iPagesLock, iPagesUnlock, tablesOf, takeEntry } from './mapping.ts';
import type { Mm } from './mm.ts';
import { fileShadow } from './workingset_file.ts';

/** What the entries held: shadows, or 0. Private to the thread. */
const before: number[] = [];

/** Reads the entries of a range. @returns how many are shadows, or EEXIST @context i_pages */
function lookAt(m: Mm, inode: number, index: number, nr: number): number {
  const { pages } = tablesOf(m, inode);
  let shadows = 0;
  before.length = 0;
  for (let i = 0; i < nr; i++) {
    const entry = pages.load(index + i);
    if (entry > 0) return EEXIST;
    if (entry < 0) shadows++;
    before.push(entry);
  }
  return shadows;
}

/** Stores all entries, or none. @returns whether there were nodes for them @context i_pages */
function storeEntries(m: Mm, pfn: number, inode: number, index: number, nr: number): boolean {
  const { pages } = tablesOf(m, inode);
  let done = 0;
  while (done < nr && pages.store(index + done, pfn + done)) done++;
  if (done === nr) return true;
  for (let i = 0; i < done; i++) {
    const was = before[i] as number;
    if (was === 0) pages.erase(index + i);
    else pages.store(index + i, was);
  }
  return false;
}

/**
 * As fileAddFolio, for a large folio: a page of the file that is there is EEXIST.
 * @param index of its first page, a multiple of its pages
 * @returns 0, EEXIST, ENOSPC, EBUSY: then nothing has changed
 * @context folio locked, charged, in no file; takes i_pages
 */
export function fileAddLarge(m: Mm, pfn: number, inode: number, index: number): number {
  const nr = folioPages(m, pfn);
  iPagesLock(m, inode);
  const shadows = lookAt(m, inode, index, nr);
  let result = Math.min(shadows, 0);
  if (result === 0 && !takeEntry(m, nr - shadows)) result = ENOSPC;
  if (result === 0) {
    for (let i = 0; i < nr; i++) {
      m.page.index[pfn + i] = index + i;
      m.page.mapping[pfn + i] = -inode;
    }
    // Before the entries: whoever finds the folio there finds it referenced.
    Atomics.add(m.page.refcount, pfn, nr);
    if (storeEntries(m, pfn, inode, index, nr)) {
      addCounts(m, inode, nr, -shadows);
      Atomics.add(m.node.filePages, folioNid(m, pfn), nr);
      fileShadow.entry = before.findLast((entry) => entry < 0) ?? 0;
    } else {
      // A lookup that found an entry for a moment still has its own.
      Atomics.sub(m.page.refcount, pfn, nr);
      m.page.mapping.fill(0, pfn, pfn + nr);
      Atomics.sub(m.fileInfo, 0, nr - shadows);
      result = EBUSY;
    }
  }
  iPagesUnlock(m, inode);
  return result;
}
