// SPDX-License-Identifier: GPL-2.0-only
/**
 * The main thread's side of a machine: starts the workers, watches them, sees that none is left.
 *
 *   booting     workers load their modules and gather at the start barrier
 *   up          kthreads run; programs too, once started
 *   collapsing  the machine has panicked: grace period, then terminate what is left
 *   gone        no worker is left
 *
 * The main thread never blocks: a timer looks at the arena every POLL_MS, and worker events look at
 * once. It is the last watchdog: it notices a worker that is gone, a thread that hangs while
 * khungtaskd cannot say so, and workers that do not answer a panic or a stop.
 *
 * Nothing here is module state, so that two machines of one process know nothing of each other.
 */
import {
  type Engine,
  type EngineRef,
  PROFILE_INTERVAL_US,
  type ThreadProfileSpec,
  type ThreadSpec,
  type WorkerData,
} from '../kthreads/engine.ts';
import { describeHeldLocks } from '../kthreads/held_report.ts';
import { requestStop, threadEnded, threadNew } from '../kthreads/kthread.ts';
import {
  type PanicReason,
  type PanicRecord,
  panicFromError,
  panicState,
  raisePanic,
  readPanic,
} from '../kthreads/panic.ts';
import { checkIntervalMs, HungTaskWatch, panicHung } from '../kthreads/watchdog.ts';
import { assert } from '../shared/assert.ts';
import { ktimeNs, ktimeSharedMs } from '../shared/ktime.ts';
import { THREADS_MAX } from '../shared/limits.ts';
import {
  PANIC_NONE,
  START_KTHREADS,
  START_PROGRAMS,
  signalTaskChange,
  TASK_NOFREEZE,
} from '../shared/task.ts';
import { setComm, THREAD_DEAD, THREAD_NEW } from '../shared/thread.ts';
import { WAKE_ALL, wakeUp } from '../shared/wait_queue.ts';
import { nodeFlags, threadEntry } from './bundle.ts';
import { freshWorkers, type ThreadWorker, type ThreadWorkers } from './thread_workers.ts';

/** The timer's period. */
const POLL_MS = 25;
/** After a panic, workers may unwind by themselves for so long. */
const PANIC_GRACE_MS = 300;
/** The same where they have profiles to write. */
const PROFILE_GRACE_MS = 3000;
/** A machine that is not up after so long does not come up. */
const BOOT_MS_MAX = 60_000;
/** The main thread's own watch is so much more patient than khungtaskd. */
const PATIENCE = 1.5;
/** A stage that was told to stop may drain for so many hungTaskMs. */
const DRAIN_TIMEOUTS = 3;

interface Member {
  readonly id: number;
  readonly spec: ThreadSpec;
  readonly worker: ThreadWorker;
  exited: boolean;
  /** What the worker threw outside its thread function, if anything. */
  error: unknown;
}

interface Waiter {
  readonly test: () => boolean;
  readonly resolve: () => void;
}

/** A deterministic schedule, as the supervisor sees it: see `MachineSchedule`. */
export interface SupervisorSchedule {
  readonly shared: unknown;
  terminating(id: number): void;
  exited(id: number): void;
}

/** Which threads profile themselves, and how. */
export interface MachineProfile {
  /** Folder that is there; each thread writes COMM.cpuprofile to it at its end. */
  readonly dir: string;
  /** Time between samples in us, 50 .. 1,000,000. Default 1,001, as perf's -F 999. */
  readonly intervalUs?: number;
  /** Beginnings of the names of those threads, such as `kswapd`. Default: every thread. */
  readonly threads?: readonly string[];
}

/** What a supervisor is told beside the machine's parts. */
export interface SupervisorOptions {
  /** `execArgv` of every worker: preloads. */
  readonly execArgv?: readonly string[] | undefined;
  /** That the threads join. */
  readonly schedule?: SupervisorSchedule | undefined;
  readonly profile?: MachineProfile | undefined;
  /** Where workers come from, and go to. Default: each thread has its own, which ends with it. */
  readonly workers?: ThreadWorkers | undefined;
}

/** What a machine is made of. */
export interface MachineParts {
  /** The engine as the main thread sees it. */
  readonly engine: Engine;
  /** How workers bind to the same engine. */
  readonly ref: EngineRef;
  /** Threads; the first gets id 1. */
  readonly specs: readonly ThreadSpec[];
}

export class Supervisor {
  readonly #parts: MachineParts;
  readonly #options: SupervisorOptions;
  /** File that the workers start from. */
  readonly #entry: URL;
  readonly #members: Member[] = [];
  readonly #waiters = new Set<Waiter>();
  readonly #watch: HungTaskWatch;
  #watchAtMs = 0;
  #timer: NodeJS.Timeout | null = null;
  #collapse: Promise<void> | null = null;
  /** The main thread is ending workers itself: their exits are no news. */
  #terminating = false;

