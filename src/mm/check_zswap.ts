// SPDX-License-Identifier: GPL-2.0-only
/** Walker over zswap's entries (see check.ts). */
import { LIST_NONE } from '../../shared/list.ts';
import type { Checker } from './check.ts';
import { PAGE_SIZE } from './limits.ts';
import type { Mm } from './mm.ts';
import { zsUsage } from './zsmalloc.ts';
import { ZS_POOL_ZSWAP } from './zsmalloc_sizes.ts';
import { hasZswap, zswapItem, zswapUnits } from './zswap_entry.ts';
import { ZSWAP_INCOMPRESSIBLE, ZSWAP_STORED } from './zswap_types.ts';

/** Recounts entries, what groups are charged for them, and the pool. @context quiescence */
export function checkZswap(m: Mm, check: Checker): void {
  if (!hasZswap(m)) return;
  const units = new Int32Array(m.sizes.nrMemcgs);
  const entries = new Int32Array(m.sizes.nrMemcgs);
  let stored = 0;
  let raw = 0;
  for (let slot = 1; slot < m.sizes.nrSlots; slot++) {
    const length = m.zswap.length[slot] as number;
    const listed = m.lists.link.next[zswapItem(m, slot)] !== LIST_NONE;
    const wanted = length !== 0;
    check.that(listed === wanted, () => `zswap slot ${slot}: ${length} bytes, listed ${listed}`);
    if (length === 0) {
      check.equal(m.zswap.handle[slot] as number, 0, `zswap handle of slot ${slot}: no entry`);
      continue;
    }
    check.that(m.slot.count[slot] !== 0, () => `free slot ${slot} has a zswap entry`);
    stored++;
    if (length === PAGE_SIZE) raw++;
    for (let group = m.slot.memcg[slot] as number; ; group = m.memcg.parent[group] as number) {
      units[group] = (units[group] as number) + zswapUnits(length);
      entries[group] = (entries[group] as number) + 1;
      if (group === 0) break;
    }
  }
  check.equal(Atomics.load(m.zswapWords, ZSWAP_STORED), stored, 'zswap stored_pages');
  check.equal(Atomics.load(m.zswapWords, ZSWAP_INCOMPRESSIBLE), raw, 'zswap incompressible');
  for (let group = 0; group < m.sizes.nrMemcgs; group++) {
    const found = Atomics.load(m.memcg.zswapUnits, group);
    check.equal(found, units[group] as number, `memcg ${group} zswap bytes / 32`);
    const held = Atomics.load(m.memcg.zswapped, group);
    check.equal(held, entries[group] as number, `memcg ${group} zswapped`);
  }
  if (m.config.contents) {
    check.equal(zsUsage(m, ZS_POOL_ZSWAP).objects, stored, 'zswap objects of the store');
  }
}
