// SPDX-License-Identifier: GPL-2.0-only
/**
 * Jobs of the shrinker bench. A pool's workers are threads of one small machine whose groups and
 * shrinkers stay as `populate` made them; only the registrar's one comes and goes.
 *
 *   populate   once: registers the shrinkers, sets the bits
 *   callback   shrinkSlab over the groups, with callbacks in TypeScript that count nothing
 *   walk       the walk alone: bit, shrinker, reference and put, with nothing to call
 *
 * With a period, the last thread of a job is the registrar: it registers and frees a shrinker,
 * again and again, and says how long that took.
 *
 * Four types of callbacks take turns, as file systems do: with a single one, V8 would inline it.
 */
import { ktimeNs } from '../shared/ktime.ts';
import { enterRcu, rcuOffline, rcuOnline, rcuQuiescent } from '../shared/rcu.ts';
import { rcuBarrier } from '../shared/rcu_callback.ts';
import { enterSync } from '../shared/sync_domain.ts';
import type { F64, I32 } from '../shared/types.ts';
import type { MmConfig } from '../src/mm/config.ts';
import { attachMm, type Mm } from '../src/mm/mm.ts';
import type { MmBuffers } from '../src/mm/mm_buffers.ts';
import { bindRcuCallbacks } from '../src/mm/rcu_ids.ts';
import { NEXT_LAST_PUT, type ShrinkScan, shrinkScanOf } from '../src/mm/shrink_kernel.ts';
import { shrinkSlab } from '../src/mm/shrink_slab.ts';
import { shrinkerAlloc, shrinkerFree, shrinkerPut, shrinkerRegister } from '../src/mm/shrinker.ts';
import { allocShrinkerInfo } from '../src/mm/shrinker_expand.ts';
import { setShrinkerBit } from '../src/mm/shrinker_info.ts';
import {
  GFP_KERNEL,
  registerShrinkerType,
  SHRINKER_TYPE_USER,
  type ShrinkControl,
  type ShrinkerType,
} from '../src/mm/shrinker_ops.ts';
import { SHRINKER_MEMCG_AWARE } from '../src/mm/shrinker_types.ts';
import { EV } from '../src/mm/vmstat_items.ts';
import type { BenchJobs, BenchPrepare, BenchRun } from './bench_pool.ts';

/** What each pool is set up with. */
export interface ShrinkerBenchSetup {
  readonly buffers: MmBuffers;
  readonly config: MmConfig;
  /** Hands out thread ids: one word, starting at 0. */
  readonly ids: I32;
}

/** What a job works on. */
export interface ShrinkerJobData {
  /** Groups below the root, rows 1 .. memcgs. */
  readonly memcgs: number;
  readonly shrinkers: number;
  /** Per cent of the bits that are set. */
  readonly density: number;
  /** Period of the registrar, 0 for none. */
  readonly registerUs: number;
  /** @owner registrar  word 0: how many; then pairs of register and free, in ns */
  readonly latency: F64;
  /** @owner thread of the index  callbacks that 'walk' would have made, a line apart */
  readonly callbacks: F64;
}

/** Pairs that `latency` holds. */
export const LATENCY_PAIRS = 1 << 14;
/** Cells of a thread in `callbacks`. */
export const CALLBACK_CELLS = 16;

/** Walks between two quiescent states, as in C; and such turns between two looks at the clock. */
const WALKS = 64;
const TURNS = 8;
const PRIORITY = 12;
const TYPES = 4;

let m: Mm | null = null;
let scan: ShrinkScan | null = null;
/** Keeps what callbacks saw. */
export let sink = 0;

const nothing = (_m: Mm, _sc: ShrinkControl): number => 0;

/** Four callbacks that say "nothing to free now", each in its own way. */
const types: readonly ShrinkerType[] = [
  { countObjects: (_m, sc) => sc.arg & sc.memcg, scanObjects: nothing },
  { countObjects: (_m, sc) => sc.arg & (sc.memcg + 1), scanObjects: nothing },
  { countObjects: (_m, sc) => sc.arg & (sc.memcg ^ 2), scanObjects: nothing },
  { countObjects: (_m, sc) => sc.arg & (sc.memcg - 3), scanObjects: nothing },
];

/** @context each worker, once */
export function setupBench(arg: unknown): void {
  const { buffers, config, ids } = arg as ShrinkerBenchSetup;
  const id = Atomics.add(ids, 0, 1) + 1;
  m = attachMm(buffers, config, id, -1);
  Atomics.store(m.sync.threads.state, id, 2);
  enterSync(m.sync, id);
  enterRcu(m.rcu, id);
  bindRcuCallbacks(m);
  for (let type = 0; type < TYPES; type++) {
    registerShrinkerType(m, SHRINKER_TYPE_USER + type, types[type] as ShrinkerType);
  }
  scan = shrinkScanOf(m);
  rcuOffline();
}

