// SPDX-License-Identifier: GPL-2.0-only
/**
 * A node's kshrinkd while the node goes offline and comes online (seed 000, kshrinkd_stop and
 * kshrinkd_run). Its thread is there from boot to shutdown: it is parked meanwhile.
 */
import { policyHasKshrinkd } from './contended.ts';
import { hasBug, kshrinkdHead, kshrinkdInitNode } from './kshrinkd.ts';
import type { Mm } from './mm.ts';
import { parkThread, unparkThread } from './node_daemons.ts';

/**
 * Nobody queues on the node any more, and what is queued goes: nothing is isolated there for good.
 * The thread sees to that before it parks.
 * Before kswapd of the node stops, as its pages cannot move while they are queued.
 * @context who moves the node; no lock held; blocks
 */
export function kshrinkdStop(m: Mm, nid: number): void {
  if (!policyHasKshrinkd(m.config.contended)) return;
  parkThread(m, `kshrinkd${nid}`);
  if (!hasBug(m, 'uninit-node')) return;
  // The node that comes back is a new one, all zeroes.
  m.link.next[kshrinkdHead(m, nid)] = 0;
  m.link.prev[kshrinkdHead(m, nid)] = 0;
}

/** The node's folios may be queued again, once its thread runs. @context who moves the node */
export function kshrinkdRun(m: Mm, nid: number): void {
  if (!policyHasKshrinkd(m.config.contended)) return;
  if (!hasBug(m, 'stop-leak') && !hasBug(m, 'uninit-node')) kshrinkdInitNode(m, nid);
  unparkThread(m, `kshrinkd${nid}`);
}
