// SPDX-License-Identifier: GPL-2.0-only
/**
 * `kreclaim bench shrinker`: walks over the shrinkers of many groups, under every policy, beside C.
 *
 * A walk is one call of shrinkSlab for one group: find the bits, the shrinkers, run their
 * callbacks, which have nothing to free. Each shape (groups x shrinkers x share of bits set x how
 * often a shrinker comes and goes) is a group of cases in interleaved rounds:
 *
 *   rwsem, srcu, lockless, lockless-fixed   shrinkSlab with callbacks in TypeScript
 *   walk         bit, shrinker, reference and put, by the WebAssembly kernel, nothing called
 *   walk-twin    the same by its TypeScript twin; both where a lockless policy is measured
 *   C ...        the same walk in C (native/shrinker.c), with callbacks through a pointer
 *
 * Rates are of walks that were done: one that is given up, as the lock was not to be had, costs
 * next to nothing and does nothing. The second table has what a rate does not show: walks given up
 * or cut short, how long registering and freeing took, grace periods, bytes.
 *
 * Goals, in the sparse shape (64 shrinkers, 1 %) on 1 and 2 threads: walk <= 2.5 x C, with a
 * callback <= 6 x C; lockless rises with threads where rwsem falls. Non-goal: lockless ahead
 * everywhere; with dense maps its references cost more than one lock, in C too.
 */
import { availableParallelism } from 'node:os';
import { pathToFileURL } from 'node:url';
import type { ShrinkerPolicy } from '../src/mm/config.ts';
import { buildRcuNative, runNativeFigures } from './bench_native.ts';
import {
  type BenchCase,
  type BenchGroup,
  type BenchOptions,
  type BenchRow,
  formatRows,
  median,
  runBench,
  wantsGroup,
} from './bench_runner.ts';
import {
  type ShrinkerFigures,
  ShrinkerMachine,
  type ShrinkerSample,
  type ShrinkerShape,
} from './shrinker_machine.ts';

export const SHRINKER_POLICIES = ['rwsem', 'srcu', 'lockless', 'lockless-fixed'] as const;

export interface ShrinkerBenchOptions extends BenchOptions {
  /** Groups; default [1000]. */
  readonly memcgs?: readonly number[];
  /** Shrinkers; default [64]. */
  readonly shrinkers?: readonly number[];
  /** Per cent of the bits that are set; default [1]. */
  readonly density?: readonly number[];
  /** Default all four. */
  readonly variants?: readonly ShrinkerPolicy[];
  /** Microseconds from one registration to the next, 0 for none; default [0, 1000]. */
  readonly registerUs?: readonly number[];
}

/** A row of this bench: medians over rounds of what else happened. */
export interface ShrinkerRow extends BenchRow, ShrinkerFigures, ShrinkerShape {}

/** The peer of each policy in C. */
const PEER: Readonly<Record<ShrinkerPolicy, string>> = {
  rwsem: 'rwsem',
  srcu: 'srcu',
  lockless: 'lockless',
  'lockless-fixed': 'lockless',
};
const NATIVE_KINDS = ['rwsem', 'rwsem-ref', 'pthread', 'srcu', 'lockless'];

/** When a sample is disturbed, how often it is taken, and from what length on that makes sense. */
const CALM_SHARE = 0.02;
const CALM_TRIES = 5;
const CALM_MS = 20;

const NO_FIGURES: ShrinkerFigures = {
  callbacks: Number.NaN,
  skipped: Number.NaN,
  early: Number.NaN,
  registers: Number.NaN,
  registerUsP50: Number.NaN,
  registerUsP99: Number.NaN,
  freeUsP50: Number.NaN,
  freeUsP99: Number.NaN,
  gracePeriods: Number.NaN,
  tableBytes: Number.NaN,
  waited: Number.NaN,
};

/** One group of cases under way: its machines, and the samples of each case but for the rates. */
class ShapeBench {
  readonly shape: ShrinkerShape;
  readonly #ms: number;
  readonly #native: string | null;
  readonly #machines = new Map<string, ShrinkerMachine>();
  readonly #samples = new Map<string, ShrinkerSample[]>();

  constructor(shape: ShrinkerShape, ms: number, native: string | null) {
    this.shape = shape;
    this.#ms = ms;
    this.#native = native;
  }

