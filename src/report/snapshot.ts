// SPDX-License-Identifier: GPL-2.0-only
/**
 * What a machine's tables say at one instant, as parts of a report. Reads only, takes no lock:
 * exact when the machine rests, and as good as can be had after a panic.
 */
import { CPU_MISMATCHES, CPU_PAGES_VERIFIED } from '../../kthreads/cpu_state.ts';
import { faultsInjected } from '../../shared/fault.ts';
import { HistogramMerge } from '../../shared/histogram.ts';
import { THREADS_MAX } from '../../shared/limits.ts';
import { lockStatRows } from '../../shared/lock_report.ts';
import { LINE_WORDS } from '../../shared/types.ts';
import { cgroupName, memcgPath } from '../mm/cgroup_names.ts';
import { FAULT_NAMES } from '../mm/faults.ts';
import {
  CPU_NOTE_BYTES,
  HIST_ALLOC_STALL,
  HIST_FAULT,
  HIST_MAJOR_FAULT,
  type Mm,
  NR_HISTOGRAMS,
} from '../mm/mm.ts';
import { oomReports } from '../mm/oom_kill.ts';
import { procFiles } from '../mm/proc_files.ts';
import { listedMemcgs, MemcgStats, memcgEvents } from '../mm/proc_memcg.ts';
import { ownItems, vmstatItems } from '../mm/proc_vmstat.ts';
import { nodeLists, zoneName } from '../mm/proc_zoneinfo.ts';
import { type DaemonReport, daemonReport } from './daemon_report.ts';
import { processReports, taskTotals } from './process_report.ts';
import type {
  LatencyReport,
  LockReport,
  MemcgReport,
  NodeReport,
  RunReport,
} from './run_report.ts';

/** Groups made at run time that a report shows. */
export const MEMCGS_REPORTED = 64;

/** The parts of a report that come from the tables. */
export type Snapshot = Pick<
  RunReport,
  | 'vmstat'
  | 'counters'
  | 'nodes'
  | 'memcgs'
  | 'memcgsOmitted'
  | 'processes'
  | 'tasks'
  | 'lockStat'
  | 'proc'
  | 'oomReports'
  | 'latencyNs'
  | 'faults'
> &
  DaemonReport & {
    readonly pagesVerified: number;
    readonly mismatches: number;
    readonly notes: string[];
  };

function nodeReports(m: Mm): NodeReport[] {
  const nodes = m.config.nodes.map((_, nid) => ({
    nid,
    zones: [] as NodeReport['zones'][number][],
    lists: nodeLists(m, nid),
  }));
  const { zone } = m;
  for (let z = 0; z < m.sizes.nrZones; z++) {
    nodes[zone.nid[z] as number]?.zones.push({
      name: zoneName(m, z),
      managed: zone.managed[z] as number,
      free: Atomics.load(zone.nrFree, z),
      min: zone.wmarkMin[z] as number,
      low: zone.wmarkLow[z] as number,
      high: zone.wmarkHigh[z] as number,
    });
  }
  return nodes;
}

/**
 * Groups that are reported: those of the configuration that are still there, and of the others the
 * MEMCGS_REPORTED that hold most, by number.
 */
function reportedMemcgs(m: Mm): { readonly shown: number[]; readonly omitted: number } {
  const listed = listedMemcgs(m).sort((a, b) => a - b);
  const made = listed.filter((memcg) => memcg >= m.config.memcgs.length);
  const usage = new Map(made.map((memcg) => [memcg, Atomics.load(m.memcg.usage, memcg)]));
  const most = made
    .sort((a, b) => (usage.get(b) as number) - (usage.get(a) as number))
    .slice(0, MEMCGS_REPORTED)
    .sort((a, b) => a - b);
  const configured = listed.filter((memcg) => memcg < m.config.memcgs.length);
  return { shown: [...configured, ...most], omitted: made.length - most.length };
}

