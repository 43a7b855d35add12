// SPDX-License-Identifier: GPL-2.0-only
/**
 * anon_vmas: from an anonymous folio to the VMAs that may map it (mm/rmap.c, first half).
 *
 *   folio.mapping -> anon_vma -> ring of links (avc) -> VMA
 *   VMA.avcHead   -> chain of links (avc), oldest first -> anon_vmas
 *
 * A VMA gets an anon_vma at its first page. A fork gives the child's VMA links to every anon_vma of
 * the parent's, so that pages from before are found in both, and one of its own for its new pages:
 * a walk for these does not visit the parent. All of a family share the rwsem of its first, the
 * root. An anon_vma that no VMA of its own uses any more and that has one child at most serves that
 * child's VMA instead of a new one, so that a line of forks does not grow for ever.
 *
 * Rows are read without the lock by walkers that found the number in a folio: they take the rwsem
 * of what the row says is its root, then look again (rmap.ts). A free row says 0. Lock words
 * outlive the rows, so a walker that waits on the lock of a row that is freed and used anew wakes
 * up, sees so, and lets go.
 */
import { assert } from '../../shared/assert.ts';
import { faultStall } from '../../shared/fault.ts';
import { RWSEM_WORDS, rwsemDownWrite, rwsemUpWrite } from '../../shared/rwsem.ts';
import { scheduleTimeout } from '../../shared/sched.ts';
import { spinLock, spinUnlock } from '../../shared/spinlock.ts';
import { LINE_WORDS } from '../../shared/types.ts';
import { ENOMEM } from './errno.ts';
import { FAULT_RMAP_HELD } from './faults.ts';
import { LC_ANON_VMA, LC_PAGE_TABLE } from './lock_order.ts';
import { AVCS_PER_VMA, type Mm } from './mm.ts';
import { POOL_ANON_VMAS, POOL_AVCS, poolPut, poolTake } from './row_pool.ts';

/** What an emptied anon_vma's last link says in `listNext`. */
const LAST_LINK = -1;

/**
 * Experiments: this thread sleeps for so long, in ms, when it has taken a family's rwsem for
 * writing, one time in so many: a holder that lost its CPU. Private to the thread; 0 ms is never.
 */
export const anonVmaHold = { ms: 0, oneIn: 1, taken: 0 };

/** @returns the anon_vma whose rwsem guards this one @context a VMA that is linked to it is held */
export function anonVmaRoot(m: Mm, anonVma: number): number {
  return Atomics.load(m.anonVma.root, anonVma);
}

/** Takes the rwsem of a family for writing. @context mmap_lock held; may block */
export function anonVmaLockRoot(m: Mm, root: number): void {
  rwsemDownWrite(m.anonVmaLock, root * RWSEM_WORDS, LC_ANON_VMA);
  if (anonVmaHold.ms > 0 && anonVmaHold.taken++ % anonVmaHold.oneIn === 0) {
    scheduleTimeout(anonVmaHold.ms);
  }
  faultStall(FAULT_RMAP_HELD);
}

/** Releases it. @context the writer */
export function anonVmaUnlockRoot(m: Mm, root: number): void {
  rwsemUpWrite(m.anonVmaLock, root * RWSEM_WORDS, LC_ANON_VMA);
}

/** Root of a VMA's family, or 0 while it has none. @context mmap_lock held */
export function vmaAnonRoot(m: Mm, vma: number): number {
  const first = m.vma.avcHead[vma] as number;
  return first === 0 ? 0 : anonVmaRoot(m, m.avc.anonVma[first] as number);
}

/** @returns a new row, its own root; 0 when `most` are in use */
function takeAnonVma(m: Mm, most: number): number {
  const row = poolTake(m, POOL_ANON_VMAS, m.anonVma.freeNext, m.sizes.nrAnonVmas - 1, most);
  if (row === 0) return 0;
  m.anonVma.parent[row] = row;
  m.anonVma.avcHead[row] = 0;
  m.anonVma.numChildren[row] = 1;
  m.anonVma.numActive[row] = 0;
  Atomics.store(m.anonVma.refcount, row, 1);
  Atomics.store(m.anonVma.root, row, row);
  return row;
}

