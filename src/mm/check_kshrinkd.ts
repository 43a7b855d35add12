// SPDX-License-Identifier: GPL-2.0-only
/** Walker of what kshrinkd has queued, and of what it has counted. */
import type { Checker } from './check.ts';
import { CONTENDED_KSHRINKD_FIXED } from './contended.ts';
import { folioNid, folioPages, folioTest } from './folio.ts';
import { KSHRINKD_CAP_REQUEUE, kshrinkdHead, kshrinkdPages, queuedAsFile } from './kshrinkd.ts';
import { KSHRINKD_STOPPED } from './kshrinkd_types.ts';
import { MS, memcgStatCell } from './memcg_events.ts';
import type { Mm } from './mm.ts';
import { PG_LOCKED, PG_LRU } from './mm_types.ts';
import { daemonParked } from './node_daemons.ts';
import type { vmEvents } from './vmstat.ts';

/** The folios that a node has queued. @throws Error when the list is broken */
function* queued(m: Mm, nid: number): Generator<number> {
  const { next, prev } = m.link;
  const head = kshrinkdHead(m, nid);
  let left = m.sizes.nrPages + 1;
  for (let at = next[head] as number; at !== head; at = next[at] as number) {
    if (left-- === 0 || prev[next[at] as number] !== at) {
      throw new Error(`node ${nid}: the list of kshrinkd is broken at ${at}`);
    }
    yield at;
  }
}

/**
 * Queued folios are isolated, each with a reference for it, on their own node.
 * @param place says of a page that it was found there @param refs counts the references
 * @context quiescence
 */
export function checkKshrinkd(
  m: Mm,
  check: Checker,
  place: (pfn: number) => void,
  refs: Int32Array,
): void {
  for (let nid = 0; nid < m.sizes.nrNodes; nid++) {
    let pages = 0;
    let largest = 1;
    for (const pfn of queued(m, nid)) {
      largest = Math.max(largest, folioPages(m, pfn));
      for (let i = 0; i < folioPages(m, pfn); i++) place(pfn + i);
      pages += folioPages(m, pfn);
      refs[pfn] = (refs[pfn] as number) + 1;
      check.equal(folioNid(m, pfn), nid, `node of queued pfn ${pfn}`);
      check.that(!folioTest(m, pfn, PG_LRU | PG_LOCKED), () => `queued pfn ${pfn}: not isolated`);
    }
    check.equal(kshrinkdPages(m, nid), pages, `node ${nid} kshrinkd pages`);
    const bounded = m.contended === CONTENDED_KSHRINKD_FIXED;
    // The last folio may be a large one.
    const most = KSHRINKD_CAP_REQUEUE - 1 + largest;
    check.that(!bounded || pages <= most, () => `node ${nid} kshrinkd: ${pages} pages queued`);
    const stopped = Atomics.load(m.kshrinkd.state, nid) === KSHRINKD_STOPPED;
    const away = stopped || daemonParked(m, `kshrinkd${nid}`);
    check.that(!away || pages === 0, () => `node ${nid} kshrinkd has gone, with ${pages} queued`);
  }
}

/** @returns pages of each type that a node has queued: nobody else has any isolated at rest */
export function queuedTypes(m: Mm, nid: number): { readonly anon: number; readonly file: number } {
  let anon = 0;
  let file = 0;
  for (const pfn of queued(m, nid)) {
    if (queuedAsFile(m, pfn)) file += folioPages(m, pfn);
    else anon += folioPages(m, pfn);
  }
  return { anon, file };
}

/** What kshrinkd was given, it has freed or put back, or has still. */
export function checkKshrinkdCounters(m: Mm, check: Checker, e: ReturnType<typeof vmEvents>): void {
  let pages = 0;
  for (let nid = 0; nid < m.sizes.nrNodes; nid++) pages += kshrinkdPages(m, nid);
  const back = e.kr_kshrinkd_putback;
  const gone = e.pgsteal_kshrinkd + back + e.kr_kshrinkd_dead;
  check.equal(e.kr_kshrinkd_queued, gone + pages, 'kshrinkd: queued = stolen + put back + dead');
  check.equal(e.pgscan_kshrinkd, e.pgsteal_kshrinkd + back, 'pgscan_kshrinkd = pgsteal + put back');
  for (const name of ['pgscan_kshrinkd', 'pgsteal_kshrinkd'] as const) {
    let sum = 0;
    for (let memcg = 0; memcg < m.sizes.nrMemcgs; memcg++) sum += memcgStatCell(m, memcg, MS[name]);
    check.equal(sum >>> 0, e[name] >>> 0, `${name} of all groups`);
  }
}
