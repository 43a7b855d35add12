// SPDX-License-Identifier: GPL-2.0-only
/**
 * Whole-system walkers: is every page in exactly one place, and does every count equal a recount?
 *
 * They read everything and change nothing, and hold only at quiescence: no thread between two steps
 * of a transition. What a thread keeps for itself (pcp lists, LRU batches, stocks) is counted where
 * it is.
 */
import { THREADS_MAX } from '../../shared/limits.ts';
import { LINE_WORDS } from '../../shared/types.ts';
import { checkCounters } from './check_counters.ts';
import { checkFds } from './check_fds.ts';
import { checkKcompressd } from './check_kcompressd.ts';
import { checkKshrinkd, queuedTypes } from './check_kshrinkd.ts';
import { checkLarge } from './check_large.ts';
import { checkFilePages, checkNoFiles } from './check_mappings.ts';
import { checkMemcgs, checkMemcgsEmpty } from './check_memcg.ts';
import { checkObjects, checkSlabs } from './check_objects.ts';
import { checkMms, checkSwap } from './check_swap.ts';
import { checkNoTasks, checkTasks } from './check_tasks.ts';
import { checkNoVmas, checkVmas } from './check_vmas.ts';
import { checkZswap } from './check_zswap.ts';
import { folioLruList, folioPages, pageFolio } from './folio.ts';
import { NR_PAGE_ORDERS } from './limits.ts';
import { lruHead, lruSize } from './lruvec.ts';
import type { Mm } from './mm.ts';
import {
  NR_LRU_LISTS,
  PG_BUDDY,
  PG_LOCKED,
  PG_LRU,
  PG_MLOCKED,
  PG_RESERVED,
  PG_SWAPCACHE,
  PG_WRITEBACK,
  ZONE_ISOLATED,
  ZONE_OFFLINE,
} from './mm_types.ts';
import { freeHead, pcpHead, pcpRow } from './page_alloc.ts';
import { folioMapcount } from './rmap.ts';
import { totalSwapPages } from './swap_info.ts';
import { NR_SWAP_PAGES } from './swap_types.ts';

/** Outcome of a walk: how much was looked at, and what was wrong, one line each. */
export interface CheckResult {
  checked: number;
  readonly violations: string[];
}

/** Violations beyond so many are only counted. */
const VIOLATIONS_MAX = 50;

/** Collects checks. */
export class Checker implements CheckResult {
  checked = 0;
  readonly violations: string[] = [];

  /** @param message built only when the check fails */
  that(ok: boolean, message: () => string): void {
    this.checked++;
    if (!ok && this.violations.length < VIOLATIONS_MAX) this.violations.push(message());
  }

  equal(found: number, expected: number, what: string): void {
    this.that(found === expected, () => `${what}: ${found}, recount ${expected}`);
  }
}

/** Where a page was found. */
const NOWHERE = 0;
const IN_BUDDY = 1;
const IN_PCP = 2;
const ON_LRU = 3;
const IN_BATCH = 4;
const IN_SLAB = 5;
const OFFLINE = 6;
const IN_KSHRINKD = 7;

/** Marks pages of one place; a page that is marked already is in two. */
function place(check: Checker, where: Uint8Array, pfn: number, what: number): void {
  check.that(
    where[pfn] === NOWHERE,
    () => `pfn ${pfn} is in two places: ${where[pfn]} and ${what}`,
  );
  where[pfn] = what;
}

function* walkList(m: Mm, head: number): Generator<number> {
  const { next, prev } = m.link;
  let left = m.sizes.nrPages + 1;
  for (let at = next[head] as number; at !== head; at = next[at] as number) {
    if (left-- === 0 || prev[next[at] as number] !== at)
      throw new Error(`list ${head} is broken at ${at}`);
    yield at;
  }
}

function checkFreeLists(m: Mm, check: Checker, where: Uint8Array): void {
  for (let zone = 0; zone < m.sizes.nrZones; zone++) {
    let free = 0;
    for (let order = 0; order < NR_PAGE_ORDERS; order++) {
      let blocks = 0;
      for (const block of walkList(m, freeHead(m, zone, order))) {
        blocks++;
        check.equal(m.page.private[block] as number, order, `buddy order of pfn ${block}`);
        check.equal(Atomics.load(m.page.flags, block), PG_BUDDY, `flags of free pfn ${block}`);
        for (let i = 0; i < 1 << order; i++) place(check, where, block + i, IN_BUDDY);
      }
      free += blocks << order;
      check.equal(
        m.freeArea[zone * NR_PAGE_ORDERS + order] as number,
        blocks,
        `zone ${zone} order ${order}`,
      );
    }
    check.equal(Atomics.load(m.zone.nrFree, zone), free, `zone ${zone} nr_free_pages`);
    for (let cpu = 0; cpu < m.config.cpus; cpu++) {
      let pages = 0;
      for (const pfn of walkList(m, pcpHead(m, zone, cpu))) {
        pages++;
        place(check, where, pfn, IN_PCP);
      }
      check.equal(
        m.pcp[pcpRow(m, zone, cpu) + 1] as number,
        pages,
        `zone ${zone} cpu ${cpu} pcp count`,
      );
    }
  }
}

