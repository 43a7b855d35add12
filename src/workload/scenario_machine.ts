// SPDX-License-Identifier: GPL-2.0-only
/**
 * The machine of a scenario file: its memory, its groups, and which workload has which CPUs. Sizes
 * in bytes are those at scale 1.
 */
import type { MachineConfig } from '../config_schema.ts';
import { CPUS_MAX, MEMORY_PAGES_MIN, PAGE_SIZE } from '../mm/limits.ts';
import { parseSize, type Size } from '../size.ts';
import type { GroupFields } from './scenario_schema.ts';
import type { FileWorkload, ScenarioFile } from './scenario_text.ts';
import type { GroupSpec } from './workload.ts';

/** Memory of a machine at scale 1. */
const MEMORY_PAGES = (64 << 20) / PAGE_SIZE;
/** CPUs for workloads that share them, where nothing says how many. */
const CPUS = 2;
/** Least limit of a group: a charge takes so many pages at once. */
const MEMCG_PAGES_MIN = 64;

/** @returns the size times the scale, where it is one in bytes */
export function scaledSize(name: string, size: Size, scale: number): Size {
  const parsed = parseSize(name, size);
  return 'pages' in parsed ? Math.floor(parsed.pages * scale) * PAGE_SIZE : size;
}

/** @returns pages: bytes times the scale, or a part of so many pages; at least one */
export function scaledPages(name: string, size: Size, scale: number, whole: number): number {
  const parsed = parseSize(name, size);
  const pages = 'pages' in parsed ? parsed.pages * scale : parsed.fraction * whole;
  return Math.max(1, Math.floor(pages));
}

/** The machine's options of a file, at its scale. */
export function scaledMachine(machine: MachineConfig, scale: number): MachineConfig {
  const scaled: Record<string, unknown> = { ...machine };
  for (const name of ['memory', 'memcgMax', 'swapSize'] as const) {
    const size = machine[name];
    if (size !== undefined && size !== null) scaled[name] = scaledSize(name, size, scale);
  }
  if (machine.swapDevices) {
    scaled.swapDevices = machine.swapDevices.map((device) => ({
      ...device,
      sizePages: Math.max(1, Math.floor(device.sizePages * scale)),
    }));
  }
  return scaled;
}

/** What workloads may count on: what the scale says where memory is a part of the footprint. */
export interface Memory {
  readonly pages: number;
  /** Of the machine: as given, or bytes. */
  readonly size: Size | undefined;
}

/** @param config of the machine, what the user says on top of the file */
export function memoryOf(config: MachineConfig, scale: number): Memory {
  const least = MEMORY_PAGES_MIN * (config.nodes ?? 1);
  const usual = Math.max(least, Math.floor(MEMORY_PAGES * scale));
  const limit = config.memcgMax ?? undefined;
  const given = config.memory ?? limit;
  const parsed = given === undefined ? null : parseSize('memory', given);
  const pages = parsed !== null && 'pages' in parsed ? Math.max(1, parsed.pages) : usual;
  // With a limit for all programs, the machine itself has room.
  const size = config.memory ?? (limit === undefined ? usual * PAGE_SIZE : undefined);
  return { pages, size };
}

/** The groups of a file. @param whole pages that parts are of */
export function groupSpecs(
  groups: readonly GroupFields[],
  scale: number,
  whole: number,
): GroupSpec[] {
  const pages = (name: string, size: Size | undefined): number | null =>
    size === undefined ? null : scaledPages(name, size, scale, whole);
  return groups.map((group) => {
    const max = pages('memory.max', group['memory.max']);
    return {
      name: group.name,
      maxPages: max === null ? null : Math.max(max, MEMCG_PAGES_MIN),
      highPages: pages('memory.high', group['memory.high']),
      swapMaxPages: pages('memory.swap.max', group['memory.swap.max']),
      minPages: pages('memory.min', group['memory.min']) ?? 0,
      lowPages: pages('memory.low', group['memory.low']) ?? 0,
    };
  });
}

/** Which CPUs a machine has, and who has which. */
export interface CpuPlan {
  readonly count: number;
  /** CPUs that workloads share, init among them. */
  readonly shared: readonly number[];
  /** Of each workload. */
  readonly of: readonly (readonly number[])[];
}

/** @param own CPUs that the workload needs to itself, 0 for none */
interface Need {
  readonly workload: FileWorkload;
  readonly own: number;
}

/** CPUs that a file needs, where nothing says how many. */
function usualCpus(needs: readonly Need[]): number {
  const named = needs.flatMap(({ workload }) => workload.cpus ?? []);
  const own = needs.reduce((sum, need) => sum + need.own, 0);
  const sharing = needs.some((need) => need.own === 0) ? CPUS : 0;
  return Math.min(CPUS_MAX, Math.max(own + sharing, ...named.map((cpu) => cpu + 1)));
}

/**
 * Deals the CPUs: those that workloads name first, then the last ones to those that need some to
 * themselves; all others are shared.
 * @param given CPUs of the machine @throws UsageError where they do not suffice
 */
export function planCpus(
  file: ScenarioFile,
  owns: readonly number[],
  given: number | undefined,
): CpuPlan {
  const needs = file.workloads.map((workload, at) => ({ workload, own: owns[at] ?? 0 }));
  const count = given ?? usualCpus(needs);
  const taken = new Set<number>();
  const claim = (cpus: readonly number[]): readonly number[] => {
    for (const cpu of cpus) taken.add(cpu);
    return cpus;
  };
  for (const { workload } of needs) checkNamed(file, workload, count);
  const owned = needs.map((need) => {
    if (need.own === 0) return [];
    const others = needs.filter(({ workload }) => workload !== need.workload);
    const named = new Set(others.flatMap(({ workload }) => workload.cpus ?? []));
    const free = Array.from({ length: count }, (_, cpu) => count - 1 - cpu).filter(
      (cpu) => !taken.has(cpu) && !named.has(cpu),
    );
    const cpus = need.workload.cpus ?? free.slice(0, need.own).reverse();
    if (cpus.length === need.own && !cpus.some((cpu) => taken.has(cpu))) return claim(cpus);
    const hint = 'give the machine more cpus, or this workload cpus of its own';
    throw file.bad(need.workload.path, `needs ${need.own} CPUs to itself`, hint);
  });
  const shared = Array.from({ length: count }, (_, cpu) => cpu).filter((cpu) => !taken.has(cpu));
  const of = needs.map(({ workload, own }, at) => {
    if (own > 0) return owned[at] as readonly number[];
    const cpus = workload.cpus ?? shared;
    if (cpus.length > 0 && cpus.every((cpu) => !taken.has(cpu))) return cpus;
    const hint = 'give the machine more cpus, or name others';
    throw file.bad(workload.path, 'has no CPU: another workload has them to itself', hint);
  });
  return { count, shared, of };
}

/** @throws UsageError for a CPU that the machine has not */
function checkNamed(file: ScenarioFile, workload: FileWorkload, count: number): void {
  const beyond = workload.cpus?.findIndex((cpu) => cpu >= count) ?? -1;
  if (beyond < 0) return;
  const reason = `the machine has ${count} CPUs, and none is number ${workload.cpus?.[beyond]}`;
  throw file.bad(`${workload.path}.cpus[${beyond}]`, reason, `give 0..${count - 1}, or more cpus`);
}
