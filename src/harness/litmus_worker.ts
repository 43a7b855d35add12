// SPDX-License-Identifier: MIT
/**
 * The body of a litmus thread: batch after batch (litmus_batch.ts) until the lead says stop. The
 * outcomes are counted here, each thread its share of the instances; the counts travel once, at the
 * end.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { ktimeNs } from '../../shared/ktime.ts';
import { Prng } from '../../shared/prng.ts';
import type { I32 } from '../../shared/types.ts';
import { barrierWait } from './barrier.ts';
import {
  keepPace,
  L_BARRIER,
  L_PLAN,
  L_STOP,
  litmusBatchMax,
  PLAN_CHUNK,
  PLAN_GAP,
  PLAN_N,
  PLAN_START,
  PLAN_STEP,
  PLAN_STOP,
  PLAN_STRIDE,
  planBatch,
} from './litmus_batch.ts';
import { type LitmusPlace, loadLitmus } from './litmus_load.ts';
import type { AnyLitmusTest, LitmusThread } from './litmus_test.ts';

/** What a worker is started with. */
export interface LitmusWorkerData {
  readonly place: LitmusPlace;
  readonly thread: number;
  readonly control: I32;
  readonly cells: SharedArrayBuffer;
  /** One region per thread: the registers of each instance. */
  readonly out: I32;
  readonly seed: number;
  /** The lead stops after so many batches, or so many milliseconds. */
  readonly batches: number;
  readonly ms: number;
  readonly spin: number;
}

/** What a worker reports. */
export interface LitmusTally {
  readonly thread: number;
  readonly samples: number;
  readonly batches: number;
  readonly ns: number;
  /** Stretches of a batch, and those at whose end all threads were together. */
  readonly chunks: number;
  readonly paced: number;
  readonly outcomes: ReadonlyMap<string, number>;
}

/** Values from 0 to this less 1 are counted by number, others as text. */
const DENSE = 16;

class LitmusRunner {
  readonly #data: LitmusWorkerData;
  readonly #test: AnyLitmusTest;
  readonly #memory: never;
  readonly #unit: number;
  readonly #words: I32;
  readonly #registers: number;
  readonly #threads: number;
  readonly #dense: Float64Array;
  readonly #sparse = new Map<string, number>();
  readonly #region: number;
  readonly #own: Int32Array;
  readonly #values: Int32Array;
  samples = 0;
  batches = 0;
  chunks = 0;
  paced = 0;

  constructor(data: LitmusWorkerData, test: AnyLitmusTest) {
    this.#data = data;
    this.#test = test;
    const memory = test.view?.(data.cells) ?? new Int32Array(data.cells);
    this.#memory = memory as never;
    this.#unit = (memory as { BYTES_PER_ELEMENT?: number }).BYTES_PER_ELEMENT ?? 1;
    this.#words = new Int32Array(data.cells);
    this.#registers = test.registers ?? 2;
    this.#threads = test.threads.length;
    this.#dense = new Float64Array(DENSE ** Math.min(this.#registers, 4));
    this.#region = litmusBatchMax(test) * this.#registers;
    this.#own = data.out.subarray(data.thread * this.#region, (data.thread + 1) * this.#region);
    this.#values = new Int32Array(this.#registers);
  }

