// SPDX-License-Identifier: MIT
/**
 * The schedule of a whole machine: threads that live as long as the machine does, and a host.
 *
 *   host    row 0: the thread that starts, watches and stops the others. It is no controlled
 *           thread; it acts between two steps of the schedule, while it holds the baton, and then
 *           sleeps until a moment of virtual time
 *   thread  rows 1 ..: joins once its modules are loaded, leaves when its function has returned
 *
 *   host                                         thread
 *   openSchedule                                 (loads)
 *   wait until `joined` counts all               joinSchedule: stands at its gate
 *   loop: act, hostSleep(until) ............     runs, step by step
 *   threads done: close                          leaveSchedule
 *
 * What the host does to shared memory is seen at a step that the seed decides, so a run is a
 * function of its seed. Its `Atomics.notify` wakes controlled waiters (see patch.ts).
 */
import { openGate, passGate } from './baton.ts';
import {
  Control,
  type ControlBuffers,
  F_NOW,
  F_STEPS_MAX,
  F_TICK,
  GATE_RUN,
  H_CURRENT,
  H_GATE_SPINS,
  H_JOINED,
  H_POLICY,
  H_SPIN_THRESHOLD,
  H_SWITCH_BELOW,
  POLICY_RANDOM,
} from './control.ts';
import { registerBuffers } from './locate.ts';
import { memory } from './native.ts';
import { seedChance } from './patch_time.ts';
import { bindRuntime, boundScheduler, enterThread, leaveThread, runtime } from './runtime.ts';
import { PICK_ABORT } from './scheduler.ts';
import { seedExecution } from './strategy.ts';

/** What travels to the machine's threads. */
export interface Schedule {
  readonly control: ControlBuffers;
  /** Shared memory of the machine, in one order for all. */
  readonly buffers: readonly SharedArrayBuffer[];
  readonly seed: number;
}

export interface ScheduleOptions {
  /** Threads of the machine; rows 1 .. threads. */
  readonly threads: number;
  readonly seed: number;
  readonly buffers: readonly SharedArrayBuffer[];
  /** Chance of a switch at a step of a thread that could go on. */
  readonly switchChance: number;
  /** Steps that the log keeps: the first ones. */
  readonly logCapacity?: number;
}

/** Makes the schedule of a machine, with the baton in the calling thread's hand. */
export function openSchedule(options: ScheduleOptions): { schedule: Schedule; control: Control } {
  const { threads, seed, buffers, switchChance, logCapacity = 0 } = options;
  const control = Control.create({ threads: threads + 1, planCapacity: 8, logCapacity });
  const { words, numbers } = control;
  words[H_POLICY] = POLICY_RANDOM;
  words[H_SWITCH_BELOW] = Math.floor(Math.min(switchChance, 0.999) * 4294967296) | 0;
  words[H_SPIN_THRESHOLD] = 8;
  numbers[F_STEPS_MAX] = Infinity;
  numbers[F_TICK] = 100;
  seedExecution(control, seed);
  registerBuffers(buffers);
  bindRuntime(control, 0).begin();
  words[H_CURRENT] = 0;
  runtime.host = true;
  return { schedule: { control: control.buffers, buffers, seed }, control };
}

/**
 * Passes the baton and takes it back at a moment of virtual time.
 * @param untilNs Infinity: when a thread's notify or the end of all others brings it back
 * @returns false when the schedule has ended instead: see H_OUTCOME
 * @context the host, which holds the baton; blocks this thread
 */
export function hostSleep(control: Control, untilNs: number): boolean {
  const { words } = control;
  const scheduler = boundScheduler();
  scheduler.changedAll();
  scheduler.block(0, -1, untilNs, 0, 0);
  const next = scheduler.pick();
  if (next === 0) return true;
  if (next < 0) return next !== PICK_ABORT;
  openGate(words, next, GATE_RUN);
  return passGate(words, 0, words[H_GATE_SPINS] as number) === GATE_RUN;
}

/** Virtual time of the machine in ns. */
export function scheduleNow(control: Control): number {
  return control.numbers[F_NOW] as number;
}

/** The host lets go: its clocks and its `notify` are the real ones again. */
export function closeSchedule(): void {
  runtime.host = false;
}

/** A thread joins: see ScheduleHook. */
export function joinSchedule(schedule: unknown, thread: number): void {
  const { control: buffers, buffers: shared, seed } = schedule as Schedule;
  const control = new Control(buffers);
  registerBuffers(shared);
  bindRuntime(control, thread);
  seedChance(seed, thread);
  memory.add(control.words, H_JOINED, 1);
  enterThread(passGate(control.words, thread, 0));
}

/** A thread leaves: see ScheduleHook. */
export function leaveSchedule(): void {
  leaveThread();
}
