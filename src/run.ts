// SPDX-License-Identifier: GPL-2.0-only
/**
 * Runs a workload on a machine of its own and reports: what the command line and the library share.
 *
 *   parallel        the machine's main side is this thread
 *   deterministic   it is a thread of its own, which takes part in the schedule (deterministic/)
 */
import { type MachineConfig, parseConfig, resolveMachine } from './config.ts';
import { runOnHost } from './deterministic/host_client.ts';
import { UsageError } from './errors.ts';
import { withFolders } from './host_folders.ts';
import type { RunReport } from './report/run_report.ts';
import { type RunWorkloadOptions, runMachineHere, type Workload } from './run_machine.ts';
import type { Trace } from './workload/trace.ts';
import { makeTraceFiles } from './workload/trace_files.ts';
import { replayProcesses } from './workload/workload.ts';

export type { RunWorkloadOptions, Workload } from './run_machine.ts';

/** The traces as a workload: see `replayProcesses`. */
export function traceWorkload(traces: readonly Trace[], config: MachineConfig = {}): Workload {
  const { vmas } = parseConfig({ vmas: config.vmas });
  return { processes: replayProcesses(traces, config.cpus, config.share ?? false, vmas), traces };
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
  const { programs, groups, folders = [] } = workload;
  // What cannot be is known before there is a file.
  const { mode } = resolveMachine(config, workload.processes, programs, groups).config;
  const { profile } = options;
  if (mode !== 'parallel' && profile !== undefined) {
    throw new UsageError("profile: not in mode 'deterministic'; leave it out");
  }
  const files = makeTraceFiles(workload.processes);
  try {
    const resolved = resolveMachine(config, files.processes, programs, groups);
    const given = { ...workload, processes: files.processes };
    const how = () => (profile ? { profile } : {});
    return await withFolders(folders, () =>
      mode === 'parallel'
        ? runMachineHere(given, resolved, options, how)
        : runOnHost(given, resolved, options),
    );
  } finally {
    files.remove();
  }
}
