// SPDX-License-Identifier: GPL-2.0-only
/**
 * The end of a run reads every page back, resident or swapped, and compares what it holds with
 * what must be there: this CPU's slot, and the fill.
 *
 * It neither faults nor changes a counter. A resident page is copied inside a section, which keeps
 * reclaim from giving its frame away; a swapped one is unpacked from zram under its cluster lock.
 */
import { bug } from '../../shared/assert.ts';
import { condResched } from '../../shared/sched.ts';
import { pageWords, verifyFill } from './content.ts';
import { folioLock, folioTest, folioUnlock, pageFolio } from './folio.ts';
import { hostRead } from './host_io.ts';
import { PAGE_SIZE, PAGE_WORDS, PTRS_PER_TABLE } from './limits.ts';
import { folioInMapping, mappingGet, mappingPeek } from './mapping.ts';
import { migrationEntryWait } from './migrate_entry.ts';
import type { Mm } from './mm.ts';
import {
  PG_SWAPCACHE,
  PG_UPTODATE,
  PTE_MIGRATION,
  PTE_PRESENT,
  PTE_SHIFT,
  PTE_SPECIAL,
  SWAP_HAS_CACHE,
} from './mm_types.ts';
import { mmapReadLock, mmapReadUnlock } from './mmap.ts';
import { PTE_NONE, pteOffset } from './pgtable.ts';
import { folioPut } from './swap.ts';
import { clusterLock, clusterUnlock } from './swap_cluster.ts';
import { diskHolds, diskReadInto } from './swap_disk.ts';
import { slotOnFile } from './swap_info.ts';
import { swapCacheGet } from './swap_state.ts';
import { sectionEnter, sectionLeave } from './tlb.ts';
import { SEQ_ANY, SEQ_INHERITED, type UserContext } from './user.ts';
import { findVma, pageIndex } from './vma.ts';
import { zeromapTest } from './zeromap.ts';
import { zramReadInto } from './zram.ts';
import { zswapReadInto } from './zswap.ts';
import { zswapHolds } from './zswap_entry.ts';

const copy = new Int32Array(PAGE_WORDS);

/** Pages read back and found wrong. */
export interface Verification {
  pages: number;
  mismatches: number;
  first: string | null;
}

/**
 * Copies a page's bytes, wherever they are.
 * @returns false when the page was never touched, or maps the zero page
 * @context the address space's own CPU, outside a section; may block
 */
export function readPage(m: Mm, pte: number, copy: Int32Array): boolean {
  for (;;) {
    sectionEnter(m);
    const entry = Atomics.load(m.pte, pte);
    if ((entry & PTE_PRESENT) !== 0) {
      const special = (entry & PTE_SPECIAL) !== 0;
      if (!special) copy.set(pageWords(m, entry >>> PTE_SHIFT));
      sectionLeave(m);
      return !special;
    }
    sectionLeave(m);
    if (entry === 0) return false;
    if ((entry & PTE_MIGRATION) !== 0) migrationEntryWait(m, pte);
    else if (readSwapped(m, entry >>> PTE_SHIFT, copy)) {
      // The entry kept the slot alive if it is still the same.
      if (Atomics.load(m.pte, pte) === entry) return true;
    }
  }
}

/**
 * Copies the page of a slot, wherever it is.
 * @returns false when the slot changed hands meanwhile: look again
 * @context no spinlock held; takes folio_lock or swap_cluster
 */
export function readSwapped(m: Mm, slot: number, copy: Int32Array): boolean {
  const page = swapCacheGet(m, slot);
  if (page !== 0) {
    const pfn = pageFolio(m, page);
    folioLock(m, pfn);
    const ours = folioTest(m, pfn, PG_SWAPCACHE) && m.page.private[page] === slot;
    const uptodate = folioTest(m, pfn, PG_UPTODATE);
    if (ours && uptodate) copy.set(pageWords(m, page));
    // A read that failed left the folio empty: the page is where it was, and stays there.
    const read = ours && (uptodate || readStored(m, slot, copy));
    folioUnlock(m, pfn);
    folioPut(m, pfn);
    return read;
  }
  clusterLock(m, slot);
  const count = m.slot.count[slot] as number;
  // In the cache, or being handed out: look again.
  const stable = count !== 0 && (count & SWAP_HAS_CACHE) === 0;
  const onDisk = stable && slotOnFile(m, slot) && diskHolds(m, slot);
  const read = stable && !onDisk && readStored(m, slot, copy);
  clusterUnlock(m, slot);
  return onDisk ? readDisk(m, slot, copy) : read;
}

/**
 * Copies the page that is stored for a slot. @returns false when it cannot be read
 * @context the slot does not change: its folio is locked, or swap_cluster is held and it is not on
 *   a file
 */
function readStored(m: Mm, slot: number, copy: Int32Array): boolean {
  if (zeromapTest(m, slot)) copy.fill(0);
  else if (zswapHolds(m, slot)) return zswapReadInto(m, slot, bytesOf(copy));
  else if (slotOnFile(m, slot)) return diskReadInto(m, slot, bytesOf(copy));
  else zramReadInto(m, slot, copy);
  return true;
}

function bytesOf(words: Int32Array): Uint8Array {
  return new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
}

