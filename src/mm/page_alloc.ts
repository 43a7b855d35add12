// SPDX-License-Identifier: GPL-2.0-only
/**
 * The buddy allocator and its per-CPU lists (mm/page_alloc.c).
 *
 * Each zone keeps free blocks of 2^order pages on one list per order, under zone->lock. A CPU keeps
 * a few single pages of each zone on a list of its own (pcp), so that most allocations and frees do
 * not touch the zone. Pages on pcp lists are not in nrFree, as in the kernel.
 *
 * A block of order k that starts at offset p of its zone has its buddy at p ^ 2^k.
 */
import { assert, bug } from '../../shared/assert.ts';
import { shouldFail } from '../../shared/fault.ts';
import { listAdd, listAddTail, listDel } from '../../shared/list.ts';
import { spinLock, spinTryLock, spinUnlock } from '../../shared/spinlock.ts';
import { LINE_WORDS } from '../../shared/types.ts';
import { FAULT_TRYLOCK } from './faults.ts';
import { MAX_PAGE_ORDER, NR_PAGE_ORDERS } from './limits.ts';
import { LC_PCP, LC_ZONE } from './lock_order.ts';
import type { Mm } from './mm.ts';
import {
  PG_BUDDY,
  PG_DEFERRED,
  PG_LOCKED,
  PG_LRU,
  PG_SLAB,
  PG_SWAPCACHE,
  PG_WRITEBACK,
  ZONE_ONLINE,
} from './mm_types.ts';
import { EV } from './vmstat_items.ts';

/** No page: also the pfn of the zero page, which is never allocated. */
export const PFN_NONE = 0;

/** @returns the link row that heads a zone's free blocks of one order */
export function freeHead(m: Mm, zone: number, order: number): number {
  return m.sizes.heads + zone * NR_PAGE_ORDERS + order;
}

/** @returns the link row that heads the per-CPU list of a zone and CPU */
export function pcpHead(m: Mm, zone: number, cpu: number): number {
  return m.sizes.heads + m.sizes.nrZones * NR_PAGE_ORDERS + zone * m.config.cpus + cpu;
}

/** Word offset of a pcp row: 0 lock, 1 count. */
export function pcpRow(m: Mm, zone: number, cpu: number): number {
  return (zone * m.config.cpus + cpu) * LINE_WORDS;
}

/** Gives the zone pages out? @context any; decides under zone->lock; frees look under pcp->lock */
export function zoneOnline(m: Mm, zone: number): boolean {
  return Atomics.load(m.zone.state, zone) === ZONE_ONLINE;
}

/**
 * Puts a block on the free lists, merging it with free buddies.
 * @context zone->lock held
 */
export function freeOnePageLocked(m: Mm, zone: number, pfn: number, order: number): void {
  const { flags, private: blockOrder } = m.page;
  const { next, prev } = m.link;
  const start = m.zone.startPfn[zone] as number;
  const end = m.zone.endPfn[zone] as number;
  const area = zone * NR_PAGE_ORDERS;
  let block = pfn;
  let blockBits = order;
  while (blockBits < MAX_PAGE_ORDER) {
    const buddy = start + ((block - start) ^ (1 << blockBits));
    if (buddy + (1 << blockBits) > end) break;
    if (Atomics.load(flags, buddy) !== PG_BUDDY || blockOrder[buddy] !== blockBits) break;
    listDel(next, prev, buddy);
    m.freeArea[area + blockBits] = (m.freeArea[area + blockBits] as number) - 1;
    Atomics.store(flags, buddy, 0);
    block = Math.min(block, buddy);
    blockBits++;
  }
  Atomics.store(flags, block, PG_BUDDY);
  blockOrder[block] = blockBits;
  listAdd(next, prev, block, freeHead(m, zone, blockBits));
  m.freeArea[area + blockBits] = (m.freeArea[area + blockBits] as number) + 1;
  Atomics.add(m.zone.nrFree, zone, 1 << order);
}

/**
 * Takes a block of `order` off the free lists, splitting a larger one where needed.
 * @returns the first pfn, or PFN_NONE
 * @context zone->lock held
 */
