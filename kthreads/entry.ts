// SPDX-License-Identifier: GPL-2.0-only
/**
 * Entry file of every worker of a machine.
 *
 *   bind to the engine -> load the thread function and its programs -> join the schedule, if
 *   there is one -> ready -> start barrier -> run the function, which is synchronous, under the
 *   profiler when asked -> leave: EXITED, or DEAD after a panic
 *
 * The worker's event loop never turns while its function runs, and is ended when it returns, so no
 * timer or handle of a program outlives its thread. A worker that is kept says so instead, and
 * waits for the thread of the next machine: it runs the package's own code alone.
 */
import { readFileSync, readlinkSync } from 'node:fs';
import process from 'node:process';
import { parentPort, workerData } from 'node:worker_threads';
import { bug } from '../shared/assert.ts';
import { enterRcu, leaveRcu } from '../shared/rcu.ts';
import {
  EVENT_READY,
  enterTask,
  kthreadSafePoint,
  MachineStopped,
  waitEvent,
} from '../shared/sched.ts';
import { scheduleHook } from '../shared/schedule_hook.ts';
import { enterSync } from '../shared/sync_domain.ts';
import { START_KTHREADS, START_PROGRAMS, signalTaskChange } from '../shared/task.ts';
import { THREAD_DEAD, THREAD_EXITED, THREAD_NEW, THREAD_RUNNING } from '../shared/thread.ts';
import { type AttachEngine, type Engine, STAGE_PROGRAMS, type WorkerData } from './engine.ts';
import { describeHeldLocks } from './held_report.ts';
import { enterEngine } from './kthread.ts';
import { load, loadAll } from './load_module.ts';
import { panicFromError } from './panic.ts';

type ThreadFn = (target: unknown, ...args: unknown[]) => unknown;

/** @returns this thread's id in the operating system, 0 where there is no /proc */
function osThreadId(): number {
  try {
    return Number(readlinkSync('/proc/thread-self').split('/').pop());
  } catch {
    return 0;
  }
}

/** @returns CPU time of this thread in us, -1 where unknown */
function ownCpuUs(): number {
  try {
    return Number(readFileSync('/proc/thread-self/schedstat', 'utf8').split(' ')[0]) / 1e3;
  } catch {
    return -1;
  }
}

/** Waits until the machine starts this stage. @returns false when it is stopped instead */
function passBarrier(engine: Engine, stage: number): boolean {
  const { startWait } = engine.tasks;
  const { startLevel, ready } = engine.tasks.machine;
  const level = stage === STAGE_PROGRAMS ? START_PROGRAMS : START_KTHREADS;
  const started = (): boolean => Atomics.load(startLevel, 0) >= level;
  Atomics.add(ready, 0, 1);
  while (waitEvent(startWait, 0, started) !== EVENT_READY) {
    if (kthreadSafePoint()) return false;
  }
  return true;
}

type Profiler = typeof import('./profiler.ts');

/** Loaded only where a profile is asked for: the inspector costs time at boot. */
let profiler: Profiler | null = null;

/** A profile that cannot be written is missing from its folder, and changes nothing else. */
function endProfile({ profile, spec }: WorkerData): void {
  if (profile === null || profiler === null) return;
  profiler.saveProfile(profile, spec.comm);
}

let joined = false;

function joinSchedule({ schedule, spec, threadId }: WorkerData): void {
  if (schedule === null) return;
  const hook = scheduleHook();
  if (hook === null) bug(`${spec.comm} was given a schedule and no preload to join it`);
  hook.join(schedule, threadId);
  joined = true;
  // A program that ends its worker behind the runtime's back must not take the baton with it.
  process.once('exit', leaveSchedule);
}

function leaveSchedule(): void {
  if (!joined) return;
  joined = false;
  process.off('exit', leaveSchedule);
  scheduleHook()?.leave();
}

async function run(engine: Engine, data: WorkerData): Promise<void> {
  const { spec, threadId } = data;
  const { state } = engine.sync.threads;
  engine.takeModules?.(await loadAll(data.engine.modules ?? []));
  if (data.profile !== null) profiler = await import('./profiler.ts');
  const fn = await load<ThreadFn>(spec);
  const args = [...spec.args];
  if (spec.programs.length > 0) args.push(await loadAll(spec.programs));
  // From here to the end everything is synchronous: the schedule sees all of it.
  joinSchedule(data);
  if (!passBarrier(engine, spec.stage)) return;
  // The loading of modules is no part of what the thread does.
  engine.tasks.cpuUs[threadId] = -Math.max(ownCpuUs(), 0);
  Atomics.store(state, threadId, THREAD_RUNNING);
  // A stop that came with the start is for the function to see: programs start together or not at
  // all.
  kthreadSafePoint();
  if (data.profile !== null) profiler?.startProfile(data.profile.intervalUs);
  const result = fn(engine.target, ...args);
  if (result instanceof Promise) bug(`thread function ${spec.export} is async: it must not be`);
}

/** A thread that threw inside a reader cannot leave; grace periods then find it dead. */
function leaveQuietly(): void {
  try {
    leaveRcu();
  } catch {
    // The panic record already says what happened.
  }
}

/** Runs the thread, and says how it ended. Never throws. @returns how: THREAD_* */
async function main(engine: Engine, data: WorkerData): Promise<number> {
  const { threadId: id } = data;
  const { threads } = engine.sync;
  let final = THREAD_EXITED;
  try {
    await run(engine, data);
  } catch (error) {
    if (!(error instanceof MachineStopped)) {
      const reason = Atomics.load(threads.state, id) === THREAD_NEW ? 'boot' : 'threw';
      panicFromError(threads, engine.tasks, id, reason, error, describeHeldLocks(engine, id));
      final = THREAD_DEAD;
    }
  }
  const bootUs = -(engine.tasks.cpuUs[id] as number);
  const cpuUs = ownCpuUs();
  engine.tasks.cpuUs[id] = cpuUs < 0 ? -1 : Math.max(cpuUs - bootUs, 1);
  leaveQuietly();
  endProfile(data);
  Atomics.store(threads.state, id, final);
  signalTaskChange(engine.tasks);
  leaveSchedule();
  return final;
}

/** Becomes the thread, and runs it. @returns how it ended: THREAD_* */
async function thread(data: WorkerData): Promise<number> {
  const attach = await load<AttachEngine>(data.engine);
  const { buffers, config } = data.engine;
  const engine = attach(buffers, config, data.threadId, data.spec.cpu);
  enterSync(engine.sync, data.threadId);
  enterTask(engine.sync.threads, engine.tasks, data.threadId);
  enterRcu(engine.rcu, data.threadId);
  enterEngine(engine);
  Atomics.store(engine.sync.threads.osTid, data.threadId, osThreadId());
  return main(engine, data);
}

/** Says that the thread has ended. @returns the next that this worker is to be */
function nextThread(): Promise<WorkerData> {
  const next = new Promise<WorkerData>((resolve) => {
    parentPort?.once('message', resolve);
  });
  parentPort?.postMessage(null);
  return next;
}

let data = workerData as WorkerData;
while ((await thread(data)) === THREAD_EXITED && data.kept) data = await nextThread();
process.exit(0);
