// SPDX-License-Identifier: GPL-2.0-only
/**
 * Threads of the experiment on waits for the rmap lock, which is where kshrinkd came from.
 *
 *   forker  a process that uses some of its pages, forks, lets the child store to a few, and ends
 *           the child: again and again. Fork and exit hold the family's rwsem for writing, for as
 *           long as they work, or while the thread sleeps inside: a holder that lost its CPU
 *   eater   a process that sweeps more pages than there is memory for: it reclaims directly, and
 *           keeps kswapd at work, on the forkers' pages too
 *   kswapd  the machine's own, that also looks at contended folios
 *
 * Every access stamps its page with the time, so that a contended folio's true age is known.
 *
 * Pages are anonymous and stored to, or those of a file of the host that each process maps for
 * itself, and loaded: then fork and exit hold the file's i_mmap_rwsem.
 */

import { kswapd } from '../../kthreads/kswapd.ts';
import { currentEngine } from '../../kthreads/kthread.ts';
import type { Process } from '../../kthreads/process.ts';
import { ktimeSharedMs } from '../../shared/ktime.ts';
import { Prng } from '../../shared/prng.ts';
import type { F64, I32 } from '../../shared/types.ts';
import { anonVmaHold } from '../mm/anon_vma.ts';
import { exitMm } from '../mm/exit_mm.ts';
import { dupMm } from '../mm/fork.ts';
import { PAGE_SIZE } from '../mm/limits.ts';
import type { Mm } from '../mm/mm.ts';
import { allocMm } from '../mm/mm_rows.ts';
import { PTE_PRESENT, PTE_SHIFT } from '../mm/mm_types.ts';
import { PTE_NONE, pteOffset } from '../mm/pgtable.ts';
import { switchMm } from '../mm/tlb.ts';
import { KIND_READ, KIND_WRITE, RUN_DONE, UserContext } from '../mm/user.ts';
import { vmaFileHold } from '../mm/vma_file.ts';
import { vmEvent } from '../mm/vmstat.ts';
import { EV } from '../mm/vmstat_items.ts';
import { observePlacement } from './origin_placement.ts';

/** Words of the control block. */
export const ORIGIN_STOP = 0; // @atomic 1 once the first thread's time is up
export const ORIGIN_WORDS = 16;

/** Figures of each thread: `figures[index * ORIGIN_FIGURES + FIGURE_*]`. */
export const FIGURE_MS = 0;
/** Forks, or sweeps of 64 pages. */
export const FIGURE_OPS = 1;
/** Of the first thread: pages reclaimed by anybody meanwhile. */
export const FIGURE_STEAL = 2;
/** Longest operation, in ms. */
export const FIGURE_WORST_MS = 3;
export const ORIGIN_FIGURES = 16;

/** What every thread is told. */
export interface OriginArgs {
  readonly control: I32; // @atomic ORIGIN_* words
  readonly figures: F64; // @owner one row each
  readonly stamps: F64; // @racy time of the last access to each page frame, in ms
  readonly records: F64; // @owner one part each, of origin_placement.ts
  /** Row of this thread: programs first, then kswapd. */
  readonly index: number;
  readonly seed: number;
  readonly start: number;
  readonly pages: number;
  readonly holdUs: number;
  readonly ms: number;
  /** Folder of the host for files to map; null where pages are anonymous. */
  readonly dir: string | null;
}

/** The first mount of a machine. */
const MOUNT = 1;
/** Pages that a forker uses between two forks, and that its child stores to. */
const PAGES_USED = 64;
const PAGES_COPIED = 4;
/** This part of a forker's accesses goes to this part of its pages. */
const HOT_ACCESSES = 0.8;
const HOT_PAGES = 0.2;

/** Stamps a page that was just accessed. @context any; the page may be gone again */
function stamp(m: Mm, mm: number, vpn: number, stamps: F64, now: number): void {
  const pte = pteOffset(m, mm, vpn);
  const entry = pte === PTE_NONE ? 0 : Atomics.load(m.pte, pte);
  if ((entry & PTE_PRESENT) !== 0) stamps[entry >>> PTE_SHIFT] = now;
}

/** Maps a file of its own, when all have a mount. @returns RUN_* */
function mapFile(process: Process, { dir, index, start, pages }: OriginArgs): number {
  const { host } = process.files;
  if (dir === null) return RUN_DONE;
  const mount = index === 0 ? host.mount(dir) : MOUNT;
  const result = process.barrier();
  if (result !== RUN_DONE) return result;
  const fd = host.open(mount, `f${index}`, true);
  const done = mount === MOUNT && fd > 0 && host.truncate(fd, pages * PAGE_SIZE) === 0;
  if (!done || !host.mmap(fd, start, pages)) throw new Error(`f${index} cannot be mapped`);
  return RUN_DONE;
}