function rmqueueSmallestLocked(m: Mm, zone: number, order: number): number {
  // Under the lock: who isolates the zone, and then drains, sees the last page that it gave out.
  if (!zoneOnline(m, zone)) return PFN_NONE;
  const { next, prev } = m.link;
  const area = zone * NR_PAGE_ORDERS;
  for (let current = order; current <= MAX_PAGE_ORDER; current++) {
    const head = freeHead(m, zone, current);
    const block = next[head] as number;
    if (block === head) continue;
    listDel(next, prev, block);
    m.freeArea[area + current] = (m.freeArea[area + current] as number) - 1;
    for (let split = current; split > order; ) {
      split--;
      const upper = block + (1 << split);
      Atomics.store(m.page.flags, upper, PG_BUDDY);
      m.page.private[upper] = split;
      listAdd(next, prev, upper, freeHead(m, zone, split));
      m.freeArea[area + split] = (m.freeArea[area + split] as number) + 1;
    }
    Atomics.store(m.page.flags, block, 0);
    m.page.private[block] = 0;
    Atomics.sub(m.zone.nrFree, zone, 1 << order);
    return block;
  }
  return PFN_NONE;
}

/**
 * A block straight from the buddy lists.
 * @returns its first pfn with refcount 0, or PFN_NONE
 * @context takes zone->lock; may be under pcp->lock
 */
export function rmqueueBuddy(m: Mm, zone: number, order: number): number {
  spinLock(m.zoneLock, zone * LINE_WORDS, LC_ZONE);
  const pfn = rmqueueSmallestLocked(m, zone, order);
  spinUnlock(m.zoneLock, zone * LINE_WORDS, LC_ZONE);
  return pfn;
}

/** One page from this CPU's list of the zone, refilled in batches. @context a simulated CPU */
function rmqueuePcp(m: Mm, zone: number): number {
  const row = pcpRow(m, zone, m.task.cpu);
  const head = pcpHead(m, zone, m.task.cpu);
  const { next, prev } = m.link;
  spinLock(m.pcp, row, LC_PCP);
  if (m.pcp[row + 1] === 0) {
    const batch = m.zone.pcpBatch[zone] as number;
    spinLock(m.zoneLock, zone * LINE_WORDS, LC_ZONE);
    let taken = 0;
    for (; taken < batch; taken++) {
      const pfn = rmqueueSmallestLocked(m, zone, 0);
      if (pfn === PFN_NONE) break;
      listAddTail(next, prev, pfn, head);
    }
    spinUnlock(m.zoneLock, zone * LINE_WORDS, LC_ZONE);
    m.pcp[row + 1] = taken;
  }
  let pfn = PFN_NONE;
  // Also of a zone that was isolated just now: the list is drained next, and the page is in use.
  if ((m.pcp[row + 1] as number) > 0) {
    pfn = next[head] as number;
    listDel(next, prev, pfn);
    m.pcp[row + 1] = (m.pcp[row + 1] as number) - 1;
  }
  spinUnlock(m.pcp, row, LC_PCP);
  return pfn;
}

/**
 * Takes a block from one zone without looking at watermarks.
 * @returns the first pfn, with refcount 1 and no flag set, or PFN_NONE
 */
export function rmqueue(m: Mm, zone: number, order: number): number {
  const pfn = order === 0 && m.task.cpu >= 0 ? rmqueuePcp(m, zone) : rmqueueBuddy(m, zone, order);
  if (pfn === PFN_NONE) return PFN_NONE;
  takeFirstRef(m, pfn);
  countZoneAlloc(m, zone, 1 << order);
  return pfn;
}

function takeFirstRef(m: Mm, pfn: number): void {
  assert(Atomics.load(m.page.mapcount, pfn) === 0, 'allocated page is mapped');
  if (Atomics.compareExchange(m.page.refcount, pfn, 0, 1) !== 0) {
    bug(`allocated pfn ${pfn} had references`);
  }
}

