// SPDX-License-Identifier: GPL-2.0-only
/** A run report as plain text for a terminal. */

import { oneLine } from '../errors.ts';
import { panicText } from '../machine_errors.ts';
import { PAGE_SIZE } from '../mm/limits.ts';
import { formatBytes } from '../size.ts';
import { daemonLines } from './daemon_text.ts';
import type { RunReport } from './run_report.ts';
import { formatNs, formatNumber, formatPairs, formatTable } from './text_table.ts';

/** Lock classes shown. */
const LOCKS_SHOWN = 8;
/** Memory is told as a part of the footprint up to so many per cent of it. */
const SHARE_MAX = 200;
/** Lines of details shown. */
const DETAILS_SHOWN = 10;

function plural(count: number, what: string): string {
  const ending = what.endsWith('ch') ? 'es' : 's';
  return `${formatNumber(count)} ${what}${count === 1 ? '' : ending}`;
}

/** Processes that the summary lists where programs fork. */
const PROCESS_LINES = 20;

function swapText({ swap, swapSize, swapDevices }: RunReport['config']): string {
  if (swapDevices !== null) {
    const devices = swapDevices.map(
      ({ kind, sizePages }) => `${kind} ${formatBytes(sizePages * PAGE_SIZE)}`,
    );
    return `${swap === 'zswap' ? 'zswap, ' : ''}${devices.join(', ')}`;
  }
  return swap === 'none' ? 'none' : `${swap} ${formatBytes(swapSize as number)}`;
}

function headLines(report: RunReport): string[] {
  const { config, footprintPages } = report;
  const memory = config.memory as number;
  const part = (100 * memory) / (footprintPages * PAGE_SIZE);
  // Programs that touch little, or nothing, are no measure of the memory.
  const share = part <= SHARE_MAX ? ` (${part.toFixed(0)} % of the footprint)` : '';
  const names = [...new Set(report.processes.map(({ comm }) => oneLine(comm)))];
  const machine = [
    `${names.join(', ')} on ${plural(config.cpus, 'CPU')}`,
    plural(config.nodes, 'node'),
    `memory ${formatBytes(memory)}${share}`,
  ];
  if (config.memcgMax !== null) machine.push(`limit ${formatBytes(config.memcgMax as number)}`);
  machine.push(`swap ${swapText(config)}`);
  const events = report.processes.reduce((sum, process) => sum + process.events, 0);
  const seconds = report.wallMs / 1000;
  const rate = seconds > 0 ? ` (${formatNumber(events / seconds)}/s)` : '';
  const made = events === 0 ? 'ran for' : `${formatNumber(events)} accesses in`;
  const wall = `${made} ${seconds.toFixed(2)} s${events === 0 ? '' : rate}`;
  return [machine.join('; '), report.interrupted ? `${wall}, interrupted` : wall];
}

function vmstatLines(report: RunReport): string[] {
  const moved = Object.entries(report.vmstat).filter(([, value]) => value !== 0);
  return ['vmstat', ...formatPairs(moved)];
}

/** What the scenario's programs did, and what shrinkers did. */
function shrinkerLines(report: RunReport): string[] {
  const { scenario, counters, vmstat, config, bootMs, maxRssBytes } = report;
  const lines: string[] = [];
  if (scenario !== null) {
    const figures = Object.entries(scenario.figures)
      .filter(([, value]) => value !== 0)
      .map(([name, value]) => `${name.replace(/PerSec$/, '/s')} ${formatNumber(value)}`);
    if (figures.length > 0) lines.push(`${scenario.name}: ${figures.join(', ')}`);
  }
  const walks = counters.kr_shrink_walk ?? 0;
  if (scenario === null && walks === 0) return [];
  const n = (name: string): string => formatNumber(counters[name] ?? 0);
  lines.push(
    `shrinkers, ${config.shrinker}: ${plural(walks, 'walk')}, ${n('kr_shrink_skipped')} skipped, ` +
      `${n('kr_shrink_early')} cut short; ${n('kr_shrink_count')} counts, ` +
      `${n('kr_shrink_scan')} scans, ${plural(vmstat.slabs_scanned ?? 0, 'object')} scanned`,
  );
  const boot = bootMs === null ? '' : `boot ${(bootMs / 1000).toFixed(2)} s; `;
  const most = maxRssBytes === null ? '' : `; process at most ${formatBytes(maxRssBytes)}`;
  lines.push(`${boot}tables ${formatBytes(report.arenaBytes)}${most}`);
  return lines;
}

/** Processes made at run time, over the whole run. */
function taskLine({ tasks }: RunReport): string[] {
  if (tasks === null) return [];
  const n = formatNumber;
  const rest = tasks.exits - PROCESS_LINES;
  const more = rest > 0 ? `${n(rest)} more; ` : '';
  const { forks, exits, kills, peak } = tasks;
  return [`${more}${n(forks)} forks, ${n(exits)} exits, ${n(kills)} killed, ${n(peak)} at once`];
}

