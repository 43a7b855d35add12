// SPDX-License-Identifier: GPL-2.0-only
/**
 * A run report as numbers with names, for runs to be compared by. Of /proc/vmstat under its own
 * names; the rest is named here:
 *
 *   pgscan, pgsteal, refaults, allocstall   sums of vmstat's parts
 *   wallMs, bootMs, eventsPerSec, maxRssBytes, cpuMs: in parallel mode; else virtualMs
 *   fault.p50Ns, majorFault.p99Ns, allocStall.p50Ns   latencies
 *   cpuMs, cpuMs.kswapd                     CPU time: of all threads, of a kind of thread
 *   lock.waitNs, lock.waitNs.ptl, lock.contentions.ptl   of all classes, of a class of locks
 *   kcompressd.pages, kcompressd.depthMean, kshrinkd.stolen, ...   threads of a kind together
 *   scenario.NAME                           what the scenario's programs counted
 *   integrity.mismatches, integrity.violations, oomKilled
 */
import type { LatencyReport, RunReport } from '../run_report.ts';

/** What a report is read for. */
export type Countable = Pick<
  RunReport,
  | 'mode'
  | 'schedule'
  | 'vmstat'
  | 'counters'
  | 'wallMs'
  | 'bootMs'
  | 'maxRssBytes'
  | 'latencyNs'
  | 'threads'
  | 'lockStat'
  | 'processes'
  | 'scenario'
  | 'integrity'
  | 'faults'
> &
  // Reports of before they were there have none.
  Partial<Pick<RunReport, 'kshrinkd' | 'kcompressd'>>;

/** By name; null where there was nothing to measure. */
export type Counters = Readonly<Record<string, number | null>>;

/** Shown whether they differ or not. */
export const HEADLINE: readonly string[] = [
  'pgscan',
  'pgsteal',
  'refaults',
  'pgfault',
  'pgmajfault',
  'allocstall',
  'wallMs',
  'virtualMs',
];

const SUMS: Readonly<Record<string, RegExp>> = {
  pgscan: /^(memcg_)?pgscan_(kswapd|direct)$/,
  pgsteal: /^(memcg_)?pgsteal_(kswapd|direct)$/,
  refaults: /^workingset_refault_/,
  allocstall: /^allocstall_/,
};

/** Known where time is real. */
const REAL = ['wallMs', 'bootMs', 'maxRssBytes', 'eventsPerSec', 'cpuMs'];

/** Names that every report has, and names of kinds, which depend on what was run. */
const FIXED = [
  ...Object.keys(SUMS),
  ...REAL,
  ...['virtualMs', 'oomKilled'],
  ...['lock.waitNs', 'lock.contentions', 'integrity.mismatches', 'integrity.violations'],
  ...['fault', 'majorFault', 'allocStall'].flatMap((kind) =>
    ['p50Ns', 'p99Ns'].map((part) => `${kind}.${part}`),
  ),
];
const OPEN = [
  'kcompressd.',
  'kshrinkd.',
  'cpuMs.',
  'lock.waitNs.',
  'lock.contentions.',
  'scenario.',
  'injected.',
];

/** Whether a report may have a counter of that name. @param own names of the kernel's and ours */
export function mayCount(name: string, own: readonly string[]): boolean {
  return FIXED.includes(name) || own.includes(name) || isOfKind(name);
}

/** Whether it is of a kind: a run that does not name it counted none. */
export function isOfKind(name: string): boolean {
  return OPEN.some((kind) => name.startsWith(kind));
}

/** Whether it needs real time. */
export function needsRealTime(name: string): boolean {
  return REAL.includes(name) || name.startsWith('cpuMs.') || isDaemonTime(name);
}

/** Names to choose from, without those of kinds. */
export function fixedNames(own: readonly string[]): string[] {
  return [...FIXED, ...own];
}

/** Sums over what has the same name. */
class Sums {
  readonly values: Record<string, number | null> = {};

  most(name: string, value: number): void {
    this.values[name] = Math.max(this.values[name] ?? 0, value);
  }

  add(name: string, value: number | null): void {
    const before = this.values[name];
    this.values[name] = before === undefined || value === null ? value : (before ?? 0) + value;
  }
}

/** `kswapd` of `kswapd0`. */
const kindOf = (comm: string): string => comm.replace(/\d+(:\d+)?$/, '') || comm;

function addLatency(sums: Sums, name: string, latency: LatencyReport): void {
  sums.add(`${name}.p50Ns`, latency.p50);
  sums.add(`${name}.p99Ns`, latency.p99);
}