/** A page that compaction took off the free lists itself is as if allocated. */
export function noteRmqueue(m: Mm, zone: number, pfn: number): void {
  takeFirstRef(m, pfn);
  countZoneAlloc(m, zone, 1);
}

function countZoneAlloc(m: Mm, zone: number, pages: number): void {
  const cell = zoneEvent(m, zone, EV.pgalloc_normal);
  m.task.events[cell] = (m.task.events[cell] as number) + pages;
}

/** The cell of a per-zone event (`pgalloc_normal`, `allocstall_normal`) for a zone. */
export function zoneEvent(m: Mm, zone: number, normal: number): number {
  const nid = m.zone.nid[zone];
  let above = 0;
  while (zone + above + 1 < m.sizes.nrZones && m.zone.nid[zone + above + 1] === nid) above++;
  return normal - Math.min(above, 2);
}

/** Checks that nobody can still know the page. */
function assertFreeable(m: Mm, pfn: number): void {
  const flags = Atomics.load(m.page.flags, pfn);
  if ((flags & (PG_LOCKED | PG_LRU | PG_WRITEBACK | PG_SWAPCACHE | PG_BUDDY | PG_SLAB)) !== 0) {
    bug(`freeing pfn ${pfn} with flags 0x${flags.toString(16)}`);
  }
  const refs = Atomics.load(m.page.refcount, pfn);
  if (refs !== 0) bug(`freeing pfn ${pfn} with ${refs} references`);
  const maps = Atomics.load(m.page.mapcount, pfn);
  if (maps !== 0) bug(`freeing pfn ${pfn} with mapcount ${maps}`);
  if ((flags & PG_DEFERRED) !== 0) bug(`freeing pfn ${pfn}, which is to be split`);
}

/**
 * Frees order-0 pages whose count has reached 0.
 * @param pfns the pages; the first `count` entries are used
 * @context any thread; takes pcp->lock or zone->lock. Frees go to the CPU's list; kthreads free to
 *   the zone
 */
export function freeUnrefPages(m: Mm, pfns: readonly number[], count: number): void {
  const { events } = m.task;
  for (let i = 0; i < count; i++) {
    const pfn = pfns[i] as number;
    assertFreeable(m, pfn);
    if (m.page.head[pfn] !== 0) bug(`freeing pfn ${pfn}, a part of a large folio`);
    Atomics.store(m.page.flags, pfn, 0);
  }
  events[EV.pgfree] = (events[EV.pgfree] as number) + count;
  if (m.task.cpu >= 0) {
    for (let i = 0; i < count; i++) freeToPcp(m, pfns[i] as number);
    return;
  }
  let locked = -1;
  for (let i = 0; i < count; i++) {
    const pfn = pfns[i] as number;
    const zone = m.page.zone[pfn] as number;
    if (zone !== locked) {
      if (locked >= 0) spinUnlock(m.zoneLock, locked * LINE_WORDS, LC_ZONE);
      spinLock(m.zoneLock, zone * LINE_WORDS, LC_ZONE);
      locked = zone;
    }
    freeOnePageLocked(m, zone, pfn, 0);
  }
  if (locked >= 0) spinUnlock(m.zoneLock, locked * LINE_WORDS, LC_ZONE);
}

/**
 * Makes a block that was just allocated one large folio (prep_compound_page).
 * @param pfn its first page @param order at least 1
 * @context nobody else knows the block
 */
export function prepCompound(m: Mm, pfn: number, order: number): void {
  m.page.order[pfn] = order;
  m.page.head.fill(pfn, pfn, pfn + (1 << order));
}

/**
 * Frees a large folio whose count has reached 0.
 * @param pfn its head @context any thread; takes zone->lock
 */
