// SPDX-License-Identifier: GPL-2.0-only
/** Walkers over files: what their tables refer to (see check.ts). */
import { xaPoolUsed } from '../../shared/xarray.ts';
import type { Checker } from './check.ts';
import { mappingEntries } from './mapping.ts';
import type { Mm } from './mm.ts';

/**
 * Recounts every file.
 * @param slotRefs entries that refer to each slot: those of files are added
 * @returns 1 for each pfn that a file holds
 */
export function checkFilePages(m: Mm, check: Checker, slotRefs: Int32Array): Uint8Array {
  const held = new Uint8Array(m.sizes.nrPages);
  let entries = 0;
  for (let inode = 1; inode < m.sizes.fs.nrInodes; inode++) {
    let pages = 0;
    let swapped = 0;
    for (const [index, entry] of mappingEntries(m, inode)) {
      if (entry < 0) {
        swapped++;
        slotRefs[-entry] = (slotRefs[-entry] as number) + 1;
        continue;
      }
      pages++;
      check.that(held[entry] === 0, () => `pfn ${entry} is in two files, one is ${inode}`);
      held[entry] = 1;
      const there = m.page.mapping[entry] === -inode && m.page.index[entry] === index;
      check.that(there, () => `pfn ${entry} does not know file ${inode} page ${index}`);
    }
    check.equal(m.mapping.nrPages[inode] as number, pages, `file ${inode} pages`);
    check.equal(m.mapping.nrSwapped[inode] as number, swapped, `file ${inode} pages in swap`);
    entries += pages + swapped;
  }
  check.equal(Atomics.load(m.fileInfo, 0), entries, 'entries of files');
  checkShmem(m, check, held);
  return held;
}

function checkShmem(m: Mm, check: Checker, held: Uint8Array): void {
  const shmem = new Int32Array(m.sizes.nrNodes);
  for (let pfn = 1; pfn < m.sizes.nrPages; pfn++) {
    const ofFile = (m.page.mapping[pfn] as number) < 0;
    check.that(!ofFile || held[pfn] === 1, () => `pfn ${pfn} names a file that does not hold it`);
    if (!ofFile) continue;
    const nid = m.zone.nid[m.page.zone[pfn] as number] as number;
    shmem[nid] = (shmem[nid] as number) + 1;
  }
  for (let nid = 0; nid < m.sizes.nrNodes; nid++) {
    check.equal(Atomics.load(m.node.shmem, nid), shmem[nid] as number, `node ${nid} nr_shmem`);
  }
}

/** No file has anything left. @context after shutdown: no thread runs, no RCU callback waits */
export function checkNoFiles(m: Mm, check: Checker): void {
  check.equal(Atomics.load(m.fileInfo, 0), 0, 'entries of files at the end');
  check.equal(xaPoolUsed(m.filePool), 0, 'nodes of files at the end');
}