function checkLruLists(m: Mm, check: Checker, where: Uint8Array): void {
  const zoneLru = new Int32Array(m.sizes.nrZones * NR_LRU_LISTS);
  for (let lruvec = 0; lruvec < m.sizes.nrLruvecs; lruvec++) {
    for (let lru = 0; lru < NR_LRU_LISTS; lru++) {
      let pages = 0;
      for (const pfn of walkList(m, lruHead(m, lruvec, lru))) {
        const nr = folioPages(m, pfn);
        pages += nr;
        for (let i = 0; i < nr; i++) place(check, where, pfn + i, ON_LRU);
        const flags = Atomics.load(m.page.flags, pfn);
        check.equal(folioLruList(flags), lru, `list of pfn ${pfn}`);
        const row =
          (m.page.memcg[pfn] as number) * m.sizes.nrNodes +
          (m.zone.nid[m.page.zone[pfn] as number] as number);
        check.equal(row, lruvec, `lruvec of pfn ${pfn}`);
        const cell = (m.page.zone[pfn] as number) * NR_LRU_LISTS + lru;
        zoneLru[cell] = (zoneLru[cell] as number) + nr;
      }
      check.equal(lruSize(m, lruvec, lru), pages, `lruvec ${lruvec} list ${lru}`);
    }
  }
  for (let cell = 0; cell < zoneLru.length; cell++) {
    check.equal(Atomics.load(m.zoneLru, cell), zoneLru[cell] as number, `zone list ${cell}`);
  }
}

/** Pages of zones that have been taken away: on no list, reserved, nobody's. */
function checkOffline(m: Mm, check: Checker, where: Uint8Array): void {
  for (let zone = 0; zone < m.sizes.nrZones; zone++) {
    const start = m.zone.startPfn[zone] as number;
    const end = m.zone.endPfn[zone] as number;
    const state = Atomics.load(m.zone.state, zone);
    check.that(state !== ZONE_ISOLATED, () => `zone ${zone} is neither online nor offline`);
    const offline = state === ZONE_OFFLINE;
    check.equal(m.zone.managed[zone] as number, offline ? 0 : end - start, `zone ${zone} managed`);
    for (let pfn = start; offline && pfn < end; pfn++) {
      place(check, where, pfn, OFFLINE);
      check.equal(Atomics.load(m.page.flags, pfn), PG_RESERVED, `flags of offline pfn ${pfn}`);
    }
  }
}

/** Pages in per-thread LRU batches: one reference each. */
function checkBatches(m: Mm, check: Checker, where: Uint8Array): Int32Array {
  const refs = new Int32Array(m.sizes.nrPages);
  for (let id = 0; id < THREADS_MAX; id++) {
    const row = id * 2 * LINE_WORDS;
    for (let i = 0; i < (m.lruBatch[row + 1] as number); i++) {
      const pfn = m.lruBatch[row + 2 + i] as number;
      for (let k = 0; k < folioPages(m, pfn); k++) place(check, where, pfn + k, IN_BATCH);
      refs[pfn] = (refs[pfn] as number) + 1;
    }
  }
  return refs;
}

function checkPages(
  m: Mm,
  check: Checker,
  where: Uint8Array,
  batchRefs: Int32Array,
  mapped: Int32Array,
  ofFiles: Uint8Array,
): void {
  for (let pfn = 1; pfn < m.sizes.nrPages; pfn++) {
    const flags = Atomics.load(m.page.flags, pfn);
    const refs = Atomics.load(m.page.refcount, pfn);
    const maps = Atomics.load(m.page.mapcount, pfn);
    const at = where[pfn] as number;
    check.equal(maps, mapped[pfn] as number, `mapcount of pfn ${pfn}`);
    // Its head's place and references are its own; check_large.ts looks at the rest.
    if (pageFolio(m, pfn) !== pfn) continue;
    check.that(
      ((flags & PG_LRU) !== 0) === (at === ON_LRU),
      () => `pfn ${pfn}: PG_LRU ${flags & PG_LRU}, place ${at}`,
    );
    check.that(
      at !== NOWHERE,
      () => `pfn ${pfn} is nowhere: flags 0x${flags.toString(16)}, refs ${refs}`,
    );
    check.that(
      (flags & (PG_LOCKED | PG_WRITEBACK)) === 0,
      () => `pfn ${pfn} is locked or in writeback`,
    );
    if (at === IN_BUDDY || at === IN_PCP || at === OFFLINE) {
      check.that(refs === 0 && maps === 0, () => `free pfn ${pfn} has refs ${refs}, maps ${maps}`);
    } else {
      // The swap cache's reference, or the slab's: a page has one of them at most.
      const cache = (flags & PG_SWAPCACHE) !== 0 || at === IN_SLAB ? folioPages(m, pfn) : 0;
      let held = cache + (batchRefs[pfn] as number);
      for (let i = 0; i < folioPages(m, pfn); i++) held += ofFiles[pfn + i] as number;
      check.equal(refs, folioMapcount(m, pfn) + held, `refcount of pfn ${pfn}`);
    }
  }
  check.equal(Atomics.load(m.page.flags, 0), PG_RESERVED, 'flags of the zero page');
}

