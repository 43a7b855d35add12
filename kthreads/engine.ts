// SPDX-License-Identifier: GPL-2.0-only
/**
 * What the thread runtime needs to know of an engine, and what a worker is told at its start.
 *
 * The runtime has never heard of a page: it starts threads, stops them, and names the one that
 * broke. It takes its engine by URL, so that a test can run it on a toy.
 */
import type { LockRegion } from '../shared/lock_region.ts';
import type { RcuTable } from '../shared/rcu.ts';
import type { SyncDomain } from '../shared/sync_domain.ts';
import type { TaskTable } from '../shared/task.ts';

/** Code that a worker loads at boot: code does not cross workers, names do. */
export interface ModuleRef {
  /** URL of the module, as `import()` takes it. */
  readonly module: string;
  /** Name of the exported function. */
  readonly export: string;
}

/** An engine as one thread sees it. */
export interface Engine {
  readonly sync: SyncDomain;
  readonly rcu: RcuTable;
  readonly tasks: TaskTable;
  /** Lock words that hold their owner, for reports. */
  readonly lockRegions: readonly LockRegion[];
  /** A thread without a sign of life for so long is reported as hung, in ms. */
  readonly hungTaskMs: number;
  /** First argument of every thread function: the engine's own object. */
  readonly target: unknown;
  /**
   * Takes the modules that `EngineRef` names, loaded, in their order. Absent where it names none.
   * @throws Error when one is not what the engine needs: the thread does not boot
   */
  takeModules?(modules: readonly LoadedProgram[]): void;
}

/** The export that `EngineRef` names. `cpu` is -1 for a kthread. */
export type AttachEngine = (buffers: unknown, config: unknown, id: number, cpu: number) => Engine;

/** How every worker binds to the machine. */
export interface EngineRef extends ModuleRef {
  /** Structured-clonable; holds the shared memory. */
  readonly buffers: unknown;
  /** Structured-clonable, plain. */
  readonly config: unknown;
  /** Code of the user's that every thread loads before its thread function. Default: none. */
  readonly modules?: readonly ProgramRef[];
}

/** Stages of shutdown, in this order: nothing that a stage queued for a later one is lost. */
export const STAGE_PROGRAMS = 0;
export const STAGE_DAEMONS = 1;
/** cgroup_destroy: groups that the last daemon let go of are still released. */
export const STAGE_RELEASE = 2;
/** rcu_gp: callbacks that the daemons queued still run. */
export const STAGE_RCU = 3;
/** khungtaskd: watches until the end. */
export const STAGE_WATCHDOG = 4;
export const STAGES = 5;

/** A program of a simulated CPU. */
export interface ProgramRef extends ModuleRef {
  readonly args: unknown;
}

/** One thread of the machine. */
export interface ThreadSpec extends ModuleRef {
  /** Name, at most 15 ASCII characters, unique in the machine. */
  readonly comm: string;
  /** STAGE_*; threads of STAGE_PROGRAMS start when the machine runs, the others at boot. */
  readonly stage: number;
  /** Simulated CPU that this thread is, or -1. */
  readonly cpu: number;
  /** Arguments of the thread function, after the engine. */
  readonly args: readonly unknown[];
  /** Loaded before the start barrier; passed as the last argument when there are any. */
  readonly programs: readonly ProgramRef[];
  /** The freezer leaves it alone: others need it to reach their own safe point. */
  readonly nofreeze: boolean;
}

/** A program, loaded: `fn` gets what the engine's CPU passes it. */
export interface LoadedProgram {
  readonly fn: (...args: never[]) => unknown;
  readonly args: unknown;
}

/** Time between two samples of a profile, as perf's -F 999, in us. */
export const PROFILE_INTERVAL_US = 1001;

/** How a thread profiles itself. */
export interface ThreadProfileSpec {
  /** Folder that the thread writes COMM.cpuprofile to at its end. */
  readonly dir: string;
  readonly intervalUs: number;
}

/** What a worker finds in `workerData`. */
export interface WorkerData {
  readonly engine: EngineRef;
  readonly threadId: number;
  readonly spec: ThreadSpec;
  /** The deterministic schedule that the thread joins, for its hook; null for none. */
  readonly schedule: unknown;
  /** How the thread profiles itself; null for not at all. */
  readonly profile: ThreadProfileSpec | null;
  /** The worker waits for a thread of another machine when this one has ended. */
  readonly kept: boolean;
}

/** A kthread that belongs to no CPU, with the defaults. */
export function kthreadSpec(
  comm: string,
  ref: ModuleRef,
  args: readonly unknown[] = [],
): ThreadSpec {
  return {
    module: ref.module,
    export: ref.export,
    comm,
    stage: STAGE_DAEMONS,
    cpu: -1,
    args,
    programs: [],
    nofreeze: false,
  };
}
