// SPDX-License-Identifier: GPL-2.0-only
/**
 * The shrinker of zswap (mm/zswap.c, mm-zswap), and what makes zswap at boot: memory that is short
 * may be worth more than pages that compressed well, so cold entries go to the file.
 */
import { assert } from '../../shared/assert.ts';
import type { ZswapParameters } from './config.ts';
import { listLruCount, listLruInit } from './list_lru.ts';
import { lruvecRow } from './lruvec.ts';
import type { Mm } from './mm.ts';
import { shrinkerAlloc, shrinkerRegister } from './shrinker.ts';
import { SHRINK_STOP, SHRINKER_TYPE_ZSWAP, type ShrinkerType } from './shrinker_ops.ts';
import { SHRINKER_MEMCG_AWARE, SHRINKER_NUMA_AWARE } from './shrinker_types.ts';
import { zswapWritebackEnabled } from './zswap.ts';
import { hasZswap, zswapTotalPages } from './zswap_entry.ts';
import * as Z from './zswap_types.ts';
import { zswapWalk } from './zswap_writeback.ts';

/** Defaults of the module's parameters. */
const DEFAULTS: ZswapParameters = {
  maxPoolPercent: 20,
  acceptThresholdPercent: 90,
  shrinkerEnabled: false,
};

function mayShrink(m: Mm, memcg: number): boolean {
  if (Atomics.load(m.zswapWords, Z.ZSWAP_SHRINKER_ENABLED) === 0) return false;
  return zswapWritebackEnabled(m, memcg);
}

/**
 * Takes pages that had to be read from disk off what could be freed: they say that too much was
 * written back already.
 */
function lessDiskSwapins(m: Mm, lruvec: number, freeable: number): number {
  for (;;) {
    const swapins = Atomics.load(m.lruvec.diskSwapins, lruvec);
    const left = Math.max(swapins - freeable, 0);
    const was = Atomics.compareExchange(m.lruvec.diskSwapins, lruvec, swapins, left);
    if (was === swapins) return freeable - (swapins - left);
  }
}

/** Callbacks of mm-zswap. */
export const zswapShrinkerType: ShrinkerType = {
  /** @returns entries worth writing back, by how well pages compress @context any reclaimer */
  countObjects(m, sc) {
    if (!mayShrink(m, sc.memcg)) return 0;
    const lru = m.zswapWords[Z.ZSWAP_LRU] as number;
    let freeable = listLruCount(m, lru, sc.nid, sc.memcg);
    if (freeable === 0) return 0;
    freeable = lessDiskSwapins(m, lruvecRow(m, sc.memcg, sc.nid), freeable);
    const stored = Atomics.load(m.memcg.zswapped, sc.memcg);
    if (freeable === 0 || stored === 0) return 0;
    const units = Atomics.load(m.memcg.zswapUnits, sc.memcg);
    const backing = sc.memcg === 0 ? zswapTotalPages(m) : Math.floor((units * Z.ZSWAP_UNIT) / 4096);
    return Math.floor((freeable * backing) / stored);
  },

  /** @returns entries written back, or SHRINK_STOP @context any reclaimer; waits for the file */
  scanObjects(m, sc) {
    if (!mayShrink(m, sc.memcg)) {
      sc.nrScanned = 0;
      return SHRINK_STOP;
    }
    const { freed, encountered } = zswapWalk(m, sc.nid, sc.memcg, sc.nrToScan, true);
    return encountered ? SHRINK_STOP : freed;
  },
};

/**
 * Makes the list and the shrinker, and sets the parameters as configured.
 * @context boot, before there are groups
 */
export function zswapInit(m: Mm): void {
  if (!hasZswap(m)) return;
  const flags = SHRINKER_NUMA_AWARE | SHRINKER_MEMCG_AWARE;
  const shrinker = shrinkerAlloc(m, flags, SHRINKER_TYPE_ZSWAP, 0, 'mm-zswap');
  const lru = shrinker < 0 ? shrinker : listLruInit(m, true, shrinker);
  assert(lru > 0, 'there is room for the shrinker and the list of zswap');
  const words = m.zswapWords;
  words[Z.ZSWAP_LRU] = lru;
  words[Z.ZSWAP_SHRINKER] = shrinker;
  words[Z.ZSWAP_ENABLED] = 1;
  const parameters = { ...DEFAULTS, ...m.config.zswap };
  words[Z.ZSWAP_MAX_POOL_PERCENT] = parameters.maxPoolPercent;
  words[Z.ZSWAP_ACCEPT_THRESHOLD_PERCENT] = parameters.acceptThresholdPercent;
  words[Z.ZSWAP_SHRINKER_ENABLED] = parameters.shrinkerEnabled ? 1 : 0;
  shrinkerRegister(m, shrinker);
}
