// SPDX-License-Identifier: GPL-2.0-only
/**
 * The programs of workload fio. A job reads blocks of all jobs and writes its own, every n-th: so a
 * block has one writer, who says before a write which one it is to be, and afterwards that it was:
 * what a reader finds lies between what was done when it began and what had begun when it ended.
 */
import { join } from 'node:path';
import type { Proc, ProcCall } from '../../kthreads/proc.ts';
import { Prng } from '../../shared/prng.ts';
import { EIO } from '../mm/errno.ts';
import { O_RDWR } from '../mm/fdtable_types.ts';
import { addFigure, type Figures, sumFigure } from './figures.ts';
import { blockSeq, fillBlock } from './file_pattern.ts';
import { type BlockFile, layOut, readBack } from './host_blocks.ts';
import { addLatency } from './latencies.ts';

export const FIO_RW = ['randread', 'read', 'randwrite', 'write', 'randrw'] as const;

/** What all jobs know. */
export interface FioShape {
  readonly prefix: string;
  readonly figures: Figures;
  readonly seed: number;
  /** Folder of the host. */
  readonly dir: string;
  readonly blockBytes: number;
  readonly blocks: number;
  readonly jobs: number;
  readonly rw: (typeof FIO_RW)[number];
  readonly writePercent: number;
  /** Writes of a job between two calls of fsync; 0 for none. */
  readonly fsyncEvery: number;
  /** Operations of each job; 0 for as many as the seconds allow. */
  readonly ops: number;
  readonly seconds: number;
  readonly check: boolean;
  /** Of each block, the last write that has begun, and that is done. Shared. */
  readonly begun: Int32Array;
  readonly done: Int32Array;
}

const NAME = 'fio';
const FILE = 1;
const EXIT_SIGKILL = 137;

/** What one job is told. */
interface JobArgs {
  readonly number: number;
  /** The mount. */
  readonly sb: number;
}

/** What a job needs for one operation after the other. */
class Job {
  readonly #proc: Proc;
  readonly #shape: FioShape;
  readonly #number: number;
  readonly #fd: number;
  readonly #prng: Prng;
  readonly #buffer: Uint8Array;
  readonly #words: Int32Array;
  #next: number;
  #writes = 0;
  /** Not in the figures yet. */
  readonly #since = { ops: 0, reads: 0, writes: 0, hits: 0 };

  constructor(proc: Proc, shape: FioShape, { number, sb }: JobArgs) {
    this.#proc = proc;
    this.#shape = shape;
    this.#number = number;
    this.#prng = new Prng(shape.seed, number);
    this.#buffer = new Uint8Array(shape.blockBytes);
    this.#words = new Int32Array(this.#buffer.buffer);
    this.#next = Math.floor((shape.blocks * number) / shape.jobs);
    this.#fd = proc.files.open(sb, NAME, O_RDWR);
    if (this.#fd < 0) throw new Error(`fio: cannot open its file: ${this.#fd}`);
  }

  /** One read or write, and what comes with it. */
  step(): void {
    const { rw, writePercent } = this.#shape;
    const mixed = rw === 'randrw' && this.#prng.below(100) < writePercent;
    if (mixed || rw === 'write' || rw === 'randwrite') this.#write();
    else this.#read();
  }

  #block(): number {
    const { rw, blocks } = this.#shape;
    if (rw !== 'read' && rw !== 'write') return this.#prng.below(blocks);
    this.#next = (this.#next + 1) % blocks;
    return this.#next;
  }

  #count(name: 'reads' | 'writes'): void {
    this.#since.ops++;
    this.#since[name]++;
    if (name === 'reads' && this.#proc.files.misses === 0) this.#since.hits++;
  }

