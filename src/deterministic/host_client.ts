// SPDX-License-Identifier: GPL-2.0-only
/**
 * Runs a deterministic machine from outside: starts its host, passes interrupts on, watches that
 * the schedule goes on, and takes the report.
 *
 * The user's process is untouched: what is patched is the host's and the workers'.
 *
 * The last watchdog. In the schedule, khungtaskd watches in virtual time; a thread that never comes
 * to a point of the schedule again (an endless loop, a worker that went away with the baton) stops
 * that time for everybody. So this side looks at the step counter in real time, and reports such a
 * machine as hung itself.
 */
import type { Worker } from 'node:worker_threads';
import { describeHeldLocks } from '../../kthreads/held_report.ts';
import { engineOf } from '../../kthreads/mm_engine.ts';
import { type PanicRecord, panicState, raisePanic } from '../../kthreads/panic.ts';
import { ktimeNs } from '../../shared/ktime.ts';
import { PANIC_NONE } from '../../shared/task.ts';
import { hostFiles } from '../bundle.ts';
import type { ResolvedMachine } from '../config.ts';
import { UsageError } from '../errors.ts';
import { Control, F_NOW, F_STEP, H_CURRENT } from '../harness/control.ts';
import { QuietWatch } from '../harness/quiet_watch.ts';
import { MachineBootError, MachinePanicError } from '../machine_errors.ts';
import { machineThreads } from '../machine_threads.ts';
import { attachMm, type Mm } from '../mm/mm.ts';
import type { RunReport } from '../report/run_report.ts';
import { readSample, SAMPLE_MS } from '../report/sampler.ts';
import { type RunWorkloadOptions, runReportAfterPanic, type Workload } from '../run_machine.ts';
import { startHost } from './host_keeper.ts';
import {
  type BootMessage,
  type ErrorMessage,
  FLAG_INTERRUPT,
  FLAG_WORDS,
  type HostData,
  type HostMessage,
} from './messages.ts';

function thrown(message: ErrorMessage): Error {
  if (message.name === 'UsageError') return new UsageError(message.message);
  if (message.name === 'MachineBootError') {
    return new MachineBootError(message.message, message.record);
  }
  return Object.assign(new Error(message.message), { name: message.name, stack: message.stack });
}

/** One host and what is known of it. */
class HostRun {
  readonly #workload: Workload;
  readonly #resolved: ResolvedMachine;
  readonly #options: RunWorkloadOptions;
  readonly #flags = new Int32Array(new SharedArrayBuffer(4 * FLAG_WORDS));
  readonly #startNs = ktimeNs();
  readonly #onAbort = (): void => {
    Atomics.store(this.#flags, FLAG_INTERRUPT, 1);
  };
  #timer: NodeJS.Timeout | null = null;
  /** Its end is this side's doing: no news. */
  #ending = false;
  /** It can have another machine. */
  #waits = false;
  #mm: Mm | null = null;
  #control: Control | null = null;
  readonly #watch = new QuietWatch(SAMPLE_MS, ktimeNs() / 1e6);

  constructor(workload: Workload, resolved: ResolvedMachine, options: RunWorkloadOptions) {
    this.#workload = workload;
    this.#resolved = resolved;
    this.#options = options;
  }

