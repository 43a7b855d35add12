// SPDX-License-Identifier: GPL-2.0-only
/**
 * The group `reclaim`: whole machines, one after another, each of a random configuration: traces,
 * sizes, CPUs, limits, sysctls, emulated TLB, lock checking. Every one must verify every page that
 * its programs wrote and pass every invariant, at the end of programs and after shutdown; however
 * it ends, of itself, interrupted, or out of memory.
 *
 * The broken variant is damage done to the machine from outside while it runs; the checks must see
 * it.
 */
import { scheduler } from 'node:timers/promises';
import { ktimeNs } from '../../shared/ktime.ts';
import { Prng } from '../../shared/prng.ts';
import type { MachineConfig } from '../config_schema.ts';
import type { Mm } from '../mm/mm.ts';
import type { RunReport } from '../report/run_report.ts';
import { runWorkload, traceWorkload } from '../run.ts';
import { GENERATOR_KINDS, generateTrace } from '../workload/generators.ts';
import type { Trace } from '../workload/trace.ts';
import {
  allHeld,
  type BustedReport,
  type GroupOptions,
  type GroupReport,
  resultOf,
  type TypeReport,
} from './run.ts';

/** A family of machines. */
interface MachineType {
  readonly name: string;
  /** Damage, and where. */
  readonly busted: string;
  damage(m: Mm): void;
  config(prng: Prng): MachineConfig;
  /** Interrupted: at boot, or so many milliseconds after the first access. */
  interrupt?(prng: Prng): { readonly atBoot: boolean; readonly ms: number };
}

/** How often a machine is damaged, so that it happens while pages are in use. */
const DAMAGE_MS = 10;
const BUSTED_RUNS = 4;
const PAGES_MAX = 1500;
const EVENTS_MAX = 30_000;

const percent = (prng: Prng, low: number, high: number): string =>
  `${low + prng.below(high - low + 1)}%`;

/** What any machine may be, whatever its family. */
function anyConfig(prng: Prng): MachineConfig {
  const config = drawConfig(prng);
  return { ...config, rmapTrylock: (config.seed ?? 0) % 4 !== 0 };
}

function drawConfig(prng: Prng): MachineConfig {
  const cpus = 1 + prng.below(4);
  return {
    cpus,
    share: prng.below(2) === 0,
    memory: percent(prng, 20, 95),
    swappiness: prng.below(201),
    pageCluster: prng.below(6),
    swapSynchronous: prng.below(2) === 0,
    watermarkScaleFactor: 1 + prng.below(200),
    tlb: prng.below(3) === 0 ? 2 ** (2 + prng.below(6)) : 0,
    lockdep: prng.below(3) === 0,
    lockStat: prng.below(2) === 0,
    seed: prng.nextU32(),
    hungTask: 20,
    faults: prng.below(4) === 0 ? 'all' : null,
  };
}

function tracesFor(prng: Prng, config: MachineConfig): Trace[] {
  const programs = config.share === true ? 1 : (config.cpus ?? 1);
  return Array.from({ length: programs }, (_, at) =>
    generateTrace({
      kind: GENERATOR_KINDS[prng.below(GENERATOR_KINDS.length)] as 'uniform',
      pages: 550 + prng.below(PAGES_MAX),
      events: 2000 + prng.below(EVENTS_MAX),
      writeFraction: prng.nextFloat(),
      seed: prng.nextU32(),
      name: `torture${at}`,
    }),
  );
}

const GLOBAL: MachineType = {
  name: 'pressure',
  busted: 'page contents are overwritten',
  damage: (m) => {
    for (const frame of m.frame32) for (let at = 1; at < frame.length; at += 1024) frame[at] = -1;
  },
  config: anyConfig,
};

const MEMCG: MachineType = {
  name: 'memcg_limit',
  busted: 'the usage of a group is raised',
  damage: (m) => {
    Atomics.add(m.memcg.usage, m.sizes.nrMemcgs - 1, 1);
  },
  config: (prng) => {
    const { memory: _, ...rest } = anyConfig(prng);
    return { ...rest, memcgMax: percent(prng, 20, 80) };
  },
};