/** Pages charged to each group itself. */
function chargedPages(m: Mm, where: Uint8Array): Int32Array {
  const own = new Int32Array(m.sizes.nrMemcgs);
  for (let pfn = 1; pfn < m.sizes.nrPages; pfn++) {
    const at = where[pfn];
    if (at !== ON_LRU && at !== IN_BATCH && at !== IN_KSHRINKD) continue;
    const memcg = m.page.memcg[pfn] as number;
    own[memcg] = (own[memcg] as number) + 1;
  }
  return own;
}

function checkNodes(m: Mm, check: Checker, mapped: Int32Array): void {
  const anon = new Int32Array(m.sizes.nrNodes);
  const mlocked = new Int32Array(m.sizes.nrNodes);
  for (let pfn = 1; pfn < m.sizes.nrPages; pfn++) {
    const nid = m.zone.nid[m.page.zone[pfn] as number] as number;
    const locked = (Atomics.load(m.page.flags, pageFolio(m, pfn)) & PG_MLOCKED) !== 0;
    if (locked) mlocked[nid] = (mlocked[nid] as number) + 1;
    const ofFile = (m.page.mapping[pfn] as number) < 0;
    if ((mapped[pfn] as number) > 0 && !ofFile) anon[nid] = (anon[nid] as number) + 1;
  }
  for (let nid = 0; nid < m.sizes.nrNodes; nid++) {
    const queued = queuedTypes(m, nid);
    check.equal(
      Atomics.load(m.node.isolatedAnon, nid),
      queued.anon,
      `node ${nid} nr_isolated_anon`,
    );
    check.equal(
      Atomics.load(m.node.isolatedFile, nid),
      queued.file,
      `node ${nid} nr_isolated_file`,
    );
    check.equal(Atomics.load(m.node.writeback, nid), 0, `node ${nid} nr_writeback`);
    check.equal(Atomics.load(m.node.mlocked, nid), mlocked[nid] as number, `node ${nid} nr_mlock`);
    check.equal(
      Atomics.load(m.node.anonMapped, nid),
      anon[nid] as number,
      `node ${nid} nr_anon_pages`,
    );
  }
}

/**
 * Checks the whole machine at rest.
 * @context quiescence: programs ended or parked, kthreads asleep, no lock held. Any thread; read
 *   only
 */
export function checkQuiescent(m: Mm): CheckResult {
  const check = new Checker();
  try {
    const where = new Uint8Array(m.sizes.nrPages);
    checkFreeLists(m, check, where);
    checkOffline(m, check, where);
    checkLruLists(m, check, where);
    const batchRefs = checkBatches(m, check, where);
    checkKshrinkd(m, check, (pfn) => place(check, where, pfn, IN_KSHRINKD), batchRefs);
    checkKcompressd(m, check, batchRefs);
    checkSlabs(m, check, (pfn) => place(check, where, pfn, IN_SLAB));
    const walk = checkMms(m, check);
    const ofFiles = checkFilePages(m, check, walk.slotRefs);
    checkPages(m, check, where, batchRefs, walk.mapped, ofFiles);
    checkMemcgs(m, check, chargedPages(m, where));
    checkNodes(m, check, walk.mapped);
    checkLarge(m, check);
    checkSwap(m, check, walk.slotRefs);
    checkZswap(m, check);
    checkVmas(m, check);
    checkCounters(m, check);
    checkObjects(m, check);
    checkTasks(m, check);
    checkFds(m, check);
  } catch (error) {
    check.that(
      false,
      () => `walk failed: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
  return check;
}

/**
 * Checks that a machine whose programs have all exited has everything back.
 * @context after shutdown: no thread runs
 */
export function checkEmpty(m: Mm): CheckResult {
  const check = new Checker();
  for (let pfn = 1; pfn < m.sizes.nrPages; pfn++) {
    const flags = Atomics.load(m.page.flags, pfn);
    // What is left may wait in a batch or in the swap cache of a slot nobody refers to: neither may
    // be.
    check.that(
      (flags & (PG_LRU | PG_SWAPCACHE)) === 0,
      () => `pfn ${pfn} leaked: flags 0x${flags.toString(16)}`,
    );
    check.equal(Atomics.load(m.page.refcount, pfn), 0, `refcount of pfn ${pfn} at the end`);
  }
  checkMemcgsEmpty(m, check);
  check.equal(
    Atomics.load(m.swapInfo, NR_SWAP_PAGES),
    totalSwapPages(m),
    'free swap slots at the end',
  );
  check.equal(Atomics.load(m.zsPool, 3), 0, 'zsmalloc blocks at the end');
  checkNoFiles(m, check);
  checkNoTasks(m, check);
  checkNoVmas(m, check);
  const rest = checkQuiescent(m);
  check.checked += rest.checked;
  check.violations.push(...rest.violations);
  return check;
}
