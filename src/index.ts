// SPDX-License-Identifier: GPL-2.0-only
/**
 * kreclaim: Linux page reclaim in user space, on real threads.
 *
 *   const machine = await Machine.boot({ memory: '64M', processes: [...] });
 *   await machine.run();
 *   machine.vmstat().pgscan_kswapd;
 *   await machine.shutdown();
 *
 * `runWorkload` does all of that at once and returns a report.
 */

export type { PanicReason, PanicRecord } from '../kthreads/panic.ts';
// what a program sees
export type { ForkOptions, Proc, ProcCall, ProcProgram } from '../kthreads/proc.ts';
export { ProcFiles, SEEK_CUR, SEEK_END, SEEK_SET } from '../kthreads/proc_files.ts';
export type { MmapOptions } from '../kthreads/proc_mmap.ts';
export type { Process } from '../kthreads/process.ts';
export type { ProcessShrinkers } from '../kthreads/process_shrinkers.ts';
export type { ShrinkerOptions } from '../kthreads/shrinker_options.ts';
// configuration
export { type FullConfig, type MachineConfig, parseConfig } from './config_schema.ts';
// many seeds of a deterministic machine
export { HostKeeper } from './deterministic/host_keeper.ts';
export { SeedPool } from './deterministic/seed_pool.ts';
export type { SeedResult } from './deterministic/seed_result.ts';
export type { SeedsInput } from './deterministic/seed_task.ts';
export { runSeeds, type SeedsOptions, type SeedsReport } from './deterministic/seeds.ts';
export { UsageError } from './errors.ts';
// the machine
export type { MachineOptions, MachineState, RunResult } from './machine.ts';
export { MachineBootError, MachinePanicError } from './machine_errors.ts';
export type { ModuleRef, ShrinkerPolicy, ShrinkerTypeConfig, VmaSpec } from './mm/config.ts';
export type { FaultAttr, FaultConfig, FaultName } from './mm/faults.ts';
export {
  O_APPEND,
  O_CREAT,
  O_EXCL,
  O_RDONLY,
  O_RDWR,
  O_TRUNC,
  O_WRONLY,
} from './mm/fdtable_types.ts';
export { RUN_DONE, RUN_KILLED, RUN_SIGBUS, RUN_SIGSEGV, RUN_STOPPED } from './mm/user.ts';
export { type BootConfig, ReclaimMachine as Machine } from './reclaim_machine.ts';
export type * from './report/compare/compare_report.ts';
export type * from './report/run_report.ts';
export { reportExitCode } from './report/run_report.ts';
export type { Sample } from './report/sampler.ts';
export { formatSummary } from './report/text_summary.ts';
export { type RunWorkloadOptions, runWorkload, traceWorkload, type Workload } from './run.ts';
export type { Size } from './size.ts';
export type { ThreadInfo } from './thread_info.ts';
// workloads and scenarios
export { type GeneratorOptions, generateTrace } from './workload/generators.ts';
export {
  loadScenario,
  planScenario,
  type Scenario,
  type ScenarioPlan,
} from './workload/scenario.ts';
export { readTrace, type Trace, writeTrace } from './workload/trace.ts';
export { type ProcessSpec, type ProgramSpec, REPLAY_PROGRAM } from './workload/workload.ts';