function addThreads(sums: Sums, report: Countable): void {
  for (const { comm, cpuMs } of report.threads) {
    if (cpuMs === null) continue;
    sums.add('cpuMs', cpuMs);
    sums.add(`cpuMs.${kindOf(comm)}`, cpuMs);
  }
}

function addLocks(sums: Sums, report: Countable): void {
  for (const { class: name, waitNsTotal, contentions } of report.lockStat) {
    sums.add('lock.waitNs', waitNsTotal);
    sums.add('lock.contentions', contentions);
    sums.add(`lock.waitNs.${name}`, waitNsTotal);
    sums.add(`lock.contentions.${name}`, contentions);
  }
}

function addRealTime(sums: Sums, report: Countable): void {
  const { wallMs, bootMs, maxRssBytes, processes } = report;
  const accesses = processes.reduce((sum, process) => sum + process.events, 0);
  sums.add('wallMs', wallMs);
  if (wallMs > 0) sums.add('eventsPerSec', accesses / (wallMs / 1000));
  if (bootMs !== null) sums.add('bootMs', bootMs);
  if (maxRssBytes !== null) sums.add('maxRssBytes', maxRssBytes);
  addThreads(sums, report);
}

/** Figures of a daemon that are times: known where time is real. */
const DAEMON_TIMES = ['busyShare', 'pagesPerSec', 'pagesPerCpuSec'].map(
  (name) => `kcompressd.${name}`,
);

function isDaemonTime(name: string): boolean {
  return DAEMON_TIMES.includes(name);
}

/** Sums over the threads of kcompressd and of kshrinkd; of depths the mean, or the most. */
function addDaemons(sums: Sums, { kshrinkd, kcompressd, mode }: Countable): void {
  for (const { comm: _, nid: __, depth: ___, depthMax, ...pages } of kshrinkd ?? []) {
    for (const [name, count] of Object.entries(pages)) sums.add(`kshrinkd.${name}`, count);
    sums.most('kshrinkd.depthMax', depthMax);
  }
  const rows = kcompressd ?? [];
  const sum = (value: (row: (typeof rows)[number]) => number): number =>
    rows.reduce((total, row) => total + value(row), 0);
  for (const { queued, stored, failed, pages, fallbackFull, fallbackOff, depthMax } of rows) {
    const counts = { queued, stored, failed, pages, fallbackFull, fallbackOff };
    for (const [name, count] of Object.entries(counts)) sums.add(`kcompressd.${name}`, count);
    sums.most('kcompressd.depthMax', depthMax);
  }
  const taken = sum(({ stored, failed }) => stored + failed);
  if (taken > 0) {
    const depths = sum(({ depthMean, stored, failed }) => (depthMean ?? 0) * (stored + failed));
    sums.add('kcompressd.depthMean', depths / taken);
  }
  const busyMs = sum((row) => row.busyMs);
  if (mode !== 'parallel' || busyMs === 0) return;
  sums.add('kcompressd.busyShare', sum(({ busyShare }) => busyShare ?? 0) / rows.length);
  const pages = sum((row) => row.pages);
  sums.add('kcompressd.pagesPerSec', (1000 * pages) / busyMs);
  const cpuSec = sum((row) => (row.pagesPerCpuSec === null ? 0 : row.pages / row.pagesPerCpuSec));
  if (cpuSec > 0) sums.add('kcompressd.pagesPerCpuSec', pages / cpuSec);
}

/** @returns everything that the report counts */
export function countersOf(report: Countable): Counters {
  const sums = new Sums();
  const events = { ...report.vmstat, ...report.counters };
  for (const [name, part] of Object.entries(SUMS)) {
    sums.add(name, 0);
    for (const [event, count] of Object.entries(events))
      if (part.test(event)) sums.add(name, count);
  }
  for (const [name, count] of Object.entries(events)) sums.add(name, count);
  if (report.mode === 'parallel') addRealTime(sums, report);
  else if (report.schedule !== null) sums.add('virtualMs', report.schedule.virtualMs);
  for (const [name, latency] of Object.entries(report.latencyNs)) addLatency(sums, name, latency);
  addLocks(sums, report);
  addDaemons(sums, report);
  for (const [name, value] of Object.entries(report.scenario?.figures ?? {})) {
    sums.add(`scenario.${name}`, value);
  }
  for (const [name, count] of Object.entries(report.faults)) sums.add(`injected.${name}`, count);
  sums.add('oomKilled', report.processes.filter(({ oomKilled }) => oomKilled).length);
  sums.add('integrity.mismatches', report.integrity.mismatches);
  sums.add('integrity.violations', report.integrity.violations);
  return sums.values;
}
