// SPDX-License-Identifier: GPL-2.0-only
/**
 * Programs of the experiments on kshrinkd.
 *
 *   holder     has some of the pages of each isolation, takes their rmap lock, and keeps it
 *   reclaimer  has the others, isolates 32 folios after the other meanwhile, and counts
 *   heldZygote, heldApp   workload monkey's, where one taker of an rmap lock in so many loses its
 *              CPU inside for a while
 *
 * Holder and reclaimer fill the list in turns, so that so many of each 32 are the holder's.
 */
import { currentEngine } from '../../kthreads/kthread.ts';
import type { Proc, ProcCall } from '../../kthreads/proc.ts';
import type { Process } from '../../kthreads/process.ts';
import { ktimeNs } from '../../shared/ktime.ts';
import { scheduleTimeout } from '../../shared/sched.ts';
import type { F64, I32 } from '../../shared/types.ts';
import { anonVmaHold, anonVmaLockRoot, anonVmaRoot, anonVmaUnlockRoot } from '../mm/anon_vma.ts';
import { SWAP_CLUSTER_MAX } from '../mm/limits.ts';
import { lruvecRow } from '../mm/lruvec.ts';
import type { Mm } from '../mm/mm.ts';
import { LRU_INACTIVE_ANON, PTE_SHIFT, PTE_YOUNG } from '../mm/mm_types.ts';
import { pteOffset } from '../mm/pgtable.ts';
import { scanControl } from '../mm/scan_control.ts';
import { lruAddDrain } from '../mm/swap.ts';
import { RUN_DONE } from '../mm/user.ts';
import { vmaFileHold } from '../mm/vma_file.ts';
import { shrinkInactiveList } from '../mm/vmscan_lists.ts';
import { EV } from '../mm/vmstat_items.ts';
import { app } from '../workload/monkey_app_program.ts';
import { zygote } from '../workload/monkey_program.ts';

/** Words of the control block. */
export const LAB_HELD = 0; // @atomic 1 once the holder has the lock
export const LAB_RELEASE = 1; // @atomic 1 when it is to let go
export const LAB_WORDS = 16;

/** Figures of an isolation: `figures[round * ROUND_FIGURES + ROUND_*]`. */
export const ROUND_SCANNED = 0;
export const ROUND_CONTENDED = 1;
export const ROUND_FREED = 2;
export const ROUND_FIGURES = 3;

/** What both are told. */
export interface IsolationArgs {
  readonly control: I32; // @atomic LAB_* words
  readonly figures: F64; // @owner the reclaimer
  readonly start: number;
  /** Of each 32 folios so many are the holder's. */
  readonly held: number;
  /** Isolations, and groups of 32 folios that are on the list at first. */
  readonly rounds: number;
  readonly groups: number;
}

/** Longest wait for a state that must come, in ms. */
const PATIENCE_MS = 30_000;

/** @returns RUN_*: done when `condition` holds @throws Error when it does not come about */
function waitUntil(process: Process, condition: () => boolean): number {
  const untilNs = ktimeNs() + PATIENCE_MS * 1e6;
  while (!condition()) {
    if (process.ended !== RUN_DONE) return process.ended;
    if (ktimeNs() > untilNs) throw new Error('the lab waits in vain');
    scheduleTimeout(1);
  }
  return RUN_DONE;
}

/** Both fill the list, 32 folios at a time; then none is young. @param own of each 32 */
function fillInTurns(m: Mm, process: Process, args: IsolationArgs, own: number, first: boolean) {
  const { start, groups } = args;
  let result = process.barrier();
  for (let group = 0; group < groups && result === RUN_DONE; group++) {
    for (const mine of [first, !first]) {
      for (let i = 0; mine && i < own && result === RUN_DONE; i++) {
        result = process.store(start + group * own + i);
      }
      if (mine) lruAddDrain(m);
      if (result === RUN_DONE) result = process.barrier();
    }
  }
  for (let i = 0; i < groups * own && result === RUN_DONE; i++) {
    Atomics.and(m.pte, pteOffset(m, m.task.mm, start + i), ~PTE_YOUNG);
  }
  return result || process.barrier();
}

/** @context program of a simulated CPU */
export function holder(process: Process, args: IsolationArgs): number {
  const m = currentEngine().target as Mm;
  const result = fillInTurns(m, process, args, args.held, true);
  if (result !== RUN_DONE) return result;
  const pfn = Atomics.load(m.pte, pteOffset(m, m.task.mm, args.start)) >>> PTE_SHIFT;
  const root = anonVmaRoot(m, m.page.mapping[pfn] as number);
  anonVmaLockRoot(m, root);
  Atomics.store(args.control, LAB_HELD, 1);
  const released = waitUntil(process, () => Atomics.load(args.control, LAB_RELEASE) === 1);
  anonVmaUnlockRoot(m, root);
  // Its pages live until kshrinkd has seen to them.
  return released || process.barrier();
}

/** One isolation. @context no lock held */
function isolate(m: Mm, lruvec: number, figures: F64, round: number): void {
  const { events } = m.task;
  const contended = events[EV.kr_rmap_contended] as number;
  const sc = scanControl('kswapd', 0, m.config.swappiness);
  sc.contended = m.contended;
  const freed = shrinkInactiveList(m, SWAP_CLUSTER_MAX, lruvec, sc, LRU_INACTIVE_ANON);
  const row = round * ROUND_FIGURES;
  figures[row + ROUND_SCANNED] = sc.nrScanned;
  figures[row + ROUND_CONTENDED] = (events[EV.kr_rmap_contended] as number) - contended;
  figures[row + ROUND_FREED] = freed;
}

/** @context program of a simulated CPU */
export function reclaimer(process: Process, args: IsolationArgs): number {
  const m = currentEngine().target as Mm;
  const { control, figures, rounds, held } = args;
  const filled =
    fillInTurns(m, process, args, SWAP_CLUSTER_MAX - held, false) ||
    waitUntil(process, () => Atomics.load(control, LAB_HELD) === 1);
  if (filled !== RUN_DONE) return filled;
  const lruvec = lruvecRow(m, 0, 0);
  m.task.memalloc = true;
  for (let round = 0; round < rounds; round++) isolate(m, lruvec, figures, round);
  m.task.memalloc = false;
  Atomics.store(control, LAB_RELEASE, 1);
  // What kshrinkd has counts as isolated until it has seen to it.
  const seen = waitUntil(process, () => Atomics.load(m.node.isolatedAnon, 0) === 0);
  return seen || process.barrier();
}

/** What the programs of workload monkey are told in addition. */
export interface HoldShape {
  readonly holdMs: number;
  readonly oneIn: number;
}

/** @context the first step of a process on a CPU: its thread holds from now on */
function holdAs({ shared }: Proc): void {
  const { holdMs, oneIn } = shared as HoldShape;
  for (const hold of [anonVmaHold, vmaFileHold]) {
    hold.ms = holdMs;
    hold.oneIn = oneIn;
  }
}

/** @context a generator program */
export function* heldZygote(proc: Proc): ProcCall<number> {
  holdAs(proc);
  return yield* zygote(proc);
}

/** @context a generator program */
export function* heldApp(proc: Proc, args: Parameters<typeof app>[1]): ProcCall<number> {
  holdAs(proc);
  return yield* app(proc, args);
}