function processLines(report: RunReport): string[] {
  const shown = report.tasks === null ? report.processes : report.processes.slice(0, PROCESS_LINES);
  const rows = shown.map((process) => [
    process.pid,
    oneLine(process.comm),
    process.cpus.join(','),
    process.events,
    process.faults,
    process.majorFaults,
    process.oomKilled ? 'killed: out of memory' : process.status,
  ]);
  const title = ['pid', 'comm', 'cpu', 'accesses', 'faults', 'major', 'end'];
  return ['processes', ...formatTable(title, rows, [1, 6]), ...taskLine(report)];
}

function threadLines(report: RunReport): string[] {
  const rows = report.threads.map(({ comm, cpuMs, wakeups }) => [
    comm,
    cpuMs === null ? null : formatNumber(cpuMs),
    wakeups,
  ]);
  return ['threads', ...formatTable(['comm', 'cpu ms', 'wakeups'], rows)];
}

function lockLines(report: RunReport): string[] {
  if (!report.config.lockStat) return [];
  const rows = report.lockStat
    .slice(0, LOCKS_SHOWN)
    .map((row) => [
      row.class,
      row.acquisitions,
      row.contentions,
      formatNs(row.waitNsTotal),
      formatNs(row.waitNsMax),
      formatNs(row.holdSamples === 0 ? null : row.holdNsTotal / row.holdSamples),
      formatNs(row.holdSamples === 0 ? null : row.holdNsMax),
    ]);
  const title = ['class', 'acquired', 'contended', 'wait', 'wait max', 'hold mean', 'hold max'];
  return ['locks, most contended first; hold times are sampled', ...formatTable(title, rows)];
}

function latencyLines(report: RunReport): string[] {
  const { fault, majorFault, allocStall } = report.latencyNs;
  const kinds = [
    ['fault', fault],
    ['major fault', majorFault],
    ['alloc stall', allocStall],
  ] as const;
  const rows = kinds.map(([name, { count, p50, p90, p99, p999, max }]) => [
    name,
    count,
    ...[p50, p90, p99, p999, max].map(formatNs),
  ]);
  return formatTable(['latency', 'count', 'p50', 'p90', 'p99', 'p99.9', 'max'], rows).map((line) =>
    line.slice(2),
  );
}

function integrityLines(report: RunReport): string[] {
  const { pagesVerified, mismatches, invariantsChecked, violations, details } = report.integrity;
  const pages = `${plural(pagesVerified, 'page')} read back, ${mismatches} mismatches`;
  const checks =
    invariantsChecked === null
      ? 'invariants not checked'
      : `${plural(invariantsChecked, 'invariant')} checked, ${violations} violations`;
  const shown = details.slice(0, DETAILS_SHOWN).map((line) => `  ${oneLine(line, 300)}`);
  const rest = details.length - shown.length;
  if (rest > 0) shown.push(`  and ${rest} more in the report`);
  return [`integrity: ${pages}; ${checks}`, ...shown];
}

/** What was drawn: the schedule and the faults. */
function seededLines(report: RunReport): string[] {
  const lines: string[] = [];
  const { schedule, faults, wallMs } = report;
  if (schedule !== null) {
    const { seed, decisions, switches, scheduleHash, virtualMs } = schedule;
    const rate = wallMs > 0 ? ` (${formatNumber(decisions / (wallMs / 1000))}/s)` : '';
    lines.push(
      `schedule: seed ${seed}, ${plural(decisions, 'decision')}${rate}, ` +
        `${plural(switches, 'switch')}, hash ${scheduleHash}; ` +
        `${(virtualMs / 1000).toFixed(3)} s of virtual time`,
    );
  }
  const injected = Object.entries(faults).map(([name, count]) => `${name} ${formatNumber(count)}`);
  if (injected.length > 0) lines.push(`faults injected: ${injected.join(', ')}`);
  return lines;
}

/** @returns the report as lines, each ended by a newline */
export function formatSummary(report: RunReport): string {
  const sections = [
    headLines(report),
    vmstatLines(report),
    shrinkerLines(report),
    processLines(report),
    threadLines(report),
    daemonLines(report),
    lockLines(report),
    latencyLines(report),
    ...report.oomReports.map((text) => text.split('\n')),
    seededLines(report),
    integrityLines(report),
  ];
  if (report.panic !== null) sections.push(panicText(report.panic).split('\n'));
  const shown = sections.filter((lines) => lines.length > 0);
  return `${shown.map((lines) => lines.join('\n')).join('\n\n')}\n`;
}
