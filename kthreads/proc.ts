// SPDX-License-Identifier: GPL-2.0-only
/**
 * What a generator program sees: its memory, the system calls, and other processes.
 *
 *   function* program(proc, args) {
 *     proc.mmap(4096, 16);
 *     proc.touch(4096, 16, true);
 *     const pid = proc.fork('child', { depth: 1 });
 *     yield;                               // others run
 *     const ended = yield* proc.wait();
 *     return ended.code;
 *   }
 *
 * Calls that wait are generators themselves (`yield* proc.wait()`); all others return at once. A
 * program is to `yield` after calls that others may have waited for, and when `proc.preempted`.
 * Failures are negative numbers, named as Linux's (src/mm/errno.ts). A process that was killed, has
 * touched what it has not mapped, or is told to stop, leaves by an exception (task_end.ts).
 */

import { ktimeNs } from '../shared/ktime.ts';
import { Prng } from '../shared/prng.ts';
import { cgroupFork } from '../src/mm/cgroup.ts';
import { EAGAIN, type ECHILD, EINVAL, ENOENT } from '../src/mm/errno.ts';
import { exitMm } from '../src/mm/exit_mm.ts';
import { fdsCopy, fdsInit, fdsShare } from '../src/mm/fdtable.ts';
import { dupMm } from '../src/mm/fork.ts';
import type { Mm } from '../src/mm/mm.ts';
import { allocMm } from '../src/mm/mm_rows.ts';
import { readMachineFile, writeMachineFile } from '../src/mm/proc_access.ts';
import { enqueueTask, finishSleep, leastLoadedCpu, prepareSleep } from '../src/mm/runqueue.ts';
import { copyStamps, takeStampSlot } from '../src/mm/stamp.ts';
import { type EndedChild, killProcess, takeZombie } from '../src/mm/task_exit.ts';
import { abortTask, activateTask, encodeArgs, makeTask } from '../src/mm/task_rows.ts';
import { parentPid, signalTask, takeSignal } from '../src/mm/task_signal.ts';
import { RUN_DONE } from '../src/mm/user.ts';
import { ProcMemory } from './proc_memory.ts';
import { ProcessCgroups } from './process_cgroups.ts';
import type { PageWrites } from './process_pages.ts';
import { exitOf } from './task_end.ts';

/** A turn on the CPU ends after so many calls, or so much time. */
const SLICE_CALLS = 512;
const SLICE_NS = 4e6;
/** Calls between two looks at the clock. */
const CLOCK_CALLS = 32;

/** What `yield` passes: nothing, either way. */
export type ProcCall<T> = Generator<void, T, void>;

/** A generator program. @param args as the configuration or `fork` gave them */
export type ProcProgram = (proc: Proc, args: never) => ProcCall<number | undefined>;

export interface ForkOptions {
  /** The CPU to run on, one of `proc.cpus`. Default: the one with the fewest processes. */
  readonly cpu?: number;
  /** CPUs of its own and of what it makes, some of `proc.cpus`. Default: all of them. */
  readonly cpus?: readonly number[];
}

/** @returns a bit for each CPU; 0 when one of them is none of `allowed` */
function cpuMask(cpus: readonly number[], allowed: number): number {
  let mask = 0;
  for (const cpu of cpus) {
    if (!Number.isInteger(cpu) || cpu < 0 || cpu > 31) return 0;
    mask |= 1 << cpu;
  }
  return (mask & ~allowed) === 0 ? mask : 0;
}

/** What a new task has of its maker's address space. */
type Copy = 'copy' | 'fresh' | 'same';

/** A task as its program sees it. @context the CPU of the task, while it runs */
export class Proc extends ProcMemory {
  readonly pid: number;
  /** What the configuration gives every instance of the program; null for its own processes. */
  readonly shared: unknown;
  /** When `sleep` ends, in ns of `now`; Infinity while it does not sleep. */
  wakeAtNs = Infinity;

  #cgroups: ProcessCgroups | null = null;
  #prng: Prng | null = null;
  #sliceEndNs = 0;

