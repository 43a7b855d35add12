// SPDX-License-Identifier: GPL-2.0-only
/**
 * A machine for one measurement of the shrinkers: groups, shrinkers, threads that walk, perhaps
 * some that mount and unmount. Booted for each sample, so that samples of different policies can
 * take turns and none finds the others' compiled code.
 */
import { kthreadSpec, STAGE_PROGRAMS, type ThreadSpec } from '../../kthreads/engine.ts';
import { engineOf } from '../../kthreads/mm_engine.ts';
import { resolveMachine } from '../config.ts';
import { Machine } from '../machine.ts';
import { engineRef, machineThreads } from '../machine_threads.ts';
import type { MmConfig, ShrinkerPolicy } from '../mm/config.ts';
import { createMm } from '../mm/mm.ts';
import { mmInit } from '../mm/mm_init.ts';
import type { ThreadProfile } from '../profile/call_tree.ts';
import { collectProfiles } from '../profile/profile_files.ts';
import {
  FIGURE_COUNTS,
  FIGURE_EARLY,
  FIGURE_NS,
  FIGURE_OPS,
  FIGURE_SKIPPED,
  FIGURE_WORST_NS,
  LAB_FIGURES,
  LAB_WORDS,
  type LabArgs,
  type ShrinkerShape,
} from './shrinker_threads.ts';

/** One sample to take. */
export interface LabPlan {
  readonly policy: ShrinkerPolicy;
  readonly shape: ShrinkerShape;
  /** Threads that walk; 0 only beside a churner. */
  readonly walkers: number;
  /** More threads mount and unmount. */
  readonly churners: number;
  readonly warmMs: number;
  readonly ms: number;
  /** Time between samples of a profile of the walkers, in us; null for none. */
  readonly profileUs: number | null;
}

/** What came of it. */
export interface LabSample {
  readonly policy: ShrinkerPolicy;
  readonly shape: string;
  readonly walkers: number;
  readonly churners: number;
  /** Walks of one group, per second, all walkers together, those that were given up included. */
  readonly walksPerSec: number;
  /** Walks that were given up because the trylock failed, of all walks. */
  readonly skipped: number;
  readonly walks: number;
  /** Walks that ended early for a writer. */
  readonly early: number;
  /** Callbacks run, per second. */
  readonly callbacksPerSec: number;
  /** Mounts and umounts, per second, all churners together; null without one. */
  readonly roundsPerSec: number | null;
  /** The longest of these, in us. */
  readonly roundUsMax: number | null;
}

/** The walkers' names. */
export const WALKER = 'walk';

const HUNG_TASK_S = 60;
/** Shrinkers, dentries, inodes of each churner that may wait for their grace period. */
const SPARE = 256;

function labConfig({ policy, shape, churners }: LabPlan): MmConfig {
  const spare = SPARE * Math.max(1, churners);
  const nobody = { module: '', export: '' };
  const given = { memory: '64M', swap: 'none', lockStat: false, hungTask: HUNG_TASK_S } as const;
  const spec = { comm: 'lab', program: nobody, cpus: [0], vmas: [{ start: 0, end: 1 }] };
  const { mm } = resolveMachine(given, [spec]);
  const root = mm.memcgs[0] as MmConfig['memcgs'][number];
  const groups = Array.from({ length: shape.memcgs }, (_, i) => ({
    name: `g${i}`,
    parent: 0,
    maxPages: null,
  }));
  return {
    ...mm,
    processes: [],
    contents: false,
    memcgs: [root, ...groups],
    memcgsMax: 1 + shape.memcgs,
    shrinker: policy,
    // The churner's rows come back after a grace period: it need not wait for each.
    shrinkersMax: shape.shrinkers + spare,
    dentriesMax: 4 * spare,
    inodesMax: 4 * spare,
  };
}