  constructor(parts: MachineParts, options: SupervisorOptions = {}) {
    assert(parts.specs.length < THREADS_MAX, 'more threads than THREADS_MAX');
    this.#parts = parts;
    this.#options = options;
    const flags = nodeFlags(options.execArgv);
    this.#entry = threadEntry(parts.specs, parts.ref, !options.profile, flags);
    const patience = parts.engine.hungTaskMs * PATIENCE;
    this.#watch = new HungTaskWatch(parts.engine, patience, nowMs());
  }

  /**
   * Starts all workers and lets the kthreads run.
   * @returns false when the machine broke or `cancelled` held first; no worker is left then
   */
  async boot(cancelled: () => boolean): Promise<boolean> {
    const { engine, specs } = this.#parts;
    const { machine } = engine.tasks;
    for (const [i, spec] of specs.entries()) this.#prepare(i + 1, spec);
    this.#timer = setInterval(() => this.#tick(), POLL_MS);
    try {
      for (const [i, spec] of specs.entries()) this.#spawn(i + 1, spec);
    } catch (error) {
      const who = this.#members.length + 1;
      panicFromError(engine.sync.threads, engine.tasks, who, 'boot', error, []);
    }
    const deadline = nowMs() + BOOT_MS_MAX;
    const ready = (): boolean => Atomics.load(machine.ready, 0) === specs.length;
    await this.until(() => ready() || cancelled() || nowMs() > deadline);
    if (!this.panicked && !cancelled() && !ready()) this.#panicSlowBoot();
    if (this.panicked || cancelled()) {
      if (!this.panicked) await this.#terminateAll();
      await this.#collapseIfPanicked();
      return false;
    }
    this.#release(START_KTHREADS);
    return true;
  }

  /** Lets the CPUs and their programs run. */
  startPrograms(): void {
    this.#release(START_PROGRAMS);
  }

  get panicked(): boolean {
    return panicState(this.#parts.engine.tasks) !== PANIC_NONE;
  }

  /** The panic record; null while there is none. */
  get panic(): PanicRecord | null {
    const { sync, tasks } = this.#parts.engine;
    const record = readPanic(sync.threads, tasks);
    if (record !== null || !this.#terminating || !this.panicked) return record;
    const message = 'a thread died while it wrote its panic record';
    const empty = { who: 0, comm: '', stack: '', heldLocks: [], atMs: ktimeSharedMs() };
    return { ...empty, reason: 'unknown', message };
  }

  /** Threads of the machine; ids run from 1 to this. */
  get count(): number {
    return this.#parts.specs.length;
  }

  /** True once no worker is left. */
  get gone(): boolean {
    return this.#members.every((member) => member.exited);
  }

  /** Resolves once `test()` holds, or the machine has panicked and no worker is left. */
  async until(test: () => boolean): Promise<void> {
    await this.#poll(() => this.panicked || test());
    await this.#collapseIfPanicked();
  }

  /** @returns true once every thread of the stage has ended and its worker is gone */
  stageEnded(stage: number): boolean {
    return this.#members.every((member) => member.spec.stage !== stage || member.exited);
  }

  /** Asks all threads of a stage to drain and return. Does not wait. */
  requestStop(stage: number): void {
    for (const { id, spec } of this.#members) {
      if (spec.stage === stage) requestStop(this.#parts.engine, id);
    }
  }

  /** Stops a stage and waits for its workers; one that does not stop panics the machine. */
  async stopStage(stage: number): Promise<void> {
    const { engine } = this.#parts;
    const limitMs = DRAIN_TIMEOUTS * engine.hungTaskMs;
    const deadline = nowMs() + limitMs;
    this.requestStop(stage);
    await this.until(() => this.stageEnded(stage) || nowMs() > deadline);
    if (this.panicked || this.stageEnded(stage)) return;
    const late = this.#members.find((m) => m.spec.stage === stage && !m.exited) as Member;
    const message = `did not stop within ${limitMs / 1000} s`;
    this.#raise(late.id, 'hung', message);
    await this.until(() => false);
  }

  /**
   * Ends the worker of a thread, as a crash would: fault injection.
   * @returns false when there is no such live thread
   */
  terminate(comm: string): boolean {
    const member = this.#members.find((m) => m.spec.comm === comm && !m.exited);
    if (member !== undefined) void this.#end(member);
    return member !== undefined;
  }

  /** Stops watching. @context no worker is left */
  close(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    this.#tick();
  }

  #prepare(id: number, spec: ThreadSpec): void {
    const { threads } = this.#parts.engine.sync;
    setComm(threads, id, spec.comm);
    this.#parts.engine.tasks.flags[id] = spec.nofreeze ? TASK_NOFREEZE : 0;
    Atomics.store(threads.state, id, THREAD_NEW);
  }

  #spawn(id: number, spec: ThreadSpec): void {
    const { execArgv, profile, workers = freshWorkers } = this.#options;
    const data: WorkerData = {
      engine: this.#parts.ref,
      threadId: id,
      spec,
      schedule: this.#options.schedule?.shared ?? null,
      profile: profile === undefined ? null : threadProfile(profile, spec.comm),
      kept: false,
    };
    const worker = workers.start(this.#entry, data, execArgv, {
      error: (error) => {
        member.error = error;
      },
      gone: (code) => this.#onGone(member, code),
    });
    const member: Member = { id, spec, worker, exited: false, error: undefined };
    this.#members.push(member);
  }

