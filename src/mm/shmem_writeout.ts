// SPDX-License-Identifier: GPL-2.0-only
/**
 * Reclaim's way out for a file page of memory (mm/shmem.c, shmem_writeout): the folio goes to the
 * swap cache, and the file's entry becomes the slot. From there it is paged out and freed as any
 * folio of the swap cache.
 */
import { assert } from '../../shared/assert.ts';
import { faultDelay } from '../../shared/fault.ts';
import { FAULT_DELAY } from './faults.ts';
import { mappingToSwap } from './mapping.ts';
import type { Mm } from './mm.ts';
import { addToSwap } from './swap_state.ts';
import { SLOT_NONE, swapDuplicate } from './swapfile.ts';

/** @returns whether a file holds the folio @context folio locked, else a hint */
export function folioOfFile(m: Mm, pfn: number): boolean {
  return (m.page.mapping[pfn] as number) < 0;
}

/**
 * Moves a file's folio to the swap cache.
 * @returns false when swap is full: nothing has changed
 * @context folio locked, isolated, in a file; takes swap_cluster, i_pages
 */
export function shmemToSwap(m: Mm, pfn: number): boolean {
  const slot = addToSwap(m, pfn);
  if (slot === SLOT_NONE) return false;
  // The slot's reference exists before the entry that carries it.
  const referenced = swapDuplicate(m, slot);
  assert(referenced, 'a new slot takes a reference');
  faultDelay(FAULT_DELAY);
  mappingToSwap(m, pfn, slot);
  return true;
}