  group(variants: readonly ShrinkerPolicy[], threads: readonly number[]): BenchGroup {
    const native = this.#native;
    const cases: BenchCase[] = [];
    for (const nr of threads) {
      const peers = native === null ? [] : NATIVE_KINDS;
      for (const kind of peers) cases.push(this.#inC(native as string, kind, nr));
      for (const policy of variants) {
        cases.push(this.#ours(policy, policy, 'callback', nr, PEER[policy]));
      }
      if (!variants.some((policy) => policy.startsWith('lockless'))) continue;
      cases.push(this.#ours('walk', 'lockless-fixed', 'walk', nr, 'lockless'));
      cases.push(this.#ours('walk-twin', 'lockless-fixed', 'walk', nr, 'lockless'));
    }
    return { name: shapeName(this.shape), cases };
  }

  /** @returns the row with what else its samples have; the first sample only warmed up */
  extend(row: BenchRow): ShrinkerRow {
    const samples = this.#samples.get(row.name)?.slice(1) ?? [];
    const figure = (key: keyof ShrinkerFigures): number => median(samples.map((s) => s[key]));
    const figures = Object.fromEntries(
      Object.keys(NO_FIGURES).map((key) => [key, figure(key as keyof ShrinkerFigures)]),
    ) as unknown as ShrinkerFigures;
    return { ...row, ...this.shape, ...figures };
  }

  async close(): Promise<void> {
    await Promise.all([...this.#machines.values()].map((machine) => machine.close()));
  }

  #machine(policy: ShrinkerPolicy, twin: boolean): ShrinkerMachine {
    const key = `${policy}${twin ? ' twin' : ''}`;
    const machine = this.#machines.get(key) ?? new ShrinkerMachine(this.shape, policy, twin);
    this.#machines.set(key, machine);
    return machine;
  }

  /**
   * Takes a sample; one in which a thread waited for a core although there is one for each is taken
   * again, and the least disturbed is kept: chosen by the disturbance, never by the result.
   */
  async #calm(name: string, threads: number, take: () => Promise<ShrinkerSample>): Promise<number> {
    const tries = threads <= availableParallelism() && this.#ms >= CALM_MS ? CALM_TRIES : 1;
    let kept = await take();
    for (let nr = 1; nr < tries && kept.waited > CALM_SHARE; nr++) {
      const again = await take();
      if (again.waited < kept.waited) kept = again;
    }
    const samples = this.#samples.get(name) ?? [];
    samples.push(kept);
    this.#samples.set(name, samples);
    return kept.opsPerSec;
  }

  #ours(
    label: string,
    policy: ShrinkerPolicy,
    job: string,
    threads: number,
    peer: string,
  ): BenchCase {
    const name = `${label} x${threads}`;
    const run = () => {
      const machine = this.#machine(policy, label === 'walk-twin');
      return this.#calm(name, threads, () => machine.run(job, threads, this.#ms));
    };
    return {
      name,
      threads,
      run,
      ...(this.#native === null ? {} : { peer: `C ${peer} x${threads}` }),
    };
  }

  #inC(program: string, kind: string, threads: number): BenchCase {
    const name = `C ${kind} x${threads}`;
    const { memcgs, shrinkers, density, registerUs } = this.shape;
    const args = [memcgs, shrinkers, density, registerUs];
    const run = () =>
      this.#calm(name, threads, async () => {
        const result = await runNativeFigures(program, this.#ms, kind, threads, ...args);
        return { ...NO_FIGURES, ...result.figures, opsPerSec: result.opsPerSec };
      });
    return { name, threads, run };
  }
}

/** The group's name in the bench. */
export function shapeName({ memcgs, shrinkers, density, registerUs }: ShrinkerShape): string {
  const churn = registerUs === 0 ? 'none registers' : `one registers every ${registerUs} us`;
  return `shrinker: ${memcgs} groups x ${shrinkers} shrinkers, ${density} %, ${churn}`;
}

/** Every combination that the options ask for. */
export function shapesOf(options: ShrinkerBenchOptions): ShrinkerShape[] {
  const { memcgs = [1000], shrinkers = [64], density = [1], registerUs = [0, 1000] } = options;
  const quick = options.quick === true;
  return memcgs.flatMap((groups) =>
    shrinkers.flatMap((nr) =>
      density.flatMap((share) =>
        registerUs.map((us) => ({
          memcgs: quick ? Math.min(groups, 100) : groups,
          shrinkers: nr,
          density: share,
          registerUs: us,
        })),
      ),
    ),
  );
}

/** Milliseconds of a sample: several registrations long. */
function sampleMs({ registerUs }: ShrinkerShape, quick: boolean): number {
  if (quick) return 5;
  return Math.max(100, (3 * registerUs) / 1e3);
}

/**
 * Measures walks over shrinkers.
 * @returns one row per case, shape after shape
 * @context the main thread; starts its own workers and ends them. About a minute by default; each
 *   shape more takes half of that
 */
export async function shrinkerBench(options: ShrinkerBenchOptions = {}): Promise<ShrinkerRow[]> {
  const { threads = [1, 2, 4], native = true, quick = false, notice = () => {} } = options;
  const { variants = SHRINKER_POLICIES } = options;
  const rounds = quick ? 1 : (options.rounds ?? 5);
  const program = native ? await buildRcuNative('shrinker', notice) : null;
  const rows: ShrinkerRow[] = [];
  for (const shape of shapesOf(options)) {
    if (!wantsGroup(shapeName(shape), options)) continue;
    const bench = new ShapeBench(shape, sampleMs(shape, quick), program);
    const onRound = (name: string, round: number) => notice(`${name}: round ${round}/${rounds}`);
    try {
      const { signal } = options;
      const groups = [bench.group(variants, threads)];
      const measured = await runBench(groups, { rounds, signal, onRound });
      rows.push(...measured.map((row) => bench.extend(row)));
    } finally {
      await bench.close();
    }
  }
  return rows;
}

const isShrinkerRow = (row: BenchRow): row is ShrinkerRow => 'registerUsP50' in row;

const HEAD =
  'case                    thr   walks/s  calls/s  x rwsem  x 1 thr  waited  skipped    early' +
  '   reg/s     reg us p50/p99     free us p50/p99    gp/s      KiB';

/** @returns what the rates do not show, one line per case; empty without rows of this bench */
export function shrinkerTable(rows: readonly BenchRow[]): string {
  const mine = rows.filter(isShrinkerRow);
  const lines: string[] = [];
  let group = '';
  for (const row of mine) {
    if (row.group !== group) {
      group = row.group;
      lines.push('', group, HEAD);
    }
    lines.push(tableLine(row, mine));
  }
  return lines.slice(1).join('\n');
}

/** The same case of the group with another policy, or on another number of threads. */
function rival(rows: readonly ShrinkerRow[], row: ShrinkerRow, name: string): number {
  return (
    rows.find((other) => other.group === row.group && other.name === name)?.opsPerSec ?? Number.NaN
  );
}

function tableLine(row: ShrinkerRow, rows: readonly ShrinkerRow[]): string {
  const label = row.name.replace(/ x\d+$/, '');
  const rwsem = `${label.startsWith('C ') ? 'C ' : ''}rwsem x${row.threads}`;
  const times = (name: string): string => {
    const other = rival(rows, row, name);
    return (Number.isNaN(other) ? '-' : (row.opsPerSec / other).toFixed(2)).padStart(8);
  };
  const attempts = row.opsPerSec + row.skipped;
  return [
    label.padEnd(22),
    String(row.threads).padStart(4),
    short(row.opsPerSec).padStart(9),
    short(row.callbacks).padStart(8),
    times(rwsem),
    times(`${label} x1`),
    percent(row.waited).padStart(7),
    percent(row.skipped / attempts).padStart(8),
    short(row.early).padStart(8),
    short(row.registers).padStart(7),
    `${micros(row.registerUsP50)} / ${micros(row.registerUsP99)}`.padStart(18),
    `${micros(row.freeUsP50)} / ${micros(row.freeUsP99)}`.padStart(19),
    short(row.gracePeriods).padStart(7),
    (Number.isNaN(row.tableBytes) ? '-' : (row.tableBytes / 1024).toFixed(0)).padStart(8),
  ].join(' ');
}

function short(value: number): string {
  if (Number.isNaN(value)) return '-';
  if (value < 10) return value === 0 ? '0' : value.toFixed(1);
  if (value < 1e4) return value.toFixed(0);
  return value < 1e6 ? `${(value / 1e3).toFixed(0)}k` : `${(value / 1e6).toFixed(2)}M`;
}

function percent(share: number): string {
  return Number.isNaN(share) ? '-' : `${(100 * share).toFixed(1)} %`;
}

function micros(value: number): string {
  return Number.isNaN(value) ? '-' : value.toFixed(value < 10 ? 2 : value < 1000 ? 1 : 0);
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const quick = process.argv.includes('--quick');
  const native = !process.argv.includes('--no-native');
  const notice = (line: string) => console.error(line);
  const rows = await shrinkerBench({ quick, native, notice });
  console.log(`${formatRows(rows)}\n\n${shrinkerTable(rows)}`);
}