function memcgReports(m: Mm, memcgs: readonly number[]): MemcgReport[] {
  const stats = new MemcgStats(m);
  return memcgs.map((memcg) => {
    const max = Atomics.load(m.memcg.max, memcg);
    return {
      name: cgroupName(m, memcg),
      path: memcgPath(m, memcg),
      max: max < 0 ? null : max,
      current: Atomics.load(m.memcg.usage, memcg),
      peak: Atomics.load(m.memcg.peak, memcg),
      swap: Atomics.load(m.memcg.swapUsage, memcg),
      events: memcgEvents(m, memcg),
      stat: stats.of(memcg),
    };
  });
}

function lockReports(m: Mm): LockReport[] {
  return lockStatRows(m.sync).map((row) => ({
    class: row.class,
    acquisitions: row.acquisitions,
    contentions: row.contentions,
    waitNsTotal: Math.round(row.waitNsTotal),
    waitNsMax: Math.round(row.waitNsMax),
    holdSamples: row.holdSamples,
    holdNsTotal: Math.round(row.holdNsTotal),
    holdNsMax: Math.round(row.holdNsMax),
  }));
}

function latency(m: Mm, kind: number): LatencyReport {
  const merged = new HistogramMerge();
  for (let id = 0; id < THREADS_MAX; id++) merged.addRow(m.histogram, id * NR_HISTOGRAMS + kind);
  const { count, p50Ns, p90Ns, p99Ns, p999Ns, maxNs } = merged.summary();
  if (count === 0) return { count, p50: null, p90: null, p99: null, p999: null, max: null };
  const max = Math.round(maxNs);
  return { count, p50: p50Ns, p90: p90Ns, p99: p99Ns, p999: p999Ns, max };
}

/** Faults injected so far, of the kinds that are on. */
function faultCounts(m: Mm): Record<string, number> {
  const counts = faultsInjected(m.faults);
  const on = FAULT_NAMES.filter((name) => m.config.faults?.[name] !== undefined);
  return Object.fromEntries(on.map((name) => [name, counts[FAULT_NAMES.indexOf(name)] as number]));
}

/** What CPUs had to say about their first mismatch. */
function mismatchNotes(m: Mm): string[] {
  const notes: string[] = [];
  for (let cpu = 0; cpu < m.config.cpus; cpu++) {
    const bytes = m.cpuNote.slice(cpu * CPU_NOTE_BYTES, (cpu + 1) * CPU_NOTE_BYTES);
    const end = bytes.indexOf(0);
    const text = String.fromCharCode(...bytes.subarray(0, end < 0 ? bytes.length : end));
    if (text !== '') notes.push(text);
  }
  return notes;
}

function sumCpus(m: Mm, word: number): number {
  let sum = 0;
  for (let cpu = 0; cpu < m.config.cpus; cpu++) {
    sum += Atomics.load(m.cpuState, cpu * LINE_WORDS + word);
  }
  return sum;
}

/** Accesses made so far by all CPUs. @context any thread */
export function totalEvents(m: Mm): number {
  let events = 0;
  for (let cpu = 0; cpu < m.config.cpus; cpu++) events += m.cpuEvents[cpu * LINE_WORDS] as number;
  return events;
}

/** @context the main thread; exact at quiescence */
export function takeSnapshot(m: Mm): Snapshot {
  const { shown, omitted } = reportedMemcgs(m);
  return {
    vmstat: vmstatItems(m),
    counters: ownItems(m),
    nodes: nodeReports(m),
    memcgs: memcgReports(m, shown),
    memcgsOmitted: omitted,
    processes: processReports(m),
    tasks: taskTotals(m),
    lockStat: lockReports(m),
    proc: procFiles(m, shown),
    oomReports: oomReports(m),
    latencyNs: {
      fault: latency(m, HIST_FAULT),
      majorFault: latency(m, HIST_MAJOR_FAULT),
      allocStall: latency(m, HIST_ALLOC_STALL),
    },
    faults: faultCounts(m),
    ...daemonReport(m),
    pagesVerified: sumCpus(m, CPU_PAGES_VERIFIED),
    mismatches: sumCpus(m, CPU_MISMATCHES),
    notes: mismatchNotes(m),
  };
}