const INTERRUPTED: MachineType = {
  name: 'interrupted',
  busted: 'a length of an LRU list is raised',
  damage: (m) => {
    Atomics.add(m.zoneLru, 0, 1);
  },
  config: anyConfig,
  interrupt: (prng) => ({ atBoot: prng.below(4) === 0, ms: prng.below(150) }),
};

const NO_SWAP: MachineType = {
  name: 'out_of_memory',
  busted: 'free pages are taken out of the count of a zone',
  damage: (m) => {
    Atomics.sub(m.freeArea, 0, 1);
  },
  config: (prng) => ({ ...anyConfig(prng), swap: 'none', memory: percent(prng, 30, 110) }),
};

const SWAP_FULL: MachineType = {
  name: 'swap_full',
  busted: 'a swap slot is lost',
  damage: (m) => {
    Atomics.sub(m.swapInfo, 0, 1);
  },
  config: (prng) => ({
    ...anyConfig(prng),
    swapSize: percent(prng, 10, 60),
    memory: percent(prng, 20, 70),
  }),
};

const NODES: MachineType = {
  name: 'nodes',
  busted: 'a reference is taken to every page',
  damage: (m) => {
    for (let pfn = 1; pfn < m.sizes.nrPages; pfn++) {
      if (Atomics.load(m.page.refcount, pfn) > 0) Atomics.add(m.page.refcount, pfn, 1);
    }
  },
  config: (prng) => ({ ...anyConfig(prng), nodes: 2 + prng.below(3), memory: '90%' }),
};

const FAULTS: MachineType = {
  name: 'faults',
  busted: 'what zram has stored is overwritten',
  damage: (m) => {
    for (const words of m.store32) for (let at = 0; at < words.length; at += 64) words[at] = at;
  },
  config: (prng) => ({ ...anyConfig(prng), memory: percent(prng, 20, 60), faults: 'all' }),
};

const TYPES = [GLOBAL, MEMCG, INTERRUPTED, NO_SWAP, SWAP_FULL, NODES, FAULTS];

/** Names of the types of the group. */
export const RECLAIM_TYPES: readonly string[] = TYPES.map(({ name }) => name);

/** Counts of the machines of a type. */
class MachineTally {
  runs = 0;
  events = 0;
  pagesVerified = 0;
  invariants = 0;
  swapIns = 0;
  oomKills = 0;
  interrupted = 0;
  readonly failures: string[] = [];

  add(report: RunReport, seed: number): void {
    const { integrity, panic, vmstat } = report;
    this.runs++;
    this.events += report.processes.reduce((sum, { events }) => sum + events, 0);
    this.pagesVerified += integrity.pagesVerified ?? 0;
    this.invariants += integrity.invariantsChecked ?? 0;
    this.swapIns += vmstat.pswpin ?? 0;
    this.oomKills += vmstat.oom_kill ?? 0;
    if (report.interrupted) this.interrupted++;
    if (panic !== null) this.failures.push(`seed ${seed}: panic: ${panic.comm}: ${panic.message}`);
    const { mismatches, violations, details } = integrity;
    if (mismatches > 0) this.failures.push(`seed ${seed}: ${mismatches} mismatches`);
    if ((violations ?? 0) > 0) {
      this.failures.push(`seed ${seed}: ${violations} violations: ${details.join('; ')}`);
    }
  }

  line(): string {
    const bang = this.failures.length > 0 ? ' !!!' : '';
    return (
      `Machines: ${this.runs} events: ${this.events} pages verified: ${this.pagesVerified} ` +
      `invariants: ${this.invariants} swap in: ${this.swapIns} oom: ${this.oomKills} ` +
      `interrupted: ${this.interrupted} Fail: ${this.failures.length}${bang}`
    );
  }

  counts(): Record<string, number> {
    const { runs, events, pagesVerified, invariants, swapIns, oomKills, interrupted } = this;
    return { runs, events, pagesVerified, invariants, swapIns, oomKills, interrupted };
  }
}

/** Damages the machine again and again until it has been run. */
async function damageUntil(m: Mm, type: MachineType, over: AbortSignal): Promise<void> {
  for (;;) {
    await scheduler.wait(DAMAGE_MS, { signal: over });
    type.damage(m);
  }
}

