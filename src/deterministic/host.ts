// SPDX-License-Identifier: GPL-2.0-only
/**
 * Entry file of a deterministic machine's host: runs the main side of the machine on this thread,
 * in virtual time, and posts the report. See host_schedule.ts.
 */
import process from 'node:process';
import { parentPort, workerData } from 'node:worker_threads';
import { MachineBootError } from '../machine_errors.ts';
import { machineThreads } from '../machine_threads.ts';
import type { RunReport } from '../report/run_report.ts';
import { runMachineHere } from '../run_machine.ts';
import { HostSchedule } from './host_schedule.ts';
import { FLAG_INTERRUPT, type HostData, type HostMessage } from './messages.ts';
import { VirtualTimers } from './virtual_timers.ts';

function post(message: HostMessage): void {
  parentPort?.postMessage(message);
}

function postError(error: unknown): void {
  const { name, message, stack } = error instanceof Error ? error : new Error(String(error));
  const record = error instanceof MachineBootError ? error.record : null;
  post({ kind: 'error', name, message, stack: stack ?? '', record });
}

async function host({ workload, resolved, flags, lean }: HostData): Promise<void> {
  const { seed } = resolved.config;
  const flag = new Int32Array(flags);
  const interrupt = new AbortController();
  let schedule: HostSchedule | null = null;
  const timers = new VirtualTimers(() => schedule?.nowMs() ?? 0);
  timers.install();

  let report: RunReport | null = null;
  let failure: unknown = null;
  let over = false;
  const run = runMachineHere(workload, resolved, { signal: interrupt.signal }, (mm) => {
    const threads = machineThreads(resolved.mm).length;
    schedule = new HostSchedule(threads, seed, mm.buffers.memory.buffer);
    const buffers = lean ? null : mm.buffers;
    post({ kind: 'boot', buffers, control: schedule.control.buffers });
    // As this thread was started: the patching preload, then the user's own.
    return { execArgv: process.execArgv, schedule };
  })
    .then((made) => {
      report = made;
    })
    .catch((error: unknown) => {
      failure = error;
    })
    .finally(() => {
      over = true;
    });
  const clock = schedule as HostSchedule | null;
  if (clock !== null) {
    await clock.run(
      timers,
      () => over,
      () => {
        if (Atomics.load(flag, FLAG_INTERRUPT) !== 0) interrupt.abort(new Error('interrupted'));
      },
    );
  }
  await run;
  const made = report as RunReport | null;
  if (made === null) postError(failure);
  else post({ kind: 'report', report: { ...made, schedule: clock?.report(seed) ?? null } });
}

await host(workerData as HostData);
