// SPDX-License-Identifier: GPL-2.0-only
/**
 * One shape of the shrinker bench as a machine: so many groups, so many shrinkers, a policy, and a
 * pool whose workers are its threads. What a sample did is read off the machine's own counters.
 */
import { RCU_COMPLETED } from '../shared/rcu_state.ts';
import type { MmConfig, ShrinkerPolicy } from '../src/mm/config.ts';
import { createMm, type Mm } from '../src/mm/mm.ts';
import { mmInit } from '../src/mm/mm_init.ts';
import { SHRINKER_NR_MAX, SHRINKER_UNIT_BITS, UNIT_MAP_WORDS } from '../src/mm/shrinker_types.ts';
import { vmEvent } from '../src/mm/vmstat.ts';
import { EV } from '../src/mm/vmstat_items.ts';
import { benchConfig } from './bench_config.ts';
import { BenchPool } from './bench_pool.ts';
import { median } from './bench_runner.ts';
import {
  CALLBACK_CELLS,
  LATENCY_PAIRS,
  type ShrinkerBenchSetup,
  type ShrinkerJobData,
} from './shrinker_jobs.ts';

/** What is walked, and how often a shrinker comes and goes meanwhile. */
export interface ShrinkerShape {
  readonly memcgs: number;
  readonly shrinkers: number;
  /** Per cent of the bits that are set. */
  readonly density: number;
  /** Microseconds from one registration to the next, 0 for none. */
  readonly registerUs: number;
}

/** What happened in a sample beside walks: per second, or microseconds. NaN where not known. */
export interface ShrinkerFigures {
  readonly callbacks: number;
  /** Walks given up because the lock was not to be had. */
  readonly skipped: number;
  /** Walks cut short. */
  readonly early: number;
  readonly registers: number;
  readonly registerUsP50: number;
  readonly registerUsP99: number;
  readonly freeUsP50: number;
  readonly freeUsP99: number;
  /** Grace periods that ended: of RCU, in any policy. */
  readonly gracePeriods: number;
  /** Bytes of the groups' infos and units. */
  readonly tableBytes: number;
  /** Share of the time that a thread waited for a core; 0 for one alone, as it is taken out. */
  readonly waited: number;
}

export interface ShrinkerSample extends ShrinkerFigures {
  readonly opsPerSec: number;
}

/** Shrinkers that may wait for their grace period while the registrar goes on. */
const SPARE_ROWS = 60;

function machineConfig(shape: ShrinkerShape, policy: ShrinkerPolicy, twin: boolean): MmConfig {
  const groups = Array.from({ length: shape.memcgs }, (_, i) => ({
    name: `group${i}`,
    parent: 0,
    maxPages: null,
  }));
  return benchConfig({
    memcgs: [{ name: '', parent: 0, maxPages: null }, ...groups],
    memcgsMax: shape.memcgs + 1,
    shrinker: policy,
    shrinkersMax: shape.shrinkers + SPARE_ROWS,
    accessKernel: twin ? 'ts' : 'wasm',
  });
}

/** @param values sorted @returns the value below which `share` of them are, NaN of none */
export function percentile(values: readonly number[], share: number): number {
  return values[Math.min(values.length - 1, Math.floor(values.length * share))] ?? Number.NaN;
}

export class ShrinkerMachine {
  readonly #m: Mm;
  readonly #pool: BenchPool;
  readonly #shape: ShrinkerShape;
  #populated = false;

  /** @param twin the walk's TypeScript twin instead of the WebAssembly kernel */
  constructor(shape: ShrinkerShape, policy: ShrinkerPolicy, twin = false) {
    const config = machineConfig(shape, policy, twin);
    this.#shape = shape;
    this.#m = createMm(config);
    mmInit(this.#m);
    const ids = new Int32Array(new SharedArrayBuffer(4));
    const setup: ShrinkerBenchSetup = { buffers: this.#m.buffers, config, ids };
    this.#pool = new BenchPool(new URL('./shrinker_jobs.js', import.meta.url), setup);
  }

  /** Runs a job on `threads` walkers, and the registrar beside them if the shape has one. */
  async run(job: string, threads: number, ms: number): Promise<ShrinkerSample> {
    const { registerUs } = this.#shape;
    if (!this.#populated) {
      this.#populated = true;
      await this.#pool.run('populate', 1, 0, this.#data(1));
    }
    const data = this.#data(threads);
    const before = this.#counters();
    const all = threads + (registerUs > 0 ? 1 : 0);
    const { ops, ns, delayNs } = await this.#pool.measure(job, all, ms, data);
    const after = this.#counters();
    const second = ns / 1e9;
    const rate = (key: keyof typeof after): number => (after[key] - before[key]) / second;
    const walked = data.callbacks.reduce((sum, count) => sum + count, 0) / second;
    return {
      opsPerSec: ops / second,
      callbacks: rate('callbacks') + walked,
      skipped: rate('skipped'),
      early: rate('early'),
      gracePeriods: rate('gracePeriods'),
      tableBytes: this.#tableBytes(),
      waited: delayNs / ns,
      ...latencies(data, second),
    };
  }

  /**
   * Runs a job under the profiler, the code warm.
   * @param ms of the profile @param intervalUs between samples
   * @returns walks per second, sampling included, and a profile of each walker
   */
  async profile(job: string, threads: number, ms: number, intervalUs: number) {
    await this.run(job, threads, ms / 2);
    const all = threads + (this.#shape.registerUs > 0 ? 1 : 0);
    const { ops, ns, profiles } = await this.#pool.measure(
      job,
      all,
      ms,
      this.#data(threads),
      intervalUs,
    );
    return { opsPerSec: (1e9 * ops) / ns, profiles: profiles.slice(0, threads) };
  }

  /** Ends the workers. */
  close(): Promise<void> {
    return this.#pool.close();
  }

  #data(threads: number): ShrinkerJobData {
    const cells = (count: number) => new Float64Array(new SharedArrayBuffer(count * 8));
    return {
      ...this.#shape,
      latency: cells(1 + 2 * LATENCY_PAIRS),
      callbacks: cells((threads + 1) * CALLBACK_CELLS),
    };
  }

  /** As long as infos are now. */
  #tableBytes(): number {
    const units = (this.#m.shrinker.words[SHRINKER_NR_MAX] as number) / SHRINKER_UNIT_BITS;
    const infoBytes = this.#m.sizes.shrinkers.infoWords * 4;
    return this.#shape.memcgs * (infoBytes + units * (UNIT_MAP_WORDS + SHRINKER_UNIT_BITS) * 4);
  }

  #counters() {
    const m = this.#m;
    return {
      callbacks: vmEvent(m, EV.kr_shrink_count),
      skipped: vmEvent(m, EV.kr_shrink_skipped),
      early: vmEvent(m, EV.kr_shrink_early),
      gracePeriods: Atomics.load(m.rcu.words, RCU_COMPLETED),
    };
  }
}

function latencies({ latency, registerUs }: ShrinkerJobData, second: number) {
  const nr = latency[0] as number;
  const column = (at: number): number[] =>
    Array.from({ length: nr }, (_, i) => (latency[at + 2 * i] as number) / 1e3).sort(
      (a, b) => a - b,
    );
  const [registers, frees] = [column(1), column(2)];
  return {
    registers: registerUs > 0 ? nr / second : Number.NaN,
    registerUsP50: median(registers),
    registerUsP99: percentile(registers, 0.99),
    freeUsP50: median(frees),
    freeUsP99: percentile(frees, 0.99),
  };
}
