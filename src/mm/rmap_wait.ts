// SPDX-License-Identifier: GPL-2.0-only
/** Waiting until a folio's rmap lock can be had, holding nothing: kshrinkd, as corrected. */
import { RWSEM_WORDS, rwsemDownReadTimeout, rwsemUpRead } from '../../shared/rwsem.ts';
import { LC_ANON_VMA, LC_I_MMAP } from './lock_order.ts';
import type { Mm } from './mm.ts';
import { folioMapcount } from './rmap.ts';

/**
 * Waits until nobody has the folio's rmap lock for writing, or for a while. It is a hint: the folio
 * is not locked, so it may be another family's or file's by now, and somebody may take the lock at
 * once. Rows of locks are never given back, so a stale one is only a lock waited for in vain.
 * @param timeoutMs longest wait
 * @returns false when the time ran out
 * @context no lock held; takes the rmap lock for reading, and drops it
 */
export function waitRmapFree(m: Mm, pfn: number, timeoutMs: number): boolean {
  if (folioMapcount(m, pfn) === 0) return true;
  const mapping = m.page.mapping[pfn] as number;
  if (mapping === 0) return true;
  const file = mapping < 0;
  const row = file ? -mapping : Atomics.load(m.anonVma.root, mapping);
  if (row === 0) return true;
  const words = file ? m.iMmapLock : m.anonVmaLock;
  const cls = file ? LC_I_MMAP : LC_ANON_VMA;
  if (!rwsemDownReadTimeout(words, row * RWSEM_WORDS, cls, timeoutMs)) return false;
  rwsemUpRead(words, row * RWSEM_WORDS, cls);
  return true;
}
