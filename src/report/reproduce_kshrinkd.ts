// SPDX-License-Identifier: GPL-2.0-only
/**
 * `kreclaim reproduce kshrinkd`: folios whose rmap lock is taken, by what reclaim does with them.
 *
 *   isolations  16 isolations of 32 while a lock is held that 4, 8 or 16 of each 32 need: how many
 *               are reclaimable, by policy
 *   monkey      apps that fork and end, whose takers of an rmap lock lose their CPU now and then:
 *               steal / scan, misplaced folios, refaults and kills, by how long and how many
 *
 * Samples of the policies take turns, each on a machine of its own; ratios are of one turn. Nothing
 * is searched for.
 */
import { MachineBootError, MachinePanicError } from '../machine_errors.ts';
import { CONTENDED_POLICIES, type ContendedPolicy } from '../mm/contended.ts';
import { type Figure, figureOf } from './figure.ts';
import {
  type IsolationSample,
  type MonkeyPlan,
  type MonkeySample,
  takeIsolationSample,
  takeMonkeySample,
} from './kshrinkd_lab.ts';

export const KSHRINKD_EXPERIMENTS = ['isolations', 'monkey'] as const;
/** The policies that run workload monkey: mainline first, which the others are set against. */
export const MONKEY_POLICIES = ['head', 'kshrinkd', 'kshrinkd-fixed'] as const;

export interface KshrinkdRunOptions {
  /** Repeats, at least 1. */
  readonly runs: number;
  /** Times that a holder sleeps inside, in us. */
  readonly holdUs: readonly number[];
  /** One taker in so many does. */
  readonly oneIn: readonly number[];
  readonly launches: number;
  /** Of each 32 folios, so many contended in the isolations. */
  readonly held: readonly number[];
  /** Only the experiments whose name contains this. */
  readonly only: string;
  readonly signal?: AbortSignal;
  /** One line for each sample that begins. */
  readonly onSample?: (done: number, total: number, what: string) => void;
}

/** One policy over the runs: reclaimable folios of each isolation in turn. */
export interface IsolationCell {
  readonly policy: ContendedPolicy;
  readonly held: number;
  /** Medians. */
  readonly reclaimable: readonly number[];
  readonly misplaced: Figure;
  readonly stealKshrinkd: Figure;
  readonly scanKshrinkd: Figure;
}

/** One policy under workload monkey. Ratios are to `head` in the same run; null for `head`. */
export interface MonkeyCell {
  readonly policy: ContendedPolicy;
  readonly holdUs: number;
  readonly oneIn: number;
  /** Trylocks that failed, in percent of the pages that reclaim looked at. */
  readonly contendedPercent: Figure;
  /** steal / scan of kshrinkd in percent; null where it had nothing. */
  readonly stealPercent: Figure | null;
  readonly misplacedPerSec: Figure;
  readonly refaults: Figure;
  readonly refaultRatio: Figure | null;
  readonly kills: Figure;
  readonly killRatio: Figure | null;
  readonly wallMs: Figure;
}

export type KshrinkdRun =
  | { readonly experiment: 'isolations'; readonly run: number; readonly sample: IsolationSample }
  | { readonly experiment: 'monkey'; readonly run: number; readonly sample: MonkeySample };

export interface KshrinkdResult {
  readonly runs: readonly KshrinkdRun[];
  readonly isolations: readonly IsolationCell[];
  readonly monkey: readonly MonkeyCell[];
  /** Broken invariants and contents, with where. */
  readonly violations: readonly string[];
  /** What broke and ended the list; null when nothing did. */
  readonly failure: MachinePanicError | MachineBootError | null;
}

interface Step {
  readonly experiment: KshrinkdRun['experiment'];
  readonly what: string;
  readonly take: (signal?: AbortSignal) => Promise<KshrinkdRun>;
}

function isolationSteps(run: number, shares: readonly number[]): Step[] {
  const experiment = 'isolations';
  return shares.flatMap((held) =>
    CONTENDED_POLICIES.map((policy) => ({
      experiment,
      what: `run ${run}, isolations: ${policy}, ${held} of 32 held`,
      take: async (signal) => {
        return { experiment, run, sample: await takeIsolationSample(policy, held, signal) };
      },
    })),
  );
}

function monkeySteps(run: number, { holdUs, oneIn, launches }: KshrinkdRunOptions): Step[] {
  const experiment = 'monkey';
  const plans: MonkeyPlan[] = oneIn.flatMap((part) =>
    holdUs.flatMap((hold) =>
      MONKEY_POLICIES.map((policy) => {
        return { policy, holdUs: hold, oneIn: part, launches, seed: run };
      }),
    ),
  );
  return plans.map((plan) => ({
    experiment,
    what: `run ${run}, monkey: ${plan.policy}, one in ${plan.oneIn} holds ${plan.holdUs} us`,
    take: async (signal) => ({ experiment, run, sample: await takeMonkeySample(plan, signal) }),
  }));
}

