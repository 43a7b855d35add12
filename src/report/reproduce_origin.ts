// SPDX-License-Identifier: GPL-2.0-only
/**
 * `kreclaim reproduce origin`: what 6d4675e60135 did. Before it, reclaim waited for the rmap lock
 * of folios whose processes forked and ended; since then it tries the lock, and puts the folio at
 * the head of its list when that fails. Both are measured: the waits that went away, and where the
 * folios are put against how old they are.
 *
 * Samples of the variants take turns, each on a machine of its own, over numbers of forkers and
 * times for which a holder loses its CPU.
 */
import { MachineBootError, MachinePanicError } from '../machine_errors.ts';
import {
  type OriginFolios,
  type OriginPlan,
  type OriginSample,
  takeOriginSample,
} from './origin_lab.ts';
import type { Placement } from './origin_placement.ts';
import { type Spread, spreadOf, type Verdict } from './shrinker_verdicts.ts';

export interface OriginRunOptions {
  /** Repeats, at least 1. */
  readonly runs: number;
  /** Numbers of forking processes. */
  readonly threads: readonly number[];
  /** Times that a holder sleeps inside, in us. */
  readonly holdUs: readonly number[];
  readonly folios: OriginFolios;
  /** Time of a sample. */
  readonly ms: number;
  readonly signal?: AbortSignal;
  /** One line for each sample that begins. */
  readonly onSample?: (done: number, total: number, what: string) => void;
}

/** One sample, with its run; its folios are only counted. */
export interface OriginRun extends Omit<OriginSample, 'placements'> {
  readonly run: number;
  readonly placements: number;
}

/** First quartile, median, third quartile. */
export type Quartiles = readonly [number, number, number];

/** One variant of a cell, over the runs. Times in ms. */
export interface OriginSide {
  readonly variant: OriginPlan['variant'];
  /** All runs together. */
  readonly waits: number;
  readonly waitMsSum: number;
  readonly waitMsAvg: number;
  readonly waitMsMax: number;
  /** Of one run. */
  readonly waitMsPerRun: Spread;
  readonly contended: number;
  readonly stealPerSec: Spread;
  readonly forksPerSec: Spread;
  readonly eaterMsMax: number;
  readonly placements: number;
  /** Null where no folio was seen. */
  readonly placed: Quartiles | null;
  readonly age: Quartiles | null;
}

/** Both variants with so many forkers that hold so long. */
export interface OriginCell {
  readonly forkers: number;
  readonly holdUs: number;
  readonly before: OriginSide;
  readonly after: OriginSide;
}

export interface OriginResult {
  readonly runs: readonly OriginRun[];
  readonly cells: readonly OriginCell[];
  /** Broken invariants, with where. */
  readonly violations: readonly string[];
  /** What broke and ended the list; null when nothing did. */
  readonly failure: MachinePanicError | MachineBootError | null;
}

const VARIANTS = ['blocking', 'trylock'] as const;
const EATERS = 1;

interface Taken {
  readonly run: number;
  readonly sample: OriginSample;
}

function plansOf({ runs, threads, holdUs, folios, ms }: OriginRunOptions) {
  const plans: { run: number; plan: OriginPlan }[] = [];
  for (let run = 1; run <= runs; run++) {
    for (const forkers of threads) {
      for (const hold of holdUs) {
        for (const variant of VARIANTS) {
          const cell = { folios, forkers, eaters: EATERS, holdUs: hold };
          plans.push({ run, plan: { ...cell, variant, ms, seed: run } });
        }
      }
    }
  }
  return plans;
}

/** @returns null without values */
export function quartilesOf(values: readonly number[]): Quartiles | null {
  if (values.length === 0) return null;
  const sorted = [...values].sort((a, b) => a - b);
  const at = (part: number): number => sorted[Math.round(part * (sorted.length - 1))] as number;
  return [at(0.25), at(0.5), at(0.75)];
}

function sideOf(samples: readonly OriginSample[]): OriginSide | null {
  const [first] = samples;
  if (first === undefined) return null;
  const sum = (of: (sample: OriginSample) => number): number =>
    samples.reduce((all, sample) => all + of(sample), 0);
  const spread = (of: (sample: OriginSample) => number): Spread =>
    spreadOf(samples.map(of)) as Spread;
  const waits = sum((sample) => sample.waits);
  const waitMsSum = sum((sample) => sample.waitMsSum);
  const folios: readonly Placement[] = samples.flatMap(({ placements }) => placements);
  return {
    variant: first.variant,
    waits,
    waitMsSum,
    waitMsAvg: waits === 0 ? 0 : waitMsSum / waits,
    waitMsMax: Math.max(...samples.map((sample) => sample.waitMsMax)),
    waitMsPerRun: spread((sample) => sample.waitMsSum),
    contended: sum((sample) => sample.contended),
    stealPerSec: spread((sample) => sample.stealPerSec),
    forksPerSec: spread((sample) => sample.forksPerSec),
    eaterMsMax: Math.max(...samples.map((sample) => sample.eaterMsMax)),
    placements: folios.length,
    placed: quartilesOf(folios.map(({ placed }) => placed)),
    age: quartilesOf(folios.map(({ age }) => age)),
  };
}

