// SPDX-License-Identifier: GPL-2.0-only
/**
 * Lists of unused objects, per group and node, for a shrinker to eat from (mm/list_lru.c).
 *
 * An item is a row of the space that slab_types.ts draws. Its list follows from the lru, the node
 * of its page and the group that it belongs to; the caller names these, under the object's own
 * lock, and the list's lock is taken inside. An item may be looked at from the other side, too: a
 * walk holds the list's lock and only trylocks the object.
 *
 * The first item of an empty list of a group sets the shrinker's bit of the group. When a group is
 * removed its lists die and their items are appended to the parent's: whoever finds a dead list
 * goes on at the parent.
 */
import { assert, bug } from '../../shared/assert.ts';
import { cpuRelax } from '../../shared/cpu_relax.ts';
import {
  LIST_NONE,
  listAddTail,
  listDel,
  listMoveTail,
  listOnList,
  listSpliceTail,
} from '../../shared/list.ts';
import { rcuReadLock, rcuReadUnlock } from '../../shared/rcu.ts';
import { spinLock, spinTryLock } from '../../shared/spinlock.ts';
import { ENOSPC } from './errno.ts';
import {
  entryList,
  findList,
  LIST_NOWHERE,
  listAt,
  listHead,
  listLrusLock,
  listLrusUnlock,
  listMemcg,
  lockList,
  retireEntry,
  rootList,
  unlockList,
} from './list_lru_entry.ts';
import { LIST_COUNT, LIST_DEAD, LIST_LOCK, LRU_FREE } from './list_lru_types.ts';
import { LC_LIST_LRU } from './lock_order.ts';
import type { Mm } from './mm.ts';
import { setShrinkerBit } from './shrinker_info.ts';

export { listLruMemcgAlloc, listLruMemcgMake } from './list_lru_entry.ts';

/** What a walk's callback did with an item. */
export const LRU_REMOVED = 0;
/** Removed; the list's lock was let go, and is not held: the walk starts again. */
export const LRU_REMOVED_RETRY = 1;
/** To the tail: it gets another round. */
export const LRU_ROTATE = 2;
export const LRU_SKIP = 3;
/** Not removed; the list's lock was let go, and is not held: the walk starts again. */
export const LRU_RETRY = 4;
/** The walk ends; the item stays. */
export const LRU_STOP = 5;

/** Called with the list locked. @returns LRU_* */
export type IsolateItem = (m: Mm, item: number, list: number) => number;

function count(m: Mm, list: number, by: number): number {
  const word = listAt(list) + LIST_COUNT;
  const before = m.lists.list[word] as number;
  // PAIRS(shrinker-bit): before the bit is set; a reclaimer clears the bit, then counts.
  Atomics.store(m.lists.list, word, before + by);
  return before;
}

/**
 * Makes an lru with empty lists.
 * @param memcgAware lists per group @param shrinker row of its shrinker, 0 for none
 * @returns the lru, or ENOSPC
 * @context may block; no spinlock held
 */
export function listLruInit(m: Mm, memcgAware: boolean, shrinker: number): number {
  const { lru, words } = m.lists;
  listLrusLock(m);
  const row = words[LRU_FREE] as number;
  if (row !== 0) {
    words[LRU_FREE] = lru.first[row] as number;
    lru.used[row] = 1;
    lru.aware[row] = memcgAware && m.config.kmem ? 1 : 0;
    lru.shrinker[row] = shrinker === 0 ? -1 : (m.shrinker.id[shrinker] as number);
    lru.first[row] = 0;
  }
  listLrusUnlock(m);
  return row === 0 ? ENOSPC : row;
}

/**
 * Takes an lru away. 0 is accepted.
 * @throws BugError when a list has items
 * @context may block; nobody uses the lru any more, its shrinker included
 */
export function listLruDestroy(m: Mm, row: number): void {
  if (row === 0) return;
  const { lru, entry, words, list } = m.lists;
  listLrusLock(m);
  assert(lru.used[row] === 1, 'lru is destroyed twice');
  for (let nid = 0; nid < m.sizes.nrNodes; nid++) {
    if (list[listAt(rootList(m, row, nid)) + LIST_COUNT] !== 0) bug(`lru ${row} has items left`);
  }
  for (let at = lru.first[row] as number; at !== 0; at = lru.first[row] as number) {
    for (let nid = 0; nid < m.sizes.nrNodes; nid++) {
      if (list[listAt(entryList(m, at, nid)) + LIST_COUNT] === 0) continue;
      bug(`lru ${row} has items left of group ${entry.memcg[at]}`);
    }
    retireEntry(m, at);
  }
  lru.used[row] = 0;
  lru.first[row] = words[LRU_FREE] as number;
  words[LRU_FREE] = row;
  listLrusUnlock(m);
}

function setBit(m: Mm, lru: number, nid: number, memcg: number): void {
  const id = m.lists.lru.shrinker[lru] as number;
  if (id >= 0 && memcg !== 0) setShrinkerBit(m, memcg, nid, id);
}

/**
 * Puts an item at the tail of its list.
 * @param memcg group that it belongs to
 * @returns false when it is on a list already, or the group has none
 * @context the object's lock held; an RCU reader where `memcg` is not referenced; takes list_lru
 */
export function listLruAdd(m: Mm, lru: number, item: number, nid: number, memcg: number): boolean {
  const { next, prev } = m.lists.link;
  const list = lockList(m, lru, nid, memcg, false);
  if (list === LIST_NOWHERE) return false;
  const added = !listOnList(next, item);
  if (added) {
    listAddTail(next, prev, item, listHead(m, list));
    if (count(m, list, 1) === 0) setBit(m, lru, nid, listMemcg(m, list));
  }
  unlockList(m, list);
  return added;
}