function labThreads(plan: LabPlan, control: LabArgs['control'], figures: LabArgs['figures']) {
  const module = new URL('./shrinker_threads.js', import.meta.url).href;
  const threads = plan.walkers + plan.churners;
  const { shape, warmMs, ms } = plan;
  const spec = (comm: string, name: string, index: number): ThreadSpec => {
    const args: LabArgs = { shape, control, figures, index, threads, warmMs, ms };
    return {
      ...kthreadSpec(comm, { module, export: name }, [args]),
      stage: STAGE_PROGRAMS,
      nofreeze: true,
    };
  };
  const specs = [spec('setup', 'labSetup', threads)];
  for (let i = 0; i < plan.walkers; i++) specs.push(spec(`${WALKER}${i}`, 'labWalker', i));
  for (let i = 0; i < plan.churners; i++) {
    specs.push(spec(`churn${i}`, 'labChurner', plan.walkers + i));
  }
  return specs;
}

function readSample(plan: LabPlan, figures: Float64Array): LabSample {
  const at = (thread: number, figure: number): number =>
    figures[thread * LAB_FIGURES + figure] as number;
  const walkers = Array.from({ length: plan.walkers }, (_, i) => i);
  const churners = Array.from({ length: plan.churners }, (_, i) => plan.walkers + i);
  const sum = (figure: number): number => walkers.reduce((all, i) => all + at(i, figure), 0);
  const rate = (threads: readonly number[], figure: number): number =>
    threads.reduce((all, i) => all + (1e9 * at(i, figure)) / at(i, FIGURE_NS), 0);
  return {
    policy: plan.policy,
    shape: plan.shape.name,
    walkers: plan.walkers,
    churners: plan.churners,
    walksPerSec: rate(walkers, FIGURE_OPS),
    skipped: sum(FIGURE_SKIPPED),
    walks: sum(FIGURE_OPS),
    early: sum(FIGURE_EARLY),
    callbacksPerSec: rate(walkers, FIGURE_COUNTS),
    roundsPerSec: plan.churners > 0 ? rate(churners, FIGURE_OPS) : null,
    roundUsMax:
      plan.churners > 0 ? Math.max(...churners.map((i) => at(i, FIGURE_WORST_NS))) / 1e3 : null,
  };
}

async function runMachine(
  plan: LabPlan,
  dir: string | null,
  signal?: AbortSignal,
): Promise<LabSample> {
  const m = createMm(labConfig(plan));
  mmInit(m);
  const control = new Int32Array(new SharedArrayBuffer(4 * LAB_WORDS));
  const rows = (plan.walkers + plan.churners + 1) * LAB_FIGURES;
  const figures = new Float64Array(new SharedArrayBuffer(8 * rows));
  const specs = [...labThreads(plan, control, figures), ...machineThreads(m.config)];
  const { profileUs } = plan;
  const profile =
    dir === null || profileUs === null
      ? {}
      : { profile: { dir, intervalUs: profileUs, threads: [WALKER] } };
  const options = { ...(signal === undefined ? {} : { signal }), ...profile };
  const machine = await Machine.start({ engine: engineOf(m), ref: engineRef(m), specs }, options);
  try {
    await machine.run();
    signal?.throwIfAborted();
  } finally {
    await machine.shutdown();
  }
  return readSample(plan, figures);
}

/**
 * Takes one sample on a machine of its own.
 * @param signal ends it early: the promise then rejects
 * @throws MachinePanicError when the machine broke
 * @context main thread; profiles want `withoutInlining` around it
 */
export async function takeSample(
  plan: LabPlan,
  signal?: AbortSignal,
): Promise<{ readonly sample: LabSample; readonly profiles: readonly ThreadProfile[] }> {
  if (plan.profileUs === null) {
    return { sample: await runMachine(plan, null, signal), profiles: [] };
  }
  const { result, profiles } = await collectProfiles((dir) => runMachine(plan, dir, signal));
  return { sample: result, profiles };
}
