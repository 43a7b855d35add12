// SPDX-License-Identifier: GPL-2.0-only
/** Walkers over address spaces, swap slots and the zram store (see check.ts). */
import type { Checker } from './check.ts';
import { checkAnonEntry } from './check_vmas.ts';
import { PTRS_PER_TABLE, SHADOW_NODE_SLOTS, SWAPFILE_CLUSTER } from './limits.ts';
import { listLruOnList } from './list_lru.ts';
import { NODE_OFF_LIST, NODE_ON_LIST } from './mapping_types.ts';
import type { Mm } from './mm.ts';
import {
  PG_SWAPCACHE,
  PTE_MIGRATION,
  PTE_PRESENT,
  PTE_SHIFT,
  PTE_SPECIAL,
  SWAP_HAS_CACHE,
  SWAP_MAP_BAD,
} from './mm_types.ts';
import { zeromapTest } from './zeromap.ts';
import { ZRAM_EMPTY, ZRAM_LZ, ZRAM_RAW } from './zram.ts';
import { zsUsage } from './zsmalloc.ts';

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
    let rss = 0;
    let swap = 0;
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
        rss++;
        mapped[target] = (mapped[target] as number) + 1;
        checkAnonEntry(m, check, mm, vpn, target);
      }
    });
    check.equal(Atomics.load(m.mm.rssAnon, mm), rss, `mm ${mm} rss`);
    check.equal(Atomics.load(m.mm.swapEnts, mm), swap, `mm ${mm} swap entries`);
    check.equal(Atomics.load(m.mm.nrTables, mm), tables, `mm ${mm} page tables`);
  }
  return { mapped, slotRefs };
}

/** Recounts slots: references, the cache, where the data is, and the store's own counts. */
export function checkSwap(m: Mm, check: Checker, slotRefs: Int32Array): void {
  let used = 0;
  let objects = 0;
  const memcgSwap = new Int32Array(m.sizes.nrMemcgs);
  const clusterFree = new Int32Array(m.sizes.nrClusters);
  for (let slot = 1; slot < m.sizes.nrSlots; slot++) {
    const count = m.slot.count[slot] as number;
    const cache = m.slot.cache[slot] as number;
    const kind = m.zram.kind[slot] as number;
    if (count === 0) {
      const cluster = Math.floor(slot / SWAPFILE_CLUSTER);
      clusterFree[cluster] = (clusterFree[cluster] as number) + 1;
      check.that(
        kind === ZRAM_EMPTY && !zeromapTest(m, slot),
        () => `free slot ${slot} holds a page`,
      );
      check.equal(cache, 0, `swap cache of free slot ${slot}`);
      continue;
    }
    used++;
    const memcg = m.slot.memcg[slot] as number;
    memcgSwap[memcg] = (memcgSwap[memcg] as number) + 1;
    if (kind === ZRAM_LZ || kind === ZRAM_RAW) objects++;
    check.that(count !== SWAP_MAP_BAD, () => `slot ${slot} is marked bad`);
    check.equal(count & ~SWAP_HAS_CACHE, slotRefs[slot] as number, `references of slot ${slot}`);
    check.that(
      ((count & SWAP_HAS_CACHE) !== 0) === (cache !== 0),
      () => `slot ${slot}: count ${count}, cache ${cache}`,
    );
    if (cache !== 0) {
      const ok =
        m.page.private[cache] === slot && (Atomics.load(m.page.flags, cache) & PG_SWAPCACHE) !== 0;
      check.that(ok, () => `slot ${slot}: its folio ${cache} is another's`);
      check.equal(m.slot.shadowTag[slot] as number, 0, `shadow of slot ${slot}, which has a folio`);
    } else {
      check.that(
        kind !== ZRAM_EMPTY || zeromapTest(m, slot),
        () => `slot ${slot} is used and holds nothing`,
      );
    }
  }
  for (let memcg = 0; memcg < m.sizes.nrMemcgs; memcg++) {
    check.equal(
      Atomics.load(m.memcg.swap, memcg),
      memcgSwap[memcg] as number,
      `memcg ${memcg} swap`,
    );
  }
  for (let cluster = 0; cluster < m.sizes.nrClusters; cluster++) {
    check.equal(
      m.cluster.free[cluster] as number,
      clusterFree[cluster] as number,
      `cluster ${cluster} free`,
    );
  }
  checkShadowNodes(m, check);
  const slots = Math.max(m.sizes.nrSlots - 1, 0);
  check.equal(Atomics.load(m.swapInfo, 0), slots - used, 'free swap slots');
  if (m.config.contents && m.zram8 !== null) {
    check.equal(zsUsage(m).objects, objects, 'zsmalloc objects');
  }
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