/** Cells of which both variants were measured. */
export function originCells(taken: readonly Taken[]): OriginCell[] {
  const keyOf = ({ sample }: Taken): string => `${sample.forkers} ${sample.holdUs}`;
  return [...new Set(taken.map(keyOf))].flatMap((key) => {
    const mine = taken.filter((one) => keyOf(one) === key).map(({ sample }) => sample);
    const [before, after] = VARIANTS.map((variant) =>
      sideOf(mine.filter((sample) => sample.variant === variant)),
    );
    const { forkers, holdUs } = mine[0] as OriginSample;
    return before && after ? [{ forkers, holdUs, before, after }] : [];
  });
}

/** The published ratio of waits, after to before, is below this. */
const RATIO = 1 / 1000;

/** Waits: they go away, where there were any. */
export function waitVerdict(cells: readonly OriginCell[]): Verdict {
  const waited = cells.filter(({ before }) => before.waitMsSum > 0);
  if (cells.length === 0) return { holds: false, text: 'waits: not measured' };
  const sum = (of: (cell: OriginCell) => number): number =>
    cells.reduce((all, cell) => all + of(cell), 0);
  const before = sum((cell) => cell.before.waitMsSum);
  const after = sum((cell) => cell.after.waitMsSum);
  const gone = waited.filter((cell) => cell.after.waitMsSum < RATIO * cell.before.waitMsSum);
  const holds = waited.length > 0 && gone.length === waited.length;
  const ratio = before === 0 ? '-' : (after / before).toFixed(4);
  const text =
    `waits: ${holds ? 'held' : 'not held'}: ${before.toFixed(1)} ms before, ` +
    `${after.toFixed(1)} ms after, ratio ${ratio} (published: 31672 ms, none, below 1/1000); ` +
    `reclaim waited in ${waited.length} of ${cells.length} cells before, in ` +
    `${cells.filter((cell) => cell.after.waits > 0).length} after`;
  return { holds, text };
}

/** Placement: contended folios are among the oldest, and go where the youngest are. */
export function placementVerdict(cells: readonly OriginCell[]): Verdict {
  const seen = cells.filter(({ after }) => after.age !== null);
  if (seen.length === 0) return { holds: false, text: 'placement: no contended folio was seen' };
  const wrong = seen.filter(({ after }) => {
    return (after.age as Quartiles)[1] - (after.placed as Quartiles)[1] > 0.5;
  });
  const folios = seen.reduce((all, { after }) => all + after.placements, 0);
  const holds = wrong.length === seen.length;
  const text =
    `placement: ${holds ? 'held' : 'not held'}: in ${wrong.length} of ${seen.length} cells the ` +
    `median contended folio is put more than half a list younger than it is (${folios} folios)`;
  return { holds, text };
}

/**
 * Takes all samples; an interrupt, or a machine that breaks, ends the list where it is.
 * @context main thread
 */
export async function runOrigin(options: OriginRunOptions): Promise<OriginResult> {
  const taken: Taken[] = [];
  let failure: OriginResult['failure'] = null;
  const plans = plansOf(options);
  const aborted = (): boolean => options.signal?.aborted === true;
  for (const [done, { run, plan }] of plans.entries()) {
    if (aborted() || failure !== null) break;
    const forking = `${plan.forkers} forking, holding ${plan.holdUs} us`;
    options.onSample?.(done + 1, plans.length, `run ${run}, ${plan.variant}: ${forking}`);
    try {
      taken.push({ run, sample: await takeOriginSample(plan, options.signal) });
    } catch (error) {
      const broken = error instanceof MachinePanicError || error instanceof MachineBootError;
      if (broken && !aborted()) failure = error;
      else if (!aborted()) throw error;
    }
  }
  return {
    runs: taken.map(({ run, sample }) => {
      return { run, ...sample, placements: sample.placements.length };
    }),
    cells: originCells(taken),
    violations: taken.flatMap(({ run, sample }) =>
      sample.violations.map((text) => `run ${run}, ${sample.variant}: ${text}`),
    ),
    failure,
  };
}
