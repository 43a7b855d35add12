// SPDX-License-Identifier: GPL-2.0-only
/**
 * `kreclaim reproduce kcompressd`: what a thread that compresses for kswapd saves, by how dear
 * compression is against scanning, how many threads there are, and on one core.
 *
 *   cost      compressible pages, compressed once or so often in a row; incompressible ones at
 *             both ends of the sweep
 *   threads   kcompressd with 2 and 4 threads, at the dearest
 *   reserve   more free pages that kswapd keeps, at the second cost
 *   one core  the cheapest and the dearest, all threads on one core
 *
 * Samples of off, seed and fixed take turns, each on a machine of its own; the on-to-off ratio is
 * one of each turn. Nothing is searched for.
 */
import { ktimeNs } from '../../shared/ktime.ts';
import { MachineBootError, MachinePanicError } from '../machine_errors.ts';
import { compressPage } from '../mm/compress.ts';
import { FILL_RANDOM, fillPage } from '../mm/content.ts';
import { PAGE_SIZE, PAGE_WORDS } from '../mm/limits.ts';
import {
  type KcompressdPlan,
  type KcompressdSample,
  type PageData,
  takeKcompressdSample,
} from './kcompressd_lab.ts';
import { type KcompressdCell, kcompressdCells, type TakenSample } from './kcompressd_verdicts.ts';

export const KCOMPRESSD_EXPERIMENTS = ['cost', 'threads', 'reserve', 'one core'] as const;
export type KcompressdExperiment = (typeof KCOMPRESSD_EXPERIMENTS)[number];

export interface KcompressdRunOptions {
  /** Repeats, at least 1. */
  readonly runs: number;
  /** Times that a page is compressed, ascending. */
  readonly costs: readonly number[];
  /** Threads of kcompressd of the second experiment; 1 is in the first. */
  readonly threads: readonly number[];
  /** vm.watermark_scale_factor of the third experiment. */
  readonly reserves: readonly number[];
  readonly bursts: number;
  /** Only the experiments whose name contains this. */
  readonly only: string;
  /** One core can be had. */
  readonly oneCore: boolean;
  readonly signal?: AbortSignal;
  /** One line for each sample that begins. */
  readonly onSample?: (done: number, total: number, what: string) => void;
}

/** Codec alone, on this thread. */
export interface CodecCost {
  readonly compressibleUs: number;
  readonly incompressibleUs: number;
}

export interface KcompressdResult {
  readonly runs: readonly TakenSample[];
  readonly cells: readonly KcompressdCell[];
  readonly codec: CodecCost;
  /** CPU time of kswapd for a page stolen where storing it is free, in us, by run. */
  readonly scanUs: readonly number[];
  /** Broken invariants and contents, with where. */
  readonly violations: readonly string[];
  /** What broke and ended the list; null when nothing did. */
  readonly failure: MachinePanicError | MachineBootError | null;
}

type Step = { readonly experiment: KcompressdExperiment | 'scan cost'; readonly run: number } & {
  readonly plan: KcompressdPlan;
};

const POLICIES = ['off', 'seed', 'fixed'] as const;
/** The kernel's watermark_scale_factor. */
const RESERVE = 10;
const SCAN = { data: 'none', cost: 1, threads: 1, oneCore: false, reserve: RESERVE } as const;

interface Setting {
  readonly experiment: KcompressdExperiment;
  readonly data: PageData;
  readonly cost: number;
  readonly threads: number;
  readonly reserve: number;
}

function settingsOf({ costs, threads, reserves, oneCore }: KcompressdRunOptions): Setting[] {
  const dearest = costs.at(-1) as number;
  const ends = [...new Set([costs[0] as number, dearest])];
  const second = costs[1] ?? dearest;
  const of = (experiment: KcompressdExperiment, given: Partial<Setting>): Setting => {
    const usual = { data: 'compressible', cost: dearest, threads: 1, reserve: RESERVE } as const;
    return { experiment, ...usual, ...given };
  };
  return [
    ...costs.map((cost) => of('cost', { cost })),
    ...ends.map((cost) => of('cost', { data: 'incompressible', cost })),
    ...threads.map((count) => of('threads', { threads: count })),
    ...reserves.map((reserve) => of('reserve', { cost: second, reserve })),
    ...(oneCore ? ends : []).map((cost) => of('one core', { cost })),
  ];
}

/** Samples of all runs, in turns. */
export function kcompressdSteps(options: KcompressdRunOptions): Step[] {
  const { runs, bursts, only } = options;
  const settings = settingsOf(options).filter(({ experiment }) => experiment.includes(only));
  const steps: Step[] = [];
  for (let run = 1; run <= runs; run++) {
    const plan = { bursts, seed: run };
    steps.push({ experiment: 'scan cost', run, plan: { ...SCAN, ...plan, policy: 'off' } });
    for (const { experiment, ...setting } of settings) {
      const oneCore = experiment === 'one core';
      for (const policy of POLICIES) {
        steps.push({ experiment, run, plan: { ...setting, ...plan, policy, oneCore } });
      }
    }
  }
  return steps;
}

const CODEC_PAGES = 64;
const CODEC_ROUNDS = 21;

/** Time to compress one page of a kind, in us: the median round. */
function codecUs(fillId: number): number {
  const pages = Array.from({ length: CODEC_PAGES }, (_, index) => {
    const words = new Int32Array(PAGE_WORDS);
    fillPage(words, fillId, index);
    return new Uint8Array(words.buffer, 0, PAGE_SIZE);
  });
  const rounds = Array.from({ length: CODEC_ROUNDS }, () => {
    const since = ktimeNs();
    for (const page of pages) compressPage(page);
    return (ktimeNs() - since) / 1000 / CODEC_PAGES;
  });
  return rounds.sort((a, b) => a - b)[CODEC_ROUNDS >> 1] as number;
}

function whatOf({ experiment, run, plan }: Step): string {
  const { policy, data, cost, threads, reserve } = plan;
  const many = threads > 1 ? `, ${threads} threads` : '';
  const free = reserve === RESERVE ? '' : `, reserve ${reserve}`;
  return `run ${run}, ${experiment}: ${policy}, ${data} x${cost}${many}${free}`;
}

/**
 * Takes all samples; an interrupt, or a machine that breaks, ends the list where it is.
 * @context main thread
 */
export async function runKcompressd(options: KcompressdRunOptions): Promise<KcompressdResult> {
  const codec = { compressibleUs: codecUs(1), incompressibleUs: codecUs(1 | FILL_RANDOM) };
  const runs: TakenSample[] = [];
  const scanUs: number[] = [];
  const violations: string[] = [];
  let failure: KcompressdResult['failure'] = null;
  const steps = kcompressdSteps(options);
  const aborted = (): boolean => options.signal?.aborted === true;
  for (const [done, step] of steps.entries()) {
    if (aborted() || failure !== null) break;
    const { experiment, run, plan } = step;
    options.onSample?.(done + 1, steps.length, whatOf(step));
    try {
      const sample: KcompressdSample = await takeKcompressdSample(plan, options.signal);
      violations.push(...sample.violations.map((text) => `${whatOf(step)}: ${text}`));
      if (experiment === 'scan cost') scanUs.push(sample.kswapdUsPerPage);
      else runs.push({ experiment, run, sample });
    } catch (error) {
      const broken = error instanceof MachinePanicError || error instanceof MachineBootError;
      if (broken && !aborted()) failure = error;
      else if (!aborted()) throw error;
    }
  }
  return { runs, cells: kcompressdCells(runs), codec, scanUs, violations, failure };
}