  run(): number {
    const { control, thread, spin, batches, ms, seed } = this.#data;
    const prng = new Prng(seed, 0x6c69746d);
    const startNs = ktimeNs();
    for (;;) {
      if (thread === 0) {
        const over = this.batches >= batches || ktimeNs() - startNs >= ms * 1e6;
        if (over) Atomics.store(control, L_STOP, 1);
        planBatch(control, this.#test, prng);
      }
      barrierWait(control, L_BARRIER, this.#threads, spin);
      const plan = control.slice(L_PLAN, L_PLAN + PLAN_START + this.#threads);
      if (plan[PLAN_STOP] !== 0) break;
      this.#batch(plan);
      barrierWait(control, L_BARRIER, this.#threads, spin);
      this.#count(plan);
      this.batches++;
    }
    return ktimeNs() - startNs;
  }

  #batch(plan: Int32Array): void {
    const { control, thread } = this.#data;
    const run = this.#test.threads[thread] as LitmusThread<never>;
    const [n, stride, gap] = this.#placeOf(plan);
    const step = plan[PLAN_STEP] as number;
    const chunk = plan[PLAN_CHUNK] as number;
    const registers = this.#registers;
    const memory = this.#memory;
    const own = this.#own;
    let index = (plan[PLAN_START + thread] as number) & (n - 1);
    let inPace = true;
    for (let done = 0; done < n; ) {
      const end = Math.min(done + chunk, n);
      for (; done < end; done++) {
        run(memory, index * stride, gap, own, index * registers);
        index = (index + step) & (n - 1);
      }
      if (inPace) inPace = keepPace(control, this.#threads, thread, done);
      this.chunks++;
      if (inPace) this.paced++;
    }
  }

  /** Instances, and the distances between them and between cells, in units of the view. */
  #placeOf(plan: Int32Array): [n: number, stride: number, gap: number] {
    const unit = this.#unit;
    return [
      plan[PLAN_N] as number,
      (plan[PLAN_STRIDE] as number) / unit,
      (plan[PLAN_GAP] as number) / unit,
    ];
  }

  /** Counts the outcomes of this thread's share of the instances and zeroes their cells. */
  #count(plan: Int32Array): void {
    const [n, stride, gap] = this.#placeOf(plan);
    const first = Math.floor((n * this.#data.thread) / this.#threads);
    const end = Math.floor((n * (this.#data.thread + 1)) / this.#threads);
    const { observe } = this.#test;
    for (let j = first; j < end; j++) {
      const at = j * this.#registers;
      observe?.(this.#memory, j * stride, gap, this.#own, at);
      this.#countOne(at);
    }
    this.#clear(plan, first, end);
    this.samples += end - first;
  }

  /** A register is what its one writer put there; the others' regions hold 0. */
  #countOne(at: number): void {
    const { out } = this.#data;
    const registers = this.#registers;
    const values = this.#values;
    let key = 0;
    let dense = registers <= 4;
    for (let register = 0; register < registers; register++) {
      let value = 0;
      for (let from = at + register; from < out.length; from += this.#region) {
        value += out[from] as number;
        out[from] = 0;
      }
      values[register] = value;
      dense &&= value >= 0 && value < DENSE;
      key = key * DENSE + value;
    }
    if (dense) this.#dense[key] = (this.#dense[key] as number) + 1;
    else this.#addText(values.join(' '), 1);
  }

  #addText(text: string, count: number): void {
    this.#sparse.set(text, (this.#sparse.get(text) ?? 0) + count);
  }

  #clear(plan: Int32Array, first: number, end: number): void {
    const words = this.#words;
    const { cells = 2, cellBytes = 8 } = this.#test;
    const stride = (plan[PLAN_STRIDE] as number) / 4;
    const gap = (plan[PLAN_GAP] as number) / 4;
    for (let j = first; j < end; j++) {
      for (let cell = 0; cell < cells; cell++) {
        const at = j * stride + cell * gap;
        for (let word = 0; word < cellBytes / 4; word++) words[at + word] = 0;
      }
    }
  }

  outcomes(): ReadonlyMap<string, number> {
    for (const [key, count] of this.#dense.entries()) {
      if (count === 0) continue;
      let rest = key;
      for (let register = Math.min(this.#registers, 4) - 1; register >= 0; register--) {
        this.#values[register] = rest % DENSE;
        rest = Math.floor(rest / DENSE);
      }
      this.#addText(this.#values.join(' '), count);
    }
    return this.#sparse;
  }
}

const data = workerData as LitmusWorkerData;
const runner = new LitmusRunner(data, await loadLitmus(data.place));
const ns = runner.run();
const tally: LitmusTally = {
  thread: data.thread,
  samples: runner.samples,
  batches: runner.batches,
  ns,
  chunks: runner.chunks,
  paced: runner.paced,
  outcomes: runner.outcomes(),
};
parentPort?.postMessage(tally);