  async run(): Promise<RunReport> {
    const { signal } = this.#options;
    signal?.addEventListener('abort', this.#onAbort, { once: true });
    if (signal?.aborted === true) this.#onAbort();
    const worker = this.#start();
    try {
      const report = await this.#outcome(worker);
      return { ...report, wallMs: (ktimeNs() - this.#startNs) / 1e6 };
    } finally {
      signal?.removeEventListener('abort', this.#onAbort);
      this.#stop();
      this.#ending = true;
      if (this.#waits) await this.#options.hosts?.keep(worker);
      else await worker.terminate();
    }
  }

  #start(): Worker {
    const { hosts } = this.#options;
    const { mm } = this.#resolved;
    const files = hostFiles(machineThreads(mm), mm.shrinkerTypes);
    const kept = hosts !== undefined && files.bundled;
    const data: HostData = {
      workload: this.#workload,
      resolved: this.#resolved,
      flags: this.#flags.buffer,
      lean: this.#options.lean === true,
      kept,
    };
    return kept ? hosts.start(files, data) : startHost(files, data);
  }

  #outcome(worker: Worker): Promise<RunReport> {
    return new Promise((resolve, reject) => {
      worker.on('message', (message: HostMessage) => {
        if (message.kind === 'boot') this.#boot(message, () => this.#end(worker, resolve, reject));
        else if (message.kind === 'report') {
          this.#waits = message.waits && !this.#ending;
          resolve(message.report);
        } else reject(thrown(message));
      });
      worker.on('error', reject);
      worker.on('exit', (code) => {
        if (!this.#ending) reject(new Error(`the host ended with exit code ${code}`));
      });
    });
  }

  /** @param stuck called once when the schedule stands still */
  #boot({ buffers, control }: BootMessage, stuck: () => void): void {
    this.#mm = buffers === null ? null : attachMm(buffers, this.#resolved.mm, 0, -1);
    this.#control = new Control(control);
    if (this.#mm !== null) this.#options.onBoot?.(this.#mm);
    this.#timer = setInterval(() => {
      this.#sample();
      if (!this.#stuck()) return;
      this.#stop();
      stuck();
    }, SAMPLE_MS);
  }

  #sample(): void {
    const { onSample } = this.#options;
    if (this.#mm === null || onSample === undefined) return;
    onSample(readSample(this.#mm, (ktimeNs() - this.#startNs) / 1e6));
  }

  #stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  /** Ends a host whose schedule stands still, and reports. */
  #end(worker: Worker, resolve: (report: RunReport) => void, reject: (error: Error) => void): void {
    this.#ending = true;
    const mm = this.#mm;
    void worker.terminate().then(() => {
      if (mm === null) reject(new MachinePanicError(this.#hungRecord()));
      else resolve(this.#hungReport(mm));
    });
  }

  /** Has the schedule stood still for longer than a thread may be without a sign of life? */
  #stuck(): boolean {
    const step = this.#control?.numbers[F_STEP] as number;
    const quietMs = this.#watch.look(step, ktimeNs() / 1e6);
    // Loading takes its time: until the first step, the host and the workers do that.
    const patienceMs = this.#resolved.mm.hungTaskMs * (step === 0 ? 6 : 1.5);
    return quietMs > patienceMs;
  }

  /** Who had the baton last, and did not pass it on. */
  #hungRecord(): PanicRecord {
    const who = Math.max((this.#control as Control).words[H_CURRENT] as number, 0);
    const seconds = this.#resolved.mm.hungTaskMs / 1000;
    return {
      who,
      comm: who === 0 ? 'host' : (machineThreads(this.#resolved.mm)[who - 1]?.comm ?? ''),
      reason: 'hung',
      message: `came to no point of the schedule for more than ${seconds} s of real time`,
      stack: '',
      heldLocks: [],
      atMs: this.#virtualMs(),
    };
  }

  /** The report of a machine whose schedule stood still; its threads are gone. */
  #hungReport(mm: Mm): RunReport {
    const engine = engineOf(mm);
    const record = this.#hungRecord();
    const heldLocks = record.who > 0 ? describeHeldLocks(engine, record.who) : [];
    if (panicState(engine.tasks) === PANIC_NONE) {
      raisePanic(engine.sync.threads, engine.tasks, { ...record, heldLocks });
    }
    return runReportAfterPanic(mm, this.#resolved, this.#workload, this.#virtualMs());
  }

  #virtualMs(): number {
    return ((this.#control as Control).numbers[F_NOW] as number) / 1e6;
  }
}

/**
 * Runs a workload on a deterministic machine.
 * @param resolved its mode is 'deterministic'
 * @throws as `runWorkload`
 */
export function runOnHost(
  workload: Workload,
  resolved: ResolvedMachine,
  options: RunWorkloadOptions = {},
): Promise<RunReport> {
  return new HostRun(workload, resolved, options).run();
}
