// SPDX-License-Identifier: GPL-2.0-only
/** The tables of kshrinkd: a queue of isolated folios for each node. */
import type { ArenaBuilder } from '../../shared/arena.ts';
import { LINE_WORDS } from '../../shared/types.ts';
import { WAIT_QUEUE_WORDS } from '../../shared/wait_queue.ts';
import type { MmConfig } from './config.ts';
import { policyHasKshrinkd } from './contended.ts';

/** No thread, or one that has stopped: contended folios are kept. */
export const KSHRINKD_STOPPED = 0;
/** Folios may be queued. */
export const KSHRINKD_RUNNING = 1;
/** It empties its queue, and nobody may add to it. */
export const KSHRINKD_DRAINING = 2;

const KSHRINKD_COLUMNS = {
  state: 'i32', // @atomic KSHRINKD_*; changes under kf_lock
  pages: 'i32', // @atomic pages on the list; changes under kf_lock
  pagesMax: 'i32', // @guardedBy kf_lock  most that were on it at once  @racy reports
  queued: 'i32', // @atomic pages that reclaim has queued, wraps
  full: 'i32', // @atomic folios that were not queued: no room, or no thread; wraps
  scanned: 'i32', // @atomic pages that were seen to: freed or put back; wraps
  stolen: 'i32', // @atomic pages that were freed, wraps
  requeued: 'i32', // @atomic pages that were queued again, wraps
  putback: 'i32', // @atomic pages that were put back on a list, wraps
  dead: 'i32', // @atomic pages that nobody had any more, wraps
} as const;

/** Rows of a policy: how often a folio was found contended, and whether it is a file's. */
const FOLIO_COLUMNS = {
  tries: 'u8', // @owner who has isolated the folio; handed over under kf_lock
} as const;

/** Bits of `tries`: the count, and the type that the folio is counted as isolated under. */
export const TRIES_MASK = 0x7f;
export const TRIES_FILE = 0x80;

/** @param nrNodes @param nrPages rows of pages */
export function declareKshrinkd(
  builder: ArenaBuilder,
  config: MmConfig,
  nrNodes: number,
  nrPages: number,
) {
  const words = (name: string, rows: number, wordsPerRow: number): Int32Array<SharedArrayBuffer> =>
    builder.columns(name, { words: 'i32' }, rows * wordsPerRow).words;
  const counts = config.contended === 'origin' || policyHasKshrinkd(config.contended);
  return {
    kshrinkd: builder.columns('kshrinkd', KSHRINKD_COLUMNS, nrNodes),
    contendedFolio: builder.columns('contended_folio', FOLIO_COLUMNS, counts ? nrPages : 0),
    // @atomic lock words of kf_lock
    kfLock: words('node.kf_lock', nrNodes, LINE_WORDS),
    // @atomic wait queue: woken when folios were queued
    kshrinkdWait: words('node.kshrinkd_wait', nrNodes, WAIT_QUEUE_WORDS),
  };
}
