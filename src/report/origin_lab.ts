// SPDX-License-Identifier: GPL-2.0-only
/**
 * A machine for one sample of the waits for the rmap lock: forkers, eaters, kswapd. Booted for each
 * sample, so that the variants can take turns. Anonymous pages hold no bytes.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ThreadSpec } from '../../kthreads/engine.ts';
import { lockStatRows } from '../../shared/lock_report.ts';
import { resolveMachine } from '../config.ts';
import { Machine } from '../machine.ts';
import { machineThreads } from '../machine_threads.ts';
import { checkQuiescent } from '../mm/check.ts';
import type { MmConfig } from '../mm/config.ts';
import { LC_ANON_VMA, LC_I_MMAP } from '../mm/lock_order.ts';
import { createMm, type Mm } from '../mm/mm.ts';
import { mmInit } from '../mm/mm_init.ts';
import { vmEvents } from '../mm/vmstat.ts';
import type { ProcessSpec } from '../workload/workload.ts';
import { type Placement, RECORD_WORDS, readPlacements } from './origin_placement.ts';
import {
  FIGURE_MS,
  FIGURE_OPS,
  FIGURE_STEAL,
  FIGURE_WORST_MS,
  ORIGIN_FIGURES,
  ORIGIN_WORDS,
  type OriginArgs,
} from './origin_threads.ts';

/** What is reclaimed: anonymous pages, or those of files that processes map. */
export type OriginFolios = 'anon' | 'file';

/** One sample to take. */
export interface OriginPlan {
  readonly variant: 'blocking' | 'trylock';
  readonly folios: OriginFolios;
  /** Processes that fork, and that sweep. */
  readonly forkers: number;
  readonly eaters: number;
  /** A holder of the lock sleeps inside for so long; 0 for its work alone. */
  readonly holdUs: number;
  readonly ms: number;
  readonly seed: number;
}

/** What came of it. Times in ms. */
export interface OriginSample {
  readonly variant: OriginPlan['variant'];
  readonly forkers: number;
  readonly holdUs: number;
  /** Reclaimers' waits for the lock. */
  readonly waits: number;
  readonly waitMsSum: number;
  readonly waitMsMax: number;
  /** Trylocks that failed. */
  readonly contended: number;
  readonly stealPerSec: number;
  readonly forksPerSec: number;
  /** Longest round of an eater: 64 accesses. */
  readonly eaterMsMax: number;
  readonly placements: readonly Placement[];
  /** Broken invariants at the end. */
  readonly violations: readonly string[];
}

const FORKER_PAGES = 1024;
const EATER_PAGES = 2048;
const START = 1 << 16;
const HUNG_TASK_S = 60;
/** Memory in parts of all pages that are used. */
const MEMORY = 0.6;
/** Page tables of a child, and some that are on their way back. */
const CHILD_TABLES = 16;

interface Shared {
  readonly dir: string | null;
  readonly control: OriginArgs['control'];
  readonly figures: OriginArgs['figures'];
  readonly stamps: OriginArgs['stamps'];
  readonly records: OriginArgs['records'];
}

function labProcesses(plan: OriginPlan, shared: Shared): ProcessSpec[] {
  const module = new URL('./origin_threads.js', import.meta.url).href;
  const { holdUs, ms, seed } = plan;
  return Array.from({ length: plan.forkers + plan.eaters }, (_, index) => {
    const forks = index < plan.forkers;
    const pages = forks ? FORKER_PAGES : EATER_PAGES;
    const args: OriginArgs = { ...shared, index, seed, start: START, pages, holdUs, ms };
    return {
      comm: forks ? `forker${index}` : `eater${index - plan.forkers}`,
      cpus: [index],
      program: { module, export: forks ? 'originForker' : 'originEater' },
      args,
      vmas: shared.dir === null ? [{ start: START, end: START + pages }] : [],
    };
  });
}

/** Pages that the processes use, children's copies apart. */
function footprint({ forkers, eaters }: OriginPlan): number {
  return forkers * FORKER_PAGES + eaters * EATER_PAGES;
}

function memoryPages(plan: OriginPlan): number {
  return Math.floor(MEMORY * footprint(plan));
}