/**
 * Drops a reference: the last one frees the row, and may free the root's with it.
 * @context takes table_pool; not under the rwsem
 */
export function putAnonVma(m: Mm, anonVma: number): void {
  const before = Atomics.sub(m.anonVma.refcount, anonVma, 1);
  assert(before > 0, 'putting a free anon_vma');
  if (before > 1) return;
  const root = anonVmaRoot(m, anonVma);
  assert(m.anonVma.avcHead[anonVma] === 0, 'an anon_vma that is freed has no link');
  Atomics.store(m.anonVma.root, anonVma, 0);
  poolPut(m, POOL_ANON_VMAS, m.anonVma.freeNext, anonVma);
  if (root !== anonVma) putAnonVma(m, root);
}

/** Links that fork and split may use: one for each VMA's first page is kept. */
function takeAvc(m: Mm, most: number): number {
  return poolTake(m, POOL_AVCS, m.avc.sameNext, m.sizes.nrAvcs - 1, most);
}

function putAvc(m: Mm, avc: number): void {
  m.avc.vma[avc] = 0;
  poolPut(m, POOL_AVCS, m.avc.sameNext, avc);
}

/** Links a VMA to an anon_vma. @context the root's rwsem held for writing */
function linkAvc(m: Mm, vma: number, avc: number, anonVma: number): void {
  const { sameNext, listNext, listPrev } = m.avc;
  m.avc.vma[avc] = vma;
  m.avc.anonVma[avc] = anonVma;
  sameNext[avc] = 0;
  const oldest = m.vma.avcHead[vma] as number;
  if (oldest === 0) m.vma.avcHead[vma] = avc;
  else {
    let last = oldest;
    while (sameNext[last] !== 0) last = sameNext[last] as number;
    sameNext[last] = avc;
  }
  const first = m.anonVma.avcHead[anonVma] as number;
  if (first === 0) {
    listNext[avc] = avc;
    listPrev[avc] = avc;
    m.anonVma.avcHead[anonVma] = avc;
    return;
  }
  // At the end: a walk sees the parent before the child, to which fork copies from there.
  const tail = listPrev[first] as number;
  listNext[tail] = avc;
  listPrev[avc] = tail;
  listNext[avc] = first;
  listPrev[first] = avc;
}

/** Takes a link out of its anon_vma's ring. @context the root's rwsem held for writing */
function unlinkAvc(m: Mm, avc: number): void {
  const { listNext, listPrev } = m.avc;
  const anonVma = m.avc.anonVma[avc] as number;
  const next = listNext[avc] as number;
  m.avc.vma[avc] = 0;
  if (next === avc) {
    m.anonVma.avcHead[anonVma] = 0;
    listNext[avc] = LAST_LINK;
    const parent = m.anonVma.parent[anonVma] as number;
    m.anonVma.numChildren[parent] = (m.anonVma.numChildren[parent] as number) - 1;
    return;
  }
  const prev = listPrev[avc] as number;
  listNext[prev] = next;
  listPrev[next] = prev;
  if (m.anonVma.avcHead[anonVma] === avc) m.anonVma.avcHead[anonVma] = next;
}

function addActive(m: Mm, anonVma: number, vmas: number): void {
  m.anonVma.numActive[anonVma] = (m.anonVma.numActive[anonVma] as number) + vmas;
}

/** Has a VMA exactly one link? Those that came by fork have more. */
function singular(m: Mm, vma: number): boolean {
  const first = m.vma.avcHead[vma] as number;
  return first !== 0 && m.avc.sameNext[first] === 0;
}

/**
 * May two VMAs be one, as far as their anon_vmas go (is_mergeable_anon_vma)?
 * @context mmap_lock held
 */
