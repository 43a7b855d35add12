// SPDX-License-Identifier: GPL-2.0-only
/**
 * Finding, making and retiring the lists of a group (mm/list_lru.c, memcg_list_lru_alloc and the
 * per-memcg array behind it).
 *
 * Entries are in a hash table of (lru, group). Lookups run under RCU and take no lock; whoever
 * changes the table holds list_lrus_mutex. An entry that was taken out is used again only after a
 * grace period.
 *
 * Where a group has an entry, every online group above it has one too, so that the list of an item
 * is always the same: that of the first group, from its own upwards, whose entry is alive. Upwards
 * leads only past dying groups, which never get an entry any more; an online group without one has
 * no list at all, so that the one it may get later cannot come between an item and its list.
 */
import { assert } from '../../shared/assert.ts';
import { mutexLock, mutexUnlock } from '../../shared/atomics_mutex.ts';
import { listInit } from '../../shared/list.ts';
import {
  condSynchronizeRcu,
  getStateSynchronizeRcu,
  rcuDereference,
  rcuReadLock,
  rcuReadUnlock,
} from '../../shared/rcu.ts';
import { spinLock, spinUnlock } from '../../shared/spinlock.ts';
import { ENOMEM } from './errno.ts';
import {
  ENTRIES_USED,
  ENTRY_FREE,
  LIST_COUNT,
  LIST_DEAD,
  LIST_LOCK,
  LIST_STRIDE,
  LRU_FREE,
  LRUS_MUTEX,
  RETIRED_FIRST,
  RETIRED_LAST,
} from './list_lru_types.ts';
import { LC_LIST_LRU, LC_LIST_LRUS } from './lock_order.ts';
import type { Mm } from './mm.ts';
import { MEMCG_DYING } from './mm_types.ts';

/** No list. */
export const LIST_NOWHERE = -1;

/** Makes every list empty and chains the free rows. @context boot */
export function listLruTablesInit(m: Mm): void {
  const { nrItems, nrLists, nrLrus, nrEntries } = m.sizes.lists;
  const { link, lru, entry, words } = m.lists;
  link.next.fill(-1, 0, nrItems);
  link.prev.fill(-1, 0, nrItems);
  for (let list = 0; list < nrLists; list++) listInit(link.next, link.prev, nrItems + list);
  for (let i = 1; i < nrLrus; i++) lru.first[i] = i + 1 < nrLrus ? i + 1 : 0;
  for (let i = 1; i < nrEntries; i++) entry.next[i] = i + 1 < nrEntries ? i + 1 : 0;
  words[LRU_FREE] = nrLrus > 1 ? 1 : 0;
  words[ENTRY_FREE] = nrEntries > 1 ? 1 : 0;
}

/** Keeps lists from coming and going. @context may block; nothing below list_lrus_mutex held */
export function listLrusLock(m: Mm): void {
  mutexLock(m.lists.words, LRUS_MUTEX, LC_LIST_LRUS);
}

/** Lets them. @context list_lrus_mutex held */
export function listLrusUnlock(m: Mm): void {
  mutexUnlock(m.lists.words, LRUS_MUTEX, LC_LIST_LRUS);
}

/** Row of the links that heads a list. */
export function listHead(m: Mm, list: number): number {
  return m.sizes.lists.nrItems + list;
}

/** First word of a list. */
export function listAt(list: number): number {
  return list * LIST_STRIDE;
}

/** List of the root. */
export function rootList(m: Mm, lru: number, nid: number): number {
  return lru * m.sizes.nrNodes + nid;
}

/** List of an entry. */
export function entryList(m: Mm, entry: number, nid: number): number {
  return (m.sizes.lists.nrLrus + entry) * m.sizes.nrNodes + nid;
}

/** Group whose list it is. */
export function listMemcg(m: Mm, list: number): number {
  const row = Math.floor(list / m.sizes.nrNodes) - m.sizes.lists.nrLrus;
  return row < 0 ? 0 : (m.lists.entry.memcg[row] as number);
}

/** Hash of two numbers. @param buckets a power of two */
export function hashPair(a: number, b: number, buckets: number): number {
  const mixed = Math.imul(Math.imul(a, 0x9e3779b1) ^ b, 0x85ebca6b);
  return (mixed ^ (mixed >>> 15)) & (buckets - 1);
}

