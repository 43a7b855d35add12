// SPDX-License-Identifier: GPL-2.0-only
/**
 * The shrink kernel, in AssemblyScript: the next shrinker of a group that may have objects.
 *
 * The same steps as `nextShrinker` of shrink_kernel.ts, its twin and reference, for the case that
 * is common: the bit's shrinker is there and can be taken. Everything else (no shrinker, one that
 * comes or goes, a count that saturated, an info that was freed) is told apart by the caller, so
 * that what a policy does about it is written once.
 *
 * A call is one RCU read-side section: it neither sleeps nor passes a quiescent state. Looks are
 * plain loads, of which each call makes its own: pointers are followed, which orders them, and a
 * stale bit, row or count either fails the compare-and-swap or is told to the caller, who looks
 * again. Addresses are bytes from the start of the memory. The constants are exported so that the
 * loader can compare them with the engine's.
 */

export const INFO_NR_MAX: i32 = 0;
export const INFO_UNITS: i32 = 2;
export const SHRINKER_UNIT_BITS: i32 = 64;
export const UNIT_MAP_WORDS: i32 = 2;
export const REFCOUNT_MAX: i32 = 0x7fffffff;
export const POISON_FREE: i32 = 0x6b6b6b6b;

/** Not a row, and not the complement of an id. */
export const NEXT_POISONED: i32 = -0x80000000;
export const NEXT_LAST_PUT: i32 = -0x7fffffff;

const UNIT_SHIFT: i32 = 6;
const OFFSET_MASK: i32 = 63;

/** Where the columns begin; set once. */
let infoOf: usize = 0;
let infos: usize = 0;
let infoBytes: i32 = 0;
let maps: usize = 0;
let idr: usize = 0;
let refcounts: usize = 0;

/** Says where the tables are. Before any other call. */
export function setup(
  infoOfAt: usize,
  infosAt: usize,
  bytesOfInfo: i32,
  mapsAt: usize,
  idrAt: usize,
  refcountsAt: usize,
): void {
  infoOf = infoOfAt;
  infos = infosAt;
  infoBytes = bytesOfInfo;
  maps = mapsAt;
  idr = idrAt;
  refcounts = refcountsAt;
}

/** Id of the first set bit from `from` on; -1 for none; NEXT_POISONED for a freed info. */
// @ts-ignore: decorator
@inline
function nextBit(lruvec: i32, from: i32): i32 {
  const row = load<i32>(infoOf + ((<usize>lruvec) << 2));
  if (row == 0) return -1;
  const info = infos + <usize>(row * infoBytes);
  const nrMax = load<i32>(info + (INFO_NR_MAX << 2));
  if (nrMax == POISON_FREE) return NEXT_POISONED;
  for (let id = from; id < nrMax; id = (id | OFFSET_MASK) + 1) {
    const unit = load<i32>(info + (<usize>(INFO_UNITS + (id >>> UNIT_SHIFT)) << 2));
    const bits = load<u64>(maps + ((<usize>unit) << 3)) >>> (id & OFFSET_MASK);
    if (bits != 0) return id + <i32>ctz<u64>(bits);
  }
  return -1;
}

/**
 * The next shrinker whose bit is set, from id `from` on, with a reference taken. Returns its row; 0
 * when there is none; the complement of the id whose shrinker cannot simply be taken.
 */
export function next(lruvec: i32, from: i32): i32 {
  const id = nextBit(lruvec, from);
  if (id < 0) return id == -1 ? 0 : id;
  const shrinker = load<i32>(idr + ((<usize>id) << 2));
  if (shrinker <= 0) return ~id;
  const at = refcounts + ((<usize>shrinker) << 2);
  let seen = load<i32>(at);
  while (seen > 0 && seen < REFCOUNT_MAX) {
    const was = atomic.cmpxchg<i32>(at, seen, seen + 1);
    if (was == seen) return shrinker;
    seen = was;
  }
  return ~id;
}

/**
 * Drops the reference on `shrinker`, then `next`. Returns NEXT_LAST_PUT, with nothing done, when it
 * is the last one or the count has saturated.
 */
export function putNext(shrinker: i32, lruvec: i32, from: i32): i32 {
  const at = refcounts + ((<usize>shrinker) << 2);
  let seen = load<i32>(at);
  while (true) {
    if (seen <= 1) return NEXT_LAST_PUT;
    const was = atomic.cmpxchg<i32>(at, seen, seen - 1);
    if (was == seen) break;
    seen = was;
  }
  return next(lruvec, from);
}

/** `next` without a reference, where the caller keeps shrinkers from going. */
export function look(lruvec: i32, from: i32): i32 {
  const id = nextBit(lruvec, from);
  if (id < 0) return id == -1 ? 0 : id;
  const shrinker = load<i32>(idr + ((<usize>id) << 2));
  return shrinker > 0 ? shrinker : ~id;
}
