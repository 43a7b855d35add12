// SPDX-License-Identifier: GPL-2.0-only
/**
 * What a program sees of shrinkers: it makes, shows and frees instances of the types that the
 * configuration names, as a driver or a file system would.
 */
import { rcuReadLock, rcuReadUnlock } from '../shared/rcu.ts';
import { EINVAL } from '../src/mm/errno.ts';
import { memcgPut, memcgTryGet } from '../src/mm/memcg_css.ts';
import type { Mm } from '../src/mm/mm.ts';
import { shrinkerAlloc, shrinkerTryFree, shrinkerTryRegister } from '../src/mm/shrinker.ts';
import { setShrinkerBit } from '../src/mm/shrinker_info.ts';
import { SHRINKER_TYPE_USER } from '../src/mm/shrinker_ops.ts';
import {
  SHRINKER_MEMCG_AWARE,
  SHRINKER_NONSLAB,
  SHRINKER_NUMA_AWARE,
} from '../src/mm/shrinker_types.ts';
import { checkShrinkerOptions, type ShrinkerOptions, shownValue } from './shrinker_options.ts';

/**
 * Shrinkers, for a program. They are numbers, 1 and up; failures are negative and named as Linux's
 * (src/mm/errno.ts). Any program may free what another made, once.
 * @context the CPU's own thread; every call may block; not inside a callback
 */
export class ProcessShrinkers {
  readonly #m: Mm;

  constructor(m: Mm) {
    this.#m = m;
  }

  /**
   * Makes a shrinker that reclaim does not see yet.
   * @param type name of a type of the configuration
   * @returns its number; -ENOSPC (-28) when there are `shrinkersMax` already, -ENOMEM (-12) when
   *   the groups' infos cannot grow
   * @throws RangeError, TypeError for a type or an option that there is not, or a value that will
   *   not do
   */
  alloc(type: string, options: ShrinkerOptions = {}): number {
    const m = this.#m;
    const index = m.config.shrinkerTypes.findIndex(({ name }) => name === type);
    if (index < 0) {
      const known = m.config.shrinkerTypes.map(({ name }) => name).join(', ') || 'none';
      throw new RangeError(`shrinkers.alloc: no type ${shownValue(type)}; known are ${known}`);
    }
    checkShrinkerOptions(options);
    const { name = type, arg = 0, batch, seeks } = options;
    const s = shrinkerAlloc(m, flagsOf(options), SHRINKER_TYPE_USER + index, arg, name);
    if (s < 0) return s;
    if (batch !== undefined) m.shrinker.batch[s] = batch;
    if (seeks !== undefined) m.shrinker.seeks[s] = seeks;
    return s;
  }

  /**
   * Shows it to reclaim: from here on its callbacks run.
   * @returns 0, or -EINVAL for what is none, is registered, or is being freed
   */
  register(s: number): number {
    return this.#flags(s) !== 0 && shrinkerTryRegister(this.#m, s) ? 0 : EINVAL;
  }

  /**
   * Takes it away: when this returns, its callbacks do not run and never will.
   * @returns 0, or -EINVAL for what is none, or is being freed
   */
  free(s: number): number {
    return this.#flags(s) !== 0 && shrinkerTryFree(this.#m, s) ? 0 : EINVAL;
  }

  /** Its id among the memcg-aware; -1 for one that is not, or is none. */
  id(s: number): number {
    return this.#flags(s) === 0 ? -1 : (this.#m.shrinker.id[s] as number);
  }

  /**
   * Tells reclaim that a memcg-aware shrinker has objects of a group on a node: to be called after
   * the object can be found, each time a list goes from empty to not empty.
   * @returns 0, or -EINVAL, also for a group that is gone
   */
  setBit(s: number, memcg: number, nid: number): number {
    const { nrMemcgs, nrNodes } = this.#m.sizes;
    const id = this.id(s);
    if (id < 0 || !isRow(memcg, nrMemcgs) || !isRow(nid, nrNodes)) return EINVAL;
    rcuReadLock();
    const got = memcgTryGet(this.#m, memcg);
    rcuReadUnlock();
    if (!got) return EINVAL;
    setShrinkerBit(this.#m, memcg, nid, id);
    memcgPut(this.#m, memcg);
    return 0;
  }

  #flags(s: number): number {
    if (s === 0 || !isRow(s, this.#m.sizes.shrinkers.nrShrinkers)) return 0;
    return Atomics.load(this.#m.shrinker.flags, s);
  }
}

function isRow(row: number, rows: number): boolean {
  return Number.isInteger(row) && row >= 0 && row < rows;
}

function flagsOf({ memcgAware, numaAware, nonslab }: ShrinkerOptions): number {
  return (
    (memcgAware === true ? SHRINKER_MEMCG_AWARE : 0) |
    (numaAware === true ? SHRINKER_NUMA_AWARE : 0) |
    (nonslab === true ? SHRINKER_NONSLAB : 0)
  );
}
