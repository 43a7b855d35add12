// SPDX-License-Identifier: GPL-2.0-only
/**
 * Rows of simulated processes: taken, filled, found, given back (kernel/fork.c, kernel/pid.c).
 *
 * Arguments of a program lie beside its row as JSON, since the CPU that makes the generator is not
 * the one that forked it.
 */
import { spinLock, spinUnlock } from '../../shared/spinlock.ts';
import { LINE_WORDS } from '../../shared/types.ts';
import { E2BIG, EAGAIN } from './errno.ts';
import { LC_TASKLIST } from './lock_order.ts';
import type { Mm } from './mm.ts';
import { MMF_OOM_VICTIM, MMF_SIGBUS } from './mm_types.ts';
import {
  ARGS_OF_CPU,
  RQ_LOAD,
  SCHED_EXITS,
  SCHED_FORKS,
  SCHED_FREE,
  SCHED_LIVE,
  SCHED_LOCK,
  SCHED_PEAK,
  SCHED_PID,
  SCHED_RECORDS,
  SCHED_USED,
  TASK_ARGS_BYTES,
  TASK_FREE,
  TASK_NEW,
  TASK_RECORDS,
} from './sched_types.ts';

/** Takes tasklist_lock. @context no spinlock held but mmap_lock; nothing sleeps under it */
export function tasklistLock(m: Mm): void {
  spinLock(m.sched.words, SCHED_LOCK, LC_TASKLIST);
}

/** Releases tasklist_lock. @context the holder */
export function tasklistUnlock(m: Mm): void {
  spinUnlock(m.sched.words, SCHED_LOCK, LC_TASKLIST);
}

/** What a new task is. */
export interface NewTask {
  /** Row of the task that waits for it, 0 for none. */
  readonly parent: number;
  readonly mm: number;
  /** pid of the process that it is a thread of; 0: it is a process of its own. */
  readonly group: number;
  readonly cpu: number;
  /** CPUs that its children may run on. */
  readonly affinity: number;
  readonly program: number;
  readonly args: Uint8Array | null;
}

function takeRow(m: Mm): number {
  const { words, task } = m.sched;
  const free = words[SCHED_FREE] as number;
  if (free !== 0) {
    words[SCHED_FREE] = task.nextSibling[free] as number;
    return free;
  }
  const row = Atomics.load(words, SCHED_USED) + 1;
  if (row > m.config.tasksMax) return 0;
  Atomics.store(words, SCHED_USED, row);
  return row;
}

/** Takes a row of the report while there are any. */
function takeRecord(m: Mm, row: number, parentPid: number): number {
  const index = Atomics.add(m.sched.words, SCHED_RECORDS, 1);
  if (index >= TASK_RECORDS) return -1;
  const { record, task } = m.sched;
  Atomics.store(record.pid, index, Atomics.load(task.pid, row));
  Atomics.store(record.group, index, Atomics.load(task.group, row));
  Atomics.store(record.parent, index, parentPid);
  Atomics.store(record.program, index, task.program[row] as number);
  Atomics.store(record.cpu, index, Atomics.load(task.cpu, row));
  return index;
}

/** Raises the peak of tasks alive to `live`. */
function notePeak(m: Mm, live: number): void {
  const { words } = m.sched;
  let peak = Atomics.load(words, SCHED_PEAK);
  while (live > peak) {
    const was = Atomics.compareExchange(words, SCHED_PEAK, peak, live);
    if (was === peak) return;
    peak = was;
  }
}

/** Makes a task the youngest child of its parent. @context tasklist_lock held */
function linkChild(m: Mm, row: number, parent: number): void {
  const { task } = m.sched;
  const first = task.firstChild[parent] as number;
  task.nextSibling[row] = first;
  task.prevSibling[row] = 0;
  if (first !== 0) task.prevSibling[first] = row;
  task.firstChild[parent] = row;
}

/** Takes a living child off its parent's list. @context tasklist_lock held */
export function unlinkChild(m: Mm, row: number): void {
  const { task } = m.sched;
  const next = task.nextSibling[row] as number;
  const prev = task.prevSibling[row] as number;
  if (next !== 0) task.prevSibling[next] = prev;
  if (prev !== 0) task.nextSibling[prev] = next;
  else if (task.parent[row] !== 0) task.firstChild[task.parent[row] as number] = next;
}

/**
 * Makes a task, its parent's child, which does not run yet.
 * @returns its row, or EAGAIN when the machine has none left, or its process is killed, which it
 *   was to be a thread of
 * @context takes tasklist_lock; followed by `activateTask` or `abortTask`
 */
