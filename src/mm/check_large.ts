// SPDX-License-Identifier: GPL-2.0-only
/** Walkers over large folios (see check.ts): heads and tails, sums, queues, gauges. */
import type { Checker } from './check.ts';
import type { Mm } from './mm.ts';
import { PG_DEFERRED, PG_LARGE_FILE, PG_MAYSHARE } from './mm_types.ts';
import { mthpStat } from './mthp_stat.ts';
import { splitQueueHead } from './split_queue.ts';
import { MTHP, NR_THP_ORDERS } from './thp_types.ts';

/** A head and its tails. @returns how many of its pages are mapped */
function checkFolio(m: Mm, check: Checker, pfn: number, order: number): void {
  let sum = 0;
  const zone = m.page.zone[pfn];
  for (let page = pfn; page < pfn + (1 << order); page++) {
    sum += Atomics.load(m.page.mapcount, page);
    check.equal(m.page.head[page] as number, pfn, `head of pfn ${page}`);
    check.equal(m.page.memcg[page] as number, m.page.memcg[pfn] as number, `memcg of tail ${page}`);
    check.that(m.page.zone[page] === zone, () => `large pfn ${pfn} lies in two zones`);
    if (page === pfn) continue;
    check.equal(Atomics.load(m.page.refcount, page), 0, `references of tail ${page}`);
    check.equal(Atomics.load(m.page.flags, page), 0, `flags of tail ${page}`);
    check.equal(m.page.order[page] as number, 0, `order of tail ${page}`);
    const index = (m.page.index[pfn] as number) + page - pfn;
    check.equal(m.page.index[page] as number, index, `index of tail ${page}`);
    check.equal(m.page.mapping[page] as number, m.page.mapping[pfn] as number, `tail ${page}`);
  }
  check.equal(Atomics.load(m.page.largeMapcount, pfn), sum, `large mapcount of pfn ${pfn}`);
}

/** Folios on the queues. @returns how many of each order */
function checkQueues(m: Mm, check: Checker): Int32Array {
  const queued = new Int32Array(NR_THP_ORDERS);
  for (let nid = 0; nid < m.sizes.nrNodes; nid++) {
    const head = splitQueueHead(m, nid);
    let length = 0;
    for (let at = m.link.next[head] as number; at !== head; at = m.link.next[at] as number) {
      if (++length > m.sizes.nrPages) throw new Error(`the split queue of node ${nid} is broken`);
      const flags = Atomics.load(m.page.flags, at - 1);
      check.that((flags & PG_DEFERRED) !== 0, () => `pfn ${at - 1} is queued and has no flag`);
      const order = m.page.order[at - 1] as number;
      queued[order] = (queued[order] as number) + 1;
    }
    check.equal(m.splitQueueLength[nid] as number, length, `split queue of node ${nid}`);
  }
  check.equal(queued[0] as number, 0, 'single pages on split queues');
  return queued;
}

/** Recounts large folios. @context quiescence */
export function checkLarge(m: Mm, check: Checker): void {
  const anon = new Int32Array(NR_THP_ORDERS);
  const file = new Int32Array(NR_THP_ORDERS);
  const deferred = new Int32Array(NR_THP_ORDERS);
  for (let pfn = 1; pfn < m.sizes.nrPages; pfn++) {
    const order = m.page.order[pfn] as number;
    const flags = Atomics.load(m.page.flags, pfn);
    if (order === 0) {
      const head = m.page.head[pfn] as number;
      const within =
        head === 0 || (pfn > head && pfn < head + (1 << (m.page.order[head] as number)));
      check.that(within, () => `pfn ${pfn} names ${head} as its head`);
      const marked = (flags & (PG_DEFERRED | PG_MAYSHARE | PG_LARGE_FILE)) !== 0;
      check.that(!marked, () => `single pfn ${pfn} has marks of a large folio`);
      continue;
    }
    checkFolio(m, check, pfn, order);
    const ofFile = (m.page.mapping[pfn] as number) < 0;
    const marked = (flags & PG_LARGE_FILE) !== 0;
    check.that(marked === ofFile, () => `large pfn ${pfn}: of a file ${ofFile}, marked ${marked}`);
    const count = ofFile ? file : anon;
    count[order] = (count[order] as number) + 1;
    if ((flags & PG_DEFERRED) !== 0) deferred[order] = (deferred[order] as number) + 1;
  }
  const queued = checkQueues(m, check);
  for (let order = 1; order < NR_THP_ORDERS; order++) {
    check.equal(
      mthpStat(m, order, MTHP.nr_file),
      file[order] as number,
      `nr_file of order ${order}`,
    );
    const cells = [MTHP.nr_anon, MTHP.nr_anon_partially_mapped] as const;
    check.equal(mthpStat(m, order, cells[0]), anon[order] as number, `nr_anon of order ${order}`);
    check.equal(queued[order] as number, deferred[order] as number, `queued of order ${order}`);
    const gauge = mthpStat(m, order, cells[1]);
    check.equal(gauge, deferred[order] as number, `partially mapped of order ${order}`);
  }
}