function bucketOf(m: Mm, lru: number, memcg: number): number {
  return hashPair(lru, memcg, m.sizes.lists.nrBuckets);
}

/** @returns the entry of a group, 0 for none @context inside RCU, or list_lrus_mutex held */
export function findEntry(m: Mm, lru: number, memcg: number): number {
  const { entry, bucket } = m.lists;
  let at = rcuDereference(bucket, bucketOf(m, lru, memcg));
  while (at !== 0) {
    if (entry.memcg[at] === memcg && entry.lru[at] === lru) return at;
    at = rcuDereference(entry.hashNext, at);
  }
  return 0;
}

/** @returns the list of a group itself, LIST_NOWHERE for none @context as findEntry */
export function findList(m: Mm, lru: number, nid: number, memcg: number): number {
  if (memcg === 0 || m.lists.lru.aware[lru] === 0) return rootList(m, lru, nid);
  const entry = findEntry(m, lru, memcg);
  return entry === 0 ? LIST_NOWHERE : entryList(m, entry, nid);
}

/**
 * Locks the list that holds a group's items: its own, or, where it is dying and that is dead or
 * was never made, the next one upwards.
 * @param own only the group's own will do
 * @returns the list, locked; LIST_NOWHERE when there is none
 * @context inside an RCU reader where `memcg` is not referenced; takes list_lru
 */
export function lockList(m: Mm, lru: number, nid: number, memcg: number, own: boolean): number {
  const { list: words } = m.lists;
  rcuReadLock();
  for (let group = memcg; ; group = m.memcg.parent[group] as number) {
    const list = findList(m, lru, nid, group);
    if (list !== LIST_NOWHERE) {
      spinLock(words, listAt(list) + LIST_LOCK, LC_LIST_LRU);
      // Under the lock, it cannot die: until it is let go, its entry is not used again either.
      if (words[listAt(list) + LIST_DEAD] === 0) {
        rcuReadUnlock();
        return list;
      }
      spinUnlock(words, listAt(list) + LIST_LOCK, LC_LIST_LRU);
    }
    // PAIRS(list-lru-offline): a group is dying before its entry goes.
    if (own || (list === LIST_NOWHERE && Atomics.load(m.memcg.state, group) !== MEMCG_DYING)) {
      rcuReadUnlock();
      return LIST_NOWHERE;
    }
  }
}

/** Lets go of a list. @context list_lru held */
export function unlockList(m: Mm, list: number): void {
  spinUnlock(m.lists.list, listAt(list) + LIST_LOCK, LC_LIST_LRU);
}

/** A row for a new entry, after its grace period. @context list_lrus_mutex held; may block */
function takeEntry(m: Mm): number {
  const { entry, words } = m.lists;
  let at = words[ENTRY_FREE] as number;
  if (at !== 0) words[ENTRY_FREE] = entry.next[at] as number;
  else {
    at = words[RETIRED_FIRST] as number;
    if (at === 0) return 0;
    words[RETIRED_FIRST] = entry.next[at] as number;
    if (words[RETIRED_FIRST] === 0) words[RETIRED_LAST] = 0;
    condSynchronizeRcu(entry.cookie[at] as number);
  }
  words[ENTRIES_USED] = (words[ENTRIES_USED] as number) + 1;
  return at;
}

/** @context list_lrus_mutex held; may block */
function makeEntry(m: Mm, lru: number, memcg: number): boolean {
  const { entry, bucket, ofMemcg, list: words } = m.lists;
  const at = takeEntry(m);
  if (at === 0) return false;
  for (let nid = 0; nid < m.sizes.nrNodes; nid++) {
    const word = listAt(entryList(m, at, nid));
    words[word + LIST_COUNT] = 0;
    words[word + LIST_DEAD] = 0;
  }
  entry.lru[at] = lru;
  entry.memcg[at] = memcg;
  linkOwner(m, at, lru);
  const first = ofMemcg[memcg] as number;
  entry.memcgNext[at] = first;
  entry.memcgPrev[at] = 0;
  if (first !== 0) entry.memcgPrev[first] = at;
  ofMemcg[memcg] = at;
  const hash = bucketOf(m, lru, memcg);
  entry.hashNext[at] = bucket[hash] as number;
  // PAIRS(list-lru-entry): all of it is there before a lookup can find it.
  Atomics.store(bucket, hash, at);
  return true;
}

