// SPDX-License-Identifier: GPL-2.0-only
/**
 * A machine: boots, runs its programs, shuts down, and says how it went.
 *
 *   boot      -> up        all threads exist; kthreads run, programs wait
 *   run       -> ended     programs have ended, or were interrupted; kthreads still run
 *   shutdown  -> gone      programs, daemons, rcu_gp, khungtaskd stop in this order, each drained
 *   a panic, from any of these -> gone, with a record
 *
 * `run` rejects with MachinePanicError; `shutdown` never rejects over a panic: it returns the final
 * state, which has the record. Every path ends with no worker left. Several machines in one process
 * do not disturb each other. Process-wide events (signals, exit codes) are the caller's business.
 */
import { STAGE_PROGRAMS, STAGES } from '../kthreads/engine.ts';
import { allFrozen, FREEZER_MAIN, requestFreeze, thawAll } from '../kthreads/freezer.ts';
import { engineOf } from '../kthreads/mm_engine.ts';
import type { PanicRecord } from '../kthreads/panic.ts';
import { ktimeNs } from '../shared/ktime.ts';
import { WAKE_ALL, wakeUp } from '../shared/wait_queue.ts';
import { MachineBootError, MachinePanicError, panicText } from './machine_errors.ts';
import { engineRef, machineThreads } from './machine_threads.ts';
import type { MmConfig } from './mm/config.ts';
import { createMm, GATE_ALL_ENDED, GATE_OPEN, type Mm } from './mm/mm.ts';
import { mmInit } from './mm/mm_init.ts';
import { swapFilesClose } from './mm/swap_io.ts';
import { type MachineParts, type MachineProfile, Supervisor } from './supervisor.ts';
import { readThreads, type ThreadInfo } from './thread_info.ts';
import type { ThreadWorkers } from './thread_workers.ts';

/** A deterministic schedule that a machine's threads join, thread N on row N. */
export interface MachineSchedule {
  /** Goes to every worker, for its preload's hook: structured-clonable. */
  readonly shared: unknown;
  /** The worker of a thread is being ended from outside. */
  terminating(id: number): void;
  /** The worker of a thread is gone. */
  exited(id: number): void;
}

export interface MachineOptions {
  /** Aborting it cancels a boot, and interrupts a run, which then drains and reports. */
  readonly signal?: AbortSignal;
  /** `execArgv` of every worker: preloads. */
  readonly execArgv?: readonly string[];
  readonly schedule?: MachineSchedule;
  /** Threads that profile themselves. */
  readonly profile?: MachineProfile;
  /** Where the threads' workers come from, and go to. */
  readonly workers?: ThreadWorkers;
}

/** Where programs that have ended wait, so that the machine can be looked at as they left it. */
export interface ProgramGate {
  /** Every program has ended. */
  ended(): boolean;
  /** Lets them give their memory back and go. */
  open(): void;
}

/** A machine's parts, and what its engine has of a gate. */
export interface GatedParts extends MachineParts {
  readonly gate?: ProgramGate;
  /** Gives back what the machine has of the host, once no worker is left. May be called again. */
  readonly close?: () => void;
}

export interface RunResult {
  /** Some program was told to stop before it had ended by itself. */
  readonly interrupted: boolean;
  readonly wallMs: number;
}

/** What is left of a machine that is gone. */
export interface MachineState {
  readonly interrupted: boolean;
  readonly panic: PanicRecord | null;
  readonly threads: readonly ThreadInfo[];
}

export class Machine<T = unknown> {
  /** The engine's tables, as the main thread sees them: read only, while the machine runs. */
  readonly mm: T;
  readonly #parts: GatedParts;
  readonly #supervisor: Supervisor;
  readonly #signal: AbortSignal | undefined;
  readonly #onAbort = (): void => this.interrupt();
  #interrupted = false;
  #ended = false;
  #run: Promise<RunResult> | null = null;
  #shutdown: Promise<MachineState> | null = null;

