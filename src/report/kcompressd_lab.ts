// SPDX-License-Identifier: GPL-2.0-only
/**
 * A machine for one sample of kcompressd: two processes that allocate in bursts, kswapd, zram with
 * real compression, and as many threads of kcompressd as are asked for. Work is fixed, time is not.
 */
import { HistogramMerge } from '../../shared/histogram.ts';
import { THREADS_MAX } from '../../shared/limits.ts';
import type { MachineConfig } from '../config_schema.ts';
import { MachinePanicError } from '../machine_errors.ts';
import type { KcompressdPolicy } from '../mm/kcompressd_types.ts';
import { PAGE_SIZE } from '../mm/limits.ts';
import { HIST_ALLOC_STALL, type Mm, NR_HISTOGRAMS } from '../mm/mm.ts';
import { runWorkload } from '../run.ts';
import type { ProcessSpec } from '../workload/workload.ts';
import type { AllocatorArgs } from './kcompressd_threads.ts';
import { onOneCore } from './one_core.ts';
import type { RunReport } from './run_report.ts';

/** Pages compress to about a third; not at all; or hold no bytes, and are stored for nothing. */
export type PageData = 'compressible' | 'incompressible' | 'none';

/** One sample to take. */
export interface KcompressdPlan {
  readonly policy: KcompressdPolicy;
  readonly data: PageData;
  /** A page is compressed so often. */
  readonly cost: number;
  /** Threads of kcompressd. */
  readonly threads: number;
  /** All threads of the machine share one core of the host. */
  readonly oneCore: boolean;
  /** vm.watermark_scale_factor: free pages that kswapd keeps, in parts of 10,000. */
  readonly reserve: number;
  /** Bursts of each process. */
  readonly bursts: number;
  readonly seed: number;
}

/** What came of it. Times in ms. */
export interface KcompressdSample {
  readonly policy: KcompressdPolicy;
  readonly data: PageData;
  readonly cost: number;
  readonly threads: number;
  readonly oneCore: boolean;
  readonly reserve: number;
  readonly wallMs: number;
  readonly allocstall: number;
  /** Direct reclaim: of one stall, and of all together. */
  readonly stallP50Ms: number;
  readonly stallP99Ms: number;
  readonly stallTotalMs: number;
  readonly stealAnonPerSec: number;
  /** Of these, those by kswapd. */
  readonly stealKswapdPerSec: number;
  /** CPU time of kswapd for each page that it stole, in us. */
  readonly kswapdUsPerPage: number;
  readonly queued: number;
  readonly full: number;
  readonly violations: readonly string[];
}

const PROCESSES = 2;
const START = 1 << 16;
const PROCESS_PAGES = 3072;
const MEMORY_PAGES = 4096;
const BURST = 128;
const PAUSE_MS = 5;
const HUNG_TASK_S = 60;

/** What the sample is like, for people and reports. */
export const KCOMPRESSD_SHAPE = {
  processes: PROCESSES,
  processPages: PROCESS_PAGES,
  memoryPages: MEMORY_PAGES,
  burst: BURST,
  pauseMs: PAUSE_MS,
} as const;

function processesOf({ bursts, data }: KcompressdPlan): ProcessSpec[] {
  const module = new URL('./kcompressd_threads.js', import.meta.url).href;
  const args: AllocatorArgs = {
    start: START,
    pages: PROCESS_PAGES,
    bursts,
    burst: BURST,
    pauseMs: PAUSE_MS,
    random: data === 'incompressible',
  };
  return Array.from({ length: PROCESSES }, (_, index) => ({
    comm: `alloc${index}`,
    cpus: [index],
    program: { module, export: 'allocator' },
    args,
    vmas: [{ start: START, end: START + PROCESS_PAGES }],
  }));
}

function configOf(plan: KcompressdPlan): MachineConfig {
  return {
    cpus: PROCESSES,
    memory: MEMORY_PAGES * PAGE_SIZE,
    contents: plan.data !== 'none',
    kcompressd: plan.policy,
    kcompressdThreads: plan.threads,
    compressCost: plan.cost,
    watermarkScaleFactor: plan.reserve,
    lockStat: false,
    hungTask: HUNG_TASK_S,
    seed: plan.seed,
  };
}

/** Stalls of all threads. */
function stallsOf(m: Mm): HistogramMerge {
  const merge = new HistogramMerge();
  for (let id = 0; id < THREADS_MAX; id++) {
    const row = id * NR_HISTOGRAMS + HIST_ALLOC_STALL;
    if (row < m.histogram.rows) merge.addRow(m.histogram, row);
  }
  return merge;
}

function readSample(plan: KcompressdPlan, report: RunReport, m: Mm): KcompressdSample {
  const { vmstat, counters, wallMs, integrity } = report;
  const count = (name: string): number => vmstat[name] ?? counters[name] ?? 0;
  const zones = Object.keys(vmstat).filter((name) => name.startsWith('allocstall_'));
  const stalls = stallsOf(m).summary();
  const seconds = Math.max(wallMs, 1) / 1000;
  const kswapd = report.threads.find(({ comm }) => comm === 'kswapd0');
  const stolen = count('pgsteal_kswapd');
  const { policy, data, cost, threads, oneCore, reserve } = plan;
  return {
    ...{ policy, data, cost, threads, oneCore, reserve, wallMs },
    allocstall: zones.reduce((sum, name) => sum + count(name), 0),
    stallP50Ms: stalls.p50Ns / 1e6,
    stallP99Ms: stalls.p99Ns / 1e6,
    stallTotalMs: (stalls.meanNs * stalls.count) / 1e6,
    stealAnonPerSec: count('pgsteal_anon') / seconds,
    stealKswapdPerSec: stolen / seconds,
    kswapdUsPerPage: (1000 * (kswapd?.cpuMs ?? 0)) / Math.max(stolen, 1),
    queued: count('kr_kcompress_queued'),
    full: count('kr_kcompress_full'),
    violations: integrity.details,
  };
}

/**
 * Takes one sample on a machine of its own.
 * @param signal ends it early: the promise then rejects
 * @throws MachinePanicError when the machine broke
 * @context main thread
 */
export async function takeKcompressdSample(
  plan: KcompressdPlan,
  signal?: AbortSignal,
): Promise<KcompressdSample> {
  let tables: Mm | null = null;
  const options = {
    ...(signal === undefined ? {} : { signal }),
    onBoot: (mm: Mm): void => {
      tables = mm;
    },
  };
  const run = () => runWorkload({ processes: processesOf(plan) }, configOf(plan), options);
  const report = plan.oneCore ? await onOneCore(run) : await run();
  signal?.throwIfAborted();
  if (report.panic !== null) throw new MachinePanicError(report.panic);
  return readSample(plan, report, tables as unknown as Mm);
}
