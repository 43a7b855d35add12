// SPDX-License-Identifier: GPL-2.0-only
/**
 * Finding the next shrinker of a group that may have objects: the bit, the shrinker of its id, a
 * reference on it. What a lockless walk does between two callbacks (for_each_set_bit, idr_find and
 * shrinker_try_get of shrink_slab_memcg).
 *
 *   result            means
 *   row, above 0      the bit is set; a reference on its shrinker is taken
 *   0                 no further bit
 *   ~id, below 0      the bit is set, and its shrinker is not there or not to be had: coming,
 *                     going, or its count has saturated. What to do about it is the policy's
 *   NEXT_LAST_PUT     `putNext` alone: the reference is the last; nothing was done
 *
 * Each call is a read-side section of RCU: infos and shrinkers may be replaced between two calls,
 * never within one. The caller steps on from the id of what it got.
 *
 * There are two of them with the same results: the kernel in wasm/shrink.ts, one call per callback
 * instead of half a dozen atomic operations, and its twin and reference below.
 */
import { assert, bug } from '../../shared/assert.ts';
import { rcuDereference, rcuReadLock, rcuReadUnlock } from '../../shared/rcu.ts';
import { POISON_FREE } from '../../shared/rcu_cells.ts';
import { REFCOUNT_MAX } from '../../shared/refcount.ts';
import { loadKernel } from '../../shared/wasm.ts';
import type { Mm } from './mm.ts';
import { INFO_NR_MAX, INFO_UNITS, SHRINKER_UNIT_BITS, UNIT_MAP_WORDS } from './shrinker_types.ts';

/** The reference to drop is the last one, or the count has saturated. */
export const NEXT_LAST_PUT = -0x7fffffff;
/** The kernel's word for an info that was freed. */
const NEXT_POISONED = -0x80000000;

const UNIT_SHIFT = 6;

/** What a walk asks for. Private to its thread. */
export interface ShrinkScan {
  /**
   * @param lruvec group x nodes + node, of a group on which a reference is held
   * @param from first id to look at
   * @returns see above
   * @throws BugError when the group's info was freed under it
   * @context a registered RCU reader; not inside a section. Never blocks
   */
  next(lruvec: number, from: number): number;
  /** Drops the reference on `shrinker`, then `next`. @context as `next` */
  putNext(shrinker: number, lruvec: number, from: number): number;
  /** `next` without a reference. @context shrinkers are kept from going: shrinker_rwsem or SRCU */
  look(lruvec: number, from: number): number;
}

/** Id of the next set bit, -1 for none. @context inside an RCU reader */
function nextBit(m: Mm, lruvec: number, from: number): number {
  const { info, unitMap } = m.shrinker;
  const row = rcuDereference(m.lruvec.shrinkerInfo, lruvec);
  if (row === 0) return -1;
  const at = row * m.sizes.shrinkers.infoWords;
  const nrMax = info[at + INFO_NR_MAX] as number;
  if (nrMax === POISON_FREE) bugPoisoned(lruvec);
  for (let id = from; id < nrMax; id = (id | 31) + 1) {
    const unit = info[at + INFO_UNITS + (id >> UNIT_SHIFT)] as number;
    const word = Atomics.load(unitMap, unit * UNIT_MAP_WORDS + ((id >> 5) & 1));
    const bits = word >>> (id & 31);
    if (bits !== 0) return id + (31 - Math.clz32(bits & -bits));
  }
  return -1;
}

function bugPoisoned(lruvec: number): never {
  return bug(`the shrinker info of lruvec ${lruvec} is used after its grace period`);
}

/** The twin: the reference, and what deterministic runs use. */
export class ShrinkTwin implements ShrinkScan {
  readonly #m: Mm;

  constructor(m: Mm) {
    this.#m = m;
  }

