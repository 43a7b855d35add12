// SPDX-License-Identifier: GPL-2.0-only
/**
 * Threads of the shrinker experiments: those that reclaim, walking all groups, and those that
 * mount and unmount meanwhile.
 *
 *   setup    makes the groups' infos, the shrinkers and their bits, once; then all others start
 *   walker   each loops over all groups, from a place of its own
 *   churner  mounts and unmounts: a shrinker is registered and freed
 *
 * Every thread warms up first, so that the compiler is done; then its operations count, by its own
 * clock, until the first thread's time is up.
 */
import { condResched, kthreadSafePoint, scheduleTimeout } from '../../kthreads/kthread.ts';
import { assert } from '../../shared/assert.ts';
import { ktimeNs } from '../../shared/ktime.ts';
import type { F64, I32 } from '../../shared/types.ts';
import { TMPFS } from '../mm/fs_types.ts';
import type { Mm } from '../mm/mm.ts';
import { scanControl } from '../mm/scan_control.ts';
import { shrinkSlab } from '../mm/shrink_slab.ts';
import { shrinkerAlloc, shrinkerRegister } from '../mm/shrinker.ts';
import { allocShrinkerInfo } from '../mm/shrinker_expand.ts';
import { setShrinkerBit } from '../mm/shrinker_info.ts';
import {
  GFP_KERNEL,
  registerShrinkerType,
  SHRINK_STOP,
  SHRINKER_TYPE_USER,
} from '../mm/shrinker_ops.ts';
import { SHRINKER_MEMCG_AWARE } from '../mm/shrinker_types.ts';
import { mount, umount } from '../mm/super.ts';
import { shrinkNode } from '../mm/vmscan.ts';
import { EV } from '../mm/vmstat_items.ts';

/** Words of the control block. */
export const LAB_STAGE = 0; // @atomic LAB_*
export const LAB_READY = 1; // @atomic threads that are warm
export const LAB_STOP = 2; // @atomic 1 once the first thread's time is up
export const LAB_WORDS = 16;
/** Values of LAB_STAGE. */
export const LAB_WARM = 1;

/** Figures of each thread: `figures[index * LAB_FIGURES + FIGURE_*]`. */
export const FIGURE_NS = 0;
/** Groups walked, or rounds of the churner. */
export const FIGURE_OPS = 1;
export const FIGURE_SKIPPED = 2;
export const FIGURE_COUNTS = 3;
export const FIGURE_EARLY = 4;
/** Longest round of the churner, in ns. */
export const FIGURE_WORST_NS = 5;
export const LAB_FIGURES = 16;

/** How the groups, shrinkers and bits of an experiment lie. */
export interface ShrinkerShape {
  readonly name: string;
  /** Groups below the root. */
  readonly memcgs: number;
  readonly shrinkers: number;
  /**
   * `own`: group i has the bit of shrinker i, three groups of four; `sparse`: one bit in a hundred,
   * evenly spread; `none`: no group has anything.
   */
  readonly bits: 'own' | 'sparse' | 'none';
  /** Slab reclaim of group after group, or all of a node's reclaim, whose lists are empty. */
  readonly walk: 'slab' | 'node';
}

/** What every thread of an experiment is told. */
export interface LabArgs {
  readonly shape: ShrinkerShape;
  readonly control: I32; // @atomic LAB_* words
  readonly figures: F64; // @owner one row each
  /** Row of this thread; walkers first. */
  readonly index: number;
  readonly threads: number;
  readonly warmMs: number;
  readonly ms: number;
}

/** Groups between two points where a walker may be scheduled away. */
const GROUPS_PER_TURN = 32;
/** Priority of the first pass of reclaim: little is scanned, all is counted. */
const DEF_PRIORITY = 12;

/**
 * A tmpfs with files: their dentries and inodes are pinned, so there is nothing to free now, and
 * yet the list is not empty: the bit stays.
 */
function registerType(m: Mm): void {
  registerShrinkerType(m, SHRINKER_TYPE_USER, {
    countObjects: () => 0,
    scanObjects: () => SHRINK_STOP,
  });
}

function makeShrinker(m: Mm, arg: number): number {
  const s = shrinkerAlloc(m, SHRINKER_MEMCG_AWARE, SHRINKER_TYPE_USER, arg, 'lab');
  assert(s > 0, 'room for a shrinker');
  shrinkerRegister(m, s);
  return s;
}

/** @returns whether group i has a bit for shrinker j, both from 0 */
function hasBit(shape: ShrinkerShape, i: number, j: number): boolean {
  if (shape.bits === 'none') return false;
  if (shape.bits === 'own') return i % shape.shrinkers === j && i % 4 !== 3;
  return (i * shape.shrinkers + j) % 100 === 0;
}

