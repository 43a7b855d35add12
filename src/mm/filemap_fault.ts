// SPDX-License-Identifier: GPL-2.0-only
/**
 * Faults in VMAs that map a file of the host (mm/memory.c: do_read_fault, do_cow_fault,
 * do_shared_fault, wp_page_shared; mm/filemap.c: filemap_fault).
 *
 *   empty entry    read              the page, read-only; and its cached neighbours
 *                  write, private    an anonymous copy
 *                  write, shared     the page, writable: it is dirty from here on
 *   read-only      write, private    an anonymous copy takes its place
 *                  write, shared     writable, after writeback has ended; the page is dirty
 *
 * A page is mapped under its folio's lock, so truncation and the writer come before or after. Who
 * has dirtied too much waits before it may store to the next page, not after: the writer that it
 * waits for would write-protect what it faulted for, and one large folio may be too much.
 */
import { faultDelay } from '../../shared/fault.ts';
import { anonVmaPrepare } from './anon_vma.ts';
import { pageWords } from './content.ts';
import { EIO, ENOMEM } from './errno.ts';
import { mmUnstable } from './fatal_signal.ts';
import {
  FAULT_DONE,
  FAULT_FLAG_WRITE,
  FAULT_MAJOR,
  FAULT_OOM,
  FAULT_SIGBUS,
  FAULT_SIGSEGV,
} from './fault_codes.ts';
import { FAULT_DELAY } from './faults.ts';
import { fileDirty } from './file_dirty.ts';
import { fileHasPage } from './file_pages.ts';
import { type FileRa, raFault } from './file_ra.ts';
import { fileGetPage, fileGot } from './filemap.ts';
import { faultAround } from './filemap_around.ts';
import {
  folioLock,
  folioSet,
  folioTryGet,
  folioUnlock,
  folioWaitWriteback,
  pageFolio,
} from './folio.ts';
import type { Mm } from './mm.ts';
import {
  PG_SWAPBACKED,
  PG_UPTODATE,
  PTE_DIRTY,
  PTE_PRESENT,
  PTE_SHIFT,
  PTE_WRITE,
  PTE_YOUNG,
  VM_SHARED,
  VM_WRITE,
} from './mm_types.ts';
import { balanceDirtyPages, wakeFlusherIfDirty } from './page_writeback.ts';
import { ptlLock, ptlUnlock } from './pgtable.ts';
import { newFilePage } from './readahead.ts';
import { folioAddAnonRmap, folioRemoveRmap } from './rmap.ts';
import { folioAddFileRmap } from './rmap_file.ts';
import { folioAddLruVma, folioPut } from './swap.ts';
import { tlbFlush } from './tlb.ts';

/** The entry is none of a file's page: the caller goes on. */
export const FAULT_NOT_FILE = -1;

/** Reads that fail in a row before a fault gives up. */
const READ_TRIES = 8;

/** A fault under way: what it is about. */
interface Fault {
  readonly mm: number;
  readonly vma: number;
  readonly vpn: number;
  readonly pte: number;
}

/** This thread's copy of what faults in a VMA have read ahead. */
const ra: FileRa = { start: 0, size: 0, asyncSize: 0, mmapMiss: 0, prev: -1 };

function loadRa(m: Mm, vma: number): void {
  ra.start = Atomics.load(m.fileRa.start, vma);
  ra.size = Atomics.load(m.fileRa.size, vma);
  ra.asyncSize = Atomics.load(m.fileRa.asyncSize, vma);
  ra.mmapMiss = Atomics.load(m.fileRa.mmapMiss, vma);
}

function storeRa(m: Mm, vma: number): void {
  Atomics.store(m.fileRa.start, vma, ra.start);
  Atomics.store(m.fileRa.size, vma, ra.size);
  Atomics.store(m.fileRa.asyncSize, vma, ra.asyncSize);
  Atomics.store(m.fileRa.mmapMiss, vma, ra.mmapMiss);
}

/** What a page could not be had for. */
function faultOf(error: number): number {
  return error === ENOMEM ? FAULT_OOM : FAULT_SIGBUS;
}

/**
 * The file's page of a fault, its folio locked and referenced, its content settled (filemap_fault).
 * @returns its pfn; 0 beyond the end of the file; ENOMEM, EIO, ENOSPC
 */
