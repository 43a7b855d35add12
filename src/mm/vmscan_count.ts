// SPDX-License-Identifier: GPL-2.0-only
/** What reclaim counts: pages scanned and stolen, by whom and of which type; pages isolated. */
import { countMemcg, MS } from './memcg_events.ts';
import type { Mm } from './mm.ts';
import type { ScanControl } from './scan_control.ts';
import { EV } from './vmstat_items.ts';

/** Counters of one scan of a group's inactive list. */
export function countScan(
  m: Mm,
  sc: ScanControl,
  group: number,
  file: boolean,
  scanned: number,
  reclaimed: number,
): void {
  const { events } = m.task;
  const direct = sc.role === 'direct' ? 1 : 0;
  const cell = sc.proactive ? 2 : direct;
  const memcg = sc.targetMemcg !== 0;
  const scan = memcg
    ? direct
      ? EV.memcg_pgscan_direct
      : EV.memcg_pgscan_kswapd
    : EV.pgscan_kswapd + cell;
  const steal = memcg
    ? direct
      ? EV.memcg_pgsteal_direct
      : EV.memcg_pgsteal_kswapd
    : EV.pgsteal_kswapd + cell;
  countMemcg(m, group, MS.pgscan_kswapd + cell, scanned);
  if (reclaimed > 0) countMemcg(m, group, MS.pgsteal_kswapd + cell, reclaimed);
  const fileCell = file ? 1 : 0;
  events[scan] = (events[scan] as number) + scanned;
  events[steal] = (events[steal] as number) + reclaimed;
  events[EV.pgscan_anon + fileCell] = (events[EV.pgscan_anon + fileCell] as number) + scanned;
  events[EV.pgsteal_anon + fileCell] = (events[EV.pgsteal_anon + fileCell] as number) + reclaimed;
}

/** NR_ISOLATED_ANON or _FILE of a node. */
export function modIsolated(m: Mm, nid: number, file: boolean, pages: number): void {
  Atomics.add(file ? m.node.isolatedFile : m.node.isolatedAnon, nid, pages);
}
