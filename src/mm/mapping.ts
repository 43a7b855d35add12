// SPDX-License-Identifier: GPL-2.0-only
/**
 * The page cache of one inode (struct address_space; mm/filemap.c): page index -> pfn, or minus the
 * swap slot that has the page.
 *
 *   entry   the page's bytes are in              who holds what
 *   0       nowhere: a hole                      -
 *   pfn     the folio; folio.mapping = -inode    the entry holds a reference on the folio
 *   -slot   the slot, or its swap cache folio    the entry holds a reference on the slot
 *
 * Entries change under i_pages; one that is a pfn, or becomes one, also under that folio's lock.
 * So whoever has a folio locked and finds its mapping unchanged knows that it stays there. Lookups
 * run under RCU: they get the folio unless it is free, and look at the entry again.
 *
 * With contents, a second table says what was written to each page last. It changes with the
 * entries, under the same lock.
 */
import { assert } from '../../shared/assert.ts';
import { cpuRelax } from '../../shared/cpu_relax.ts';
import { rcuReadLock, rcuReadUnlock } from '../../shared/rcu.ts';
import { callRcu, registerRcuCallback } from '../../shared/rcu_callback.ts';
import { spinLock, spinUnlock } from '../../shared/spinlock.ts';
import { XA_NONE, type XaPool, Xarray, xaFreeNode } from '../../shared/xarray.ts';
import { EBUSY, EEXIST, ENOSPC } from './errno.ts';
import { folioNid, folioRefFreeze, folioTryGet, pageFolio } from './folio.ts';
import { LC_I_PAGES } from './lock_order.ts';
import type { Mm } from './mm.ts';
import { RCU_FILE_NODE } from './rcu_ids.ts';
import { folioPut } from './swap.ts';

export { XA_NONE };

/** The pool that this thread's callbacks return nodes to: that of its machine. */
let freePool: XaPool | null = null;

function freeNode(node: number): void {
  if (freePool !== null) xaFreeNode(freePool, node);
}

/** Nodes taken out under i_pages; queued for RCU outside it. Private to the thread. */
const takenOut: number[] = [];

/**
 * Lets this thread change files and run the callbacks of others that do.
 * @context once per worker, at its start
 */
export function enterMapping(m: Mm): void {
  freePool = m.filePool;
  takenOut.length = 0;
  registerRcuCallback(RCU_FILE_NODE, freeNode);
}

interface Tables {
  readonly inode: number;
  readonly pages: Xarray;
  readonly seqs: Xarray;
}

/** Handles hold no state: those used last are kept, by inode modulo a power of 2. */
const handles = new WeakMap<Mm, Tables[]>();
const HANDLES = 256;

/** A file's tables: its pages, and what was written to them. @context under i_pages, or RCU */
export function tablesOf(m: Mm, inode: number): Tables {
  let all = handles.get(m);
  if (all === undefined) {
    all = [];
    handles.set(m, all);
  }
  const way = inode & (HANDLES - 1);
  let tables = all[way];
  if (tables === undefined || tables.inode !== inode) {
    assert(inode > 0 && inode < m.sizes.fs.nrInodes, 'inode row out of range');
    const free = (node: number): number => takenOut.push(node);
    tables = {
      inode,
      pages: new Xarray(m.filePool, m.mapping.head, inode, free),
      seqs: new Xarray(m.filePool, m.mapping.seqHead, inode, free),
    };
    all[way] = tables;
  }
  return tables;
}

/** @context inside the folio lock; outside swap_cluster; nothing may sleep under it */
export function iPagesLock(m: Mm, inode: number): void {
  spinLock(m.iPages, inode, LC_I_PAGES);
}

/** Releases i_pages, then hands nodes that were taken out to RCU. */
export function iPagesUnlock(m: Mm, inode: number): void {
  spinUnlock(m.iPages, inode, LC_I_PAGES);
  while (takenOut.length > 0) callRcu(RCU_FILE_NODE, takenOut.pop() as number);
}

/** @returns the entry at this moment, a hint @context any */
export function mappingPeek(m: Mm, inode: number, index: number): number {
  rcuReadLock();
  const entry = tablesOf(m, inode).pages.load(index);
  rcuReadUnlock();
  return entry;
}

