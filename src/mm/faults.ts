// SPDX-License-Identifier: GPL-2.0-only
/**
 * What can be made to fail in the engine, and what the engine does then (shared/fault.ts has the
 * dice). The names that the kernel has are the kernel's (Documentation/fault-injection).
 *
 *   kind              where                                        what must follow
 *   fail_page_alloc   allocPages, pteAlloc; looks at free lists     slow path, or a retried fault
 *   fail_charge       memcgCharge                                  page given back, fault retried
 *   fail_trylock      folio, rmap, drains, oom_lock                their fallback: keep, skip, wait
 *   delay             between the steps of faults and reclaim      nothing: only the order changes
 *   stall             kswapd, CPUs, direct reclaim, rcu_gp         others get on meanwhile
 *   swap_full         a slot is wanted                             the folio is activated
 *   compress_grow     a page is compressed                         stored raw, counted huge
 *   fail_write        a page goes to the device                    it stays dirty and in memory
 *   fail_read         a page comes from the device                 who needs it is killed
 *                     pages are read from a file of the host       EIO, or the fault tries again
 *   fail_large_alloc  a block for a large folio is wanted          a smaller one
 *   fail_kthread      kshrinkd or kcompressd starts                its node does without it
 *   rmap_held         a rmap lock is taken for writing             its holder is away for long
 *   queue_full        a folio is for kshrinkd or kcompressd        there is no room for it
 *
 * None may lose a byte or leave a count wrong: the walkers and the contents say so.
 */
import type { FaultAttr } from '../../shared/fault.ts';

export type { FaultAttr } from '../../shared/fault.ts';

export const FAULT_NAMES = [
  'fail_page_alloc',
  'fail_charge',
  'fail_trylock',
  'delay',
  'stall',
  'swap_full',
  'compress_grow',
  'fail_write',
  'fail_read',
  'fail_large_alloc',
  'fail_kthread',
  'rmap_held',
  'queue_full',
] as const;

export type FaultName = (typeof FAULT_NAMES)[number];

export const FAULT_PAGE_ALLOC = 0;
export const FAULT_CHARGE = 1;
export const FAULT_TRYLOCK = 2;
export const FAULT_DELAY = 3;
export const FAULT_STALL = 4;
export const FAULT_SWAP_FULL = 5;
export const FAULT_COMPRESS = 6;
export const FAULT_WRITE = 7;
export const FAULT_READ = 8;
export const FAULT_LARGE_ALLOC = 9;
export const FAULT_KTHREAD = 10;
export const FAULT_RMAP_HELD = 11;
export const FAULT_QUEUE_FULL = 12;

/** Attributes by name: the kinds that are on. */
export type FaultConfig = Readonly<Partial<Record<FaultName, FaultAttr>>>;

/**
 * Rates at which a run still gets on: every kind strikes, none dominates. fail_read is not among
 * them: it kills programs.
 */
export const MODEST_FAULTS: Readonly<Record<Exclude<FaultName, 'fail_read'>, FaultAttr>> = {
  fail_page_alloc: { oneIn: 50, interval: 1, times: null },
  fail_charge: { oneIn: 100, interval: 1, times: null },
  fail_trylock: { oneIn: 10, interval: 1, times: null },
  delay: { oneIn: 200, interval: 1, times: null },
  stall: { oneIn: 50, interval: 1, times: null },
  swap_full: { oneIn: 20, interval: 1, times: null },
  compress_grow: { oneIn: 10, interval: 1, times: null },
  fail_write: { oneIn: 20, interval: 1, times: null },
  fail_large_alloc: { oneIn: 4, interval: 1, times: null },
  fail_kthread: { oneIn: 10, interval: 1, times: null },
  rmap_held: { oneIn: 20, interval: 1, times: null },
  queue_full: { oneIn: 10, interval: 1, times: null },
};

/** @returns attributes by kind, null where a kind is off */
export function faultAttrs(faults: FaultConfig | null): (FaultAttr | null)[] {
  return FAULT_NAMES.map((name) => faults?.[name] ?? null);
}
