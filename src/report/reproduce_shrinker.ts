// SPDX-License-Identifier: GPL-2.0-only
/**
 * `kreclaim reproduce shrinker`: the figures of the patch that made memcg slab shrink lockless, and
 * of what was tried before it, beside ours.
 *
 *   hot spots        threads walk all groups under a sampling profiler, before (rwsem) and after
 *                    (lockless-fixed): the lock's share, and which function is first
 *   churn            a thread mounts and unmounts a tmpfs, whose shrinker comes and goes, while
 *                    others walk, or do the same: rounds a second of each policy against rwsem
 *   failed trylocks  walks that are given up meanwhile
 *
 * Samples of the policies take turns, each on a machine of its own; figures are medians over runs.
 * Shapes, thread counts and times are fixed or the user's: nothing is searched for.
 */
import { MachineBootError, MachinePanicError } from '../machine_errors.ts';
import type { ShrinkerPolicy } from '../mm/config.ts';
import { type CallNode, mergeProfiles, type ThreadProfile } from '../profile/call_tree.ts';
import { hotTable } from '../profile/hot_table.ts';
import { withoutInlining } from '../profile/inlining.ts';
import { type LabPlan, type LabSample, takeSample } from './shrinker_lab.ts';
import type { ShrinkerShape } from './shrinker_threads.ts';
import {
  type ChurnCell,
  churnCells,
  HOT_POLICIES,
  type HotCell,
  type HotSide,
  type Spread,
  sharesOf,
  spreadOf,
} from './shrinker_verdicts.ts';

export interface ShrinkerRunOptions {
  /** Repeats, at least 1. */
  readonly runs: number;
  /** Groups, at least 4. */
  readonly memcgs: number;
  /** Numbers of walking threads. */
  readonly threads: readonly number[];
  /** Times of a sample: to warm up, and to count. */
  readonly warmMs: number;
  readonly ms: number;
  /** Only the experiments whose name contains this. */
  readonly only: string;
  readonly signal?: AbortSignal;
  /** One line for each sample that begins. */
  readonly onSample?: (done: number, total: number, what: string) => void;
}

/** Their names, in the order of a run. */
export const EXPERIMENTS = ['hot spots', 'churn'] as const;

/** One sample, with what it was for. */
export interface ShrinkerRun {
  readonly experiment: (typeof EXPERIMENTS)[number];
  readonly run: number;
  readonly sample: LabSample;
}

export interface ShrinkerResult {
  readonly runs: readonly ShrinkerRun[];
  readonly hot: readonly HotCell[];
  readonly churn: readonly ChurnCell[];
  /** Stacks of all profiled walkers, a subtree for each policy. */
  readonly tree: CallNode;
  /** What broke and ended the list; null when nothing did. */
  readonly failure: MachinePanicError | MachineBootError | null;
}

const POLICIES: readonly ShrinkerPolicy[] = ['rwsem', 'srcu', 'lockless', 'lockless-fixed'];
/** Shrinkers of the shapes in which groups share them. */
const FEW = 64;
/** Samples a second of each walker: twice perf's 999, since samples are short. */
const PROFILE_US = 500;

/**
 * The shapes in which hot spots are looked for.
 *
 *   reclaim  the seed's: a mount for each group, files in three of four; a node's reclaim
 *   mounts   the same; slab reclaim alone
 *   sparse   few shrinkers, one bit in a hundred
 *   empty    few shrinkers, no bits: the lock and the look at the map are all there is
 */
export function hotShapes(memcgs: number): ShrinkerShape[] {
  return [
    { name: 'reclaim', memcgs, shrinkers: memcgs, bits: 'own', walk: 'node' },
    { name: 'mounts', memcgs, shrinkers: memcgs, bits: 'own', walk: 'slab' },
    { name: 'sparse', memcgs, shrinkers: FEW, bits: 'sparse', walk: 'slab' },
    { name: 'empty', memcgs, shrinkers: FEW, bits: 'none', walk: 'slab' },
  ];
}

/** Who mounts and who walks: one beside walkers, then several that mount alone. */
function churnCrowds(threads: readonly number[]): { walkers: number; churners: number }[] {
  return [
    ...[0, ...threads].map((walkers) => ({ walkers, churners: 1 })),
    ...threads.filter((n) => n > 1).map((churners) => ({ walkers: 0, churners })),
  ];
}

