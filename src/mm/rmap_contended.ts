// SPDX-License-Identifier: GPL-2.0-only
/**
 * Folios that reclaim kept because somebody had their rmap lock: counted, and shown to an
 * experiment that asks where they were put. Nothing in the kernel.
 */
import type { Mm } from './mm.ts';
import { EV } from './vmstat_items.ts';

/**
 * Folios of the last batch whose rmap lock was taken, oldest first, where they are neither kept nor
 * freed: they are the caller's to place (ScanControl.contended). Private to the thread.
 */
export const contendedFolios: number[] = [];

/** Who looks at contended folios, if anybody does. Private to the thread. */
export const contended = {
  /** Those of the batch that is under way, each once for every failed trylock. */
  pfns: [] as number[],
  /**
   * Called when the batch is back on the lists of `lruvec`, under its lru_lock: some of `pfns` may
   * be on none, and the call must not block.
   */
  observe: null as ((m: Mm, lruvec: number) => void) | null,
};

/** The trylock of a folio's rmap failed. @context folio isolated, or locked */
export function noteContended(m: Mm, pfn: number): void {
  const { events } = m.task;
  events[EV.kr_rmap_contended] = (events[EV.kr_rmap_contended] as number) + 1;
  if (contended.observe !== null) contended.pfns.push(pfn);
}

/** A batch is back on its lists. @context lru_lock held */
export function observeContended(m: Mm, lruvec: number): void {
  if (contended.pfns.length === 0) return;
  contended.observe?.(m, lruvec);
  contended.pfns.length = 0;
}
