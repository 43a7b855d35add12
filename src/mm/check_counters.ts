// SPDX-License-Identifier: GPL-2.0-only
/**
 * Identities between counters. docs/counters.md says why each holds, and when.
 */
import type { Checker } from './check.ts';
import { checkKcompressdCounters } from './check_kcompressd.ts';
import { checkKshrinkdCounters } from './check_kshrinkd.ts';
import { CONTENDED_KSHRINKD_FIXED } from './contended.ts';
import { folioPages } from './folio.ts';
import type { Mm } from './mm.ts';
import { SWAP_MAP_BAD } from './mm_types.ts';
import { deviceHolds } from './swap_backend.ts';
import { vmEvents } from './vmstat.ts';
import { zeromapTest } from './zeromap.ts';
import { ZSWAP_STORED } from './zswap_types.ts';

/** Slots that hold a page on the device, and slots marked all-zero. */
function slotsInUse(m: Mm): { stored: number; zero: number } {
  let stored = 0;
  let zero = 0;
  for (let slot = 1; slot < m.sizes.nrSlots; slot++) {
    if (m.slot.count[slot] === SWAP_MAP_BAD) continue;
    if (deviceHolds(m, slot)) stored++;
    if (zeromapTest(m, slot)) zero++;
  }
  return { stored, zero };
}

/** Every device is SWP_SYNCHRONOUS_IO. */
function allSynchronous(m: Mm): boolean {
  return m.swapDevice.synchronous.every((flag) => flag === 1);
}

/** @context quiescence */
export function checkCounters(m: Mm, check: Checker): void {
  const e = vmEvents(m);
  const atMost = (small: number, large: number, what: string): void => {
    check.that(small <= large, () => `${what}: ${small} > ${large}`);
  };
  atMost(e.pgsteal_kswapd, e.pgscan_kswapd, 'pgsteal_kswapd <= pgscan_kswapd');
  atMost(e.pgsteal_direct, e.pgscan_direct, 'pgsteal_direct <= pgscan_direct');
  atMost(e.memcg_pgsteal_direct, e.memcg_pgscan_direct, 'memcg pgsteal_direct <= pgscan_direct');
  atMost(e.pgsteal_anon, e.pgscan_anon, 'pgsteal_anon <= pgscan_anon');
  atMost(e.pgsteal_file, e.pgscan_file, 'pgsteal_file <= pgscan_file');
  const scan =
    e.pgscan_kswapd +
    e.pgscan_direct +
    e.pgscan_proactive +
    e.memcg_pgscan_direct +
    e.memcg_pgscan_kswapd;
  check.equal(e.pgscan_anon + e.pgscan_file, scan, 'pgscan by type = pgscan by reclaimer');
  const steal =
    e.pgsteal_kswapd +
    e.pgsteal_direct +
    e.pgsteal_proactive +
    e.memcg_pgsteal_direct +
    e.memcg_pgsteal_kswapd;
  // As posted, nobody is credited with what kshrinkd frees.
  const late = m.contended === CONTENDED_KSHRINKD_FIXED ? e.pgsteal_kshrinkd : 0;
  check.equal(
    e.pgsteal_anon + e.pgsteal_file,
    steal + late,
    'pgsteal by type = pgsteal by reclaimer',
  );
  checkKshrinkdCounters(m, check, e);
  checkKcompressdCounters(m, check, e);
  atMost(e.pgmajfault, e.pgfault, 'pgmajfault <= pgfault');
  atMost(e.workingset_activate_anon, e.workingset_refault_anon, 'activate <= refault');
  atMost(e.workingset_restore_anon, e.workingset_activate_anon, 'restore <= activate');
  atMost(
    e.workingset_refault_anon,
    e.pswpin + e.swpin_zero + e.zswpin,
    'refaults <= pages swapped in',
  );
  atMost(e.swap_ra_hit, e.swap_ra, 'swap_ra_hit <= swap_ra');
  const allocated = e.pgalloc_dma + e.pgalloc_dma32 + e.pgalloc_normal + e.pgalloc_movable;
  let used = 0;
  for (let pfn = 1; pfn < m.sizes.nrPages; pfn++) {
    if (Atomics.load(m.page.refcount, pfn) > 0) used += folioPages(m, pfn);
  }
  check.equal(allocated - e.pgfree, used, 'pgalloc - pgfree = pages in use');
  const slots = slotsInUse(m);
  check.equal(
    e.pswpout,
    e.kr_swap_overwrite + e.kr_swap_slot_freed + slots.stored,
    'pswpout = overwritten + freed + in use',
  );
  check.equal(e.swpout_zero, e.kr_swap_zero_freed + slots.zero, 'swpout_zero = freed + in use');
  check.equal(
    e.zswpout,
    e.zswpin + e.zswpwb + e.kr_zswap_freed + Atomics.load(m.zswapWords, ZSWAP_STORED),
    'zswpout = zswpin + zswpwb + freed + stored',
  );
  check.equal(e.nr_written, e.pswpout + e.kr_file_written, 'nr_written = to swap + to files');
  atMost(e.workingset_activate_file, e.workingset_refault_file, 'activate_file <= refault_file');
  atMost(e.workingset_restore_file, e.workingset_activate_file, 'restore_file <= activate_file');
  // A synchronous device's slot is freed by the swap-in, unless its entry had changed meanwhile,
  // others refer to it too, or it could not be read.
  if (allSynchronous(m)) {
    const kept = e.kr_swapin_stale + e.kr_swapin_shared + e.kr_swap_read_error;
    atMost(e.pswpin - kept, e.kr_swap_slot_freed, 'pswpin - stale - shared <= slots freed');
  }
}