/** One access to a page: a store, but to a file's a load. @returns RUN_* */
function use(process: Process, args: OriginArgs, vpn: number): number {
  return args.dir === null ? process.store(vpn) : process.load(vpn);
}

/** Uses every page once. @returns RUN_* */
function populate(m: Mm, process: Process, args: OriginArgs): number {
  for (let i = 0; i < args.pages; i++) {
    const result = use(process, args, args.start + i);
    if (result !== RUN_DONE) return result;
    stamp(m, m.task.mm, args.start + i, args.stamps, ktimeSharedMs());
  }
  return RUN_DONE;
}

const stolen = (m: Mm): number => vmEvent(m, EV.pgsteal_kswapd) + vmEvent(m, EV.pgsteal_direct);

/**
 * Populates, waits for the others, and runs `turn` until its time is up, or another's.
 * @param turn one operation @returns RUN_*
 */
function measure(process: Process, args: OriginArgs, turn: (m: Mm) => number): number {
  const m = currentEngine().target as Mm;
  const { control, figures, index } = args;
  const row = index * ORIGIN_FIGURES;
  observePlacement(args);
  let result = mapFile(process, args) || populate(m, process, args) || process.barrier();
  const began = ktimeSharedMs();
  const before = index === 0 ? stolen(m) : 0;
  while (result === RUN_DONE && Atomics.load(control, ORIGIN_STOP) === 0) {
    const turnBegan = ktimeSharedMs();
    result = turn(m) || process.ended;
    const now = ktimeSharedMs();
    figures[row + FIGURE_OPS] = (figures[row + FIGURE_OPS] as number) + 1;
    const worst = figures[row + FIGURE_WORST_MS] as number;
    figures[row + FIGURE_WORST_MS] = Math.max(worst, now - turnBegan);
    if (now - began >= args.ms) Atomics.store(control, ORIGIN_STOP, 1);
  }
  figures[row + FIGURE_MS] = ktimeSharedMs() - began;
  if (index === 0) figures[row + FIGURE_STEAL] = stolen(m) - before;
  return result;
}

/** Holders of the rmap lock sleep from here on; 0 is never. */
function hold(ms: number): void {
  anonVmaHold.ms = ms;
  vmaFileHold.ms = ms;
}

/** Forks, uses `vpns` in the child, and ends it. @returns RUN_* */
function forkOnce(m: Mm, args: OriginArgs, vpns: readonly number[]): number {
  const parent = m.task.mm;
  const child = allocMm(m);
  if (child === 0) return RUN_DONE;
  hold(args.holdUs / 1000);
  const error = dupMm(m, parent, child);
  hold(0);
  switchMm(m, child);
  let result = RUN_DONE;
  if (error === 0) {
    const base = args.start - (args.start % 512);
    const regions = Float64Array.from({ length: Math.ceil(args.pages / 512) + 1 }, (_, i) => {
      return base + i * 512;
    });
    const user = new UserContext(m, child, regions);
    const kind = args.dir === null ? KIND_WRITE : KIND_READ;
    const events = Uint32Array.from(vpns, (vpn) => (user.slotOf(vpn) << 2) | kind);
    result = user.run(events, 0, events.length, 1, () => undefined);
    for (const vpn of vpns) stamp(m, child, vpn, args.stamps, ktimeSharedMs());
  }
  hold(args.holdUs / 1000);
  exitMm(m, child);
  hold(0);
  switchMm(m, parent);
  return result;
}

/** @context program of a simulated CPU */
export function originForker(process: Process, args: OriginArgs): number {
  const prng = new Prng(args.seed, args.index);
  const hot = Math.max(1, Math.floor(args.pages * HOT_PAGES));
  const pick = (): number => {
    const pages = prng.nextFloat() < HOT_ACCESSES ? hot : args.pages;
    return args.start + prng.below(pages);
  };
  return measure(process, args, (m) => {
    for (let i = 0; i < PAGES_USED; i++) {
      const vpn = pick();
      const result = use(process, args, vpn);
      if (result !== RUN_DONE) return result;
      stamp(m, m.task.mm, vpn, args.stamps, ktimeSharedMs());
    }
    return forkOnce(m, args, Array.from({ length: PAGES_COPIED }, pick));
  });
}

/** @context program of a simulated CPU */
export function originEater(process: Process, args: OriginArgs): number {
  let next = 0;
  return measure(process, args, (m) => {
    for (let i = 0; i < PAGES_USED; i++) {
      const result = use(process, args, args.start + next);
      if (result !== RUN_DONE) return result;
      stamp(m, m.task.mm, args.start + next, args.stamps, ktimeSharedMs());
      next = (next + 1) % args.pages;
    }
    return RUN_DONE;
  });
}

/** The machine's kswapd, with an eye on contended folios. @context thread function of a kthread */
export function originKswapd(m: Mm, nid: number, args: OriginArgs): void {
  observePlacement(args);
  kswapd(m, nid);
}
