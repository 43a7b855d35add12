// SPDX-License-Identifier: GPL-2.0-only
/**
 * The programs of workload memcached: threads of one process that get and set items of a heap which
 * is larger than memory, some items far more often than others. An item is a page of the heap.
 */
import type { Proc, ProcCall } from '../../kthreads/proc.ts';
import { EXIT_SIGINT, EXIT_SIGKILL } from '../mm/task_exit.ts';
import { addFigure, type Figures } from './figures.ts';
import { addLatency } from './latencies.ts';
import type { ZipfTable } from './zipf.ts';
import { zipfDraw } from './zipf.ts';

/** What all threads know. */
export interface MemcachedShape {
  readonly prefix: string;
  /** First page of the heap, and pages. */
  readonly first: number;
  readonly pages: number;
  readonly threads: number;
  /** Part of the operations that set, 0 .. 1. */
  readonly sets: number;
  /** Operations of each thread; 0 for as many as the seconds allow. */
  readonly ops: number;
  readonly seconds: number;
  /** Items by popularity. */
  readonly ranks: ZipfTable;
  readonly figures: Figures;
}

/** Operations between two looks at the clock for a latency. */
const TIMED_ONE_IN = 16;
/** Pages that are filled at a stretch, before the first operation. */
const STRETCH = 64;

/** One in so many operations is timed. */
function* operate(proc: Proc, shape: MemcachedShape): ProcCall<void> {
  const { figures, first, ranks, sets } = shape;
  const { random, cpu } = proc;
  const untilNs = shape.ops === 0 ? proc.now() + shape.seconds * 1e9 : Infinity;
  const ops = shape.ops === 0 ? Infinity : shape.ops;
  let sliceNs = proc.now();
  let since = 0;
  let stored = 0;
  const report = (): void => {
    const nowNs = proc.now();
    addFigure(figures, cpu, 'ops', since);
    addFigure(figures, cpu, 'opsNs', nowNs - sliceNs);
    addFigure(figures, cpu, 'sets', stored);
    [since, stored, sliceNs] = [0, 0, nowNs];
  };
  for (let done = 0; done < ops; done++) {
    const vpn = first + zipfDraw(ranks, random);
    const set = random.nextFloat() < sets;
    const timed = done % TIMED_ONE_IN === 0;
    const beganNs = timed ? proc.now() : 0;
    proc.touch(vpn, 1, set);
    if (timed) addLatency(figures.latencies, cpu, set ? 'set' : 'get', proc.now() - beganNs);
    since++;
    if (set) stored++;
    if (!proc.preempted) continue;
    report();
    if (proc.now() >= untilNs) break;
    yield;
    // The time of others is not its own.
    sliceNs = proc.now();
  }
  report();
}

/** Stores every item once: this thread's share of them. */
function* fill(proc: Proc, shape: MemcachedShape, share: number): ProcCall<void> {
  for (let at = share * STRETCH; at < shape.pages; at += shape.threads * STRETCH) {
    const pages = Math.min(STRETCH, shape.pages - at);
    proc.touch(shape.first + at, pages, true);
    addFigure(shape.figures, proc.cpu, 'filled', pages);
    if (proc.preempted) yield;
  }
}

/** A thread. @context a generator program */
export function* memcachedThread(proc: Proc, share: number): ProcCall<number> {
  const shape = proc.shared as MemcachedShape;
  yield* fill(proc, shape, share);
  yield* operate(proc, shape);
  return 0;
}

/** The process: maps the heap, starts the other threads, is one itself. */
export function* memcached(proc: Proc): ProcCall<number> {
  const shape = proc.shared as MemcachedShape;
  if (proc.mmap(shape.first, shape.pages) < 0) throw new Error('memcached: the heap does not fit');
  const { cpus } = proc;
  for (let share = 1; share < shape.threads; share++) {
    const cpu = cpus[(cpus.indexOf(proc.cpu) + share) % cpus.length] as number;
    const pid = proc.thread(`${shape.prefix}thread`, share, { cpu });
    addFigure(shape.figures, proc.cpu, pid > 0 ? 'threads' : 'refused', 1);
    yield;
  }
  yield* memcachedThread(proc, 0);
  for (;;) {
    const ended = yield* proc.wait();
    if (typeof ended === 'number') return 0;
    if (ended.code === 0 || ended.code === EXIT_SIGKILL || ended.code === EXIT_SIGINT) continue;
    throw new Error(`memcached: a thread ended with ${ended.code}`);
  }
}
