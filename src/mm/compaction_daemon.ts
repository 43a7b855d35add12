// SPDX-License-Identifier: GPL-2.0-only
/**
 * kcompactd's work (mm/compaction.c, kcompactd_do_work), waking it, and compaction on request
 * (/proc/sys/vm/compact_memory, a node's compact file). The thread itself is kthreads/kcompactd.ts.
 *
 * kswapd wakes it before it sleeps, with the order that it was asked for: by then there are free
 * pages enough, but perhaps not side by side.
 */
import { WAIT_QUEUE_WORDS, WAKE_ALL, wakeUp } from '../../shared/wait_queue.ts';
import {
  COMPACT_ALL,
  COMPACT_COMPLETE,
  COMPACT_SUCCESS,
  compactionSuitable,
  compactZone,
} from './compaction.ts';
import { compactionDeferred, deferCompaction, deferReset } from './compaction_defer.ts';
import { EINTR, ENOENT } from './errno.ts';
import { fatalSignalPending } from './fatal_signal.ts';
import type { Mm } from './mm.ts';
import { drainAllPages, zoneOnline } from './page_alloc.ts';
import { lruAddDrainAll } from './swap.ts';
import { EV, type VmEvent } from './vmstat_items.ts';

function nodeSuitable(m: Mm, nid: number, order: number): boolean {
  for (let zone = 0; zone < m.sizes.nrZones; zone++) {
    if (m.zone.nid[zone] === nid && compactionSuitable(m, zone, order)) return true;
  }
  return false;
}

/**
 * Asks a node's kcompactd for a free block (wakeup_kcompactd). Nothing where there is none.
 * @param order 0 asks for nothing
 * @context any thread; takes no lock
 */
export function wakeupKcompactd(m: Mm, nid: number, order: number): void {
  if (m.config.kcompactd !== true || order === 0) return;
  // PAIRS(kcompactd-wake): the request is stored before the queue is looked at.
  if (Atomics.load(m.node.kcompactdOrder, nid) < order) {
    Atomics.store(m.node.kcompactdOrder, nid, order);
  }
  if (!nodeSuitable(m, nid, order)) return;
  wakeUp(m.kcompactdWait, nid * WAIT_QUEUE_WORDS, WAKE_ALL);
}

/** Has somebody asked? @context any */
export function kcompactdWanted(m: Mm, nid: number): boolean {
  // PAIRS(kcompactd-wake): read after waitPrepare; a waker that stored it sees us in the queue.
  return Atomics.load(m.node.kcompactdOrder, nid) !== 0;
}

function add(m: Mm, event: VmEvent, by: number): void {
  m.task.events[EV[event]] = (m.task.events[EV[event]] as number) + by;
}

function cell(m: Mm, event: VmEvent): number {
  return m.task.events[EV[event]] as number;
}

/** One zone, unless it is passed over. @param stop as kcompactdDoWork */
function compactForDaemon(m: Mm, zone: number, order: number, stop: () => boolean): void {
  if (compactionDeferred(m, zone, order) || !compactionSuitable(m, zone, order)) return;
  const migrated = cell(m, 'compact_migrate_scanned');
  const freed = cell(m, 'compact_free_scanned');
  const result = compactZone(m, zone, order, stop);
  if (result === COMPACT_SUCCESS) deferReset(m, zone, order, false);
  else if (result === COMPACT_COMPLETE && !stop()) {
    // What lies on lists of CPUs may be all that was missing.
    drainAllPages(m, false);
    deferCompaction(m, zone, order);
  }
  add(m, 'compact_daemon_migrate_scanned', cell(m, 'compact_migrate_scanned') - migrated);
  add(m, 'compact_daemon_free_scanned', cell(m, 'compact_free_scanned') - freed);
}

/**
 * One pass over a node, for the largest order that was asked for.
 * @param stop asked between batches: stop, park, freeze
 * @context kcompactd of the node, no lock held
 */
export function kcompactdDoWork(m: Mm, nid: number, stop: () => boolean): void {
  const order = Atomics.exchange(m.node.kcompactdOrder, nid, 0);
  if (order === 0) return;
  add(m, 'compact_daemon_wake', 1);
  for (let zone = 0; zone < m.sizes.nrZones && !stop(); zone++) {
    if (m.zone.nid[zone] === nid) compactForDaemon(m, zone, order, stop);
  }
}

/** Compacts all zones of a node. @returns 0, or EINTR when the caller is to end */
function compactZones(m: Mm, nid: number): number {
  const fatal = (): boolean => fatalSignalPending(m);
  for (let zone = 0; zone < m.sizes.nrZones; zone++) {
    if (m.zone.nid[zone] !== nid || !zoneOnline(m, zone)) continue;
    compactZone(m, zone, COMPACT_ALL, fatal);
    if (fatal()) return EINTR;
  }
  return 0;
}

/**
 * What a write to /sys/devices/system/node/nodeN/compact does.
 * @returns 0; ENOENT for no node, EINTR @context a thread of the machine, no lock held; may block
 */
export function compactNode(m: Mm, nid: number): number {
  if (nid >= m.sizes.nrNodes) return ENOENT;
  lruAddDrainAll(m, true);
  return compactZones(m, nid);
}

/** What a write to /proc/sys/vm/compact_memory does. @returns 0, EINTR @context as compactNode */
export function compactNodes(m: Mm): number {
  lruAddDrainAll(m, true);
  let error = 0;
  for (let nid = 0; nid < m.sizes.nrNodes && error === 0; nid++) error = compactZones(m, nid);
  return error;
}