function faultPage(m: Mm, { vma, vpn }: Fault): number {
  const inode = m.vma.file[vma] as number;
  const index = vpn - (m.vma.start[vma] as number) + (m.vma.pgoff[vma] as number);
  const flags = m.vma.flags[vma] as number;
  let major = false;
  let failed = 0;
  for (;;) {
    loadRa(m, vma);
    const page = fileGetPage(m, inode, index, ra, () => raFault(m, ra, index, flags));
    if (page > 0 && !fileGot.major && ra.mmapMiss > 0) ra.mmapMiss--;
    storeRa(m, vma);
    major ||= fileGot.major;
    fileGot.major = major;
    // The disk may have recovered: a process is not killed for the first failure.
    if (page === EIO && ++failed < READ_TRIES) continue;
    if (page <= 0) return page;
    faultDelay(FAULT_DELAY);
    const pfn = pageFolio(m, page);
    folioLock(m, pfn);
    if (fileHasPage(m, page, inode, index)) return page;
    folioUnlock(m, pfn);
    folioPut(m, pfn);
  }
}

/** Maps a page where the entry is still empty; unlocks its folio. @returns FAULT_* */
function mapPage(m: Mm, fault: Fault, page: number, bits: number): number {
  const { pte, mm } = fault;
  const major = fileGot.major ? FAULT_MAJOR : FAULT_DONE;
  ptlLock(m, pte);
  const empty = Atomics.load(m.pte, pte) === 0 && !mmUnstable(m, mm);
  if (empty) {
    folioAddFileRmap(m, page);
    Atomics.add(m.mm.rssFile, mm, 1);
    Atomics.store(m.pte, pte, (page << PTE_SHIFT) | bits);
  }
  ptlUnlock(m, pte);
  const pfn = pageFolio(m, page);
  folioUnlock(m, pfn);
  if (!empty) folioPut(m, pfn);
  return major;
}

function doReadFault(m: Mm, fault: Fault): number {
  if (faultAround(m, fault.mm, fault.vma, fault.vpn, fault.pte)) return FAULT_DONE;
  const page = faultPage(m, fault);
  if (page <= 0) return faultOf(page);
  return mapPage(m, fault, page, PTE_PRESENT | PTE_YOUNG);
}

function doSharedFault(m: Mm, fault: Fault): number {
  balanceDirtyPages(m);
  const page = faultPage(m, fault);
  if (page <= 0) return faultOf(page);
  // page_mkwrite: what is being written does not change; the page is dirty before the store.
  folioWaitWriteback(m, pageFolio(m, page));
  fileDirty(m, page);
  const result = mapPage(m, fault, page, PTE_PRESENT | PTE_WRITE | PTE_YOUNG | PTE_DIRTY);
  wakeFlusherIfDirty(m);
  return result;
}

/** Puts an anonymous page in place of what the entry held. @context ptl held, the page is new */
function mapCopy(m: Mm, fault: Fault, copy: number): void {
  const { mm, vma, vpn, pte } = fault;
  folioSet(m, copy, PG_SWAPBACKED | PG_UPTODATE);
  folioAddAnonRmap(m, copy, vma, vpn, true);
  Atomics.add(m.mm.rssAnon, mm, 1);
  folioAddLruVma(m, copy, vma);
  const bits = PTE_PRESENT | PTE_WRITE | PTE_YOUNG | PTE_DIRTY;
  Atomics.store(m.pte, pte, (copy << PTE_SHIFT) | bits);
}

function doCowFault(m: Mm, fault: Fault): number {
  if (!anonVmaPrepare(m, fault.vma)) return FAULT_OOM;
  const copy = newFilePage(m);
  if (copy < 0) return FAULT_OOM;
  const page = faultPage(m, fault);
  if (page <= 0) {
    folioPut(m, copy);
    return faultOf(page);
  }
  pageWords(m, copy).set(pageWords(m, page));
  const pfn = pageFolio(m, page);
  folioUnlock(m, pfn);
  folioPut(m, pfn);
  ptlLock(m, fault.pte);
  const empty = Atomics.load(m.pte, fault.pte) === 0 && !mmUnstable(m, fault.mm);
  if (empty) mapCopy(m, fault, copy);
  ptlUnlock(m, fault.pte);
  if (!empty) folioPut(m, copy);
  return fileGot.major ? FAULT_MAJOR : FAULT_DONE;
}

