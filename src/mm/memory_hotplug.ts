// SPDX-License-Identifier: GPL-2.0-only
/**
 * Taking a node's memory away while the machine runs, and giving it back (mm/memory_hotplug.c,
 * offline_pages, online_pages; mm/page_isolation.c).
 *
 *   online    its zones give pages out
 *   isolated  they only take pages back; what is on per-CPU lists and in batches comes home, what
 *             is in use is moved to other nodes, until every page is free
 *   offline   no page is on a free list, none counts; the daemons of the node are parked
 *
 * A page that cannot move keeps the node: it goes online again, and nothing was lost. One node
 * moves at a time: whoever comes second is told so.
 */
import { listDel } from '../../shared/list.ts';
import { condResched, EVENT_INTERRUPTED, scheduleTimeout } from '../../shared/sched.ts';
import { spinLock, spinUnlock } from '../../shared/spinlock.ts';
import { LINE_WORDS } from '../../shared/types.ts';
import { EBUSY, EINTR, EINVAL, ENOMEM } from './errno.ts';
import { fatalSignalPending } from './fatal_signal.ts';
import { kcompressdRun, kcompressdStop } from './kcompressd_hotplug.ts';
import { kshrinkdRun, kshrinkdStop } from './kshrinkd_hotplug.ts';
import { NR_PAGE_ORDERS } from './limits.ts';
import { LC_ZONE } from './lock_order.ts';
import type { Mm } from './mm.ts';
import { freeZone } from './mm_init.ts';
import { PG_RESERVED, ZONE_ISOLATED, ZONE_OFFLINE, ZONE_ONLINE } from './mm_types.ts';
import { parkNodeDaemons, unparkNodeDaemons } from './node_daemons.ts';
import { drainAllPages, freeHead, zoneFree } from './page_alloc.ts';
import {
  keptBy,
  migrateZone,
  ZONE_EMPTY,
  ZONE_NO_MEMORY,
  ZONE_UNMOVABLE,
} from './page_isolation.ts';
import { lruAddDrainAll } from './swap.ts';
import { setupPerZoneWmarks } from './watermark.ts';

/** Passes in a row that free no page before the node is kept. */
const PASSES_MAX = 200;
/** Those of them that found no memory to move a page to. */
const STARVED_MAX = 4;
/** Between two passes, for those who hold pages to let go. */
const PASS_MS = 1;

/** What kept a node from going offline, at this thread's last try; '' when nothing did. */
export const offlineNote = { text: '' };

function zonesOf(m: Mm, nid: number): number[] {
  const zones: number[] = [];
  for (let zone = 0; zone < m.sizes.nrZones; zone++) if (m.zone.nid[zone] === nid) zones.push(zone);
  return zones;
}

/** Pages that a zone has when it is online. */
function zonePages(m: Mm, zone: number): number {
  return (m.zone.endPfn[zone] as number) - (m.zone.startPfn[zone] as number);
}

/** @returns whether the node has memory that may be given out @context any; a hint */
export function nodeOnline(m: Mm, nid: number): boolean {
  return zonesOf(m, nid).some((zone) => Atomics.load(m.zone.state, zone) === ZONE_ONLINE);
}

function setState(m: Mm, zones: readonly number[], state: number): void {
  for (const zone of zones) Atomics.store(m.zone.state, zone, state);
}

/** Runs `change` if nobody else moves a node. @returns what it returns, or EBUSY */
function exclusive(m: Mm, change: () => number): number {
  if (Atomics.compareExchange(m.hotplug, 0, 0, m.task.id + 1) !== 0) {
    offlineNote.text = 'another node is on its way';
    return EBUSY;
  }
  try {
    return change();
  } finally {
    Atomics.store(m.hotplug, 0, 0);
  }
}

/**
 * Moves everything off a node and takes its memory out of the machine.
 * @param nid node
 * @returns 0, also when it is offline already; -EINVAL for no node; -EBUSY when it is the last one
 *   with memory, another is on its way, or something cannot be moved; -ENOMEM when there is nowhere
 *   to move it to; -EINTR when the caller is to end. `offlineNote` says what. The node is online
 *   then, and has lost nothing
 * @context a thread of the machine, no lock held, outside a section; may block and reclaim
 */