function labConfig(plan: OriginPlan, processes: readonly ProcessSpec[]): MmConfig {
  const { mm } = resolveMachine(
    {
      cpus: processes.length,
      memory: memoryPages(plan) * 4096,
      contents: plan.folios === 'file',
      hostFiles: plan.folios === 'file',
      rmapTrylock: plan.variant === 'trylock',
      hungTask: HUNG_TASK_S,
      seed: plan.seed,
    },
    processes,
  );
  const children = 2 * plan.forkers;
  return {
    ...mm,
    mmsMax: mm.mmsMax + children,
    vmasMax: mm.vmasMax + 8 * children,
    pageTables: mm.pageTables + CHILD_TABLES * children,
  };
}

function labThreads(config: MmConfig, args: OriginArgs): ThreadSpec[] {
  const module = new URL('./origin_threads.js', import.meta.url).href;
  return machineThreads(config).map((spec) =>
    spec.comm === 'kswapd0'
      ? { ...spec, module, export: 'originKswapd', args: [...spec.args, args] }
      : spec,
  );
}

function readSample(plan: OriginPlan, m: Mm, shared: Shared): OriginSample {
  const threads = Array.from({ length: plan.forkers + plan.eaters }, (_, i) => i);
  const at = (thread: number, figure: number): number =>
    shared.figures[thread * ORIGIN_FIGURES + figure] as number;
  const seconds = (thread: number): number => Math.max(at(thread, FIGURE_MS), 1) / 1000;
  const forkers = threads.slice(0, plan.forkers);
  const lock = plan.folios === 'file' ? LC_I_MMAP : LC_ANON_VMA;
  const waits = lockStatRows(m.sync).find((row) => row.cls === lock && row.read);
  return {
    variant: plan.variant,
    forkers: plan.forkers,
    holdUs: plan.holdUs,
    waits: waits?.contentions ?? 0,
    waitMsSum: (waits?.waitNsTotal ?? 0) / 1e6,
    waitMsMax: (waits?.waitNsMax ?? 0) / 1e6,
    contended: vmEvents(m).kr_rmap_contended,
    stealPerSec: at(0, FIGURE_STEAL) / seconds(0),
    forksPerSec: forkers.reduce((sum, i) => sum + at(i, FIGURE_OPS) / seconds(i), 0),
    eaterMsMax: Math.max(...threads.slice(plan.forkers).map((i) => at(i, FIGURE_WORST_MS))),
    placements: readPlacements(shared.records, threads.length + 1),
    violations: checkQuiescent(m).violations,
  };
}

/**
 * Takes one sample on a machine of its own.
 * @param signal ends it early: the promise then rejects
 * @throws MachinePanicError when the machine broke
 * @context main thread
 */
export async function takeOriginSample(
  plan: OriginPlan,
  signal?: AbortSignal,
): Promise<OriginSample> {
  const dir = plan.folios === 'file' ? mkdtempSync(join(tmpdir(), 'kreclaim-origin-')) : null;
  try {
    return await sampleIn(plan, dir, signal);
  } finally {
    if (dir !== null) rmSync(dir, { recursive: true, force: true });
  }
}

/** @param dir a folder of the host for the sample's files; null where there are none */
async function sampleIn(
  plan: OriginPlan,
  dir: string | null,
  signal?: AbortSignal,
): Promise<OriginSample> {
  const rows = plan.forkers + plan.eaters + 1;
  const f64 = (words: number) => new Float64Array(new SharedArrayBuffer(8 * words));
  const shared: Shared = {
    dir,
    control: new Int32Array(new SharedArrayBuffer(4 * ORIGIN_WORDS)),
    figures: f64(rows * ORIGIN_FIGURES),
    stamps: f64(memoryPages(plan) + 2),
    records: f64(rows * RECORD_WORDS),
  };
  const processes = labProcesses(plan, shared);
  const m = createMm(labConfig(plan, processes));
  mmInit(m);
  const kswapdArgs: OriginArgs = { ...(processes[0]?.args as OriginArgs), index: rows - 1 };
  const options = signal === undefined ? {} : { signal };
  const machine = await Machine.bootMm(m, options, labThreads(m.config, kswapdArgs));
  try {
    await machine.run();
    signal?.throwIfAborted();
    await machine.freeze();
    const sample = readSample(plan, m, shared);
    machine.thaw();
    return sample;
  } finally {
    await machine.shutdown();
  }
}
