// SPDX-License-Identifier: GPL-2.0-only
/** Walkers over address spaces, swap slots and the zram store (see check.ts). */
import type { Checker } from './check.ts';
import { checkAnonEntry } from './check_vmas.ts';
import { pageFolio } from './folio.ts';
import { PTRS_PER_TABLE, SHADOW_NODE_SLOTS, SWAPFILE_CLUSTER } from './limits.ts';
import { listLruOnList } from './list_lru.ts';
import { NODE_OFF_LIST, NODE_ON_LIST } from './mapping_types.ts';
import type { Mm } from './mm.ts';
import {
  PG_DIRTY,
  PG_SWAPCACHE,
  PTE_MIGRATION,
  PTE_PRESENT,
  PTE_SHIFT,
  PTE_SPECIAL,
  SWAP_HAS_CACHE,
  SWAP_MAP_BAD,
} from './mm_types.ts';
import { deviceHolds } from './swap_backend.ts';
import { deviceOf, totalSwapPages } from './swap_info.ts';
import { NR_SWAP_PAGES, SWAP_ON } from './swap_types.ts';
import { zeromapTest } from './zeromap.ts';
import { ZRAM_LZ, ZRAM_RAW } from './zram.ts';
import { zsUsage } from './zsmalloc.ts';
import { zswapHolds } from './zswap_entry.ts';

/** What the page tables refer to. */
export interface TableWalk {
  /** Entries that map each pfn. */
  readonly mapped: Int32Array;
  /** Entries that refer to each slot; those of files are added by check_files.ts. */
  readonly slotRefs: Int32Array;
}

function walkTable(
  m: Mm,
  table: number,
  level: number,
  base: number,
  visit: (entry: number, vpn: number) => void,
): number {
  let tables = 1;
  for (let i = 0; i < PTRS_PER_TABLE; i++) {
    const entry = Atomics.load(m.pte, table * PTRS_PER_TABLE + i);
    if (entry === 0) continue;
    const vpn = base + i * PTRS_PER_TABLE ** level;
    if (level === 0) visit(entry, vpn);
    else if ((entry & PTE_PRESENT) !== 0)
      tables += walkTable(m, entry >>> PTE_SHIFT, level - 1, vpn, visit);
  }
  return tables;
}

/** Recounts what every address space maps. */
export function checkMms(m: Mm, check: Checker): TableWalk {
  const mapped = new Int32Array(m.sizes.nrPages);
  const slotRefs = new Int32Array(m.sizes.nrSlots);
  for (let mm = 1; mm < m.sizes.nrMms; mm++) {
    if (m.mm.pgd[mm] === 0) continue;
    let rss = 0;
    let swap = 0;
    let ofFiles = 0;
    if (m.mm.pgd[mm] === 0) continue;
    const tables = walkTable(m, m.mm.pgd[mm] as number, 3, 0, (entry, vpn) => {
      const target = entry >>> PTE_SHIFT;
      const migrating = (entry & (PTE_PRESENT | PTE_MIGRATION)) === PTE_MIGRATION;
      check.that(!migrating, () => `mm ${mm} vpn ${vpn}: a migration was left half done`);
      if (migrating) return;
      if ((entry & PTE_PRESENT) === 0) {
        swap++;
        slotRefs[target] = (slotRefs[target] as number) + 1;
      } else if ((entry & PTE_SPECIAL) === 0) {
        if ((m.page.mapping[target] as number) < 0) ofFiles++;
        else rss++;
        mapped[target] = (mapped[target] as number) + 1;
        checkAnonEntry(m, check, mm, vpn, target);
      }
    });
    check.equal(Atomics.load(m.mm.rssAnon, mm), rss, `mm ${mm} rss`);
    check.equal(Atomics.load(m.mm.rssFile, mm), ofFiles, `mm ${mm} rss of files`);
    check.equal(Atomics.load(m.mm.swapEnts, mm), swap, `mm ${mm} swap entries`);
    check.equal(Atomics.load(m.mm.nrTables, mm), tables, `mm ${mm} page tables`);
  }
  return { mapped, slotRefs };
}

