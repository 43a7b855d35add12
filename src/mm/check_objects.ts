// SPDX-License-Identifier: GPL-2.0-only
/**
 * Walkers over kernel objects: slabs, what groups pay for them, the lists of unused ones, the
 * shrinker bits that go with these.
 */
import { POISON_FREE } from '../../shared/rcu_cells.ts';
import type { Checker } from './check.ts';
import { checkFiles } from './check_files.ts';
import { entryList, listAt, listHead, rootList } from './list_lru_entry.ts';
import { ENTRIES_USED, LIST_COUNT, LIST_DEAD } from './list_lru_types.ts';
import { NODE_ON_LIST } from './mapping_types.ts';
import type { Mm } from './mm.ts';
import { MEMCG_DYING, MEMCG_ONLINE, PG_SLAB } from './mm_types.ts';
import { objcgMemcg, objcgPages } from './objcg.ts';
import { testShrinkerBit } from './shrinker_info.ts';
import { cacheOf, itemOf, objectNid, partialHead } from './slab.ts';
import { NR_CACHES, OBJECT_BYTES, OBJECT_USED, SLAB_OBJECTS } from './slab_types.ts';
import { ZSWAP_LRU } from './zswap_types.ts';

/** Live and free objects of one slab: the free ones are its free list. */
function checkSlab(m: Mm, check: Checker, cache: number, slab: number): void {
  const objects = SLAB_OBJECTS[cache] as number;
  const index = slab - 1 - (m.sizes.slabs.slabBase[cache] as number);
  const first = itemOf(m, cache, index * objects + 1);
  let used = 0;
  for (let item = first; item < first + objects; item++) {
    const state = m.object.state[item] as number;
    check.that(
      state === OBJECT_USED || state === POISON_FREE,
      () => `item ${item} has state 0x${(state >>> 0).toString(16)}`,
    );
    if (state === OBJECT_USED) used++;
  }
  if (m.slab.pfn[slab] === 0) {
    check.equal(used, 0, `live objects of slab ${slab}, which has no page`);
    return;
  }
  check.equal(m.slab.inuse[slab] as number, used, `objects in use of slab ${slab}`);
  check.that(used > 0, () => `slab ${slab} is empty and has a page`);
  let free = 0;
  for (let at = m.slab.free[slab] as number; at !== 0 && free <= objects; free++) {
    check.equal(m.object.state[at] as number, POISON_FREE, `state of free item ${at}`);
    at = m.object.nextFree[at] as number;
  }
  check.equal(free, objects - used, `free list of slab ${slab}`);
}

/** Slabs with room are on the list of their cache and node, full ones on none. */
function checkPartial(m: Mm, check: Checker, cache: number): void {
  const base = m.sizes.slabs.slabBase[cache] as number;
  const { next } = m.partial;
  for (let nid = 0; nid < m.sizes.nrNodes; nid++) {
    const head = partialHead(m, cache, nid);
    let left = m.sizes.slabs.nrSlabs;
    for (let slab = next[head] as number; slab !== head && left > 0; left--) {
      check.equal(m.slab.nid[slab] as number, nid, `node of partial slab ${slab}`);
      check.that(m.slab.free[slab] !== 0, () => `slab ${slab} is full and on a list`);
      slab = next[slab] as number;
    }
  }
  for (let i = 1; i <= (m.sizes.slabs.slabs[cache] as number); i++) {
    const slab = base + i;
    const room = m.slab.pfn[slab] !== 0 && m.slab.free[slab] !== 0;
    check.equal(next[slab] === -1 ? 0 : 1, room ? 1 : 0, `slab ${slab} on a list`);
  }
}

/**
 * Recounts slabs, and names their pages.
 * @param place called with every page of a slab
 * @context quiescence
 */
export function checkSlabs(m: Mm, check: Checker, place: (pfn: number) => void): void {
  const pages = new Int32Array(m.sizes.nrNodes);
  for (let cache = 0; cache < NR_CACHES; cache++) {
    const base = m.sizes.slabs.slabBase[cache] as number;
    for (let i = 1; i <= (m.sizes.slabs.slabs[cache] as number); i++) {
      const slab = base + i;
      const pfn = m.slab.pfn[slab] as number;
      checkSlab(m, check, cache, slab);
      if (pfn === 0) continue;
      place(pfn);
      check.equal(Atomics.load(m.page.flags, pfn), PG_SLAB, `flags of slab page ${pfn}`);
      check.equal(m.page.private[pfn] as number, slab, `slab of page ${pfn}`);
      const nid = m.zone.nid[m.page.zone[pfn] as number] as number;
      check.equal(m.slab.nid[slab] as number, nid, `node of slab ${slab}`);
      pages[nid] = (pages[nid] as number) + 1;
    }
    checkPartial(m, check, cache);
  }
  for (let nid = 0; nid < m.sizes.nrNodes; nid++) {
    const gauge = Atomics.load(m.node.slabReclaimable, nid);
    check.equal(gauge, pages[nid] as number, `node ${nid} nr_slab_reclaimable`);
  }
}

/**
 * Recounts what groups pay for objects.
 * @returns pages of each group's own objcgs, which its counter has
 * @context quiescence
 */
