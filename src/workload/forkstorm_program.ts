// SPDX-License-Identifier: GPL-2.0-only
/**
 * The programs of workload forkstorm. One process grows a tree of processes, waits until it has
 * gone, and grows the next. Everybody reads what it has inherited, writes some
 * of it (which copies it), and reads all of it again at the end: stamps tell whether it is right.
 */
import type { Proc, ProcCall } from '../../kthreads/proc.ts';
import { ktimeSharedMs } from '../../shared/ktime.ts';
import { MADV_DONTNEED } from '../mm/madvise.ts';
import { addFigure, type Figures } from './figures.ts';

/** What every process of the storm knows. */
export interface StormShape {
  /** Begins the names of its programs. */
  readonly prefix: string;
  /** First page of the memory that is inherited, and how many. */
  readonly first: number;
  readonly pages: number;
  /** Children of each process. */
  readonly width: number;
  readonly figures: Figures;
}

export interface RootArgs extends StormShape {
  /** Generations below the first process. */
  readonly depth: number;
  /** Trees to grow; 0 for as many as the seconds allow. */
  readonly rounds: number;
  readonly seconds: number;
}

/** What one process is told by its parent: generations below it. */
export interface ChildArgs {
  readonly depth: number;
  /** When no more children are made, in ms of the clock that all CPUs share; 0 for never. */
  readonly untilMs: number;
}

/** Chances, one in so many. */
const THREAD_ONE_IN = 6;
const SLEEP_ONE_IN = 5;
const KILL_ONE_IN = 12;
const SLEEP_MS = 3;
/** Pages that a process maps for itself. */
export const HEAP_PAGES = 32;
/** Pages written at a stretch. */
const STRETCH = 16;
const EXIT_SIGKILL = 137;
const EXIT_SIGINT = 130;

/** What a process of the storm returns, so that its parent can tell a wrong code. */
function codeOf(pid: number): number {
  return pid % 61;
}

function count(proc: Proc, { figures }: StormShape, name: string, amount = 1): void {
  addFigure(figures, proc.cpu, name, amount);
}

/** Writes stretches of the inherited memory: about `part` of it. */
function* scribble(proc: Proc, shape: StormShape, part: number): ProcCall<void> {
  const stretches = Math.ceil((shape.pages * part) / STRETCH);
  for (let i = 0; i < stretches; i++) {
    const at = proc.random.below(Math.max(shape.pages - STRETCH, 1));
    const pages = Math.min(STRETCH, shape.pages - at);
    proc.touch(shape.first + at, pages, true);
    count(proc, shape, 'pages', pages);
    if (proc.preempted) yield;
  }
}

/** Reads all of the inherited memory. @context a generator program */
export function* readBack(proc: Proc, shape: StormShape): ProcCall<void> {
  for (let at = 0; at < shape.pages; at += STRETCH) {
    const pages = Math.min(STRETCH, shape.pages - at);
    proc.touch(shape.first + at, pages, false);
    count(proc, shape, 'pages', pages);
    if (proc.preempted) yield;
  }
}

/** Maps memory of its own behind the inherited, writes and drops some of it, and unmaps it. */
function* heap(proc: Proc, shape: StormShape): ProcCall<void> {
  const start = shape.first + shape.pages;
  if (proc.mmap(start, HEAP_PAGES) < 0) {
    count(proc, shape, 'refused');
    return;
  }
  proc.touch(start, HEAP_PAGES, true);
  yield;
  const drop = proc.random.below(HEAP_PAGES);
  proc.madvise(start, drop + 1, MADV_DONTNEED);
  proc.touch(start, HEAP_PAGES, false);
  proc.munmap(start, HEAP_PAGES);
  count(proc, shape, 'pages', 2 * HEAP_PAGES);
}

/** Makes one child. @returns its pid, 0 when it was refused */
function makeChild(proc: Proc, shape: StormShape, args: ChildArgs): number {
  const thread = proc.random.below(THREAD_ONE_IN) === 0;
  const pid = thread
    ? proc.thread(`${shape.prefix}thread`)
    : proc.fork(`${shape.prefix}storm`, args);
  count(proc, shape, pid < 0 ? 'refused' : thread ? 'threads' : 'forks');
  if (pid < 0) return 0;
  if (!thread && proc.random.below(KILL_ONE_IN) === 0) {
    count(proc, shape, 'kills');
    proc.kill(pid);
  }
  return pid;
}

/** Waits for all children, and looks at how they ended. */
function* reap(proc: Proc, shape: StormShape, children: Set<number>): ProcCall<void> {
  while (children.size > 0) {
    const ended = yield* proc.wait();
    if (typeof ended === 'number') throw new Error(`${children.size} children are nobody's`);
    const { pid, code } = ended;
    if (!children.delete(pid)) throw new Error(`process ${pid} is no child of ${proc.pid}`);
    const right = code === codeOf(pid) || code === EXIT_SIGKILL || code === EXIT_SIGINT;
    if (!right) throw new Error(`process ${pid} ended with ${code}, not ${codeOf(pid)}`);
    count(proc, shape, 'reaped');
  }
}

/** One tree below this process. @context a generator program */
export function* grow(
  proc: Proc,
  shape: StormShape,
  { depth, untilMs }: ChildArgs,
): ProcCall<void> {
  const children = new Set<number>();
  const late = (): boolean => untilMs > 0 && ktimeSharedMs() >= untilMs;
  for (let i = 0; depth > 0 && i < shape.width && !late(); i++) {
    const pid = makeChild(proc, shape, { depth: depth - 1, untilMs });
    if (pid !== 0) children.add(pid);
    // The child copies what is written meanwhile.
    yield* scribble(proc, shape, 1 / 8);
    yield;
  }
  yield* reap(proc, shape, children);
}

/** A process of the tree. @context a generator program */
export function* storm(proc: Proc, args: ChildArgs): ProcCall<number> {
  const shape = proc.shared as StormShape;
  yield* readBack(proc, shape);
  if (proc.random.below(SLEEP_ONE_IN) === 0) yield* proc.sleep(proc.random.below(SLEEP_MS));
  yield* scribble(proc, shape, 1 / 4);
  yield* heap(proc, shape);
  yield* grow(proc, shape, args);
  yield* readBack(proc, shape);
  return codeOf(proc.pid);
}

/** A thread of a process of the tree: stamps of its own. @context a generator program */
export function* stormThread(proc: Proc): ProcCall<number> {
  const shape = proc.shared as StormShape;
  yield* scribble(proc, shape, 1 / 8);
  yield* readBack(proc, shape);
  return codeOf(proc.pid);
}

/** The first process. @context a generator program */
export function* stormRoot(proc: Proc): ProcCall<number> {
  const args = proc.shared as RootArgs;
  const untilMs = args.rounds === 0 ? ktimeSharedMs() + args.seconds * 1e3 : 0;
  if (proc.mmap(args.first, args.pages) < 0) throw new Error('forkstorm: its memory does not fit');
  proc.touch(args.first, args.pages, true);
  const more = (round: number): boolean =>
    untilMs === 0 ? round < args.rounds : ktimeSharedMs() < untilMs;
  for (let round = 0; more(round); round++) {
    yield* grow(proc, args, { depth: args.depth, untilMs });
    yield* readBack(proc, args);
    count(proc, args, 'rounds');
  }
  return 0;
}
