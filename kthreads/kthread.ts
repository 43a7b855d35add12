// SPDX-License-Identifier: GPL-2.0-only
/**
 * kthreads: what one thread asks of another, and what a thread function may ask of its own thread.
 *
 * Life of a thread:
 *
 *   new -> running <-> sleeping | blocked | parked -> exited     it returned, or was told to unwind
 *                                                  -> dead       it threw, or its worker is gone
 *
 * Stop, park and freeze are requests: bits that the thread looks at where it is safe (sched.ts).
 * The calls here come in two forms. `request*` only set the bit: any thread may call them, the main
 * thread too. The others wait until the request has been honoured, so only workers may call them.
 *
 * Each thread's columns are written by that thread alone, but for `request` (any thread, by or and
 * and) and for `state`, which the main thread sets to dead when the worker is gone.
 */
import { assert } from '../shared/assert.ts';
import { THREADS_MAX } from '../shared/limits.ts';
import { waitSequence } from '../shared/sched.ts';
import { clearRequest, postRequest, REQUEST_PARK, REQUEST_STOP } from '../shared/task.ts';
import {
  getComm,
  self,
  THREAD_DEAD,
  THREAD_EXITED,
  THREAD_NEW,
  THREAD_PARKED,
  THREAD_UNUSED,
} from '../shared/thread.ts';
import type { Engine } from './engine.ts';

export {
  condResched,
  EVENT_INTERRUPTED,
  EVENT_READY,
  EVENT_TIMEOUT,
  freezeRequested,
  kthreadParkMe,
  kthreadSafePoint,
  kthreadShouldPark,
  kthreadShouldStop,
  MachineStopped,
  scheduleTimeout,
  tryToFreeze,
  waitEvent,
  waitEventBlocked,
  waitEventTimeout,
} from '../shared/sched.ts';

let engine: Engine | null = null;

/** @context the worker's entry, once */
export function enterEngine(attached: Engine): void {
  engine = attached;
}

/** The engine of this worker's machine. @context a thread function */
export function currentEngine(): Engine {
  assert(engine !== null, 'not a thread of a machine');
  return engine;
}

/** @returns true once the thread has left its function, or is gone @context any thread */
export function threadEnded(machine: Engine, id: number): boolean {
  const state = Atomics.load(machine.sync.threads.state, id);
  return state === THREAD_EXITED || state === THREAD_DEAD || state === THREAD_UNUSED;
}

/** @returns the id of the thread with that comm, or 0 @context any thread */
export function findThread(machine: Engine, comm: string): number {
  for (let id = 1; id < THREADS_MAX; id++) {
    const used = Atomics.load(machine.sync.threads.state, id) !== THREAD_UNUSED;
    if (used && getComm(machine.sync.threads, id) === comm) return id;
  }
  return 0;
}

/** Asks a thread to drain and return. @context any thread; does not block */
export function requestStop(machine: Engine, id: number): void {
  postRequest(machine.sync.threads, machine.tasks, id, REQUEST_STOP);
}

/**
 * Stops a thread and waits until it has returned.
 * @context a worker, which blocks; the thread must not wait for the caller
 */
export function kthreadStop(machine: Engine, id: number): void {
  assert(id !== self.id, 'a thread cannot wait for its own end');
  requestStop(machine, id);
  waitSequence(machine.tasks.machine.taskSeq, 0, () => threadEnded(machine, id));
}

/** Asks a thread to park at its next safe point. @context any thread; does not block */
export function requestPark(machine: Engine, id: number): void {
  postRequest(machine.sync.threads, machine.tasks, id, REQUEST_PARK);
}

/** @returns true when the thread sleeps in `kthreadParkMe`, or has ended @context any thread */
export function threadParked(machine: Engine, id: number): boolean {
  const parked = Atomics.load(machine.sync.threads.state, id) === THREAD_PARKED;
  return (parked && Atomics.load(machine.tasks.frozen, id) === 0) || threadEnded(machine, id);
}

/**
 * Parks a thread and waits until it sleeps there, holding no lock.
 * @returns false when it has ended instead
 * @context a worker, which blocks
 */
export function kthreadPark(machine: Engine, id: number): boolean {
  assert(id !== self.id, 'a thread cannot wait for its own parking');
  requestPark(machine, id);
  waitSequence(machine.tasks.machine.taskSeq, 0, () => threadParked(machine, id));
  return !threadEnded(machine, id);
}

/** Lets a parked thread run on. @context any thread; does not block */
export function kthreadUnpark(machine: Engine, id: number): void {
  clearRequest(machine.sync.threads, machine.tasks, id, REQUEST_PARK);
}

/** @returns true when the thread has not passed the start barrier yet @context any thread */
export function threadNew(machine: Engine, id: number): boolean {
  return Atomics.load(machine.sync.threads.state, id) === THREAD_NEW;
}
