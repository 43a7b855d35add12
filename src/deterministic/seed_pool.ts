// SPDX-License-Identifier: GPL-2.0-only
/**
 * Threads that run seeds, one machine each at a time. A pool that serves many ranges has its hosts
 * and their workers warm after a few seeds: those then take a third of the time.
 */
import { availableParallelism } from 'node:os';
import process from 'node:process';
import type { Piscina } from 'piscina';
import type { SeedResult } from './seed_result.ts';
import type { SeedsInput, SeedTask, SeedThread } from './seed_task.ts';

export class SeedPool {
  /** Machines at once. */
  readonly jobs: number;
  readonly #threads: Piscina;

  private constructor(jobs: number, threads: Piscina) {
    this.jobs = jobs;
    this.#threads = threads;
  }

  /** @param jobs machines at once, at least 1 @context the main thread; suspends */
  static async open(jobs: number): Promise<SeedPool> {
    // Here, not above: who runs no range does without the pool.
    const { Piscina } = await import('piscina');
    // With fewer, another process's could be bound to the same CPU while one idles.
    const pinned = jobs >= availableParallelism();
    const threads = new Piscina({
      trackUnmanagedFds: false,
      filename: new URL('./seed_task.js', import.meta.url).href,
      minThreads: jobs,
      maxThreads: jobs,
      workerData: { flags: process.execArgv, pinned } satisfies SeedThread,
    });
    return new SeedPool(jobs, threads);
  }

  /**
   * Runs one seed.
   * @param signal aborting it ends the machine
   * @throws UsageError when no machine can be made of the configuration
   */
  run(seed: number, input: SeedsInput, signal?: AbortSignal): Promise<SeedResult> {
    const task: SeedTask = { seed, input };
    return this.#threads.run(task, {
      name: 'runSeed',
      ...(signal === undefined ? {} : { signal }),
    }) as Promise<SeedResult>;
  }

  /** Ends the threads, and the machines that are under way. */
  close(): Promise<void> {
    return this.#threads.destroy();
  }
}