/**
 * Reads from the file without a lock. Programs have ended: the slot may come and go, or be written
 * again, but with the same bytes while its entry stays, which the caller looks at afterwards.
 */
function readDisk(m: Mm, slot: number, copy: Int32Array): boolean {
  if (!diskReadInto(m, slot, bytesOf(copy))) bug(`the swap file gives slot ${slot} no more`);
  clusterLock(m, slot);
  const same = diskHolds(m, slot);
  clusterUnlock(m, slot);
  return same;
}

/** @returns what the page is filled from beside its address space; -1 where nothing is mapped */
function indexOf(m: Mm, mm: number, vpn: number): number {
  mmapReadLock(m, mm);
  const vma = findVma(m, mm, vpn);
  const index = vma === 0 ? -1 : pageIndex(m, vma, vpn);
  mmapReadUnlock(m, mm);
  return index;
}

/** The page of a file that `fileOf` found. Private to the thread. */
const found = { inode: 0, index: 0 };

/** Does a page belong to a VMA that maps a file of the host? Leaves which in `found`. */
function fileOf(m: Mm, mm: number, vpn: number): boolean {
  mmapReadLock(m, mm);
  const vma = findVma(m, mm, vpn);
  found.inode = vma === 0 ? 0 : (m.vma.file[vma] as number);
  if (found.inode !== 0) found.index = pageIndex(m, vma, vpn);
  mmapReadUnlock(m, mm);
  return found.inode !== 0;
}

/** Reads that fail, by injected faults, are tried again so often. */
const READ_TRIES = 100;

/** Copies a cached page of the file. @returns false when it is the file's no more, or not read */
function readCached(m: Mm, page: number): boolean {
  const pfn = pageFolio(m, page);
  folioLock(m, pfn);
  const there = folioInMapping(m, page, found.inode, found.index) && folioTest(m, pfn, PG_UPTODATE);
  if (there) copy.set(pageWords(m, page));
  folioUnlock(m, pfn);
  folioPut(m, pfn);
  return there;
}

/**
 * Copies the page of the file that nobody maps any more: from the cache, else from the host, and
 * not into the cache.
 * @returns false when it cannot be had
 */
function readFile(m: Mm): boolean {
  const { inode, index } = found;
  const fd = (m.hostFile.fd[inode] as number) - 1;
  for (let tries = 0; tries < READ_TRIES; tries++) {
    const pfn = mappingGet(m, inode, index);
    if (pfn > 0) {
      if (readCached(m, pfn)) return true;
      continue;
    }
    const error = hostRead(fd, [bytesOf(copy)], index * PAGE_SIZE);
    // Whoever brought it in meanwhile may have stored to it.
    if (error === 0 && mappingPeek(m, inode, index) <= 0) return true;
  }
  return false;
}

/** What the process's file was filled from, 0 for not known. */
function fileFill(m: Mm, mm: number): number {
  return m.config.processes[mm - 1]?.file?.fillId ?? 0;
}

/** @returns the first word of `copy` that is not the page's fill, -1 for none or not known */
function wrongFill(m: Mm, mm: number, vpn: number, fillId: number, ofFile: boolean): number {
  if (fillId === 0) return -1;
  return verifyFill(copy, fillId, ofFile ? found.index : indexOf(m, mm, vpn));
}

/**
 * Reads back every page of the context's address space that was touched.
 * @param fill also compare the whole fill; one CPU of a process does
 * @context the CPU's own thread, its program done; others may still run
 */
export function verifyPages(m: Mm, user: UserContext, fill: boolean): Verification {
  const result: Verification = { pages: 0, mismatches: 0, first: null };
  if (!m.config.contents) return result;
  const word = m.task.cpu * 2;
  const fillId = m.mm.fillId[user.mm] as number;
  const ofFill = fileFill(m, user.mm);
  let table = PTE_NONE;
  for (let slot = 0; slot < user.slots; slot++) {
    if (slot % PTRS_PER_TABLE === 0) {
      table = pteOffset(m, user.mm, user.vpnOf(slot));
      condResched();
    }
    const vpn = user.vpnOf(slot);
    const expected = user.lastSeqOf(slot);
    const mapped = table !== PTE_NONE && readPage(m, table + (slot % PTRS_PER_TABLE), copy);
    const ofFile = m.config.hostFiles && fileOf(m, user.mm, vpn);
    const wanted = ofFile && (expected !== 0 || ofFill !== 0);
    if (!mapped && !(wanted && readFile(m))) {
      if (expected === 0 || expected === SEQ_ANY || expected === SEQ_INHERITED) continue;
      result.mismatches++;
      result.first ??= `vpn ${vpn}: stored to, and gone`;
      continue;
    }
    result.pages++;
    const anything = expected === SEQ_ANY || expected === SEQ_INHERITED;
    if (!anything && copy[word + 1] !== expected) {
      result.mismatches++;
      result.first ??= `vpn ${vpn}: slot holds ${copy[word + 1]}, ` + `last store was ${expected}`;
    }
    const wrong = fill ? wrongFill(m, user.mm, vpn, ofFile ? ofFill : fillId, ofFile) : -1;
    if (wrong >= 0) {
      result.mismatches++;
      result.first ??= `vpn ${vpn}: fill differs at word ${wrong}`;
    }
  }
  return result;
}
