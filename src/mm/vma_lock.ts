// SPDX-License-Identifier: GPL-2.0-only
/**
 * Per-VMA locks (include/linux/mm_types.h, mmap_lock.h: vma_start_read, vma_start_write;
 * mm/mmap_lock.c, lock_vma_under_rcu): a fault that finds its VMA without mmap_lock holds the VMA
 * alone, so that it need not wait for a call that changes others. An option, `perVmaLocks`.
 *
 *   vma.lockSeq           the VMA is
 *   VMA_DETACHED          in no address space: free, or being made
 *   that of its mm        write-locked, by who holds mmap_lock for writing, until it lets go of it
 *   any other             open to readers
 *
 *   fault                                       who changes the VMA, with mmap_lock for writing
 *   walk the list, without a lock: a hint       down_write(vm_lock): readers leave, none comes
 *   lockSeq? write-locked or detached: abort    lockSeq = the mm's
 *   down_read_trylock(vm_lock)                  up_write(vm_lock)
 *   lockSeq again; then is it still this mm's,  ... change it, unmap its pages, free its row ...
 *   and is the page in it? else: miss           the mm's lockSeq moves on: all are open
 *
 * The trylock makes the second look at lockSeq decide: a writer that came before it is seen, one
 * that comes after waits for us. Rows are given out again at once (the kernel's are
 * SLAB_TYPESAFE_BY_RCU): whoever locked a row that is another's by now finds out by its mm and
 * bounds, which cannot change while it is attached and locked. The walk may lose its way on rows
 * that come and go; it is bounded, and whoever finds nothing takes mmap_lock.
 */
import { rcuReadLock, rcuReadUnlock } from '../../shared/rcu.ts';
import {
  RWSEM_WORDS,
  rwsemDownWrite,
  rwsemTryRead,
  rwsemUpRead,
  rwsemUpWrite,
} from '../../shared/rwsem.ts';
import { LC_VMA } from './lock_order.ts';
import type { Mm } from './mm.ts';
import { EV, type VmEvent } from './vmstat_items.ts';

/** lockSeq of a row that is in no address space. */
export const VMA_DETACHED = -1;
/** lockSeq of an address space is below this, and comes round. */
const SEQ_MASK = 0x3fffffff;

/** Lookups of a VMA that turned out to be another's, before mmap_lock is taken. */
const TRIES_MAX = 3;

/** What became of a try to lock a row. */
const LOCKED = 0;
const WRITER = 1;
const ANOTHERS = 2;

function count(m: Mm, event: VmEvent): void {
  m.task.events[EV[event]] = (m.task.events[EV[event]] as number) + 1;
}

/** The VMA that may hold a page: a hint, from a list that others change. @returns its row, or 0 */
function walkUnlocked(m: Mm, mm: number, vpn: number): number {
  const { start, end, next } = m.vma;
  let vma = m.mm.vmaHead[mm] as number;
  for (let left = next.length; vma !== 0 && left > 0; left--) {
    if (vpn < (end[vma] as number)) return vpn >= (start[vma] as number) ? vma : 0;
    vma = next[vma] as number;
  }
  return 0;
}

/** May readers come in (the first look of vma_start_read, and the second)? */
function open(m: Mm, mm: number, vma: number): boolean {
  const seq = Atomics.load(m.vma.lockSeq, vma);
  return seq !== VMA_DETACHED && seq !== Atomics.load(m.mm.lockSeq, mm);
}

/** Read-locks a row, if it is the VMA that holds the page. */
function startRead(m: Mm, mm: number, vma: number, vpn: number): number {
  if (!open(m, mm, vma)) return WRITER;
  if (!rwsemTryRead(m.vmaLock, vma * RWSEM_WORDS, LC_VMA)) return WRITER;
  let result = LOCKED;
  if (!open(m, mm, vma)) result = WRITER;
  else if (m.vma.mm[vma] !== mm) result = ANOTHERS;
  else if (vpn < (m.vma.start[vma] as number) || vpn >= (m.vma.end[vma] as number)) {
    result = ANOTHERS;
  }
  if (result !== LOCKED) vmaEndRead(m, vma);
  return result;
}

/**
 * Finds the VMA of a page and read-locks it, without mmap_lock (lock_vma_under_rcu).
 * @returns its row, or 0: take mmap_lock
 * @context `perVmaLocks`; the address space is the thread's own; does not block
 */
export function lockVmaUnderRcu(m: Mm, mm: number, vpn: number): number {
  let found = 0;
  rcuReadLock();
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    const vma = walkUnlocked(m, mm, vpn);
    if (vma === 0) break;
    const result = startRead(m, mm, vma, vpn);
    if (result === LOCKED) found = vma;
    if (result !== ANOTHERS) break;
    count(m, 'vma_lock_miss');
  }
  rcuReadUnlock();
  if (found === 0) count(m, 'vma_lock_abort');
  return found;
}

/** Ends lockVmaUnderRcu. @context who holds it */
export function vmaEndRead(m: Mm, vma: number): void {
  rwsemUpRead(m.vmaLock, vma * RWSEM_WORDS, LC_VMA);
}

/**
 * Write-locks a VMA until mmap_lock is let go of (vma_start_write): waits for the faults in it. To
 * be called before anything of it changes, or its pages are unmapped.
 * @context mmap_lock held for writing; may block; nothing without `perVmaLocks`
 */
export function vmaStartWrite(m: Mm, vma: number): void {
  if (m.config.perVmaLocks !== true) return;
  const seq = Atomics.load(m.mm.lockSeq, m.vma.mm[vma] as number);
  if (Atomics.load(m.vma.lockSeq, vma) === seq) return;
  rwsemDownWrite(m.vmaLock, vma * RWSEM_WORDS, LC_VMA);
  Atomics.store(m.vma.lockSeq, vma, seq);
  rwsemUpWrite(m.vmaLock, vma * RWSEM_WORDS, LC_VMA);
}

/**
 * A VMA has its place in an address space, and is write-locked (vma_mark_attached).
 * @context mmap_lock held for writing; its `mm` is set, and nobody could lock the row
 */
export function vmaAttach(m: Mm, vma: number): void {
  if (m.config.perVmaLocks !== true) return;
  Atomics.store(m.vma.lockSeq, vma, Atomics.load(m.mm.lockSeq, m.vma.mm[vma] as number));
}

/**
 * A VMA is nobody's any more, and no fault is in it.
 * @context write-locked if it was attached; before its row is anything else
 */
export function vmaDetach(m: Mm, vma: number): void {
  if (m.config.perVmaLocks === true) Atomics.store(m.vma.lockSeq, vma, VMA_DETACHED);
}

/**
 * Opens all VMAs of an address space that were write-locked (vma_end_write_all).
 * @context mmap_lock held for writing, about to be released; or nobody runs in it yet
 */
export function vmaEndWriteAll(m: Mm, mm: number): void {
  if (m.config.perVmaLocks !== true) return;
  const seq = Atomics.load(m.mm.lockSeq, mm);
  Atomics.store(m.mm.lockSeq, mm, (seq + 1) & SEQ_MASK);
}