  next(lruvec: number, from: number): number {
    rcuReadLock();
    const id = nextBit(this.#m, lruvec, from);
    const result = id < 0 ? 0 : this.#take(id);
    rcuReadUnlock();
    return result;
  }

  putNext(shrinker: number, lruvec: number, from: number): number {
    const { refcount } = this.#m.shrinker;
    let seen = Atomics.load(refcount, shrinker);
    for (;;) {
      if (seen <= 1) return NEXT_LAST_PUT;
      const was = Atomics.compareExchange(refcount, shrinker, seen, seen - 1);
      if (was === seen) break;
      seen = was;
    }
    return this.next(lruvec, from);
  }

  look(lruvec: number, from: number): number {
    rcuReadLock();
    const id = nextBit(this.#m, lruvec, from);
    const shrinker = id < 0 ? 0 : Atomics.load(this.#m.shrinker.idr, id);
    rcuReadUnlock();
    return id < 0 || shrinker > 0 ? shrinker : ~id;
  }

  /** @returns the shrinker of the id, a reference taken; ~id otherwise */
  #take(id: number): number {
    const { idr, refcount } = this.#m.shrinker;
    const shrinker = Atomics.load(idr, id);
    if (shrinker <= 0) return ~id;
    let seen = Atomics.load(refcount, shrinker);
    while (seen > 0 && seen < REFCOUNT_MAX) {
      const was = Atomics.compareExchange(refcount, shrinker, seen, seen + 1);
      if (was === seen) return shrinker;
      seen = was;
    }
    return ~id;
  }
}

/** As wasm/shrink.ts exports them. */
interface KernelExports {
  setup(
    infoOf: number,
    infos: number,
    infoBytes: number,
    maps: number,
    idr: number,
    refcounts: number,
  ): void;
  next(lruvec: number, from: number): number;
  putNext(shrinker: number, lruvec: number, from: number): number;
  look(lruvec: number, from: number): number;
}

/** The WebAssembly kernel over one machine's tables. */
export class ShrinkKernel implements ShrinkScan {
  readonly #exports: KernelExports;

  /** @context any thread of the machine, outside a section: reads and compiles the kernel */
  constructor(m: Mm) {
    const exports = loadKernel(new URL('./wasm/shrink.wasm', import.meta.url), m.buffers.memory);
    checkConstants(exports);
    this.#exports = exports as unknown as KernelExports;
    const { info, unitMap, idr, refcount } = m.shrinker;
    this.#exports.setup(
      m.lruvec.shrinkerInfo.byteOffset,
      info.byteOffset,
      m.sizes.shrinkers.infoWords * 4,
      unitMap.byteOffset,
      idr.byteOffset,
      refcount.byteOffset,
    );
  }

  next(lruvec: number, from: number): number {
    const result = this.#exports.next(lruvec, from);
    if (result === NEXT_POISONED) bugPoisoned(lruvec);
    return result;
  }

  putNext(shrinker: number, lruvec: number, from: number): number {
    const result = this.#exports.putNext(shrinker, lruvec, from);
    if (result === NEXT_POISONED) bugPoisoned(lruvec);
    return result;
  }

  look(lruvec: number, from: number): number {
    const result = this.#exports.look(lruvec, from);
    if (result === NEXT_POISONED) bugPoisoned(lruvec);
    return result;
  }
}

/** The kernel says again what shrinker_types.ts and shared say: they must agree. */
function checkConstants(exports: Readonly<Record<string, unknown>>): void {
  const ours = {
    INFO_NR_MAX,
    INFO_UNITS,
    SHRINKER_UNIT_BITS,
    UNIT_MAP_WORDS,
    REFCOUNT_MAX,
    POISON_FREE,
    NEXT_POISONED,
    NEXT_LAST_PUT,
  };
  for (const [name, value] of Object.entries(ours)) {
    const theirs = exports[name] as { readonly value: number } | undefined;
    assert(theirs?.value === value, 'the shrink kernel was built for other tables');
  }
}

/**
 * What this thread's walks use, by the configuration; made on first use.
 * @context outside an RCU reader: the first call may read and compile the kernel
 */
export function shrinkScanOf(m: Mm): ShrinkScan {
  return m.task.shrinkScan ?? newScan(m);
}

function newScan(m: Mm): ShrinkScan {
  m.task.shrinkScan = m.config.accessKernel === 'wasm' ? new ShrinkKernel(m) : new ShrinkTwin(m);
  return m.task.shrinkScan;
}
