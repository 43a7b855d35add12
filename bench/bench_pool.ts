// SPDX-License-Identifier: GPL-2.0-only
/**
 * A pool of bench workers: the threads that multi-threaded cases run on, kept between samples so
 * that compiled code stays warm. A job is named, lives in a module that exports `jobs`, and runs on
 * the first N workers of the pool at once.
 */
import { Worker } from 'node:worker_threads';
import type { CpuProfile } from '../kthreads/profiler.ts';
import type { I32 } from '../shared/types.ts';

/** Words of a job's control block. */
export const ARRIVED = 0; // @atomic threads at the start barrier
export const GO = 1; // @atomic 1 once all have arrived
export const STOP = 2; // @atomic 1 once the first thread's time is up

/** Operations between two looks at the clock. */
export const OPS_PER_CHUNK = 512;

/**
 * Performs about `ops` operations and returns how many to count. Must return soon after `stopped()`
 * turns true if it can block on another thread of the job.
 */
export type BenchRun = (ops: number, stopped: () => boolean) => number;
/** Binds a job to its data; `index` is 0 .. threads-1. Runs before the start barrier. */
export type BenchPrepare = (data: unknown, index: number, threads: number) => BenchRun;
export type BenchJobs = Readonly<Record<string, BenchPrepare>>;

export interface JobRequest {
  readonly job: string;
  readonly data: unknown;
  readonly index: number;
  readonly threads: number;
  readonly ms: number;
  readonly control: I32;
  /** Time between samples of a profile of the job, in us; null for none. */
  readonly profileUs: number | null;
}

/** What a thread did of its job. */
export interface JobFigures {
  readonly ops: number;
  readonly ns: number;
  /** Time within `ns` that it waited for a core. */
  readonly delayNs: number;
}

/** What a worker sends back. */
export interface JobResult extends JobFigures {
  readonly profile: CpuProfile | null;
}

/** Operations of all threads; time and delay of the one that had most. */
export interface Measured extends JobFigures {
  /** One for each thread, in the order of their indices; empty where none was asked for. */
  readonly profiles: readonly CpuProfile[];
}

export class BenchPool {
  readonly #workers: Worker[] = [];
  readonly #moduleUrl: string;
  readonly #setup: unknown;

  /**
   * @param moduleUrl module that exports `jobs: BenchJobs`, and `setupBench(setup)` if it likes
   * @param setup handed to every worker's `setupBench`; workers start on first use
   */
  constructor(moduleUrl: URL, setup: unknown = null) {
    this.#moduleUrl = moduleUrl.href;
    this.#setup = setup;
  }

  /**
   * Runs a job on `threads` workers for `ms` milliseconds.
   * @returns operations per second, all threads together
   */
  async run(job: string, threads: number, ms: number, data: unknown = null): Promise<number> {
    const { ops, ns } = await this.measure(job, threads, ms, data);
    return (ops / ns) * 1e9;
  }

  /**
   * As `run`.
   * @param profileUs time between samples of a profile of each thread, 50 .. 1e6 us; null for none
   * @returns operations of all threads; time and delay of the one that had most; the profiles
   */
  async measure(
    job: string,
    threads: number,
    ms: number,
    data: unknown = null,
    profileUs: number | null = null,
  ): Promise<Measured> {
    while (this.#workers.length < threads) this.#start();
    const control = new Int32Array(new SharedArrayBuffer(16));
    const wanted = { job, data, threads, ms, control, profileUs };
    const results = await Promise.all(
      this.#workers.slice(0, threads).map((worker, index) => request(worker, { ...wanted, index })),
    );
    return {
      ops: results.reduce((sum, result) => sum + result.ops, 0),
      ns: Math.max(...results.map(({ ns }) => ns)),
      delayNs: Math.max(...results.map(({ delayNs }) => delayNs)),
      profiles: results.flatMap(({ profile }) => (profile === null ? [] : [profile])),
    };
  }

  /** Ends the workers. */
  async close(): Promise<void> {
    await Promise.all(this.#workers.splice(0).map((worker) => worker.terminate()));
  }

  #start(): void {
    const workerData = { moduleUrl: this.#moduleUrl, setup: this.#setup };
    this.#workers.push(new Worker(new URL('./bench_worker.js', import.meta.url), { workerData }));
  }
}

function request(worker: Worker, job: JobRequest): Promise<JobResult> {
  return new Promise((resolve, reject) => {
    const settle = () => {
      worker.off('message', onMessage);
      worker.off('error', onError);
    };
    const onMessage = (result: JobResult) => {
      settle();
      resolve(result);
    };
    const onError = (error: unknown) => {
      settle();
      reject(error);
    };
    worker.on('message', onMessage);
    worker.on('error', onError);
    worker.postMessage(job);
  });
}