  #read(): void {
    const { blockBytes, figures, begun, done, check } = this.#shape;
    const { files, cpu } = this.#proc;
    const block = this.#block();
    const least = Atomics.load(done, block);
    const beganNs = this.#proc.now();
    const got = files.pread(this.#fd, this.#buffer, block * blockBytes);
    addLatency(figures.latencies, cpu, 'read', this.#proc.now() - beganNs);
    if (got !== blockBytes) throw new Error(`fio: read of block ${block}: ${got}`);
    this.#count('reads');
    if (!check) return;
    const seq = blockSeq(this.#words, FILE, block);
    if (seq >= least && seq <= Atomics.load(begun, block)) return;
    addFigure(figures, cpu, 'wrong', 1);
    throw new Error(`fio: block ${block} holds write ${seq}, last was ${least}`);
  }

  #write(): void {
    const { blockBytes, blocks, jobs, figures, begun, done } = this.#shape;
    const { files, cpu } = this.#proc;
    // One of its own, close to what was drawn.
    const drawn = this.#block();
    const near = drawn - (drawn % jobs) + this.#number;
    const block = near < blocks ? near : this.#number;
    const seq = Atomics.load(begun, block) + 1;
    Atomics.store(begun, block, seq);
    fillBlock(this.#words, FILE, block, seq);
    const beganNs = this.#proc.now();
    const put = files.pwrite(this.#fd, this.#buffer, block * blockBytes);
    addLatency(figures.latencies, cpu, 'write', this.#proc.now() - beganNs);
    if (put !== blockBytes) throw new Error(`fio: write of block ${block}: ${put}`);
    Atomics.store(done, block, seq);
    this.#count('writes');
    this.#sync();
  }

  #sync(): void {
    const { fsyncEvery, figures } = this.#shape;
    const { cpu } = this.#proc;
    if (fsyncEvery === 0 || ++this.#writes % fsyncEvery !== 0) return;
    const beganNs = this.#proc.now();
    const error = this.#proc.files.fsync(this.#fd);
    addLatency(figures.latencies, cpu, 'fsync', this.#proc.now() - beganNs);
    // What could not be written is dirty still, and is written later: the end of the run looks.
    if (error === EIO) addFigure(figures, cpu, 'failedFsyncs', 1);
    else if (error < 0) throw new Error(`fio: fsync: ${error}`);
    addFigure(figures, cpu, 'fsyncs', 1);
  }

  /** @param sinceNs when the operations began that are not in the figures yet */
  report(sinceNs: number): void {
    const { figures, blockBytes } = this.#shape;
    const { cpu } = this.#proc;
    const since = this.#since;
    addFigure(figures, cpu, 'opsNs', this.#proc.now() - sinceNs);
    addFigure(figures, cpu, 'kilobytes', (since.ops * blockBytes) / 1024);
    for (const name of ['ops', 'reads', 'writes', 'hits'] as const) {
      addFigure(figures, cpu, name, since[name]);
      since[name] = 0;
    }
  }
}

/** A job. @context a generator program */
export function* fioJob(proc: Proc, args: JobArgs): ProcCall<number> {
  const shape = proc.shared as FioShape;
  const job = new Job(proc, shape, args);
  const untilNs = shape.ops === 0 ? proc.now() + shape.seconds * 1e9 : Infinity;
  const ops = shape.ops === 0 ? Infinity : shape.ops;
  let sliceNs = proc.now();
  for (let done = 0; done < ops; done++) {
    job.step();
    if (!proc.preempted) continue;
    job.report(sliceNs);
    if (proc.now() >= untilNs) return 0;
    yield;
    // The time of others is not its own.
    sliceNs = proc.now();
  }
  job.report(sliceNs);
  return 0;
}

/** Starts the jobs, and waits for them. */
function* runJobs(proc: Proc, { prefix, jobs, figures }: FioShape, sb: number): ProcCall<void> {
  const { cpus } = proc;
  const beganNs = proc.now();
  for (let number = 0; number < jobs; number++) {
    const cpu = cpus[number % cpus.length] as number;
    const pid = proc.spawn(`${prefix}job`, { number, sb }, { cpus: [cpu] });
    if (pid < 0) addFigure(figures, proc.cpu, 'refused', 1);
    yield;
  }
  for (;;) {
    const ended = yield* proc.wait();
    if (typeof ended === 'number') break;
    if (ended.code === EXIT_SIGKILL) addFigure(figures, proc.cpu, 'killed', 1);
  }
  const ops = sumFigure(figures, 'ops');
  const ns = proc.now() - beganNs;
  addFigure(figures, proc.cpu, 'iops', ns > 0 ? Math.round((ops * 1e9) / ns) : 0);
  const reads = sumFigure(figures, 'reads');
  const hits = reads === 0 ? 0 : Math.round((sumFigure(figures, 'hits') * 1000) / reads) / 10;
  addFigure(figures, proc.cpu, 'hitPercent', hits);
}

/** The first process: makes the file, mounts its folder, runs the jobs, reads the file back. */
export function* fio(proc: Proc): ProcCall<number> {
  const shape = proc.shared as FioShape;
  const { dir, blockBytes, blocks, begun, done, figures } = shape;
  const file: BlockFile = { path: join(dir, NAME), file: FILE, blockBytes, blocks };
  yield* layOut(file);
  const sb = proc.files.mount(dir, NAME);
  if (sb < 0) throw new Error(`fio: cannot mount its folder: ${sb}`);
  yield* runJobs(proc, shape, sb);
  const unmounted = proc.files.umount(sb);
  if (unmounted < 0) throw new Error(`fio: its folder is in use at the end: ${unmounted}`);
  const wrong = yield* readBack(file, (block) => [
    Atomics.load(done, block),
    Atomics.load(begun, block),
  ]);
  if (wrong !== null) throw new Error(`fio: on the host: ${wrong}`);
  addFigure(figures, proc.cpu, 'verified', blocks);
  return 0;
}
