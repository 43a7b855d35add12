// SPDX-License-Identifier: GPL-2.0-only
/**
 * `kreclaim bench replay`: replay of accesses that hit, in events per second, beside C.
 *
 * Every page is resident before the first sample, and nothing reclaims, so an event is a hit:
 * translate, test the young and dirty bits, load or store with its check. The C peer
 * (native/replay.c) does the same over the same layout. Cases: with contents and without, through
 * the WebAssembly kernel and through its TypeScript twin; each thread is a CPU with an address
 * space of its own.
 *
 * Goal: at most 2 x the time of C with the kernel. Non-goals: faults, reclaim, absolute figures.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Prng } from '../shared/prng.ts';
import type { F64, U32 } from '../shared/types.ts';
import type { MmConfig, VmaSpec } from '../src/mm/config.ts';
import { PTRS_PER_TABLE } from '../src/mm/limits.ts';
import { createMm } from '../src/mm/mm.ts';
import { mmInit } from '../src/mm/mm_init.ts';
import { KIND_READ, KIND_WRITE } from '../src/mm/user.ts';
import { benchConfig } from './bench_config.ts';
import { buildNative, runNative } from './bench_native.ts';
import { BenchPool } from './bench_pool.ts';
import {
  type BenchCase,
  type BenchGroup,
  type BenchOptions,
  type BenchRow,
  formatRows,
  runBench,
  wantsGroup,
} from './bench_runner.ts';
import type { ReplayBenchSetup } from './replay_jobs.ts';

/** What is replayed: a decoded trace has these. */
export interface ReplayTrace {
  readonly name: string;
  readonly events: U32; // @frozen words of (slot << 2 | kind)
  readonly regions: F64; // @frozen first vpn of each region, multiples of 512
}

export interface ReplayBenchOptions extends BenchOptions {
  /** Only groups whose name contains this. */
  readonly only?: string;
  /** Traces beside the generated one. */
  readonly traces?: readonly ReplayTrace[];
}

type Kernel = MmConfig['accessKernel'];

/** Pages of the generated trace: 64 MiB, page tables that fit in a second-level cache. */
const ZIPF_PAGES = 1 << 14;
const ZIPF_EVENTS = 1 << 20;
const ZIPF_SKEW = 0.99;
const ZIPF_WRITES = 0.3;

/**
 * Accesses by Zipf's law over scattered pages: the rank of a page has nothing to do with its place.
 */
export function zipfTrace(pages = ZIPF_PAGES, events = ZIPF_EVENTS, seed = 1): ReplayTrace {
  const prng = new Prng(seed);
  const cumulative = new Float64Array(pages);
  let sum = 0;
  for (let rank = 0; rank < pages; rank++) {
    sum += 1 / (rank + 1) ** ZIPF_SKEW;
    cumulative[rank] = sum;
  }
  const pageOf = Uint32Array.from({ length: pages }, (_, page) => page);
  for (let i = pages - 1; i > 0; i--) {
    const j = prng.below(i + 1);
    [pageOf[i], pageOf[j]] = [pageOf[j] as number, pageOf[i] as number];
  }
  const words = new Uint32Array(new SharedArrayBuffer(events * 4));
  for (let at = 0; at < events; at++) {
    const target = prng.nextFloat() * sum;
    let low = 0;
    for (let high = pages - 1; low < high; ) {
      const middle = (low + high) >> 1;
      if ((cumulative[middle] as number) < target) low = middle + 1;
      else high = middle;
    }
    const kind = prng.nextFloat() < ZIPF_WRITES ? KIND_WRITE : KIND_READ;
    words[at] = ((pageOf[low] as number) << 2) | kind;
  }
  const regions = new Float64Array(new SharedArrayBuffer((pages / PTRS_PER_TABLE) * 8));
  for (let region = 0; region < regions.length; region++) regions[region] = region * PTRS_PER_TABLE;
  return { name: 'zipf', events: words, regions };
}

/** Regions as VMAs, adjacent ones merged. */
function vmasOf(regions: F64): VmaSpec[] {
  const vmas: { start: number; end: number }[] = [];
  for (const start of Float64Array.from(regions).sort()) {
    const last = vmas.at(-1);
    if (last?.end === start) last.end += PTRS_PER_TABLE;
    else vmas.push({ start, end: start + PTRS_PER_TABLE });
  }
  return vmas;
}

