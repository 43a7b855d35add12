// SPDX-License-Identifier: GPL-2.0-only
/**
 * A pool of bench workers: the threads that multi-threaded cases run on, kept between samples so
 * that compiled code stays warm. A job is named, lives in a module that exports `jobs`, and runs on
 * the first N workers of the pool at once.
 */
import { Worker } from 'node:worker_threads';
import { PROFILE_INTERVAL_US } from '../kthreads/engine.ts';
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

/** What one worker says of its part of a job. */
export interface JobResult {
  readonly ops: number;
  readonly ns: number;
  readonly profile: CpuProfile | null;
}

/** A job whose threads were sampled: what sampling cost is in its rate. */
export interface ProfiledRun {
  readonly opsPerSec: number;
  /** One for each thread, in the order of their indices. */
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
    return rate(await this.#runAll({ job, threads, ms, data, profileUs: null }));
  }

  /** As `run`, each thread under its profiler. @param intervalUs between samples, 50 .. 1e6 us */
  async runProfiled(
    job: string,
    threads: number,
    ms: number,
    data: unknown = null,
    intervalUs = PROFILE_INTERVAL_US,
  ): Promise<ProfiledRun> {
    const results = await this.#runAll({ job, threads, ms, data, profileUs: intervalUs });
    const profiles = results.map(({ profile }) => profile as CpuProfile);
    return { opsPerSec: rate(results), profiles };
  }

  /** Ends the workers. */
  async close(): Promise<void> {
    await Promise.all(this.#workers.splice(0).map((worker) => worker.terminate()));
  }

  async #runAll(job: Omit<JobRequest, 'index' | 'control'>): Promise<JobResult[]> {
    while (this.#workers.length < job.threads) this.#start();
    const control = new Int32Array(new SharedArrayBuffer(16));
    const workers = this.#workers.slice(0, job.threads);
    return Promise.all(workers.map((worker, index) => request(worker, { ...job, index, control })));
  }

  #start(): void {
    const workerData = { moduleUrl: this.#moduleUrl, setup: this.#setup };
    this.#workers.push(new Worker(new URL('./bench_worker.js', import.meta.url), { workerData }));
  }
}

function rate(results: readonly JobResult[]): number {
  const ops = results.reduce((sum, result) => sum + result.ops, 0);
  return (ops / Math.max(...results.map(({ ns }) => ns))) * 1e9;
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
