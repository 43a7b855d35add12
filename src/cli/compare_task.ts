// SPDX-License-Identifier: GPL-2.0-only
/** One run of a comparison: what a pool thread or a child process makes of a command line. */
import { HostKeeper } from '../deterministic/host_keeper.ts';
import { UsageError } from '../errors.ts';
import { MachineBootError, MachinePanicError } from '../machine_errors.ts';
import type { RunReport } from '../report/run_report.ts';
import { runWorkload } from '../run.ts';
import { interruptSignal } from './interrupt.ts';
import { choose, type RunFlags } from './run_command.ts';

/** Of this thread's runs in a schedule. It ends with the thread. */
const hosts = new HostKeeper();

/** What to run. Structured-clonable. */
export interface CompareTask {
  readonly inputs: readonly string[];
  readonly flags: RunFlags;
}

/** How it went: a report, or why there is none. */
export type CompareOutcome =
  | { readonly kind: 'report'; readonly report: RunReport }
  | { readonly kind: 'usage' | 'dead' | 'interrupted'; readonly message: string };

/**
 * Makes the run.
 * @context a pool thread, or the main thread of a child process; suspends
 */
export async function runTask({ inputs, flags }: CompareTask): Promise<CompareOutcome> {
  try {
    const { plan } = await choose(inputs, flags);
    const options = { signal: interruptSignal, hosts };
    const report = await runWorkload(plan.workload, plan.config, options);
    return { kind: 'report', report };
  } catch (error) {
    if (error instanceof UsageError) return { kind: 'usage', message: error.message };
    if (error instanceof MachineBootError || error instanceof MachinePanicError) {
      return { kind: 'dead', message: error.message };
    }
    throw error;
  }
}
