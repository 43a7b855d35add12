// SPDX-License-Identifier: GPL-2.0-only
/**
 * Processes in a report: those of the configuration, and of those made at run time the first
 * TASK_RECORDS, in the order of their pids.
 */
import { CPU_ENDED, CPU_RESULT, CPU_STATUS } from '../../kthreads/cpu_state.ts';
import { LINE_WORDS } from '../../shared/types.ts';
import type { ProcessConfig } from '../mm/config.ts';
import { MEMCG_NAME_BYTES } from '../mm/limits.ts';
import type { Mm } from '../mm/mm.ts';
import { MMF_OOM_VICTIM } from '../mm/mm_types.ts';
import {
  HOW_EXITED,
  HOW_KILLED,
  HOW_RUNNING,
  HOW_SIGBUS,
  HOW_SIGSEGV,
  HOW_STOPPED,
  SCHED_EXITS,
  SCHED_FORKS,
  SCHED_KILLS,
  SCHED_PEAK,
  SCHED_RECORDS,
  schedEnabled,
  TASK_RECORDS,
} from '../mm/sched_types.ts';
import { RUN_DONE, RUN_KILLED, RUN_SIGBUS, RUN_SIGSEGV, RUN_STOPPED } from '../mm/user.ts';
import type { ProcessReport, ProcessStatus, TasksReport } from './run_report.ts';

const STATUS: Readonly<Record<number, ProcessStatus>> = {
  [RUN_DONE]: 'done',
  [RUN_KILLED]: 'killed',
  [RUN_SIGSEGV]: 'fault',
  [RUN_SIGBUS]: 'bus error',
  [RUN_STOPPED]: 'stopped',
};

/** The worst of how the CPUs of a process ended. */
function processStatus(m: Mm, cpus: readonly number[]): ProcessStatus {
  const statuses = cpus.map((cpu): ProcessStatus => {
    const row = cpu * LINE_WORDS;
    const stage = Atomics.load(m.cpuState, row + CPU_STATUS);
    if (stage === 0) return 'not run';
    if (stage !== CPU_ENDED) return 'unknown';
    return STATUS[Atomics.load(m.cpuState, row + CPU_RESULT)] ?? 'done';
  });
  const worst: ProcessStatus[] = ['unknown', 'fault', 'bus error', 'killed', 'stopped', 'not run'];
  return worst.find((status) => statuses.includes(status)) ?? 'done';
}

const HOW: Readonly<Record<number, ProcessStatus>> = {
  [HOW_EXITED]: 'done',
  [HOW_KILLED]: 'killed',
  [HOW_SIGSEGV]: 'fault',
  [HOW_SIGBUS]: 'bus error',
  [HOW_STOPPED]: 'stopped',
};

/** A process of the configuration whose program is a function. */
function programReport(m: Mm, index: number): ProcessReport {
  const { comm, cpus, memcg } = m.config.processes[index] as ProcessConfig;
  const mm = index + 1;
  const first = cpus[0] as number;
  const events = cpus.map((cpu) => m.cpuEvents[cpu * LINE_WORDS] as number);
  const row = first * LINE_WORDS;
  const ended = Atomics.load(m.cpuState, row + CPU_STATUS) === CPU_ENDED;
  return {
    pid: mm,
    parent: 0,
    exitCode: null,
    comm,
    cpu: first,
    cpus,
    memcg: m.config.memcgs[memcg]?.name ?? '',
    status: processStatus(m, cpus),
    result: ended ? Atomics.load(m.cpuState, row + CPU_RESULT) : null,
    events: events.reduce((a, b) => a + b, 0),
    faults: Atomics.load(m.mm.faults, mm),
    majorFaults: Atomics.load(m.mm.majorFaults, mm),
    oomKilled: (Atomics.load(m.mm.flags, mm) & MMF_OOM_VICTIM) !== 0,
    rss: Atomics.load(m.mm.rssAnon, mm),
    swapped: Atomics.load(m.mm.swapEnts, mm),
    pageTables: Atomics.load(m.mm.nrTables, mm),
  };
}

/** Name of a program by its position: those of the configuration, then those of its processes. */
function programComm(m: Mm, index: number): string {
  const { programs, processes } = m.config;
  return programs[index]?.name ?? processes[index - programs.length]?.comm ?? '';
}

/** The group that a process begins in, where nobody knows better. */
function configuredMemcg(m: Mm, pid: number): string {
  return m.config.memcgs[m.config.processes[pid - 1]?.memcg ?? 0]?.name ?? '';
}

/** The group that a task was in at its end. */
function recordedMemcg(m: Mm, index: number): string {
  const at = index * MEMCG_NAME_BYTES;
  const bytes = m.sched.recordMemcg.slice(at, at + MEMCG_NAME_BYTES);
  return String.fromCharCode(...bytes.subarray(0, bytes.indexOf(0)));
}

/** A process whose program is a generator, of the configuration or made at run time. */
function taskReport(m: Mm, index: number): ProcessReport {
  const { record } = m.sched;
  const how = Atomics.load(record.how, index);
  const code = how === HOW_RUNNING ? null : Atomics.load(record.exitCode, index);
  const cpu = Atomics.load(record.cpu, index);
  const pid = Atomics.load(record.pid, index);
  const configured = m.config.processes[pid - 1];
  const started = Atomics.load(m.cpuState, cpu * LINE_WORDS + CPU_STATUS) !== 0;
  return {
    pid,
    parent: Atomics.load(record.parent, index),
    comm: programComm(m, Atomics.load(record.program, index)),
    cpu,
    cpus: configured?.cpus ?? [cpu],
    memcg: how === HOW_RUNNING ? configuredMemcg(m, pid) : recordedMemcg(m, index),
    status: HOW[how] ?? (started ? 'unknown' : 'not run'),
    result: code,
    exitCode: code,
    events: record.accesses[index] as number,
    faults: Atomics.load(record.faults, index),
    majorFaults: Atomics.load(record.majorFaults, index),
    oomKilled: Atomics.load(record.oomKilled, index) !== 0,
    rss: 0,
    swapped: 0,
    pageTables: 0,
  };
}

/** Every process that is reported, by pid. */
export function processReports(m: Mm): ProcessReport[] {
  const reports: ProcessReport[] = [];
  m.config.processes.forEach((process, index) => {
    if (!process.generator) reports.push(programReport(m, index));
  });
  const listed = Math.min(Atomics.load(m.sched.words, SCHED_RECORDS), m.sched.record.pid.length);
  for (let index = 0; index < listed; index++) reports.push(taskReport(m, index));
  return reports.sort((a, b) => a.pid - b.pid);
}

/** Totals over all simulated processes; null where the machine has none. */
export function taskTotals(m: Mm): TasksReport | null {
  if (!schedEnabled(m.config)) return null;
  const { words } = m.sched;
  const made = Atomics.load(words, SCHED_RECORDS);
  return {
    forks: Atomics.load(words, SCHED_FORKS),
    exits: Atomics.load(words, SCHED_EXITS),
    kills: Atomics.load(words, SCHED_KILLS),
    peak: Atomics.load(words, SCHED_PEAK),
    omitted: Math.max(made - TASK_RECORDS, 0),
  };
}