  private constructor(parts: GatedParts, supervisor: Supervisor, signal?: AbortSignal) {
    this.mm = parts.engine.target as T;
    this.#parts = parts;
    this.#supervisor = supervisor;
    this.#signal = signal;
    signal?.addEventListener('abort', this.#onAbort, { once: true });
    if (signal?.aborted === true) this.interrupt();
  }

  /**
   * Makes a machine and boots it: all its threads exist, kthreads run, programs wait for `run`.
   * @param config plain data, resolved
   * @throws RangeError when the machine does not fit in the host's memory; else as `start`
   */
  static async boot(config: MmConfig, options: MachineOptions = {}): Promise<Machine<Mm>> {
    options.signal?.throwIfAborted();
    const m = createMm(config);
    mmInit(m);
    return Machine.bootMm(m, options);
  }

  /**
   * As `boot`, on tables that were made and filled already.
   * @param specs its threads, when they are not those that a machine has
   * @throws as `start`
   */
  static bootMm(
    m: Mm,
    options: MachineOptions = {},
    specs = machineThreads(m.config),
  ): Promise<Machine<Mm>> {
    const gate: ProgramGate = {
      ended: () => Atomics.load(m.gate, GATE_ALL_ENDED) !== 0,
      open: () => {
        Atomics.store(m.gate, GATE_OPEN, 1);
        wakeUp(m.gateWait, 0, WAKE_ALL);
      },
    };
    const close = (): void => swapFilesClose(m);
    const parts = { engine: engineOf(m), ref: engineRef(m), specs, gate, close };
    return Machine.start<Mm>(parts, options);
  }

  /**
   * Boots a machine from its parts.
   * @throws MachineBootError when a thread did not come up; the signal's reason when it was
   *   aborted.
   * Either way no worker is left
   */
  static async start<T>(parts: GatedParts, options: MachineOptions = {}): Promise<Machine<T>> {
    const { signal } = options;
    if (signal?.aborted === true) parts.close?.();
    signal?.throwIfAborted();
    const supervisor = new Supervisor(parts, options);
    const up = await supervisor.boot(() => signal?.aborted === true);
    if (up) return new Machine<T>(parts, supervisor, signal);
    supervisor.close();
    parts.close?.();
    const record = supervisor.panic;
    if (record === null) signal?.throwIfAborted();
    const text = record === null ? 'cancelled' : panicText(record);
    throw new MachineBootError(`the machine did not boot: ${text}`, record);
  }

  /**
   * Starts the programs; resolves when all have ended. The last to end keep their memory until
   * `shutdown`, so that the machine can be looked at. Later calls return the same promise.
   * @throws MachinePanicError when the machine panicked or hung; no worker is left then
   */
  run(): Promise<RunResult> {
    this.#run ??= this.#runPrograms();
    return this.#run;
  }

  /** Asks the programs to stop where they are; `run` resolves when they have. Does not wait. */
  interrupt(): void {
    if (this.#shutdown !== null || this.#programsEnded()) return;
    this.#interrupted = true;
    this.#supervisor.requestStop(STAGE_PROGRAMS);
  }

  /**
   * Stops everything, in order, drained. May be called at any time, any number of times.
   * @returns the final state, once no worker is left
   */
  shutdown(): Promise<MachineState> {
    this.#shutdown ??= this.#stopAll();
    return this.#shutdown;
  }

  /** The panic record, null while the machine is well. */
  get panic(): PanicRecord | null {
    return this.#supervisor.panic;
  }

  get interrupted(): boolean {
    return this.#interrupted;
  }

  /** The threads as they are now, or as they ended. */
  threads(): ThreadInfo[] {
    return readThreads(this.#parts.engine, this.#supervisor.count);
  }

  /**
   * Brings every thread to its safe point, holding no lock. Must be followed by `thaw`.
   * @returns false when the machine panicked instead
   */
  async freeze(): Promise<boolean> {
    const { engine } = this.#parts;
    await this.#supervisor.until(() => requestFreeze(engine, FREEZER_MAIN));
    await this.#supervisor.until(() => allFrozen(engine));
    return !this.#supervisor.panicked;
  }

  thaw(): void {
    thawAll(this.#parts.engine);
  }

  /**
   * Ends one thread's worker as a crash would: fault injection. @returns false if it is not there
   */
  terminateThread(comm: string): boolean {
    return this.#supervisor.terminate(comm);
  }

  async #runPrograms(): Promise<RunResult> {
    const startNs = ktimeNs();
    if (!this.#interrupted) this.#supervisor.startPrograms();
    await this.#supervisor.until(() => this.#programsEnded());
    const record = this.#supervisor.panic;
    if (record !== null) {
      this.#detach();
      throw new MachinePanicError(record);
    }
    return { interrupted: this.#interrupted, wallMs: (ktimeNs() - startNs) / 1e6 };
  }

  #programsEnded(): boolean {
    const { gate } = this.#parts;
    this.#ended ||= this.#supervisor.stageEnded(STAGE_PROGRAMS) || gate?.ended() === true;
    return this.#ended;
  }

  async #stopAll(): Promise<MachineState> {
    if (!this.#programsEnded() && !this.#supervisor.panicked) this.#interrupted = true;
    this.#parts.gate?.open();
    for (let stage = STAGE_PROGRAMS; stage < STAGES; stage++) {
      await this.#supervisor.stopStage(stage);
    }
    this.#detach();
    return { interrupted: this.#interrupted, panic: this.panic, threads: this.threads() };
  }

  #detach(): void {
    this.#signal?.removeEventListener('abort', this.#onAbort);
    this.#supervisor.close();
    this.#parts.close?.();
  }
}
