// SPDX-License-Identifier: GPL-2.0-only
/**
 * Body of a bench worker: imports a job module, then runs jobs on request. All threads of a job
 * start at a barrier; the first whose time is up stops all. Messages travel between jobs only.
 */
import { readFileSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import type { CpuProfile } from '../kthreads/profiler.ts';
import { ktimeNs } from '../shared/ktime.ts';
import type { I32 } from '../shared/types.ts';
import {
  ARRIVED,
  type BenchJobs,
  GO,
  type JobFigures,
  type JobRequest,
  type JobResult,
  OPS_PER_CHUNK,
  STOP,
} from './bench_pool.ts';

const { moduleUrl, setup } = workerData as { moduleUrl: string; setup: unknown };
const module = (await import(moduleUrl)) as {
  jobs: BenchJobs;
  setupBench?: (arg: unknown) => void;
};
module.setupBench?.(setup);

function arrive(control: I32, threads: number): void {
  if (Atomics.add(control, ARRIVED, 1) === threads - 1) {
    Atomics.store(control, GO, 1);
    Atomics.notify(control, GO);
  }
  while (Atomics.load(control, GO) === 0) Atomics.wait(control, GO, 0, 1000);
}

/**
 * Nanoseconds that this thread has waited for a core, or 0 where the system does not tell. With one
 * thread it is taken out of the measured time: another program's turn is not the lock's. With more,
 * the others ran on meanwhile, and who asked for the sample is told.
 */
function runDelayNs(): number {
  try {
    return Number(readFileSync('/proc/thread-self/schedstat', 'latin1').split(' ')[1]);
  } catch {
    return 0;
  }
}

function measure(request: JobRequest): JobFigures {
  const { control, threads, index } = request;
  const prepare = module.jobs[request.job];
  if (prepare === undefined) throw new Error(`no bench job ${request.job} in ${moduleUrl}`);
  const run = prepare(request.data, index, threads);
  const stopped = () => Atomics.load(control, STOP) !== 0;
  arrive(control, threads);
  const start = ktimeNs(); // outside the two readings, so that the delay is part of the time
  const delayBefore = runDelayNs();
  const deadline = start + request.ms * 1e6;
  let ops = 0;
  while (!stopped()) {
    ops += run(OPS_PER_CHUNK, stopped);
    if (ktimeNs() >= deadline) Atomics.store(control, STOP, 1);
  }
  const delayNs = runDelayNs() - delayBefore;
  const ns = ktimeNs() - start;
  return threads === 1 ? { ops, ns: ns - delayNs, delayNs: 0 } : { ops, ns, delayNs };
}

/** Runs a job, under the profiler when asked: the inspector is loaded only then. */
async function runJob(request: JobRequest): Promise<JobResult> {
  if (request.profileUs === null) return { ...measure(request), profile: null };
  const { startProfile, stopProfile } = await import('../kthreads/profiler.ts');
  startProfile(request.profileUs);
  let profile: CpuProfile | null = null;
  try {
    const figures = measure(request);
    profile = stopProfile();
    return { ...figures, profile };
  } finally {
    if (profile === null) stopProfile();
  }
}

/** An error ends the worker, which its pool hears of. */
function fail(error: unknown): void {
  setImmediate(() => {
    throw error;
  });
}

parentPort?.on('message', (request: JobRequest) => {
  runJob(request).then((result) => parentPort?.postMessage(result), fail);
});
