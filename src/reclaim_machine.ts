// SPDX-License-Identifier: GPL-2.0-only
/**
 * A machine that reclaims memory: what the library calls `Machine`.
 *
 *   boot      -> up      all threads exist; kthreads run, programs wait
 *   run       -> ended   programs have ended; the last still hold their memory, to be looked at
 *   shutdown  -> gone    they have given it back, every daemon has drained, no worker is left
 */
import { fileURLToPath } from 'node:url';
import type { PanicRecord } from '../kthreads/panic.ts';
import { loadShrinkerModules } from '../kthreads/user_shrinkers.ts';
import type { SpareMemory } from '../shared/spare_memory.ts';
import { type MachineConfig, type ResolvedMachine, resolveMachine } from './config.ts';
import { UsageError } from './errors.ts';
import { Machine, type MachineOptions, type MachineState, type RunResult } from './machine.ts';
import { MachineBootError } from './machine_errors.ts';
import { hostCloseAll } from './mm/host_evict.ts';
import { createMm, type Mm } from './mm/mm.ts';
import { mmInit } from './mm/mm_init.ts';
import { procEntries, shrinkerEntries } from './mm/proc_files.ts';
import type { LazyFiles } from './mm/proc_memcg.ts';
import { vmstatItems } from './mm/proc_vmstat.ts';
import { installShrinkerTypes } from './mm/shrinker_install.ts';
import { SwapFileError, swapFilesClose } from './mm/swap_io.ts';
import type { ThreadInfo } from './thread_info.ts';
import type { ProcessSpec, ProgramSpec } from './workload/workload.ts';

/** What `Machine.boot` takes. */
export interface BootConfig extends MachineConfig {
  /** Programs, each in its own address space; every CPU runs one. At least one. */
  readonly processes: readonly ProcessSpec[];
  /** Generator programs that processes can fork by name. */
  readonly programs?: readonly ProgramSpec[];
}

/**
 * Makes the tables of a machine, with no thread in it yet.
 * @throws UsageError when the host has no room for them, or a swap file will not do
 */
export function createMachineTables(resolved: ResolvedMachine, spare?: SpareMemory): Mm {
  let mm: Mm;
  try {
    mm = createMm(resolved.mm, spare);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new UsageError(
      `memory: the host has no room for it (${error.message}); give less memory`,
    );
  }
  try {
    mmInit(mm);
  } catch (error) {
    swapFilesClose(mm);
    throw error instanceof SwapFileError ? new UsageError(error.message) : error;
  }
  installShrinkerTypes(mm);
  return mm;
}

/** Modules load within so many ms, or they wait for what waits for them. */
const LOAD_MS_MAX = 20_000;

/** @throws Error when modules of the user's do not load within LOAD_MS_MAX */
async function loadInTime(mm: Mm): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const [type] = mm.config.shrinkerTypes;
    const reason = `${type?.module} did not load: does it await the machine at its top level?`;
    timer = setTimeout(() => reject(new Error(reason)), LOAD_MS_MAX);
  });
  try {
    await Promise.race([loadShrinkerModules(mm), late]);
  } finally {
    clearTimeout(timer);
  }
}

const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error);

/** @returns `file:line:column: what` where a type's module, or one of its own, does not parse */
async function syntaxErrorOf(mm: Mm, error: unknown): Promise<string | null> {
  if (!((error as Error | null)?.cause instanceof SyntaxError)) return null;
  const { findSyntaxError } = await import('./harness/local_modules.ts');
  for (const { module, export: name } of mm.config.shrinkerTypes) {
    if (!module.startsWith('file:')) continue;
    const found = findSyntaxError(fileURLToPath(module));
    if (found !== null) return `${found}; needed for the export ${name}`;
  }
  return null;
}

/** The main thread's own copy of the user's shrinker types: it reads debugfs. */
async function installUserTypes(mm: Mm): Promise<void> {
  if (mm.config.shrinkerTypes.length === 0) return;
  try {
    await loadInTime(mm);
  } catch (error) {
    const reason = (await syntaxErrorOf(mm, error)) ?? messageOf(error);
    throw new MachineBootError(`the machine did not boot: ${reason}`, null, error);
  }
}

export class ReclaimMachine {
  /** The engine's tables: read only, and without locks. */
  readonly mm: Mm;
  readonly resolved: ResolvedMachine;
  readonly #machine: Machine<Mm>;

  private constructor(resolved: ResolvedMachine, machine: Machine<Mm>) {
    this.mm = machine.mm;
    this.resolved = resolved;
    this.#machine = machine;
  }

  /**
   * Boots a machine.
   * @throws UsageError for a configuration that cannot be; MachineBootError when a thread did not
   * come up, such as one whose program could not be loaded; the signal's reason when it was
   * aborted. No worker is left then
   */
  static async boot(config: BootConfig, options: MachineOptions = {}): Promise<ReclaimMachine> {
    const { processes, programs, ...rest } = config;
    const resolved = resolveMachine(rest, processes, programs);
    if (resolved.config.mode !== 'parallel') {
      throw new UsageError("mode: 'deterministic' runs through runWorkload; give 'parallel'");
    }
    if (processes.some((spec) => (spec.filePages ?? 0) > 0)) {
      throw new UsageError('filePages: runs through runWorkload; give the process a file');
    }
    return ReclaimMachine.bootTables(createMachineTables(resolved), resolved, options);
  }

  /** Boots a machine whose tables exist already. @throws as `boot` */
  static async bootTables(
    mm: Mm,
    resolved: ResolvedMachine,
    options: MachineOptions = {},
  ): Promise<ReclaimMachine> {
    try {
      await installUserTypes(mm);
    } catch (error) {
      swapFilesClose(mm);
      throw error;
    }
    return new ReclaimMachine(resolved, await Machine.bootMm(mm, options));
  }

  /**
   * Runs the programs to their end. The last to end keep their memory until `shutdown`.
   * @throws MachinePanicError when the machine panicked or hung; no worker is left then
   */
  run(): Promise<RunResult> {
    return this.#machine.run();
  }

  /**
   * Calls `look` while nothing moves: programs have ended, kthreads are at their safe points.
   * @returns false, without having called it, when the machine panicked meanwhile
   * @context after `run`, before `shutdown`
   */
  async atRest(look: () => void): Promise<boolean> {
    if (!(await this.#machine.freeze())) return false;
    try {
      look();
    } finally {
      this.#machine.thaw();
    }
    return true;
  }

  /** Asks the programs to stop where they are; `run` resolves when they have. */
  interrupt(): void {
    this.#machine.interrupt();
  }

  /** Stops everything, drained. May be called at any time, any number of times. */
  async shutdown(): Promise<MachineState> {
    const state = await this.#machine.shutdown();
    hostCloseAll(this.mm);
    return state;
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
    return [...this.#entries().keys()];
  }

  /** The text of one of `files()`. @throws UsageError when there is no such file */
  readFile(path: string): string {
    const text = this.#entries().get(path);
    if (text === undefined) throw new UsageError(`${path}: no such file in this machine`);
    return text();
  }

  /**
   * Ends one thread's worker as a crash would: fault injection. @returns false if it is not there
   */
  terminateThread(comm: string): boolean {
    return this.#machine.terminateThread(comm);
  }

  #entries(): LazyFiles {
    return new Map([...procEntries(this.mm), ...shrinkerEntries(this.mm)]);
  }
}
