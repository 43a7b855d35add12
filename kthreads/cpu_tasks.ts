// SPDX-License-Identifier: GPL-2.0-only
/**
 * A CPU that takes turns between simulated processes: their generators live here, their rows and
 * the run queue in the arena (src/mm/runqueue.ts).
 *
 *   pick the head -> enter its address space -> run it to its next yield -> leave
 *     it goes on:   to the tail
 *     it sleeps:    off the queue until somebody wakes it, or its time has come
 *     it has ended: pages read back, memory freed, the parent told
 *   nothing to run: sleep until there is something, or no task of the machine is left
 *
 * Between two turns the CPU is in no address space, so that nobody waits for it in a shootdown, and
 * one that another CPU frees meanwhile is not touched again.
 */
import { bug } from '../shared/assert.ts';
import { ktimeNs } from '../shared/ktime.ts';
import {
  condResched,
  kthreadShouldStop,
  waitEventBlocked,
  waitEventTimeout,
} from '../shared/sched.ts';
import { LINE_WORDS } from '../shared/types.ts';
import { drainOwnBatches } from '../src/mm/drain.ts';
import { exitMm } from '../src/mm/exit_mm.ts';
import { fdsExit, fdsInit } from '../src/mm/fdtable.ts';
import { MEMCG_NAME_BYTES } from '../src/mm/limits.ts';
import { memcgLeave, memcgRefresh } from '../src/mm/memcg_task.ts';
import type { Mm } from '../src/mm/mm.ts';
import { MMF_OOM_VICTIM } from '../src/mm/mm_types.ts';
import { mmapAnon } from '../src/mm/mmap.ts';
import { psiProductive } from '../src/mm/psi.ts';
import {
  dropTask,
  pickTask,
  putTask,
  queuedTasks,
  takeQueued,
  wakeTask,
} from '../src/mm/runqueue.ts';
import {
  ARGS_OF_CPU,
  HOW_EXITED,
  HOW_KILLED,
  HOW_SIGBUS,
  HOW_SIGSEGV,
  SCHED_LIVE,
} from '../src/mm/sched_types.ts';
import { freeStamps, putStampSlot } from '../src/mm/stamp.ts';
import { exitNotify, killProcess } from '../src/mm/task_exit.ts';
import { decodeArgs, taskKilled } from '../src/mm/task_rows.ts';
import { switchMm } from '../src/mm/tlb.ts';
import { RUN_DONE, RUN_KILLED } from '../src/mm/user.ts';
import { verifyStamps } from '../src/mm/verify_task.ts';
import { addMismatches, addPagesVerified } from './cpu_state.ts';
import type { LoadedProgram } from './engine.ts';
import { Proc, type ProcCall, type ProcProgram } from './proc.ts';
import { PageWrites } from './process_pages.ts';
import { endOf, exitOf, TaskEnd } from './task_end.ts';

/** How often a CPU that has told its tasks to stop, and waits for others', shows that it lives. */
const HEARTBEAT_MS = 100;
/** A program may go on in its `finally` blocks for so many yields. */
const RETURNS_MAX = 16;

/** A task of this CPU, from its first turn on. */
interface Local {
  readonly row: number;
  readonly proc: Proc;
  readonly generator: ProcCall<number | undefined>;
}

/** @context the thread of a simulated CPU, until every task of the machine has ended */
export class CpuTasks {
  readonly #m: Mm;
  readonly #own: LoadedProgram;
  readonly #programs: readonly LoadedProgram[];
  readonly #locals = new Map<number, Local>();
  /** Those that sleep for a time. */
  readonly #timers = new Set<Local>();
  readonly #writes = new PageWrites();
  /** Accesses of tasks that have ended. */
  #accesses = 0;

  /** @param programs that of the CPU's own process, then the configuration's in their order */
  constructor(m: Mm, programs: readonly LoadedProgram[]) {
    this.#m = m;
    this.#own = programs[0] as LoadedProgram;
    this.#programs = programs.slice(1);
  }