/** Waits for the moment of an interrupt. */
async function interruptLater(
  m: Mm,
  when: { readonly atBoot: boolean; readonly ms: number },
  over: AbortSignal,
  interrupt: () => void,
): Promise<void> {
  const started = (): boolean => m.cpuEvents.some((events) => events > 0);
  while (!when.atBoot && !started()) await scheduler.wait(1, { signal: over });
  await scheduler.wait(when.ms, { signal: over });
  interrupt();
}

/** Boots a machine of the family, runs it, and adds what came of it. */
async function runOne(
  type: MachineType,
  seed: number,
  broken: boolean,
  signal: AbortSignal,
  tally: MachineTally,
): Promise<void> {
  const prng = new Prng(seed);
  const config = type.config(prng);
  const workload = traceWorkload(tracesFor(prng, config), config);
  const over = new AbortController();
  const stop = new AbortController();
  const pass = (): void => stop.abort(new Error('interrupted'));
  if (signal.aborted) pass();
  signal.addEventListener('abort', pass, { once: true });
  const when = broken ? undefined : type.interrupt?.(prng);
  const onBoot = (m: Mm): void => {
    if (broken) damageUntil(m, type, over.signal).catch(() => {});
    if (when !== undefined) interruptLater(m, when, over.signal, pass).catch(() => {});
  };
  try {
    tally.add(await runWorkload(workload, config, { signal: stop.signal, onBoot }), seed);
  } finally {
    over.abort();
    signal.removeEventListener('abort', pass);
  }
}

async function runBusted(
  type: MachineType,
  prng: Prng,
  signal: AbortSignal,
): Promise<BustedReport | null> {
  const startNs = ktimeNs();
  const tally = new MachineTally();
  for (let run = 0; run < BUSTED_RUNS && tally.failures.length === 0; run++) {
    if (signal.aborted) return null;
    try {
      await runOne(type, prng.nextU32(), true, signal, tally);
    } catch (error) {
      // A machine that does not even come down: caught.
      tally.failures.push((error as Error).message);
    }
  }
  const how = (tally.failures[0] ?? '').slice(0, 200);
  if (how === '' && signal.aborted) return null;
  const ms = (ktimeNs() - startNs) / 1e6;
  return { what: type.busted, caught: how !== '', ms, how };
}

async function runType(
  type: MachineType,
  options: GroupOptions,
  signal: AbortSignal,
  shareMs: number,
): Promise<TypeReport> {
  const endNs = ktimeNs() + shareMs * 1e6;
  const prng = new Prng(options.seed, TYPES.indexOf(type));
  options.onPhase?.(type.name, 'busted');
  const busted = await runBusted(type, prng, signal);
  options.onPhase?.(type.name, 'torture');
  const tally = new MachineTally();
  const startNs = ktimeNs();
  do {
    await runOne(type, prng.nextU32(), false, signal, tally);
  } while (ktimeNs() < endNs && !signal.aborted && tally.failures.length === 0);
  const failures = [...tally.failures];
  if (busted?.caught === false) {
    failures.push(`the broken variant (${type.busted}) was not caught`);
  }
  return {
    name: type.name,
    result: resultOf(failures, signal.aborted),
    threads: 0,
    ms: (ktimeNs() - startNs) / 1e6,
    lines: [tally.line()],
    counts: tally.counts(),
    failures,
    busted,
  };
}

/**
 * Runs the group. Its threads are those of its machines: `threads` has no meaning here.
 * @returns a report of each type; failures are in it, not thrown
 */
export async function runReclaim(options: GroupOptions): Promise<GroupReport> {
  const { only = null } = options;
  const signal = options.signal ?? new AbortController().signal;
  const chosen = TYPES.filter(({ name }) => only === null || only.includes(name));
  const startNs = ktimeNs();
  const types: TypeReport[] = [];
  for (const [at, type] of chosen.entries()) {
    if (signal.aborted) {
      const none = { threads: 0, ms: 0, lines: [], counts: {}, failures: [], busted: null };
      types.push({ name: type.name, result: null, ...none });
      continue;
    }
    const leftMs = options.seconds * 1000 - (ktimeNs() - startNs) / 1e6;
    const report = await runType(type, options, signal, leftMs / (chosen.length - at));
    types.push(report);
    options.onType?.(report);
  }
  return { group: 'reclaim', passed: allHeld(types), seconds: (ktimeNs() - startNs) / 1e9, types };
}