/** @returns the first index at or after `start` that has an entry, or XA_NONE @context any */
export function mappingNext(m: Mm, inode: number, start: number): number {
  rcuReadLock();
  const index = tablesOf(m, inode).pages.next(start);
  rcuReadUnlock();
  return index;
}

/**
 * Looks an index up (filemap_get_entry).
 * @returns the pfn of the page, with a reference taken on its folio, which then stays whole; minus
 *   a slot, or 0 for a hole
 * @context a thread registered with RCU; no spinlock held
 */
export function mappingGet(m: Mm, inode: number, index: number): number {
  const { pages } = tablesOf(m, inode);
  for (;;) {
    rcuReadLock();
    const entry = pages.load(index);
    const pfn = entry > 0 ? pageFolio(m, entry) : 0;
    const got = pfn > 0 && folioTryGet(m, pfn);
    const same = got && pages.load(index) === entry && pageFolio(m, entry) === pfn;
    rcuReadUnlock();
    if (entry <= 0 || same) return entry;
    // It went or was split meanwhile, and may be another's by now: give the reference back.
    if (got) folioPut(m, pfn);
    else cpuRelax();
  }
}

/** Does the file have this page at this index? @context its folio locked: it stays true */
export function folioInMapping(m: Mm, page: number, inode: number, index: number): boolean {
  return m.page.mapping[page] === -inode && m.page.index[page] === index;
}

/** Changes a file's counts. @param swapped entries that are slots, or shadows @context i_pages */
export function addCounts(m: Mm, inode: number, pages: number, swapped: number): void {
  m.mapping.nrPages[inode] = (m.mapping.nrPages[inode] as number) + pages;
  m.mapping.nrSwapped[inode] = (m.mapping.nrSwapped[inode] as number) + swapped;
}

/**
 * Makes a folio the file's (shmem_add_to_page_cache); the entry takes a reference of its own.
 * @param expected 0 for a hole, or minus the slot that the folio was read from
 * @returns 0, EEXIST when the entry is not `expected`, ENOSPC when files may hold no more, EBUSY
 *   when every node is in use or waits for its grace period
 * @context folio locked, charged, in no file; takes i_pages
 */
export function mappingAdd(
  m: Mm,
  pfn: number,
  inode: number,
  index: number,
  expected: number,
): number {
  const { pages } = tablesOf(m, inode);
  let result = 0;
  iPagesLock(m, inode);
  if (pages.load(index) !== expected) result = EEXIST;
  else if (expected === 0 && !takeEntry(m)) result = ENOSPC;
  else {
    m.page.index[pfn] = index;
    m.page.mapping[pfn] = -inode;
    // Before the entry: whoever finds the folio there finds it referenced.
    Atomics.add(m.page.refcount, pfn, 1);
    if (pages.store(index, pfn)) {
      addCounts(m, inode, 1, expected === 0 ? 0 : -1);
      Atomics.add(m.node.shmem, folioNid(m, pfn), 1);
    } else {
      Atomics.sub(m.page.refcount, pfn, 1);
      m.page.mapping[pfn] = 0;
      Atomics.sub(m.fileInfo, 0, 1);
      result = EBUSY;
    }
  }
  iPagesUnlock(m, inode);
  return result;
}

/** Counts more entries. @returns false when filePagesMax would be exceeded */
export function takeEntry(m: Mm, count = 1): boolean {
  if (Atomics.add(m.fileInfo, 0, count) + count <= m.config.filePagesMax) return true;
  Atomics.sub(m.fileInfo, 0, count);
  return false;
}

/** The folio is the file's no more; the caller drops the entry's reference. */
function forgetFolio(m: Mm, pfn: number): void {
  m.page.mapping[pfn] = 0;
  Atomics.sub(m.node.shmem, folioNid(m, pfn), 1);
}

/**
 * Turns a folio's entry into that of its slot (shmem_delete_from_page_cache with a swap entry).
 * @param slot referenced for the entry already
 * @context folio locked, in a file, in the swap cache, held by the caller; takes i_pages
 */
