// SPDX-License-Identifier: GPL-2.0-only
/**
 * Address spaces and their VMAs (mm/mmap.c, the part that a program without fork or munmap needs).
 *
 * A VMA row belongs to one mm; the mm's VMAs are a list in ascending order. Each anonymous VMA has
 * an anon_vma of its own: chains come with fork.
 */
import { assert, bug } from '../../shared/assert.ts';
import {
  RWSEM_WORDS,
  rwsemDownRead,
  rwsemDownWrite,
  rwsemUpRead,
  rwsemUpWrite,
} from '../../shared/rwsem.ts';
import { spinLock, spinUnlock } from '../../shared/spinlock.ts';
import { VPN_MAX } from './limits.ts';
import { LC_ANON_VMA, LC_MMAP, LC_TABLE_POOL } from './lock_order.ts';
import type { Mm } from './mm.ts';
import { VM_WRITE } from './mm_types.ts';

const POOL_VMAS = 2;

/** Takes mmap_lock for reading. @context may block; no other lock held */
export function mmapReadLock(m: Mm, mm: number): void {
  rwsemDownRead(m.mmapLock, mm * RWSEM_WORDS, LC_MMAP);
}

/** Releases mmap_lock. @context a reader */
export function mmapReadUnlock(m: Mm, mm: number): void {
  rwsemUpRead(m.mmapLock, mm * RWSEM_WORDS, LC_MMAP);
}

/** Takes mmap_lock for writing. @context may block; no other lock held */
export function mmapWriteLock(m: Mm, mm: number): void {
  rwsemDownWrite(m.mmapLock, mm * RWSEM_WORDS, LC_MMAP);
}

/** Releases mmap_lock. @context the writer */
export function mmapWriteUnlock(m: Mm, mm: number): void {
  rwsemUpWrite(m.mmapLock, mm * RWSEM_WORDS, LC_MMAP);
}

/** @returns the VMA that holds `vpn`, or 0 @context mmap_lock held */
export function findVma(m: Mm, mm: number, vpn: number): number {
  const { start, end, next } = m.vma;
  for (let vma = m.mm.vmaHead[mm] as number; vma !== 0; vma = next[vma] as number) {
    if (vpn < (start[vma] as number)) return 0;
    if (vpn < (end[vma] as number)) return vma;
  }
  return 0;
}

/**
 * Maps anonymous memory, readable and writable.
 * @param start first virtual page number @param end one past the last; at most 2^36
 * @returns the VMA's row, or 0 when the range overlaps another VMA
 * @context takes mmap_lock for writing
 */
export function mmapAnon(m: Mm, mm: number, start: number, end: number): number {
  assert(start >= 0 && start < end && end <= VPN_MAX, 'mapping outside the address space');
  mmapWriteLock(m, mm);
  const vma = insertVma(m, mm, start, end, VM_WRITE, true);
  mmapWriteUnlock(m, mm);
  return vma;
}

/**
 * Makes a VMA where there is none.
 * @param flags VM_* @param anon it may get pages of its own, which an anon_vma finds
 * @returns its row, or 0 when the range overlaps another VMA
 * @context mmap_lock held for writing
 */
export function insertVma(
  m: Mm,
  mm: number,
  start: number,
  end: number,
  flags: number,
  anon: boolean,
): number {
  let before = 0;
  let after = m.mm.vmaHead[mm] as number;
  while (after !== 0 && (m.vma.start[after] as number) < start) {
    before = after;
    after = m.vma.next[after] as number;
  }
  const overlaps =
    (before !== 0 && (m.vma.end[before] as number) > start) ||
    (after !== 0 && (m.vma.start[after] as number) < end);
  if (overlaps) return 0;
  const vma = allocVma(m);
  m.vma.start[vma] = start;
  m.vma.end[vma] = end;
  m.vma.flags[vma] = flags;
  m.vma.file[vma] = 0;
  m.vma.mm[vma] = mm;
  m.vma.next[vma] = after;
  if (before === 0) m.mm.vmaHead[mm] = vma;
  else m.vma.next[before] = vma;
  if (anon) linkAnonVma(m, vma);
  return vma;
}

function allocVma(m: Mm): number {
  spinLock(m.poolLock, 0, LC_TABLE_POOL);
  const row = (m.pool[POOL_VMAS] as number) + 1;
  if (row > m.config.vmasMax) bug(`out of VMAs: the machine was booted with ${m.config.vmasMax}`);
  m.pool[POOL_VMAS] = row;
  spinUnlock(m.poolLock, 0, LC_TABLE_POOL);
  return row;
}

/** Gives a VMA its anon_vma: the row of the same number. */
function linkAnonVma(m: Mm, vma: number): void {
  const base = vma * RWSEM_WORDS;
  rwsemDownWrite(m.anonVmaLock, base, LC_ANON_VMA);
  m.vma.anonVma[vma] = vma;
  m.vma.anonNext[vma] = 0;
  m.anonVma.vmaHead[vma] = vma;
  Atomics.store(m.anonVma.refcount, vma, 1);
  rwsemUpWrite(m.anonVmaLock, base, LC_ANON_VMA);
}

/** Takes a VMA off its anon_vma: rmap finds it no more. @context mmap_lock held for writing */
export function unlinkAnonVma(m: Mm, vma: number): void {
  const anonVma = m.vma.anonVma[vma] as number;
  const base = anonVma * RWSEM_WORDS;
  rwsemDownWrite(m.anonVmaLock, base, LC_ANON_VMA);
  m.anonVma.vmaHead[anonVma] = 0;
  m.vma.anonVma[vma] = 0;
  Atomics.sub(m.anonVma.refcount, anonVma, 1);
  rwsemUpWrite(m.anonVmaLock, base, LC_ANON_VMA);
}
