// SPDX-License-Identifier: GPL-2.0-only
/**
 * Entry file of a deterministic machine's host: runs the main side of the machine on this thread,
 * in virtual time, and posts the report. See host_schedule.ts. A host that is kept then waits for
 * the next machine, with the workers and the memory of the last, unless that went wrong.
 */
import process from 'node:process';
import { parentPort, workerData } from 'node:worker_threads';
import { SpareMemory } from '../../shared/spare_memory.ts';
import type { MachineOptions } from '../machine.ts';
import { MachineBootError } from '../machine_errors.ts';
import { machineThreads } from '../machine_threads.ts';
import type { Mm } from '../mm/mm.ts';
import { giveMmBuffers, type MmBuffers } from '../mm/mm_buffers.ts';
import { type RunReport, reportExitCode } from '../report/run_report.ts';
import { runMachineHere } from '../run_machine.ts';
import { KeptWorkers } from '../thread_workers.ts';
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

/** What a kept host has of its machines for those that come. */
const workers = new KeptWorkers();
const spare = new SpareMemory();
/** Memory that machines of other sizes have left, for nobody: more than that, and the host goes. */
const SPARE_BYTES_MAX = 256 << 20;

/**
 * Keeps the memory of a machine for the next, which may have it and the workers if all went well:
 * what went wrong may have left something in a worker.
 * @returns whether it may
 */
function keep(report: RunReport, buffers: MmBuffers): boolean {
  if (reportExitCode(report) !== 0 || spare.bytes > SPARE_BYTES_MAX) return false;
  giveMmBuffers(buffers, spare);
  return true;
}

/** @returns true when the host can wait for another machine */
async function host({ workload, resolved, flags, lean, kept }: HostData): Promise<boolean> {
  const { seed } = resolved.config;
  const flag = new Int32Array(flags);
  const interrupt = new AbortController();
  let schedule: HostSchedule | null = null;
  const timers = new VirtualTimers(() => schedule?.nowMs() ?? 0);
  timers.install();

  let report: RunReport | null = null;
  let failure: unknown = null;
  let over = false;
  let buffers: MmBuffers | null = null;
  const machine = (mm: Mm): Omit<MachineOptions, 'signal'> => {
    const threads = machineThreads(resolved.mm).length;
    schedule = new HostSchedule(threads, seed, mm.buffers.memory.buffer);
    buffers = mm.buffers;
    post({ kind: 'boot', buffers: lean ? null : buffers, control: schedule.control.buffers });
    // As this thread was started: the patching preload, then the user's own.
    return { execArgv: process.execArgv, schedule, ...(kept ? { workers } : {}) };
  };
  const run = runMachineHere(workload, resolved, { signal: interrupt.signal }, machine, spare)
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
  if (made === null) {
    postError(failure);
    return false;
  }
  const waits = kept && buffers !== null && keep(made, buffers);
  post({ kind: 'report', report: { ...made, schedule: clock?.report(seed) ?? null }, waits });
  return waits;
}

function nextMachine(): Promise<HostData> {
  return new Promise((resolve) => {
    parentPort?.once('message', resolve);
  });
}

let data = workerData as HostData;
while (await host(data)) data = await nextMachine();