function linkOwner(m: Mm, at: number, lru: number): void {
  const { entry, lru: owner } = m.lists;
  const first = owner.first[lru] as number;
  entry.next[at] = first;
  entry.prev[at] = 0;
  if (first !== 0) entry.prev[first] = at;
  owner.first[lru] = at;
}

/** Takes an entry out of the hash; whoever stands on it can still go on. */
function unhash(m: Mm, at: number): void {
  const { entry, bucket } = m.lists;
  const hash = bucketOf(m, entry.lru[at] as number, entry.memcg[at] as number);
  const after = entry.hashNext[at] as number;
  let before = 0;
  for (let i = bucket[hash] as number; i !== at; i = entry.hashNext[i] as number) {
    assert(i !== 0, 'list_lru entry is in its bucket');
    before = i;
  }
  // PAIRS(list-lru-entry): lookups go past it from here on.
  if (before === 0) Atomics.store(bucket, hash, after);
  else Atomics.store(entry.hashNext, before, after);
}

/**
 * Takes an entry away; its row is used again after a grace period.
 * @context list_lrus_mutex held; its lists are empty, and dead or without users
 */
export function retireEntry(m: Mm, at: number): void {
  const { entry, lru, ofMemcg, words } = m.lists;
  unhash(m, at);
  const next = entry.next[at] as number;
  const prev = entry.prev[at] as number;
  if (prev !== 0) entry.next[prev] = next;
  else lru.first[entry.lru[at] as number] = next;
  if (next !== 0) entry.prev[next] = prev;
  const memcgNext = entry.memcgNext[at] as number;
  const memcgPrev = entry.memcgPrev[at] as number;
  if (memcgPrev !== 0) entry.memcgNext[memcgPrev] = memcgNext;
  else ofMemcg[entry.memcg[at] as number] = memcgNext;
  if (memcgNext !== 0) entry.memcgPrev[memcgNext] = memcgPrev;
  entry.cookie[at] = getStateSynchronizeRcu();
  entry.next[at] = 0;
  const last = words[RETIRED_LAST] as number;
  if (last !== 0) entry.next[last] = at;
  else words[RETIRED_FIRST] = at;
  words[RETIRED_LAST] = at;
  words[ENTRIES_USED] = (words[ENTRIES_USED] as number) - 1;
}

/**
 * Makes the lists of a group and of those above it, where they are missing: before the group's
 * first object exists, so that putting it on a list cannot fail.
 * @param memcg referenced by the caller; a dying one's objects are its ancestors'
 * @returns 0, or ENOMEM when there is no row
 * @context may block; no spinlock held
 */
export function listLruMemcgAlloc(m: Mm, lru: number, memcg: number): number {
  if (memcg === 0 || !m.config.kmem || m.lists.lru.aware[lru] === 0) return 0;
  rcuReadLock();
  const known = findEntry(m, lru, memcg);
  rcuReadUnlock();
  return known !== 0 ? 0 : listLruMemcgMake(m, lru, memcg);
}

/**
 * As listLruMemcgAlloc, of lists that are not expected to be there.
 * @context may block; no spinlock held; at boot too, where nobody reads under RCU
 */
export function listLruMemcgMake(m: Mm, lru: number, memcg: number): number {
  if (memcg === 0 || !m.config.kmem || m.lists.lru.aware[lru] === 0) return 0;
  const missing: number[] = [];
  listLrusLock(m);
  for (let group = memcg; group !== 0; group = m.memcg.parent[group] as number) {
    // One that is just being made is not online yet.
    const dying = Atomics.load(m.memcg.state, group) === MEMCG_DYING;
    if (!dying && findEntry(m, lru, group) === 0) missing.push(group);
  }
  let made = true;
  while (made && missing.length > 0) made = makeEntry(m, lru, missing.pop() as number);
  listLrusUnlock(m);
  return made ? 0 : ENOMEM;
}