/** @returns the folio of the page that an entry maps, referenced; 0 when it is another by now */
function getMapped(m: Mm, pte: number, page: number): number {
  ptlLock(m, pte);
  const entry = Atomics.load(m.pte, pte);
  const same = (entry & PTE_PRESENT) !== 0 && entry >>> PTE_SHIFT === page;
  const pfn = pageFolio(m, page);
  const got = same && folioTryGet(m, pfn);
  ptlUnlock(m, pte);
  return got ? pfn : 0;
}

/** A private mapping's first store to a page that it shares with the file. */
function copyMapped(m: Mm, fault: Fault, page: number): number {
  const { pte, mm } = fault;
  if (!anonVmaPrepare(m, fault.vma)) return FAULT_OOM;
  const copy = newFilePage(m);
  if (copy < 0) return FAULT_OOM;
  const pfn = getMapped(m, pte, page);
  if (pfn === 0) {
    folioPut(m, copy);
    return FAULT_DONE;
  }
  pageWords(m, copy).set(pageWords(m, page));
  ptlLock(m, pte);
  const entry = Atomics.load(m.pte, pte);
  const same = (entry & PTE_PRESENT) !== 0 && entry >>> PTE_SHIFT === page;
  if (same) {
    folioRemoveRmap(m, page);
    Atomics.sub(m.mm.rssFile, mm, 1);
    mapCopy(m, fault, copy);
  }
  ptlUnlock(m, pte);
  if (same) {
    // Other CPUs may still read the file's page through what they translated before.
    tlbFlush(m, Atomics.load(m.mm.cpuMask, mm));
    folioPut(m, pfn);
  } else folioPut(m, copy);
  folioPut(m, pfn);
  return FAULT_DONE;
}

/** A shared mapping's store to a page that is write-protected. */
function makeWritable(m: Mm, { pte, vma }: Fault, page: number): number {
  balanceDirtyPages(m);
  const pfn = getMapped(m, pte, page);
  if (pfn === 0) return FAULT_DONE;
  folioLock(m, pfn);
  if (m.page.mapping[page] === -(m.vma.file[vma] as number)) {
    folioWaitWriteback(m, pfn);
    fileDirty(m, pfn);
    ptlLock(m, pte);
    const entry = Atomics.load(m.pte, pte);
    if ((entry & PTE_PRESENT) !== 0 && entry >>> PTE_SHIFT === page) {
      Atomics.or(m.pte, pte, PTE_WRITE | PTE_DIRTY | PTE_YOUNG);
    }
    ptlUnlock(m, pte);
  }
  folioUnlock(m, pfn);
  folioPut(m, pfn);
  wakeFlusherIfDirty(m);
  return FAULT_DONE;
}

/**
 * Handles a fault in a VMA that maps a file.
 * @param entry what the page-table entry held @param flags FAULT_FLAG_*
 * @returns FAULT_*, or FAULT_NOT_FILE for an anonymous page of a private mapping
 * @context mmap_lock held for reading; may block, read and reclaim
 */
export function handleFileFault(m: Mm, fault: Fault, entry: number, flags: number): number {
  const store = (flags & FAULT_FLAG_WRITE) !== 0;
  const vmFlags = m.vma.flags[fault.vma] as number;
  if (store && (vmFlags & VM_WRITE) === 0) return FAULT_SIGSEGV;
  const shared = (vmFlags & VM_SHARED) !== 0;
  if (entry === 0) {
    if (!store) return doReadFault(m, fault);
    return shared ? doSharedFault(m, fault) : doCowFault(m, fault);
  }
  const page = entry >>> PTE_SHIFT;
  if ((entry & PTE_PRESENT) === 0 || (m.page.mapping[page] as number) >= 0) return FAULT_NOT_FILE;
  if (!store || (entry & PTE_WRITE) !== 0) return FAULT_DONE;
  return shared ? makeWritable(m, fault, page) : copyMapped(m, fault, page);
}