export function anonVmasCompatible(m: Mm, a: number, b: number): boolean {
  const ofA = Atomics.load(m.vma.anonVma, a);
  const ofB = Atomics.load(m.vma.anonVma, b);
  if (ofA === ofB) return true;
  if (ofA !== 0 && ofB !== 0) return false;
  return singular(m, ofA !== 0 ? a : b);
}

/**
 * A neighbour's anon_vma, so that the two may be merged one day (find_mergeable_anon_vma); or
 * 0.
 */
function reusableAnonVma(m: Mm, low: number, high: number, from: number): number {
  if (low === 0 || high === 0 || m.vma.end[low] !== m.vma.start[high]) return 0;
  if (m.vma.file[low] !== m.vma.file[high]) return 0;
  const pages = (m.vma.end[low] as number) - (m.vma.start[low] as number);
  if (m.vma.pgoff[high] !== (m.vma.pgoff[low] as number) + pages) return 0;
  const anonVma = Atomics.load(m.vma.anonVma, from);
  return anonVma !== 0 && singular(m, from) ? anonVma : 0;
}

/**
 * Gives a VMA an anon_vma before its first page, if it has none (anon_vma_prepare).
 * @returns false when all rows are in use
 * @context mmap_lock held, for reading at least; takes anon_vma->rwsem, then page_table_lock
 */
export function anonVmaPrepare(m: Mm, vma: number): boolean {
  return Atomics.load(m.vma.anonVma, vma) !== 0 || prepareSlow(m, vma);
}

function prepareSlow(m: Mm, vma: number): boolean {
  const avc = takeAvc(m, m.sizes.nrAvcs - 1);
  if (avc === 0) return false;
  const { prev, next } = m.vma;
  let anonVma =
    reusableAnonVma(m, vma, next[vma] as number, next[vma] as number) ||
    reusableAnonVma(m, prev[vma] as number, vma, prev[vma] as number);
  const reused = anonVma !== 0;
  if (!reused) anonVma = takeAnonVma(m, m.sizes.nrAnonVmas - 1);
  if (anonVma === 0) {
    putAvc(m, avc);
    return false;
  }
  const root = anonVmaRoot(m, anonVma);
  const lock = (m.vma.mm[vma] as number) * LINE_WORDS;
  anonVmaLockRoot(m, root);
  // Threads of one process fault side by side: one of them is first.
  spinLock(m.pageTableLock, lock, LC_PAGE_TABLE);
  const won = Atomics.load(m.vma.anonVma, vma) === 0;
  if (won) {
    linkAvc(m, vma, avc, anonVma);
    addActive(m, anonVma, 1);
    Atomics.store(m.vma.anonVma, vma, anonVma);
  }
  spinUnlock(m.pageTableLock, lock, LC_PAGE_TABLE);
  anonVmaUnlockRoot(m, root);
  if (won) return true;
  putAvc(m, avc);
  if (!reused) putAnonVma(m, anonVma);
  return true;
}

/**
 * Links `dst` to all that `src` is linked to (anon_vma_clone). A `dst` without an anon_vma of its
 * own takes one that has lost its VMAs and has one child at most, if there is one.
 * @param adjust runs under the root's rwsem: walkers see both changes or none
 * @returns 0, or -ENOMEM: `dst` has no link then, and `adjust` has not run
 * @context mmap_lock of `src` held for writing, `dst` not in sight of walks; may block
 */