export function makeTask(m: Mm, spec: NewTask): number {
  const { task, words, args } = m.sched;
  tasklistLock(m);
  // Under the lock: who kills a process finds its new thread, or its maker finds that it is killed.
  const killed = spec.group !== 0 && Atomics.load(task.signal, spec.parent) !== 0;
  const row = killed ? 0 : takeRow(m);
  if (row === 0) {
    tasklistUnlock(m);
    return EAGAIN;
  }
  const pid = (words[SCHED_PID] as number) + 1;
  words[SCHED_PID] = pid;
  task.parent[row] = spec.parent;
  task.firstChild[row] = 0;
  task.firstZombie[row] = 0;
  task.nextSibling[row] = 0;
  task.prevSibling[row] = 0;
  task.exitCode[row] = 0;
  if (spec.parent !== 0) linkChild(m, row, spec.parent);
  Atomics.store(task.state, row, TASK_NEW);
  Atomics.store(task.group, row, spec.group === 0 ? pid : spec.group);
  Atomics.store(task.signal, row, 0);
  Atomics.store(task.pending, row, 0);
  Atomics.store(task.mm, row, spec.mm);
  Atomics.store(task.cpu, row, spec.cpu);
  task.affinity[row] = spec.affinity;
  task.program[row] = spec.program;
  task.argsBytes[row] = spec.args?.length ?? ARGS_OF_CPU;
  if (spec.args !== null) args.set(spec.args, (row - 1) * TASK_ARGS_BYTES);
  task.stampHead[row] = 0;
  task.stampSlot[row] = 0;
  task.record[row] = -1;
  // Others find the row by its pid from here on.
  Atomics.store(task.pid, row, pid);
  tasklistUnlock(m);
  return row;
}

/** The task that `makeTask` made is not to be. @context its maker; takes tasklist_lock */
export function abortTask(m: Mm, row: number): void {
  tasklistLock(m);
  unlinkChild(m, row);
  freeTask(m, row);
  tasklistUnlock(m);
}

/**
 * Counts a task that `makeTask` made among the living; `enqueueTask` follows.
 * @param parent row of the task that made it, 0 for the configuration
 * @context its maker, which lives
 */
export function activateTask(m: Mm, row: number, parent: number): void {
  const { task, words, rq } = m.sched;
  const parentPid = parent === 0 ? 0 : Atomics.load(task.pid, parent);
  task.record[row] = takeRecord(m, row, parentPid);
  Atomics.add(rq, Atomics.load(task.cpu, row) * LINE_WORDS + RQ_LOAD, 1);
  notePeak(m, Atomics.add(words, SCHED_LIVE, 1) + 1);
  if (parent !== 0) Atomics.add(words, SCHED_FORKS, 1);
}

/** Gives a row back. @context tasklist_lock held; nobody's parent and nobody's child any more */
export function freeTask(m: Mm, row: number): void {
  const { task, words } = m.sched;
  Atomics.store(task.pid, row, 0);
  Atomics.store(task.state, row, TASK_FREE);
  task.nextSibling[row] = words[SCHED_FREE] as number;
  words[SCHED_FREE] = row;
}

/** The task is off its CPU and counts no more. @returns whether it was the last of the machine */
export function taskGone(m: Mm, cpu: number): boolean {
  Atomics.sub(m.sched.rq, cpu * LINE_WORDS + RQ_LOAD, 1);
  Atomics.add(m.sched.words, SCHED_EXITS, 1);
  return Atomics.sub(m.sched.words, SCHED_LIVE, 1) === 1;
}

/** @returns the row of a live or zombie task, or 0 @context tasklist_lock held, or its parent */
export function findTask(m: Mm, pid: number): number {
  if (pid <= 0) return 0;
  const used = Atomics.load(m.sched.words, SCHED_USED);
  for (let row = 1; row <= used; row++) {
    if (Atomics.load(m.sched.task.pid, row) === pid) return row;
  }
  return 0;
}

/** Was the task killed, or its address space chosen by the OOM killer? */
export function taskKilled(m: Mm, row: number): boolean {
  if (Atomics.load(m.sched.task.signal, row) !== 0) return true;
  const mm = Atomics.load(m.sched.task.mm, row);
  return mm !== 0 && (Atomics.load(m.mm.flags, mm) & (MMF_OOM_VICTIM | MMF_SIGBUS)) !== 0;
}

/**
 * Arguments of a program as they travel.
 * @param args what JSON can say
 * @returns the bytes, or E2BIG when there are more than TASK_ARGS_BYTES
 */
export function encodeArgs(args: unknown): Uint8Array | typeof E2BIG {
  const bytes = new TextEncoder().encode(JSON.stringify(args ?? null));
  return bytes.length > TASK_ARGS_BYTES ? E2BIG : bytes;
}

/** What `encodeArgs` made of the arguments of a task. @context the CPU of the task */
export function decodeArgs(m: Mm, row: number): unknown {
  const at = (row - 1) * TASK_ARGS_BYTES;
  const bytes = m.sched.args.slice(at, at + (m.sched.task.argsBytes[row] as number));
  return JSON.parse(new TextDecoder().decode(bytes));
}