/** The finalizer of MurmurHash3: the same bits as in native/shrinker.c. */
function mix(memcg: number, id: number): number {
  let h = Math.imul(memcg, 0x9e3779b1) ^ Math.imul(id, 0x85ebca77);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

function newShrinker(mm: Mm, nr: number): number {
  const type = SHRINKER_TYPE_USER + (nr % TYPES);
  const s = shrinkerAlloc(mm, SHRINKER_MEMCG_AWARE, type, 0, `bench-${nr}`);
  if (s < 0) throw new Error(`shrinker bench: no shrinker (${s})`);
  shrinkerRegister(mm, s);
  return s;
}

const populate: BenchPrepare = (data) => {
  const mm = m as Mm;
  const { memcgs, shrinkers, density } = data as ShrinkerJobData;
  rcuOnline();
  for (let memcg = 1; memcg <= memcgs; memcg++) {
    if (Atomics.load(mm.lruvec.shrinkerInfo, memcg) === 0) allocShrinkerInfo(mm, memcg);
  }
  for (let nr = 0; nr < shrinkers; nr++) {
    const s = newShrinker(mm, nr);
    if (mm.shrinker.id[s] !== nr) throw new Error('shrinker bench: ids are not in order');
  }
  for (let memcg = 1; memcg <= memcgs; memcg++) {
    for (let id = 0; id < shrinkers; id++) {
      if (mix(memcg, id) % 10_000 < density * 100) setShrinkerBit(mm, memcg, 0, id);
    }
  }
  rcuBarrier();
  rcuOffline();
  return () => 1;
};

/** The registrar's loop: one shrinker, in naps short enough to hear the end of the job. */
function registrar(data: ShrinkerJobData): BenchRun {
  const mm = m as Mm;
  const { latency, registerUs, shrinkers } = data;
  const nap = new Int32Array(new SharedArrayBuffer(4));
  return (_ops, stopped) => {
    const from = ktimeNs();
    rcuOnline();
    const s = newShrinker(mm, shrinkers);
    const middle = ktimeNs();
    shrinkerFree(mm, s);
    const to = ktimeNs();
    const nr = latency[0] as number;
    if (nr < LATENCY_PAIRS) {
      latency[1 + 2 * nr] = middle - from;
      latency[2 + 2 * nr] = to - middle;
      latency[0] = nr + 1;
    }
    // What the rcu_gp thread of a machine does: rows come back after their grace period.
    rcuBarrier();
    rcuOffline();
    for (let left = 1; left > 0 && !stopped(); ) {
      left = registerUs / 1e3 - (ktimeNs() - from) / 1e6;
      if (left > 0) Atomics.wait(nap, 0, 0, Math.min(left, 5));
    }
    return 0;
  };
}

/** Walks from `first` on, round and round. @returns where it stopped */
function callbackLoop(mm: Mm, first: number, memcgs: number): number {
  let memcg = first;
  let freed = 0;
  for (let i = 0; i < WALKS; i++) {
    freed += shrinkSlab(mm, GFP_KERNEL, 0, memcg, PRIORITY);
    memcg = memcg === memcgs ? 1 : memcg + 1;
  }
  sink ^= freed;
  return memcg;
}

function walkLoop(mm: Mm, next: ShrinkScan, first: number, data: ShrinkerJobData, cell: number) {
  const { id } = mm.shrinker;
  const { memcgs, callbacks } = data;
  let memcg = first;
  let count = 0;
  for (let i = 0; i < WALKS; i++) {
    for (let s = next.next(memcg, 0); s !== 0; ) {
      const after = s > 0 ? (id[s] as number) + 1 : -s;
      if (s < 0) {
        s = next.next(memcg, after);
        continue;
      }
      count++;
      const row = s;
      s = next.putNext(row, memcg, after);
      if (s === NEXT_LAST_PUT) {
        shrinkerPut(mm, row);
        s = next.next(memcg, after);
      }
    }
    memcg = memcg === memcgs ? 1 : memcg + 1;
  }
  callbacks[cell] = (callbacks[cell] as number) + count;
  return memcg;
}

const isRegistrar = (data: ShrinkerJobData, index: number, threads: number): boolean =>
  data.registerUs > 0 && index === threads - 1;

/** Where a thread begins, so that threads do not run after each other. */
function firstMemcg(data: ShrinkerJobData, index: number, threads: number): number {
  const walkers = threads - (data.registerUs > 0 ? 1 : 0);
  return 1 + Math.floor((data.memcgs * index) / walkers);
}

const callback: BenchPrepare = (arg, index, threads) => {
  const data = arg as ShrinkerJobData;
  if (isRegistrar(data, index, threads)) return registrar(data);
  const mm = m as Mm;
  const { events } = mm.task;
  let memcg = firstMemcg(data, index, threads);
  return () => {
    const before = events[EV.kr_shrink_skipped] as number;
    rcuOnline();
    for (let turn = 0; turn < TURNS; turn++) {
      memcg = callbackLoop(mm, memcg, data.memcgs);
      rcuQuiescent();
    }
    rcuOffline();
    return TURNS * WALKS - ((events[EV.kr_shrink_skipped] as number) - before);
  };
};

const walk: BenchPrepare = (arg, index, threads) => {
  const data = arg as ShrinkerJobData;
  if (isRegistrar(data, index, threads)) return registrar(data);
  const mm = m as Mm;
  let memcg = firstMemcg(data, index, threads);
  return () => {
    rcuOnline();
    for (let turn = 0; turn < TURNS; turn++) {
      memcg = walkLoop(mm, scan as ShrinkScan, memcg, data, index * CALLBACK_CELLS);
      rcuQuiescent();
    }
    rcuOffline();
    return TURNS * WALKS;
  };
};

export const jobs: BenchJobs = { populate, callback, walk };
