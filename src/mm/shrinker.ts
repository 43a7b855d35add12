// SPDX-License-Identifier: GPL-2.0-only
/** Shrinkers: made, shown to reclaim, taken away (mm/shrinker.c). */
import { ENOSPC } from './errno.ts';
import type { Mm } from './mm.ts';
import {
  INFO_NR_MAX,
  INFO_UNITS,
  SHRINKER_ALLOCATED,
  SHRINKER_FREE,
  SHRINKER_LIVE,
  SHRINKER_MEMCG_AWARE,
  SHRINKER_REGISTERED,
  SHRINKER_UNIT_BITS,
} from './shrinker_types.ts';

/** Chains the free rows; every group has an info for all ids. @context boot */
export function shrinkerInit(m: Mm): void {
  const { nrShrinkers, nrUnits, infoWords } = m.sizes.shrinkers;
  for (let s = 1; s < nrShrinkers; s++) m.shrinker.next[s] = s + 1 < nrShrinkers ? s + 1 : 0;
  m.shrinker.words[SHRINKER_FREE] = 1;
  for (let lruvec = m.sizes.nrNodes; lruvec < m.sizes.nrLruvecs; lruvec++) {
    const info = lruvec - m.sizes.nrNodes + 1;
    m.lruvec.shrinkerInfo[lruvec] = info;
    m.shrinker.info[info * infoWords + INFO_NR_MAX] = nrUnits * SHRINKER_UNIT_BITS;
    for (let i = 0; i < nrUnits; i++) {
      m.shrinker.info[info * infoWords + INFO_UNITS + i] = lruvec * nrUnits + i;
    }
  }
}

/** @returns the row, or ENOSPC */
export function shrinkerAlloc(
  m: Mm,
  flags: number,
  type: number,
  arg: number,
  _name: string,
): number {
  const { words, next } = m.shrinker;
  let s: number;
  do {
    s = Atomics.load(words, SHRINKER_FREE);
    if (s === 0) return ENOSPC;
  } while (Atomics.compareExchange(words, SHRINKER_FREE, s, next[s] as number) !== s);
  m.shrinker.type[s] = type;
  m.shrinker.arg[s] = arg;
  m.shrinker.id[s] = (flags & SHRINKER_MEMCG_AWARE) !== 0 && m.config.kmem ? s - 1 : -1;
  Atomics.store(m.shrinker.flags, s, flags | SHRINKER_ALLOCATED);
  Atomics.add(words, SHRINKER_LIVE, 1);
  return s;
}

/** Shows a shrinker to reclaim. */
export function shrinkerRegister(m: Mm, s: number): void {
  Atomics.or(m.shrinker.flags, s, SHRINKER_REGISTERED);
}

/** Takes a shrinker away. */
export function shrinkerFree(m: Mm, s: number): void {
  if (s === 0) return;
  const { words, next } = m.shrinker;
  Atomics.store(m.shrinker.flags, s, 0);
  for (;;) {
    const first = Atomics.load(words, SHRINKER_FREE);
    next[s] = first;
    if (Atomics.compareExchange(words, SHRINKER_FREE, first, s) === first) break;
  }
  Atomics.sub(words, SHRINKER_LIVE, 1);
}
