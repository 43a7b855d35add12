// SPDX-License-Identifier: GPL-2.0-only
/** Walkers over files: what their tables refer to (see check.ts). */
import { xaPoolUsed } from '../../shared/xarray.ts';
import type { Checker } from './check.ts';
import { filePageCount } from './file_pages.ts';
import { pageFolio } from './folio.ts';
import { HOSTFS } from './fs_types.ts';
import { mappingEntries } from './mapping.ts';
import { fileMarks } from './mapping_file.ts';
import type { Mm } from './mm.ts';
import { PG_DIRTY, PG_SWAPBACKED, PG_UPTODATE } from './mm_types.ts';

/**
 * Recounts every file.
 * @param slotRefs entries that refer to each slot: those of files are added
 * @returns 1 for each page that a file holds
 */
export function checkFilePages(m: Mm, check: Checker, slotRefs: Int32Array): Uint8Array {
  const held = new Uint8Array(m.sizes.nrPages);
  let entries = 0;
  for (let inode = 1; inode < m.sizes.fs.nrInodes; inode++) {
    let pages = 0;
    let swapped = 0;
    let dirty = 0;
    const ofHost = m.fs.super.type[m.fs.inode.sb[inode] as number] === HOSTFS;
    for (const [index, entry] of mappingEntries(m, inode)) {
      if (entry < 0) {
        swapped++;
        if (!ofHost) slotRefs[-entry] = (slotRefs[-entry] as number) + 1;
        continue;
      }
      pages++;
      check.that(held[entry] === 0, () => `pfn ${entry} is in two files, one is ${inode}`);
      held[entry] = 1;
      const there = m.page.mapping[entry] === -inode && m.page.index[entry] === index;
      check.that(there, () => `pfn ${entry} does not know file ${inode} page ${index}`);
      if (ofHost) dirty += checkHostPage(m, check, inode, index, entry);
    }
    if (m.config.hostFiles) {
      check.equal(Atomics.load(m.hostFile.dirty, inode), dirty, `file ${inode} dirty pages`);
    }
    check.equal(m.mapping.nrPages[inode] as number, pages, `file ${inode} pages`);
    check.equal(m.mapping.nrSwapped[inode] as number, swapped, `file ${inode} pages in swap`);
    entries += pages + swapped;
  }
  check.equal(Atomics.load(m.fileInfo, 0), entries, 'entries of files');
  checkGauges(m, check, held);
  return held;
}

/** A cached page of a file of the host. @returns 1 when it is dirty */
function checkHostPage(m: Mm, check: Checker, inode: number, index: number, pfn: number): number {
  const head = pageFolio(m, pfn);
  const flags = Atomics.load(m.page.flags, head);
  const name = `file ${inode} page ${index} (pfn ${pfn})`;
  check.that((flags & PG_SWAPBACKED) === 0, () => `${name} is swap-backed`);
  check.that((flags & PG_UPTODATE) !== 0, () => `${name} is not up to date`);
  const pages = filePageCount(m.hostFile.size[inode] as number);
  // A large folio that could not be split when the file was cut ends behind the end.
  const begins = m.page.index[head] as number;
  check.that(begins < pages, () => `${name} lies beyond the end, at ${pages} pages`);
  const dirty = (flags & PG_DIRTY) !== 0;
  const marks = fileMarks(m, inode, index);
  check.that(marks.dirty === dirty, () => `${name}: dirty ${dirty}, its mark ${marks.dirty}`);
  check.that(!marks.writeback, () => `${name} is marked as being written`);
  return dirty ? 1 : 0;
}

/** Gauges of nodes: pages of tmpfs, pages of the host's files, mapped and dirty ones. */
function checkGauges(m: Mm, check: Checker, held: Uint8Array): void {
  const { nrNodes } = m.sizes;
  const recount = {
    shmem: new Int32Array(nrNodes),
    filePages: new Int32Array(nrNodes),
    fileMapped: new Int32Array(nrNodes),
    dirty: new Int32Array(nrNodes),
  };
  for (let pfn = 1; pfn < m.sizes.nrPages; pfn++) {
    if ((m.page.mapping[pfn] as number) >= 0) continue;
    check.that(held[pfn] === 1, () => `pfn ${pfn} names a file that does not hold it`);
    const nid = m.zone.nid[m.page.zone[pfn] as number] as number;
    const bump = (counts: Int32Array): void => {
      counts[nid] = (counts[nid] as number) + 1;
    };
    const flags = Atomics.load(m.page.flags, pageFolio(m, pfn));
    const ofHost = (flags & PG_SWAPBACKED) === 0;
    bump(ofHost ? recount.filePages : recount.shmem);
    if (Atomics.load(m.page.mapcount, pfn) > 0) bump(recount.fileMapped);
    if (ofHost && (flags & PG_DIRTY) !== 0) bump(recount.dirty);
  }
  for (const [name, counts] of Object.entries(recount)) {
    const gauge = m.node[name as keyof typeof recount];
    for (let nid = 0; nid < nrNodes; nid++) {
      check.equal(Atomics.load(gauge, nid), counts[nid] as number, `node ${nid} ${name}`);
    }
  }
}

/** No file has anything left. @context after shutdown: no thread runs, no RCU callback waits */
export function checkNoFiles(m: Mm, check: Checker): void {
  check.equal(Atomics.load(m.fileInfo, 0), 0, 'entries of files at the end');
  check.equal(xaPoolUsed(m.filePool), 0, 'nodes of files at the end');
}