  /** @context outside a section, no lock held; blocks */
  run(): void {
    const m = this.#m;
    while (Atomics.load(m.sched.words, SCHED_LIVE) > 0) {
      condResched();
      const stopping = kthreadShouldStop();
      this.#wakeSleepers(stopping);
      const row = pickTask(m, m.task.cpu);
      if (row === 0) this.#idle(stopping);
      else this.#turn(row);
    }
    psiProductive(m, false);
    memcgLeave(m);
    drainOwnBatches(m);
  }

  /** Wakes tasks whose time has come; all that sleep, when they are to end. */
  #wakeSleepers(all: boolean): void {
    if (all) for (const row of this.#locals.keys()) wakeTask(this.#m, row);
    if (this.#timers.size === 0) return;
    const now = ktimeNs();
    for (const local of this.#timers) {
      if (!all && local.proc.wakeAtNs > now) continue;
      this.#timers.delete(local);
      wakeTask(this.#m, local.row);
    }
  }

  /** Sleeps until a task is queued, a sleeper's time comes, or all is over. */
  #idle(stopping: boolean): void {
    const m = this.#m;
    const { cpu } = m.task;
    psiProductive(m, false);
    // A group that is removed must not wait for this CPU to have something to do.
    memcgLeave(m);
    drainOwnBatches(m);
    let until = Infinity;
    for (const { proc } of this.#timers) until = Math.min(until, proc.wakeAtNs);
    const ready = (): boolean =>
      queuedTasks(m, cpu) > 0 || Atomics.load(m.sched.words, SCHED_LIVE) === 0;
    const at = cpu * LINE_WORDS;
    if (stopping) {
      waitEventBlocked(m.sched.rqWait, at, ready, HEARTBEAT_MS);
      return;
    }
    const ms = until === Infinity ? Infinity : Math.max(0, (until - ktimeNs()) / 1e6);
    waitEventTimeout(m.sched.rqWait, at, ready, ms);
  }

  /** One turn of a task. */
  #turn(row: number): void {
    const m = this.#m;
    const mm = Atomics.load(m.sched.task.mm, row);
    this.#enter(mm);
    const local = this.#locals.get(row) ?? this.#start(row);
    const before = local.proc.access.accesses;
    const end = this.#step(local);
    const { cpu } = m.task;
    this.#accesses += local.proc.access.accesses - before;
    m.cpuEvents[cpu * LINE_WORDS] = this.#accesses;
    if (end !== null) {
      this.#end(local, end);
      return;
    }
    switchMm(m, 0);
    // Noted before it can be woken: a wake-up by time is this CPU's own.
    if (local.proc.wakeAtNs !== Infinity) this.#timers.add(local);
    putTask(m, cpu, row);
  }

  #enter(mm: number): void {
    const m = this.#m;
    switchMm(m, mm);
    memcgRefresh(m, mm);
    psiProductive(m, true);
  }

  /** Makes the generator of a task that has its first turn. */
  #start(row: number): Local {
    const m = this.#m;
    const { task } = m.sched;
    const index = task.program[row] as number;
    const program = this.#programs[index] ?? this.#own;
    const ofCpu = task.argsBytes[row] === ARGS_OF_CPU;
    const proc = new Proc(m, row, ofCpu ? null : program.args, this.#writes);
    const args = ofCpu ? program.args : decodeArgs(m, row);
    if (ofCpu) fdsInit(m, m.task.mm);
    if (ofCpu) this.#mapAll(index - this.#programs.length);
    const generator = (program.fn as unknown as ProcProgram)(proc, args as never);
    if (typeof generator?.next !== 'function') {
      const name = m.config.programs[index]?.name ?? 'of its process';
      bug(`program ${name} is no generator function: write function*`);
    }
    const local = { row, proc, generator };
    proc.access.giveWay = () => this.#endKilled();
    this.#locals.set(row, local);
    return local;
  }

