// SPDX-License-Identifier: GPL-2.0-only
/**
 * VMAs: ranges of an address space that are mapped alike (mm/vma.c). An address space's VMAs are a
 * list in ascending order.
 *
 * A VMA's first page has index `pgoff`, of its file or of itself: what an anonymous VMA got at its
 * first place, which mremap keeps. The rmap finds a page by its index, so bounds of a VMA that the
 * rmap can see change under the root's rwsem (and the file's i_mmap_rwsem) only.
 */
import {
  anonVmaClone,
  anonVmaLockRoot,
  anonVmasCompatible,
  anonVmaUnlockRoot,
  unlinkAnonVmas,
  vmaAnonRoot,
} from './anon_vma.ts';
import type { Mm } from './mm.ts';
import { POOL_VMAS, poolPut, poolTake } from './row_pool.ts';
import { vmaLinkFile, vmaLockFile, vmaUnlinkFile, vmaUnlockFile } from './vma_file.ts';
import { vmaAttach, vmaDetach, vmaStartWrite } from './vma_lock.ts';

/** @returns a row, in no address space, anonymous, without flags; 0 when all are in use */
export function allocVma(m: Mm): number {
  const row = poolTake(m, POOL_VMAS, m.vma.next, m.config.vmasMax);
  if (row === 0) return 0;
  vmaDetach(m, row);
  m.vma.mm[row] = 0;
  m.vma.flags[row] = 0;
  m.vma.file[row] = 0;
  m.vma.pgoff[row] = 0;
  m.vma.avcHead[row] = 0;
  Atomics.store(m.vma.anonVma, row, 0);
  return row;
}

/** Gives a row back. @context nobody can find it: unlinked, without links to anon_vmas */
export function freeVma(m: Mm, vma: number): void {
  vmaDetach(m, vma);
  m.vma.mm[vma] = 0;
  m.vma.file[vma] = 0;
  poolPut(m, POOL_VMAS, m.vma.next, vma);
}

/** @returns the first VMA that ends above `vpn`, or 0 @context mmap_lock held */
export function findVmaAbove(m: Mm, mm: number, vpn: number): number {
  const { end, next } = m.vma;
  let vma = m.mm.vmaHead[mm] as number;
  while (vma !== 0 && (end[vma] as number) <= vpn) vma = next[vma] as number;
  return vma;
}

/** @returns the VMA that holds `vpn`, or 0 @context mmap_lock held */
export function findVma(m: Mm, mm: number, vpn: number): number {
  const vma = findVmaAbove(m, mm, vpn);
  return vma !== 0 && vpn >= (m.vma.start[vma] as number) ? vma : 0;
}

/** @returns the first VMA with a page in the range, or 0 @context mmap_lock held */
export function findVmaIntersection(m: Mm, mm: number, start: number, end: number): number {
  const vma = findVmaAbove(m, mm, start);
  return vma !== 0 && (m.vma.start[vma] as number) < end ? vma : 0;
}

/** @returns index of a page of the VMA: in its file, or of itself @context mmap_lock held */
export function pageIndex(m: Mm, vma: number, vpn: number): number {
  return (m.vma.pgoff[vma] as number) + (vpn - (m.vma.start[vma] as number));
}

/** Puts a VMA in its place in its address space. */
function linkVma(m: Mm, mm: number, vma: number): void {
  const { next, prev, start } = m.vma;
  let before = 0;
  let after = m.mm.vmaHead[mm] as number;
  while (after !== 0 && (start[after] as number) < (start[vma] as number)) {
    before = after;
    after = next[after] as number;
  }
  m.vma.mm[vma] = mm;
  vmaAttach(m, vma);
  next[vma] = after;
  prev[vma] = before;
  if (before === 0) m.mm.vmaHead[mm] = vma;
  else next[before] = vma;
  if (after !== 0) prev[after] = vma;
}

/**
 * Puts a VMA in its place, and in its file's list; its bounds, pgoff, file and flags are set.
 * @context mmap_lock held for writing; the range is free
 */
export function insertVma(m: Mm, mm: number, vma: number): void {
  linkVma(m, mm, vma);
  vmaLinkFile(m, vma);
}

/**
 * Takes a VMA out of its address space and its file's list. Its links to anon_vmas stay.
 * @context mmap_lock held for writing
 */
export function unlinkVma(m: Mm, vma: number): void {
  vmaStartWrite(m, vma);
  const after = m.vma.next[vma] as number;
  const before = m.vma.prev[vma] as number;
  if (before === 0) m.mm.vmaHead[m.vma.mm[vma] as number] = after;
  else m.vma.next[before] = after;
  if (after !== 0) m.vma.prev[after] = before;
  vmaUnlinkFile(m, vma);
}

/** Removes a VMA without pages: out of the list, out of the rmap's sight, its row back. */
export function removeVma(m: Mm, vma: number): void {
  unlinkVma(m, vma);
  unlinkAnonVmas(m, vma);
  freeVma(m, vma);
}