/** Makes what is walked. @context thread function; ends when it is done */
export function labSetup(m: Mm, { shape, control }: LabArgs): void {
  for (let memcg = 1; memcg <= shape.memcgs; memcg++) {
    if (m.lruvec.shrinkerInfo[memcg * m.sizes.nrNodes] !== 0) continue;
    assert(allocShrinkerInfo(m, memcg) === 0, 'room for the infos of a group');
  }
  for (let j = 0; j < shape.shrinkers; j++) {
    const id = m.shrinker.id[makeShrinker(m, j)] as number;
    for (let i = 0; i < shape.memcgs; i++) {
      if (hasBit(shape, i, j)) setShrinkerBit(m, i + 1, 0, id);
    }
    condResched();
  }
  Atomics.store(control, LAB_STAGE, LAB_WARM);
}

/** Waits for the setup, then for the others. @returns false when the machine stops instead */
function arrive(control: I32, at: number, value: number): boolean {
  while (Atomics.load(control, at) < value) {
    if (kthreadSafePoint()) return false;
    scheduleTimeout(1);
  }
  return true;
}

/** Runs `turn` until its time is up, or another thread's. @returns ns */
function loop(control: I32, ms: number, last: boolean, turn: () => void): number {
  const start = ktimeNs();
  const end = start + ms * 1e6;
  for (;;) {
    turn();
    condResched();
    const now = ktimeNs();
    if (last && now >= end) Atomics.store(control, LAB_STOP, 1);
    const over = last ? Atomics.load(control, LAB_STOP) !== 0 : now >= end;
    if (over || kthreadSafePoint()) return now - start;
  }
}

const FIGURE_EVENTS = [
  [FIGURE_SKIPPED, 'kr_shrink_skipped'],
  [FIGURE_COUNTS, 'kr_shrink_count'],
  [FIGURE_EARLY, 'kr_shrink_early'],
] as const;

/** Warms up, waits for the others, and counts. @param turn one turn @returns its operations */
function measure(m: Mm, args: LabArgs, turn: () => number): void {
  const { control, figures, index, threads } = args;
  const row = index * LAB_FIGURES;
  const { events } = m.task;
  if (!arrive(control, LAB_STAGE, LAB_WARM)) return;
  loop(control, args.warmMs, false, turn);
  Atomics.add(control, LAB_READY, 1);
  if (!arrive(control, LAB_READY, threads)) return;
  const before = FIGURE_EVENTS.map(([, name]) => events[EV[name]] as number);
  figures[row + FIGURE_WORST_NS] = 0;
  let ops = 0;
  const ns = loop(control, args.ms, true, () => {
    ops += turn();
  });
  figures[row + FIGURE_NS] = ns;
  figures[row + FIGURE_OPS] = ops;
  FIGURE_EVENTS.forEach(([at, name], i) => {
    figures[row + at] = (events[EV[name]] as number) - (before[i] as number);
  });
}

/** A pass of reclaim over the node, as kswapd's. @returns groups visited */
function walkNode(m: Mm, groups: number): number {
  shrinkNode(m, 0, scanControl('kswapd', 0, m.config.swappiness));
  return 1 + groups;
}

/** Some groups, from where the last turn ended. */
function walkGroups(m: Mm, from: number, groups: number): number {
  let memcg = from;
  for (let i = 0; i < GROUPS_PER_TURN; i++) {
    shrinkSlab(m, GFP_KERNEL, 0, memcg, DEF_PRIORITY);
    memcg = memcg === groups ? 1 : memcg + 1;
  }
  return memcg;
}

/** Reclaims: walks all groups again and again. @context thread function */
export function labWalker(m: Mm, args: LabArgs): void {
  registerType(m);
  const groups = args.shape.memcgs;
  if (args.shape.walk === 'node') {
    measure(m, args, () => walkNode(m, groups));
    return;
  }
  let memcg = 1 + Math.floor((args.index * groups) / args.threads);
  measure(m, args, () => {
    memcg = walkGroups(m, memcg, groups);
    return GROUPS_PER_TURN;
  });
}

/** Mounts a tmpfs and unmounts it, again and again. @context thread function */
export function labChurner(m: Mm, args: LabArgs): void {
  registerType(m);
  const worst = args.index * LAB_FIGURES + FIGURE_WORST_NS;
  measure(m, args, () => {
    const start = ktimeNs();
    const sb = mount(m, TMPFS, 'lab');
    assert(sb > 0, 'room for a mount');
    assert(umount(m, sb) === 0, 'nobody uses the mount');
    args.figures[worst] = Math.max(args.figures[worst] as number, ktimeNs() - start);
    return 1;
  });
}