/** A machine in which `cpus` processes with all of the trace's pages fit. */
function replayConfig(
  trace: ReplayTrace,
  cpus: number,
  contents: boolean,
  kernel: Kernel,
): MmConfig {
  const footprint = new Set(trace.events.map((word) => word >>> 2)).size * cpus;
  const vmas = vmasOf(trace.regions);
  return benchConfig({
    nodes: [{ zonePages: [2 * footprint + 4096] }],
    cpus,
    processes: Array.from({ length: cpus }, (_, cpu) => ({
      comm: `replay${cpu}`,
      memcg: 0,
      cpus: [cpu],
      program: { module: '', export: '' },
      args: null,
      vmas,
      generator: false,
      file: null,
    })),
    contents,
    accessKernel: kernel,
    regionsMax: trace.regions.length,
    pageTables: (trace.regions.length * 4 + 8) * cpus,
    vmasMax: vmas.length * cpus,
  });
}

/** A machine of the trace's, and its CPUs as a pool. */
function openPool(trace: ReplayTrace, cpus: number, contents: boolean, kernel: Kernel): BenchPool {
  const config = replayConfig(trace, cpus, contents, kernel);
  const m = createMm(config);
  mmInit(m);
  const { events, regions } = trace;
  const setup: ReplayBenchSetup = { buffers: m.buffers, config, events, regions };
  return new BenchPool(new URL('./replay_jobs.js', import.meta.url), setup);
}

interface Bench {
  readonly pools: BenchPool[];
  readonly native: string | null;
  /** Where the C peer reads the events. */
  readonly dir: string;
  readonly ms: number;
}

/** The trace as native/replay.c reads it. @returns the file */
function writeEvents(bench: Bench, trace: ReplayTrace): string {
  const path = join(bench.dir, `${trace.name}.events`);
  const header = Uint32Array.of(trace.regions.length, trace.events.length);
  const words = new Uint32Array(header.length + trace.events.length);
  words.set(header);
  words.set(trace.events, header.length);
  writeFileSync(path, words);
  return path;
}

function replayGroup(
  bench: Bench,
  trace: ReplayTrace,
  contents: boolean,
  threads: readonly number[],
): BenchGroup {
  const cases: BenchCase[] = [];
  const kernels: readonly Kernel[] = ['wasm', 'ts'];
  const pools = kernels.map((kernel) => openPool(trace, Math.max(...threads), contents, kernel));
  bench.pools.push(...pools);
  const program = bench.native;
  const file = program === null ? '' : writeEvents(bench, trace);
  for (const nr of threads) {
    const peer = `C x${nr}`;
    const kind = contents ? 'contents' : 'bare';
    if (program !== null) {
      const run = () => runNative(program, bench.ms, kind, nr, file);
      cases.push({ name: peer, threads: nr, run });
    }
    kernels.forEach((kernel, index) => {
      const run = () => (pools[index] as BenchPool).run('replay', nr, bench.ms);
      const name = `${kernel} x${nr}`;
      cases.push({ name, threads: nr, run, ...(program === null ? {} : { peer }) });
    });
  }
  return { name: `replay: ${trace.name}, contents ${contents ? 'on' : 'off'}`, cases };
}

/**
 * Measures replay of hits.
 * @returns one row per case: C, the kernel and its twin by threads, contents and trace
 * @context the main thread; starts its own workers and ends them. Under a minute by default
 */
export async function replayBench(options: ReplayBenchOptions = {}): Promise<BenchRow[]> {
  const { threads = [1, 2], native = true, quick = false, notice = () => {} } = options;
  const rounds = quick ? 1 : (options.rounds ?? 7);
  const program = native ? await buildNative('replay', notice) : null;
  const dir = mkdtempSync(join(tmpdir(), 'kreclaim-bench-'));
  const bench: Bench = { pools: [], native: program, dir, ms: quick ? 20 : 200 };
  const traces = [quick ? zipfTrace(1 << 11, 1 << 15) : zipfTrace(), ...(options.traces ?? [])];
  try {
    const rows: BenchRow[] = [];
    for (const trace of traces) {
      for (const contents of [true, false]) {
        const group = replayGroup(bench, trace, contents, threads);
        if (!wantsGroup(group.name, options)) continue;
        const onRound = (name: string, round: number) => {
          notice(`${name}: round ${round}/${rounds}`);
        };
        rows.push(...(await runBench([group], { rounds, signal: options.signal, onRound })));
        await Promise.all(bench.pools.splice(0).map((pool) => pool.close()));
      }
    }
    return rows;
  } finally {
    await Promise.all(bench.pools.map((pool) => pool.close()));
    rmSync(dir, { recursive: true, force: true });
  }
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const quick = process.argv.includes('--quick');
  const native = !process.argv.includes('--no-native');
  const only = process.argv.find((arg) => arg.startsWith('--only='))?.slice('--only='.length) ?? '';
  const notice = (line: string) => console.error(line);
  const rows = await replayBench({ quick, native, only, notice });
  console.log(formatRows(rows));
}