interface Step {
  readonly experiment: ShrinkerRun['experiment'];
  readonly run: number;
  readonly plan: LabPlan;
}

function stepsOf({ runs, memcgs, threads, warmMs, ms }: ShrinkerRunOptions): Step[] {
  const steps: Step[] = [];
  const times = { warmMs, ms };
  const shapes = hotShapes(memcgs);
  for (let run = 1; run <= runs; run++) {
    for (const shape of shapes) {
      for (const walkers of threads) {
        for (const policy of HOT_POLICIES) {
          const plan = { policy, shape, walkers, churners: 0, ...times, profileUs: PROFILE_US };
          steps.push({ experiment: 'hot spots', run, plan });
        }
      }
    }
    for (const { walkers, churners } of churnCrowds(threads)) {
      for (const policy of POLICIES) {
        const shape = shapes.find(({ name }) => name === 'sparse') as ShrinkerShape;
        const plan = { policy, shape, walkers, churners, ...times, profileUs: null };
        steps.push({ experiment: 'churn', run, plan });
      }
    }
  }
  return steps;
}

interface HotRun {
  readonly plan: LabPlan;
  readonly profiles: readonly ThreadProfile[];
}

function sideOf(policy: ShrinkerPolicy, runs: readonly HotRun[]): HotSide | null {
  const mine = runs.filter(({ plan }) => plan.policy === policy);
  if (mine.length === 0) return null;
  const tables = mine.map(({ profiles }) => sharesOf(hotTable(mergeProfiles(profiles))));
  return {
    policy,
    table: hotTable(mergeProfiles(mine.flatMap(({ profiles }) => profiles))),
    lockShare: spreadOf(tables.map(({ lock }) => lock)) as Spread,
    rcuShare: spreadOf(tables.map(({ rcu }) => rcu)) as Spread,
  };
}

function hotCells(runs: readonly HotRun[], options: ShrinkerRunOptions): HotCell[] {
  const cells: HotCell[] = [];
  for (const { name } of hotShapes(options.memcgs)) {
    for (const threads of options.threads) {
      const mine = runs.filter(({ plan }) => plan.shape.name === name && plan.walkers === threads);
      const [before, after] = HOT_POLICIES.map((policy) => sideOf(policy, mine));
      if (before && after) cells.push({ shape: name, threads, before, after });
    }
  }
  return cells;
}

/** Walkers of one policy share a subtree. */
function treeOf(runs: readonly HotRun[]): CallNode {
  return mergeProfiles(
    runs.flatMap(({ plan, profiles }) =>
      profiles.map(({ profile }) => ({ comm: plan.policy, profile })),
    ),
  );
}

/**
 * Takes all samples; an interrupt, or a machine that breaks, ends the list where it is.
 * @context main thread; inlining is off in the process while profiles are taken
 */
export async function runShrinker(options: ShrinkerRunOptions): Promise<ShrinkerResult> {
  const runs: ShrinkerRun[] = [];
  const hot: HotRun[] = [];
  let failure: ShrinkerResult['failure'] = null;
  const steps = stepsOf(options).filter(({ experiment }) => experiment.includes(options.only));
  const aborted = (): boolean => options.signal?.aborted === true;
  for (const [done, { experiment, run, plan }] of steps.entries()) {
    if (aborted() || failure !== null) break;
    const mounting = plan.churners === 0 ? '' : `, ${plan.churners} mounting`;
    const where = `${plan.shape.name}, ${plan.policy}, ${plan.walkers} walking${mounting}`;
    options.onSample?.(done + 1, steps.length, `run ${run}, ${experiment}: ${where}`);
    try {
      const take = () => takeSample(plan, options.signal);
      const taken = plan.profileUs === null ? await take() : await withoutInlining(take);
      runs.push({ experiment, run, sample: taken.sample });
      if (plan.profileUs !== null) hot.push({ plan, profiles: taken.profiles });
    } catch (error) {
      const broken = error instanceof MachinePanicError || error instanceof MachineBootError;
      if (broken && !aborted()) failure = error;
      else if (!aborted()) throw error;
    }
  }
  const churn = churnCells(runs.filter(({ experiment }) => experiment === 'churn'));
  return { runs, hot: hotCells(hot, options), churn, tree: treeOf(hot), failure };
}