export function freeLargeFolio(m: Mm, pfn: number): void {
  assertFreeable(m, pfn);
  const order = m.page.order[pfn] as number;
  const mapped = Atomics.load(m.page.largeMapcount, pfn);
  if (mapped !== 0) bug(`freeing large pfn ${pfn} with mapcount ${mapped}`);
  for (let i = 1; i < 1 << order; i++) {
    const maps = Atomics.load(m.page.mapcount, pfn + i);
    const flags = Atomics.load(m.page.flags, pfn + i);
    if (maps !== 0 || flags !== 0) bug(`freeing tail ${pfn + i}: maps ${maps}, flags ${flags}`);
  }
  m.page.head.fill(0, pfn, pfn + (1 << order));
  m.page.order[pfn] = 0;
  Atomics.store(m.page.flags, pfn, 0);
  m.task.events[EV.pgfree] = (m.task.events[EV.pgfree] as number) + (1 << order);
  const zone = m.page.zone[pfn] as number;
  spinLock(m.zoneLock, zone * LINE_WORDS, LC_ZONE);
  freeOnePageLocked(m, zone, pfn, order);
  spinUnlock(m.zoneLock, zone * LINE_WORDS, LC_ZONE);
}

const single: [number] = [0];

/** Frees one page whose count has reached 0. */
export function freePage(m: Mm, pfn: number): void {
  single[0] = pfn;
  freeUnrefPages(m, single, 1);
}

/** Frees a folio of any order whose count has reached 0. @context as freePage */
export function freeFolio(m: Mm, pfn: number): void {
  if (m.page.order[pfn] === 0) freePage(m, pfn);
  else freeLargeFolio(m, pfn);
}

function freeToPcp(m: Mm, pfn: number): void {
  const zone = m.page.zone[pfn] as number;
  const row = pcpRow(m, zone, m.task.cpu);
  spinLock(m.pcp, row, LC_PCP);
  if (!zoneOnline(m, zone)) {
    spinUnlock(m.pcp, row, LC_PCP);
    spinLock(m.zoneLock, zone * LINE_WORDS, LC_ZONE);
    freeOnePageLocked(m, zone, pfn, 0);
    spinUnlock(m.zoneLock, zone * LINE_WORDS, LC_ZONE);
    return;
  }
  listAdd(m.link.next, m.link.prev, pfn, pcpHead(m, zone, m.task.cpu));
  const count = (m.pcp[row + 1] as number) + 1;
  m.pcp[row + 1] = count;
  if (count > (m.zone.pcpHigh[zone] as number)) {
    drainPcpLocked(m, zone, m.task.cpu, m.zone.pcpBatch[zone] as number);
  }
  spinUnlock(m.pcp, row, LC_PCP);
}

/** Gives up to `pages` of a pcp list, oldest first, back to the zone. @context pcp->lock held */
function drainPcpLocked(m: Mm, zone: number, cpu: number, pages: number): void {
  const row = pcpRow(m, zone, cpu);
  const head = pcpHead(m, zone, cpu);
  const { next, prev } = m.link;
  spinLock(m.zoneLock, zone * LINE_WORDS, LC_ZONE);
  let count = m.pcp[row + 1] as number;
  for (let i = 0; i < pages && count > 0; i++, count--) {
    const pfn = prev[head] as number;
    listDel(next, prev, pfn);
    freeOnePageLocked(m, zone, pfn, 0);
  }
  m.pcp[row + 1] = count;
  spinUnlock(m.zoneLock, zone * LINE_WORDS, LC_ZONE);
}

/**
 * Empties every CPU's lists into the zones. A list whose lock is taken is in use and is skipped,
 * unless `force`.
 * @context any thread that holds no allocator lock
 */
export function drainAllPages(m: Mm, force: boolean): void {
  for (let zone = 0; zone < m.sizes.nrZones; zone++) {
    for (let cpu = 0; cpu < m.config.cpus; cpu++) {
      const row = pcpRow(m, zone, cpu);
      if (force) spinLock(m.pcp, row, LC_PCP);
      else if (shouldFail(FAULT_TRYLOCK) || !spinTryLock(m.pcp, row, LC_PCP)) continue;
      drainPcpLocked(m, zone, cpu, m.pcp[row + 1] as number);
      spinUnlock(m.pcp, row, LC_PCP);
    }
  }
}

/** Free pages of a zone as /proc/vmstat counts them: the buddy lists, without pcp lists. */
export function zoneFree(m: Mm, zone: number): number {
  return Atomics.load(m.zone.nrFree, zone);
}