export function anonVmaClone(m: Mm, dst: number, src: number, adjust: () => void): number {
  const own = Atomics.load(m.vma.anonVma, src);
  const root = vmaAnonRoot(m, src);
  if (root === 0) {
    adjust();
    return 0;
  }
  anonVmaLockRoot(m, root);
  for (let avc = m.vma.avcHead[src] as number; avc !== 0; avc = m.avc.sameNext[avc] as number) {
    const link = takeAvc(m, AVCS_PER_VMA * m.config.vmasMax);
    if (link === 0) {
      anonVmaUnlockRoot(m, root);
      // It was not counted as active yet.
      Atomics.store(m.vma.anonVma, dst, 0);
      unlinkAnonVmas(m, dst);
      return ENOMEM;
    }
    const anonVma = m.avc.anonVma[avc] as number;
    linkAvc(m, dst, link, anonVma);
    const idle = m.anonVma.numActive[anonVma] === 0 && (m.anonVma.numChildren[anonVma] ?? 0) < 2;
    if (own !== 0 && idle && Atomics.load(m.vma.anonVma, dst) === 0) {
      Atomics.store(m.vma.anonVma, dst, anonVma);
    }
  }
  if (Atomics.load(m.vma.anonVma, dst) !== 0) addActive(m, Atomics.load(m.vma.anonVma, dst), 1);
  adjust();
  anonVmaUnlockRoot(m, root);
  return 0;
}

/**
 * Links a child's VMA to its parent's anon_vmas, and to a new one of its own (anon_vma_fork).
 * @param vma the child's, without links @param parent the parent's
 * @returns 0, or -ENOMEM: the child's VMA has no link then
 * @context mmap_lock of the parent held for writing; may block
 */
export function anonVmaFork(m: Mm, vma: number, parent: number): number {
  const theirs = Atomics.load(m.vma.anonVma, parent);
  Atomics.store(m.vma.anonVma, vma, 0);
  if (theirs === 0) return 0;
  const error = anonVmaClone(m, vma, parent, () => undefined);
  if (error < 0 || Atomics.load(m.vma.anonVma, vma) !== 0) return error;
  const anonVma = takeAnonVma(m, m.config.vmasMax);
  const avc = anonVma === 0 ? 0 : takeAvc(m, AVCS_PER_VMA * m.config.vmasMax);
  if (avc === 0) {
    if (anonVma !== 0) putAnonVma(m, anonVma);
    unlinkAnonVmas(m, vma);
    return ENOMEM;
  }
  const root = anonVmaRoot(m, theirs);
  Atomics.add(m.anonVma.refcount, root, 1);
  anonVmaLockRoot(m, root);
  m.anonVma.parent[anonVma] = theirs;
  m.anonVma.numChildren[anonVma] = 0;
  Atomics.store(m.anonVma.root, anonVma, root);
  linkAvc(m, vma, avc, anonVma);
  addActive(m, anonVma, 1);
  m.anonVma.numChildren[theirs] = (m.anonVma.numChildren[theirs] as number) + 1;
  Atomics.store(m.vma.anonVma, vma, anonVma);
  anonVmaUnlockRoot(m, root);
  return 0;
}

/**
 * Takes a VMA out of the rmap's sight (unlink_anon_vmas); anon_vmas that it was the last of go.
 * @context mmap_lock held for writing, no page of the VMA mapped; may block
 */
export function unlinkAnonVmas(m: Mm, vma: number): void {
  const first = m.vma.avcHead[vma] as number;
  if (first === 0) return;
  const root = vmaAnonRoot(m, vma);
  anonVmaLockRoot(m, root);
  for (let avc = first; avc !== 0; avc = m.avc.sameNext[avc] as number) unlinkAvc(m, avc);
  const own = Atomics.load(m.vma.anonVma, vma);
  if (own !== 0) addActive(m, own, -1);
  Atomics.store(m.vma.anonVma, vma, 0);
  m.vma.avcHead[vma] = 0;
  anonVmaUnlockRoot(m, root);
  // Outside the lock, which is one of theirs.
  for (let avc = first; avc !== 0; ) {
    const next = m.avc.sameNext[avc] as number;
    if (m.avc.listNext[avc] === LAST_LINK) putAnonVma(m, m.avc.anonVma[avc] as number);
    putAvc(m, avc);
    avc = next;
  }
}