export function mappingToSwap(m: Mm, pfn: number, slot: number): void {
  const inode = -(m.page.mapping[pfn] as number);
  const index = m.page.index[pfn] as number;
  const { pages } = tablesOf(m, inode);
  iPagesLock(m, inode);
  assert(pages.load(index) === pfn, 'a folio that is not where its mapping says');
  const stored = pages.store(index, -slot);
  assert(stored, 'replacing an entry takes no node');
  addCounts(m, inode, -1, 1);
  forgetFolio(m, pfn);
  iPagesUnlock(m, inode);
  // The entry's reference; the swap cache and the caller hold others.
  Atomics.sub(m.page.refcount, pfn, 1);
}

/**
 * Gives a folio's place in its file to another (shmem part of folio_migrate_mapping).
 * @param dst locked, known to nobody
 * @param refs what the old one must have for it; then it is frozen
 * @returns false when somebody else holds the old one: nothing has changed
 * @context both locked, the old one in a file; takes i_pages
 */
export function mappingReplace(m: Mm, old: number, dst: number, refs: number): boolean {
  const inode = -(m.page.mapping[old] as number);
  const index = m.page.index[old] as number;
  const { pages } = tablesOf(m, inode);
  iPagesLock(m, inode);
  assert(pages.load(index) === old, 'a folio that is not where its mapping says');
  const frozen = folioRefFreeze(m, old, refs);
  if (frozen) {
    m.page.index[dst] = index;
    m.page.mapping[dst] = -inode;
    Atomics.add(m.page.refcount, dst, 1);
    const stored = pages.store(index, dst);
    assert(stored, 'replacing an entry takes no node');
    Atomics.add(m.node.shmem, folioNid(m, dst), 1);
    forgetFolio(m, old);
  }
  iPagesUnlock(m, inode);
  return frozen;
}

/**
 * Removes an entry, and what was known to be written there.
 * @param entry as it was found: a pfn, whose folio the caller has locked and references, or minus a
 *   slot
 * @returns false when the entry is another by now. Otherwise the entry's reference, on the folio or
 *   the slot, is the caller's to drop
 * @context takes i_pages
 */
export function mappingErase(m: Mm, inode: number, index: number, entry: number): boolean {
  const { pages, seqs } = tablesOf(m, inode);
  iPagesLock(m, inode);
  const same = pages.load(index) === entry;
  if (same) {
    pages.erase(index);
    seqs.erase(index);
    if (entry > 0) forgetFolio(m, entry);
    addCounts(m, inode, entry > 0 ? -1 : 0, entry > 0 ? 0 : -1);
    Atomics.sub(m.fileInfo, 0, 1);
  }
  iPagesUnlock(m, inode);
  return same;
}

/**
 * Makes the row of an empty file ready for another. @context nobody can find it; takes i_pages
 */
export function mappingReset(m: Mm, inode: number): void {
  // Under the lock: whoever erased the last entry has left.
  iPagesLock(m, inode);
  assert(
    m.mapping.head[inode] === 0 && m.mapping.seqHead[inode] === 0,
    'an evicted file has pages',
  );
  Atomics.add(m.mapping.serial, inode, 1);
  iPagesUnlock(m, inode);
}

/** @returns what was written to a page last; 0 for nothing @context takes i_pages */
export function mappingSeq(m: Mm, inode: number, index: number): number {
  iPagesLock(m, inode);
  const seq = tablesOf(m, inode).seqs.load(index);
  iPagesUnlock(m, inode);
  return seq;
}

/**
 * Remembers what is being written to a page. @returns false when there is no node left
 * @context the page's folio locked and in the file; takes i_pages
 */
export function mappingSetSeq(m: Mm, inode: number, index: number, seq: number): boolean {
  iPagesLock(m, inode);
  const stored = tablesOf(m, inode).seqs.store(index, seq);
  iPagesUnlock(m, inode);
  return stored;
}

/**
 * @returns the first index at or after `start` that something was written to, or XA_NONE
 * @context takes i_pages
 */
export function mappingNextSeq(m: Mm, inode: number, start: number): number {
  iPagesLock(m, inode);
  const index = tablesOf(m, inode).seqs.next(start);
  iPagesUnlock(m, inode);
  return index;
}

/** Entries of a file, as a walker reads them. @context quiescence; any thread */
export function* mappingEntries(m: Mm, inode: number): Generator<[number, number]> {
  if (m.mapping.head[inode] === 0) return;
  const { pages } = tablesOf(m, inode);
  for (let index = pages.next(0); index !== XA_NONE; index = pages.next(index + 1)) {
    yield [index, pages.load(index)];
  }
}