/** What a walk over slots has counted. */
interface SlotWalk {
  readonly memcgSwap: Int32Array;
  readonly clusterFree: Int32Array;
  readonly deviceUsed: Int32Array;
  /** Objects of the store that slots of zram devices hold. */
  objects: number;
}

/** A slot in use: its references, its folio, and that its page is in one place. */
function checkUsedSlot(m: Mm, check: Checker, slot: number, refs: number): void {
  const count = m.slot.count[slot] as number;
  const cache = m.slot.cache[slot] as number;
  check.equal(count & ~SWAP_HAS_CACHE, refs, `references of slot ${slot}`);
  check.that(
    ((count & SWAP_HAS_CACHE) !== 0) === (cache !== 0),
    () => `slot ${slot}: count ${count}, cache ${cache}`,
  );
  const copies = storedCopies(m, slot);
  check.that(copies <= 1, () => `slot ${slot} has its page in ${copies} places`);
  if (cache === 0) {
    check.that(copies === 1, () => `slot ${slot} is used and holds nothing`);
    return;
  }
  const flags = Atomics.load(m.page.flags, pageFolio(m, cache));
  const ok = m.page.private[cache] === slot && (flags & PG_SWAPCACHE) !== 0;
  check.that(ok, () => `slot ${slot}: its folio ${cache} is another's`);
  check.equal(m.slot.shadowTag[slot] as number, 0, `shadow of slot ${slot}, which has a folio`);
  const clean = (flags & PG_DIRTY) === 0;
  check.that(
    copies === 1 || !clean,
    () => `slot ${slot}: its folio ${cache} is clean, and its page is stored nowhere`,
  );
}

/** Places that keep a slot's page: the zero map, zswap, its device. */
function storedCopies(m: Mm, slot: number): number {
  const here = [zeromapTest(m, slot), zswapHolds(m, slot), deviceHolds(m, slot)];
  return here.filter((holds) => holds).length;
}

function checkSlot(m: Mm, check: Checker, slot: number, refs: number, walk: SlotWalk): void {
  const count = m.slot.count[slot] as number;
  const cluster = Math.floor(slot / SWAPFILE_CLUSTER);
  const device = deviceOf(m, slot);
  const at = slot - (m.swapDevice.base[device] as number);
  if (at < 1 || at > (m.swapDevice.pages[device] as number)) {
    check.equal(count, SWAP_MAP_BAD, `count of slot ${slot}, which no device has`);
    return;
  }
  if (count === 0) {
    walk.clusterFree[cluster] = (walk.clusterFree[cluster] as number) + 1;
    check.equal(storedCopies(m, slot), 0, `pages of free slot ${slot}`);
    check.equal(m.slot.cache[slot] as number, 0, `swap cache of free slot ${slot}`);
    return;
  }
  check.that(count !== SWAP_MAP_BAD, () => `slot ${slot} is marked bad`);
  const memcg = m.slot.memcg[slot] as number;
  walk.memcgSwap[memcg] = (walk.memcgSwap[memcg] as number) + 1;
  walk.deviceUsed[device] = (walk.deviceUsed[device] as number) + 1;
  const kind = m.zram.kind[slot];
  if (kind === ZRAM_LZ || kind === ZRAM_RAW) walk.objects++;
  checkUsedSlot(m, check, slot, refs);
}