  /**
   * @param row the task, which has an address space and is not known to its program yet
   * @param writes numbers of this CPU's writes to pages of tmpfs
   */
  constructor(m: Mm, row: number, shared: unknown, writes: PageWrites) {
    super(m, row, writes);
    this.pid = Atomics.load(m.sched.task.pid, row);
    this.shared = shared;
  }

  // --- who, where, when -------------------------------------------------------------------------

  /** The process that this is a thread of; `pid` where it is no thread. */
  get group(): number {
    return Atomics.load(this.m.sched.task.group, this.row);
  }

  /** The simulated CPU that it runs on, from its start to its end. */
  get cpu(): number {
    return this.m.task.cpu;
  }

  /** CPUs that it may put its children on. */
  get cpus(): number[] {
    const mask = this.m.sched.task.affinity[this.row] as number;
    const all = Array.from({ length: this.m.config.cpus }, (_, cpu) => cpu);
    return all.filter((cpu) => ((mask >>> cpu) & 1) !== 0);
  }

  /** Time in ns; virtual in a deterministic run. */
  now(): number {
    return ktimeNs();
  }

  /** Numbers of its own: the same in every run of a seed. */
  get random(): Prng {
    this.#prng ??= new Prng(this.m.config.seed, this.pid);
    return this.#prng;
  }

  /** Is its turn over? Then it should `yield`. Counts as a call, so that any loop ends its turn. */
  get preempted(): boolean {
    this.calls++;
    if (this.calls >= SLICE_CALLS || this.access.fatal() !== RUN_DONE) return true;
    return this.calls % CLOCK_CALLS === 0 && ktimeNs() >= this.#sliceEndNs;
  }

  /** A turn begins. @context the CPU's loop */
  beginSlice(): void {
    this.calls = 0;
    this.#sliceEndNs = ktimeNs() + SLICE_NS;
  }

  // --- processes --------------------------------------------------------------------------------

  /**
   * Runs a program in a copy-on-write copy of this address space, with what is open here.
   * @param program a name of the configuration's @param args what JSON can say, at most 1,024 bytes
   * @returns the child's pid; EAGAIN when the machine has no room for it, ENOMEM, E2BIG for long
   *   arguments, ENOENT for no such program, EINVAL for a CPU that it may not run on
   */
  fork(program: string, args?: unknown, options?: ForkOptions): number {
    return this.#make('copy', program, args, options);
  }

  /** Runs a program in an address space of its own, with nothing open. As `fork` otherwise. */
  spawn(program: string, args?: unknown, options?: ForkOptions): number {
    return this.#make('fresh', program, args, options);
  }

  /** Runs a program in this address space: a thread, and a child to `wait` for. As `fork`. */
  thread(program: string, args?: unknown, options?: ForkOptions): number {
    return this.#make('same', program, args, options);
  }

  /** Ends this task, with 0 .. 255. */
  exit(code = 0): never {
    throw exitOf(code);
  }

  /**
   * Waits for any child to end.
   * @returns its pid and code; ECHILD when there is none
   */
  *wait(): ProcCall<EndedChild | typeof ECHILD> {
    this.enter();
    for (;;) {
      prepareSleep(this.m, this.row);
      const ended = takeZombie(this.m, this.row);
      if (ended !== EAGAIN || this.access.fatal() !== RUN_DONE) {
        finishSleep(this.m, this.row);
        this.check(this.access.fatal());
        if (ended !== EAGAIN) return ended;
      }
      yield;
    }
  }

  /** A child that has ended, without waiting. @returns as `wait`; EAGAIN while all children live */
  tryWait(): EndedChild | typeof EAGAIN | typeof ECHILD {
    this.enter();
    return takeZombie(this.m, this.row);
  }

  /** The process that made this one; 0 when it has ended, or there was none. */
  get parent(): number {
    return parentPid(this.m, this.row);
  }

  /** Wakes a task from its `pause`, or its next one. @returns 0, or ESRCH (-3) */
  signal(pid: number): number {
    this.enter();
    return signalTask(this.m, pid);
  }

  /** Sleeps until somebody has signalled this task, a child or its parent has ended. */
  *pause(): ProcCall<void> {
    this.enter();
    for (;;) {
      prepareSleep(this.m, this.row);
      if (takeSignal(this.m, this.row) || this.access.fatal() !== RUN_DONE) break;
      yield;
    }
    finishSleep(this.m, this.row);
    this.check(this.access.fatal());
  }

