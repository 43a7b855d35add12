// SPDX-License-Identifier: GPL-2.0-only
/**
 * How much may be dirty, and who waits (mm/page-writeback.c).
 *
 *   dirty + writeback    what happens
 *   > background         the flusher is woken
 *   > threshold          who dirties more waits until the flusher has caught up, for a while
 *
 * Both are parts of what could be page cache: free pages and those of files.
 */
import { waitEventTimeout } from '../../shared/sched.ts';
import { WAKE_ALL, wakeUp } from '../../shared/wait_queue.ts';
import { HOST_FLUSH_ASKED, HOST_FLUSH_BEGUN } from './host_types.ts';
import { nodeLru } from './lruvec.ts';
import type { Mm } from './mm.ts';
import { LRU_ACTIVE_FILE, LRU_INACTIVE_FILE } from './mm_types.ts';
import { zoneFree } from './page_alloc.ts';
import { EV } from './vmstat_items.ts';

/** Longest pause of one call (MAX_PAUSE), in ms. */
const PAUSE_MS = 200;

/** @returns pages of files that could be dirty at most (global_dirtyable_memory) @context any */
function dirtyablePages(m: Mm): number {
  let pages = 0;
  for (let zone = 0; zone < m.sizes.nrZones; zone++) pages += zoneFree(m, zone);
  for (let nid = 0; nid < m.sizes.nrNodes; nid++) {
    pages += nodeLru(m, nid, LRU_INACTIVE_FILE) + nodeLru(m, nid, LRU_ACTIVE_FILE);
  }
  return pages;
}

/** @returns pages that the host does not have yet @context any; a hint */
export function dirtyPages(m: Mm): number {
  let pages = 0;
  for (let nid = 0; nid < m.sizes.nrNodes; nid++) pages += Atomics.load(m.node.dirty, nid);
  return pages;
}

function unstablePages(m: Mm): number {
  let pages = dirtyPages(m);
  for (let nid = 0; nid < m.sizes.nrNodes; nid++) pages += Atomics.load(m.node.writeback, nid);
  return pages;
}

/** @returns whether more is dirty than the flusher leaves alone @context any */
export function overBackground(m: Mm): boolean {
  return dirtyPages(m) > Math.floor((dirtyablePages(m) * m.config.dirtyBackgroundRatio) / 100);
}

function overThreshold(m: Mm): boolean {
  return unstablePages(m) > Math.floor((dirtyablePages(m) * m.config.dirtyRatio) / 100);
}

/**
 * Asks the flusher for a pass over everything that is dirty. @context any, outside spinlocks
 */
export function wakeFlusher(m: Mm): void {
  if (!m.config.hostFiles) return;
  const asked = Atomics.load(m.hostInfo, HOST_FLUSH_ASKED);
  if (asked === Atomics.load(m.hostInfo, HOST_FLUSH_BEGUN)) {
    Atomics.compareExchange(m.hostInfo, HOST_FLUSH_ASKED, asked, (asked + 1) | 0);
  }
  // PAIRS(flusher-wake): the request, then the wake.
  wakeUp(m.flusherWait, 0, WAKE_ALL);
}

/** Pages have become clean: who waits for that looks again. @context any, outside spinlocks */
export function wakeDirtyWaiters(m: Mm): void {
  wakeUp(m.dirtyWait, 0, WAKE_ALL);
}

/** Asks the flusher for a pass if there is much to write. @context any, outside spinlocks */
export function wakeFlusherIfDirty(m: Mm): void {
  if (overBackground(m)) wakeFlusher(m);
}

/**
 * Called by whoever has dirtied pages, or is about to (balance_dirty_pages).
 * @context may block up to PAUSE_MS; locks that the flusher takes are not held
 */
export function balanceDirtyPages(m: Mm): void {
  if (!overBackground(m)) return;
  wakeFlusher(m);
  if (!overThreshold(m)) return;
  const { events } = m.task;
  events[EV.kr_file_throttled] = (events[EV.kr_file_throttled] as number) + 1;
  waitEventTimeout(m.dirtyWait, 0, () => !overThreshold(m), PAUSE_MS);
}