function medianOf(values: readonly number[]): number {
  return (figureOf(values) as Figure).median;
}

/** Samples of all runs, by share and policy. */
export function isolationCells(samples: readonly IsolationSample[]): IsolationCell[] {
  const keyOf = ({ policy, held }: IsolationSample): string => `${held} ${policy}`;
  return [...new Set(samples.map(keyOf))].map((key) => {
    const mine = samples.filter((sample) => keyOf(sample) === key);
    const { policy, held, reclaimable } = mine[0] as IsolationSample;
    const figure = (of: (sample: IsolationSample) => number): Figure =>
      figureOf(mine.map(of)) as Figure;
    return {
      policy,
      held,
      reclaimable: reclaimable.map((_, round) =>
        medianOf(mine.map((sample) => sample.reclaimable[round] as number)),
      ),
      misplaced: figure((sample) => sample.misplaced),
      stealKshrinkd: figure((sample) => sample.stealKshrinkd),
      scanKshrinkd: figure((sample) => sample.scanKshrinkd),
    };
  });
}

interface MonkeyRun {
  readonly run: number;
  readonly sample: MonkeySample;
}

/** Samples of all runs, by setting and policy. */
export function monkeyCells(taken: readonly MonkeyRun[]): MonkeyCell[] {
  const placeOf = ({ sample }: MonkeyRun): string => `${sample.holdUs} ${sample.oneIn}`;
  const keyOf = (one: MonkeyRun): string => `${placeOf(one)} ${one.sample.policy}`;
  return [...new Set(taken.map(keyOf))].map((key) => {
    const mine = taken.filter((one) => keyOf(one) === key);
    const [first] = mine as [MonkeyRun];
    const { policy, holdUs, oneIn } = first.sample;
    const heads = taken.filter(
      (one) => placeOf(one) === placeOf(first) && one.sample.policy === 'head',
    );
    const figure = (of: (sample: MonkeySample) => number): Figure =>
      figureOf(mine.map(({ sample }) => of(sample))) as Figure;
    const ratio = (of: (sample: MonkeySample) => number): Figure | null =>
      figureOf(
        mine.flatMap(({ run, sample }) => {
          const head = heads.find((one) => one.run === run);
          const value = head === undefined || policy === 'head' ? 0 : of(head.sample);
          return value > 0 ? [of(sample) / value] : [];
        }),
      );
    const steals = mine.flatMap(({ sample: { scanKshrinkd, stealKshrinkd } }) =>
      scanKshrinkd === 0 ? [] : [(100 * stealKshrinkd) / scanKshrinkd],
    );
    return {
      ...{ policy, holdUs, oneIn },
      contendedPercent: figure((s) => (100 * s.contended) / Math.max(s.scanned, 1)),
      stealPercent: figureOf(steals),
      misplacedPerSec: figure((s) => (1000 * s.misplaced) / Math.max(s.wallMs, 1)),
      refaults: figure((s) => s.refaults),
      refaultRatio: ratio((s) => s.refaults),
      kills: figure((s) => s.kills),
      killRatio: ratio((s) => s.kills),
      wallMs: figure((s) => s.wallMs),
    };
  });
}

/**
 * Takes all samples; an interrupt, or a machine that breaks, ends the list where it is.
 * @context main thread
 */
export async function runKshrinkd(options: KshrinkdRunOptions): Promise<KshrinkdResult> {
  const runs: KshrinkdRun[] = [];
  const violations: string[] = [];
  let failure: KshrinkdResult['failure'] = null;
  const numbers = Array.from({ length: options.runs }, (_, i) => i + 1);
  const steps = numbers
    .flatMap((run) => [...isolationSteps(run, options.held), ...monkeySteps(run, options)])
    .filter(({ experiment }) => experiment.includes(options.only));
  const aborted = (): boolean => options.signal?.aborted === true;
  for (const [done, { what, take }] of steps.entries()) {
    if (aborted() || failure !== null) break;
    options.onSample?.(done + 1, steps.length, what);
    try {
      const taken = await take(options.signal);
      violations.push(...taken.sample.violations.map((text) => `${what}: ${text}`));
      runs.push(taken);
    } catch (error) {
      const broken = error instanceof MachinePanicError || error instanceof MachineBootError;
      if (broken && !aborted()) failure = error;
      else if (!aborted()) throw error;
    }
  }
  const isolations = isolationCells(
    runs.flatMap((one) => (one.experiment === 'isolations' ? [one.sample] : [])),
  );
  const monkey = monkeyCells(runs.flatMap((one) => (one.experiment === 'monkey' ? [one] : [])));
  return { runs, isolations, monkey, violations, failure };
}