  /** Maps the VMAs of a process of the configuration. */
  #mapAll(process: number): void {
    const m = this.#m;
    const { vmas = [] } = m.config.processes[process] ?? {};
    for (const { start, end } of vmas) mmapAnon(m, m.task.mm, start, end);
  }

  /** Runs a task to its next yield. @returns how it ended, or null */
  #step({ proc, generator }: Local): TaskEnd | null {
    let end = fatalEnd(proc);
    if (end === null) {
      proc.beginSlice();
      try {
        const { done, value } = generator.next();
        if (done === true) return exitOf(value);
      } catch (error) {
        if (!(error instanceof TaskEnd)) throw error;
        return error;
      }
      end = fatalEnd(proc);
    }
    if (end !== null) unwind(generator);
    return end;
  }

  /**
   * Ends tasks of this CPU that were killed and wait for their turn, which the one that runs cannot
   * give them: it has no memory until they have given back theirs.
   * @context a task runs, in its address space, with no lock held
   */
  #endKilled(): void {
    const m = this.#m;
    const running = m.task.mm;
    for (;;) {
      const row = takeQueued(m, m.task.cpu, (row) => taskKilled(m, row));
      if (row === 0) return;
      this.#enter(Atomics.load(m.sched.task.mm, row));
      const local = this.#locals.get(row) ?? this.#start(row);
      unwind(local.generator);
      this.#end(local, endOf(RUN_KILLED));
      this.#enter(running);
    }
  }

  /** Gives back all that a task has, and tells its parent. @context in its address space */
  #end(local: Local, end: TaskEnd): void {
    const m = this.#m;
    const { row, proc } = local;
    const { task } = m.sched;
    const mm = Atomics.load(task.mm, row);
    // The whole process: also its threads that sleep.
    if (end.how === HOW_SIGSEGV || end.how === HOW_SIGBUS) killProcess(m, proc.pid);
    if (end.how === HOW_EXITED) addPagesVerified(m, verifyStamps(m, row, proc.access));
    addMismatches(m, proc.access.mismatches, proc.access.firstMismatch);
    const { mismatches, first } = proc.wrongPages();
    addMismatches(m, mismatches, first);
    putStampSlot(m, mm, task.stampSlot[row] as number);
    freeStamps(m, row);
    this.#record(local, end);
    fdsExit(m, mm);
    Atomics.store(task.mm, row, 0);
    exitMm(m, mm);
    this.#timers.delete(local);
    this.#locals.delete(row);
    dropTask(m, m.task.cpu, row);
    exitNotify(m, row, end.code, end.how);
  }

  /** What the report says of the task. */
  #record({ row, proc }: Local, end: TaskEnd): void {
    const m = this.#m;
    const { record, task } = m.sched;
    const index = task.record[row] as number;
    if (index < 0) return;
    const mm = Atomics.load(task.mm, row);
    const victim = (Atomics.load(m.mm.flags, mm) & MMF_OOM_VICTIM) !== 0;
    Atomics.store(record.exitCode, index, end.code);
    Atomics.store(record.oomKilled, index, victim && end.how === HOW_KILLED ? 1 : 0);
    Atomics.store(record.faults, index, Atomics.load(m.mm.faults, mm));
    Atomics.store(record.majorFaults, index, Atomics.load(m.mm.majorFaults, mm));
    record.accesses[index] = proc.access.accesses;
    // Its address space is charged there, and keeps it.
    const from = Atomics.load(m.mm.memcg, mm) * MEMCG_NAME_BYTES;
    const name = m.memcgName.subarray(from, from + MEMCG_NAME_BYTES);
    m.sched.recordMemcg.set(name, index * MEMCG_NAME_BYTES);
    Atomics.store(record.how, index, end.how);
  }
}

/** @returns how a task is to end where it is, or null while it may go on */
function fatalEnd(proc: Proc): TaskEnd | null {
  const result = proc.access.fatal();
  return result === RUN_DONE ? null : endOf(result);
}

/** Ends a program at its yield: its `finally` blocks run, as far as they come. */
function unwind(generator: ProcCall<number | undefined>): void {
  for (let i = 0; i < RETURNS_MAX; i++) {
    try {
      if (generator.return(undefined).done === true) return;
    } catch (error) {
      if (error instanceof TaskEnd) return;
      throw error;
    }
  }
}