  /** Sleeps for so many ms, at least 0. */
  *sleep(ms: number): ProcCall<void> {
    this.enter();
    this.wakeAtNs = ktimeNs() + ms * 1e6;
    for (;;) {
      prepareSleep(this.m, this.row);
      if (ktimeNs() >= this.wakeAtNs || this.access.fatal() !== RUN_DONE) break;
      yield;
    }
    finishSleep(this.m, this.row);
    this.wakeAtNs = Infinity;
    this.check(this.access.fatal());
  }

  /**
   * Kills a process, all its threads; itself, too.
   * @returns 0, or ESRCH (-3)
   * @throws TaskEnd when it was itself
   */
  kill(pid: number): number {
    this.enter();
    const result = killProcess(this.m, pid);
    this.check(this.access.fatal());
    return result;
  }

  // --- the machine ------------------------------------------------------------------------------

  /** Memory groups: makes and removes them, and moves this process. */
  get cgroups(): ProcessCgroups {
    this.#cgroups ??= new ProcessCgroups(this.m, this.mm);
    return this.#cgroups;
  }

  /** Reads a file of the machine. @returns its text, ENOENT or EPERM */
  readFile(path: string): string | number {
    this.enter();
    return readMachineFile(this.m, path);
  }

  /** Writes to a file of the machine. @returns 0, ENOENT, EPERM or EINVAL */
  writeFile(path: string, text: string): number {
    this.enter();
    return writeMachineFile(this.m, path, text);
  }

  // --- within -----------------------------------------------------------------------------------

  #make(how: Copy, program: string, args: unknown, options: ForkOptions = {}): number {
    this.enter();
    const m = this.m;
    const { task } = m.sched;
    const index = m.config.programs.findIndex(({ name }) => name === program);
    if (index < 0) return ENOENT;
    const bytes = encodeArgs(args);
    if (typeof bytes === 'number') return bytes;
    const own = task.affinity[this.row] as number;
    const affinity = options.cpus === undefined ? own : cpuMask(options.cpus, own);
    if (affinity === 0) return EINVAL;
    const cpu = options.cpu ?? leastLoadedCpu(m, affinity);
    if (!Number.isInteger(cpu) || cpu < 0 || cpu > 31 || ((affinity >>> cpu) & 1) === 0) {
      return EINVAL;
    }
    const group = how === 'same' ? this.group : 0;
    const spec = { parent: this.row, mm: 0, group, cpu, affinity, program: index, args: bytes };
    const row = makeTask(m, spec);
    if (row < 0) return this.leave(row);
    const mm = how === 'same' ? this.#shareMm(row) : this.#newMm(how, row);
    if (mm < 0) {
      abortTask(m, row);
      return this.leave(mm);
    }
    Atomics.store(task.mm, row, mm);
    const pid = Atomics.load(task.pid, row);
    activateTask(m, row, this.row);
    enqueueTask(m, row);
    return pid;
  }

  /** Another thread uses this address space. @returns its row, or EAGAIN */
  #shareMm(row: number): number {
    const m = this.m;
    const slot = takeStampSlot(m, this.mm);
    if (slot < 0) return EAGAIN;
    m.sched.task.stampSlot[row] = slot;
    Atomics.add(m.mm.users, this.mm, 1);
    fdsShare(m, this.mm);
    return this.mm;
  }

  /** An address space for a child. @returns its row, EAGAIN or ENOMEM */
  #newMm(how: Copy, row: number): number {
    const m = this.m;
    const mm = allocMm(m);
    if (mm === 0) return EAGAIN;
    if (how === 'copy') {
      const error = dupMm(m, this.mm, mm);
      if (error < 0) {
        exitMm(m, mm);
        return error;
      }
      copyStamps(m, this.row, row);
      fdsCopy(m, this.mm, mm);
    } else {
      cgroupFork(m, this.mm, mm);
      fdsInit(m, mm);
    }
    Atomics.store(m.sched.stampSlots, mm, 1 << (m.sched.task.stampSlot[row] as number));
    return mm;
  }
}
