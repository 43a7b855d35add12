// SPDX-License-Identifier: GPL-2.0-only
/**
 * Where the workers of a machine's threads come from, and what becomes of them when the thread has
 * ended.
 *
 *   fresh   a worker for each thread, which ends with it
 *   kept    it waits for the thread of that name of the next machine: a worker that has run one has
 *           its code compiled, and starts in a tenth of the time
 *
 * What a module knows of a machine, it is told anew by each: what a thread leaves in its worker is
 * of no machine, or keyed by one. That holds for the package's own modules and for threads that
 * have ended by themselves; workers of a machine that panicked or was interrupted are for nobody.
 */
import { Worker } from 'node:worker_threads';
import type { WorkerData } from '../kthreads/engine.ts';

/** What happens to the worker of a thread. */
export interface WorkerEvents {
  /** It threw outside its thread function. */
  error(error: unknown): void;
  /** The thread has no worker any more. @param code its exit code; 0 where it was kept */
  gone(code: number): void;
}

/** The worker of a thread. */
export interface ThreadWorker {
  /** Ends it as a crash would. `gone` comes before this resolves. */
  terminate(): Promise<unknown>;
}

export interface ThreadWorkers {
  /**
   * Starts a thread.
   * @param entry the file that a worker starts from
   * @param execArgv Node's flags of the worker: preloads; those of this thread when not given
   * @throws Error when there can be no more workers
   */
  start(
    entry: URL,
    data: WorkerData,
    execArgv: readonly string[] | undefined,
    events: WorkerEvents,
  ): ThreadWorker;
}

function newWorker(entry: URL, data: WorkerData, execArgv: readonly string[] | undefined): Worker {
  return new Worker(entry, {
    workerData: data,
    name: data.spec.comm,
    // Files that a thread has opened are the machine's: they stay open when it ends.
    trackUnmanagedFds: false,
    ...(execArgv === undefined ? {} : { execArgv: [...execArgv] }),
  });
}

/** A worker for each thread, which ends with it. */
export const freshWorkers: ThreadWorkers = {
  start(entry, data, execArgv, events) {
    const worker = newWorker(entry, data, execArgv);
    worker.on('error', events.error);
    worker.on('exit', events.gone);
    return worker;
  },
};

/** A worker between, and of, the threads that it runs. */
interface Kept {
  readonly worker: Worker;
  /** Of its thread; null while it waits for one. */
  events: WorkerEvents | null;
}

/** Workers that wait for the next machine. One machine at a time, all with the same flags. */
export class KeptWorkers implements ThreadWorkers {
  /** By entry and name. */
  readonly #waiting = new Map<string, Kept>();

  start(
    entry: URL,
    given: WorkerData,
    execArgv: readonly string[] | undefined,
    events: WorkerEvents,
  ): ThreadWorker {
    const data = { ...given, kept: true };
    const key = `${entry.href} ${data.spec.comm}`;
    const waiting = this.#waiting.get(key);
    if (waiting === undefined) return this.#add(key, newWorker(entry, data, execArgv), events);
    this.#waiting.delete(key);
    waiting.events = events;
    waiting.worker.postMessage(data);
    return waiting.worker;
  }

  #add(key: string, worker: Worker, events: WorkerEvents): Worker {
    const kept: Kept = { worker, events };
    worker.on('error', (error) => kept.events?.error(error));
    worker.on('exit', (code) => {
      if (this.#waiting.get(key) === kept) this.#waiting.delete(key);
      kept.events?.gone(code);
    });
    // Its thread has ended: see the worker's entry.
    worker.on('message', () => {
      const { events: of } = kept;
      kept.events = null;
      this.#waiting.set(key, kept);
      of?.gone(0);
    });
    return worker;
  }
}