export function checkObjcgs(m: Mm, check: Checker): Int32Array {
  const { nrObjcgs, nrObjects } = m.sizes.slabs;
  const bytes = new Float64Array(nrObjcgs);
  for (let item = 1; item < nrObjects; item++) {
    if (m.object.state[item] !== OBJECT_USED) continue;
    const objcg = m.object.objcg[item] as number;
    bytes[objcg] = (bytes[objcg] as number) + (OBJECT_BYTES[cacheOf(m, item)] as number);
  }
  const pages = new Int32Array(m.sizes.nrMemcgs);
  for (let objcg = 1; objcg < nrObjcgs; objcg++) {
    const counted = m.objcg.bytes[objcg] as number;
    check.equal(counted, bytes[objcg] as number, `bytes of objcg ${objcg}`);
    if (counted === 0) continue;
    const memcg = objcgMemcg(m, objcg);
    pages[memcg] = (pages[memcg] as number) + objcgPages(counted);
    check.that(
      Atomics.load(m.memcg.state, memcg) === MEMCG_ONLINE && Atomics.load(m.memcg.refs, memcg) > 0,
      () => `objcg ${objcg} has objects of group ${memcg}, which is not online`,
    );
  }
  return pages;
}

/** One list: its links, its count, and that each item belongs here. */
function checkList(m: Mm, check: Checker, lru: number, memcg: number, list: number): void {
  const { link, list: words } = m.lists;
  const head = listHead(m, list);
  const nid = list % m.sizes.nrNodes;
  let items = 0;
  for (let item = link.next[head] as number; item !== head; item = link.next[item] as number) {
    if (items++ > m.sizes.lists.nrItems || link.prev[link.next[item] as number] !== item) {
      throw new Error(`list ${list} is broken at item ${item}`);
    }
    if (item < m.sizes.lists.firstShadow) checkItem(m, check, item, memcg, nid, lru);
    else if (item < m.sizes.lists.firstZswap) checkShadowItem(m, check, item, memcg, nid, lru);
    else checkZswapItem(m, check, item - m.sizes.lists.firstZswap, nid, lru);
  }
  const counted = words[listAt(list) + LIST_COUNT] as number;
  check.equal(counted, items, `items of lru ${lru}, group ${memcg}, node ${nid}`);
  const id = m.lists.lru.shrinker[lru] as number;
  if (items > 0 && id >= 0 && memcg !== 0) {
    const set = testShrinkerBit(m, memcg, nid, id);
    check.that(set, () => `bit of group ${memcg}, node ${nid}, id ${id} is clear: ${items} items`);
  }
}

function checkItem(
  m: Mm,
  check: Checker,
  item: number,
  memcg: number,
  nid: number,
  lru: number,
): void {
  check.equal(m.object.state[item] as number, OBJECT_USED, `state of listed item ${item}`);
  check.equal(objectNid(m, item), nid, `node of item ${item}`);
  if (m.lists.lru.aware[lru] === 0) return;
  check.equal(objcgMemcg(m, m.object.objcg[item] as number), memcg, `group of item ${item}`);
}

/** A shadow node on a list: it says so, and it is the list of its group and node. */
function checkShadowItem(
  m: Mm,
  check: Checker,
  item: number,
  memcg: number,
  nid: number,
  lru: number,
): void {
  const node = item - m.sizes.lists.firstShadow;
  const { listed, group } = m.shadowNode;
  check.equal(m.shadowLru[0] as number, lru, `lru of shadow node ${node}`);
  check.equal(listed[node] as number, NODE_ON_LIST, `shadow node ${node}, which is on a list`);
  check.equal(m.shadowNode.nid[node] as number, nid, `node of shadow node ${node}`);
  if (m.lists.lru.aware[lru] === 0) return;
  check.equal(group[node] as number, memcg, `group of shadow node ${node}`);
}

/** An entry of zswap on a list: there is one, and it is the list of its node. */
function checkZswapItem(m: Mm, check: Checker, slot: number, nid: number, lru: number): void {
  check.equal(m.zswapWords[ZSWAP_LRU] as number, lru, `lru of the zswap entry of slot ${slot}`);
  check.that(m.zswap.length[slot] !== 0, () => `slot ${slot} is listed and has no zswap entry`);
  check.equal(m.zswap.nid[slot] as number, nid, `node of the zswap entry of slot ${slot}`);
}

/** Every list of every lru. */
function checkLists(m: Mm, check: Checker): void {
  const { lru, entry, list, words } = m.lists;
  let entries = 0;
  for (let row = 1; row < m.sizes.lists.nrLrus; row++) {
    for (let nid = 0; nid < m.sizes.nrNodes; nid++) {
      if (lru.used[row] === 1) checkList(m, check, row, 0, rootList(m, row, nid));
      else check.equal(list[listAt(rootList(m, row, nid)) + LIST_COUNT] as number, 0, `lru ${row}`);
    }
    if (lru.used[row] === 0) continue;
    for (let at = lru.first[row] as number; at !== 0; at = entry.next[at] as number) {
      entries++;
      const memcg = entry.memcg[at] as number;
      check.equal(entry.lru[at] as number, row, `lru of entry ${at}`);
      const state = Atomics.load(m.memcg.state, memcg);
      check.that(
        state === MEMCG_ONLINE,
        () =>
          `entry ${at} is of group ${memcg}, which is ${state === MEMCG_DYING ? 'dying' : 'free'}`,
      );
      for (let nid = 0; nid < m.sizes.nrNodes; nid++) {
        const at0 = entryList(m, at, nid);
        check.equal(list[listAt(at0) + LIST_DEAD] as number, 0, `dead mark of list ${at0}`);
        checkList(m, check, row, memcg, at0);
      }
    }
  }
  check.equal(words[ENTRIES_USED] as number, entries, 'list_lru entries in use');
}

/** Lists, mounts and their files. @context quiescence */
export function checkObjects(m: Mm, check: Checker): void {
  checkLists(m, check);
  checkFiles(m, check);
}