/** Recounts slots: references, the cache, where the data is, and the store's own counts. */
export function checkSwap(m: Mm, check: Checker, slotRefs: Int32Array): void {
  const walk: SlotWalk = {
    memcgSwap: new Int32Array(m.sizes.nrMemcgs),
    clusterFree: new Int32Array(m.sizes.nrClusters),
    deviceUsed: new Int32Array(m.sizes.nrSwapDevices),
    objects: 0,
  };
  for (let slot = 0; slot < m.sizes.nrSlots; slot++) {
    checkSlot(m, check, slot, slotRefs[slot] as number, walk);
  }
  const { memcgSwap, clusterFree } = walk;
  for (let memcg = 0; memcg < m.sizes.nrMemcgs; memcg++) {
    const swap = Atomics.load(m.memcg.swap, memcg);
    check.equal(swap, memcgSwap[memcg] as number, `memcg ${memcg} swap`);
  }
  for (let cluster = 0; cluster < m.sizes.nrClusters; cluster++) {
    const free = m.cluster.free[cluster] as number;
    check.equal(free, clusterFree[cluster] as number, `cluster ${cluster} free`);
  }
  checkDevices(m, check, walk.deviceUsed);
  checkShadowNodes(m, check);
  if (m.config.contents && m.store8.length > 0) {
    check.equal(zsUsage(m).objects, walk.objects, 'zsmalloc objects');
  }
}

/** Free slots of each device, and of all that are on. */
function checkDevices(m: Mm, check: Checker, used: Int32Array): void {
  const { pages, free, state } = m.swapDevice;
  let total = 0;
  let available = 0;
  for (let device = 0; device < m.sizes.nrSwapDevices; device++) {
    const left = (pages[device] as number) - (used[device] as number);
    check.equal(Atomics.load(free, device), left, `swap device ${device} free slots`);
    if (Atomics.load(state, device) === SWAP_ON) {
      total += pages[device] as number;
      available += left;
    } else {
      check.equal(used[device] as number, 0, `swap device ${device} is off: slots in use`);
    }
  }
  check.equal(Atomics.load(m.swapInfo, NR_SWAP_PAGES), available, 'free swap slots');
  check.equal(totalSwapPages(m), total, 'swap slots');
}

/** Recounts shadow nodes, and which of them are listed. */
function checkShadowNodes(m: Mm, check: Checker): void {
  const { shadows, cached, listed } = m.shadowNode;
  const onList = new Int32Array(m.sizes.nrNodes);
  for (let node = 1; node < m.sizes.nrShadowNodes; node++) {
    const first = (node - 1) * SHADOW_NODE_SLOTS;
    const end = Math.min(first + SHADOW_NODE_SLOTS, m.sizes.nrSlots);
    let withShadow = 0;
    let withFolio = 0;
    for (let slot = first; slot < end; slot++) {
      if (m.slot.shadowTag[slot] !== 0) withShadow++;
      if (m.slot.cache[slot] !== 0) withFolio++;
    }
    check.equal(shadows[node] as number, withShadow, `shadow node ${node} shadows`);
    check.equal(cached[node] as number, withFolio, `shadow node ${node} folios`);
    if (m.shadowLru[0] === 0) continue;
    const wanted = withShadow > 0 && withFolio === 0;
    check.that(
      wanted === (listed[node] !== NODE_OFF_LIST),
      () =>
        `shadow node ${node}: listed ${listed[node]}, ${withShadow} shadows, ${withFolio} folios`,
    );
    const on = listed[node] === NODE_ON_LIST;
    if (m.lists.lru.used[m.shadowLru[0] as number] === 1) {
      const found = listLruOnList(m, m.sizes.lists.firstShadow + node);
      check.that(
        found === on,
        () => `shadow node ${node}: listed ${listed[node]}, on list ${found}`,
      );
    }
    if (!on) continue;
    const nid = m.shadowNode.nid[node] as number;
    onList[nid] = (onList[nid] as number) + 1;
  }
  for (let nid = 0; nid < m.sizes.nrNodes; nid++) {
    const gauge = Atomics.load(m.node.workingsetNodes, nid);
    check.equal(gauge, onList[nid] as number, `node ${nid} workingset_nodes`);
  }
}
