// SPDX-License-Identifier: GPL-2.0-only
/** What one reclaim wants, may do, and has done so far (struct scan_control). */
import { CONTENDED_HEAD } from './contended.ts';
import { DEF_PRIORITY, SWAP_CLUSTER_MAX } from './limits.ts';

export const DEACTIVATE_ANON = 1;
export const DEACTIVATE_FILE = 2;

/** Who reclaims: decides which counters move. Passed explicitly, never read off the thread. */
export type ReclaimRole = 'kswapd' | 'direct' | 'kshrinkd';

export interface ScanControl {
  readonly role: ReclaimRole;
  nrToReclaim: number;
  order: number;
  /** Group whose limit was hit; 0 for global reclaim. */
  readonly targetMemcg: number;
  priority: number;
  maySwap: boolean;
  mayUnmap: boolean;
  /** The rmap lock is only tried; kshrinkd as posted waits for it. */
  rwTryLock: boolean;
  /** CONTENDED_*: what becomes of folios whose rmap lock is taken. */
  contended: number;
  /** Whether the pages were used does not matter: MADV_PAGEOUT. */
  ignoreReferences: boolean;
  /** What goes to a swap file is under way until the caller says plugFinish. */
  plug: boolean;
  /** DEACTIVATE_* bits. */
  mayDeactivate: number;
  forceDeactivate: boolean;
  skippedDeactivate: boolean;
  memcgFullWalk: boolean;
  /** Groups below memory.low are reclaimed too: nothing else was left. */
  memcgLowReclaim: boolean;
  /** Some group was left alone for its memory.low. */
  memcgLowSkipped: boolean;
  /** On demand (memory.reclaim), not for want of memory. */
  proactive: boolean;
  cacheTrimMode: boolean;
  fileIsTiny: boolean;
  anonCost: number;
  fileCost: number;
  swappiness: number;
  nrScanned: number;
  nrReclaimed: number;
  /** Pages that kshrinkd has now: progress, but not towards the target. */
  nrDeferred: number;
}

/**
 * A fresh record of one reclaim.
 * @param role who reclaims @param targetMemcg 0 for the node @param nrToReclaim pages
 */
export function scanControl(
  role: ReclaimRole,
  targetMemcg: number,
  swappiness: number,
  nrToReclaim = SWAP_CLUSTER_MAX,
): ScanControl {
  return {
    role,
    nrToReclaim,
    order: 0,
    targetMemcg,
    priority: DEF_PRIORITY,
    maySwap: true,
    mayUnmap: true,
    rwTryLock: true,
    contended: CONTENDED_HEAD,
    ignoreReferences: false,
    plug: true,
    mayDeactivate: 0,
    forceDeactivate: false,
    skippedDeactivate: false,
    memcgFullWalk: false,
    memcgLowReclaim: false,
    memcgLowSkipped: false,
    proactive: false,
    cacheTrimMode: false,
    fileIsTiny: false,
    anonCost: 0,
    fileCost: 0,
    swappiness,
    nrScanned: 0,
    nrReclaimed: 0,
    nrDeferred: 0,
  };
}

/** Reclaim at a group's limit, as against reclaim of a node. */
export function cgroupReclaim(sc: ScanControl): boolean {
  return sc.targetMemcg !== 0;
}