  #onGone(member: Member, code: number): void {
    const { engine } = this.#parts;
    member.exited = true;
    this.#options.schedule?.exited(member.id);
    if (!threadEnded(engine, member.id)) {
      if (!this.#terminating) this.#raiseGone(member, code);
      Atomics.store(engine.sync.threads.state, member.id, THREAD_DEAD);
      signalTaskChange(engine.tasks);
    }
    this.#tick();
  }

  /** A worker went away without its thread having ended. */
  #raiseGone(member: Member, code: number): void {
    const { engine } = this.#parts;
    const up = Atomics.load(engine.tasks.machine.startLevel, 0) >= START_KTHREADS;
    const reason = up ? 'terminated' : 'boot';
    if (member.error === undefined) {
      this.#raise(member.id, reason, `its worker ended with exit code ${code}`);
      return;
    }
    const held = describeHeldLocks(engine, member.id);
    panicFromError(engine.sync.threads, engine.tasks, member.id, reason, member.error, held);
  }

  #raise(who: number, reason: PanicReason, message: string): void {
    const { engine } = this.#parts;
    const heldLocks = describeHeldLocks(engine, who);
    raisePanic(engine.sync.threads, engine.tasks, { who, reason, message, stack: '', heldLocks });
    this.#tick();
  }

  #panicSlowBoot(): void {
    const late = this.#members.find((member) => threadNew(this.#parts.engine, member.id));
    this.#raise(late?.id ?? 0, 'boot', `not ready within ${BOOT_MS_MAX / 1000} s`);
  }

  #release(level: number): void {
    const { tasks } = this.#parts.engine;
    Atomics.store(tasks.machine.startLevel, 0, level);
    wakeUp(tasks.startWait, 0, WAKE_ALL);
  }

  #tick(): void {
    if (!this.panicked && this.#timer !== null) this.#checkHung();
    this.#collapseIfPanicked();
    for (const waiter of this.#waiters) {
      if (!waiter.test()) continue;
      this.#waiters.delete(waiter);
      waiter.resolve();
    }
  }

  #checkHung(): void {
    const { engine } = this.#parts;
    if (nowMs() < this.#watchAtMs) return;
    this.#watchAtMs = nowMs() + checkIntervalMs(engine.hungTaskMs);
    const hung = this.#watch.check(nowMs());
    if (hung.length > 0) panicHung(engine, hung, engine.hungTaskMs * PATIENCE);
  }

  /** @returns what ends when no worker is left, once the machine has panicked; null before */
  #collapseIfPanicked(): Promise<void> | null {
    if (this.panicked) this.#collapse ??= this.#runCollapse();
    return this.#collapse;
  }

  async #runCollapse(): Promise<void> {
    const graceMs = this.#options.profile === undefined ? PANIC_GRACE_MS : PROFILE_GRACE_MS;
    const deadline = nowMs() + graceMs;
    await this.#poll(() => this.gone || nowMs() > deadline);
    await this.#terminateAll();
    this.close();
  }

  async #terminateAll(): Promise<void> {
    this.#terminating = true;
    await Promise.all(this.#members.map((m) => (m.exited ? 0 : this.#end(m))));
    await this.#poll(() => this.gone);
  }

  #end(member: Member): Promise<unknown> {
    this.#options.schedule?.terminating(member.id);
    return member.worker.terminate();
  }

  #poll(test: () => boolean): Promise<void> {
    if (test()) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiters.add({ test, resolve });
    });
  }
}

function threadProfile(profile: MachineProfile, comm: string): ThreadProfileSpec | null {
  const { dir, intervalUs = PROFILE_INTERVAL_US, threads = [''] } = profile;
  return threads.some((start) => comm.startsWith(start)) ? { dir, intervalUs } : null;
}

function nowMs(): number {
  return ktimeNs() / 1e6;
}
