// SPDX-License-Identifier: GPL-2.0-only
/**
 * The end of a run reads every page back, resident or swapped, and compares what it holds with
 * what must be there: this CPU's slot, and the fill.
 *
 * It neither faults nor changes a counter, but for pages of the host's files that are read again. A
 * resident page is copied inside a section, which keeps reclaim from giving its frame away; a
 * swapped one is unpacked from zram under its cluster lock.
 */
import { bug } from '../../shared/assert.ts';
import { condResched } from '../../shared/sched.ts';
import { pageWords, verifyFill } from './content.ts';
import { newFileRa } from './file_ra.ts';
import { fileReadPage } from './filemap.ts';
import { folioLock, folioTest, folioUnlock } from './folio.ts';
import { PAGE_WORDS, PTRS_PER_TABLE } from './limits.ts';
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
  const pfn = swapCacheGet(m, slot);
  if (pfn !== 0) {
    folioLock(m, pfn);
    const ours = folioTest(m, pfn, PG_SWAPCACHE) && m.page.private[pfn] === slot;
    const uptodate = folioTest(m, pfn, PG_UPTODATE);
    if (ours && uptodate) copy.set(pageWords(m, pfn));
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

/** Reads that fail, by injected faults or for want of memory, are tried again so often. */
const READ_TRIES = 100;

/** Copies the page of the file: nobody maps it any more. @returns false when it cannot be had */
function readFile(m: Mm): boolean {
  let pfn = 0;
  for (let tries = 0; pfn <= 0 && tries < READ_TRIES; tries++) {
    pfn = fileReadPage(m, found.inode, found.index, newFileRa(), 1);
  }
  if (pfn <= 0) return false;
  copy.set(pageWords(m, pfn));
  folioPut(m, pfn);
  return true;
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
    if (!mapped && !(ofFile && expected !== 0 && readFile(m))) {
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
    const wrong = fill && !ofFile ? verifyFill(copy, fillId, indexOf(m, user.mm, vpn)) : -1;
    if (wrong >= 0) {
      result.mismatches++;
      result.first ??= `vpn ${vpn}: fill differs at word ${wrong}`;
    }
  }
  return result;
}
