// SPDX-License-Identifier: GPL-2.0-only
/**
 * A machine that reclaims memory: what the library calls `Machine`.
 *
 *   boot      -> up      all threads exist; kthreads run, programs wait
 *   run       -> ended   programs have run, were looked at while they rested, and have exited
 *   shutdown  -> gone    every daemon has drained, no worker is left
 *
 * Programs end twice. When the last has done its accesses and read back what it stored, all that
 * still have memory wait at a gate; there the caller may look at the machine as they left it, with
 * kthreads frozen and nothing in flight. Then the gate opens, and they give everything back.
 */
import { engineOf } from '../kthreads/mm_engine.ts';
import { threadEnded } from '../kthreads/kthread.ts';
import type { PanicRecord } from '../kthreads/panic.ts';
import { ktimeNs } from '../shared/ktime.ts';
import { THREAD_BLOCKED, WAIT_COMPLETION } from '../shared/thread.ts';
import { WAKE_ALL, wakeUp } from '../shared/wait_queue.ts';
import { type MachineConfig, type ResolvedMachine, resolveMachine } from './config.ts';
import { UsageError } from './errors.ts';
import { Machine, type MachineOptions, type MachineState, type RunResult } from './machine.ts';
import { createMm, GATE_ALL_ENDED, GATE_OPEN, type Mm } from './mm/mm.ts';
import { mmInit } from './mm/mm_init.ts';
import { procFiles } from './mm/proc_files.ts';
import { vmstatItems } from './mm/proc_vmstat.ts';
import type { ThreadInfo } from './thread_info.ts';
import type { ProcessSpec } from './workload/workload.ts';

/** How often the main thread looks whether the programs have ended. */
const GATE_POLL_MS = 5;

/** What `Machine.boot` takes. */
export interface BootConfig extends MachineConfig {
  /** Programs, each in its own address space; every CPU runs one. At least one. */
  readonly processes: readonly ProcessSpec[];
}

/**
 * Makes the tables of a machine, with no thread in it yet.
 * @throws UsageError when the host has no room for them
 */
export function createMachineTables(resolved: ResolvedMachine): Mm {
  let mm: Mm;
  try {
    mm = createMm(resolved.mm);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new UsageError(`memory: the host has no room for it (${error.message}); give less memory`);
  }
  mmInit(mm);
  return mm;
}

export class ReclaimMachine {
  /** The engine's tables: read only, and without locks. */
  readonly mm: Mm;
  readonly resolved: ResolvedMachine;
  readonly #machine: Machine;
  #run: Promise<RunResult> | null = null;

  private constructor(mm: Mm, resolved: ResolvedMachine, machine: Machine) {
    this.mm = mm;
    this.resolved = resolved;
    this.#machine = machine;
  }

  /**
   * Boots a machine.
   * @throws UsageError for a configuration that cannot be; MachineBootError when a thread did not
   * come up, such as one whose program could not be loaded; the signal's reason when it was aborted.
   * No worker is left then
   */
  static async boot(config: BootConfig, options: MachineOptions = {}): Promise<ReclaimMachine> {
    const { processes, ...rest } = config;
    const resolved = resolveMachine(rest, processes);
    return ReclaimMachine.bootTables(createMachineTables(resolved), resolved, options);
  }

  /** Boots a machine whose tables exist already. @throws as `boot` */
  static async bootTables(
    mm: Mm,
    resolved: ResolvedMachine,
    options: MachineOptions = {},
  ): Promise<ReclaimMachine> {
    const module = new URL('../kthreads/mm_engine.js', import.meta.url).href;
    const ref = { module, export: 'attachEngine', buffers: mm.buffers, config: resolved.mm };
    const parts = { engine: engineOf(mm), ref, specs: resolved.threads };
    return new ReclaimMachine(mm, resolved, await Machine.start(parts, options));
  }

  /**
   * Runs the programs to their end.
   * @param atRest called once when they have ended and nothing moves; not called after a panic
   * @throws MachinePanicError when the machine panicked or hung; no worker is left then
   */
  run(atRest: () => void = () => {}): Promise<RunResult> {
    this.#run ??= this.#runToEnd(atRest);
    return this.#run;
  }

  /** Asks the programs to stop where they are; `run` resolves when they have. */
  interrupt(): void {
    this.#machine.interrupt();
  }

  /** Stops everything, drained. May be called at any time, any number of times. */
  async shutdown(): Promise<MachineState> {
    this.#openGate();
    return this.#machine.shutdown();
  }

  get panic(): PanicRecord | null {
    return this.#machine.panic;
  }

  threads(): ThreadInfo[] {
    return this.#machine.threads();
  }

  /** Everything in /proc/vmstat. Exact when the machine rests. */
  vmstat(): Record<string, number> {
    return vmstatItems(this.mm);
  }

  /** Paths of /proc and /sys that the machine has. */
  files(): string[] {
    return Object.keys(procFiles(this.mm));
  }

  /** The text of one of `files()`. @throws UsageError when there is no such file */
  readFile(path: string): string {
    const text = procFiles(this.mm)[path];
    if (text === undefined) throw new UsageError(`${path}: no such file in this machine`);
    return text;
  }

  /** Ends one thread's worker as a crash would: fault injection. @returns false if it is not there */
  terminateThread(comm: string): boolean {
    return this.#machine.terminateThread(comm);
  }

  async #runToEnd(atRest: () => void): Promise<RunResult> {
    const startNs = ktimeNs();
    let over = false;
    const finish = (): void => {
      over = true;
    };
    const running = this.#machine.run();
    running.then(finish, finish);
    await pollUntil(() => over || this.#programsAtRest());
    const wallMs = (ktimeNs() - startNs) / 1e6;
    try {
      if (await this.#machine.freeze()) {
        try {
          atRest();
        } finally {
          this.#machine.thaw();
        }
      }
    } finally {
      this.#openGate();
    }
    return { ...(await running), wallMs };
  }

  /** Has every CPU either reached the gate, where it stays, or left? */
  #programsAtRest(): boolean {
    if (Atomics.load(this.mm.gate, GATE_ALL_ENDED) === 0) return false;
    const { threads } = this.mm.sync;
    for (let id = 1; id <= this.mm.config.cpus; id++) {
      if (threadEnded(engineOf(this.mm), id)) continue;
      const blocked = Atomics.load(threads.state, id) === THREAD_BLOCKED;
      if (!blocked || Atomics.load(threads.waitKind, id) !== WAIT_COMPLETION) return false;
    }
    return true;
  }

  #openGate(): void {
    Atomics.store(this.mm.gate, GATE_OPEN, 1);
    wakeUp(this.mm.gateWait, 0, WAKE_ALL);
  }
}

function pollUntil(test: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    const timer = setInterval(() => {
      if (!test()) return;
      clearInterval(timer);
      resolve();
    }, GATE_POLL_MS);
  });
}
