// SPDX-License-Identifier: GPL-2.0-only
/**
 * An app of workload monkey. Its start writes some of what it has inherited, runs code of the
 * libraries, maps its own, and fills its heap; then it is in the background until it is asked for:
 * coming to the front, it touches a part of all that, some pages far more often than others.
 */
import type { Proc, ProcCall } from '../../kthreads/proc.ts';
import { MADV_DONTNEED } from '../mm/madvise.ts';
import { VM_READ, VM_WRITE } from '../mm/mm_types.ts';
import { addFigure } from './figures.ts';
import { addLatency } from './latencies.ts';
import { readLibrary } from './monkey_files.ts';
import { asked, done, finish, type MonkeyShape } from './monkey_shape.ts';
import { zipfDraw } from './zipf.ts';

interface AppArgs {
  readonly app: number;
  /** The library that it maps once more, as its own. */
  readonly fd: number;
}

/** Of what is inherited a start writes one page in so many. */
const INHERITED_ONE_IN = 8;
/** Of its own code, whose data it writes, one page in so many. */
const DATA_ONE_IN = 4;
/** Of the libraries a launch runs one page in so many. */
const CODE_ONE_IN = 4;
/** Pages of the heap that a start fills at a stretch. */
const STRETCH = 16;
/** Of touches of the heap, one in so many writes. */
const WRITE_ONE_IN = 3;
/** Of launches that find the app alive, one in so many drops a piece of its heap. */
const TRIM_ONE_IN = 4;

function count(proc: Proc, { figures }: MonkeyShape, pages: number): void {
  addFigure(figures, proc.cpu, 'pages', pages);
}

/** Runs code: reads pages of the libraries, each checked, and of its own. */
function* runCode(proc: Proc, shape: MonkeyShape): ProcCall<void> {
  const { libraries, code } = shape;
  const reads = Math.ceil((libraries.files * libraries.pages) / CODE_ONE_IN);
  for (let i = 0; i < reads; i++) {
    const file = proc.random.below(libraries.files);
    // The beginnings of libraries are used more.
    const page = Math.min(proc.random.below(libraries.pages), proc.random.below(libraries.pages));
    readLibrary(proc, shape, file, page);
    if (proc.preempted) yield;
  }
  proc.touch(code.first + proc.random.below(code.pages), 1, false);
  count(proc, shape, reads + 1);
}

/** Touches pages of the heap by their popularity. */
function* useHeap(proc: Proc, shape: MonkeyShape): ProcCall<void> {
  const { heap, heapRanks, touch } = shape;
  const touches = Math.ceil(heap.pages * touch);
  for (let i = 0; i < touches; i++) {
    const write = proc.random.below(WRITE_ONE_IN) === 0;
    proc.touch(heap.first + zipfDraw(heapRanks, proc.random), 1, write);
    if (proc.preempted) yield;
  }
  count(proc, shape, touches);
}

/** @returns false when what the app needs cannot be mapped */
function mapOwn(proc: Proc, { code, heap }: MonkeyShape, fd: number): boolean {
  const prot = VM_READ | VM_WRITE;
  if (proc.mmap(code.first, code.pages, { fd, prot }) < 0) return false;
  return proc.mmap(heap.first, heap.pages) >= 0;
}

/** Everything before the app is in front for the first time. */
function* start(proc: Proc, shape: MonkeyShape): ProcCall<void> {
  const { zygote, code, heap } = shape;
  for (let at = 0; at < zygote.pages; at++) {
    proc.touch(zygote.first + at, 1, proc.random.below(INHERITED_ONE_IN) === 0);
    if (proc.preempted) yield;
  }
  for (let at = 0; at < code.pages; at += DATA_ONE_IN) {
    proc.touch(code.first + at, 1, true);
    if (proc.preempted) yield;
  }
  for (let at = 0; at < heap.pages; at += STRETCH) {
    proc.touch(heap.first + at, Math.min(STRETCH, heap.pages - at), true);
    if (proc.preempted) yield;
  }
  count(proc, shape, zygote.pages + Math.ceil(code.pages / DATA_ONE_IN) + heap.pages);
}

/** Gives a piece of the heap back, as a collector of garbage does. */
function trim(proc: Proc, { heap }: MonkeyShape): void {
  const pages = Math.min(STRETCH, heap.pages);
  const at = heap.first + proc.random.below(heap.pages - pages + 1);
  proc.madvise(at, pages, MADV_DONTNEED);
}

/** One launch. @param cold it has not been in front in this life */
function* launch(proc: Proc, shape: MonkeyShape, cold: boolean): ProcCall<void> {
  const beganNs = proc.now();
  if (cold) yield* start(proc, shape);
  yield* runCode(proc, shape);
  yield* useHeap(proc, shape);
  if (!cold && proc.random.below(TRIM_ONE_IN) === 0) trim(proc, shape);
  const name = cold ? 'coldStart' : 'hotStart';
  addLatency(shape.figures.latencies, proc.cpu, name, proc.now() - beganNs);
}

/** @context a generator program */
export function* app(proc: Proc, { app, fd }: AppArgs): ProcCall<number> {
  const shape = proc.shared as MonkeyShape;
  if (!mapOwn(proc, shape, fd)) throw new Error(`monkey: app ${app} cannot map its memory`);
  // Without the zygote nobody will ask for anything any more.
  for (let parent = proc.parent; parent !== 0; parent = proc.parent) {
    const before = done(shape, app);
    if (asked(shape, app) > before) {
      yield* launch(proc, shape, before === 0);
      finish(shape, app, before + 1);
      proc.signal(parent);
    }
    if (asked(shape, app) === done(shape, app)) yield* proc.pause();
  }
  return 0;
}