/** Takes an item off its list. @returns false when it was on none @context as listLruAdd */
export function listLruDel(m: Mm, lru: number, item: number, nid: number, memcg: number): boolean {
  const { next, prev } = m.lists.link;
  const list = lockList(m, lru, nid, memcg, false);
  if (list === LIST_NOWHERE) return false;
  const removed = listOnList(next, item);
  if (removed) {
    listDel(next, prev, item);
    count(m, list, -1);
  }
  unlockList(m, list);
  return removed;
}

/** @returns items on the list of a group itself @context any; a hint while others work on it */
export function listLruCount(m: Mm, lru: number, nid: number, memcg: number): number {
  rcuReadLock();
  const list = findList(m, lru, nid, memcg);
  const items = list === LIST_NOWHERE ? 0 : Atomics.load(m.lists.list, listAt(list) + LIST_COUNT);
  rcuReadUnlock();
  return items;
}

/** Takes an item off within a walk. @context called by an IsolateItem, on its own item and list */
export function listLruIsolate(m: Mm, item: number, list: number): void {
  listDel(m.lists.link.next, m.lists.link.prev, item);
  count(m, list, -1);
}

/** Moves an item to the tail within a walk, which goes on with another. @context list_lru held */
export function listLruMoveTail(m: Mm, item: number, list: number): void {
  listMoveTail(m.lists.link.next, m.lists.link.prev, item, listHead(m, list));
}

/** Lets go of the list within a walk, before LRU_RETRY or LRU_REMOVED_RETRY. */
export function listLruUnlock(m: Mm, list: number): void {
  unlockList(m, list);
}

/**
 * Shows a group's items to a callback, oldest first.
 * @param memcg referenced by the caller @param nr items to look at, at most
 * @returns items that were removed
 * @context takes list_lru, and holds it while the callback runs
 */
export function listLruWalk(
  m: Mm,
  lru: number,
  nid: number,
  memcg: number,
  isolate: IsolateItem,
  nr: number,
): number {
  let isolated = 0;
  for (let left = nr; left > 0; ) {
    const list = lockList(m, lru, nid, memcg, true);
    if (list === LIST_NOWHERE) return isolated;
    const walked = walkLocked(m, list, isolate, left);
    isolated += walked.isolated;
    left = walked.left;
    if (walked.held) {
      unlockList(m, list);
      return isolated;
    }
  }
  return isolated;
}

/** Reused: a walk that is over has been read. */
const walked = { isolated: 0, left: 0, held: true };

/** One pass, until its end or until the callback lets go of the lock. */
function walkLocked(m: Mm, list: number, isolate: IsolateItem, nr: number): typeof walked {
  const { next, prev } = m.lists.link;
  const head = listHead(m, list);
  let isolated = 0;
  let left = nr;
  let held = true;
  for (let item = next[head] as number; item !== head && left > 0 && held; ) {
    const after = next[item] as number;
    left--;
    const result = isolate(m, item, list);
    if (result === LRU_REMOVED || result === LRU_REMOVED_RETRY) isolated++;
    if (result === LRU_ROTATE) listMoveTail(next, prev, item, head);
    held = result !== LRU_RETRY && result !== LRU_REMOVED_RETRY;
    if (result === LRU_STOP) break;
    item = after;
  }
  walked.isolated = isolated;
  walked.left = left;
  walked.held = held;
  return walked;
}

/** Locks a list and, inside, another of its class: by trylock, as an order has no say in it. */
function lockBoth(m: Mm, from: number, to: number): void {
  const { list } = m.lists;
  for (;;) {
    spinLock(list, listAt(from) + LIST_LOCK, LC_LIST_LRU);
    if (spinTryLock(list, listAt(to) + LIST_LOCK, LC_LIST_LRU)) return;
    unlockList(m, from);
    while (Atomics.load(list, listAt(to) + LIST_LOCK) !== 0) cpuRelax();
  }
}

/** Appends a list to the parent's; it is dead from here on. @context list_lrus_mutex held */
function reparentList(m: Mm, lru: number, nid: number, from: number, parent: number): void {
  const { link, list } = m.lists;
  const to = findList(m, lru, nid, parent);
  if (to === LIST_NOWHERE) bug(`lru ${lru}: group ${parent} has no list to take items`);
  lockBoth(m, from, to);
  const items = list[listAt(from) + LIST_COUNT] as number;
  listSpliceTail(link.next, link.prev, listHead(m, from), listHead(m, to));
  list[listAt(from) + LIST_DEAD] = 1;
  if (items > 0) {
    count(m, from, -items);
    count(m, to, items);
    setBit(m, lru, nid, parent);
  }
  unlockList(m, to);
  unlockList(m, from);
}

/**
 * Hands a removed group's items to its parent.
 * @param parent online
 * @context cgroup_mutex held, the group dying: it gets no lists any more. May block
 */
export function memcgReparentListLrus(m: Mm, memcg: number, parent: number): void {
  const { entry, ofMemcg } = m.lists;
  // PAIRS(list-lru-offline): dying before its entries go: whoever finds none looks at the state.
  listLrusLock(m);
  for (let at = ofMemcg[memcg] as number; at !== 0; at = ofMemcg[memcg] as number) {
    const lru = entry.lru[at] as number;
    for (let nid = 0; nid < m.sizes.nrNodes; nid++) {
      reparentList(m, lru, nid, entryList(m, at, nid), parent);
    }
    retireEntry(m, at);
  }
  listLrusUnlock(m);
}

/** @returns whether the item is on a list @context the object's lock, or quiescence */
export function listLruOnList(m: Mm, item: number): boolean {
  return m.lists.link.next[item] !== LIST_NONE;
}
