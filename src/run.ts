// SPDX-License-Identifier: GPL-2.0-only
/**
 * Runs a workload on a machine of its own and reports: what the command line and the library share.
 *
 *   parallel        the machine's main side is this thread
 *   deterministic   it is a thread of its own, which takes part in the schedule (deterministic/)
 */
import { type MachineConfig, resolveMachine } from './config.ts';
import { runOnHost } from './deterministic/host_client.ts';
import { UsageError } from './errors.ts';
import type { RunReport } from './report/run_report.ts';
import { type RunWorkloadOptions, runMachineHere, type Workload } from './run_machine.ts';
import type { Trace } from './workload/trace.ts';
import { replayProcesses } from './workload/workload.ts';

export { packageVersion, type RunWorkloadOptions, type Workload } from './run_machine.ts';

/** The traces as a workload: see `replayProcesses`. */
export function traceWorkload(traces: readonly Trace[], config: MachineConfig = {}): Workload {
  return { processes: replayProcesses(traces, config.cpus, config.share ?? false), traces };
}

/**
 * Boots a machine, runs the workload on it, shuts it down, and reports.
 * @throws UsageError for a configuration that cannot be; MachineBootError when the machine did not
 * come up. A panic, an interrupt and a broken invariant are in the report, not thrown
 */
export async function runWorkload(
  workload: Workload,
  config: MachineConfig = {},
  options: RunWorkloadOptions = {},
): Promise<RunReport> {
  const resolved = resolveMachine(config, workload.processes, workload.programs);
  const { profile } = options;
  if (resolved.config.mode === 'parallel') {
    return runMachineHere(workload, resolved, options, () => (profile ? { profile } : {}));
  }
  if (profile !== undefined)
    throw new UsageError("profile: not in mode 'deterministic'; leave it out");
  return runOnHost(workload, resolved, options);
}