export function offlineNode(m: Mm, nid: number): number {
  if (!Number.isInteger(nid) || nid < 0 || nid >= m.sizes.nrNodes) return EINVAL;
  return exclusive(m, () => {
    offlineNote.text = '';
    if (!nodeOnline(m, nid)) return 0;
    const target = nextOnline(m, nid);
    if (target < 0) {
      offlineNote.text = `node ${nid} is the last one with memory`;
      return EBUSY;
    }
    const zones = zonesOf(m, nid);
    kshrinkdStop(m, nid);
    setState(m, zones, ZONE_ISOLATED);
    const error = emptyZones(m, zones, target);
    if (error !== 0) {
      offlineNote.text = `node ${nid}: pfn ${keptBy.pfn}: ${keptBy.why}`;
      setState(m, zones, ZONE_ONLINE);
      kshrinkdRun(m, nid);
      return error;
    }
    for (const zone of zones) takeZone(m, zone);
    setupPerZoneWmarks(m);
    parkNodeDaemons(m, nid);
    kcompressdStop(m, nid);
    return 0;
  });
}

/** The next node that has memory, or -1. */
function nextOnline(m: Mm, nid: number): number {
  for (let i = 1; i < m.sizes.nrNodes; i++) {
    const other = (nid + i) % m.sizes.nrNodes;
    if (nodeOnline(m, other)) return other;
  }
  return -1;
}

/** Moves pages until all of the zones are free. @returns 0 or an errno */
function emptyZones(m: Mm, zones: readonly number[], target: number): number {
  let free = -1;
  let starved = 0;
  for (let left = PASSES_MAX; left > 0; left--) {
    lruAddDrainAll(m, true);
    drainAllPages(m, true);
    let result = ZONE_EMPTY;
    for (const zone of zones) {
      if (zoneFree(m, zone) === zonePages(m, zone)) continue;
      const moved = migrateZone(m, zone, target);
      if (moved === ZONE_UNMOVABLE) return EBUSY;
      result = Math.max(result, moved);
    }
    const now = zones.reduce((sum, zone) => sum + zoneFree(m, zone), 0);
    if (now === zones.reduce((sum, zone) => sum + zonePages(m, zone), 0)) return 0;
    if (now > free) {
      left = PASSES_MAX;
      starved = 0;
    } else if (result === ZONE_NO_MEMORY && ++starved === STARVED_MAX) return ENOMEM;
    free = Math.max(free, now);
    condResched();
    if (fatalSignalPending(m)) return EINTR;
    if (result !== ZONE_EMPTY && scheduleTimeout(PASS_MS) === EVENT_INTERRUPTED) return EINTR;
  }
  return EBUSY;
}

/** Takes a zone's pages, all free, off its lists. @context takes zone->lock */
function takeZone(m: Mm, zone: number): void {
  const { next, prev } = m.link;
  spinLock(m.zoneLock, zone * LINE_WORDS, LC_ZONE);
  for (let order = 0; order < NR_PAGE_ORDERS; order++) {
    const head = freeHead(m, zone, order);
    for (let block = next[head] as number; block !== head; block = next[head] as number) {
      listDel(next, prev, block);
      m.page.private[block] = 0;
    }
    m.freeArea[zone * NR_PAGE_ORDERS + order] = 0;
  }
  const end = m.zone.endPfn[zone] as number;
  for (let pfn = m.zone.startPfn[zone] as number; pfn < end; pfn++) {
    Atomics.store(m.page.flags, pfn, PG_RESERVED);
  }
  Atomics.store(m.zone.nrFree, zone, 0);
  m.zone.managed[zone] = 0;
  Atomics.store(m.zone.state, zone, ZONE_OFFLINE);
  spinUnlock(m.zoneLock, zone * LINE_WORDS, LC_ZONE);
}

/**
 * Gives a node its memory back, and starts its kswapd and kcompactd.
 * @returns 0, also when it is online already; -EINVAL for no node; -EBUSY when another is on its
 *   way
 * @context a thread of the machine, no lock held
 */
export function onlineNode(m: Mm, nid: number): number {
  if (!Number.isInteger(nid) || nid < 0 || nid >= m.sizes.nrNodes) return EINVAL;
  return exclusive(m, () => {
    offlineNote.text = '';
    if (nodeOnline(m, nid)) return 0;
    for (const zone of zonesOf(m, nid)) giveZone(m, zone);
    setupPerZoneWmarks(m);
    Atomics.store(m.node.kswapdFailures, nid, 0);
    kcompressdRun(m, nid);
    unparkNodeDaemons(m, nid);
    kshrinkdRun(m, nid);
    return 0;
  });
}

/** @context takes zone->lock */
function giveZone(m: Mm, zone: number): void {
  const start = m.zone.startPfn[zone] as number;
  const pages = zonePages(m, zone);
  spinLock(m.zoneLock, zone * LINE_WORDS, LC_ZONE);
  for (let pfn = start; pfn < start + pages; pfn++) Atomics.store(m.page.flags, pfn, 0);
  freeZone(m, zone, start, pages);
  m.zone.managed[zone] = pages;
  Atomics.store(m.zone.state, zone, ZONE_ONLINE);
  spinUnlock(m.zoneLock, zone * LINE_WORDS, LC_ZONE);
}