/** Sets bounds as walkers of the rmap see them: all at once. @context mmap_lock held for writing */
export function setVmaBounds(m: Mm, vma: number, start: number, end: number, pgoff: number): void {
  vmaStartWrite(m, vma);
  vmaLockFile(m, vma);
  const root = vmaAnonRoot(m, vma);
  if (root !== 0) anonVmaLockRoot(m, root);
  m.vma.start[vma] = start;
  m.vma.end[vma] = end;
  m.vma.pgoff[vma] = pgoff;
  if (root !== 0) anonVmaUnlockRoot(m, root);
  vmaUnlockFile(m, vma);
}

/** Copies what a part of a VMA has in common with the whole. */
function copyVma(m: Mm, to: number, from: number): void {
  m.vma.mm[to] = m.vma.mm[from] as number;
  m.vma.start[to] = m.vma.start[from] as number;
  m.vma.end[to] = m.vma.end[from] as number;
  m.vma.flags[to] = m.vma.flags[from] as number;
  m.vma.pgoff[to] = m.vma.pgoff[from] as number;
  m.vma.file[to] = m.vma.file[from] as number;
}

/**
 * A row like another: bounds, flags, file, but in no list, without links.
 * @returns the row, or 0 when all are in use
 */
export function dupVma(m: Mm, vma: number): number {
  const copy = allocVma(m);
  if (copy !== 0) copyVma(m, copy, vma);
  return copy;
}

/**
 * Cuts a VMA in two.
 * @param at first page of the upper part, within the VMA and not its first
 * @returns the row of the upper part, or 0 when rows have run out and nothing has changed
 * @context mmap_lock held for writing; may block
 */
export function splitVma(m: Mm, vma: number, at: number): number {
  vmaStartWrite(m, vma);
  const upper = dupVma(m, vma);
  if (upper === 0) return 0;
  m.vma.pgoff[upper] = pageIndex(m, vma, at);
  m.vma.start[upper] = at;
  Atomics.store(m.vma.anonVma, upper, Atomics.load(m.vma.anonVma, vma));
  // Before the old one shrinks: who looks for the mappings of a file's page finds one, or both.
  vmaLinkFile(m, upper);
  vmaLockFile(m, vma);
  const error = anonVmaClone(m, upper, vma, () => {
    m.vma.end[vma] = at;
  });
  vmaUnlockFile(m, vma);
  if (error < 0) {
    vmaUnlinkFile(m, upper);
    freeVma(m, upper);
    return 0;
  }
  linkVma(m, m.vma.mm[vma] as number, upper);
  return upper;
}

/**
 * Makes VMA borders at both ends of a range, where they lie within VMAs.
 * @returns false when rows have run out: nothing has changed then
 * @context mmap_lock held for writing; may block
 */
export function splitAtRange(m: Mm, mm: number, start: number, end: number): boolean {
  for (const at of [start, end]) {
    const vma = findVma(m, mm, at);
    if (vma === 0 || m.vma.start[vma] === at) continue;
    if (splitVma(m, vma, at) !== 0) continue;
    mergeRange(m, mm, start, end);
    return false;
  }
  return true;
}

function mergeable(m: Mm, low: number, high: number): boolean {
  const { start, end, flags, file, pgoff } = m.vma;
  if (low === 0 || high === 0 || end[low] !== start[high]) return false;
  if (flags[low] !== flags[high] || file[low] !== file[high]) return false;
  const pages = (end[low] as number) - (start[low] as number);
  if (pgoff[high] !== (pgoff[low] as number) + pages) return false;
  return anonVmasCompatible(m, low, high);
}

/** Makes two neighbours one. @returns the row that is left, or 0 when they differ */
function mergePair(m: Mm, low: number, high: number): number {
  if (!mergeable(m, low, high)) return 0;
  // The one with an anon_vma stays: its links are right for the pages of both.
  const lowStays =
    Atomics.load(m.vma.anonVma, high) === 0 || Atomics.load(m.vma.anonVma, low) !== 0;
  const stays = lowStays ? low : high;
  const goes = lowStays ? high : low;
  const start = m.vma.start[low] as number;
  const end = m.vma.end[high] as number;
  const pgoff = m.vma.pgoff[low] as number;
  // In this order: no page of the file is out of the sight of who looks for its mappings.
  setVmaBounds(m, stays, start, end, pgoff);
  unlinkVma(m, goes);
  unlinkAnonVmas(m, goes);
  freeVma(m, goes);
  return stays;
}

/**
 * Merges a VMA with its neighbours where they are alike: flags, file, running indexes, anon_vmas.
 * @returns the row that holds its pages now
 * @context mmap_lock held for writing; may block
 */
export function mergeVma(m: Mm, vma: number): number {
  const low = mergePair(m, m.vma.prev[vma] as number, vma) || vma;
  return mergePair(m, low, m.vma.next[low] as number) || low;
}

/** Merges all neighbours that are alike from the VMA before `start` to the one behind `end`. */
export function mergeRange(m: Mm, mm: number, start: number, end: number): void {
  let vma = findVmaAbove(m, mm, start);
  while (vma !== 0 && (m.vma.start[vma] as number) <= end) {
    vma = m.vma.next[mergeVma(m, vma)] as number;
  }
}
