// SPDX-License-Identifier: GPL-2.0-only
/** What a deterministic machine's host and its client say to each other: plain data. */
import type { PanicRecord } from '../../kthreads/panic.ts';
import type { ResolvedMachine } from '../config.ts';
import type { ControlBuffers } from '../harness/control.ts';
import type { MmBuffers } from '../mm/mm_buffers.ts';
import type { RunReport } from '../report/run_report.ts';
import type { Workload } from '../run_machine.ts';

/** Words of the flags that both sides share. */
export const FLAG_INTERRUPT = 0; // @atomic 1 once the client wants the run to end
export const FLAG_WORDS = 1;

/** What a host finds in `workerData`, and gets as a message for each further machine. */
export interface HostData {
  readonly workload: Workload;
  readonly resolved: ResolvedMachine;
  readonly flags: SharedArrayBuffer;
  /** The client wants no hold on the machine's memory. */
  readonly lean: boolean;
  /** The host is to stay for the next machine, if this one goes well. */
  readonly kept: boolean;
}

/** The tables and the schedule exist; threads are about to start. */
export interface BootMessage {
  readonly kind: 'boot';
  /** Null for a lean client. */
  readonly buffers: MmBuffers | null;
  readonly control: ControlBuffers;
}

export interface ReportMessage {
  readonly kind: 'report';
  readonly report: RunReport;
  /** The host waits for another machine. */
  readonly waits: boolean;
}

/** The run threw. */
export interface ErrorMessage {
  readonly kind: 'error';
  readonly name: string;
  readonly message: string;
  readonly stack: string;
  /** Of a MachineBootError. */
  readonly record: PanicRecord | null;
}

export type HostMessage = BootMessage | ReportMessage | ErrorMessage;
